"""Source -> PacketTable chunks, and afterwards what is to be said of the capture as a whole."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from analyzer.capture.buffers import LEAST, Buffers
from analyzer.capture.gather import distinct
from analyzer.capture.pcap import FILE_HEADER, PcapWalker, is_pcap, is_pcapng
from analyzer.capture.source import Source
from analyzer.capture.table import Cut, Frames, PacketTable
from analyzer.errors import CaptureError

CHUNK = 16 << 20
"""Bytes read at a time, into memory that is used again; only a larger record makes it larger."""
_FRAMES = 1 << 15
"""Fewer bytes where frames are small: as many as hold so many frames, whose columns stay near the processor."""


class CaptureSummary(NamedTuple):
    """What a whole capture is. Known when its last table has been taken.

    first_ns and last_ns are the earliest and the latest time, None where no frame has one.
    """

    format: str                          # "pcap", "pcapng", "snoop" or "netmon"
    compression: str                     # "gzip", "zstd", "lz4" or ""
    packets: int
    first_ns: int | None
    last_ns: int | None
    cut: Cut | None                      # None: read to its end
    link_types: tuple[int, ...]          # LINKTYPE_ values of its frames, ascending; -1: not declared
    snapped: int                         # frames of which fewer bytes were captured than sent
    drops: int                           # packets the capturing system says it lost
    names: dict[bytes, str]              # address, 4 or 16 bytes -> host name


class Walker(Protocol):
    """Sans-IO reader of one format's records."""

    format: str
    consumes: int                        # bytes of file header, before the first record
    names: dict[bytes, str]              # address, 4 or 16 bytes -> host name

    @property
    def drops(self) -> int:
        """Packets lost while capturing, as far as the records walked say."""

    def walk(self, chunk: NDArray[np.uint8]) -> Frames:
        """The whole records of a chunk that begins at a record."""


class Piece(NamedTuple):
    """What was read at a time: its frames, and all records they stand in: table.data[:consumed]."""

    table: PacketTable
    consumed: int


class CaptureReader:
    """Reads one capture, once. `summary` is set when `tables` or `pieces` is exhausted.

    chunk: bytes read at a time, CHUNK unless given. head: the file's first bytes, at most 4096; known with the first table.
    """

    def __init__(self, source: Source, chunk: int | None = None) -> None:
        self._source = source
        self._chunk = CHUNK if chunk is None else chunk
        self.head = b""
        self.summary: CaptureSummary | None = None

    def tables(self) -> Iterator[PacketTable]:
        """The frames in capture order, a chunk at a time; each table is valid until the next.

        Raises CaptureError as `pieces` does.
        """
        return (piece.table for piece in self.pieces() if piece.table.rows)

    def pieces(self) -> Iterator[Piece]:
        """The whole capture, a chunk at a time, whether it holds frames or not. Valid until the next.

        Raises CaptureError where not a single frame can be read: no capture, none that is known, or one
        that is cut or broken before its first frame. A sound one without frames has a summary.
        """
        buffers = Buffers(self._source, self._chunk)
        try:
            yield from self._pieces(buffers)
        finally:
            buffers.close()

    def _pieces(self, buffers: Buffers) -> Iterator[Piece]:
        walker = self._walker(buffers.data)
        if walker.format in ("pcap", "pcapng"):                # of the others one looks elsewhere in the file
            buffers.read_ahead()
        begin = walker.consumes                       # of what is not walked yet
        packets = snapped = 0
        times: list[int] = []
        links: set[int] = set()
        while True:
            chunk = buffers.data[begin:]
            frames = walker.walk(chunk)
            yield Piece(PacketTable(packets + 1, chunk, *frames[:5]), frames.consumed)
            if len(frames.start):
                packets += len(frames.start)
                buffers.wanted = min(self._chunk, max(frames.consumed // len(frames.start) * _FRAMES, LEAST))
                snapped += int(np.count_nonzero(frames.captured < frames.original))
                times = span(times, frames.time_ns)
                links.update(distinct(frames.link_type).tolist())
            begin += frames.consumed
            left = len(buffers.data) - begin
            if frames.broken or buffers.ended:
                break
            buffers.next(left, frames.need)
            begin = 0
        cut = self._cut(buffers.at + begin, left, frames)
        if cut is not None and not packets:
            raise CaptureError(cut.reason, cut.offset)
        self.summary = CaptureSummary(
            walker.format, self._source.compression, packets,
            times[0] if times else None, times[1] if times else None,
            cut, tuple(sorted(links)), snapped,
            walker.drops, walker.names,
        )

    def _walker(self, data: NDArray[np.uint8]) -> Walker:
        source = self._source
        head = self.head = data[:4096].tobytes()
        if is_pcap(head):
            return PcapWalker(head[:FILE_HEADER])
        if is_pcapng(head):
            from analyzer.capture.pcapng import PcapngWalker

            return PcapngWalker()
        if head[:8] == b"snoop\0\0\0":
            from analyzer.capture.snoop import SnoopWalker

            return SnoopWalker(head)
        if head[:4] in (b"RTSS", b"GMBU"):
            from analyzer.capture.netmon import NetmonWalker

            return NetmonWalker(head, source)
        if source.cut is not None and len(data) < 24:
            raise CaptureError(source.cut.reason, len(data))
        if not len(data):
            raise CaptureError("empty file (0 bytes)")
        if source.name.lower().endswith(".etl") or _is_event_trace(head):
            raise CaptureError("a Windows event trace (.etl): convert it with etl2pcapng, then read the result")
        raise CaptureError(f"not a capture: it begins with {head[:8].hex(' ')}")

    def _cut(self, offset: int, left: int, frames: Frames) -> Cut | None:
        cut = self._source.cut
        if frames.broken:
            return Cut(offset, frames.broken)
        if cut is not None:
            return Cut(offset, cut.reason, cut.option)
        if left:
            return Cut(offset, f"cut in the middle of a record: {left} of {frames.need} bytes")
        return None


def _is_event_trace(head: bytes) -> bool:
    """A buffer header of 0x48 bytes, its size first, then the trace header's type and marker."""
    size = int.from_bytes(head[:4], "little")
    return size >= 4096 and size % 1024 == 0 and size <= 16 << 20 and head[0x4A:0x4C] in (b"\1\xC0", b"\2\xC0")


def span(times: list[int], column: NDArray[np.int64]) -> list[int]:
    """Earliest and latest time so far, from those before and a column. A simple packet block has no time, which is written as zero."""
    earliest = int(column.min())
    if earliest == 0:
        column = column[column != 0]
        if not len(column):
            return times
        earliest = int(column.min())
    latest = int(column.max())
    return [min(times[0], earliest), max(times[1], latest)] if times else [earliest, latest]
