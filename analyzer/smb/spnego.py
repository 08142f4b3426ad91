"""A security buffer -> which GSS mechanisms it offers or chooses, by a bounded DER walk.

RFC 4178, [MS-SPNG] 2.2.1, RFC 2743 3.1.
"""

from __future__ import annotations

from typing import NamedTuple

from analyzer.smb.ntlmssp import Ntlm


class Token(NamedTuple):
    """What a security buffer holds.

    form: "spnego-init", "spnego-response", "ntlmssp", "kerberos", "gss" (another mechanism),
    "unknown" (none of these) or "empty".
    whole: the buffer holds the token to its announced end.
    mech_types: offered OIDs, dotted, in order. mechanism: OID of the GSS wrapper.
    mech_token: the bytes inside (mechToken or responseToken); kind: "ntlmssp", "kerberos",
    "negoex", "unknown" or None without one.
    negotiate_result: 0 accept-completed, 1 accept-incomplete, 2 reject, 3 request-mic.
    """

    form: str
    whole: bool
    mechanism: str | None = None
    mech_types: tuple[str, ...] = ()
    mech_token: bytes | None = None
    kind: str | None = None
    hint_name: str | None = None
    negotiate_result: int | None = None
    supported_mech: str | None = None
    ntlm: Ntlm | None = None
