"""NTLMSSP messages: bytes -> type, flags and the names they carry ([MS-NLMP] 2.2.1)."""

from typing import NamedTuple

from analyzer.smb.layout import Truncated, number, take

SIGNATURE = b"NTLMSSP\0"
NEGOTIATE, CHALLENGE, AUTHENTICATE = 1, 2, 3

_UNICODE, _ANONYMOUS = 0x00000001, 0x00000800                        # 2.2.2.5
_AV_NB_COMPUTER, _AV_NB_DOMAIN, _AV_DNS_COMPUTER, _AV_DNS_DOMAIN = 1, 2, 3, 4   # 2.2.2.1
_AV_TARGET_NAME = 9
_NTLMV2_FIXED = 44          # 2.2.2.8: 16 bytes of response, 28 of NTLMv2_CLIENT_CHALLENGE before its AV pairs


class Ntlm(NamedTuple):
    """An NTLMSSP message, as much as a verdict or a report names.

    message_type: 1 NEGOTIATE, 2 CHALLENGE, 3 AUTHENTICATE. Names are None where the message
    does not have them or they are cut off; a name that is there and empty is "".
    """

    message_type: int | None
    flags: int | None = None
    target_name: str | None = None           # CHALLENGE: TargetName; AUTHENTICATE: MsvAvTargetName
    nb_computer: str | None = None           # CHALLENGE, from the AV pairs
    nb_domain: str | None = None
    dns_computer: str | None = None
    dns_domain: str | None = None
    domain: str | None = None                # AUTHENTICATE
    user: str | None = None
    workstation: str | None = None
    ntlmv2: bool | None = None
    anonymous: bool | None = None


def read_ntlm(data: bytes) -> Ntlm:
    """An NTLMSSP message. Never fails: what is missing or out of bounds is None."""
    kind = number(data, 8, 4)
    if kind == NEGOTIATE:
        return Ntlm(kind, number(data, 12, 4))
    if kind == CHALLENGE:
        return _challenge(data)
    if kind == AUTHENTICATE:
        return _authenticate(data)
    return Ntlm(kind)


def _challenge(data: bytes) -> Ntlm:
    """CHALLENGE_MESSAGE (2.2.1.2)."""
    flags = number(data, 20, 4)
    names = _pairs(_payload(data, 40) or b"")
    return Ntlm(
        CHALLENGE, flags, _text(_payload(data, 12), flags),
        names.get(_AV_NB_COMPUTER), names.get(_AV_NB_DOMAIN),
        names.get(_AV_DNS_COMPUTER), names.get(_AV_DNS_DOMAIN),
    )  # fmt: skip


def _authenticate(data: bytes) -> Ntlm:
    """AUTHENTICATE_MESSAGE (2.2.1.3)."""
    flags = number(data, 60, 4)
    answer = _payload(data, 20)
    user = _text(_payload(data, 36), flags)
    second = None if answer is None else len(answer) > 24
    anonymous = None
    if flags is not None and answer is not None:
        # 3.2.5.1.2: anonymous is an empty user name with an empty answer; some clients set only the flag
        anonymous = bool(flags & _ANONYMOUS) or (user == "" and not answer)
    return Ntlm(
        AUTHENTICATE, flags,
        _pairs(answer[_NTLMV2_FIXED:]).get(_AV_TARGET_NAME) if answer is not None and second else None,
        domain=_text(_payload(data, 28), flags), user=user, workstation=_text(_payload(data, 44), flags),
        ntlmv2=second, anonymous=anonymous,
    )  # fmt: skip


def _payload(data: bytes, at: int) -> bytes | None:
    """The bytes that the length and offset at `at` describe, None where they are not all there."""
    length, offset = number(data, at, 2), number(data, at + 4, 4)
    if length is None or offset is None:
        return None
    try:
        return take(data, offset, length, "NTLMSSP payload")
    except Truncated:
        return None


def _text(raw: bytes | None, flags: int | None) -> str | None:
    """A name in the character set that was negotiated; OEM names are read as Latin-1."""
    if raw is None:
        return None
    if flags is None or flags & _UNICODE:
        return raw.decode("utf-16-le", "replace")
    return raw.decode("latin-1")


def _pairs(data: bytes) -> dict[int, str]:
    """The first text of each AV_PAIR id, up to MsvAvEOL or the end (2.2.2.1)."""
    names: dict[int, str] = {}
    at = 0
    while (kind := number(data, at, 2)) and (length := number(data, at + 2, 2)) is not None:
        if at + 4 + length > len(data):
            break
        names.setdefault(kind, data[at + 4 : at + 4 + length].decode("utf-16-le", "replace"))
        at += 4 + length
    return names
