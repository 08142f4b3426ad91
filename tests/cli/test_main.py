from __future__ import annotations

import io
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from analyzer import __version__
from analyzer.cli import exits
from analyzer.cli.main import main

FAILED, HEALTHY = "no-common-dialect.pcap", "ok-signing-mandatory.pcap"
PROGRAM = (sys.executable, "-m", "analyzer")


class Ran:
    """How main() ended, and what it wrote."""

    def __init__(self, capsys: pytest.CaptureFixture[str], *words: str | Path) -> None:
        self.status = main([str(word) for word in words])
        self.out, self.err = capsys.readouterr()

    @property
    def captures(self) -> list[dict[str, Any]]:
        captures: list[dict[str, Any]] = json.loads(self.out)["captures"]
        return captures


@pytest.fixture
def cut(samples: Path, tmp_path: Path) -> Path:
    """A capture that ends in the middle of a record."""
    path = tmp_path / "cut.pcap"
    path.write_bytes((samples / HEALTHY).read_bytes()[:-10])
    return path


@pytest.fixture
def empty(tmp_path: Path) -> Path:
    """A file that is no capture."""
    path = tmp_path / "empty.pcap"
    path.write_bytes(b"")
    return path


def test_alone_it_prints_its_usage(capsys: pytest.CaptureFixture[str]) -> None:
    ran = Ran(capsys)
    assert (ran.status, ran.out) == (exits.REFUSED, "")
    assert ran.err.startswith("usage: negdiag PATH...")


def test_a_failure_is_found_and_the_status_is_still_zero(
    samples: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ran = Ran(capsys, samples / FAILED)
    assert (ran.status, ran.err) == (exits.OK, "")
    assert ran.out.startswith(f"{samples / FAILED}: the SMB negotiation failed: ")


@pytest.mark.parametrize(
    ("name", "level", "status"),
    [
        (FAILED, "error", exits.FOUND), (FAILED, "warning", exits.FOUND), (FAILED, "never", exits.OK),
        (HEALTHY, "error", exits.OK),
    ],
)
def test_fail_on(
    samples: Path, capsys: pytest.CaptureFixture[str], name: str, level: str, status: int
) -> None:
    assert Ran(capsys, "--fail-on", level, samples / name).status == status


def test_options_stand_before_and_behind_paths(samples: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ran = Ran(capsys, samples / FAILED, "--format", "json", samples / HEALTHY)
    assert [capture["capture"] for capture in ran.captures] == [str(samples / FAILED), str(samples / HEALTHY)]


def test_behind_two_hyphens_everything_is_a_path(
    samples: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copy(samples / FAILED, tmp_path / "-x.pcap")
    monkeypatch.chdir(tmp_path)
    assert Ran(capsys, "--", "-x.pcap").out.startswith("-x.pcap: ")


class TestWhatCannotBeRead:
    """Each alone, and beside a good capture."""

    def test_alone(self, empty: Path, capsys: pytest.CaptureFixture[str]) -> None:
        ran = Ran(capsys, "--format", "json", empty)
        assert ran.status == exits.REFUSED
        assert ran.captures[0]["error"] == "offset 0: empty file (0 bytes)"
        assert ran.err == f"{empty}: offset 0: empty file (0 bytes)\n"

    def test_beside(self, empty: Path, samples: Path, capsys: pytest.CaptureFixture[str]) -> None:
        ran = Ran(capsys, "--format", "json", empty, samples / FAILED)
        assert ran.status == exits.PARTLY
        assert [bool(capture["error"]) for capture in ran.captures] == [True, False]
        assert len(ran.err.splitlines()) == 1

    def test_a_path_that_is_not_there(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        ran = Ran(capsys, tmp_path / "missing.pcap")
        assert ran.status == exits.REFUSED
        assert ran.err.startswith(f"{tmp_path / 'missing.pcap'}: offset 0: ")

    def test_a_cut_capture_is_analysed_as_far_as_it_goes(
        self, cut: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        ran = Ran(capsys, "--format", "json", cut)
        assert ran.status == exits.PARTLY
        (capture,) = ran.captures
        assert capture["error"] is None
        assert [note["kind"] for note in capture["notes"]] == ["cut-short"]
        assert len(capture["connections"]) == 1
        assert ran.err.startswith(f"{cut}: offset ")

    def test_a_cut_capture_outranks_fail_on(
        self, cut: Path, samples: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert Ran(capsys, "--fail-on", "error", cut, samples / FAILED).status == exits.PARTLY

    def test_a_folder_without_captures(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        (tmp_path / "notes.txt").write_text("x")
        ran = Ran(capsys, "-v", tmp_path)
        assert ran.status == exits.REFUSED
        assert ran.err.splitlines() == [
            f"{tmp_path / 'notes.txt'}: passed over, not a capture", "no capture in what was given",
        ]

    @pytest.mark.parametrize("form", ["text", "json", "ndjson", "csv"])
    def test_fields_ends_as_the_main_command_does(
        self, form: str, empty: Path, cut: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert Ran(capsys, "fields", "--format", form, empty).status == exits.REFUSED
        assert Ran(capsys, "fields", "--format", form, cut).status == exits.PARTLY


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["explian"], "explian: neither a file nor a command; did you mean `negdiag explain`?"),
        (["rulse", "test"], "did you mean `negdiag rules`?"),
        (["frobnicate"], "the commands are fields, rules, explain"),
        (["nowhere/"], "nowhere/: no such folder"),
        (["--select", "no-common-dialekt", "x.pcap"], "did you mean 'no-common-dialect'?"),
        (["--rules", "nowhere", "x.pcap"], "nowhere: "),
        (["-o", "x.docx", "x.pcap"], "the ending must be one of"),
        (["-o", "nowhere/x.json", "x.pcap"], "nowhere/x.json: cannot be written: "),
        (["-", "-"], "standard input can be given only once"),
        (["-q"], "no capture given"),
    ],
)
def test_wrong_use_is_one_line(words: list[str], says: str, capsys: pytest.CaptureFixture[str]) -> None:
    ran = Ran(capsys, *words)
    assert (ran.status, ran.out) == (exits.REFUSED, "")
    assert ran.err.startswith("negdiag: ") and says in ran.err
    assert len(ran.err.splitlines()) == 1


@pytest.mark.parametrize(
    "words", [["--fromat", "json", "x"], ["--format", "xml", "x"], ["--host", "filer", "x"], ["--port", "0", "x"],
              ["--stream", "-1", "x"], ["--max-decompressed", "lots", "x"], ["--form", "json", "x"], ["fields"],
              ["fields", "a", "b"], ["explain"]],
)
def test_a_wrong_option_is_refused(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    ran = Ran(capsys, *words)
    assert (ran.status, ran.out) == (exits.REFUSED, "")
    assert "error: " in ran.err


def test_a_file_named_like_a_command(
    samples: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copy(samples / FAILED, tmp_path / "rules")
    monkeypatch.chdir(tmp_path)
    assert Ran(capsys, "./rules").out.startswith("./rules: the SMB negotiation failed")
    assert Ran(capsys, "rules").out.startswith("CODE")


def test_host_and_stream_choose(samples: Path, capsys: pytest.CaptureFixture[str]) -> None:
    everything = Ran(capsys, "--format", "json", samples / FAILED).captures[0]["connections"]
    client = everything[0]["client"].rpartition(":")[0]
    assert Ran(capsys, "--format", "json", "--host", client, samples / FAILED).captures[0]["connections"] == everything
    assert Ran(capsys, "--format", "json", "--stream", "0", samples / FAILED).captures[0]["connections"] == everything
    assert Ran(capsys, "--format", "json", "--stream", "7", samples / FAILED).captures[0]["connections"] == []
    assert "host or stream asked for" in Ran(capsys, "--host", "203.0.113.1", samples / FAILED).out


def test_every_report_of_one_run(samples: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ran = Ran(capsys, samples / FAILED, "-o", tmp_path / "a.json", "-o", tmp_path / "b.csv", "--format", "ndjson")
    (row,) = map(json.loads, ran.out.splitlines())
    document = json.loads((tmp_path / "a.json").read_text())
    connection = document["captures"][0]["connections"][0]
    rowless = {"events", "offer", "answer", "agreed", "mismatches"}      # a row per connection has no room for them
    assert connection.keys() - row.keys() == rowless
    row.pop("capture")
    assert {key: connection[key] for key in row} == row
    assert len((tmp_path / "b.csv").read_text(encoding="utf-8-sig").splitlines()) == 2


@pytest.mark.skipif(sys.platform == "win32", reason="a shell closes the streams")
@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&-", "<&- >&- 2>&-"])
def test_streams_that_are_closed_take_nothing_and_spoil_nothing(closed: str, samples: Path, tmp_path: Path) -> None:
    report = tmp_path / "a.json"
    words = [*PROGRAM, str(samples / FAILED), "--fail-on", "error", "-o", str(report)]
    ran = subprocess.run(["sh", "-c", f'exec "$@" {closed}', "sh", *words], check=False, capture_output=True)
    assert (ran.returncode, ran.stderr) == (exits.FOUND, b"")
    assert ran.stdout.startswith(str(samples / FAILED).encode()) == (">&-" not in closed.replace("2>&-", ""))
    (capture,) = json.loads(report.read_text())["captures"]
    assert [one["causes"] for one in capture["connections"]] == [["no-common-dialect"]]


def test_what_is_there_beside_the_connections(samples: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "note (smb-over-quic): QUIC on UDP 443" in Ran(capsys, samples / "smb-over-quic.pcap").out


def test_what_is_there_where_nothing_is_to_be_diagnosed(
    samples: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = samples / "alternative-port.pcap"
    first = Ran(capsys, path).out.splitlines()[0]
    assert first.startswith(f"{path}: nothing to diagnose: no SMB connection in ")
    assert "try --port " in first
    port = first.rpartition("--port ")[2]
    assert "nothing to diagnose" not in Ran(capsys, path, "--port", port).out
    assert "nothing to diagnose" not in Ran(capsys, path, "--port", "any").out


def test_verbose_says_which_fact_was_missing(samples: Path, capsys: pytest.CaptureFixture[str]) -> None:
    err = Ran(capsys, "-v", samples / FAILED).err
    assert f"{samples / FAILED}: tcp.stream 0: " in err and " is not captured: " in err


def test_standard_input(
    samples: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO((samples / FAILED).read_bytes())))
    assert Ran(capsys, "-").out.startswith("-: the SMB negotiation failed")


def test_rules_and_explain(capsys: pytest.CaptureFixture[str]) -> None:
    assert "no-common-dialect" in Ran(capsys, "rules").out
    slugs = [rule["slug"] for rule in json.loads(Ran(capsys, "rules", "--format", "json").out)]
    assert "no-common-dialect" in slugs
    by_slug, by_code = Ran(capsys, "explain", "no-common-dialect"), Ran(capsys, "explain", "neg301")
    assert by_slug.status == exits.OK and by_slug.out == by_code.out
    assert Ran(capsys, "explain", "no-common-dialekt").status == exits.REFUSED


def test_version(capsys: pytest.CaptureFixture[str], root: Path) -> None:
    assert Ran(capsys, "--version").out == f"negdiag {__version__}\n"
    assert f'version = "{__version__}"' in (root / "pyproject.toml").read_text()


class TestAsAProcess:
    """What only a process of its own shows."""

    def test_a_closed_pipe_ends_it_quietly(self, samples: Path) -> None:
        with subprocess.Popen(
            [*PROGRAM, "--format", "json", *[str(samples / FAILED)] * 200],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        ) as process:
            assert process.stdout is not None and process.stderr is not None
            process.stdout.close()
            assert process.stderr.read() == b""
        assert process.returncode == exits.CLOSED_PIPE

    @pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
    def test_an_output_that_cannot_be_written(self, samples: Path) -> None:
        with Path("/dev/full").open("wb") as full:
            ran = subprocess.run([*PROGRAM, samples / FAILED], stdout=full, stderr=subprocess.PIPE, check=False)
        assert ran.returncode == exits.REFUSED
        assert ran.stderr.startswith(b"negdiag: cannot be written: ")

    def test_the_text_report_loads_nothing_heavy(self, samples: Path) -> None:
        ran = subprocess.run(
            [sys.executable, "-X", "importtime", "-m", "analyzer", samples / FAILED],
            capture_output=True, text=True, check=True,
        )
        loaded = {line.rpartition("|")[2].strip().partition(".")[0] for line in ran.stderr.splitlines()}
        assert "numpy" in loaded
        assert not loaded & {"pandas", "scapy", "jinja2", "rich", "dpkt", "click", "cyclopts", "isal", "zstandard"}

    def test_importing_the_package_loads_nothing_heavy(self) -> None:
        program = "import sys, analyzer; print(*sorted({name.partition('.')[0] for name in sys.modules}))"
        ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
        assert not set(ran.stdout.split()) & {"pandas", "scapy", "numpy"}

    def test_the_same_bytes_in_every_locale(self, samples: Path) -> None:
        outputs = {
            subprocess.run(
                [*PROGRAM, "--format", form, samples / FAILED], capture_output=True, check=True,
                env={"LC_ALL": locale, "PYTHONIOENCODING": encoding, "PATH": ""},
            ).stdout
            for form in ("text",)
            for locale, encoding in (("C", "ascii"), ("C.UTF-8", "utf-8"))
        }
        assert len(outputs) == 1
