"""Payload bytes that wait until a capture is read to its end: the newest in memory, the others in a temporary file.

How many bytes there are depends on how much the connections moved, so that memory must not.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import IO
from weakref import finalize

import numpy as np
from numpy.typing import NDArray

from analyzer.capture.gather import hits
from analyzer.errors import Error

IN_MEMORY = 1 << 20
"""Bytes of which the newest are in memory; more are there only where no file can be written."""
_NEAR = 64 << 10         # bytes between two spans that are read and not used, rather than read one by one


Read = Callable[[int, memoryview], None]
"""Fills a view with the bytes from a place on."""


def gathered(
    at: NDArray[np.int64], size: NDArray[np.int64], near: int, read: Read
) -> tuple[bytearray, NDArray[np.int64]]:
    """Bytes that hold each span, and where it begins in them. near: spans so close are read at once."""
    order = np.argsort(at, kind="stable")
    begin, end = at[order], np.maximum.accumulate((at + size)[order])
    apart = np.ones(len(at), np.bool_)
    apart[1:] = begin[1:] - end[:-1] > near
    first = hits(apart)
    start, stop = begin[first], end[np.append(first[1:], len(at))[: len(first)] - 1]
    found = bytearray(int((stop - start).sum()))
    target = np.cumsum(stop - start) - (stop - start)
    with memoryview(found) as view:
        for one, two, place in zip(start.tolist(), stop.tolist(), target.tolist(), strict=True):
            read(one, view[place : place + two - one])
    moved = np.empty_like(at)
    moved[order] = begin + np.repeat(target - start, np.diff(np.append(first, len(at))))
    return found, moved


class Arena:
    """Bytes in the order in which they came. `newest` may be appended to, and put_away called after that."""

    def __init__(self) -> None:
        self.newest = bytearray()
        self._file: IO[bytes] | None = None
        self._filed = 0                  # bytes in the file
        self._refused = False            # there is no room for a file

    def __len__(self) -> int:
        return self._filed + len(self.newest)

    def put_away(self) -> None:
        """Write what is more than memory should hold to the file."""
        if len(self.newest) <= IN_MEMORY or self._refused:
            return
        try:
            if self._file is None:
                from tempfile import TemporaryFile

                self._file = TemporaryFile()  # noqa: SIM115 - closed with the arena
                finalize(self, self._file.close)
            self._file.seek(self._filed)
            self._file.write(self.newest)
            self._file.flush()
        except OSError:
            self._refused = True         # memory it is, then
            return
        self._filed += len(self.newest)
        self.newest = bytearray()

    def fetch(
        self, at: NDArray[np.int64], size: NDArray[np.int64]
    ) -> tuple[bytearray, NDArray[np.int64]]:
        """Bytes that hold each span, and where it begins in them. at, size: spans as they were appended."""
        if not self._filed:
            return self.newest, at
        return gathered(at, size, _NEAR, self._read)

    def _read(self, start: int, view: memoryview) -> None:
        """Fill a view with the bytes from a place on."""
        filed = max(min(self._filed - start, len(view)), 0)
        if filed:
            assert self._file is not None
            try:
                self._file.seek(start)
                whole = self._file.readinto(view[:filed]) == filed     # type: ignore[attr-defined]
            except OSError:
                whole = False
            if not whole:
                raise Error("a temporary file cannot be read back")
        if filed < len(view):
            begin = start + filed - self._filed
            view[filed:] = self.newest[begin : begin + len(view) - filed]
