"""Kept segments as records of 48 bytes and one arena of payload bytes, appended chunk by chunk."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from analyzer.capture.gather import hits
from analyzer.capture.table import SegmentTable
from analyzer.tcp.arena import Arena

# In `at`: the payload was not kept; it was not because nobody reads it, and zeros stand for it.
NO_PAYLOAD, UNREAD = 0xFFFF_FFFF, 0xFFFF_FFFE


class Rows(NamedTuple):
    """The columns of kept segments. Row i of every column is the same segment."""

    frame: NDArray[np.int64]
    time_ns: NDArray[np.int64]
    conn: NDArray[np.int32]          # connection, in order of tcp.stream
    seq: NDArray[np.uint32]
    ack: NDArray[np.uint32]
    length: NDArray[np.int32]        # payload bytes on the wire; of a quoted header 0
    present: NDArray[np.int32]       # payload bytes captured; 0 with NO_PAYLOAD
    at: NDArray[np.uint32]           # where they begin in the arena, NO_PAYLOAD or UNREAD
    icmp: NDArray[np.uint16]
    side: NDArray[np.uint8]
    flags: NDArray[np.uint8]         # of a quoted header 0
    ttl: NDArray[np.uint8]


# Joined records are grown in place by bytearray, which columns on their own could not be without
# twice the memory for a moment.
_RECORD = np.dtype(
    list(
        zip(
            Rows._fields,
            ("i8", "i8", "i4", "u4", "u4", "i4", "i4", "u4", "u2", "u1", "u1", "u1"),
            strict=True,
        )
    ),
    align=True,
)
RECORD_BYTES = _RECORD.itemsize
_BLOCK = 1 << 13          # rows looked at together when some are dropped


def _columns(records: NDArray[Any]) -> Rows:
    return Rows(*(records[name] for name in Rows._fields))


class RowStore:
    """Rows in capture order. Memory: 48 bytes a row, an eighth for growing, and the newest payload."""

    def __init__(self) -> None:
        self.arena = Arena()
        self._records = bytearray()

    def __len__(self) -> int:
        return len(self._records) // RECORD_BYTES

    def append(
        self,
        segments: SegmentTable,
        rows: NDArray[np.int64],
        owner: tuple[NDArray[np.int64], NDArray[np.uint8]],
        payload: NDArray[np.bool_],
        held: NDArray[np.bool_],
    ) -> None:
        """Keep these rows of a table.

        One entry a row: owner, its connection and side; payload, it has bytes that matter; held, keep these too.
        """
        present = segments.present[rows] * payload
        kept = present * held
        carrying = hits(kept)
        size = kept[carrying]
        if segments.elsewhere is None:
            view, start = segments.data.data, segments.payload[rows[carrying]]
        else:
            fetched, start = segments.elsewhere.fetch(rows[carrying], size)
            view = memoryview(fetched)
        spans = zip(start.tolist(), (start + size).tolist(), strict=True)
        measured = segments.icmp[rows] == 0
        records = np.zeros(len(rows), _RECORD)
        new = _columns(records)
        new.frame[:] = segments.frame[rows]
        new.time_ns[:] = segments.time_ns[rows]
        new.conn[:], new.side[:] = owner
        new.seq[:] = segments.seq[rows]
        new.ack[:] = segments.ack[rows]
        new.length[:] = segments.length[rows]
        new.present[:] = present
        new.at[:] = np.where(held, np.cumsum(kept) - kept + len(self.arena), np.where(payload, UNREAD, NO_PAYLOAD))
        new.icmp[:] = segments.icmp[rows]
        new.flags[:] = segments.flags[rows] * measured
        new.ttl[:] = segments.ttl[rows]
        self._records += records.tobytes()
        # One after the other: a list of so many views keeps the garbage collector busy.
        newest = self.arena.newest
        for begin, end in spans:
            newest += view[begin:end]
        self.arena.put_away()

    def rows(self, numbers: NDArray[np.int64] | None = None) -> Rows:
        """Some of the rows, as copies; None: all of them, as views to be dropped before the next append."""
        if numbers is None:
            return _columns(np.frombuffer(self._records, _RECORD))
        return _columns(np.frombuffer(self._records, _RECORD).take(numbers))

    def fetch(self, numbers: NDArray[np.int64]) -> tuple[Rows, bytearray]:
        """Some of the rows, and what `at` of these points into."""
        rows = self.rows(numbers)
        carrying = hits(in_arena(rows))
        arena, at = self.arena.fetch(rows.at[carrying].astype(np.int64), rows.present[carrying].astype(np.int64))
        rows.at[carrying] = at
        return rows, arena

    def keep(self, wanted: Callable[[Rows], NDArray[np.bool_]]) -> None:
        """Drop all other rows and their payload. wanted: says of some rows which to keep."""
        records = np.frombuffer(self._records, _RECORD)
        kept = 0
        old, self.arena = self.arena, Arena()
        for start in range(0, len(records), _BLOCK):
            block = records[start : start + _BLOCK]
            block = block.take(hits(wanted(_columns(block))))
            columns = _columns(block)
            sizes = in_arena(columns).astype(np.int64)
            carrying = hits(sizes)
            used = len(self.arena)
            held, at = old.fetch(columns.at[carrying].astype(np.int64), sizes[carrying])
            newest = self.arena.newest
            with memoryview(held) as view:
                for begin, end in zip(at.tolist(), (at + sizes[carrying]).tolist(), strict=True):
                    newest += view[begin:end]
            self.arena.put_away()
            columns.at[:] = np.where(columns.at < UNREAD, used + np.cumsum(sizes) - sizes, columns.at)
            records[kept : kept + len(block)] = block
            kept += len(block)
        del records
        del self._records[kept * RECORD_BYTES :]

    def order(self) -> NDArray[np.int64]:
        """Row numbers, those of each connection together and in capture order."""
        keys = (self.rows().conn.astype(np.int64) << 32) | np.arange(len(self))
        keys.sort()
        keys &= 0xFFFF_FFFF
        return keys


def in_arena(rows: Rows) -> NDArray[np.int32]:
    """Bytes that the arena holds of each row."""
    found: NDArray[np.int32] = rows.present * (rows.at != UNREAD)
    return found
