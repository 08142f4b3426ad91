"""The segments of one side -> ByteStream: each byte once, with the frame that brought it, and what is missing.

The first copy seen of a byte wins; later copies that differ are named. Four ways to the same
result, the cheapest that fits is taken: segments that follow each other (the caller's), segments
that come in order but repeat, overlap or leave holes (`_walk`), any order without overlaps but whole
repeats (`_sorted`), and any order at all (`_paint`).
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from analyzer.capture.gather import hits
from analyzer.tcp.connection import ByteStream, Gap, Run


class Piece(NamedTuple):
    """The payload of one segment.

    offset: of its first byte in the stream, negative before the start; length: bytes on the wire;
    data: the bytes captured, at most length.
    """

    offset: int
    length: int
    frame: int
    time_ns: int
    data: bytes


def blanked(pieces: Iterable[Piece], spans: Iterable[tuple[int, int]]) -> Iterator[Piece]:
    """The pieces with zeros in spans of the stream of which not every copy is there, so that all copies agree."""
    merged = _merged(sorted(spans))
    ends = [end for _, end in merged]
    for piece in pieces:
        after = piece.offset + len(piece.data)
        at = bisect_right(ends, piece.offset)
        data = piece.data
        while at < len(merged) and merged[at][0] < after:
            low, high = max(merged[at][0] - piece.offset, 0), min(merged[at][1] - piece.offset, len(data))
            data = data[:low] + bytes(high - low) + data[high:]
            at += 1
        yield piece._replace(data=data)


class _Part(NamedTuple):
    """A piece that matters: at or behind offset 0, and not empty."""

    start: int
    data: bytes
    frame: int
    time_ns: int


class _Growing:
    """A run under construction."""

    __slots__ = ("data", "ends", "frames", "start", "times")

    def __init__(self, start: int) -> None:
        self.start = start
        self.data = bytearray()
        self.ends: list[int] = []
        self.frames: list[int] = []
        self.times: list[int] = []

    def append(self, part: _Part, skip: int) -> None:
        self.data += part.data[skip:] if skip else part.data
        self.ends.append(self.start + len(self.data))
        self.frames.append(part.frame)
        self.times.append(part.time_ns)

    def run(self) -> Run:
        return Run(self.start, bytes(self.data), tuple(self.ends), tuple(self.frames), tuple(self.times))


def reassemble(pieces: Iterable[Piece], end: int = 0, horizon: int | None = None) -> ByteStream:
    """The byte stream from offset 0 on. pieces: one side's, in capture order.

    end: bytes up to this offset are known to have been sent (an acknowledgement, a FIN).
    horizon: from this offset on segments were passed over on purpose; what is missing there is
    no gap. None: there is none.

    A segment of one byte, the last one sent before it, is a keep-alive (RFC 9293 3.8.4): its byte
    is arbitrary and ignored.
    """
    parts: list[_Part] = []
    snaps: list[tuple[int, int]] = []
    highest: int | None = None
    for piece in pieces:
        after = piece.offset + piece.length
        if after <= 0 or piece.length <= 0 or (piece.length == 1 and after == highest):
            continue
        highest = after if highest is None else max(highest, after)
        data, start = piece.data, piece.offset
        if start < 0:
            data, start = data[-start:], 0
        if data:
            parts.append(_Part(start, data, piece.frame, piece.time_ns))
        if start + len(data) < after:
            snaps.append((start + len(data), after))
    runs, disagreeing = _walk(parts) or _sorted(parts) or _paint(parts)
    return ByteStream(runs, _gaps(runs, sorted(snaps), end, horizon), disagreeing)


_Runs = tuple[tuple[Run, ...], tuple[int, ...]]


def _walk(parts: Sequence[_Part]) -> _Runs | None:
    """Runs and disagreeing frames, or None where a part reaches behind the start of the newest run."""
    runs: list[_Growing] = []
    disagreeing: list[int] = []
    start = end = -1
    for part in parts:
        if part.start > end or not runs:
            runs.append(_Growing(part.start))
            start = end = part.start
        elif part.start < start:
            return None
        known = end - part.start
        newest = runs[-1]
        if known:
            at = part.start - start
            if newest.data[at : at + len(part.data)] != part.data[:known]:
                disagreeing.append(part.frame)
        if known < len(part.data):
            newest.append(part, known)
            end = part.start + len(part.data)
    return tuple(run.run() for run in runs), tuple(disagreeing)


def _sorted(parts: Sequence[_Part]) -> _Runs | None:
    """The same for parts in any order of which none overlap, but for repeats; None where some do."""
    first: dict[tuple[int, int], _Part] = {}
    for part in parts:
        if first.setdefault((part.start, len(part.data)), part).data != part.data:
            return None
    ordered = sorted(first.values())
    if any(after.start < before.start + len(before.data) for before, after in pairwise(ordered)):
        return None
    return _walk(ordered)


def _paint(parts: Sequence[_Part]) -> _Runs:
    """The same for parts in any order: each paints the bytes that no earlier one has painted."""
    spans: list[list[int]] = []
    for start, end in sorted((part.start, part.start + len(part.data)) for part in parts):
        if spans and start <= spans[-1][1]:
            spans[-1][1] = max(spans[-1][1], end)
        else:
            spans.append([start, end])
    starts = [start for start, _ in spans]
    canvases = [bytearray(end - start) for start, end in spans]
    painted = [bytearray(end - start) for start, end in spans]          # 1 where there is a byte
    owners = [np.full(end - start, -1, np.int32) for start, end in spans]
    disagreeing: list[int] = []
    for number, part in enumerate(parts):
        at = bisect_right(starts, part.start) - 1
        canvas, owner = canvases[at], owners[at]
        first, last = part.start - starts[at], part.start - starts[at] + len(part.data)
        seen = painted[at][first:last]
        if 1 in seen:
            if 0 in seen:
                free = np.frombuffer(seen, np.uint8) == 0
                data, old = np.frombuffer(part.data, np.uint8), np.frombuffer(canvas, np.uint8)[first:last]
                differs = bool(((old != data) & ~free).any())
                old[free] = data[free]
                owner[first:last][free] = number
                painted[at][first:last] = b"\1" * len(seen)
            else:
                differs = canvas[first:last] != part.data
            if differs:
                disagreeing.append(part.frame)
        else:
            canvas[first:last] = part.data
            owner[first:last] = number
            painted[at][first:last] = b"\1" * len(seen)
    runs = []
    for start, canvas, owner in zip(starts, canvases, owners, strict=True):
        ends = np.append(hits(owner[1:] != owner[:-1]) + 1, len(owner))
        brought = [parts[i] for i in owner[ends - 1].tolist()]
        runs.append(
            Run(
                start,
                bytes(canvas),
                tuple((ends + start).tolist()),
                tuple(part.frame for part in brought),
                tuple(part.time_ns for part in brought),
            )
        )
    return tuple(runs), tuple(disagreeing)


def _gaps(
    runs: Sequence[Run], snaps: Sequence[tuple[int, int]], end: int, horizon: int | None
) -> tuple[Gap, ...]:
    """What lies between the runs, before the first and, up to `end`, behind the last."""
    cut = _merged(snaps)
    starts = [start for start, _ in cut]
    last = max(end, cut[-1][1]) if cut else end
    gaps: list[Gap] = []
    at = 0
    for start, after in [*((run.start, run.end) for run in runs), (last, last)]:
        if at < start:
            first = max(bisect_right(starts, at) - 1, 0)
            gaps += _hole(at, start, cut[first : bisect_left(starts, start)], horizon)
        at = max(at, after)
    return tuple(gaps)


def _merged(spans: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Sorted spans as sorted ones that do not touch."""
    merged: list[tuple[int, int]] = []
    for start, end in spans:
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(merged[-1][1], end))
        else:
            merged.append((start, end))
    return merged


def _hole(start: int, end: int, cut: Sequence[tuple[int, int]], horizon: int | None) -> list[Gap]:
    """One hole as gaps: what cut segments held, and what no segment brought."""
    gaps: list[Gap] = []
    for low, high in cut:
        if low < end and start < high:
            gaps += _missing(start, low, horizon)
            gaps.append(Gap(max(low, start), min(high, end), snapped=True))
            start = min(high, end)
    return gaps + _missing(start, end, horizon)


def _missing(start: int, end: int, horizon: int | None) -> list[Gap]:
    if horizon is not None:
        end = min(end, horizon)
    return [Gap(start, end, snapped=False)] if start < end else []
