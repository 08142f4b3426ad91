"""Several captures that are one, cut in files -> PacketTables in the order of time, as mergecap has it.

mergecap takes, again and again, the file whose next frame is the earliest; of equal times it takes the
file that was given last. So a frame never comes before the frames in front of it in its own file, and
its place is decided by the latest time so far in that file: that is the key the rows are merged by.
"""

from __future__ import annotations

import os
import stat
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from analyzer.capture.reader import CHUNK, CaptureReader, CaptureSummary
from analyzer.capture.source import Limits, Source, open_source
from analyzer.capture.table import Cut, PacketTable
from analyzer.errors import CaptureError

TOGETHER = 32 << 20
"""Shared out as chunks among files whose times overlap: the n-th that is open gets the n-th part."""
LEAST_CHUNK = 256 << 10
_PEEK = 64 << 10
_EARLIEST = -(1 << 63)


class Place(NamedTuple):
    """A frame by the file it stands in."""

    file: str
    frame: int


class Part(NamedTuple):
    """One file of a joined capture. error: why not a single packet of it can be read."""

    file: str
    packets: int
    cut: Cut | None
    error: str | None


class JoinedReader:
    """Reads captures as one. `summary` and `parts` are set when `tables` is exhausted.

    names: paths in the order given, "-" for standard input. A file that cannot be read is left out,
    and stands in `parts` with its error.
    """

    def __init__(self, names: Sequence[str], limits: Limits) -> None:
        self.summary: CaptureSummary | None = None
        self.parts: tuple[Part, ...] = ()
        self._lanes = [_Lane(number, name, limits) for number, name in enumerate(names)]
        self._spans: list[_Span] = []
        self._frames = 0
        self._number: type[np.unsignedinteger[Any]] = np.uint8 if len(names) <= 256 else np.uint32

    def place(self, frame: int) -> Place:
        """The file that frame.number `frame` stands in, and its number there."""
        span = self._spans[bisect_right(self._spans, frame, key=lambda span: span.first) - 1]
        row = frame - span.first
        if span.order is None:
            (number, before), = span.before.items()
            return Place(self._lanes[number].name, before + row + 1)
        number = int(span.order[row])
        among = int(np.count_nonzero(span.order[:row] == number))
        return Place(self._lanes[number].name, span.before[number] + among + 1)

    def tables(self) -> Iterator[PacketTable]:
        """The frames of all files, numbered through; each table is valid until the next.

        Raises CaptureError where not a single frame of any file can be read for an error.
        """
        try:
            yield from self._merged()
        finally:
            for lane in self._lanes:
                lane.close()
        self.parts = tuple(lane.part() for lane in self._lanes)
        summaries = [lane.summary for lane in self._lanes if lane.summary is not None]
        if not summaries:
            raise CaptureError("; ".join(f"{part.file}: {part.error}" for part in self.parts))
        self.summary = _together(summaries)

    def _merged(self) -> Iterator[PacketTable]:
        waiting = []
        for lane in self._lanes:
            lane.look()
            if not lane.done:
                waiting.append(lane)
        waiting.sort(key=lambda lane: lane.first, reverse=True)
        active: list[_Lane] = []
        while waiting or active:
            if not active:
                active.append(waiting.pop())
            share = max(min(CHUNK, TOGETHER // len(active)), LEAST_CHUNK)
            active = [lane for lane in active if lane.ready(share)]
            if not active:
                continue
            limit = min(active, key=lambda lane: lane.end)
            if waiting and waiting[-1].first <= limit.end:
                active.append(waiting.pop())
                continue
            yield self._emit(active, limit)

    def _emit(self, active: list[_Lane], limit: _Lane) -> PacketTable:
        """All rows that no row still to come can precede."""
        pieces = [
            (lane, piece)
            for lane in sorted(active, key=lambda lane: -lane.number)
            if (piece := lane.take(limit)).rows
        ]
        first = self._frames + 1
        before = {lane.number: lane.taken - piece.rows for lane, piece in pieces}
        if len(pieces) == 1:
            table = pieces[0][1].table._replace(first_frame=first)
            self._spans.append(_Span(first, None, before))
        else:
            table, order = _interleaved(first, pieces)
            self._spans.append(_Span(first, order.astype(self._number), before))
        self._frames += table.rows
        return table


class _Span(NamedTuple):
    """Consecutive frames of the joined capture. order: file of each, None where all are of one."""

    first: int
    order: NDArray[np.unsignedinteger[Any]] | None
    before: dict[int, int]               # file -> its frames before this span


class _Piece(NamedTuple):
    """Rows of one file that are next. key: what they are merged by."""

    table: PacketTable
    key: NDArray[np.int64]

    @property
    def rows(self) -> int:
        return len(self.key)


class _Lane:
    """One file: nothing is open until its time has come."""

    def __init__(self, number: int, name: str, limits: Limits) -> None:
        self.number = number
        self.name = name
        self.taken = 0
        self.done = False
        self.summary: CaptureSummary | None = None
        self.first: tuple[int, int] = (_EARLIEST, -number)
        self._limits = limits
        self._error: str | None = None
        self._source: Source | None = None
        self._reader: CaptureReader | None = None
        self._tables: Iterator[PacketTable] = iter(())
        self._table: PacketTable | None = None
        self._key = np.zeros(0, np.int64)
        self._at = 0
        self._latest = _EARLIEST

    @property
    def end(self) -> tuple[int, int]:
        """The order of the last row that is known. Of equal times the file given last comes first."""
        return int(self._key[-1]), -self.number

    def look(self) -> None:
        """Find out when the file begins, if it can be opened twice; a pipe is opened for good."""
        try:
            if self.name == "-" or not stat.S_ISREG(os.stat(self.name).st_mode):  # noqa: PTH116 (as in source)
                return
            with open_source(self.name, self._limits) as source:
                reader = CaptureReader(source, _PEEK)
                table = next(reader.tables(), None)
                if table is None:
                    self.summary, self.done = reader.summary, True
                else:
                    self.first = (int(table.time_ns[0]), -self.number)
        except CaptureError as error:
            self._error, self.done = str(error), True
        except (OSError, ValueError) as error:
            self._error, self.done = str(CaptureError(getattr(error, "strerror", None) or str(error))), True

    def ready(self, chunk: int) -> bool:
        """Whether rows are there, after reading on where none are; False at the end of the file."""
        if self._at < len(self._key):
            return True
        try:
            if self._reader is None:
                self._source = open_source(self.name, self._limits)
                self._reader = CaptureReader(self._source, chunk)
                self._tables = self._reader.tables()
            self._table = next(self._tables, None)
        except CaptureError as error:
            self._error, self._table = str(error), None
        if self._table is None:
            self.summary = None if self._reader is None else self._reader.summary
            self.done = True
            self.close()
            return False
        self._key = np.maximum(np.maximum.accumulate(self._table.time_ns), self._latest)
        self._latest = int(self._key[-1])
        self._at = 0
        return True

    def take(self, limit: _Lane) -> _Piece:
        """The next rows up to the last one that `limit` knows of."""
        assert self._table is not None
        begin, end = self._at, len(self._key)
        if self is not limit:
            latest = limit.end[0] + (self.number > limit.number)
            end = begin + int(np.searchsorted(self._key[begin:], latest, "left"))
        rows = slice(begin, end)
        table = self._table
        self._at = end
        self.taken += end - begin
        piece = PacketTable(
            0, table.data, table.start[rows], table.captured[rows], table.original[rows],
            table.time_ns[rows], table.link_type[rows],
        )
        return _Piece(piece, self._key[rows])

    def part(self) -> Part:
        """What became of the file."""
        if self.summary is None:
            return Part(self.name, 0, None, self._error or "not read")
        return Part(self.name, self.summary.packets, self.summary.cut, None)

    def close(self) -> None:
        """Close the file; what was read of it is given up."""
        self._tables, self._table, self._key = iter(()), None, np.zeros(0, np.int64)
        self._at = 0
        if self._source is not None:
            self._source.close()
            self._source = None


def _interleaved(first: int, pieces: Sequence[tuple[_Lane, _Piece]]) -> tuple[PacketTable, NDArray[np.uint32]]:
    """Rows of several files in one table, and the file of each. pieces: the file given last first."""
    # Stable: rows of equal keys stay in the order of the pieces, and rows of a file in theirs.
    row = np.argsort(np.concatenate([piece.key for _, piece in pieces]), kind="stable")
    data, starts = [], []
    shift = 0
    for _, piece in pieces:
        start, captured = piece.table.start, piece.table.captured
        low, high = int(start[0]), int((start + captured).max())
        data.append(piece.table.data[low:high])
        starts.append(start - low + shift)
        shift += high - low
    tables = [piece.table for _, piece in pieces]
    files = np.concatenate([np.full(piece.rows, lane.number, np.uint32) for lane, piece in pieces])
    table = PacketTable(
        first, np.concatenate(data), np.concatenate(starts)[row],
        np.concatenate([table.captured for table in tables])[row],
        np.concatenate([table.original for table in tables])[row],
        np.concatenate([table.time_ns for table in tables])[row],
        np.concatenate([table.link_type for table in tables])[row],
    )
    return table, files[row]


def _together(parts: Sequence[CaptureSummary]) -> CaptureSummary:
    """What is to be said of all files as one capture. cut: that of the first file that has one."""
    names: dict[bytes, str] = {}
    for part in parts:
        names = part.names | names
    begins = [part.first_ns for part in parts if part.first_ns is not None]
    ends = [part.last_ns for part in parts if part.last_ns is not None]
    return CaptureSummary(
        "+".join(dict.fromkeys(part.format for part in parts)),
        "+".join(dict.fromkeys(part.compression for part in parts if part.compression)),
        sum(part.packets for part in parts),
        min(begins, default=None), max(ends, default=None),
        next((part.cut for part in parts if part.cut is not None), None),
        tuple(sorted({link for part in parts for link in part.link_types})),
        sum(part.snapped for part in parts),
        sum(part.drops for part in parts),
        names,
    )
