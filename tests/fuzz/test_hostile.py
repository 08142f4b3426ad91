"""What is made to cost time costs little, because nothing takes the square of it."""

from __future__ import annotations

import gzip
import io
from pathlib import Path

import pytest

from analyzer import reading
from analyzer.capture import reader
from analyzer.pipeline import run
from analyzer.reading import Settings
from analyzer.telling import Wanted
from tests.fuzz.check import check, check_command, rules
from tests.fuzz.hostile import CASES, UNITS, packed


@pytest.mark.parametrize("name", CASES)
def test_no_capture_costs_more_than_its_size(name: str) -> None:
    """120 kB in the processor time of check.SECONDS; `python -m tests.fuzz --hostile` takes a whole one."""
    data = CASES[name](120_000)
    assert len(data) <= 120_000
    assert check(data) is None


@pytest.mark.parametrize("name", UNITS)
def test_no_repetition_costs_more_than_its_size(name: str) -> None:
    """A megabyte of one thing, compressed; `python -m tests.fuzz --packed 1100000000` takes a gigabyte of each."""
    assert check(packed(name, 1_000_000)) is None


def test_a_bomb_of_connections_ends_the_reading_and_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """SYNs over and over: those of the first chunk are reported."""
    monkeypatch.setattr(reader, "CHUNK", 1 << 16)
    monkeypatch.setattr(reading, "COPIED_CONNECTIONS", 500)
    record = next(iter(run([("bomb", io.BytesIO(packed("new-syns", 2_000_000)))], rules(), Settings(), Wanted()))).record
    read, kept = (note.text for note in record.notes if note.kind == "limit-reached")
    assert "TCP connections that can only be copies of each other" in read
    assert kept.startswith("copied-connections: the limit of 500 was reached in frame 501")
    assert read.endswith("--max-decompressed lifts it") and kept.endswith("--max-decompressed lifts it")


@pytest.mark.parametrize("times", [1, 2])
def test_a_bomb_is_stopped_and_said_to_be_one(tmp_path: Path, times: int) -> None:
    """Sixty megabytes of zero bytes behind a header, in a few kilobytes; in gzip twice it is no capture."""
    data = CASES["empty-records"](60_000_000)
    for _ in range(times):
        data = gzip.compress(data, mtime=0)
    (tmp_path / "bomb").write_bytes(data)
    assert check_command(data, "--max-decompressed", "1M") is None
