from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest

import analyzer
from analyzer.diagnosis.loader import load_rules
from analyzer.errors import CaptureError
from analyzer.pipeline import negotiates, run
from analyzer.reading import Settings, read
from analyzer.telling import Wanted

FAILED, HEALTHY = "no-common-dialect.pcap", "ok-signing-mandatory.pcap"


def test_analyze_gives_tables(samples: Path) -> None:
    report = analyzer.analyze(samples / FAILED, str(samples / HEALTHY))
    assert list(report.captures["capture"]) == [str(samples / FAILED), str(samples / HEALTHY)]
    assert list(report.connections["outcome"]) == ["failed", "negotiated"]
    assert "no-common-dialect" in list(report.findings["rule"])
    assert set(report.messages["capture"]) == {str(samples / FAILED), str(samples / HEALTHY)}
    assert {"smb2.cmd", "smb2.dialect"} <= set(report.messages.columns)


def test_analyze_takes_lists_folders_and_open_files(samples: Path) -> None:
    by_list = analyzer.analyze([samples / FAILED, samples / HEALTHY])
    with (samples / FAILED).open("rb") as file:
        by_file = analyzer.analyze(file)
    by_memory = analyzer.analyze(io.BytesIO((samples / FAILED).read_bytes()))
    assert list(by_list.connections["outcome"]) == ["failed", "negotiated"]
    assert list(by_file.connections["causes"]) == list(by_memory.connections["causes"]) == [["no-common-dialect"]]
    assert len(analyzer.analyze(samples).captures) == len(json.loads((samples / "labels.json").read_text()))


def test_what_a_capture_contains_never_raises(tmp_path: Path) -> None:
    (tmp_path / "text").write_bytes(b"hello")
    report = analyzer.analyze(tmp_path / "text", tmp_path / "missing.pcap", io.BytesIO(b""))
    assert report.captures["error"].notna().all()
    assert len(report.connections) == len(report.findings) == len(report.messages) == 0


def wrong_uses(folder: Path) -> list[dict[str, Any]]:
    return [
        {"captures": ()}, {"captures": (folder,)}, {"captures": ("nowhere/",)},
        {"captures": ("x",), "rules": ["nowhere"]}, {"captures": ("x",), "select": ["no-such-rule"]},
        {"captures": ("x",), "hosts": ["filer"]},
    ]


@pytest.mark.parametrize("number", range(6))
def test_wrong_use_raises_an_error_of_ours(tmp_path: Path, number: int) -> None:
    wrong = wrong_uses(tmp_path)[number]
    with pytest.raises(analyzer.Error):
        analyzer.analyze(*wrong.pop("captures"), **wrong)


def test_an_ignored_rule_is_not_reported(samples: Path) -> None:
    report = analyzer.analyze(samples / HEALTHY, ignore=["signing-not-required"], select=["signing-not-required"])
    assert len(report.findings) == 0


def test_messages_come_in_the_order_of_the_capture(samples: Path) -> None:
    reading = read("x", samples / "ok-multi-protocol.pcapng", Settings())
    rows = list(negotiates(reading))
    assert len(rows) >= 3
    assert [row["frame.number"] for row in rows] == sorted(row["frame.number"] for row in rows)  # type: ignore[type-var]
    assert [("smb.cmd" in row, "smb2.cmd" in row) for row in rows[:2]] == [(True, False), (False, True)]


def test_accounts_put_away_are_the_accounts_given(samples: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However few are put away together, and on disk instead of in memory."""
    captures = [(path.name, path) for path in sorted(samples.glob("*.pcap*"))]
    rules = load_rules()

    def records() -> list[Any]:
        return [
            (analyzed.record, [diagnosed.record for diagnosed in analyzed.connections])
            for analyzed in run(captures, rules, Settings(), Wanted(detailed=True, messages=True))
        ]

    kept = records()
    assert any(len(connections) > 1 for _, connections in kept)
    for room in (0, 1, 5, 150):              # these are not put away
        monkeypatch.setattr("analyzer.accounts.AS_THEY_ARE", room)
        assert records() == kept
    monkeypatch.setattr("analyzer.accounts.AS_THEY_ARE", 1)
    monkeypatch.setattr("analyzer.accounts.BLOCK", 1)
    monkeypatch.setattr("analyzer.accounts.IN_MEMORY", 1)
    assert records() == kept

    def full() -> None:
        raise OSError(28, "no space left on device")

    monkeypatch.setattr("tempfile.TemporaryFile", full)
    assert records() == kept                 # all of it in memory


def test_a_capture_with_unknown_link_types_only_is_unreadable(samples: Path) -> None:
    data = bytearray((samples / FAILED).read_bytes())
    data[20:24] = (147).to_bytes(4, "little")            # LINKTYPE_USER0
    with pytest.raises(CaptureError, match="147"):
        read("x", io.BytesIO(data), Settings())


def test_labels_of_the_samples_hold(samples: Path) -> None:
    labels = json.loads((samples / "labels.json").read_text())
    rules = load_rules()
    wrong = []
    for name, label in labels.items():
        (analyzed,) = run([(name, samples / name)], rules, Settings(), Wanted())
        found = {d.record.stream: d.record for d in analyzed.connections}
        for want in label["connections"]:
            record = found.get(want["tcp_stream"])
            if record is None or (record.outcome, list(record.causes)) != (want["outcome"], want["causes"]):
                wrong.append((name, want["tcp_stream"], record and (record.outcome, record.causes)))
    assert wrong == []
