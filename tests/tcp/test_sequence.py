"""The circle of sequence numbers, above all where it closes. RFC 9293 3.4."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzer.tcp.sequence import MODULUS, distance, distances, forward

TOP = MODULUS - 1
HALF = 1 << 31


@pytest.mark.parametrize(
    ("seq", "base", "expected"),
    [
        (0, 0, 0),
        (5, 3, 2),
        (3, 5, -2),
        (0, TOP, 1),
        (TOP, 0, -1),
        (10, TOP - 9, 20),
        (TOP - 9, 10, -20),
        (HALF - 1, 0, HALF - 1),
        (HALF, 0, -HALF),
        (HALF + 1, 0, -HALF + 1),
    ],
)
def test_distance(seq: int, base: int, expected: int) -> None:
    """The shorter way round, with its sign; scalar and array agree."""
    assert distance(seq, base) == expected
    found = distances(np.array([seq], np.uint32), np.array([base], np.uint32))
    assert found.dtype == np.int64
    assert found.tolist() == [expected]
    assert distances(np.array([seq], np.uint32), base).tolist() == [expected]


@pytest.mark.parametrize(
    ("seq", "by", "expected"), [(0, 0, 0), (TOP, 1, 0), (0, -1, TOP), (TOP - 2, 10, 7), (7, -10, TOP - 2)]
)
def test_forward(seq: int, by: int, expected: int) -> None:
    """Steps over the wrap in both directions."""
    assert forward(seq, by) == expected


@given(st.integers(0, TOP), st.integers(-HALF, HALF - 1))
def test_distance_undoes_forward(seq: int, by: int) -> None:
    """Going forward and measuring gives the step back, wherever one starts."""
    assert distance(forward(seq, by), seq) == by
