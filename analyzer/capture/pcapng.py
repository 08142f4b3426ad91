"""pcapng blocks -> where each frame lies, host names, dropped packets. draft-ietf-opsawg-pcapng

All blocks of a chunk at once, in columns: a file may as well have a section for each packet.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from analyzer.capture.gather import gather, hits
from analyzer.capture.pcap import MAX_FRAME, MAX_LARGE_FRAME, largest_frame
from analyzer.capture.pcapng_chain import MAGIC, SECTION_HEADER, blocks, heads
from analyzer.capture.pcapng_interfaces import Interfaces, interfaces, nanoseconds, undeclared
from analyzer.capture.pcapng_remarks import Remarks
from analyzer.capture.table import Frames

_INTERFACE, _PACKET, _SIMPLE, _NAMES, _STATISTICS, _ENHANCED = 1, 2, 3, 4, 5, 6
_LEAST = ((SECTION_HEADER, 28), (_INTERFACE, 20), (_ENHANCED, 32), (_PACKET, 32), (_SIMPLE, 16))  # bytes of a whole block

MAX_BLOCK = 32 + MAX_LARGE_FRAME + (128 << 10)
"""The largest block that is waited for: a D-Bus frame with 128 KiB of options, as in Wireshark."""
MAX_INTERFACES = 65_536                  # of one section: a 16-bit identifier in the old packet block

_WORD = np.dtype([("value", "<u4")])


class _Rows(NamedTuple):
    """Blocks in order, one row each."""

    at: NDArray[np.int64]
    end: NDArray[np.int64]
    kind: NDArray[np.uint32]
    total: NDArray[np.int64]
    big: NDArray[np.bool_]               # the byte order
    head: NDArray[Any]                   # HEAD, as it is written

    def take(self, which: NDArray[np.int64]) -> _Rows:
        """Some of them."""
        return _Rows._make(column.take(which) for column in self)

    def upto(self, count: int) -> _Rows:
        """The first ones."""
        return _Rows._make(column[:count] for column in self)

    def native(self, field: str) -> NDArray[np.uint32]:
        """A field of the heads as a number."""
        return _native(self.head[field], self.big)


class _Stop(NamedTuple):
    """Where a walk ends, and why: need and broken as in Frames."""

    at: int
    need: int
    broken: str


class _Described(NamedTuple):
    """What the rows say of interfaces.

    known: those of the section that the chunk begins in, then those of the following ones, at last one
    that nothing describes. Of each row: base, where the interfaces of its section begin in known, and
    declared, how many of them are described before it.
    """

    known: Interfaces
    base: NDArray[np.int64]
    declared: NDArray[np.int64]


class PcapngWalker:
    """Walks the blocks of one file, whatever its sections, byte orders and interfaces.

    names: address (4 or 16 bytes) -> host name, from name resolution blocks.
    drops: packets that the capturing system says it lost, by the last statistics of each interface.
    """

    format = "pcapng"
    consumes = 0                         # bytes of the file before the first block

    def __init__(self) -> None:
        self._remarks = Remarks()
        self.names = self._remarks.names
        self._section = 0
        self._big = False                        # the byte order that the next block is in
        self._turns = False                      # whether that has changed before
        self._interfaces = undeclared(0)         # those of the section that the next block is in

    @property
    def drops(self) -> int:
        """Packets lost while capturing, 0 where the file does not say."""
        return sum(self._remarks.drops.values())

    def walk(self, chunk: NDArray[np.uint8]) -> Frames:
        """The whole blocks of a chunk that begins at a block."""
        rows, stop = _sound(chunk, big=self._big, turns=self._turns)
        packets: NDArray[np.int64] | None = None         # None: nothing else, as in nearly every chunk
        if (rows.kind == _ENHANCED).all():
            described = self._carried(len(rows.at))
            frames, end = _frames(rows, described), rows.end
        else:
            described = self._described(chunk, rows)
            packets = hits((rows.kind == _ENHANCED) | (rows.kind == _PACKET) | (rows.kind == _SIMPLE))
            frames, end = _frames(rows.take(packets), described._replace(
                base=described.base[packets], declared=described.declared[packets])), rows.end[packets]
        wrong = frames.start + (frames.captured + 3 & ~3) + 4 > end
        large = frames.captured > MAX_FRAME
        if large.any():
            wrong |= large & (frames.captured > np.array([largest_frame(kind) for kind in frames.link_type.tolist()]))
        if wrong.any():
            count = int(np.argmax(wrong))
            row = count if packets is None else int(packets[count])
            stop = _Stop(int(rows.at[row]), 12, (
                f"a packet block of {rows.total[row]} bytes that claims {frames.captured[count]} bytes of frame"))
            rows = rows.upto(row)
            frames = Frames(
                frames.start[:count], frames.captured[:count], frames.original[:count], frames.time_ns[:count],
                frames.link_type[:count], 0, 0)
        if len(rows.at):
            self._turns = self._turns or bool((rows.big != rows.big[0]).any()) or bool(rows.big[0]) != self._big
            self._big = bool(rows.big[-1])
            if packets is not None:
                self._take(chunk, rows, described)
        return frames._replace(consumed=stop.at, need=stop.need, broken=stop.broken)

    def _carried(self, count: int) -> _Described:
        """What is said of the interfaces of so many rows before they come."""
        known = self._interfaces
        base, declared = np.broadcast_to(np.int64(0), count), np.broadcast_to(np.int64(known.size), count)
        return _Described(known.and_then(undeclared(1)), base, declared)

    def _described(self, chunk: NDArray[np.uint8], rows: _Rows) -> _Described:
        before = self._carried(len(rows.at))
        known, base, declared = self._interfaces, before.base, before.declared
        carried = known.size
        sections, new = rows.kind == SECTION_HEADER, rows.kind == _INTERFACE
        if sections.any() or new.any():
            which = rows.take(hits(new))
            known = known.and_then(interfaces(chunk, which.at + 8, which.end - 4, which.big))
            so_far = carried + np.cumsum(new)            # interfaces described up to here, of all sections
            begins = np.concatenate([np.zeros(1, np.int64), so_far[sections]])
            base = begins[np.cumsum(sections)]
            declared = np.minimum(so_far - base, MAX_INTERFACES)
        return _Described(known.and_then(undeclared(1)), base, declared)

    def _take(self, chunk: NDArray[np.uint8], rows: _Rows, described: _Described) -> None:
        """Go on after these rows: what they say of later ones, and of the capture."""
        last = len(rows.at) - 1
        base = int(described.base[last])
        self._interfaces = described.known.rows(slice(base, base + int(described.declared[last])))
        names = rows.kind == _NAMES
        if names.any():
            which = rows.take(hits(names))
            self._remarks.take_names(chunk, which.at, which.end, which.big)
        statistics = (rows.kind == _STATISTICS) & (rows.total >= 24)
        if statistics.any():
            section = self._section + np.cumsum(rows.kind == SECTION_HEADER)
            which = rows.take(hits(statistics))
            self._remarks.take_statistics(
                chunk, which.at, which.end, which.big, (section[statistics], which.native("third").astype(np.int64)))
        self._section += int(np.count_nonzero(rows.kind == SECTION_HEADER))


def _sound(chunk: NDArray[np.uint8], *, big: bool, turns: bool) -> tuple[_Rows, _Stop]:
    """The blocks of a chunk up to the first that is not whole or whose lengths are wrong."""
    at, order, known = blocks(chunk, big=big, turns=turns)
    head = heads(chunk, at) if known is None else known
    kind = _native(head["type"], order)
    total = _native(head["total"], order).astype(np.int64)
    # A total length that is no multiple of four: read as if it were rounded up.
    length = total + 3 & ~3
    rows = _Rows(at, at + length, kind, total, order, head)
    common = int(kind[0]) if len(kind) else 0
    sections = kind == SECTION_HEADER
    if (kind == common).all():
        least: NDArray[np.int64] | int = dict(_LEAST).get(common, 12)
    else:
        least = np.full(len(at), 12, np.int64)
        for one, size in _LEAST:
            least[kind == one] = size
    impossible = (length < least) | (length > MAX_BLOCK)
    whole = rows.end <= len(chunk)
    # Each block ends where the next begins, and what is written there was fetched with that one.
    last = gather(chunk, np.maximum(rows.end[-1:] - 4, 0), _WORD)["value"]
    trailer = _native(np.concatenate([head["before"][1:], last]), order)
    differ = (trailer != total) & (trailer != length)
    bad = impossible | ~whole | differ
    if sections.any():
        bad |= sections & (rows.native("third") != MAGIC)
    if not bad.any():
        return rows, _Stop(int(rows.end[-1]) if len(at) else 0, 12, "")
    count = int(np.argmax(bad))
    need = 12
    if sections[count] and int(rows.native("third")[count]) != MAGIC:
        broken = "a section header without a byte-order magic"
    elif impossible[count]:
        broken = f"a block (type {kind[count]:#x}) of {total[count]} bytes"
    elif whole[count]:
        broken = f"a block whose lengths differ: {total[count]} before, {trailer[count]} after"
    else:
        broken = ""
        need = int(length[count])
    return rows.upto(count), _Stop(int(at[count]), need, broken)


def _frames(rows: _Rows, described: _Described) -> Frames:
    """The frames of packet blocks, whatever the length they claim; consumed and need are not known."""
    number = rows.native("third").astype(np.int64)
    captured, original = rows.native("captured").astype(np.int64), rows.native("original").astype(np.int64)
    ticks = rows.native("high").astype(np.uint64) << np.uint64(32) | rows.native("low").astype(np.uint64)
    start = rows.at + 28
    simple = rows.kind == _SIMPLE
    older = rows.kind == _PACKET
    if older.any():                      # two fields of two bytes: the interface, and packets lost
        number = np.where(older, np.where(rows.big, number >> 16, number & 0xFFFF), number)
    some = bool(simple.any())
    if some:
        number[simple] = 0
        start[simple] -= 16
        original[simple] = rows.native("third")[simple]
    undescribed = described.known.size - 1
    index = np.where(number < described.declared, described.base + number, undescribed)
    known = described.known
    time = nanoseconds(ticks, known, index)
    if some:
        snap = known.snap[index[simple]]
        captured[simple] = np.where(snap > 0, np.minimum(original[simple], snap), original[simple])
        time[simple] = 0
    return Frames(start, captured, original, time, known.link_type[index], 0, 0)


def _native(column: NDArray[Any], big: NDArray[np.bool_]) -> NDArray[Any]:
    """A little-endian column as numbers, with the rows that are big-endian."""
    if not len(big):
        return column
    if bool(big[0]) and big.all():
        return column.byteswap()
    return np.where(big, column.byteswap(), column) if big.any() else column
