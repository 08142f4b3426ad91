"""negdiag annotate and --anonymize on the command line."""

from __future__ import annotations

import io
import os
import subprocess
from pathlib import Path

import pytest

from analyzer.cli.main import main
from tests.rewrite.reading import said

CAPTURE = "no-common-dialect.pcap"


def annotated(capture: Path, out: Path, *options: str) -> int:
    return main(["annotate", str(capture), "-o", str(out), *options])


def test_each_frame_of_a_finding_has_its_comment(samples: Path, tmp_path: Path, tshark: str) -> None:
    out = tmp_path / "out.pcapng"
    assert annotated(samples / CAPTURE, out) == 0
    shown = subprocess.run(
        [tshark, "-r", str(out), "-Y", "frame.comment", "-T", "fields", "-e", "frame.number", "-e", "frame.comment"],
        capture_output=True, text=True, check=True,
    ).stdout.splitlines()
    assert [line.split("\t")[0] for line in shown] == ["4", "6"]
    assert all(line.split("\t")[1].startswith("negdiag error NEG301 no-common-dialect: ") for line in shown)
    assert said(str(out)) == said(str(samples / CAPTURE))


@pytest.mark.parametrize("link", [os.link, os.symlink])
def test_the_input_is_no_output(link: object, samples: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capture, out = tmp_path / "in.pcapng", tmp_path / "out.pcapng"
    capture.write_bytes((samples / "ok-multi-protocol.pcapng").read_bytes())
    assert callable(link)
    link(capture, out)
    before = capture.read_bytes()
    assert annotated(capture, out) == 2
    assert "the same file" in capsys.readouterr().err
    assert annotated(capture, capture) == 2
    assert capture.read_bytes() == before


def test_standard_input_is_read_twice(samples: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Stdin:
        buffer = io.BytesIO((samples / CAPTURE).read_bytes())

    monkeypatch.setattr("sys.stdin", Stdin)
    assert annotated(Path("-"), tmp_path / "piped.pcapng") == 0
    assert annotated(samples / CAPTURE, tmp_path / "named.pcapng") == 0
    assert (tmp_path / "piped.pcapng").read_bytes() == (tmp_path / "named.pcapng").read_bytes()


def test_a_capture_that_ends_in_the_middle_is_annotated_as_far_as_it_goes(samples: Path, tmp_path: Path) -> None:
    capture = tmp_path / "cut.pcap"
    capture.write_bytes((samples / CAPTURE).read_bytes()[:-20])
    assert annotated(capture, tmp_path / "out.pcapng") == 3
    assert (tmp_path / "out.pcapng").exists()


@pytest.mark.parametrize("content", [b"", b"no capture at all, but long enough to be one"])
def test_what_is_no_capture_leaves_no_file(content: bytes, tmp_path: Path) -> None:
    capture = tmp_path / "in.pcap"
    capture.write_bytes(content)
    assert annotated(capture, tmp_path / "out.pcapng") == 2
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.pcap"]


def test_wrong_use_is_refused(samples: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert annotated(samples / CAPTURE, tmp_path / "out.pcap") == 2
    assert "must end with .pcapng" in capsys.readouterr().err
    assert annotated(tmp_path, tmp_path / "out.pcapng") == 2
    assert "takes one capture" in capsys.readouterr().err
    assert annotated(samples / CAPTURE, tmp_path / "nowhere" / "out.pcapng") == 2
    assert "cannot be written" in capsys.readouterr().err


def test_a_key_gives_the_same_file_and_no_key_another_each_time(samples: Path, tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_bytes(b"sixteen bytes or more")
    files = []
    for number, options in enumerate((["--anonymize-key", str(key)], ["--anonymize-key", str(key)], ["--anonymize"], ["--anonymize"])):
        out = tmp_path / f"{number}.pcapng"
        assert annotated(samples / CAPTURE, out, *options) == 0
        files.append(out.read_bytes())
    assert files[0] == files[1]
    assert len(set(files)) == 3
    assert b"NEG301" in files[2]


def test_comments_and_reports_name_nobody(samples: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    key = tmp_path / "key"
    key.write_bytes(b"sixteen bytes or more")
    assert main([str(samples / CAPTURE), "--format", "json"]) == 0
    true = capsys.readouterr().out
    address = true.split('"server": "')[1].split(":")[0]
    for form in ("text", "json", "csv", "ndjson", "markdown"):
        assert main([str(samples / CAPTURE), "--format", form, "--anonymize-key", str(key)]) == 0
        out = capsys.readouterr().out
        assert "no-common-dialect" in out
        assert address not in out
    assert annotated(samples / CAPTURE, tmp_path / "out.pcapng", "--anonymize-key", str(key)) == 0
    assert address.encode() not in (tmp_path / "out.pcapng").read_bytes()


def test_a_host_is_chosen_by_its_true_address(samples: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(samples / CAPTURE), "--format", "json"]) == 0
    address = capsys.readouterr().out.split('"server": "')[1].split(":")[0]
    assert main([str(samples / CAPTURE), "--format", "csv", "--anonymize", "--host", address]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 2


@pytest.mark.parametrize(("content", "problem"), [(b"short", "16 are needed"), (None, "No such file")])
def test_a_key_that_is_none_is_refused(
    content: bytes | None, problem: str, samples: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str],
) -> None:
    key = tmp_path / "key"
    if content is not None:
        key.write_bytes(content)
    assert main([str(samples / CAPTURE), "--anonymize-key", str(key)]) == 2
    assert problem in capsys.readouterr().err
