from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzer.diagnosis.filters import evidence_filter, frame_set

TABLE = [
    (3, (), False, "tcp.stream eq 3"),
    (3, (13,), False, "tcp.stream eq 3 && frame.number == 13"),
    (3, (13, 15), False, "tcp.stream eq 3 && frame.number in {13, 15}"),
    (0, (1, 2, 3, 7, 9, 10), False, "tcp.stream eq 0 && frame.number in {1..3, 7, 9, 10}"),
    (3, (13, 15), True, "frame.number in {13, 15}"),
    (3, (), True, "tcp.stream eq 3"),
    (None, (13, 15), False, "frame.number in {13, 15}"),
    (None, (), False, ""),
]


@pytest.mark.parametrize(("stream", "frames", "quoted", "text"), TABLE)
def test_a_filter_names_the_frames(
    stream: int | None, frames: tuple[int, ...], quoted: bool, text: str
) -> None:
    assert evidence_filter(stream, frames, quoted=quoted) == text


@given(st.sets(st.integers(1, 60), min_size=1))
def test_a_set_holds_exactly_its_frames(frames: set[int]) -> None:
    text = frame_set(sorted(frames))
    found: list[int] = []
    for low, high in re.findall(r"(\d+)(?:\.\.(\d+))?", text):
        found += range(int(low), int(high or low) + 1)
    assert found == sorted(frames)


def test_wireshark_selects_exactly_these_frames(tshark: str, lab: Path) -> None:
    wanted = evidence_filter(None, (1, 2, 3, 5, 7, 8))
    run = subprocess.run(
        [tshark, "-r", str(lab / "clock-skew.pcap"), "-Y", wanted, "-T", "fields", "-e", "frame.number"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert run.stdout.split() == ["1", "2", "3", "5", "7", "8"]
