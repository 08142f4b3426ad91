"""negdiag extract: small captures of which negdiag says what it says of the whole."""

from __future__ import annotations

from pathlib import Path

import pytest

from analyzer.cli.extract import _verdict
from analyzer.cli.main import main
from analyzer.pipeline import run
from analyzer.reading import Settings
from analyzer.report.record import ConnectionRecord
from analyzer.telling import Wanted
from tests.captures import every_capture
from tests.rewrite.reading import RULES


def records(capture: Path) -> list[ConnectionRecord]:
    return [
        diagnosed.record
        for analyzed in run([("", str(capture))], RULES, Settings(), Wanted())
        for diagnosed in analyzed.connections
    ]


def extracted(capture: Path, folder: Path, *options: str) -> list[Path]:
    assert main(["extract", str(capture), "-o", str(folder), *options]) == 0
    return sorted(folder.iterdir())


@pytest.mark.parametrize("folder", ["samples", "lab"])
@pytest.mark.parametrize("options", [(), ("--anonymize",)], ids=["true", "anonymized"])
def test_each_extract_is_diagnosed_as_its_connection(
    folder: str, options: tuple[str, ...], request: pytest.FixtureRequest, tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for capture in every_capture(request.getfixturevalue(folder)):
        wanted = {record.stream: record for record in records(capture) if record.findings}
        files = extracted(capture, tmp_path / capture.name, *options)
        assert {path.name for path in files} == {f"{capture.stem}.stream{stream}.pcapng" for stream in wanted}
        for stream, record in wanted.items():
            path = tmp_path / capture.name / f"{capture.stem}.stream{stream}.pcapng"
            same = [one for one in records(path) if _verdict(one) == _verdict(record)]
            assert same, path.name
            if not options:
                assert (record.client, record.server, record.client_name, record.server_name) in {
                    (one.client, one.server, one.client_name, one.server_name) for one in same
                }, path.name
    assert capsys.readouterr().err == ""


def test_only_the_negotiation_is_taken(lab: Path, tmp_path: Path) -> None:
    capture = lab / "ok-smbtorture-connect.pcap"
    for path in extracted(capture, tmp_path / "out"):
        assert path.stat().st_size < capture.stat().st_size / 10


def test_one_connection_is_chosen(lab: Path, tmp_path: Path) -> None:
    files = extracted(lab / "tcp-refused-445-139.pcap", tmp_path / "out", "--stream", "1")
    assert [path.name for path in files] == ["tcp-refused-445-139.stream1.pcapng"]


def test_a_healthy_capture_gives_no_file(samples: Path, tmp_path: Path) -> None:
    assert extracted(samples / "ok-signing-mandatory.pcap", tmp_path / "out") == []


def test_wrong_use_is_refused(samples: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"")
    assert main(["extract", str(samples / "no-common-dialect.pcap"), "-o", str(file)]) == 2
    assert "not a folder" in capsys.readouterr().err
    assert main(["extract", str(file), "-o", str(tmp_path / "out")]) == 2
    assert "empty file" in capsys.readouterr().err
