"""What is read ahead is what is read one after the other."""

from __future__ import annotations

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzer.capture import buffers
from analyzer.capture.buffers import Buffers
from analyzer.capture.source import Limits, Source

DATA = bytes(range(1, 251)) * 5


def source(data: bytes, size: int) -> Source:
    return Source("x", io.BytesIO(data), Limits(), owned=False, size=size)


@pytest.mark.parametrize("ahead", [False, True])
@given(
    st.integers(1, 70), st.lists(st.tuples(st.integers(0, 60), st.integers(0, 300)), max_size=80), st.integers(0, len(DATA)),
)
def test_each_byte_comes_once_and_in_its_place(ahead: bool, chunk: int, steps: list[tuple[int, int]], end: int) -> None:
    """However much is kept of each chunk, however much the next one must have, and however much is read at a time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(buffers, "HEADROOM", 16)
        patch.setattr(buffers, "LARGE", 1)
        data = DATA[:end]
        read = Buffers(source(data, end), chunk)
        if ahead:
            read.read_ahead()
        for left, more in steps:
            assert read.data.tobytes() == data[read.at : read.at + len(read.data)]
            assert read.ended == (read.at + len(read.data) == end) or not read.ended
            if read.ended:
                break
            read.wanted = 1 + more % chunk
            kept = min(left, len(read.data))
            at = read.at + len(read.data) - kept
            read.next(kept, kept + more)
            assert read.at == at
            assert len(read.data) > kept or read.ended
        read.close()
        if read.ended:
            assert read.at + len(read.data) == end


def test_a_failed_read_is_told_where_it_happened(monkeypatch: pytest.MonkeyPatch) -> None:
    """An error of the system in the thread ends the capture there, as it does without one."""

    class Broken(io.BytesIO):
        def readinto(self, view: memoryview) -> int:  # type: ignore[override]
            if self.tell() >= 100:
                raise OSError(5, "Input/output error")
            return super().readinto(view[: 100 - self.tell()])

    monkeypatch.setattr(buffers, "LARGE", 1)
    found = Source("x", Broken(DATA), Limits(), owned=False, size=len(DATA))
    read = Buffers(found, 60)
    read.read_ahead()
    read.next(0, 1)
    read.close()
    assert (read.ended, read.at, len(read.data)) == (True, 60, 40)
    assert found.cut is not None
    assert (found.cut.offset, "Input/output error" in found.cut.reason) == (100, True)
    assert np.array_equal(read.data, np.frombuffer(DATA, np.uint8)[60:100])


def test_what_a_read_raises_is_raised_where_its_bytes_are_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    class Full(io.BytesIO):
        def readinto(self, view: memoryview) -> int:  # type: ignore[override]
            if self.tell() >= 60:
                raise MemoryError("no room")
            return super().readinto(view[: 60 - self.tell()])

    monkeypatch.setattr(buffers, "LARGE", 1)
    read = Buffers(Source("x", Full(DATA), Limits(), owned=False, size=len(DATA)), 60)
    read.read_ahead()
    with pytest.raises(MemoryError, match="no room"):
        read.next(0, 1)
    read.close()
    read.close()                             # may be called twice, and while a read is under way
