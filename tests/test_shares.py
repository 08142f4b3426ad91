"""Several processes say what one says."""

from __future__ import annotations

from pathlib import Path

import pytest

from analyzer import shares
from analyzer.reading import Settings
from analyzer.shares import Rules, analyze
from analyzer.telling import Wanted

SAMPLES = Path(__file__).resolve().parents[1] / "sample_pcaps"


def all_samples() -> list[tuple[str, str]]:
    """Every sample, some twice, and two that are none: clients meet themselves in other captures."""
    paths = sorted(str(path) for path in SAMPLES.iterdir() if path.suffix in (".pcap", ".pcapng"))
    return [(path, path) for path in (*paths, *paths[::3], "/nowhere.pcap", __file__)]


@pytest.mark.parametrize("jobs", [2, 3])
def test_the_number_of_processes_changes_nothing(jobs: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Records, their order, and the conditions that no fact decided."""
    monkeypatch.setattr(shares, "ENOUGH", 2)

    def run(count: int) -> list[object]:
        found = analyze(all_samples(), Rules(), Settings(), Wanted(records_only=True), count)
        return [(one.record, one.cut, [(x.record, x.verdict.missing) for x in one.connections]) for one in found]

    assert run(jobs) == run(1)
