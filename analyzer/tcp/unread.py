"""Large SMB messages of which nothing but the header is read: which segments hold only such bytes.

The data of READ and WRITE and what is encrypted or compressed is most of what connections move. No verdict
depends on a byte of it, so that none is kept; a segment that holds such bytes says where they were, and zeros
stand for them.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from analyzer.capture.gather import hits
from analyzer.capture.table import SegmentTable
from analyzer.tcp.batch import Batch
from analyzer.tcp.pairs import grown
from analyzer.tcp.recognise import starts_unread


class Unread:
    """Follows both sides of all connections. Memory: 32 bytes a connection, none before the first such message."""

    def __init__(self) -> None:
        # By 2 * connection + side, of the newest such message: where it is not read, as stream offsets.
        self._begin: NDArray[np.int64] = np.zeros(0, np.int64)
        self._end: NDArray[np.int64] = np.zeros(0, np.int64)

    def within(
        self, segments: SegmentTable, batch: Batch, carrying: NDArray[np.bool_], count: int
    ) -> NDArray[np.bool_]:
        """Which rows hold nothing else, whatever their chunk. Call it for each chunk, in order.

        carrying: those whose payload would be kept. count: connections there are.
        A segment that comes before the one its message begins in is not known to be one.
        """
        found = np.zeros(len(batch.rows), np.bool_)
        at = hits(carrying)
        starts, sizes = starts_unread(segments, batch.rows[at])
        if not len(starts) and not len(self._begin):
            return found
        if not len(self._begin):
            self._begin, self._end = np.zeros((2, 256), np.int64)
        self._begin, self._end = grown(self._begin, 2 * count), grown(self._end, 2 * count)
        until = np.full(len(at), -1)
        until[starts] = batch.offset[at[starts]] + sizes
        key = 2 * batch.conn[at] + batch.side[at]
        order = np.argsort(key, kind="stable")
        at, key, until = at[order], key[order], until[order]
        begin = batch.offset[at]
        end = begin + segments.length[batch.rows[at]]
        low, high = self._begin[key], self._end[key]
        heads = _in_force(hits(until > end), key, (begin, end), (low, high), until)
        newest = np.full(len(at) + 1, -1)                # head before each row
        newest[heads + 1] = heads
        newest = np.maximum.accumulate(newest)[:-1]
        here = hits((newest >= 0) & (key[newest] == key))
        low[here], high[here] = end[newest[here]], until[newest[here]]
        found[at] = (begin >= low) & (end <= high)
        self._begin[key[heads]] = end[heads]             # of several the last one stays
        self._end[key[heads]] = until[heads]
        return found


def _in_force(
    heads: NDArray[np.int64],
    key: NDArray[np.int64],
    span: tuple[NDArray[np.int64], NDArray[np.int64]],
    before: tuple[NDArray[np.int64], NDArray[np.int64]],
    until: NDArray[np.int64],
) -> NDArray[np.int64]:
    """The rows that begin a message: not those that only look like it, within another one.

    span: where each row begins and ends; before: the message of its side that was begun before these rows.
    """
    taken: list[int] = []
    side = low = high = -1
    columns = (key, *span, *before, until)
    for head, of, begin, end, first, last, due in zip(
        heads.tolist(), *(column[heads].tolist() for column in columns), strict=True
    ):
        if of != side:
            side, low, high = of, first, last
        if begin < low or end > high:
            taken.append(head)
            low, high = end, due
    return np.array(taken, np.int64)
