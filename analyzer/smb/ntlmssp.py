"""NTLMSSP messages: bytes -> type, flags and the names they carry. [MS-NLMP] 2.2.1"""

from __future__ import annotations

from typing import NamedTuple


class Ntlm(NamedTuple):
    """An NTLMSSP message, as much as a verdict or a report names.

    message_type: 1 NEGOTIATE, 2 CHALLENGE, 3 AUTHENTICATE. Names are None where the message
    does not have them or the capture cut them off; an empty name is "".
    server: AV pairs of the CHALLENGE. target_name of the AUTHENTICATE: the SPN the client meant.
    """

    message_type: int | None
    flags: int | None = None
    target_name: str | None = None           # CHALLENGE: TargetName; AUTHENTICATE: MsvAvTargetName
    nb_computer: str | None = None           # CHALLENGE, AV pairs
    nb_domain: str | None = None
    dns_computer: str | None = None
    dns_domain: str | None = None
    domain: str | None = None                # AUTHENTICATE
    user: str | None = None
    workstation: str | None = None
    ntlmv2: bool | None = None
    anonymous: bool | None = None
