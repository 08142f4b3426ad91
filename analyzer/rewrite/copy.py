"""A capture -> the same packets as pcapng, with comments, and under pseudonyms where a mask is given.

Without a mask everything that was in a pcapng stays, byte for byte; only the packets that get a
comment are written anew, and section headers no longer tell a length. With a mask the blocks and
options go that are not understood, and comments.
"""

from __future__ import annotations

import struct
from typing import BinaryIO, Protocol

import numpy as np
from numpy.typing import NDArray

from analyzer.capture.reader import CaptureReader, CaptureSummary
from analyzer.capture.table import PacketTable
from analyzer.rewrite import blocks
from analyzer.rewrite.notes import FrameNotes
from analyzer.rewrite.pseudonym import Pseudonyms


class Mask(Protocol):
    """What makes the frames of a chunk nobody's."""

    names: Pseudonyms

    def masked(self, table: PacketTable) -> NDArray[np.uint8]:
        """As many bytes as table.data, with other bytes where its frames are."""


def copy_capture(reader: CaptureReader, out: BinaryIO, notes: FrameNotes, mask: Mask | None = None) -> CaptureSummary:
    """Write a capture as pcapng. Raises CaptureError where nothing can be read, OSError of `out`."""
    writer: _Sections | _Records | None = None
    for piece in reader.pieces():
        if writer is None:
            # A section header stands at the start of a pcapng and nowhere else.
            kind = _Sections if reader.head[:4] == b"\x0a\x0d\x0d\x0a" else _Records
            writer = kind(reader.head, out, notes, mask)
        new = piece.table.data if mask is None else mask.masked(piece.table)
        writer.write(piece.table, new, piece.consumed)
    assert reader.summary is not None
    return reader.summary


class _Sections:
    """pcapng: block by block."""

    def __init__(self, head: bytes, out: BinaryIO, notes: FrameNotes, mask: Mask | None) -> None:
        self._order = "<" if head[8:12] == b"\x4d\x3c\x2b\x1a" else ">"
        self._out = out
        self._notes = notes
        self._mask = mask

    def write(self, table: PacketTable, new: NDArray[np.uint8], consumed: int) -> None:
        """The blocks of a chunk."""
        data = table.data.data[:consumed]
        frame = table.first_frame
        noted = self._notes.among(frame, table.rows)
        row = copied = 0
        for order, kind, at, end in blocks.walk(data, self._order):
            self._order = order
            changed: bytes | None = None
            if kind in blocks.PACKETS:
                texts = self._notes.of(frame + row) if frame + row in noted else []
                if texts or self._mask is not None:
                    begin = int(table.start[row])
                    changed = self._packet(data[at:end], new[begin : begin + int(table.captured[row])], kind, texts)
                row += 1
            elif kind == blocks.SECTION:
                options = b"" if self._mask is not None else bytes(data[at + 24 : end - 4])
                changed = blocks.section(self._order, options)
            elif self._mask is not None:
                changed = self._other(kind, bytes(data[at + 8 : end - 4]), self._mask.names)
            if changed is not None:
                self._out.write(data[copied:at])
                self._out.write(changed)
                copied = end
        self._out.write(data[copied:])

    def _packet(self, old: memoryview, frame: NDArray[np.uint8], kind: int, texts: list[str]) -> bytes:
        """A packet block with comments behind its options."""
        order = self._order
        options: list[blocks.Option] = []
        if kind == blocks.SIMPLE:
            # It has no options, so it becomes a block that has; its time stays unknown, which is zero.
            number, ticks = 0, 0
            original, = struct.unpack_from(f"{order}I", old, 8)
        else:
            number, high, low, _, original = struct.unpack_from(f"{order}IIIII", old, 8)
            ticks = high << 32 | low
            if kind == blocks.PACKET:
                number, = struct.unpack_from(f"{order}H", old, 8)
            rest = bytes(old[28 + (len(frame) + 3 & ~3) : len(old) - 4])
            if self._mask is not None:
                options = blocks.flags_of(order, rest)
            else:
                options = list(blocks.options_of(order, rest))
                head = bytes(old[8:28])
                tail = blocks.packed(order, [*options, *blocks.comments(texts)])
                return blocks.block(order, kind, head + frame.tobytes() + bytes(-len(frame) % 4) + tail)
        packed = blocks.packed(order, [*options, *blocks.comments(texts)])
        return blocks.enhanced(order, blocks.Stamp(number, ticks, original), frame.tobytes(), packed)

    def _other(self, kind: int, body: bytes, names: Pseudonyms) -> bytes:
        """A block that is no packet, under pseudonyms; nothing for one that is not understood."""
        order = self._order
        if kind == blocks.INTERFACE:
            return blocks.block(order, kind, body[:8] + blocks.harmless(order, kind, body[8:]))
        if kind == blocks.STATISTICS and len(body) >= 12:
            return blocks.block(order, kind, body[:12] + blocks.harmless(order, kind, body[12:]))
        if kind == blocks.NAMES:
            records = [_renamed(*record, names) for record in blocks.options_of(order, body)]
            kept = blocks.packed(order, [record for record in records if record is not None])
            return blocks.block(order, kind, kept or bytes(4))
        return b""


def _renamed(code: int, value: bytes, names: Pseudonyms) -> blocks.Option | None:
    """A record of a name resolution block: an address and its names, each ended by NUL."""
    size = {1: 4, 2: 16, 3: 6}.get(code, 0)
    if not size or len(value) <= size:
        return None
    address = names.hardware(value[:size]) if code == 3 else names.address(value[:size])
    texts = [text.decode("utf-8", "replace") for text in value[size:].split(b"\0") if text]
    return blocks.Option(code, address + b"".join(names.name(text).encode() + b"\0" for text in texts))


class _Records:
    """Any other format: one section, an interface for each link type."""

    def __init__(self, head: bytes, out: BinaryIO, notes: FrameNotes, _mask: Mask | None) -> None:
        self._out = out
        self._notes = notes
        self._links: dict[int, int] = {}
        self._format = blocks.record_format(head)
        out.write(blocks.section())
        if self._format.link_type is not None:
            self._interface(self._format.link_type)

    def _interface(self, link_type: int) -> int:
        number = self._links.get(link_type)
        if number is None:
            number = self._links[link_type] = len(self._links)
            self._out.write(blocks.interface(link_type, self._format))
        return number

    def write(self, table: PacketTable, new: NDArray[np.uint8], _consumed: int) -> None:
        """The frames of a chunk."""
        view = new.data
        tick = 1 if self._format.nanoseconds else 1000
        noted = self._notes.among(table.first_frame, table.rows)
        for link_type in dict.fromkeys(table.link_type.tolist()):
            self._interface(link_type)
        columns = zip(
            table.start.tolist(), table.captured.tolist(), table.original.tolist(),
            (np.maximum(table.time_ns, 0) // tick).tolist(), table.link_type.tolist(), strict=True,
        )
        parts: list[bytes | memoryview] = []
        for frame, (start, captured, original, ticks, link_type) in enumerate(columns, table.first_frame):
            stamp = blocks.Stamp(self._links[link_type], ticks, original & 0xFFFF_FFFF)
            data = view[start : start + captured]
            if frame in noted:
                options = blocks.packed("<", blocks.comments(self._notes.of(frame)))
                parts.append(blocks.enhanced("<", stamp, data, options))
            else:
                parts += blocks.plain(stamp, data)
        self._out.write(b"".join(parts))
