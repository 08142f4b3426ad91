"""Payload in memory and in a temporary file: the same bytes."""

from __future__ import annotations

import random
from typing import IO

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzer.errors import Error
from analyzer.tcp import arena
from analyzer.tcp.arena import Arena


def _filled(parts: list[bytes], held: int) -> Arena:
    made = Arena()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(arena, "IN_MEMORY", held)
        for part in parts:
            made.newest += part
            made.put_away()
    return made


def _fetched(made: Arena, spans: list[tuple[int, int]]) -> list[bytes]:
    at, size = (np.array(column, np.int64) for column in zip(*spans, strict=True))
    found, moved = made.fetch(at, size)
    return [bytes(found[begin : begin + length]) for begin, length in zip(moved.tolist(), size.tolist(), strict=True)]


@given(st.data())
def test_every_span_comes_back(data: st.DataObject) -> None:
    parts = data.draw(st.lists(st.binary(min_size=1, max_size=50), min_size=1, max_size=20))
    made = _filled(parts, data.draw(st.sampled_from([1 << 20, 60, 0])))
    whole = b"".join(parts)
    span = st.integers(0, len(whole) - 1).flatmap(
        lambda at: st.tuples(st.just(at), st.integers(1, len(whole) - at))
    )
    spans = data.draw(st.lists(span, min_size=1, max_size=20))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(arena, "_NEAR", data.draw(st.sampled_from([0, 5, 1 << 16])))
        assert _fetched(made, spans) == [whole[at : at + size] for at, size in spans]
    assert len(made) == len(whole)


def test_memory_holds_the_newest_only() -> None:
    made = _filled([random.Random(1).randbytes(1000) for _ in range(100)], 5000)
    assert len(made.newest) <= 5000
    assert len(made) == 100_000


def test_where_no_file_can_be_written_all_stays_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    def full() -> IO[bytes]:
        raise OSError(28, "no space left on device")

    monkeypatch.setattr("tempfile.TemporaryFile", full)
    made = _filled([b"ab", b"cd", b"ef"], 0)
    assert bytes(made.newest) == b"abcdef"
    assert _fetched(made, [(1, 2), (0, 6)]) == [b"bc", b"abcdef"]


def test_a_file_that_lost_its_bytes_is_an_error() -> None:
    made = _filled([b"abc", b"def"], 0)
    assert made._file is not None
    made._file.truncate(2)
    with pytest.raises(Error, match="temporary file"):
        _fetched(made, [(1, 3)])
