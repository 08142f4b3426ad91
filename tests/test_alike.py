"""Connections told by their kind read as if each had been told by itself."""

from __future__ import annotations

from pathlib import Path

import pytest

from analyzer import pipeline
from analyzer.diagnosis.loader import load_rules
from analyzer.pipeline import run
from analyzer.reading import Settings
from analyzer.report.record import CaptureRecord, ConnectionRecord
from analyzer.telling import Wanted
from benchmarks import frames as made
from benchmarks.inputs import SAMPLES
from tests import captures
from tests.variants import Variant, to_ipv6


def capture(path: Path) -> Path:
    """Refused and unanswered connections of several forms, some at servers that others get through to."""
    import numpy as np

    refused = made.recorded(SAMPLES / "tcp-refused.pcap")
    unanswered = made.recorded(SAMPLES / "tcp-unanswered.pcap")
    healthy = made.recorded(SAMPLES / "ok-all-contexts.pcap")
    later = [frame._replace(offset=frame.offset + 5000) for frame in refused]
    odd = [refused[0], refused[1]._replace(data=refused[1].data[:42] + b"\0\0\0\7" + refused[1].data[46:])]
    with path.open("wb") as file:
        file.write(made.FILE_HEADER)
        for kind, frames in enumerate((refused, unanswered, healthy, refused[:1], refused + later, odd, refused[::-1])):
            which = np.arange(40)
            pairs = made.Pairs(
                (0x0A000001 + which % 9).astype(np.uint32),
                (0x0A010000 + which * (1 + kind % 3) % 37).astype(np.uint32),
                (2000 + 100 * kind + which).astype(np.uint16),
                which * 1_000_000,
            )
            for frame in frames:
                file.write(made.stamp(frame, pairs).tobytes())
    return path


def records(path: Path, wanted: Wanted) -> list[tuple[CaptureRecord, list[ConnectionRecord]]]:
    found = run([("x", str(path)), ("y", str(path))], load_rules(), Settings(), wanted)
    return [(one.record, [each.record for each in one.connections]) for one in found]


@pytest.mark.parametrize("variant", [lambda capture: capture, to_ipv6])
def test_a_kind_is_told_as_each_of_it(
    variant: Variant, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same records, in the same order, for everything that any report prints."""
    path = capture(tmp_path / "scan.pcap")
    path.write_bytes(captures.pcap(variant(captures.read(path))))
    singly = records(path, Wanted())
    assert len(singly[0][1]) == 7 * 40
    monkeypatch.setattr(pipeline, "MANY", 3)
    assert records(path, Wanted()) == singly
    assert records(path, Wanted(records_only=True)) == singly
