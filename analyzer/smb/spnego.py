"""A security buffer -> which GSS mechanisms it offers or chooses, by a bounded DER walk.

RFC 4178, [MS-SPNG] 2.2.1, RFC 2743 3.1. The walk never recurses: the depth is that of the format.
"""

from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

from analyzer.smb.ntlmssp import SIGNATURE, Ntlm, read_ntlm

SPNEGO = "1.3.6.1.5.5.2"
_KERBEROS = frozenset({"1.2.840.113554.1.2.2", "1.2.840.48018.1.2.2", "1.2.840.113554.1.2.2.3"})
_NEGOEX_SIGNATURE = b"NEGOEXTS"
_APPLICATION, _OID, _ENUMERATED, _GENERAL_STRING, _SEQUENCE = 0x60, 0x06, 0x0A, 0x1B, 0x30
_CONTEXT = 0xA0                          # [0], constructed; [n] is _CONTEXT + n


class Token(NamedTuple):
    """What a security buffer holds.

    form: "spnego-init", "spnego-response", "ntlmssp", "kerberos", "gss" (another mechanism),
    "unknown" (none of these) or "empty".
    whole: the buffer holds the token to its announced end.
    mechanism: OID of the GSS wrapper. mech_types: offered OIDs, dotted, in order.
    mech_token: the bytes inside (mechToken or responseToken); kind: "ntlmssp", "kerberos",
    "negoex", "unknown", or None without one.
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


class _Piece(NamedTuple):
    """One DER element: its tag, and where its content lies; stop may be past the buffer."""

    tag: int
    start: int
    stop: int


def _piece(data: bytes, at: int, end: int) -> _Piece | None:
    """The element at `at`, None where its tag and length are not wholly before `end`.

    Definite lengths of at most four bytes only: DER has no others of that size here.
    """
    if at + 2 > end:
        return None
    tag, length = data[at], data[at + 1]
    start = at + 2
    if length >= 0x80:
        size = length & 0x7F
        if not 1 <= size <= 4 or start + size > end:
            return None
        length = int.from_bytes(data[start : start + size], "big")
        start += size
    return _Piece(tag, start, start + length)


def _pieces(data: bytes, at: int, end: int) -> Iterator[_Piece]:
    """The elements that begin between `at` and `end`; one that claims more ends with the data."""
    while (piece := _piece(data, at, end)) is not None:
        yield piece._replace(stop=min(piece.stop, len(data)))
        at = piece.stop


def _inside(data: bytes, outer: _Piece, tag: int) -> _Piece | None:
    """The element with this tag inside `outer`, None if another stands there or it is cut."""
    piece = _piece(data, outer.start, min(outer.stop, len(data)))
    return piece if piece is not None and piece.tag == tag and piece.stop <= len(data) else None


def object_identifier(content: bytes) -> str | None:
    """Dotted text of an OBJECT IDENTIFIER's content, None if it is not one."""
    arcs: list[int] = []
    value = 0
    for byte in content:
        if value >= 1 << 57:                # no arc of any mechanism comes near
            return None
        value = value << 7 | byte & 0x7F
        if byte < 0x80:
            arcs.append(value)
            value = 0
    if not arcs or content[-1] >= 0x80:
        return None
    first = min(arcs[0] // 40, 2)
    return ".".join(map(str, (first, arcs[0] - 40 * first, *arcs[1:])))


def token_kind(token: bytes) -> str:
    """What a mechToken is by its first bytes: "ntlmssp", "kerberos", "negoex" or "unknown"."""
    if token.startswith(SIGNATURE):
        return "ntlmssp"
    if token.startswith(_NEGOEX_SIGNATURE):
        return "negoex"
    outer = _piece(token, 0, len(token))
    if outer is not None and outer.tag == _APPLICATION:
        oid = _piece(token, outer.start, len(token))
        if oid is not None and oid.tag == _OID and object_identifier(token[oid.start : oid.stop]) in _KERBEROS:
            return "kerberos"
    return "unknown"


# A server says the same to every client, and a client the same to every server.
@lru_cache(maxsize=64)
def read_token(buffer: bytes) -> Token:
    """What a security buffer holds. Never fails: what is not a token has the form "unknown"."""
    if not buffer:
        return Token("empty", whole=True)
    if buffer.startswith(SIGNATURE[: len(buffer)]):
        return Token("ntlmssp", whole=len(buffer) >= 12, kind="ntlmssp", mech_token=buffer, ntlm=read_ntlm(buffer))
    outer = _piece(buffer, 0, len(buffer))
    if outer is None:
        return Token("unknown", whole=False)
    whole = outer.stop <= len(buffer)
    if outer.tag == _APPLICATION:
        return _wrapped(buffer, outer, whole)
    if outer.tag == _CONTEXT:
        return _negotiation_init(buffer, outer, whole, None)
    if outer.tag == _CONTEXT + 1:
        return _negotiation_response(buffer, outer, whole, None)
    return Token("unknown", whole)


def _wrapped(buffer: bytes, outer: _Piece, whole: bool) -> Token:
    """A token in the GSS wrapper of RFC 2743 3.1."""
    end = min(outer.stop, len(buffer))
    oid = _piece(buffer, outer.start, end)
    if oid is None or oid.tag != _OID or oid.stop > end:
        return Token("unknown", whole)
    mechanism = object_identifier(buffer[oid.start : oid.stop])
    if mechanism == SPNEGO:
        inner = _piece(buffer, oid.stop, end)
        if inner is not None and inner.tag == _CONTEXT:
            return _negotiation_init(buffer, inner, whole and inner.stop <= end, mechanism)
        if inner is not None and inner.tag == _CONTEXT + 1:
            return _negotiation_response(buffer, inner, whole and inner.stop <= end, mechanism)
        return Token("unknown", whole, mechanism)
    if mechanism is None:
        return Token("unknown", whole)
    form = "kerberos" if mechanism in _KERBEROS else "gss"
    rest = buffer[oid.stop : end]
    if rest.startswith(SIGNATURE):
        return Token("ntlmssp", whole, mechanism, mech_token=rest, kind="ntlmssp", ntlm=read_ntlm(rest))
    return Token(form, whole, mechanism, mech_token=rest, kind="kerberos" if form == "kerberos" else "unknown")


def _negotiation_init(buffer: bytes, outer: _Piece, whole: bool, mechanism: str | None) -> Token:
    """NegTokenInit (RFC 4178 4.2.1) or NegTokenInit2, which adds negHints ([MS-SPNG] 2.2.1)."""
    mech_types: tuple[str, ...] = ()
    mech_token: bytes | None = None
    hint: str | None = None
    body = _inside(buffer, outer, _SEQUENCE)
    if body is not None:
        for piece in _pieces(buffer, body.start, min(body.stop, len(buffer))):
            if piece.tag == _CONTEXT and (listed := _inside(buffer, piece, _SEQUENCE)) is not None:
                mech_types = tuple(
                    oid
                    for item in _pieces(buffer, listed.start, listed.stop)
                    if item.tag == _OID
                    and (oid := object_identifier(buffer[item.start : item.stop])) is not None
                )
            elif piece.tag == _CONTEXT + 2:
                mech_token = _octets(buffer, piece)
            elif piece.tag == _CONTEXT + 3:
                hint = _hint_name(buffer, piece)
    return Token(
        "spnego-init", whole and body is not None, mechanism, mech_types, mech_token,
        None if mech_token is None else token_kind(mech_token), hint,
        ntlm=_ntlm_inside(mech_token),
    )  # fmt: skip


def _negotiation_response(buffer: bytes, outer: _Piece, whole: bool, mechanism: str | None) -> Token:
    """NegTokenResp (RFC 4178 4.2.2)."""
    result: int | None = None
    supported: str | None = None
    response: bytes | None = None
    body = _inside(buffer, outer, _SEQUENCE)
    if body is not None:
        for piece in _pieces(buffer, body.start, min(body.stop, len(buffer))):
            if piece.tag == _CONTEXT and (state := _inside(buffer, piece, _ENUMERATED)) is not None:
                result = int.from_bytes(buffer[state.start : state.stop][:4], "big")
            elif piece.tag == _CONTEXT + 1 and (oid := _inside(buffer, piece, _OID)) is not None:
                supported = object_identifier(buffer[oid.start : oid.stop])
            elif piece.tag == _CONTEXT + 2:
                response = _octets(buffer, piece)
    return Token(
        "spnego-response", whole and body is not None, mechanism, (), response,
        None if response is None else token_kind(response), None, result, supported,
        _ntlm_inside(response),
    )  # fmt: skip


def _octets(buffer: bytes, outer: _Piece) -> bytes | None:
    inner = _inside(buffer, outer, 0x04)
    return None if inner is None else buffer[inner.start : inner.stop]


def _hint_name(buffer: bytes, outer: _Piece) -> str | None:
    """The hintName of negHints; [3] of the older NegTokenInit is a mechListMIC, which has none."""
    hints = _inside(buffer, outer, _SEQUENCE)
    if hints is None:
        return None
    for piece in _pieces(buffer, hints.start, hints.stop):
        if piece.tag == _CONTEXT and (name := _inside(buffer, piece, _GENERAL_STRING)) is not None:
            return buffer[name.start : name.stop].decode("utf-8", "replace")
    return None


def _ntlm_inside(token: bytes | None) -> Ntlm | None:
    return read_ntlm(token) if token is not None and token.startswith(SIGNATURE) else None
