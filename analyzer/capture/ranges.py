"""A range of an uncompressed pcap file -> PacketTable chunks, as if it were a capture of its own.

Where a range is begun in the middle, its first record is a guess; it counts only if the records before
the range lead exactly there. Then the tables of all ranges are those of one walk over the file.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from io import FileIO
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from analyzer.capture.pcap import FILE_HEADER, MAX_FRAME, PcapWalker, is_pcap
from analyzer.capture.reader import CHUNK, span
from analyzer.capture.table import Cut, PacketTable
from analyzer.errors import CaptureError

_SEARCHED = 2 * MAX_FRAME            # bytes in which a first record is looked for
_LEAST = 64 << 10                    # bytes read behind a range: in most captures a whole record
LARGE = 512 << 20                    # bytes of a file for which it pays to start MOST processes; for fewer, more
FEWEST, MOST = 3, 4                  # processes: one pass alone, which reads ahead, keeps nearly two processors busy
BUFFER = CHUNK + (1 << 20)           # bytes to read into; what is left of a range at last is not read by itself


class Piece(NamedTuple):
    """Some frames of a range. at: where the table's data begin in the file."""

    table: PacketTable
    at: int


class RangeReader:
    """Reads the records that begin in one range of a file, once.

    begin, end: bytes of the file; guessed: whether the first record must be looked for; buffer: memory to read into.
    Frames are numbered from 1. When `pieces` is exhausted, first is where the first record begins, -1 where
    none was found; reached: where the first one behind the range does; packets, snapped, times and cut say
    of the range what CaptureSummary says of a capture.
    """

    def __init__(
        self, file: FileIO, begin: int, end: int, *, guessed: bool, buffer: NDArray[np.uint8] | None = None
    ) -> None:
        self._file = file
        self._buffer = np.empty(BUFFER, np.uint8) if buffer is None else buffer
        self._end = end
        file.seek(0)
        self._walker = PcapWalker(file.read(FILE_HEADER))
        self.link_type = self._walker.link_type
        self.first = self._find(begin) if guessed else begin
        self.reached = self.first
        self.packets = self.snapped = 0
        self.times: list[int] = []
        self.cut: Cut | None = None

    def pieces(self) -> Iterator[Piece]:
        """The frames, a chunk at a time, each valid until the next."""
        if self.first < 0:
            return
        buffer = self._buffer
        file, header, least = self._file, self._walker.header, _LEAST
        while self.reached < self._end:
            file.seek(self.reached)
            # Little more than what belongs to the range, but a whole record; the file ends where a read is short.
            rest = self._end - self.reached + least
            wanted = rest if rest <= len(buffer) else max(CHUNK, least)
            filled = _read(file, buffer.data[:wanted])
            frames = self._walker.walk(buffer[:filled])
            at = frames.start - header
            count = int(np.searchsorted(at, self._end - self.reached))
            if count:
                yield self._piece(PacketTable(
                    self.packets + 1, buffer[:filled], frames.start[:count], frames.captured[:count],
                    frames.original[:count], frames.time_ns[:count], frames.link_type[:count],
                ))
            if count < len(at):
                self.reached += int(at[count])
                return
            self.reached += frames.consumed
            left = filled - frames.consumed
            if frames.broken:
                self.cut = Cut(self.reached, frames.broken)
                return
            if filled < wanted:
                if left:
                    self.cut = Cut(self.reached, f"cut in the middle of a record: {left} of {frames.need} bytes")
                return
            least = max(_LEAST, frames.need)
            if least > len(buffer):
                buffer = np.empty(least + BUFFER, np.uint8)

    def _piece(self, table: PacketTable) -> Piece:
        piece = Piece(table, self.reached)
        self.packets += table.rows
        self.snapped += int(np.count_nonzero(table.captured < table.original))
        self.times = span(self.times, table.time_ns)
        return piece

    def _find(self, begin: int) -> int:
        for size in (_LEAST, _SEARCHED):
            buffer = self._buffer if len(self._buffer) >= size else np.empty(size, np.uint8)
            self._file.seek(begin)
            place = self._walker.find(buffer[: _read(self._file, buffer.data[:size])])
            if place >= 0:
                return begin + place
        return -1


def opened(path: str) -> FileIO:
    """The file, for RangeReader. Raises OSError."""
    return FileIO(path)


class Large(NamedTuple):
    """A file that can be read in ranges."""

    path: str
    size: int


def divisible(path: str, processes: int) -> Large | None:
    """The file, if it can be read in ranges and is large enough for so many processes."""
    try:
        size = os.stat(path).st_size  # noqa: PTH116 - pathlib takes 5 ms to import
        if processes < FEWEST or size < LARGE * MOST // min(processes, MOST):
            return None
        with opened(path) as file:
            head = file.read(FILE_HEADER)
            if not is_pcap(head) or not file.seekable():
                return None
            PcapWalker(head)
            return Large(path, size)
    except (OSError, ValueError, CaptureError):
        return None


def _read(file: FileIO, view: memoryview) -> int:
    filled = 0
    while filled < len(view):
        count = file.readinto(view[filled:])
        if not count:
            break
        filled += count
    return filled
