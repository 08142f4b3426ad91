"""tcp/connection.py Segments: with objects of the first ones only they are what they are with objects of all."""

from __future__ import annotations

from itertools import product

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from analyzer.tcp.connection import Segment, Segments

_DTYPES = ("i8", "i8", "u1", "u4", "u4", "u1", "u1", "i4", "i4", "u2")
_NUMBERS = (0, 1, 5, 6, 0x7FFF_FFFF, 0x8000_0000, 0xFFFF_FFFB, 0xFFFF_FFFF)

_number = st.sampled_from(_NUMBERS)
_segment = st.builds(
    Segment, st.integers(1, 99), st.integers(0, 2**40), st.integers(0, 1), _number, _number, st.integers(0, 255),
    st.integers(0, 255), st.sampled_from((0, 1, 6, 1460)), st.sampled_from((0, 1)), st.sampled_from((0, 0, 0x301)),
)  # fmt: skip


@given(st.lists(_segment, max_size=12), st.integers(0, 12))
def test_the_rest_in_columns_is_the_same(given: list[Segment], head: int) -> None:
    rest = given[head:]
    columns = [np.array([s[i] for s in rest], dtype) for i, dtype in enumerate(_DTYPES)] if rest else []
    found = Segments(tuple(given[:head]), columns)
    assert list(found) == given
    assert len(found) == len(given)
    assert found == Segments(tuple(given))
    assert (found[1:], found[-1:]) == (tuple(given[1:]), tuple(given[-1:]))
    for number in _NUMBERS:
        assert found.numbered(number) == [s for s in given if number in (s.seq, s.ack)]
    for number, side in product(_NUMBERS, (0, 1)):
        assert found.carrying(side, number) == [
            s for s in given
            if not s.icmp and s.side == side and number in {(s.seq + i) % 2**32 for i in range(s.length)}
        ]  # fmt: skip


def test_others_are_others() -> None:
    one = Segment(1, 0, 0, 7, 0, 2, 64, 0, 0, 0)
    assert Segments((one,)) != Segments((one._replace(seq=8),))
    assert hash(Segments((one,))) == hash(Segments((one,)))
    assert Segments((one,))[0] == one
