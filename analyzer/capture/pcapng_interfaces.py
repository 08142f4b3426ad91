"""Interface description blocks -> what the frames of each interface share; their clocks -> nanoseconds.

Columns, because nothing keeps a file from having as many interfaces as packets.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from analyzer.capture.gather import distinct, gather, hits

MAX_OPTIONS = 32
"""Options of one block that are looked at; the specification knows about twenty of an interface."""

_BLOCK = np.dtype([("link_type", "<u2"), ("reserved", "<u2"), ("snap", "<u4")])
_OPTION = np.dtype([("code", "<u2"), ("size", "<u2")])
_WORD = np.dtype([("value", "<u8")])
_TSRESOL, _TSOFFSET = 9, 14


class Interfaces(NamedTuple):
    """One row per interface."""

    link_type: NDArray[np.int32]
    snap: NDArray[np.int64]              # 0: no limit
    resolution: NDArray[np.uint8]        # if_tsresol as written: 10**-n, with the high bit 2**-n
    offset: NDArray[np.int64]            # seconds

    @property
    def size(self) -> int:
        """How many."""
        return len(self.link_type)

    def rows(self, which: slice) -> Interfaces:
        """Some of them."""
        return Interfaces(self.link_type[which], self.snap[which], self.resolution[which], self.offset[which])

    def and_then(self, others: Interfaces) -> Interfaces:
        """These and others after them."""
        if not others.size:
            return self
        return Interfaces(
            np.concatenate([self.link_type, others.link_type]), np.concatenate([self.snap, others.snap]),
            np.concatenate([self.resolution, others.resolution]), np.concatenate([self.offset, others.offset]))


def undeclared(count: int) -> Interfaces:
    """So many interfaces that no block describes."""
    return Interfaces(
        np.full(count, -1, np.int32), np.zeros(count, np.int64), np.full(count, 6, np.uint8), np.zeros(count, np.int64))


def interfaces(chunk: NDArray[np.uint8], at: NDArray[np.int64], end: NDArray[np.int64], big: NDArray[np.bool_]) -> Interfaces:
    """What the interface description blocks say whose bodies are at `at` to `end`."""
    if not len(at):
        return undeclared(0)
    fixed = gather(chunk, at, _BLOCK)
    link_type, snap = _native(fixed["link_type"], big), _native(fixed["snap"], big)
    resolution, offset = np.full(len(at), 6, np.uint8), np.zeros(len(at), np.int64)
    for code, row, place, size in options(chunk, at + 8, end, big):
        clock = (code == _TSRESOL) & (size >= 1)
        resolution[row[clock]] = chunk[place[clock]]
        shift = (code == _TSOFFSET) & (size >= 8)
        if shift.any():
            offset[row[shift]] = numbers(chunk, place[shift], big[row[shift]]).view(np.int64)
    return Interfaces(link_type.astype(np.int32), snap.astype(np.int64), resolution, offset)


class Options(NamedTuple):
    """The n-th option of each block that has so many."""

    code: NDArray[np.uint16]
    row: NDArray[np.int64]               # of the block
    place: NDArray[np.int64]             # where its value begins in the chunk
    size: NDArray[np.int64]              # of its value


def options(
    chunk: NDArray[np.uint8], at: NDArray[np.int64], end: NDArray[np.int64], big: NDArray[np.bool_]
) -> list[Options]:
    """The options that stand from `at` to `end` in each block, up to the end mark: the first of all, the second...

    Only the first MAX_OPTIONS, and of each block none from the first on that reaches beyond its end.
    """
    found: list[Options] = []
    row = hits(at + 4 <= end)
    at = at[row]
    for _ in range(MAX_OPTIONS):
        if not len(row):
            break
        head = gather(chunk, at, _OPTION)
        code, size = _native(head["code"], big[row]), _native(head["size"], big[row]).astype(np.int64)
        good = (code != 0) & (at + 4 + size <= end[row])
        row, at, code, size = row[good], at[good], code[good], size[good]
        found.append(Options(code, row, at + 4, size))
        at = at + 4 + (size + 3 & ~3)
        more = at + 4 <= end[row]
        row, at = row[more], at[more]
    return found


def numbers(chunk: NDArray[np.uint8], at: NDArray[np.int64], big: NDArray[np.bool_]) -> NDArray[np.uint64]:
    """The eight bytes at each place as an unsigned number."""
    return _native(gather(chunk, at, _WORD)["value"], big)


def _native(column: NDArray[Any], big: NDArray[np.bool_]) -> NDArray[Any]:
    return np.where(big, column.byteswap(), column)


def nanoseconds(ticks: NDArray[np.uint64], known: Interfaces, index: NDArray[np.int64]) -> NDArray[np.int64]:
    """Ticks of the clock of each frame's interface as nanoseconds since 1970, rounded down."""
    if not len(ticks):
        return ticks.astype(np.int64)
    first = int(index[0])
    if (index == first).all():
        return _of_clock(ticks, int(known.resolution[first])) + _shift(known.offset[first:first + 1])
    resolution = known.resolution[index]
    clocks = distinct(resolution).tolist()
    if len(clocks) == 1:
        time = _of_clock(ticks, clocks[0])
    else:
        time = np.empty(len(ticks), np.int64)
        for clock in clocks:
            mine = resolution == clock
            time[mine] = _of_clock(ticks[mine], clock)
    return time + _shift(known.offset[index])


def _shift(seconds: NDArray[np.int64]) -> NDArray[np.int64]:
    # Written to be wrong, an offset may be anything: it wraps like the sum it is added to.
    return (seconds.view(np.uint64) * np.uint64(1_000_000_000)).view(np.int64)


def _of_clock(ticks: NDArray[np.uint64], resolution: int) -> NDArray[np.int64]:
    exponent = resolution & 0x7F
    if resolution & 0x80:
        seconds = ticks >> np.uint64(exponent) if exponent < 64 else np.zeros_like(ticks)
        fraction = ticks - (seconds << np.uint64(exponent)) if exponent < 64 else ticks
        # 34 bits of fraction are finer than a nanosecond, and times 10**9 still fit 64 bits.
        if exponent > 34:
            fraction = fraction >> np.uint64(min(exponent - 34, 63))
        fraction = fraction * np.uint64(1_000_000_000) >> np.uint64(min(exponent, 34))
        time = seconds * np.uint64(1_000_000_000) + fraction
    elif exponent <= 9:
        time = ticks * np.uint64(10 ** (9 - exponent))
    elif exponent <= 28:
        time = ticks // np.uint64(10 ** (exponent - 9))
    else:
        time = np.zeros_like(ticks)
    return time.view(np.int64)
