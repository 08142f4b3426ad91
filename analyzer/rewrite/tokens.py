"""Security buffers written anew: SPNEGO's structure and NTLMSSP's names and flags, nothing secret.

What a password could be guessed from (challenges, responses, proofs, session keys, MICs) and what is not
understood (Kerberos tickets, NegoEx) becomes zero. Sizes and offsets stay. RFC 4178, [MS-SPNG] 2.2.1,
[MS-NLMP] 2.2.1
"""

from __future__ import annotations

import struct
from typing import NamedTuple

from analyzer.rewrite.draft import Draft, renamed
from analyzer.rewrite.pseudonym import Pseudonyms
from analyzer.smb.layout import number
from analyzer.smb.ntlmssp import AUTHENTICATE, CHALLENGE, NEGOTIATE, SIGNATURE
from analyzer.smb.spnego import SPNEGO, object_identifier

_NEGOEX = b"NEGOEXTS"
_CONSTRUCTED = 0x20
_APPLICATION, _OID, _OCTETS = 0x60, 0x06, 0x04
_PLAIN = frozenset((0x01, 0x02, 0x03, 0x05, _OID, 0x0A))     # booleans, numbers, flags: nobody's name
_TEXTS = frozenset((0x0C, 0x12, 0x13, 0x16, 0x1A, 0x1B))
_MAX_DEPTH = 12          # NegTokenInit2 has six levels

_UNICODE = 0x00000001
_NTLMV2_FIXED = 44       # [MS-NLMP] 2.2.2.8
_AV_END, _AV_FLAGS, _AV_TIME, _AV_TARGET = 0, 6, 7, 9        # 2.2.2.1
_AV_NAMES = frozenset((1, 2, 3, 4, 5, _AV_TARGET))


class _Element(NamedTuple):
    """A DER element: its tag, and where its content lies; stop may be past the buffer."""

    tag: int
    start: int
    stop: int


def rewritten_token(old: bytes, names: Pseudonyms) -> bytes:
    """A security buffer, or what was captured of it, without anybody's name. As many bytes."""
    if old.startswith(SIGNATURE[: len(old)]):
        return _ntlm(old, names)
    draft = Draft(old, names)
    if old.startswith(_NEGOEX):
        draft.keep(0, len(_NEGOEX))
    else:
        _elements(draft, 0, len(old), _MAX_DEPTH)
    return bytes(draft.new)


def _element(data: bytes, at: int, end: int) -> _Element | None:
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
    return _Element(tag, start, start + length)


def _elements(draft: Draft, at: int, end: int, depth: int) -> None:
    """What lies between `at` and `end`; the rest of it from the first thing on that is no element is zero."""
    while depth and (element := _element(draft.old, at, end)) is not None:
        draft.keep(at, element.start - at)
        stop = min(element.stop, end)
        if element.tag == _APPLICATION:
            _wrapped(draft, element.start, stop, depth)
        elif element.tag & _CONSTRUCTED:
            _elements(draft, element.start, stop, depth - 1)
        elif element.tag in _PLAIN:
            draft.keep(element.start, stop - element.start)
        elif element.tag == _OCTETS:
            draft.put(element.start, _mechanism(draft.old[element.start : stop], draft.names, depth - 1))
        elif element.tag in _TEXTS and element.stop <= end:
            draft.text(element.start, stop - element.start, unicode=False)
        at = element.stop
    if depth and at + 2 > end > at:
        draft.keep(at, 1)                # a lone tag byte at the end of what was captured


def _wrapped(draft: Draft, at: int, end: int, depth: int) -> None:
    """A token in the GSS wrapper of RFC 2743 3.1: an OID, then what this mechanism has."""
    oid = _element(draft.old, at, end)
    if oid is None:
        draft.keep(at, min(2, end - at))
        return
    draft.keep(at, oid.start - at)
    if oid.tag != _OID:
        return
    stop = min(oid.stop, end)
    draft.keep(oid.start, stop - oid.start)
    if object_identifier(draft.old[oid.start : stop]) == SPNEGO:
        _elements(draft, stop, end, depth - 1)
    elif draft.old.startswith(SIGNATURE, stop):
        draft.put(stop, _ntlm(draft.old[stop:end], draft.names))


def _mechanism(old: bytes, names: Pseudonyms, depth: int) -> bytes:
    """A mechToken or responseToken; a MIC becomes zero."""
    draft = Draft(old, names)
    if old.startswith(SIGNATURE):
        return _ntlm(old, names)
    if old.startswith(_NEGOEX):
        draft.keep(0, len(_NEGOEX))
    else:
        outer = _element(old, 0, len(old))
        if outer is not None and outer.tag == _APPLICATION and depth > 0:
            draft.keep(0, outer.start)
            _wrapped(draft, outer.start, min(outer.stop, len(old)), depth)
    return bytes(draft.new)


def _ntlm(old: bytes, names: Pseudonyms) -> bytes:
    draft = Draft(old, names)
    draft.keep(0, 12)
    kind = number(old, 8, 4)
    if kind == NEGOTIATE:
        draft.keep(12, 28)               # flags, two descriptors, version
        _field(draft, 16, unicode=False)
        _field(draft, 24, unicode=False)
    elif kind == CHALLENGE:
        draft.keep(12, 12)               # descriptor, flags
        draft.keep(40, 16)               # descriptor, version
        unicode = _is_unicode(number(old, 20, 4))
        _field(draft, 12, unicode=unicode)
        place = _place(old, 40)
        if place is not None:
            draft.put(place[0], _pairs(old[place[0] : sum(place)], names))
    elif kind == AUTHENTICATE:
        draft.keep(12, 60)               # six descriptors, flags, version
        unicode = _is_unicode(number(old, 60, 4))
        for at in (28, 36, 44):
            _field(draft, at, unicode=unicode)
        place = _place(old, 20)
        if place is not None and place[1] > _NTLMV2_FIXED:
            _answer(draft, *place)
    return bytes(draft.new)


def _is_unicode(flags: int | None) -> bool:
    return flags is None or bool(flags & _UNICODE)


def _place(data: bytes, at: int) -> tuple[int, int] | None:
    """Offset and length of what the descriptor at `at` describes; None where it is not all there."""
    length, offset = number(data, at, 2), number(data, at + 4, 4)
    if length is None or offset is None or offset < 12 or offset + length > len(data):
        return None
    return offset, length


def _field(draft: Draft, at: int, *, unicode: bool) -> None:
    place = _place(draft.old, at)
    if place is not None:
        draft.text(*place, unicode=unicode)


def _answer(draft: Draft, at: int, size: int) -> None:
    """An NTLMv2 response: its version, time and names."""
    draft.keep(at + 16, 2)
    draft.keep(at + 24, 8)
    begin = at + _NTLMV2_FIXED
    draft.put(begin, _pairs(draft.old[begin : at + size], draft.names))


def _pairs(old: bytes, names: Pseudonyms) -> bytes:
    """AV pairs. A target that is an address may get longer; then pairs in which nobody looks are left out."""
    pairs: list[tuple[int, bytes]] = []
    at = 0
    while (kind := number(old, at, 2)) and (length := number(old, at + 2, 2)) is not None:
        if at + 4 + length > len(old):
            break
        value = old[at + 4 : at + 4 + length]
        if kind == _AV_TARGET:
            text = names.name(value.decode("utf-16-le", "replace"))
            value = text.encode("utf-16-le", "replace")
        elif kind in _AV_NAMES:
            value = renamed(value, names, unicode=True)
        elif kind not in (_AV_FLAGS, _AV_TIME):
            value = bytes(length)
        pairs.append((kind, value))
        at += 4 + length
    while sum(4 + len(value) for _, value in pairs) > at:
        spare = [pair for pair in pairs if pair[0] != _AV_TARGET]
        pairs.remove(max(spare or pairs, key=lambda pair: len(pair[1])))
    new = b"".join(struct.pack("<HH", kind, len(value)) + value for kind, value in pairs)
    return new.ljust(len(old), b"\0")
