"""Kept rows -> Connection objects, one at a time, in order of tcp.stream.

Everything that can be said of all rows at once is computed with arrays, for a block of
connections; Python sees a connection only to build its objects.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial

import numpy as np
from numpy.typing import NDArray

from analyzer.tcp.connection import ByteStream, Connection, Endpoint, Run, Segment
from analyzer.tcp.ends import Ends
from analyzer.tcp.evidence import Evidence, Kept
from analyzer.tcp.reassembly import Piece, reassemble
from analyzer.tcp.rows import RowStore
from analyzer.tcp.sequence import MODULUS

# Rows whose objects are prepared together: enough for arrays to pay, few enough to stay small.
BLOCK = 16384

_NOTHING = ByteStream((), ())


def connections(
    store: RowStore,
    ends: Ends,
    chosen: NDArray[np.bool_],
    horizon: NDArray[np.int64],
    reporters: Mapping[int, bytes],
) -> Iterator[Connection]:
    """The chosen connections. horizon: by connection, up to which offset all segments were kept."""
    order = store.order()
    counts = np.bincount(store.rows().conn, minlength=ends.count)
    starts = np.cumsum(counts) - counts
    picked = np.flatnonzero(chosen)
    rows_before = np.concatenate(([0], np.cumsum(counts[picked])))
    first = 0
    while first < len(picked):
        last = int(np.searchsorted(rows_before, rows_before[first] + BLOCK, "right")) - 1
        last = min(max(last, first + 1), first + BLOCK)
        numbers = picked[first:last]
        sizes = counts[numbers]
        local = np.repeat(np.arange(len(numbers)), sizes)
        within = np.arange(len(local)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        rows = store.rows(order[starts[numbers][local] + within])
        kept = Kept.of(rows, local, ends.base[numbers], horizon[numbers])
        yield from _block(kept, store.arena, ends, numbers, reporters)
        first = last


def _block(
    kept: Kept, arena: bytearray, ends: Ends, numbers: NDArray[np.int64], reporters: Mapping[int, bytes]
) -> Iterator[Connection]:
    rows = kept.rows
    columns = (
        rows.frame, rows.time_ns, rows.side, rows.seq, rows.ack,
        rows.flags, rows.ttl, rows.length, rows.present, rows.icmp,
    )
    make = partial(tuple.__new__, Segment)
    segments: list[Segment] = list(map(make, zip(*(column.tolist() for column in columns), strict=True)))
    bounds = np.searchsorted(kept.local, np.arange(len(numbers) + 1)).tolist()
    evidence = kept.evidence()
    streams = _streams(evidence, arena)
    base = (ends.base[numbers].reshape(-1) + (evidence.start + 1)) % MODULUS
    based = ends.based[numbers].reshape(-1)
    bases = [b if known else None for b, known in zip(base.tolist(), based.tolist(), strict=True)]
    addresses = ends.address[numbers].astype(">u8").tobytes()
    meta = zip(
        ends.stream[numbers].tolist(),
        ends.v6[numbers].tolist(),
        ends.port[numbers].tolist(),
        kept.initiators().tolist(),
        ends.packets[numbers].tolist(),
        ends.frames[numbers].tolist(),
        ends.times[numbers].tolist(),
        ends.quoted[numbers].tolist(),
        strict=True,
    )
    for i, (stream, v6, ports, initiator, packets, frame, time, quoted) in enumerate(meta):
        own = tuple(segments[bounds[i] : bounds[i + 1]])
        at = 32 * i
        skip = 0 if v6 else 12
        yield Connection(
            stream,
            (
                Endpoint(addresses[at + skip : at + 16], ports[0]),
                Endpoint(addresses[at + 16 + skip : at + 32], ports[1]),
            ),
            None if initiator < 0 else initiator,
            own,
            (next(streams), next(streams)),
            (packets[0], packets[1]),
            frame[0],
            frame[1],
            time[0],
            time[1],
            _reporters(own, reporters) if quoted else {},
            (bases[2 * i], bases[2 * i + 1]),
        )


def _reporters(segments: tuple[Segment, ...], reporters: Mapping[int, bytes]) -> dict[int, bytes]:
    frames = (segment.frame for segment in segments if segment.icmp)
    return {frame: reporters[frame] for frame in frames if frame in reporters}


def _streams(evidence: Evidence, arena: bytearray) -> Iterator[ByteStream]:
    """The byte stream of each side of each connection, side 0 first."""
    offsets, ends = evidence.offset.tolist(), evidence.end.tolist()
    frames, times = evidence.frame.tolist(), evidence.time_ns.tolist()
    lengths = evidence.length.tolist()
    spans = list(zip(evidence.at.tolist(), (evidence.at + evidence.present).tolist(), strict=True))
    bounds = evidence.bounds.tolist()
    known, horizons = evidence.known.tolist(), evidence.horizon.tolist()
    for side, simple in enumerate(evidence.simple.tolist()):
        first, last = bounds[side], bounds[side + 1]
        if not simple:
            pieces = [
                Piece(offsets[i], lengths[i], frames[i], times[i], bytes(arena[spans[i][0] : spans[i][1]]))
                for i in range(first, last)
            ]
            yield reassemble(pieces, known[side], horizons[side])
        elif first == last:
            yield _NOTHING
        else:
            run = Run(
                0,
                b"".join([arena[start:end] for start, end in spans[first:last]]),
                tuple(ends[first:last]),
                tuple(frames[first:last]),
                tuple(times[first:last]),
            )
            yield ByteStream((run,), ())
