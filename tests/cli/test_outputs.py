from __future__ import annotations

import json
from pathlib import Path

import pytest

from analyzer.cli.outputs import Outputs
from analyzer.errors import OutputError, UsageError
from analyzer.report.writer import Style
from tests.report.sample import capture, failed


def listing(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def run(out: Outputs) -> None:
    with out:
        out.capture(capture())
        out.connection(failed())
        out.end()
        out.finish()


def test_one_run_writes_every_report(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = [str(tmp_path / name) for name in ("a.json", "b.CSV", "c.ndjson", "d.md")]
    run(Outputs("text", files, [], Style()))
    assert capsys.readouterr().out.startswith("ticket/a.pcap: the SMB negotiation failed")
    assert json.loads((tmp_path / "a.json").read_text())["captures"][0]["capture"] == "ticket/a.pcap"
    assert (tmp_path / "b.CSV").read_bytes().startswith(b"\xef\xbb\xbfcapture,")
    assert json.loads((tmp_path / "c.ndjson").read_text())["tcp.stream"] == 3
    assert (tmp_path / "d.md").read_text().startswith("## ")
    assert listing(tmp_path) == ["a.json", "b.CSV", "c.ndjson", "d.md"]


def test_a_broken_run_leaves_what_was_there(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text("before")
    with pytest.raises(KeyboardInterrupt), Outputs("json", [str(tmp_path / "a.json")], [], Style()):
        raise KeyboardInterrupt
    assert (tmp_path / "a.json").read_text() == "before"
    assert listing(tmp_path) == ["a.json"]


@pytest.mark.parametrize("name", ["report", "report.docx", "report.pcap"])
def test_an_unknown_ending_is_wrong_use(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match="ending"):
        Outputs("text", [str(tmp_path / name)], [], Style())
    assert listing(tmp_path) == []


def test_what_cannot_be_written_is_said_before_anything_is_read(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="cannot be written"):
        Outputs("text", [str(tmp_path / "a.json"), str(tmp_path / "missing" / "b.json")], [], Style())
    assert listing(tmp_path) == []


def test_no_output_is_an_input_or_another_output(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(b"x")
    with pytest.raises(UsageError, match="same file"):
        Outputs("text", [str(path)], [str(path)], Style())
    with pytest.raises(UsageError, match="same file"):
        Outputs("text", [str(path), str(tmp_path / "." / "a.json")], [], Style())
    assert path.read_bytes() == b"x"
