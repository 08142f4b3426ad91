"""One TCP connection as the layers above see it: its two ends, its kept segments, its byte streams."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from functools import lru_cache, partial
from typing import Any, NamedTuple, overload

import numpy as np
from numpy.typing import NDArray

FIN, SYN, RST, PSH, ACK = 1, 2, 4, 8, 16


class Endpoint(NamedTuple):
    """One end of a connection. address: 4 bytes (IPv4) or 16 (IPv6), network order."""

    address: bytes
    port: int

    @property
    def host(self) -> str:
        """The address alone, as text."""
        return _text(self.address)

    def __str__(self) -> str:
        return at_port(self.host, self.port)


@lru_cache(4096)
def _text(address: bytes) -> str:
    """An address, 4 bytes or 16, as text. The same few are asked for again and again."""
    if len(address) == 4:
        first, second, third, fourth = address
        return f"{first}.{second}.{third}.{fourth}"
    from ipaddress import IPv6Address

    return str(IPv6Address(address))


def at_port(host: str, port: int) -> str:
    """An address, as text, with a port."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


class Segment(NamedTuple):
    """One TCP segment (or quoted header) of a connection, without its bytes."""

    frame: int
    time_ns: int
    side: int                # index into Connection.ends: who sent it (icmp: who sent the quoted one)
    seq: int
    ack: int
    flags: int
    ttl: int
    length: int              # payload bytes on the wire
    present: int             # payload bytes captured
    icmp: int                # 0, or type << 8 | code of the ICMP error that quotes this header


_segment = partial(tuple.__new__, Segment)


def segments_of(columns: Sequence[NDArray[Any]]) -> Iterator[Segment]:
    """The segments whose members, in their order, are these columns."""
    return map(_segment, zip(*(column.tolist() for column in columns), strict=True))


class Segments(Sequence[Segment]):
    """The segments of a connection, in capture order: the first ones, and of many more their columns.

    Most of a long connection are never looked at one by one, so that there are no objects of them before.
    head: the first ones, whatever comes behind them; columns: of these, as `segments_of` takes them.
    """

    __slots__ = ("_columns", "_head")

    def __init__(self, head: tuple[Segment, ...], columns: Sequence[NDArray[Any]] = ()) -> None:
        self._head = head
        self._columns = tuple(columns)

    def __len__(self) -> int:
        return len(self._head) + (len(self._columns[0]) if self._columns else 0)

    def __iter__(self) -> Iterator[Segment]:
        yield from self._head
        yield from segments_of(self._columns)

    @overload
    def __getitem__(self, place: int) -> Segment: ...

    @overload
    def __getitem__(self, place: slice) -> tuple[Segment, ...]: ...

    def __getitem__(self, place: int | slice) -> Segment | tuple[Segment, ...]:
        return tuple(self)[place]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Segments) and tuple(self) == tuple(other)

    def __hash__(self) -> int:
        return hash(tuple(self))

    def carrying(self, side: int, number: int) -> list[Segment]:
        """Those of a side that carry the byte with a sequence number."""
        found = [*self._head]
        if self._columns:
            seq, length = self._columns[3], self._columns[7]
            found += self._those(np.uint32(number) - seq < length)
        return [
            s for s in found if s.length and s.side == side and (number - s.seq) & 0xFFFFFFFF < s.length and not s.icmp
        ]

    def numbered(self, number: int) -> list[Segment]:
        """Those with a sequence or acknowledgement number."""
        found = [s for s in self._head if number in (s.seq, s.ack)]
        if self._columns:
            found += self._those((self._columns[3] == number) | (self._columns[4] == number))
        return found

    def _those(self, which: NDArray[np.bool_]) -> Iterator[Segment]:
        at = which.nonzero()[0]
        return segments_of([column[at] for column in self._columns]) if len(at) else iter(())


class Gap(NamedTuple):
    """Bytes of a stream that the capture does not hold.

    snapped: True where the segment is there but was cut short by the snap length.
    """

    start: int
    end: int
    snapped: bool


class Run(NamedTuple):
    """Bytes without a gap, and which frame brought each.

    start: stream offset of data[0]; offset 0 is the first byte after the SYN, or the first
    byte seen where no SYN was.
    ends, frames, times_ns: one entry per piece, in stream order: the stream offset after the
    piece's last byte, its frame.number and its time.
    """

    start: int
    data: bytes
    ends: tuple[int, ...]
    frames: tuple[int, ...]
    times_ns: tuple[int, ...]

    @property
    def end(self) -> int:
        """Stream offset after the last byte."""
        return self.start + len(self.data)


def _start(run: Run) -> int:
    return run.start


class ByteStream(NamedTuple):
    """What one side sent, in order. Runs and gaps are ordered by offset; nothing overlaps.

    Between two runs lies a gap, or bulk data behind the negotiation that was passed over: that is
    no gap. A gap may be two, one of them cut off by the snap length.
    """

    runs: tuple[Run, ...]
    gaps: tuple[Gap, ...]
    disagreeing: tuple[int, ...] = ()     # frames whose overlapping bytes differ from the first copy

    def run_at(self, offset: int) -> Run | None:
        """The run that holds the byte at a stream offset."""
        place = bisect_right(self.runs, offset, key=_start) - 1
        return self.runs[place] if place >= 0 and offset < self.runs[place].end else None

    def frame_at(self, offset: int) -> int | None:
        """frame.number of the piece that holds the byte at a stream offset."""
        run = self.run_at(offset)
        return None if run is None else run.frames[bisect_left(run.ends, offset + 1)]

    def completions(self, spans: Sequence[tuple[int, int]]) -> list[tuple[int, int] | None]:
        """completed_at() of many (start, end), in ascending order. Some may be the same: the commands of a compound."""
        found: list[tuple[int, int] | None] = []
        first, last, low = 0, -1, 0                      # of the only run, if there is one
        if len(self.runs) == 1:
            run = self.runs[0]
            first, last, ends, frames, times = run.start, run.ends[-1], run.ends, run.frames, run.times_ns
        before = (-1, -1)
        for span in spans:
            if span == before:
                found.append(found[-1])
                continue
            start, end = before = span
            if not first <= start < min(end, last):
                found.append(self.completed_at(start, end))
                continue
            low = bisect_left(ends, start + 1, low)
            if end <= ends[low]:
                found.append((frames[low], times[low]))
                continue
            brought = frames[low : bisect_left(ends, end, low) + 1]
            newest = max(brought)
            found.append((newest, times[low + brought.index(newest)]))
        return found

    def completed_at(self, start: int, end: int) -> tuple[int, int] | None:
        """(frame.number, time_ns) of the frame that completes the bytes start..end."""
        first = max(bisect_right(self.runs, start, key=_start) - 1, 0)
        pieces: list[tuple[int, int]] = []
        for run in self.runs[first : bisect_left(self.runs, end, key=_start)]:
            low, high = bisect_left(run.ends, start + 1), bisect_left(run.ends, end) + 1
            pieces += zip(run.frames[low:high], run.times_ns[low:high], strict=True)
        return max(pieces, default=None)


class Connection(NamedTuple):
    """One TCP conversation, numbered as Wireshark's tcp.stream.

    Side 0 is the sender of the first packet seen. `segments` holds, in capture order, every
    control segment (SYN, FIN, RST), every quoted header and whatever carries or acknowledges
    the bytes of `streams`; bulk data behind the negotiation is counted only. `controls`: the
    control segments and quoted headers among them.
    """

    stream: int
    ends: tuple[Endpoint, Endpoint]
    initiator: int | None                       # side that opened it, by SYN or SYN/ACK
    segments: Segments
    controls: tuple[Segment, ...]
    streams: tuple[ByteStream, ByteStream]      # by sending side
    packets: tuple[int, int]                    # TCP packets seen of each side, kept or not
    first_frame: int
    last_frame: int
    first_ns: int
    last_ns: int
    reporters: dict[int, bytes]                 # frame of an ICMP error -> address of its sender
    bases: tuple[int | None, int | None] = (None, None)   # sequence number of each side's stream offset 0
