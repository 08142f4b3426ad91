"""IP fragments of a capture -> whole datagrams, in the frame that completes them, as Wireshark has it."""

from __future__ import annotations

from bisect import bisect_right

import numpy as np

from analyzer.capture.layers import IP4, IP6, Chunk, Fragments, Rows

MAX_HELD = 32 << 20
"""Bytes of unfinished datagrams kept; the oldest go first. A datagram has 64 KiB at most."""
_OVERHEAD = 200                      # of one kept piece, in bytes


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
    """

    def __init__(self) -> None:
        self.dropped = 0
        self.most = 0
        self.seen: set[Key] | None = None
        self._held = 0
        self._datagrams: dict[Key, _Datagram] = {}

    def complete(self, chunk: Chunk) -> bool:
        """Take the chunk's fragments, in capture order, and push what they complete. False: nothing."""
        parts, chunk.fragments = chunk.fragments, []
        data = chunk.data
        tail = bytearray()
        found: list[tuple[int, int, int, int, int, int]] = []
        for row, ip, at, end, ident, protocol, offset, more, v6, mark in sorted(
            line for part in parts for line in _lines(part)
        ):
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
        self.dropped += later.dropped
        self.most = max(self.most, self._held + later.most)
        self._held += later._held
        self._datagrams.update(later._datagrams)
        return True

    def _forget(self, key: Key) -> None:
        datagram = self._datagrams.pop(key)
        self._held -= datagram.covered + _OVERHEAD * (len(datagram.pieces) + 1)


def _lines(part: Fragments) -> list[tuple[int, ...]]:
    """The fragments as rows of numbers, the frame first."""
    rows = part.rows
    count = len(rows.row)
    columns = (
        rows.row, rows.ip, rows.at, rows.end, part.ident, part.protocol, part.offset, part.more,
        np.full(count, part.v6), rows.mark,
    )
    return list(zip(*(column.tolist() for column in columns), strict=True))
