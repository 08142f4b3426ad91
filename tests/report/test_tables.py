from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from analyzer.errors import UsageError
from analyzer.report.result import Report
from tests.report.sample import capture, failed, negotiated

UNREAD = capture(capture="b", error="offset 0: x", first_ns=None, last_ns=None, packets=0, format=None)
FIELDS = [
    {"capture": "ticket/a.pcap", "frame.number": 4, "tcp.stream": 0, "smb2.dialect": [514, 528], "smb2.cmd": 0},
    {"capture": "ticket/a.pcap", "frame.number": 5, "tcp.stream": 0, "smb2.dialect": 528, "smb2.nt_status": 0},
]


@pytest.fixture
def report() -> Report:
    return Report([(capture(), [failed(), negotiated(response_time=None)]), (UNREAD, [])], FIELDS)


def test_one_row_for_each_capture_connection_and_finding(report: Report) -> None:
    assert list(report.captures["capture"]) == ["ticket/a.pcap", "b"]
    assert list(report.connections["tcp.stream"]) == [3, 4]
    assert list(report.findings["rule"]) == ["no-common-dialect", "signing-not-required"]
    assert list(report.messages["frame.number"]) == [4, 5]


def test_absent_is_missing_and_neither_zero_nor_empty(report: Report) -> None:
    assert report.captures["error"].isna().tolist() == [True, False]
    assert report.captures["first_time"].isna().tolist() == [False, True]
    assert report.connections["response_time"].isna().tolist() == [False, True]
    assert report.connections["dialect"].isna().tolist() == [True, False]
    assert report.messages["smb2.nt_status"].isna().tolist() == [True, False]


def test_times_have_a_zone_and_nanoseconds(report: Report) -> None:
    assert report.connections["first_time"][0] == pd.Timestamp("2026-11-22T10:00:00.000001Z")
    assert str(report.connections["first_time"].dtype) == "datetime64[ns, UTC]"


def test_lists_are_lists(report: Report) -> None:
    assert report.connections["offered"][0] == ["SMB 2.0.2", "SMB 2.1"]
    assert report.findings["frames"][0] == [13, 15]
    assert report.messages["smb2.dialect"].tolist() == [[514, 528], 528]


def test_an_empty_run_has_the_columns_all_the_same() -> None:
    empty = Report([], [])
    assert "tcp.stream" in empty.connections.columns and len(empty.connections) == 0
    assert "error" in empty.captures.columns
    assert "rule" in empty.findings.columns
    assert "frame.number" in empty.messages.columns


def test_write_takes_the_format_from_the_ending(report: Report, tmp_path: Path) -> None:
    report.write(tmp_path / "x.csv")
    assert (tmp_path / "x.csv").read_bytes().startswith(b"\xef\xbb\xbfcapture,")
    with pytest.raises(UsageError, match="ending"):
        report.write(tmp_path / "x.docx")
