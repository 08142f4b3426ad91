"""Rows of SMB connections with what decides whether they are kept: where their bytes lie, and of what sort."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from analyzer.capture.table import SegmentTable
from analyzer.tcp.flows import Assignment
from analyzer.tcp.rows import Rows
from analyzer.tcp.sequence import distances

# Bytes of each side whose segments are kept. Negotiation, logon and tree connect take 2 to 10 KB;
# a Kerberos ticket with many groups is up to 64 KB. The smaller ones are used, for all connections
# alike, where a capture holds too many for the first.
WINDOWS = (65536, 32768, 16384, 8192, 4096)

_CONTROL = 0x07          # FIN, SYN, RST
_SYN, _ACK = 0x02, 0x10


class Batch(NamedTuple):
    """Rows with what decides about them. Entry i of every column is the same row."""

    rows: NDArray[np.int64]          # their numbers in the SegmentTable, or in the store
    conn: NDArray[np.int64]
    side: NDArray[np.uint8]
    offset: NDArray[np.int64]        # of the first payload byte in its side's stream
    acked: NDArray[np.int64]         # offset in the other side's stream
    data: NDArray[np.bool_]          # with payload on the wire
    acks: NDArray[np.bool_]          # without, but with ACK
    control: NDArray[np.bool_]       # SYN, FIN, RST or quoted

    def take(self, which: NDArray[np.intp]) -> Batch:
        """Some of the rows, by index."""
        return Batch._make(column[which] for column in self)

    @classmethod
    def of_table(
        cls, segments: SegmentTable, rows: NDArray[np.int64], conn: NDArray[np.int64], assigned: Assignment
    ) -> Batch:
        """Rows of a table. assigned: of these rows."""
        return _batch(
            rows,
            conn,
            assigned.side,
            (segments.flags[rows], segments.length[rows], segments.icmp[rows] != 0),
            (
                distances(segments.seq[rows], assigned.base),
                distances(segments.ack[rows], assigned.peer_base),
            ),
        )

    @classmethod
    def of_store(cls, rows: Rows, base: NDArray[np.uint32]) -> Batch:
        """All rows of a store. base: by connection and side."""
        return _batch(
            np.arange(len(rows.conn)),
            rows.conn.astype(np.int64),
            rows.side,
            (rows.flags, rows.length, rows.icmp != 0),
            (
                distances(rows.seq, base[rows.conn, rows.side]),
                distances(rows.ack, base[rows.conn, rows.side ^ 1]),
            ),
        )


def _batch(
    rows: NDArray[np.int64],
    conn: NDArray[np.int64],
    side: NDArray[np.uint8],
    sort: tuple[NDArray[np.uint8], NDArray[np.int64] | NDArray[np.int32], NDArray[np.bool_]],
    numbers: tuple[NDArray[np.int64], NDArray[np.int64]],
) -> Batch:
    """sort: flags, payload length and whether the header is quoted. numbers: seq and ack, from the bases."""
    flags, length, quoted = sort
    seq, ack = numbers
    data = (length > 0) & ~quoted
    return Batch(
        rows=rows,
        conn=conn,
        side=side,
        offset=seq - 1 + ((flags & _SYN) != 0),
        acked=ack - 1,
        data=data,
        acks=~data & ~quoted & ((flags & _ACK) != 0),
        control=quoted | ((flags & _CONTROL) != 0),
    )


def inside(batch: Batch, window: int) -> NDArray[np.bool_]:
    """Which rows that WINDOWS[0] admits are kept with a smaller window."""
    offset, acked = np.abs(batch.offset), np.abs(batch.acked)
    beyond = (offset >= window) & (offset < WINDOWS[0])
    beyond |= batch.acks & (acked >= window) & (acked < WINDOWS[0])
    inside: NDArray[np.bool_] = ~beyond | batch.control
    return inside
