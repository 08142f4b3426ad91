"""Parts are there whole or not at all, and only one run with one set of settings writes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from analyzer.batch.sources import Source, sources_of
from analyzer.batch.store import Store
from analyzer.batch.work import Recipe, Work, unread
from analyzer.errors import OutputError, UsageError
from analyzer.report.parquet import TABLES, schema
from tests.cli.test_main import FAILED

ABOUT = {"version": "1"}


def source(samples: Path) -> Source:
    return sources_of([str(samples / FAILED)]).captures[0]


def test_a_part_is_there_for_the_next_run(samples: Path, tmp_path: Path) -> None:
    one = source(samples)
    with Store(str(tmp_path / "out"), ABOUT) as store:
        assert not store.has(one.key)
        store.commit(one.key, Work(Recipe())(one))
    with Store(str(tmp_path / "out"), ABOUT) as store:
        assert store.has(one.key)
        assert store.keys() == (one.key,)
        table = store.table("connections", one.key, ["causes"])
        assert table is not None
        assert table.to_pylist() == [{"causes": ["no-common-dialect"]}]


def test_every_table_can_be_read_before_anything_is_found(tmp_path: Path) -> None:
    with Store(str(tmp_path), ABOUT):
        pass
    for table in TABLES:
        assert pq.read_table(tmp_path / table).schema.equals(schema(table))


def test_what_a_killed_run_left_is_removed(samples: Path, tmp_path: Path) -> None:
    """Rows whose capture has none, and files that were being written."""
    one = source(samples)
    with Store(str(tmp_path), ABOUT) as store:
        store.commit(one.key, Work(Recipe())(one))
    (tmp_path / "captures" / f"{one.key}.parquet").unlink()
    (tmp_path / ".partial" / "7.part").write_bytes(b"half")
    (tmp_path / "connections" / "mine.parquet").write_bytes(b"not ours")
    with Store(str(tmp_path), ABOUT) as store:
        assert not store.has(one.key)
    assert [path.name for path in (tmp_path / "findings").iterdir()] == ["0.parquet"]
    assert not list((tmp_path / ".partial").iterdir())
    assert (tmp_path / "connections" / "mine.parquet").exists()


def test_a_new_version_takes_the_place_of_the_old(samples: Path, tmp_path: Path) -> None:
    one = source(samples)
    newer = one._replace(identity="newer")
    with Store(str(tmp_path), ABOUT) as store:
        store.commit(one.key, Work(Recipe())(one))
        store.commit(newer.key, unread(newer, "gone"))
        assert store.keys() == (newer.key,)
        assert store.table("connections", one.key, ["causes"]) is None


def test_two_runs_do_not_write_at_once(tmp_path: Path) -> None:
    with Store(str(tmp_path), ABOUT):
        script = (
            "import sys\nfrom analyzer.batch.store import Store\nfrom analyzer.errors import UsageError\n"
            "try:\n    Store(sys.argv[1], {'version': '1'})\nexcept UsageError as error:\n    print(error)\n"
        )
        done = subprocess.run(
            [sys.executable, "-c", script, str(tmp_path)], check=True, capture_output=True, text=True
        )
    assert done.stdout == f"--out {tmp_path}: another batch is writing there\n"


def test_other_settings_need_another_folder(samples: Path, tmp_path: Path) -> None:
    one = source(samples)
    with Store(str(tmp_path), {"version": "1", "--port": "445"}) as store:
        store.commit(one.key, Work(Recipe())(one))
    with pytest.raises(UsageError, match=r"other settings \(--port\)"):
        Store(str(tmp_path), {"version": "1", "--port": "any"})


def test_settings_may_change_as_long_as_there_is_no_result(tmp_path: Path) -> None:
    for port in ("445", "any"):
        with Store(str(tmp_path), {"--port": port}):
            pass


def test_a_damaged_part_is_named(samples: Path, tmp_path: Path) -> None:
    one = source(samples)
    with Store(str(tmp_path), ABOUT) as store:
        store.commit(one.key, Work(Recipe())(one))
        (tmp_path / "captures" / f"{one.key}.parquet").write_bytes(b"damaged by something else")
        with pytest.raises(OutputError, match=one.key):
            store.table("captures", one.key, ["capture"])


def test_a_folder_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(OutputError, match="cannot be written"):
        Store(str(tmp_path / "file" / "out"), ABOUT)
