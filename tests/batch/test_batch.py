"""negdiag batch, from sources to exit status."""

from __future__ import annotations

import csv
import gzip
import io
import json
import re
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import duckdb
import fsspec
import pandas as pd
import pytest

from analyzer.batch.run import fill
from analyzer.batch.sources import Source, sources_of
from analyzer.batch.store import Store
from analyzer.batch.work import Part, Recipe
from analyzer.workers import Workers
from tests.batch.hooks import DEADLY, Hooked
from tests.batch.results import result
from tests.cli.test_main import FAILED, HEALTHY, Ran


@pytest.fixture
def few(samples: Path, tmp_path: Path) -> Path:
    """A failing capture, a healthy one, one that is cut, and one that is none."""
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "a.pcap").write_bytes((samples / FAILED).read_bytes())
    (folder / "b.pcap").write_bytes((samples / HEALTHY).read_bytes())
    (folder / "cut.pcap").write_bytes((samples / HEALTHY).read_bytes()[:-10])
    (folder / "none.pcap").write_bytes(b"no capture")
    return folder


def rows(path: Path) -> list[dict[str, str]]:
    text = path.read_bytes()
    assert text.startswith(b"\xef\xbb\xbf")
    return list(csv.DictReader(io.StringIO(text.decode("utf-8-sig"))))


def test_tables_and_summaries(few: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    ran = Ran(capsys, "batch", few, "--out", out, "--jobs", "2")
    assert ran.status == 3
    assert ran.err.splitlines() == [
        f"{few}/cut.pcap: ends in the middle",
        f"{few}/none.pcap: offset 0: not a capture: it begins with 6e 6f 20 63 61 70 74 75",
    ]
    assert ran.out.splitlines() == [
        "4 captures (1 not readable), 3 SMB connections: 1 failed, in 1 capture",
        "        1  no-common-dialect: No common dialect",
        f"Tables and summary.html are in {out}",
    ]
    captures = pd.read_parquet(out / "captures")
    assert sorted(captures["capture"]) == [f"{few}/{name}.pcap" for name in ("a", "b", "cut", "none")]
    assert captures.set_index("capture")["error"].notna().sum() == 1
    found = duckdb.connect().execute(
        f"select outcome, count(*) from '{out}/connections/*.parquet' group by 1 order by 1"
    ).fetchall()
    assert found == [("failed", 1), ("negotiated", 2)]


def test_summary_says_who_what_how_many_and_since_when(
    few: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Ran(capsys, "batch", few, "--out", tmp_path / "out")
    broken, healthy = rows(tmp_path / "out" / "summary.csv")
    connections = pd.read_parquet(tmp_path / "out" / "connections")
    one = connections[connections["outcome"] == "failed"].iloc[0]
    assert (broken["cause"], broken["outcome"], broken["connections"], broken["captures"]) == (
        "no-common-dialect", "failed", "1", "1",
    )
    assert broken["server"] == one["server"]
    assert one["client"].startswith(broken["client"] + ":")
    assert pd.Timestamp(broken["first_time"]) == one["first_time"]
    assert (broken["capture"], broken["tcp.stream"]) == (f"{few}/a.pcap", "0")
    assert (healthy["cause"], healthy["outcome"], healthy["connections"], healthy["captures"]) == (
        "", "negotiated", "2", "2",
    )
    lines = rows(tmp_path / "out" / "captures.csv")
    assert [(line["failed"], line["connections"], line["notes"]) for line in lines][:2] == [
        ("1", "1", ""), ("0", "1", ""),
    ]
    assert lines[2]["notes"] == "cut-short"
    assert lines[3]["error"].startswith("offset 0")


class Page(HTMLParser):
    """What a page asks for, and its text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.words = self.policy = ""
        self.asked: list[str] = []
        self.tags: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        if ("http-equiv", "Content-Security-Policy") in attrs:
            self.policy = dict(attrs)["content"] or ""
        self.asked += [value or "" for name, value in attrs if name in ("src", "href")]

    def handle_data(self, data: str) -> None:
        self.words += data


def test_the_page_says_the_same_and_asks_nobody(few: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Ran(capsys, "batch", few, "--out", tmp_path / "out")
    text = (tmp_path / "out" / "summary.html").read_text("utf-8")
    page = Page(text)
    assert page.asked == []
    assert "script" not in page.tags
    assert page.policy.startswith("default-src 'none'; style-src 'sha256-")
    for word in ("no-common-dialect", "192.168.40.118", f"{few}/none.pcap", "not a capture", f"{few}/cut.pcap"):
        assert word in page.words


def test_a_limit_that_bites_is_said(few: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Which, where, and the option that lifts it; one that ended the reading counts as not read to its end."""
    (few / "cut.pcap").unlink()
    (few / "none.pcap").unlink()
    data = (few / "b.pcap").read_bytes()
    (few / "b.pcap.gz").write_bytes(gzip.compress(data))
    ran = Ran(capsys, "batch", few, "--out", tmp_path / "out", "--max-decompressed", str(len(data) - 1))
    assert ran.status == 3
    line, = ran.err.splitlines()
    assert line.startswith(f"{few}/b.pcap.gz: not read beyond offset ")
    assert line.endswith("; --max-decompressed lifts it")
    assert line.partition(": ")[2] in Page((tmp_path / "out" / "summary.html").read_text("utf-8")).words
    assert [row["notes"] for row in rows(tmp_path / "out" / "captures.csv")] == ["", "", "limit-reached"]


def test_hostile_names_do_no_harm(samples: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    if sys.platform == "win32":
        pytest.skip("such names cannot be had there")
    folder = tmp_path / "in"
    folder.mkdir()
    name = "=cmd|<script>alert(1)<" + "\u202e" + "img src=x onerror=1>\x1b[31m.pcap"
    (folder / name).write_bytes((samples / FAILED).read_bytes())
    (folder / "=none.pcap").write_bytes(b"none")
    ran = Ran(capsys, "batch", folder, "--out", tmp_path / "out")
    assert "\x1b" not in ran.out + ran.err
    page = Page((tmp_path / "out" / "summary.html").read_text("utf-8"))
    assert not {"script", "img"} & page.tags
    assert "\u202e" not in page.words
    tables = "".join((tmp_path / "out" / name).read_text("utf-8") for name in ("summary.csv", "captures.csv"))
    assert "\u202e" not in tables


def test_a_second_run_does_only_what_is_missing(
    few: Path, samples: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    Ran(capsys, "batch", few, "--out", out)
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*-*.parquet")}
    assert Ran(capsys, "batch", few, "--out", out, "-v").err.splitlines()[0] == (
        "negdiag: 4 captures were done before"
    )
    (few / "new.pcap").write_bytes((samples / "tcp-refused.pcap").read_bytes())
    ran = Ran(capsys, "batch", few, "--out", out)
    assert "5 captures (1 not readable), 4 SMB connections: 2 failed" in ran.out
    after = {path: path.stat().st_mtime_ns for path in out.rglob("*-*.parquet")}
    assert before.items() <= after.items()


def test_a_changed_capture_is_done_again(few: Path, samples: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    Ran(capsys, "batch", few, "--out", out)
    (few / "none.pcap").write_bytes((samples / FAILED).read_bytes())
    ran = Ran(capsys, "batch", few, "--out", out)
    assert ran.out.startswith("4 captures, 4 SMB connections: 2 failed, in 2 captures")


def test_results_of_other_sources_stay(few: Path, samples: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    Ran(capsys, "batch", few / "a.pcap", "--out", out)
    ran = Ran(capsys, "batch", few / "b.pcap", "--out", out)
    assert ran.out.startswith("2 captures, 2 SMB connections: 1 failed")


def test_what_could_not_be_read_is_tried_again_on_demand(
    few: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A store that was out of reach; done again, it is the same row if nothing changed."""
    out = tmp_path / "out"
    Ran(capsys, "batch", few, "--out", out)
    before = result(out)
    assert Ran(capsys, "batch", few, "--out", out, "--retry-errors", "-v").err.splitlines()[0] == (
        "negdiag: 3 captures were done before"
    )
    assert result(out) == before


@pytest.fixture
def bucket(samples: Path) -> Iterator[str]:
    system = fsspec.filesystem("memory")
    system.pipe("/bucket/a.pcap", (samples / FAILED).read_bytes())
    system.pipe("/bucket/b.pcap", (samples / HEALTHY).read_bytes())
    system.pipe("/bucket/none.pcap", b"none")
    yield "memory://bucket"
    system.rm("/bucket", recursive=True)


def test_objects_are_read_like_files(bucket: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ran = Ran(capsys, "batch", bucket, "--out", tmp_path / "out")
    assert ran.status == 3
    assert ran.out.startswith("3 captures (1 not readable), 2 SMB connections: 1 failed")
    assert sorted(pd.read_parquet(tmp_path / "out" / "captures")["capture"]) == [
        f"memory:///bucket/{name}.pcap" for name in ("a", "b", "none")
    ]
    first = result(tmp_path / "out")
    Ran(capsys, "batch", bucket, "--out", tmp_path / "out")
    assert result(tmp_path / "out") == first


def test_a_capture_that_kills_its_worker_is_a_row_and_its_neighbours_are_not_blamed(
    samples: Path, tmp_path: Path
) -> None:
    for name in ("a", "b", DEADLY, "c", "d"):
        (tmp_path / f"{name}.pcap").write_bytes((samples / FAILED).read_bytes())
    sources = sources_of([str(tmp_path)]).captures
    workers: Workers[Source, Part]
    with Workers(Hooked(Recipe()), 2) as workers, Store(str(tmp_path / "out"), {}) as store:
        assert [step.source.name for step in fill(sources, store, workers.results) if step.failed] == [
            f"{tmp_path}/{DEADLY}.pcap"
        ]
    captures = pd.read_parquet(tmp_path / "out" / "captures").set_index("capture")
    errors = captures["error"].dropna()
    assert list(errors.index) == [f"{tmp_path}/{DEADLY}.pcap"]
    assert "whatever process analyses it dies" in errors.iloc[0]
    assert len(captures) == 5


@pytest.mark.parametrize(("words", "said"), [
    ([], "no source given"),
    (["-"], "standard input is no source"),
    (["a.pcap", "--anonymize"], "--anonymize: a batch that is resumed needs the same pseudonyms"),
    (["nowhere/"], "nowhere/: no such folder"),
])
def test_wrong_use(words: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ran = Ran(capsys, "batch", *words, "--out", tmp_path / "out")
    assert ran.status == 2
    assert ran.err.startswith(f"negdiag: {said}")


def test_out_must_be_given(capsys: pytest.CaptureFixture[str]) -> None:
    ran = Ran(capsys, "batch", "x.pcap")
    assert ran.status == 2
    assert "--out" in ran.err


def test_without_the_extra_it_says_which(
    few: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    ran = Ran(capsys, "batch", few, "--out", tmp_path / "out")
    assert (ran.status, ran.err) == (2, "negdiag: batch needs an extra: pip install 'negdiag[parquet]'\n")


@pytest.mark.parametrize(("words", "status"), [
    (["a.pcap", "--fail-on", "error"], 1), (["b.pcap", "--fail-on", "error"], 0), (["a.pcap"], 0),
    (["none.pcap"], 2), (["a.pcap", "none.pcap", "--fail-on", "error"], 3),
])
def test_exit_statuses_are_those_of_every_command(
    words: list[str], status: int, few: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = [str(few / word) if word.endswith(".pcap") else word for word in words]
    assert Ran(capsys, "batch", *given, "--out", tmp_path / "out").status == status


def test_options_reach_the_workers(few: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Rules of a folder, a selection, and pseudonyms under a key."""
    ran = Ran(capsys, "batch", few / "a.pcap", "--out", tmp_path / "ignored", "--ignore", "no-common-dialect")
    assert "no-common-dialect" not in ran.out
    key = tmp_path / "key"
    key.write_bytes(bytes(range(32)))
    Ran(capsys, "batch", few / "a.pcap", "--out", tmp_path / "out", "--anonymize-key", key)
    assert b"192.168.40.118" not in b"".join(result(tmp_path / "out").values())
    settings = json.loads((tmp_path / "out" / "batch.json").read_text())
    assert re.fullmatch("[0-9a-f]{32}", settings["--anonymize-key"])
    ran = Ran(capsys, "batch", few / "a.pcap", "--out", tmp_path / "out")
    assert ran.status == 2
    assert "other settings (--anonymize-key)" in ran.err


def test_added_rules_are_shipped(few: Path, root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rules = tmp_path / "rules"
    rules.mkdir()
    text = (root / "rules" / "no-common-dialect.yaml").read_text("utf-8")
    (rules / "no-common-dialect.yaml").write_text(
        re.sub(r"(?m)^title:.*$", "title: Our own words", text), encoding="utf-8"
    )
    ran = Ran(capsys, "batch", few / "a.pcap", "--out", tmp_path / "out", "--rules", rules)
    assert "no-common-dialect: Our own words" in ran.out
    assert pd.read_parquet(tmp_path / "out" / "findings")["title"].tolist() == ["Our own words"]


def test_a_bad_rule_is_said_before_anything_is_read(
    few: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rules = tmp_path / "rules"
    rules.mkdir()
    (rules / "bad.yaml").write_text("slug: bad\n")
    ran = Ran(capsys, "batch", few, "--out", tmp_path / "out", "--rules", rules)
    assert ran.status == 2
    assert not (tmp_path / "out").exists()
