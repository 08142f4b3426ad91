"""SMB bytes -> messages: framing, headers, NEGOTIATE and its direct sequel."""
