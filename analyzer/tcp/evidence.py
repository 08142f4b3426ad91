"""Kept rows -> where each side's bytes lie, and up to where bytes are known to have existed."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from analyzer.capture.gather import hits
from analyzer.tcp.rows import NO_PAYLOAD, Rows
from analyzer.tcp.sequence import distances

_FIN, _SYN, _RST, _ACK = 1, 2, 4, 16
_SYN_ACK = _SYN | _ACK
_UNSET = 1 << 40                  # beyond every offset and row


class Evidence(NamedTuple):
    """The payload rows by connection, side and capture order, and what is known of each side.

    Rows of a side that only came in another order are in that of its stream.
    Columns by payload row: offset .. time_ns. Columns by side (2 * connection + side): bounds
    (one more: where its payload rows begin) .. simple.
    """

    offset: NDArray[np.int64]        # of the first byte in its stream
    length: NDArray[np.int64]        # bytes on the wire
    end: NDArray[np.int64]           # offset + length
    present: NDArray[np.int64]       # bytes captured
    at: NDArray[np.int64]            # where they are in the arena, or UNREAD
    frame: NDArray[np.int64]
    time_ns: NDArray[np.int64]
    bounds: NDArray[np.int64]
    start: NDArray[np.int64]         # sequence number of offset 0, counted on from the side's base
    known: NDArray[np.int64]         # bytes up to this offset existed
    horizon: NDArray[np.int64]       # behind this offset segments were passed over
    simple: NDArray[np.bool_]        # its rows follow each other without repeat, hole or rest


class Kept(NamedTuple):
    """Rows of whole connections, each connection's together and in capture order."""

    rows: Rows
    local: NDArray[np.int64]         # connection of each row: 0, 1, ...
    sides: int                       # two for each connection
    offset: NDArray[np.int64]        # of the first payload byte, from the side's base
    acked: NDArray[np.int64]         # the acknowledgement, from the other side's base
    horizon: NDArray[np.int64]       # by connection

    @classmethod
    def of(
        cls,
        rows: Rows,
        local: NDArray[np.int64],
        base: NDArray[np.uint32],
        horizon: NDArray[np.int64],
    ) -> Kept:
        """base: by connection and side, (n, 2), the sequence number before the first byte of each side."""
        return cls(
            rows,
            local,
            2 * len(base),
            distances(rows.seq, base[local, rows.side]) - 1 + ((rows.flags & _SYN) != 0),
            distances(rows.ack, base[local, rows.side ^ 1]) - 1,
            horizon,
        )

    def initiators(self) -> NDArray[np.int64]:
        """The side that opened each connection: sent the first SYN, else got a SYN/ACK; else -1."""
        found = np.full(self.sides // 2, -1, np.int64)
        kind = self.rows.flags & _SYN_ACK
        for flags, other in ((_SYN_ACK, 1), (_SYN, 0)):
            at = hits(kind == flags)[::-1]      # backwards: of several the first one stays
            found[self.local[at]] = self.rows.side[at] ^ other
        return found

    def evidence(self) -> Evidence:
        """What the rows tell of both byte streams of each connection."""
        rows, sides = self.rows, self.sides
        side = 2 * self.local + rows.side
        measured = rows.icmp == 0
        # The payload of a RST is a message to whoever debugs, not part of the stream. RFC 1122 4.2.2.12
        steady = measured & ((rows.flags & _RST) == 0)
        carrying = steady & (rows.length > 0) & (rows.at != NO_PAYLOAD)
        carrying[self._stale(side, carrying)] = False
        start = self._starts(side, carrying, steady)
        horizon = np.repeat(self.horizon, 2)
        reached = self._reached(side, steady, start, horizon) - start
        order = hits(carrying)
        order = order[np.argsort(side[order], kind="stable")]
        of = side[order]
        offset = self.offset[order] - start[of]
        length = rows.length[order].astype(np.int64)
        present = rows.present[order].astype(np.int64)
        # What comes after a FIN and lies behind it was never part of the stream.
        fin, fin_row = self._fins(side, start)
        late = order > fin_row[of]
        before_fin = np.zeros(sides, np.int64)
        np.maximum.at(before_fin, of[~late], (offset + length)[~late])
        fin = np.where(fin < before_fin, _UNSET, fin)      # not this one: bytes behind it came before it
        reached = np.minimum(reached, fin)
        length = np.where(late, np.clip(fin[of] - offset, 0, length), length)
        present = np.minimum(present, length)
        end = offset + length
        bounds = np.searchsorted(of, np.arange(sides + 1))
        apart = _apart(of, offset, end, present == length, sides)
        if apart.any():
            turned = _by_offset(of, offset, end, (present == length) & (length > 0), apart)
            offset, length, present, end, order = (
                column[turned] for column in (offset, length, present, end, order)
            )
        filled = bounds[:-1] < bounds[1:]
        total = np.zeros(sides, np.int64)
        total[filled] = end[bounds[1:][filled] - 1]
        # A FIN that was not captured is acknowledged too: one number more than bytes.
        reached = np.where((reached == total + 1) & (fin == _UNSET), total, reached)
        simple = ~apart & (reached <= total)
        return Evidence(
            offset,
            length,
            end,
            present,
            rows.at[order].astype(np.int64),
            rows.frame[order],
            rows.time_ns[order],
            bounds,
            start,
            reached,
            np.maximum(horizon - start, 0),
            simple,
        )

    def _starts(
        self, side: NDArray[np.int64], carrying: NDArray[np.bool_], steady: NDArray[np.bool_]
    ) -> NDArray[np.int64]:
        """Offset, from the base, of each stream's first byte: 0 behind a SYN, else the earliest seen.

        Without a byte it is the earliest sequence number seen, else the earliest acknowledged. Where
        only the other side's SYN was captured, what that side acknowledged first may lie before all
        of these: the bytes in between were sent, and are missing.
        """
        rows, sides = self.rows, self.sides
        start = np.zeros(sides, np.int64)
        opened = np.zeros(sides, np.bool_)
        opened[side[(rows.flags & _SYN) != 0]] = True
        mid = ~opened
        if not mid.any():
            return start
        acking = steady & ((rows.flags & _SYN_ACK) == _ACK)
        earliest = np.full((3, sides), _UNSET)
        np.minimum.at(earliest[0], side[carrying], self.offset[carrying])
        np.minimum.at(earliest[1], side[steady], self.offset[steady])
        np.minimum.at(earliest[2], side[acking] ^ 1, self.acked[acking])
        for seen in earliest[::-1]:
            start = np.where(mid & (seen != _UNSET), seen, start)
        half = mid & opened[np.arange(sides) ^ 1]
        if half.any():
            acked = np.full(sides, _UNSET)
            answering = steady & ((rows.flags & _ACK) != 0)
            np.minimum.at(acked, side[answering] ^ 1, self.acked[answering])
            start = np.where(half, np.minimum(start, acked), start)
        return start

    def _stale(self, side: NDArray[np.int64], carrying: NDArray[np.bool_]) -> list[int]:
        """Keep-alives before any other byte of their side: one byte that is acknowledged already."""
        rows = self.rows
        at = hits(carrying)[::-1]
        first = np.full(self.sides, -1)
        first[side[at]] = at
        first = first[first >= 0]
        stale = []
        for row in first[rows.length[first] == 1].tolist():
            start = int(np.searchsorted(self.local, self.local[row]))
            earlier = slice(start, row)
            peer = (rows.side[earlier] != rows.side[row]) & ((rows.flags[earlier] & (_ACK | _RST)) == _ACK)
            ahead = self.acked[earlier][peer] - self.offset[row]
            if ((ahead >= 1) & (ahead < 1 << 30)).any():
                stale.append(row)
        return stale

    def _reached(
        self,
        side: NDArray[np.int64],
        steady: NDArray[np.bool_],
        start: NDArray[np.int64],
        horizon: NDArray[np.int64],
    ) -> NDArray[np.int64]:
        """The highest offset, from the base, that shows that the bytes before it existed.

        steady: rows that are neither quoted nor RST.
        A segment shows it by its own sequence number, or by what it acknowledges if its own
        sequence number is one that its side may send. RST is no witness: many stacks fill it with
        anything. Numbers beyond the horizon are none either: nothing there was kept to compare.
        """
        rows = self.rows
        reached = start.copy()
        end = self.offset + rows.length
        sane = steady & (np.abs(self.offset) <= horizon[side])
        own = sane & (end <= horizon[side])
        np.maximum.at(reached, side[own], end[own])
        acks = sane & ((rows.flags & _ACK) != 0) & (self.acked <= horizon[side ^ 1])
        np.maximum.at(reached, side[acks] ^ 1, self.acked[acks])
        return reached

    def _fins(
        self, side: NDArray[np.int64], start: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Of each side's first FIN: the offset it stands at, and its row; _UNSET without one."""
        at = hits((self.rows.flags & _FIN) != 0)[::-1]
        fin, row = np.full(self.sides, _UNSET), np.full(self.sides, _UNSET)
        fin[side[at]] = (self.offset + self.rows.length)[at] - start[side[at]]
        row[side[at]] = at
        return fin, row


def _apart(
    of: NDArray[np.int64], offset: NDArray[np.int64], end: NDArray[np.int64], whole: NDArray[np.bool_], sides: int
) -> NDArray[np.bool_]:
    """Which sides have rows that do not follow each other from offset 0 on, or are not whole. of: ascending, the side of each row."""
    before = np.zeros(len(of), np.int64)
    before[1:] = np.where(of[1:] == of[:-1], end[:-1], 0)
    found = np.zeros(sides, np.bool_)
    found[of[hits((offset != before) | ~whole)]] = True
    return found


def _by_offset(
    of: NDArray[np.int64],
    offset: NDArray[np.int64],
    end: NDArray[np.int64],
    whole: NDArray[np.bool_],
    apart: NDArray[np.bool_],
) -> NDArray[np.int64]:
    """The rows, those of sides in the order of their streams that follow each other then; these are no longer `apart`."""
    rows = hits(apart[of])
    side = of[rows]
    turned = rows[np.lexsort((offset[rows], side))]
    left = _apart(side, offset[turned], end[turned], whole[turned], len(apart))
    found = np.arange(len(of))
    mended = ~left[side]
    found[rows[mended]] = turned[mended]
    apart &= left
    return found
