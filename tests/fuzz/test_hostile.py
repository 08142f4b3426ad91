"""What is made to cost time costs little, because nothing takes the square of it."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from tests.fuzz.check import check, check_command
from tests.fuzz.hostile import CASES


@pytest.mark.parametrize("name", CASES)
def test_no_capture_costs_more_than_its_size(name: str) -> None:
    """120 kB in the processor time of check.SECONDS; `python -m tests.fuzz --hostile` takes a whole one."""
    data = CASES[name](120_000)
    assert len(data) <= 120_000
    assert check(data) is None


@pytest.mark.parametrize("packed", [1, 2])
def test_a_bomb_is_stopped_and_said_to_be_one(tmp_path: Path, packed: int) -> None:
    """Sixty megabytes of zero bytes behind a header, in a few kilobytes; in gzip twice it is no capture."""
    data = CASES["empty-records"](60_000_000)
    for _ in range(packed):
        data = gzip.compress(data, mtime=0)
    (tmp_path / "bomb").write_bytes(data)
    assert check_command(data, "--max-decompressed", "1M") is None
