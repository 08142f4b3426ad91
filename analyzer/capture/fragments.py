"""IP fragments of a capture -> whole datagrams, in the frame that completes them, as Wireshark has it."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from analyzer.capture.layers import IP4, IP6, Chunk, Fragments, Rows

MAX_HELD = 32 << 20
"""Bytes of unfinished datagrams kept; the oldest go first. A datagram has 64 KiB at most."""
_OVERHEAD = 200                      # of one kept piece, in bytes

CREDIT = 200 << 20
COST = 400
"""What a fragment may cost: bytes of it are earned, and COST spent. A sound network has few fragments of less
than 500 bytes, so only a capture made of small ones, half a million of them, comes to the end of CREDIT."""


Key = tuple[bytes, int, int]
"""Addresses, identification, protocol: what fragments of one datagram share."""


class _Datagram:
    """What is there of one datagram. Where fragments overlap, the first one's bytes stay."""

    __slots__ = ("covered", "pieces", "starts", "total")

    def __init__(self) -> None:
        self.starts: list[int] = []
        self.pieces: list[bytes] = []
        self.covered = 0
        self.total: int | None = None

    def add(self, offset: int, data: bytes, *, last: bool) -> int:
        """Take in a fragment; how many bytes of it were new."""
        if last and self.total is None:
            self.total = offset + len(data)
        before = self.covered
        at, end = offset, offset + len(data)
        place = bisect_right(self.starts, at)
        if place:
            at = max(at, self.starts[place - 1] + len(self.pieces[place - 1]))
        while at < end:
            begin = self.starts[place] if place < len(self.starts) else end
            if begin > at:
                stop = min(begin, end)
                self.starts.insert(place, at)
                self.pieces.insert(place, data[at - offset:stop - offset])
                self.covered += stop - at
                place += 1
            if place == len(self.starts):
                break
            at = max(at, self.starts[place] + len(self.pieces[place]))
            place += 1
        return self.covered - before

    def whole(self) -> bytes | None:
        """The datagram's payload once nothing of it is missing."""
        if self.total is None or self.covered < self.total:
            return None
        if self.starts[-1] + len(self.pieces[-1]) > self.total:      # bytes behind the last fragment
            inside = [
                piece[:self.total - start]
                for start, piece in zip(self.starts, self.pieces, strict=True) if start < self.total
            ]
            return b"".join(inside) if sum(map(len, inside)) == self.total else None
        return b"".join(self.pieces)


class Reassembler:
    """Keeps the unfinished datagrams of one capture. dropped: how many were given up for want of room.

    seen: the keys of all fragments that came, if it is a set; most: the most bytes ever held.
    passed: fragments that were not looked at, because too many small ones came before them, and the frame of
    the first; 0 and 0 where there is none.
    """

    def __init__(self) -> None:
        self.dropped = 0
        self.most = 0
        self.seen: set[Key] | None = None
        self.passed = (0, 0)
        self._credit = self._lowest = CREDIT             # now, and the least there was
        self._held = 0
        self._datagrams: dict[Key, _Datagram] = {}

    def complete(self, chunk: Chunk, first_frame: int) -> bool:
        """Take the chunk's fragments, in capture order, and push what they complete. False: nothing.

        first_frame: frame number of the chunk's row 0.
        """
        parts, chunk.fragments = chunk.fragments, []
        data = chunk.data
        tail = bytearray()
        found: list[tuple[int, int, int, int, int, int]] = []
        for row, ip, at, end, ident, protocol, offset, more, v6, mark in self._affordable(_columns(parts), first_frame):
            addresses = data[ip + 8:ip + 40] if v6 else data[ip + 12:ip + 20]
            # IPv6 identifies by addresses and identification alone, RFC 8200 4.5.
            key = (addresses.tobytes(), ident, -1 if v6 else protocol)
            if self.seen is not None:
                self.seen.add(key)
            datagram = self._datagrams.get(key)
            if datagram is None:
                datagram = self._datagrams[key] = _Datagram()
                self._held += _OVERHEAD
            new = datagram.add(offset, data[at:end].tobytes(), last=not more)
            self._held += new + (_OVERHEAD if new else 0)
            self.most = max(self.most, self._held)
            payload = datagram.whole()
            if payload is not None:
                self._forget(key)
                header = data[ip:ip + (40 if v6 else 20)].tobytes()
                begin = len(data) + len(tail)
                tail += header + payload
                found.append((row, begin, begin + len(header), len(data) + len(tail),
                              (IP6 if v6 else IP4) + protocol, mark))
            while self._held > MAX_HELD and self._datagrams:
                self.dropped += 1
                self._forget(next(iter(self._datagrams)))
        if not found:
            return False
        chunk.data = np.concatenate([data, np.frombuffer(tail, np.uint8)])
        column = np.array(found, np.int64)
        chunk.dispatch(0, column[:, 4], Rows(
            column[:, 0], column[:, 2], column[:, 3], column[:, 3], column[:, 1], column[:, 5].astype(np.uint32)
        ))
        return True

    def follow(self, later: Reassembler) -> bool:
        """Become what reads on where this one ended. False, and nothing is changed: not what `later` has read so.

        later: began with nothing held and has its keys in `seen`.
        """
        assert later.seen is not None
        if self._held + later.most > MAX_HELD or not later.seen.isdisjoint(self._datagrams):
            return False
        if self.passed[0] or later.passed[0] or self._credit + later._lowest < CREDIT:
            return False
        self._lowest = min(self._lowest, self._credit + later._lowest - CREDIT)
        self._credit += later._credit - CREDIT
        self.dropped += later.dropped
        self.most = max(self.most, self._held + later.most)
        self._held += later._held
        self._datagrams.update(later._datagrams)
        return True

    def _affordable(self, columns: NDArray[np.int64], first_frame: int) -> Iterator[list[int]]:
        """The fragments that are looked at, as rows of numbers."""
        count = columns.shape[1]
        if self.passed[0]:
            self.passed = (self.passed[0] + count, self.passed[1])
            return iter(())
        left = self._credit + np.cumsum(columns[3] - columns[2] - COST)
        if left.min() < 0:
            good = int(np.argmax(left < 0))
            self.passed = (count - good, first_frame + int(columns[0, good]))
            columns = columns[:, :good]
        elif count:
            self._credit, self._lowest = int(left[-1]), min(self._lowest, int(left.min()))
        return iter(columns.T.tolist())

    def _forget(self, key: Key) -> None:
        datagram = self._datagrams.pop(key)
        self._held -= datagram.covered + _OVERHEAD * (len(datagram.pieces) + 1)


def _columns(parts: Sequence[Fragments]) -> NDArray[np.int64]:
    """The fragments in capture order, shape (10, fragments)."""
    columns = np.concatenate([
        np.array([
            part.rows.row, part.rows.ip, part.rows.at, part.rows.end, part.ident, part.protocol, part.offset,
            part.more, np.full(len(part.rows.row), part.v6), part.rows.mark,
        ], np.int64)
        for part in parts
    ], axis=1)
    return columns[:, np.lexsort((columns[1], columns[0]))]
