"""Every display filter of a finding is valid, and selects exactly what it says: asked of the real tshark."""

from __future__ import annotations

import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from analyzer.diagnosis.engine import RuleSet
from analyzer.diagnosis.loader import load_rules
from analyzer.pipeline import run
from analyzer.reading import Settings
from analyzer.telling import Wanted
from tests.captures import every_capture

RULES = load_rules(())


def findings(capture: Path, rules: RuleSet = RULES) -> dict[str, set[tuple[int, ...]]]:
    """Filters of a capture, and the frames that each names."""
    found: dict[str, set[tuple[int, ...]]] = {}
    for analyzed in run([(capture.name, str(capture))], rules, Settings(), Wanted()):
        for diagnosed in analyzed.connections:
            for finding in diagnosed.record.findings:
                found.setdefault(finding.display_filter, set()).add(finding.frames)
    return found


def selected(tshark: str, capture: Path, text: str) -> tuple[int, ...]:
    """The frames that a filter selects."""
    command = [tshark, "-r", str(capture), "-Y", text, "-T", "fields", "-e", "frame.number"]
    out = subprocess.run(command, capture_output=True, text=True, check=False)
    assert not out.returncode, f"{capture.name}: {out.stderr}"
    return tuple(map(int, out.stdout.split()))


@pytest.mark.parametrize("folder", ["samples", "lab"])
def test_filters_select_the_frames_of_their_findings(
    folder: str, request: pytest.FixtureRequest, tshark: str,
) -> None:
    found = [
        (capture, text, named)
        for capture in every_capture(request.getfixturevalue(folder))
        for text, named in findings(capture).items()
    ]
    with ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(lambda one: selected(tshark, one[0], one[1]), found))
    assert len(found) > 20
    for (capture, text, named), frames in zip(found, answers, strict=True):
        # A finding without frames speaks of a whole connection.
        assert frames, f"{capture.name}: {text} selects nothing"
        assert named in ({frames}, {()}), f"{capture.name}: {text} selects {frames}, not {named}"
