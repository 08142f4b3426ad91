"""Pairs of 64-bit words -> small consecutive numbers: a hash table that takes and answers whole arrays."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analyzer.capture.gather import hits

_EMPTY = -1
_FIRST_SLOTS = 1 << 10
_FIRST_ROOM = 1 << 9


def grown(column: NDArray[Any], rows: int) -> NDArray[Any]:
    """The column with room for `rows` rows at least, doubling; new rows are zero."""
    room = len(column)
    if rows <= room:
        return column
    while room < rows:
        room *= 2
    larger = np.zeros((room, *column.shape[1:]), column.dtype)
    larger[: len(column)] = column
    return larger


class PairTable:
    """Numbers distinct pairs 0, 1, 2, ... A pair keeps its number.

    The multipliers are secret and new in each process, so that no capture can be made whose
    pairs all collide. Which of several new pairs gets the lower number depends on them: nothing
    that is shown may depend on the numbers themselves.
    Memory: 16 bytes a pair and 8 to 16 for its slots, up to twice that just after growing.
    """

    def __init__(self) -> None:
        one, two, three = np.frombuffer(os.urandom(24), np.uint64) | np.uint64(1)
        self._multipliers: tuple[np.uint64, np.uint64, np.uint64] = (one, two, three)
        self._slots: NDArray[np.int32] = np.full(_FIRST_SLOTS, _EMPTY, np.int32)
        self._first: NDArray[np.uint64] = np.zeros(_FIRST_ROOM, np.uint64)
        self._second: NDArray[np.uint64] = np.zeros(_FIRST_ROOM, np.uint64)
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def words(self, numbers: NDArray[Any]) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
        """The two words of each numbered pair."""
        return self._first[numbers], self._second[numbers]

    def find(self, first: NDArray[np.uint64], second: NDArray[np.uint64]) -> NDArray[np.int64]:
        """The number of each pair, -1 where it has none."""
        return self._walk(first, second, add=False)

    def number(
        self, first: NDArray[np.uint64], second: NDArray[np.uint64], limit: int
    ) -> NDArray[np.int64]:
        """The number of each pair. A new pair gets the next one, or -1 once `limit` pairs have one."""
        if self._count + len(first) <= limit:
            self._grow(self._count + len(first))
            return self._walk(first, second, add=True)
        found = self.find(first, second)
        missing = hits(found < 0)
        if missing.size and self._count < limit:
            # Only the earliest new pairs get a number: then chunks of any size number the same ones.
            firsts: dict[tuple[int, int], int] = {}
            pairs = zip(first[missing].tolist(), second[missing].tolist(), missing.tolist(), strict=True)
            for one, two, row in pairs:
                if (one, two) not in firsts:
                    firsts[one, two] = row
                    if self._count + len(firsts) == limit:
                        break
            rows = np.array(list(firsts.values()))
            self._grow(self._count + len(rows))
            self._walk(first[rows], second[rows], add=True)
            found[missing] = self.find(first[missing], second[missing])
        return found

    def _home(self, first: NDArray[np.uint64], second: NDArray[np.uint64]) -> NDArray[np.int64]:
        one, two, three = self._multipliers
        mixed = first * one + second * two
        mixed ^= mixed >> np.uint64(32)
        mixed *= three
        return (mixed >> np.uint64(65 - len(self._slots).bit_length())).astype(np.int64)

    def _grow(self, pairs: int) -> None:
        """Make room for so many pairs at a load of at most one half."""
        slots = len(self._slots)
        if 2 * pairs > slots:
            while 2 * pairs > slots:
                slots *= 2
            self._slots = np.full(slots, _EMPTY, np.int32)
            self._place(np.arange(self._count))
        self._first = grown(self._first, pairs)
        self._second = grown(self._second, pairs)

    def _place(self, numbers: NDArray[np.int64]) -> None:
        """Enter pairs that are known to be distinct into empty slots."""
        slots, last = self._slots, len(self._slots) - 1
        at = self._home(self._first[numbers], self._second[numbers])
        while numbers.size:
            empty = slots[at] == _EMPTY
            slots[at[empty]] = numbers[empty]
            waiting = slots[at] != numbers
            numbers, at = numbers[waiting], (at[waiting] + 1) & last

    def _walk(
        self, first: NDArray[np.uint64], second: NDArray[np.uint64], *, add: bool
    ) -> NDArray[np.int64]:
        """Probe slot after slot, all rows at once. `add`: new pairs claim the empty slot they come to."""
        slots, last = self._slots, len(self._slots) - 1
        found = np.zeros(0, np.int64)
        rows: NDArray[np.int64] | None = None            # None: all of them
        at = self._home(first, second)
        one, two = first, second
        while rows is None or len(rows):
            number = slots[at]
            taken = number >= 0
            if add and not taken.all():
                free = hits(~taken)
                self._claim(at[free], one[free], two[free])
                number = slots[at]
                taken = number >= 0
            # What another pair has taken is put right in the next round; _EMPTY is what it should be.
            if rows is None:
                found = number.astype(np.int64)
            else:
                found[rows] = number
            onward = hits(taken & ((self._first[number] != one) | (self._second[number] != two)))
            rows = onward if rows is None else rows[onward]
            at = (at[onward] + 1) & last
            one, two = first[rows], second[rows]
        return found

    def _claim(
        self, at: NDArray[np.int64], first: NDArray[np.uint64], second: NDArray[np.uint64]
    ) -> None:
        """Give each of these empty slots to one of the rows that want it."""
        slots = self._slots
        claim = np.arange(len(at), dtype=np.int32)
        slots[at] = claim
        owner = hits(slots[at] == claim)
        numbers = np.arange(self._count, self._count + len(owner))
        slots[at[owner]] = numbers
        self._first[numbers] = first[owner]
        self._second[numbers] = second[owner]
        self._count += len(owner)
