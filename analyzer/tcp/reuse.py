"""Rows of flows whose addresses and ports are used again -> where each new conversation begins.

The rare part of numbering, row by row. Only turning rows are walked: those that can begin a
conversation or set a base. All rows between two of them stay where the one before them is.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from analyzer.tcp.sequence import forward

_SYN, _ACK, _SYN_ACK = 0x02, 0x10, 0x12


class Rows(NamedTuple):
    """The columns that decide where rows belong. Row i of every column is the same segment."""

    flow: NDArray[np.int64]
    direction: NDArray[np.uint8]
    seq: NDArray[np.uint32]
    ack: NDArray[np.uint32]
    flags: NDArray[np.uint8]
    counts: NDArray[np.bool_]        # may set a base: neither quoted nor shorter than its own header

    def take(self, numbers: NDArray[np.int64]) -> Rows:
        """Some of the rows."""
        return Rows(
            self.flow[numbers],
            self.direction[numbers],
            self.seq[numbers],
            self.ack[numbers],
            self.flags[numbers],
            self.counts[numbers],
        )


class Sides(NamedTuple):
    """What is known of the two directions of each flow. base, known: by 2 * flow + direction."""

    opener: NDArray[np.uint8]        # direction of the newest conversation's first row
    base: NDArray[np.uint32]
    known: NDArray[np.bool_]


class Walk(NamedTuple):
    """What holds from each turning row on. Row i of every column is the same turning row."""

    origin: NDArray[np.int64]        # row that began the conversation, -1: it is older than these rows
    opener: NDArray[np.uint8]
    bases: NDArray[np.uint32]        # (rows, 2), by direction


def turning_rows(rows: Rows, story: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which rows of a story (row numbers, flow after flow, each in capture order) must be walked.

    They are the SYNs and, since the last SYN of the flow, the first row of each kind: direction,
    with or without ACK, setting bases or not.
    """
    flow, flags = rows.flow[story], rows.flags[story]
    syn = (flags & _SYN) != 0
    starts = np.ones(len(story), np.bool_)
    starts[1:] = flow[1:] != flow[:-1]
    part = np.cumsum(syn | starts)
    kind = part * 8 + rows.direction[story] * 4 + ((flags & _ACK) != 0) * 2 + rows.counts[story]
    turns: NDArray[np.bool_] = syn | starts
    turns[np.unique(kind, return_index=True)[1]] = True
    return turns


def walk(rows: Rows, turning: NDArray[np.int64], sides: Sides, new: int) -> Walk:
    """Follow the turning rows of whole flows; flows from `new` on begin with their first row here.

    sides: the state before these rows; the flows walked are brought up to date in it.
    """
    origins: list[int] = []
    openers: list[int] = []
    bases: list[tuple[int, int]] = []
    flow, origin, opener, base, known = -1, -1, 0, [0, 0], [False, False]

    def leave() -> None:
        if flow >= 0:
            sides.opener[flow] = opener
            sides.base[2 * flow : 2 * flow + 2] = base
            sides.known[2 * flow : 2 * flow + 2] = known

    columns = (column[turning].tolist() for column in rows)
    for row, (at, own, seq, ack, flags, counts) in zip(
        turning.tolist(), zip(*columns, strict=True), strict=True
    ):
        if at != flow:
            leave()
            flow, origin, opener = at, -1, int(sides.opener[at])
            base = sides.base[2 * at : 2 * at + 2].tolist()
            known = sides.known[2 * at : 2 * at + 2].tolist()
            if at >= new:
                origin, opener = row, own
        if flags & _SYN and known[own] and seq != base[own]:
            if flags & _ACK:
                base[own] = seq
            else:
                origin, opener, base, known = row, own, [0, 0], [False, False]
        if counts:
            if not known[own]:
                base[own], known[own] = (seq if flags & _SYN else forward(seq, -1)), True
            if flags & _ACK and not known[own ^ 1]:
                base[own ^ 1], known[own ^ 1] = forward(ack, -1), True
        origins.append(origin)
        openers.append(opener)
        bases.append((base[0], base[1]))
    leave()
    return Walk(
        np.array(origins, np.int64),
        np.array(openers, np.uint8),
        np.array(bases, np.uint32).reshape(-1, 2),
    )
