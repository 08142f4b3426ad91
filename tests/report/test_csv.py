from __future__ import annotations

import csv
import io

from analyzer.report.csv import COLUMNS, CsvWriter
from analyzer.report.writer import Style
from tests.report.sample import HOSTILE, capture, failed, finding, negotiated


def rows(*connections: object, file: bool = False) -> tuple[str, list[dict[str, str]]]:
    out = io.StringIO(newline="")
    writer = CsvWriter(out, Style(file=file))
    writer.start()
    writer.capture(capture())
    for connection in connections:
        writer.connection(connection)  # type: ignore[arg-type]
    writer.end()
    writer.finish()
    text = out.getvalue()
    return text, list(csv.DictReader(io.StringIO(text.removeprefix("\ufeff"), newline="")))


def test_one_row_for_each_connection() -> None:
    _, (broken, healthy) = rows(failed(), negotiated(response_time=None))
    assert list(broken) == list(COLUMNS)
    assert {name: broken[name] for name in ("capture", "tcp.stream", "offered", "causes", "frames")} == {
        "capture": "ticket/a.pcap", "tcp.stream": "3", "offered": "SMB 2.0.2;SMB 2.1",
        "causes": "no-common-dialect", "frames": "13;15",
    }
    assert broken["response_time"] == "0.000812"
    assert broken["fix"] == "Raise the maximum dialect server max protocol = SMB3\\x0atestparm"
    assert (healthy["response_time"], healthy["severity"]) == ("", "warning")


def test_only_a_file_has_a_byte_order_mark() -> None:
    assert rows(failed(), file=True)[0].startswith("\ufeffcapture,")
    assert rows(failed())[0].startswith("capture,")


def test_nothing_from_a_capture_is_a_formula() -> None:
    _, (row,) = rows(
        failed(
            server_name="=HYPERLINK(1)", client_name="\t=1", dialect="@x", offered=("+1", "-2"),
            findings=(finding(summary="-2+3"),),
        )
    )
    assert row["server_name"] == "'=HYPERLINK(1)"
    assert row["client_name"] == "'\\x09=1"
    assert row["dialect"] == "'@x"
    assert row["offered"] == "'+1;'-2"
    assert row["summary"] == "'-2+3"


def test_a_row_is_one_line() -> None:
    text, _ = rows(failed(server_name=HOSTILE))
    assert len(text.splitlines()) == 2
