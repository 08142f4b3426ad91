"""Kept rows -> portions of connections -> Connection objects, one at a time, in order of tcp.stream.

Everything that can be said of all rows at once is computed with arrays, for a block of
connections; Python sees a connection only to build its objects.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from analyzer.capture.gather import hits
from analyzer.tcp.connection import (
    FIN,
    RST,
    SYN,
    ByteStream,
    Connection,
    Endpoint,
    Run,
    Segment,
    Segments,
    segments_of,
)
from analyzer.tcp.ends import Ends
from analyzer.tcp.evidence import Evidence, Kept
from analyzer.tcp.reassembly import Piece, blanked, reassemble
from analyzer.tcp.rows import UNREAD, Rows, RowStore, in_arena
from analyzer.tcp.sequence import MODULUS

# Rows whose objects are prepared together: enough for arrays to pay, few enough to stay small.
BLOCK = 8192
HEAD = 12
"""Segments of a connection of which there are objects at once: more than most that fail have."""

_NOTHING = ByteStream((), ())


class Portion(NamedTuple):
    """Some connections with everything that was kept of them. Columns: one entry for each connection.

    rows: theirs, each connection's together; local: the connection of each row, by its place here;
    arena: what `rows.at` points into; reporters: by frame of an ICMP error, at least those of these rows.
    """

    rows: Rows
    local: NDArray[np.int64]
    arena: bytes | bytearray
    stream: NDArray[np.int64]
    v6: NDArray[np.bool_]
    address: NDArray[np.uint64]
    port: NDArray[np.uint16]
    packets: NDArray[np.uint32]
    base: NDArray[np.uint32]
    based: NDArray[np.bool_]
    quoted: NDArray[np.uint32]
    frames: NDArray[np.int64]
    times: NDArray[np.int64]
    horizon: NDArray[np.int64]
    reporters: Mapping[int, bytes]

    def detached(self) -> Portion:
        """The same with no more than its own bytes, for another process."""
        rows = self.rows
        held = in_arena(rows)
        carrying = hits(held)
        start, size = rows.at[carrying].astype(np.int64), held[carrying].astype(np.int64)
        spans = zip(start.tolist(), (start + size).tolist(), strict=True)
        at = np.where(rows.at < UNREAD, np.uint32(0), rows.at)
        at[carrying] = np.cumsum(size) - size
        view = memoryview(self.arena)
        arena = b"".join([view[begin:end] for begin, end in spans])
        told = {frame: self.reporters[frame] for frame in rows.frame[rows.icmp != 0].tolist() if frame in self.reporters}
        return self._replace(rows=rows._replace(at=at), arena=arena, reporters=told)

    def connections(self) -> Iterator[Connection]:
        """Its connections, in order of tcp.stream."""
        rows = self.rows
        kept = Kept.of(rows, self.local, self.base, self.horizon)
        columns = (
            rows.frame, rows.time_ns, rows.side, rows.seq, rows.ack,
            rows.flags, rows.ttl, rows.length, rows.present, rows.icmp,
        )
        bound = np.searchsorted(self.local, np.arange(len(self.stream) + 1))
        heads, head_bounds = self._some(columns, np.arange(len(self.local)) - bound[self.local] < HEAD)
        controls, control_bounds = self._some(columns, (rows.flags & (FIN | SYN | RST) != 0) | (rows.icmp != 0))
        bounds = bound.tolist()
        evidence = kept.evidence()
        streams = _streams(evidence, self.arena)
        base = (self.base.reshape(-1) + (evidence.start + 1)) % MODULUS
        based = self.based.reshape(-1).tolist()
        bases = [b if known else None for b, known in zip(base.tolist(), based, strict=True)]
        addresses = self.address.astype(">u8").tobytes()
        meta = zip(
            self.stream.tolist(), self.v6.tolist(), self.port.tolist(), kept.initiators().tolist(),
            self.packets.tolist(), self.frames.tolist(), self.times.tolist(), self.quoted.tolist(),
            strict=True,
        )  # fmt: skip
        for i, (stream, v6, ports, initiator, packets, frame, time, quoted) in enumerate(meta):
            first, last = bounds[i] + HEAD, bounds[i + 1]
            own = tuple(controls[control_bounds[i] : control_bounds[i + 1]])
            at = 32 * i
            skip = 0 if v6 else 12
            yield Connection(
                stream,
                (
                    Endpoint(addresses[at + skip : at + 16], ports[0]),
                    Endpoint(addresses[at + 16 + skip : at + 32], ports[1]),
                ),
                None if initiator < 0 else initiator,
                Segments(
                    tuple(heads[head_bounds[i] : head_bounds[i + 1]]),
                    [column[first:last] for column in columns] if first < last else (),
                ),
                own,
                (next(streams), next(streams)),
                (packets[0], packets[1]),
                frame[0],
                frame[1],
                time[0],
                time[1],
                _reporters(own, self.reporters) if quoted else {},
                (bases[2 * i], bases[2 * i + 1]),
            )

    def _some(
        self, columns: Sequence[NDArray[Any]], which: NDArray[np.bool_]
    ) -> tuple[list[Segment], list[int]]:
        """Some of the segments, and where those of each connection begin among them, and end."""
        at = hits(which)
        bounds = np.searchsorted(self.local[at], np.arange(len(self.stream) + 1))
        return list(segments_of([column[at] for column in columns])), bounds.tolist()


def portions(
    store: RowStore,
    ends: Ends,
    chosen: NDArray[np.bool_],
    horizon: NDArray[np.int64],
    reporters: Mapping[int, bytes],
) -> Iterator[Portion]:
    """The chosen connections. horizon: by connection, up to which offset all segments were kept."""
    order = store.order()
    counts = np.bincount(store.rows().conn, minlength=ends.count)
    starts = np.cumsum(counts) - counts
    picked = hits(chosen)
    rows_before = np.concatenate(([0], np.cumsum(counts[picked])))
    first = 0
    while first < len(picked):
        last = int(np.searchsorted(rows_before, rows_before[first] + BLOCK, "right")) - 1
        last = min(max(last, first + 1), first + BLOCK)
        numbers = picked[first:last]
        sizes = counts[numbers]
        local = np.repeat(np.arange(len(numbers)), sizes)
        within = np.arange(len(local)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        rows, arena = store.fetch(order[starts[numbers][local] + within])
        yield Portion(
            rows, local, arena,
            ends.stream[numbers], ends.v6[numbers], ends.address[numbers], ends.port[numbers],
            ends.packets[numbers], ends.base[numbers], ends.based[numbers], ends.quoted[numbers],
            ends.frames[numbers], ends.times[numbers], horizon[numbers], reporters,
        )  # fmt: skip
        first = last


def _reporters(segments: tuple[Segment, ...], reporters: Mapping[int, bytes]) -> dict[int, bytes]:
    frames = (segment.frame for segment in segments if segment.icmp)
    return {frame: reporters[frame] for frame in frames if frame in reporters}


def _streams(evidence: Evidence, arena: bytes | bytearray) -> Iterator[ByteStream]:
    """The byte stream of each side of each connection, side 0 first."""
    ends, frames, times = evidence.end.tolist(), evidence.frame.tolist(), evidence.time_ns.tolist()
    bounds = evidence.bounds.tolist()
    known, horizons = evidence.known.tolist(), evidence.horizon.tolist()
    data, spans = _joined(evidence, memoryview(arena))       # whose slices are no copies
    for side, simple in enumerate(evidence.simple.tolist()):
        first, last = bounds[side], bounds[side + 1]
        if not simple:
            yield reassemble(_pieces(evidence, first, last, arena), known[side], horizons[side])
        elif first == last:
            yield _NOTHING
        else:
            run = Run(
                0,
                b"".join(data[spans[side] : spans[side + 1]]),
                tuple(ends[first:last]),
                tuple(frames[first:last]),
                tuple(times[first:last]),
            )
            yield ByteStream((run,), ())


def _joined(evidence: Evidence, arena: memoryview) -> tuple[list[memoryview], list[int]]:
    """The payload of all rows, in pieces, and where those of each side begin among them.

    Bytes that nobody reads are one piece, in however many rows they came.
    """
    unread = evidence.at == UNREAD
    fresh = np.ones(len(unread) + 1, np.bool_)
    fresh[1:-1] = ~(unread[1:] & unread[:-1])
    fresh[evidence.bounds] = True
    first = hits(fresh[:-1])
    size = np.add.reduceat(evidence.present, first) if len(first) else evidence.present
    zeros = memoryview(bytes(int(size[unread[first]].max(initial=0))))
    pieces = [
        zeros[:count] if at == UNREAD else arena[at : at + count]
        for at, count in zip(evidence.at[first].tolist(), size.tolist(), strict=True)
    ]
    return pieces, np.searchsorted(first, evidence.bounds).tolist()


def _pieces(evidence: Evidence, first: int, last: int, arena: bytes | bytearray) -> Iterable[Piece]:
    """The payload of some rows, one side's, each by itself."""
    own = slice(first, last)
    columns = (evidence.offset, evidence.length, evidence.frame, evidence.time_ns, evidence.at, evidence.present)
    rows = list(zip(*(column[own].tolist() for column in columns), strict=True))
    pieces = [
        Piece(offset, length, frame, time, bytes(size) if at == UNREAD else bytes(arena[at : at + size]))
        for offset, length, frame, time, at, size in rows
    ]
    blank = [(offset, offset + size) for offset, _, _, _, at, size in rows if at == UNREAD]
    return blanked(pieces, blank) if blank else pieces
