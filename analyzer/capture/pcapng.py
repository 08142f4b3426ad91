"""pcapng blocks -> where each frame lies, host names, dropped packets. draft-ietf-opsawg-pcapng"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from analyzer.capture.gather import gather
from analyzer.capture.pcap import MAX_FRAME, MAX_LARGE_FRAME, largest_frame
from analyzer.capture.table import Frames

SECTION_HEADER = 0x0A0D0D0A
_MAGIC = {b"\x4d\x3c\x2b\x1a": "<", b"\x1a\x2b\x3c\x4d": ">"}

_INTERFACE, _PACKET, _SIMPLE, _NAMES, _STATISTICS, _ENHANCED = 1, 2, 3, 4, 5, 6
_PACKETS = (_ENHANCED, _PACKET, _SIMPLE)
_DESCRIBING = (SECTION_HEADER, _INTERFACE, _NAMES, _STATISTICS)
_LEAST = {SECTION_HEADER: 28, _INTERFACE: 20, _ENHANCED: 32, _PACKET: 32, _SIMPLE: 16}    # bytes of a whole block

MAX_BLOCK = 32 + MAX_LARGE_FRAME + (128 << 10)
"""The largest block that is waited for: a D-Bus frame with 128 KiB of options, as in Wireshark."""
MAX_NAMES = 100_000                      # host names kept; a hostile file could repeat them for ever
MAX_NAME = 255                           # characters of one. RFC 1035 2.3.4
MAX_INTERFACES = 65_536                  # of one section: a 16-bit identifier in the old packet block


class _Interface(NamedTuple):
    """What the frames of one interface share."""

    link_type: int
    snap: int                # 0: no limit
    resolution: int          # if_tsresol as written: 10**-n, with the high bit 2**-n
    offset: int              # seconds


_UNDECLARED = _Interface(-1, 0, 6, 0)


class _Layout(NamedTuple):
    """One byte order's ways to read blocks."""

    order: str
    head: struct.Struct
    enhanced: np.dtype[Any]
    packet: np.dtype[Any]
    simple: np.dtype[Any]
    word: np.dtype[Any]


def _layout(order: str) -> _Layout:
    word = f"{order}u4"
    common = [("type", word), ("total", word)]
    rest = [("high", word), ("low", word), ("captured", word), ("original", word)]
    return _Layout(
        order,
        struct.Struct(f"{order}II"),
        np.dtype([*common, ("interface", word), *rest]),
        np.dtype([*common, ("interface", f"{order}u2"), ("drops", f"{order}u2"), *rest]),
        np.dtype([*common, ("original", word)]),
        np.dtype([("total", word)]),
    )


def is_pcapng(head: bytes) -> bool:
    """Whether these first bytes are a section header's."""
    return head[:4] == b"\x0a\x0d\x0d\x0a" and head[8:12] in _MAGIC


class PcapngWalker:
    """Walks the blocks of one file, whatever its sections, byte orders and interfaces.

    names: address (4 or 16 bytes) -> host name, from name resolution blocks.
    drops: packets that the capturing system says it lost, by the last statistics of each interface.
    """

    format = "pcapng"
    consumes = 0                         # bytes of the file before the first block

    def __init__(self) -> None:
        self.names: dict[bytes, str] = {}
        self._drops: dict[tuple[int, int], int] = {}
        self._section = 0
        self._layout = _layout("<")
        self._interfaces: list[_Interface] = []

    @property
    def drops(self) -> int:
        """Packets lost while capturing, 0 where the file does not say."""
        return sum(self._drops.values())

    def walk(self, chunk: NDArray[np.uint8]) -> Frames:
        """The whole blocks of a chunk that begins at a block."""
        data = chunk.data
        size = len(data)
        parts: list[Frames] = []
        at = 0
        broken = ""
        need = 12
        while size - at >= 12:
            kind, total = self._layout.head.unpack_from(data, at)
            if kind == SECTION_HEADER:
                order = _MAGIC.get(bytes(data[at + 8:at + 12]))
                if order is None:
                    broken = "a section header without a byte-order magic"
                    break
                if order != self._layout.order:
                    self._layout = _layout(order)
                _, total = self._layout.head.unpack_from(data, at)
            elif kind not in _DESCRIBING:
                places, end = self._run(data, at)
                if places:
                    parts.append(self._frames_of(chunk, places, end))
                    end, broken = parts[-1].consumed, parts[-1].broken
                walked, at = end > at, end
                if broken:
                    break
                if walked:
                    continue
            length = total + 3 & ~3
            least = _LEAST.get(kind, 12)
            if not least <= length <= MAX_BLOCK:
                broken = f"a block (type {kind:#x}) of {total} bytes"
                break
            need = length
            if size - at < length:
                break
            if kind in _PACKETS:
                # A total length that is no multiple of four: read as if it were rounded up.
                part = self._frames(chunk, [at], at + length, kind)
                parts.append(part)
                at = part.consumed
                broken = part.broken
                if broken:
                    break
            else:
                trailer, = struct.unpack_from(f"{self._layout.order}I", data, at + length - 4)
                if trailer not in (total, length):
                    broken = f"a block whose lengths differ: {total} before, {trailer} after"
                    break
                self._other(kind, bytes(data[at + 8:at + length - 4]))
                at += length
            need = 12
        return _joined(parts, at, need, broken)

    def _run(self, data: memoryview, at: int) -> tuple[list[int], int]:
        """Where packet blocks begin that follow each other and are whole, and their end.

        Blocks that are neither packets nor describe them are passed over, so that a file in which
        they take turns is walked as fast as another.
        """
        places: list[int] = []
        append = places.append
        layout = self._layout
        head, word = layout.head.unpack_from, struct.Struct(f"{layout.order}I").unpack_from
        size = len(data)
        kind, least = -1, 0
        try:
            while True:
                found, total = head(data, at)
                if found != kind or total < least or total & 3:
                    if found in _DESCRIBING or total < _LEAST.get(found, 12) or total & 3:
                        break
                    if found not in _PACKETS:
                        if word(data, at + total - 4)[0] != total:
                            break
                        at += total
                        continue
                    kind, least = found, _LEAST[found]
                append(at)
                at += total
        except struct.error:
            pass
        if at > size:
            at = places.pop()
        return places, at

    def _frames_of(self, chunk: NDArray[np.uint8], places: list[int], end: int) -> Frames:
        """Frames of packet blocks of any kinds, in order, up to the first that is broken."""
        at = np.fromiter(places, np.int64, len(places))
        kinds = gather(chunk, at, self._layout.word)["total"]
        first = int(kinds[0])
        if (kinds == first).all():
            return self._frames(chunk, places, end, first)
        parts = [
            self._frames(chunk, at[kinds == kind].tolist(), end, kind) for kind in _PACKETS if (kinds == kind).any()
        ]
        ended = min(parts, key=lambda part: part.consumed)
        whole = _joined(parts, ended.consumed, ended.need, ended.broken)
        order = np.argsort(whole.start)
        order = order[whole.start[order] < ended.consumed]
        return whole._replace(
            start=whole.start[order], captured=whole.captured[order], original=whole.original[order],
            time_ns=whole.time_ns[order], link_type=whole.link_type[order],
        )

    def _frames(self, chunk: NDArray[np.uint8], places: list[int], end: int, kind: int) -> Frames:
        """Frames of blocks of one kind, up to the first that is broken."""
        layout = self._layout
        at = np.fromiter(places, np.int64, len(places))
        record = {_ENHANCED: layout.enhanced, _PACKET: layout.packet, _SIMPLE: layout.simple}[kind]
        fields = gather(chunk, at, record)
        total = fields["total"].astype(np.int64)
        length = total + 3 & ~3
        head = 12 if kind == _SIMPLE else 28
        original = fields["original"].astype(np.int64)
        if kind == _SIMPLE:
            first = self._interfaces[0] if self._interfaces else _UNDECLARED
            captured = np.minimum(original, first.snap) if first.snap else original
            link_type = np.full(len(at), first.link_type, np.int32)
            time = np.zeros(len(at), np.int64)
        else:
            captured = fields["captured"].astype(np.int64)
            ticks = fields["high"].astype(np.uint64) << np.uint64(32) | fields["low"].astype(np.uint64)
            link_type, time = self._by_interface(fields["interface"], ticks)
        trailer = gather(chunk, at + length - 4, layout.word)["total"]
        wrong = ((captured + 3 & ~3) + head + 4 > length) | ((trailer != total) & (trailer != length))
        large = captured > MAX_FRAME
        if large.any():
            wrong |= large & (captured > np.array([largest_frame(int(kind)) for kind in link_type]))
        broken = ""
        if wrong.any():
            count = int(np.argmax(wrong))
            broken = (
                f"a packet block of {total[count]} bytes that claims {captured[count]} bytes of frame"
                if trailer[count] in (total[count], length[count])
                else f"a block whose lengths differ: {total[count]} before, {trailer[count]} after"
            )
            end = places[count]
            at, captured, original = at[:count], captured[:count], original[:count]
            time, link_type = time[:count], link_type[:count]
        return Frames(at + head, captured, original, time, link_type, end, 12, broken)

    def _by_interface(
        self, index: NDArray[np.unsignedinteger[Any]], ticks: NDArray[np.uint64]
    ) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
        """Link type and time of frames, each by its own interface's description."""
        known = self._interfaces
        first = int(index[0])
        if (index == first).all():
            interface = known[first] if first < len(known) else _UNDECLARED
            return np.full(len(index), interface.link_type, np.int32), _nanoseconds(ticks, interface)
        link_type = np.full(len(index), -1, np.int32)
        time = np.zeros(len(index), np.int64)
        # Interfaces beyond the declared ones share one description.
        place = np.minimum(index, len(known)).astype(np.int64)
        order = np.argsort(place, kind="stable")
        begins = np.flatnonzero(np.diff(place[order], prepend=-1)).tolist()
        for begin, end in zip(begins, [*begins[1:], len(order)], strict=True):
            mine = order[begin:end]
            number = int(place[mine[0]])
            interface = known[number] if number < len(known) else _UNDECLARED
            link_type[mine] = interface.link_type
            time[mine] = _nanoseconds(ticks[mine], interface)
        return link_type, time

    def _other(self, kind: int, body: bytes) -> None:
        """Take in a block that is no packet. Unknown ones are passed over."""
        order = self._layout.order
        if kind == SECTION_HEADER:
            self._section += 1
            self._interfaces = []
        elif kind == _INTERFACE and len(self._interfaces) < MAX_INTERFACES:
            link_type, _, snap = struct.unpack_from(f"{order}HHI", body)
            resolution, offset = 6, 0
            for code, value in _options(body[8:], order):
                if code == 9 and len(value) >= 1:
                    resolution = value[0]
                elif code == 14 and len(value) >= 8:
                    offset, = struct.unpack_from(f"{order}q", value)
            self._interfaces.append(_Interface(link_type, snap, resolution, offset))
        elif kind == _NAMES:
            self._take_names(body)
        elif kind == _STATISTICS and len(body) >= 12:
            interface, = struct.unpack_from(f"{order}I", body)
            lost = 0
            for code, value in _options(body[12:], order):
                if code in (5, 7) and len(value) >= 8:      # isb_ifdrop, isb_osdrop
                    count, = struct.unpack_from(f"{order}Q", value)
                    lost += count if count < 1 << 63 else 0  # all ones: not known
            if len(self._drops) < MAX_INTERFACES:
                self._drops[self._section, interface] = lost

    def _take_names(self, body: bytes) -> None:
        for code, value in _options(body, self._layout.order):
            size = {1: 4, 2: 16}.get(code, 0)
            if size and len(value) > size and len(self.names) < MAX_NAMES:
                name = value[size:].split(b"\0", 1)[0].decode("utf-8", "replace")[:MAX_NAME]
                if name:
                    self.names.setdefault(value[:size], name)


def _options(data: bytes, order: str) -> Iterator[tuple[int, bytes]]:
    """Code and value of each option, or record of a name resolution block, up to the end mark."""
    at = 0
    while at + 4 <= len(data):
        code, length = struct.unpack_from(f"{order}HH", data, at)
        at += 4
        if code == 0 or at + length > len(data):
            return
        yield code, data[at:at + length]
        at += length + 3 & ~3


def _nanoseconds(ticks: NDArray[np.uint64], interface: _Interface) -> NDArray[np.int64]:
    """Ticks of an interface's clock as nanoseconds since 1970, rounded down."""
    exponent = interface.resolution & 0x7F
    if interface.resolution & 0x80:
        seconds = ticks >> np.uint64(exponent) if exponent < 64 else np.zeros_like(ticks)
        fraction = ticks - (seconds << np.uint64(exponent)) if exponent < 64 else ticks
        # 34 bits of fraction are finer than a nanosecond, and times 10**9 still fit 64 bits.
        if exponent > 34:
            fraction = fraction >> np.uint64(min(exponent - 34, 63))
        fraction = fraction * np.uint64(1_000_000_000) >> np.uint64(min(exponent, 34))
        time = seconds * np.uint64(1_000_000_000) + fraction
    elif exponent <= 9:
        time = ticks * np.uint64(10 ** (9 - exponent))
    elif exponent <= 28:
        time = ticks // np.uint64(10 ** (exponent - 9))
    else:
        time = np.zeros_like(ticks)
    # Written to be wrong, an offset may be anything: it wraps like the sum it is added to.
    shift = (interface.offset * 1_000_000_000 + (1 << 63)) % (1 << 64) - (1 << 63)
    return time.astype(np.int64) + np.int64(shift)


def _joined(parts: list[Frames], consumed: int, need: int, broken: str) -> Frames:
    if len(parts) == 1:
        return parts[0]._replace(consumed=consumed, need=need, broken=broken)
    if not parts:
        none = np.zeros(0, np.int64)
        return Frames(none, none, none, none, np.zeros(0, np.int32), consumed, need, broken)
    return Frames(
        np.concatenate([part.start for part in parts]),
        np.concatenate([part.captured for part in parts]),
        np.concatenate([part.original for part in parts]),
        np.concatenate([part.time_ns for part in parts]),
        np.concatenate([part.link_type for part in parts]),
        consumed, need, broken,
    )
