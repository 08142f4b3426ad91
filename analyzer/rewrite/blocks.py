"""pcapng blocks as bytes: built, and taken apart as far as rewriting needs it. draft-ietf-opsawg-pcapng"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from analyzer.capture.pcap import FILE_HEADER

SECTION, INTERFACE, PACKET, SIMPLE, NAMES, STATISTICS, ENHANCED = 0x0A0D0D0A, 1, 2, 3, 4, 5, 6
_LITTLE = b"\x4d\x3c\x2b\x1a"
PACKETS = frozenset((PACKET, SIMPLE, ENHANCED))

_LITTLE_PCAPS = (b"\xd4\xc3\xb2\xa1", b"\x4d\x3c\xb2\xa1", b"\x34\xcd\xb2\xa1")
_NANOSECOND_PCAPS = (b"\x4d\x3c\xb2\xa1", b"\xa1\xb2\x3c\x4d")
_FCS_KNOWN = 0x0400_0000             # of the link type field: its upper four bits count 16-bit words

COMMENT = 1                          # opt_comment, of any block
_END = 0                             # opt_endofopt
_FLAGS = 2                           # epb_flags, pack_flags: direction and errors of the link layer
_RESOLUTION, _FCS = 9, 13            # if_tsresol, if_fcslen
_MAX_COMMENT = 32_000

# Options that hold numbers only, by block: what an interface is called, filters and runs on is left out.
_HARMLESS = {
    INTERFACE: frozenset((8, _RESOLUTION, 10, _FCS, 14, 16, 17)),
    STATISTICS: frozenset((2, 3, 4, 5, 6, 7, 8)),
}


class Option(NamedTuple):
    """An option, or a record of a name resolution block."""

    code: int
    value: bytes


def block(order: str, kind: int, body: bytes) -> bytes:
    """A block. order: "<" or ">", of its section."""
    body += bytes(-len(body) % 4)
    total = struct.pack(f"{order}I", len(body) + 12)
    return struct.pack(f"{order}I", kind) + total + body + total


def section(order: str = "<", options: bytes = b"") -> bytes:
    """A section header that does not tell the section's length."""
    return block(order, SECTION, struct.pack(f"{order}IHHq", 0x1A2B3C4D, 1, 0, -1) + options)


class RecordFormat(NamedTuple):
    """What the header of a file of records says of all its frames. link_type: None where each frame has its own."""

    link_type: int | None = None
    snap: int = 262_144
    nanoseconds: bool = True
    fcs_bits: int = 0


def record_format(head: bytes) -> RecordFormat:
    """What the first bytes of a capture that is no pcapng say: of a classic pcap everything, of others little."""
    order = "<" if head[:4] in _LITTLE_PCAPS else ">" if head[:2] == b"\xa1\xb2" else ""
    if not order or len(head) < FILE_HEADER:
        return RecordFormat()
    snap, network = struct.unpack_from(f"{order}II", head, 16)
    fcs_bits = (network >> 28) * 16 if network & _FCS_KNOWN else 0
    return RecordFormat(network & 0xFFFF, snap, head[:4] in _NANOSECOND_PCAPS, fcs_bits)


def interface(link_type: int, form: RecordFormat) -> bytes:
    """An interface of a little-endian section."""
    options = [Option(_RESOLUTION, b"\x09")] if form.nanoseconds else []
    if form.fcs_bits:
        options.append(Option(_FCS, bytes((form.fcs_bits,))))
    return block("<", INTERFACE, struct.pack("<HHI", link_type & 0xFFFF, 0, form.snap) + packed("<", options))


class Stamp(NamedTuple):
    """What a packet block says of its packet: interface, ticks of that one's clock, length on the wire."""

    interface: int
    ticks: int
    original: int


def enhanced(order: str, stamp: Stamp, data: bytes | memoryview, options: bytes = b"") -> bytes:
    """A packet of an interface."""
    number, ticks, original = stamp
    head = struct.pack(f"{order}IIIII", number, ticks >> 32, ticks & 0xFFFF_FFFF, len(data), original)
    return block(order, ENHANCED, b"".join((head, data, bytes(-len(data) % 4), options)))


_PLAIN = struct.Struct("<IIIIIII")
_ENDS = [struct.Struct(f"<{padding}xI") for padding in range(4)]


def plain(stamp: Stamp, data: memoryview) -> tuple[bytes, memoryview, bytes]:
    """The same without options, in a little-endian section, in three parts: most packets of a capture are so."""
    number, ticks, original = stamp
    size = len(data)
    total = size + 35 & ~3
    head = _PLAIN.pack(ENHANCED, total, number, ticks >> 32, ticks & 0xFFFF_FFFF, size, original)
    return head, data, _ENDS[-size % 4].pack(total)


class Found(NamedTuple):
    """A block in a chunk: its byte order and type, where it begins and ends."""

    order: str
    kind: int
    at: int
    end: int


def walk(data: memoryview, order: str) -> Iterator[Found]:
    """The blocks of a chunk that a capture reader has found sound. order: of the section it begins in."""
    at = 0
    while at < len(data):
        kind, total = struct.unpack_from(f"{order}II", data, at)
        if kind == SECTION:
            order = "<" if data[at + 8 : at + 12] == _LITTLE else ">"
            total, = struct.unpack_from(f"{order}I", data, at + 4)
        end = at + (total + 3 & ~3)
        yield Found(order, kind, at, end)
        at = end


def options_of(order: str, data: bytes) -> Iterator[Option]:
    """The options in `data`, up to the end mark or the first that is not whole."""
    at = 0
    while at + 4 <= len(data):
        code, length = struct.unpack_from(f"{order}HH", data, at)
        at += 4
        if code == _END or at + length > len(data):
            return
        yield Option(code, data[at : at + length])
        at += length + 3 & ~3


def packed(order: str, options: Iterable[Option]) -> bytes:
    """Options with their end mark; nothing where there are none."""
    parts = [
        struct.pack(f"{order}HH", code, len(value)) + value + bytes(-len(value) % 4) for code, value in options
    ]
    return b"".join([*parts, bytes(4)]) if parts else b""


def comments(texts: Iterable[str]) -> list[Option]:
    """One comment for each text."""
    return [Option(COMMENT, text.encode("utf-8", "replace")[:_MAX_COMMENT]) for text in texts]


def flags_of(order: str, options: bytes) -> list[Option]:
    """What the options of a packet tell of its link layer."""
    return [option for option in options_of(order, options) if option.code == _FLAGS and len(option.value) == 4]


def harmless(order: str, kind: int, options: bytes) -> bytes:
    """The options of an interface or of its statistics that name nobody."""
    return packed(order, (option for option in options_of(order, options) if option.code in _HARMLESS[kind]))
