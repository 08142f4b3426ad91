"""Messages -> Wireshark's fields and values."""

from __future__ import annotations

from analyzer.smb.message import Message

Value = int | bool | str | None | list[int] | list[str]


def fields(message: Message) -> dict[str, Value]:
    """The fields that Wireshark shows of a NEGOTIATE message, by its display-filter names."""
    raise NotImplementedError
