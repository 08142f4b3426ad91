"""pcapng read one block after the other, as the specification tells it: what the walk in columns is held against."""

from __future__ import annotations

import struct
from typing import Any, NamedTuple

from analyzer.capture.pcap import MAX_FRAME, largest_frame
from analyzer.capture.pcapng import MAX_BLOCK

LEAST = {0x0A0D0D0A: 28, 1: 20, 2: 32, 3: 16, 6: 32}


class Frame(NamedTuple):
    """One packet."""

    data: bytes
    original: int
    time_ns: int
    link_type: int


class Plain(NamedTuple):
    """A whole file. cut: offset and reason, None where it was read to its end."""

    frames: list[Frame]
    names: dict[bytes, str]
    drops: int
    cut: tuple[int, str] | None


class _Reader:
    def __init__(self, data: bytes) -> None:
        self.data = data
        self.order = "<"
        self.section = 0
        self.interfaces: list[tuple[int, int, int, int]] = []
        self.frames: list[Frame] = []
        self.names: dict[bytes, str] = {}
        self.drops: dict[tuple[int, int], int] = {}

    def fields(self, form: str, at: int) -> tuple[Any, ...]:
        return struct.unpack_from(self.order + form, self.data, at)

    def options(self, at: int, end: int) -> list[tuple[int, bytes]]:
        found = []
        while at + 4 <= end:
            code, size = self.fields("HH", at)
            if code == 0 or at + 4 + size > end:
                break
            found.append((code, self.data[at + 4:at + 4 + size]))
            at += 4 + (size + 3) // 4 * 4
        return found

    def block(self, at: int) -> tuple[int, str]:
        """The length of the block there, or 0 and why it has none."""
        data, left = self.data, len(self.data) - at
        if data[at:at + 4] == b"\x0a\x0d\x0d\x0a":
            order = {b"\x4d\x3c\x2b\x1a": "<", b"\x1a\x2b\x3c\x4d": ">"}.get(data[at + 8:at + 12])
            if order is None:
                return 0, "a section header without a byte-order magic"
            self.order = order
        kind, total = self.fields("II", at)
        length = (total + 3) // 4 * 4
        if length < LEAST.get(kind, 12) or length > MAX_BLOCK:
            return 0, f"a block (type {kind:#x}) of {total} bytes"
        if left < length:
            return 0, f"cut in the middle of a record: {left} of {length} bytes"
        trailer, = self.fields("I", at + length - 4)
        if trailer not in (total, length):
            return 0, f"a block whose lengths differ: {total} before, {trailer} after"
        if kind in (2, 3, 6):
            captured = self.packet(kind, at, at + length - 4)
            if captured is not None:
                return 0, f"a packet block of {total} bytes that claims {captured} bytes of frame"
        else:
            self.other(kind, at + 8, at + length - 4)
        return length, ""

    def packet(self, kind: int, at: int, end: int) -> int | None:
        """Take in a frame, or return its length if the block cannot hold it."""
        if kind == 3:
            number, begin = 0, at + 12
            original, = self.fields("I", at + 8)
        else:
            number, begin = self.fields("I" if kind == 6 else "H", at + 8)[0], at + 28
            high, low, captured, original = self.fields("IIII", at + 12)
        link, snap, resolution, offset = (
            self.interfaces[number] if number < len(self.interfaces) else (-1, 0, 6, 0))
        if kind == 3:
            captured = min(original, snap) if snap else original
            time = 0
        else:
            ticks = high << 32 | low
            unit = 2 ** (resolution & 127) if resolution & 128 else 10 ** resolution
            time = ticks * 10**9 // unit + offset * 10**9
            time = (time + 2**63) % 2**64 - 2**63
        if begin + (captured + 3) // 4 * 4 > end or (captured > MAX_FRAME and captured > largest_frame(link)):
            return int(captured)
        self.frames.append(Frame(self.data[begin:begin + captured], original, time, link))
        return None

    def other(self, kind: int, at: int, end: int) -> None:
        if kind == 0x0A0D0D0A:
            self.section += 1
            self.interfaces = []
        elif kind == 1:
            link, _, snap = self.fields("HHI", at)
            resolution, offset = 6, 0
            for code, value in self.options(at + 8, end):
                if code == 9 and value:
                    resolution = value[0]
                elif code == 14 and len(value) >= 8:
                    offset, = struct.unpack_from(self.order + "q", value)
            self.interfaces.append((link, snap, resolution, offset))
        elif kind == 4:
            for code, value in self.options(at, end):
                size = {1: 4, 2: 16}.get(code, 0)
                if size and len(value) > size:
                    name = value[size:].split(b"\0")[0].decode("utf-8", "replace")[:255]
                    if name:
                        self.names.setdefault(value[:size], name)
        elif kind == 5 and end - at >= 12:
            number, = self.fields("I", at)
            lost = 0
            for code, value in self.options(at + 12, end):
                if code in (5, 7) and len(value) >= 8:
                    count, = struct.unpack_from(self.order + "Q", value)
                    lost += count if count < 2**63 else 0
            self.drops[self.section, number] = lost


def walk(data: bytes) -> Plain:
    """Read a whole file."""
    reader = _Reader(data)
    at, cut = 0, None
    while len(data) - at >= 12:
        length, broken = reader.block(at)
        if broken:
            cut = at, broken
            break
        at += length
    else:
        if at < len(data):
            cut = at, f"cut in the middle of a record: {len(data) - at} of 12 bytes"
    return Plain(reader.frames, reader.names, sum(reader.drops.values()), cut)
