"""The hash table of word pairs against a dict."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from analyzer.tcp.pairs import PairTable

PAIRS = st.lists(st.lists(st.tuples(st.integers(0, 5), st.integers(2**64 - 5, 2**64 - 1)), max_size=40), max_size=5)


def words(pairs: list[tuple[int, int]]) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
    first = np.array([one for one, _ in pairs], np.uint64)
    return first, np.array([two for _, two in pairs], np.uint64)


@given(PAIRS)
def test_equal_pairs_get_equal_numbers(batches: list[list[tuple[int, int]]]) -> None:
    """Each distinct pair has one number, and the numbers are 0 .. n - 1."""
    table = PairTable()
    numbers: dict[tuple[int, int], int] = {}
    for batch in batches:
        found = table.number(*words(batch), limit=1000).tolist()
        for pair, number in zip(batch, found, strict=True):
            assert numbers.setdefault(pair, number) == number
    assert sorted(numbers.values()) == list(range(len(table)))
    assert table.find(*words(list(numbers))).tolist() == list(numbers.values())
    assert table.find(*words([(99, 99)])).tolist() == [-1]


@given(PAIRS, st.integers(0, 12))
def test_the_limit_admits_the_earliest_pairs(batches: list[list[tuple[int, int]]], limit: int) -> None:
    """Whatever the batches, the first `limit` distinct pairs have a number and no others."""
    table = PairTable()
    pairs = [pair for batch in batches for pair in batch]
    admitted = set(list(dict.fromkeys(pairs))[:limit])
    found = [number for batch in batches for number in table.number(*words(batch), limit=limit).tolist()]
    assert [number >= 0 for number in found] == [pair in admitted for pair in pairs]
    assert len(table) == len(admitted)


def test_growing_keeps_the_numbers() -> None:
    """A hundred thousand pairs in uneven batches, then all of them again."""
    table = PairTable()
    first = np.arange(100_000, dtype=np.uint64) * np.uint64(1 << 40)
    second = np.arange(100_000, dtype=np.uint64)[::-1] % np.uint64(7)
    before = np.concatenate(
        [table.number(first[i : i + 7919], second[i : i + 7919], 10**6) for i in range(0, 100_000, 7919)]
    )
    assert (table.find(first, second) == before).all()
    assert len(np.unique(before)) == len(table) == 100_000
    found = table.words(before)
    assert (found[0] == first).all()
    assert (found[1] == second).all()
