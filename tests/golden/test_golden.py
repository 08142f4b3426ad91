"""The report and the fields of every sample are as written, and the fields are what tshark reads."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.golden.make import GOLDEN, captures, decode_as, made, negdiag, options, stale
from tests.golden.wireshark import Answer, Comparison, answers


@pytest.mark.parametrize("capture", captures(), ids=lambda path: path.name)
def test_report_and_fields_are_as_written(capture: Path) -> None:
    assert stale(capture, made(capture)) == [], "run: python -m tests.golden.make, and read the difference"


def test_every_folder_has_its_capture() -> None:
    folders = {path.name for path in GOLDEN.iterdir() if path.is_dir() and path.name != "__pycache__"}
    assert folders == {path.name for path in captures()}


def test_wireshark_reads_the_same_values_from_every_sample(tshark: str) -> None:
    comparison = Comparison()
    for capture in captures():
        ours = negdiag("fields", capture.name, *options(capture))
        comparison.add(capture.name, ours, answers(tshark, capture, *decode_as(capture)))
    assert comparison.differences == []
    assert comparison.messages >= len(captures())


def test_wireshark_reads_the_same_values_from_every_lab_capture(tshark: str, lab: Path) -> None:
    comparison = Comparison()
    for capture in sorted(lab.glob("*.pcap*")):
        comparison.add(capture.name, negdiag("fields", str(capture)), answers(tshark, capture))
    assert comparison.differences == []


@pytest.mark.parametrize(("ours", "theirs", "difference"), [
    ({"smb2.cmd": 1}, {"smb2.cmd": ["0"]}, "smb2.cmd = 1, Wireshark ['0']"),
    ({"smb2.dialect": [1]}, {"smb2.dialect": ["1", "2"]}, "smb2.dialect = [1], Wireshark ['1', '2']"),
    ({}, {"smb2.cmd": ["0"]}, "smb2.cmd is missing, Wireshark has ['0']"),
    ({"smb2.x": True}, {}, "smb2.x = True, Wireshark does not show it"),
    ({"smb2.x": True}, {"smb2.x": ["0"]}, "smb2.x = True, Wireshark ['0']"),
    ({"smb2.x": None}, {"smb2.x": ["Mar  2, 2026 09:00:00.000000000 UTC"]},
     "smb2.x = None, Wireshark ['Mar  2, 2026 09:00:00.000000000 UTC']"),
])
def test_a_difference_is_seen(ours: dict[str, object], theirs: dict[str, list[str]], difference: str) -> None:
    """What agrees is not just what was never looked at."""
    comparison = Comparison()
    comparison.add("a", [{"frame.number": 1, "tcp.stream": 0, **ours}], [Answer(1, 0, theirs)])
    assert comparison.differences == [f"a frame 1: {difference}"]


def test_a_missing_message_is_seen() -> None:
    comparison = Comparison()
    comparison.add("a", [], [Answer(1, 0, {})])
    assert comparison.differences == ["a: messages (frame, stream) [], Wireshark [(1, 0)]"]
