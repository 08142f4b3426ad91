"""Words stand for the captures they should, and an identity changes with the content."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import fsspec
import pytest

from analyzer.batch import sources
from analyzer.batch.sources import sources_of
from analyzer.errors import MissingExtra, UsageError
from tests.cli.test_main import FAILED, HEALTHY


@pytest.fixture
def memory(samples: Path) -> Iterator[None]:
    """A bucket with two captures, one without an ending, and a text."""
    system = fsspec.filesystem("memory")
    system.pipe("/bucket/a.pcap", (samples / FAILED).read_bytes())
    system.pipe("/bucket/deep/unnamed", (samples / HEALTHY).read_bytes())
    system.pipe("/bucket/notes.txt", b"no capture")
    yield
    system.rm("/bucket", recursive=True)


def names(*words: str | Path) -> list[str]:
    return [source.name for source in sources_of(map(str, words)).captures]


def test_files_folders_and_patterns(samples: Path, tmp_path: Path) -> None:
    for name in ("b.pcap", "a.pcap", "[x].pcap"):
        (tmp_path / name).write_bytes((samples / FAILED).read_bytes())
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "c.pcap").write_bytes((samples / FAILED).read_bytes())
    (tmp_path / "readme").write_bytes(b"no capture")
    assert names(tmp_path) == [str(tmp_path / name) for name in ("[x].pcap", "a.pcap", "b.pcap", "deep/c.pcap")]
    assert names(tmp_path / "*.pcap") == [str(tmp_path / name) for name in ("[x].pcap", "a.pcap", "b.pcap")]
    assert names(tmp_path / "**" / "c.pcap") == [str(tmp_path / "deep/c.pcap")]
    assert names(tmp_path / "[x].pcap") == [str(tmp_path / "[x].pcap")]
    assert sources_of([str(tmp_path)]).passed == (str(tmp_path / "readme"),)


def test_the_same_file_twice_is_one_source(samples: Path) -> None:
    assert len(names(samples / FAILED, samples / FAILED, samples)) == len(names(samples))


def test_a_file_that_changes_between_two_words_is_one_source(samples: Path, tmp_path: Path) -> None:
    """Two results of one place would be written over each other, side by side."""
    path = tmp_path / "a.pcap"
    path.write_bytes((samples / FAILED).read_bytes())

    def words() -> Iterator[str]:
        yield str(path)
        path.write_bytes((samples / HEALTHY).read_bytes())
        yield str(tmp_path)

    assert [source.name for source in sources_of(words()).captures] == [str(path)]


@pytest.mark.skipif(sys.platform == "win32", reason="has no named pipes in folders")
def test_a_named_pipe_is_not_waited_for(samples: Path, tmp_path: Path) -> None:
    (tmp_path / "a.pcap").write_bytes((samples / FAILED).read_bytes())
    os.mkfifo(tmp_path / "pipe.pcap")
    found = sources_of([str(tmp_path / "*")]).captures
    assert [(source.name, source.problem) for source in found] == [
        (str(tmp_path / "a.pcap"), None), (str(tmp_path / "pipe.pcap"), "neither a regular file nor a folder"),
    ]
    assert names(tmp_path) == [str(tmp_path / "a.pcap")]


def test_a_url_of_a_local_file_is_a_path(samples: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Local files never go through fsspec."""
    monkeypatch.setitem(sys.modules, "fsspec.core", None)
    source, = sources_of([f"file://{samples / FAILED}"]).captures
    assert source.local
    assert source.name == str(samples / FAILED)


def test_a_folder_of_a_bucket_is_searched_by_content(memory: None) -> None:
    found = sources_of(["memory://bucket"])
    assert [source.name for source in found.captures] == ["memory:///bucket/a.pcap", "memory:///bucket/deep/unnamed"]
    assert found.passed == ("memory:///bucket/notes.txt",)
    assert not any(source.local for source in found.captures)


def test_an_object_and_a_pattern_of_a_bucket(memory: None) -> None:
    assert names("memory://bucket/a.pcap") == ["memory:///bucket/a.pcap"]
    assert names("memory://bucket/*.pcap") == ["memory:///bucket/a.pcap"]
    assert names("memory://bucket/notes.txt") == ["memory:///bucket/notes.txt"]


def test_what_is_not_there_is_a_source_with_its_problem(tmp_path: Path) -> None:
    here, there = sources_of([str(tmp_path / "gone.pcap"), "memory://nowhere/gone.pcap"]).captures
    assert here.problem == "No such file or directory"
    assert there.problem


def test_a_pattern_that_fits_nothing_is_said(tmp_path: Path) -> None:
    assert sources_of([str(tmp_path / "*.pcap")]).unlisted == (
        (str(tmp_path / "*.pcap"), "nothing has such a name"),
    )


def test_a_result_is_known_by_size_and_time(samples: Path, tmp_path: Path) -> None:
    path = tmp_path / "a.pcap"
    path.write_bytes((samples / FAILED).read_bytes())
    first, = sources_of([str(path)]).captures
    assert sources_of([str(path)]).captures == (first,)
    os.utime(path, ns=(0, 12345))
    second, = sources_of([str(path)]).captures
    assert first.key.partition("-")[0] == second.key.partition("-")[0]
    assert first.key != second.key


@pytest.mark.parametrize(("info", "identity"), [
    ({"ETag": '"abc"', "LastModified": "x", "size": 5}, '5:"abc"'),
    ({"etag": "w", "last_modified": "x", "size": 5}, "5:w"),
    ({"md5Hash": "m==", "updated": "x", "generation": 3, "size": 5}, "5:m=="),
    ({"mtime": 12.5, "size": 5}, "5:12.5"),
    ({"size": None}, "None:"),
])
def test_an_object_is_known_by_what_its_store_says(info: dict[str, object], identity: str) -> None:
    """Keys of s3fs, adlfs, gcsfs, sftp and plain HTTP."""

    class System:
        protocol = ("s3", "s3a")

        def unstrip_protocol(self, path: str) -> str:
            return f"s3://{path}"

    assert sources._object(System(), {"name": "bucket/a.pcap", **info}).identity == identity


def test_standard_input_is_no_source() -> None:
    with pytest.raises(UsageError, match="standard input"):
        sources_of(["-"])


def test_without_fsspec_it_says_which_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "fsspec.core", None)
    with pytest.raises(MissingExtra, match=r"s3:// needs an extra: pip install 'negdiag\[remote\]'"):
        sources_of(["s3://bucket/a.pcap"])


def test_an_unknown_scheme_is_wrong_use() -> None:
    with pytest.raises(UsageError, match="nonsense"):
        sources_of(["nonsense://bucket/a.pcap"])


def test_a_missing_library_of_a_scheme_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "s3fs", None)
    with pytest.raises(MissingExtra, match="s3fs"):
        sources_of(["s3://bucket/a.pcap"])
