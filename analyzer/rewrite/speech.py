"""What SMB connections say under pseudonyms, by place in their streams."""

from __future__ import annotations

import zlib
from collections import OrderedDict
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from analyzer.rewrite.connections import rewritten_stream
from analyzer.rewrite.pseudonym import Pseudonyms
from analyzer.tcp.connection import ByteStream, Connection

_MODULUS, _HALF = 1 << 32, 1 << 31
_OPEN = 64               # connections whose bytes are at hand; most of them are zeros and kept compressed


class _Side(NamedTuple):
    """One side. base: the sequence number of offset 0; runs: offset and compressed bytes.

    original: kept only where frames disagree about bytes, to tell which of them came first.
    """

    base: int
    runs: tuple[tuple[int, bytes], ...]
    disagreeing: frozenset[int]
    original: ByteStream | None


class Speech:
    """The new bytes of all connections that were added."""

    def __init__(self) -> None:
        self._sides: dict[tuple[int, int], _Side] = {}
        self._known: NDArray[np.bool_] = np.zeros(1, np.bool_)
        self._open: OrderedDict[tuple[int, int], list[tuple[int, bytes]]] = OrderedDict()

    def add(self, connection: Connection, names: Pseudonyms) -> None:
        """Write down what both sides of a connection say."""
        for side, (stream, base) in enumerate(zip(connection.streams, connection.bases, strict=True)):
            if base is None or not stream.runs:
                continue
            new = rewritten_stream(stream, names)
            self._sides[connection.stream, side] = _Side(
                base,
                tuple((run.start, zlib.compress(run.data, 1)) for run in new.runs),
                frozenset(stream.disagreeing),
                stream if stream.disagreeing else None,
            )
            if connection.stream >= len(self._known):
                self._known = np.concatenate([self._known, np.zeros(connection.stream + 1, np.bool_)])
            self._known[connection.stream] = True

    def knows(self, streams: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Which of these are streams of which something is known."""
        inside = (streams >= 0) & (streams < len(self._known))
        return inside & self._known[np.where(inside, streams, 0)]

    def said(self, stream: int, side: int, seq: int, size: int, frame: int) -> bytes:
        """The new bytes of a segment, from its sequence number on; zero where nothing is known of them."""
        new = bytearray(size)
        known = self._sides.get((stream, side))
        if known is None:
            return bytes(new)
        at = (seq - known.base + _HALF) % _MODULUS - _HALF
        for start, data in self._runs((stream, side), known):
            first, last = max(at, start), min(at + size, start + len(data))
            if first < last:
                new[first - at : last - at] = data[first - start : last - start]
        if frame in known.disagreeing and known.original is not None:
            _disagree(new, at, known.original, frame)
        return bytes(new)

    def _runs(self, key: tuple[int, int], side: _Side) -> list[tuple[int, bytes]]:
        runs = self._open.get(key)
        if runs is None:
            runs = self._open[key] = [(start, zlib.decompress(data)) for start, data in side.runs]
            if len(self._open) > _OPEN:
                self._open.popitem(last=False)
        else:
            self._open.move_to_end(key)
        return runs


def _disagree(new: bytearray, at: int, original: ByteStream, frame: int) -> None:
    """A copy that came later with other bytes stays another one."""
    for offset in range(len(new)):
        first = original.frame_at(at + offset)
        if first is not None and first != frame:
            new[offset] ^= 0xFF
