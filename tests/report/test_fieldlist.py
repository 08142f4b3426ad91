from __future__ import annotations

import csv
import io
import json

import pytest

from analyzer.report.fieldlist import FORMATS, Row

ROWS: list[Row] = [
    {
        "frame.number": 4, "tcp.stream": 0, "smb2.cmd": 0, "smb2.flags.response": False,
        "smb2.dialect": [514, 785], "smb2.boot_time": None, "smb2.negotiate_context.netname": "=evil\x1b",
    },
    {"frame.number": 5, "tcp.stream": 0, "smb2.cmd": 0, "smb2.flags.response": True, "smb2.nt_status": 0xC00000BB},
]


def written(form: str, rows: list[Row] = ROWS) -> str:
    out = io.StringIO(newline="")
    FORMATS[form](rows, out)
    return out.getvalue()


def test_json_is_one_list_of_the_values_as_they_are() -> None:
    assert json.loads(written("json")) == ROWS


def test_ndjson_is_one_object_on_a_line() -> None:
    assert [json.loads(line) for line in written("ndjson").splitlines()] == ROWS


@pytest.mark.parametrize(("form", "text"), [("json", "[]\n"), ("ndjson", ""), ("text", ""),
                                            ("csv", "frame.number,tcp.stream\n")])
def test_no_message_is_an_empty_report(form: str, text: str) -> None:
    assert written(form, []) == text


def test_csv_has_a_column_for_each_name() -> None:
    assert list(csv.reader(io.StringIO(written("csv"), newline=""))) == [
        [
            "frame.number", "tcp.stream", "smb2.cmd", "smb2.flags.response", "smb2.dialect", "smb2.boot_time",
            "smb2.negotiate_context.netname", "smb2.nt_status",
        ],
        ["4", "0", "0", "0", "514;785", "", "'=evil\\x1b", ""],
        ["5", "0", "0", "1", "", "", "", "3221225659"],
    ]


def test_text_is_a_block_for_each_message() -> None:
    lines = written("text").splitlines()
    assert lines[0] == "frame 4, tcp.stream 0: SMB2 NEGOTIATE request"
    assert "  smb2.dialect                    0x0202, 0x0311" in lines
    assert "  smb2.negotiate_context.netname  =evil\\x1b" in lines
    assert "frame 5, tcp.stream 0: SMB2 NEGOTIATE response" in lines
    assert "  smb2.nt_status       0xc00000bb" in lines
