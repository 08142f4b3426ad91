"""Connections told by several processes are told as by one."""

from __future__ import annotations

from pathlib import Path

import pytest

from analyzer import pipeline
from analyzer.diagnosis.loader import load_rules
from analyzer.pipeline import run
from analyzer.reading import Settings
from analyzer.tcp import assemble
from analyzer.telling import Wanted
from benchmarks import inputs


@pytest.fixture(scope="module")
def several(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Connections of many kinds between other traffic, some that end badly."""
    path = tmp_path_factory.mktemp("several") / "mixed.pcap"
    inputs.mixed(path, 5_000_000)
    return path


def records(path: Path, settings: Settings, wanted: Wanted) -> list[object]:
    return [
        (one.record, [diagnosed.record for diagnosed in one.connections])
        for one in run([("x", str(path))], load_rules(), settings, wanted)
    ]


@pytest.mark.parametrize("key", [None, bytes(range(32))])
@pytest.mark.parametrize("wanted", [
    Wanted(records_only=True),
    Wanted(detailed=True, messages=True, records_only=True),
    Wanted(streams=frozenset({3, 40}), hosts=frozenset(), records_only=True),
])  # fmt: skip
def test_the_number_of_processes_changes_nothing(
    several: Path, wanted: Wanted, key: bytes | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(assemble, "BLOCK", 1000)
    alone = records(several, Settings(key=key), wanted)
    monkeypatch.setattr(pipeline, "MANY", 2)
    assert records(several, Settings(key=key, jobs=2), wanted) == alone
    assert wanted.streams or len(alone[0][1]) > 100      # type: ignore[index]
