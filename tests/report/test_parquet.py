"""Parquet: every value of the records with its type, as pandas and DuckDB read it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from analyzer import analyze
from analyzer.pipeline import negotiates
from analyzer.reading import Settings, read
from analyzer.report import columns, csv, parquet
from tests.cli.test_main import FAILED, HEALTHY, Ran


@pytest.fixture(scope="module")
def tables(samples: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All tables over three samples, one of them healthy and one without a connection."""
    from analyzer.cli.main import main

    folder = tmp_path_factory.mktemp("tables") / "t.parquet"
    captures = [str(samples / name) for name in (FAILED, HEALTHY, "smb-over-rdma.pcap")]
    assert main([*captures, "-q", "-o", f"{folder}/"]) == 0
    return folder


def test_there_is_a_file_for_each_table(tables: Path) -> None:
    assert sorted(path.name for path in tables.iterdir()) == [
        "captures.parquet", "connections.parquet", "findings.parquet", "messages.parquet",
    ]


@pytest.mark.parametrize("table", parquet.TABLES)
def test_columns_and_types_are_those_of_the_page(table: str, tables: Path) -> None:
    found = pq.read_schema(tables / f"{table}.parquet")
    assert found.names == [column.name for column in columns.columns(table)]
    assert found.equals(parquet.schema(table))


def test_types_are_proper(tables: Path) -> None:
    found = pq.read_schema(tables / "connections.parquet")
    assert found.field("first_time").type == pa.timestamp("ns", "UTC")
    assert found.field("request_frame").type == pa.int64()
    assert found.field("causes").type == pa.list_(pa.string())
    assert found.field("frames").type == pa.list_(pa.int64())
    assert pq.read_schema(tables / "messages.parquet").field("smb2.sesid").type == pa.uint64()


def test_a_connection_is_the_row_that_csv_and_json_have(samples: Path, tmp_path: Path) -> None:
    report = analyze(samples / FAILED)
    report.write(tmp_path / "x.parquet")
    row, = pq.read_table(tmp_path / "x.parquet").to_pylist()
    assert row["causes"] == ["no-common-dialect"]
    assert row["client"] == "192.168.40.118:47302"
    assert row["frames"] == report.findings["frames"][0]
    assert row["response_frame"] == report.connections["response_frame"][0]
    assert row["first_time"] == report.connections["first_time"][0]
    assert row["confidence"] == "proven"


def test_columns_of_connections_are_those_of_csv() -> None:
    assert tuple(column.name for column in columns.CONNECTIONS) == csv.COLUMNS


def test_pandas_reads_absent_numbers_as_absent(tables: Path, samples: Path, tmp_path: Path) -> None:
    frame = pd.read_parquet(tables / "connections.parquet")
    assert frame["request_frame"].dtype == pd.Int64Dtype()
    assert frame["first_time"].dtype == pd.DatetimeTZDtype("ns", "UTC")
    report = analyze(samples / "tcp-refused.pcap")
    report.write(tmp_path / "x.parquet")
    refused = pd.read_parquet(tmp_path / "x.parquet")
    assert refused["request_frame"].dtype == pd.Int64Dtype()
    assert refused["request_frame"].isna().all()


def test_pandas_and_the_report_agree(tables: Path, samples: Path) -> None:
    report = analyze(*[samples / name for name in (FAILED, HEALTHY, "smb-over-rdma.pcap")])
    for name in ("captures", "connections", "findings", "messages"):
        there = pd.read_parquet(tables / f"{name}.parquet")
        here: pd.DataFrame = getattr(report, name)
        assert len(there) == len(here)
        assert set(here) <= set(there)
        for column in ("capture", "tcp.stream", "frame.number", "outcome", "rule", "packets", "smb2.msg_id"):
            if column in here:
                assert there[column].tolist() == here[column].tolist()


def test_duckdb_reads_them(tables: Path) -> None:
    rows = duckdb.connect().execute(
        f"select cause, count(*) from (select unnest(causes) as cause from '{tables}/connections.parquet') group by 1"
    ).fetchall()
    assert rows == [("no-common-dialect", 1)]
    dialects = duckdb.connect().execute(
        f"""select "smb2.dialect" from '{tables}/messages.parquet' where "smb2.flags.response" = false limit 1"""
    ).fetchall()
    assert dialects[0][0]


def _captures(*folders: Path) -> Iterator[Path]:
    for folder in folders:
        yield from sorted(path for path in folder.glob("*.pcap*") if path.suffix != ".json")


def test_every_field_of_every_message_has_its_column(samples: Path, lab: Path, public: Path) -> None:
    """A field without one would be lost without a word; a list in a column of single values too."""
    known = {column.name: column.type for column in columns.messages()}
    lists = (columns.STRINGS, columns.INTEGERS, columns.UNSIGNEDS, columns.FLAGS)
    for capture in _captures(samples, lab, public):
        for row in negotiates(read(str(capture), capture, Settings())):
            assert row.keys() - {"capture"} <= known.keys()
            assert not [name for name, value in row.items() if isinstance(value, list) and known[name] not in lists]


def test_names_that_are_no_unicode_are_written(tmp_path: Path, samples: Path) -> None:
    """Arrow refuses lone surrogates: a path of arbitrary bytes has them."""
    capture = tmp_path / b"caf\xe9.pcap".decode("utf-8", "surrogateescape")
    capture.write_bytes((samples / FAILED).read_bytes())
    analyze(capture).write(tmp_path / "x.parquet")
    row, = pq.read_table(tmp_path / "x.parquet").to_pylist()
    assert row["capture"].endswith("caf\\udce9.pcap")


def test_the_same_records_give_the_same_bytes(samples: Path, tmp_path: Path) -> None:
    for name in ("a", "b"):
        analyze(samples / FAILED).write(tmp_path / f"{name}.parquet")
    assert (tmp_path / "a.parquet").read_bytes() == (tmp_path / "b.parquet").read_bytes()


def test_without_the_extra_it_says_which_to_install(
    samples: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    monkeypatch.delitem(sys.modules, "analyzer.report.parquet")
    monkeypatch.delattr("analyzer.report.parquet")
    ran = Ran(capsys, samples / FAILED, "-o", tmp_path / "x.parquet", "-o", tmp_path / "y.csv")
    assert ran.status == 2
    assert ran.err == "negdiag: Parquet needs an extra: pip install 'negdiag[parquet]'\n"
    assert not list(tmp_path.iterdir())


def test_an_output_that_cannot_be_written_is_named(
    samples: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_bytes(b"")
    ran = Ran(capsys, samples / FAILED, "-o", f"{tmp_path}/file/x.parquet/")
    assert ran.status == 2
    assert "cannot be written" in ran.err


def test_a_large_table_has_several_row_groups(samples: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parquet, "ROWS", 2)
    report = analyze(samples)
    report.write(tmp_path / "x.parquet")
    file = pq.ParquetFile(tmp_path / "x.parquet")
    assert file.num_row_groups > 10
    assert file.read().num_rows == len(report.connections)
