from __future__ import annotations

import io
import json
from typing import Any

import pytest

from analyzer import __version__
from analyzer.capture.join import Place
from analyzer.report.json import JsonWriter, NdjsonWriter, connection_object, connection_text
from analyzer.report.record import CaptureRecord, ConnectionRecord, Detail
from analyzer.report.writer import Style, Writer
from tests.report.sample import HOSTILE, capture, failed, finding, negotiated, warning


def write(kind: type[Writer], *captures: tuple[CaptureRecord, list[ConnectionRecord]]) -> str:
    out = io.StringIO()
    writer = kind(out, Style(several=len(captures) > 1))
    writer.start()
    for record, connections in captures:
        writer.capture(record)
        for connection in connections:
            writer.connection(connection)
        writer.end()
    writer.finish()
    return out.getvalue()


def test_the_document_is_what_the_manual_promises() -> None:
    document = json.loads(write(JsonWriter, (capture(), [failed()])))
    assert document["negdiag"] == {"version": __version__, "schema": 1}
    (record,) = document["captures"]
    assert {key: record[key] for key in record if key not in ("connections", "traffic")} == {
        "capture": "ticket/a.pcap", "format": "pcap", "packets": 120,
        "first_time": "2026-11-22T10:00:00.000001Z", "last_time": "2026-11-22T10:00:01.000001Z",
        "error": None, "notes": [{"kind": "one-sided", "text": "one side only"}],
    }
    (connection,) = record["connections"]
    assert connection == {
        "tcp.stream": 3, "client": "10.1.2.3:50122", "server": "10.1.2.9:445", "transport": "direct-tcp",
        "outcome": "failed", "reached": "tcp", "causes": ["no-common-dialect"], "confidence": "proven",
        "candidates": [], "warnings": [], "dialect": None, "client_name": None, "server_name": "FILER",
        "offered": ["SMB 2.0.2", "SMB 2.1"],
        "frames": {"first": 10, "last": 17, "request": 13, "response": 15}, "response_time": 0.000812,
        "first_time": "2026-11-22T10:00:00.000001Z", "last_time": "2026-11-22T10:00:00.005001Z",
        "findings": [
            {
                "rule": "no-common-dialect", "code": "NEG301", "severity": "error",
                "title": "No common dialect",
                "summary": "10.1.2.9:445 accepts none of the dialects offered (SMB 2.0.2, SMB 2.1)",
                "fix": [
                    {
                        "side": "server", "platform": "samba", "text": "Raise the maximum dialect",
                        "command": "server max protocol = SMB3\ntestparm",
                    }
                ],
                "frames": [13, 15], "display_filter": "tcp.stream eq 3 && (smb || smb2)",
                "reference": "MS-SMB2 3.3.5.4",
            }
        ],
    }


PROMISED = (
    "tcp.stream", "client", "server", "transport", "outcome", "reached", "causes", "confidence",
    "candidates", "warnings", "dialect", "client_name", "server_name", "offered", "frames", "response_time",
    "findings",
)


def test_keys_come_in_the_promised_order() -> None:
    record = json.loads(write(JsonWriter, (capture(), [failed()])))["captures"][0]
    assert [key for key in record["connections"][0] if key in PROMISED] == list(PROMISED)
    assert list(record) == [
        "capture", "format", "packets", "first_time", "last_time", "error", "notes", "traffic", "connections",
    ]


def test_no_capture_and_no_connection_are_documents_too() -> None:
    assert json.loads(write(JsonWriter))["captures"] == []
    unread = capture(error="offset 0: empty file (0 bytes)", first_ns=None, last_ns=None, packets=0, format=None)
    (record,) = json.loads(write(JsonWriter, (unread, [])))["captures"]
    assert (record["error"], record["first_time"], record["connections"]) == (
        "offset 0: empty file (0 bytes)", None, [],
    )


def test_captures_and_connections_stay_in_order() -> None:
    document = json.loads(
        write(JsonWriter, (capture(capture="b"), [failed(), negotiated()]), (capture(capture="a"), []))
    )
    assert [record["capture"] for record in document["captures"]] == ["b", "a"]
    assert [c["tcp.stream"] for c in document["captures"][0]["connections"]] == [3, 4]


def test_values_are_as_they_are_and_the_text_is_ascii() -> None:
    text = write(JsonWriter, (capture(), [failed(server_name=HOSTILE, dialect="=1+1")]))
    assert text.isascii() and "\x1b" not in text
    connection = json.loads(text)["captures"][0]["connections"][0]
    assert (connection["server_name"], connection["dialect"]) == (HOSTILE, "=1+1")


def test_a_path_that_is_no_utf8_is_shown_with_escapes() -> None:
    text = write(JsonWriter, (capture(capture="a\udcff.pcap"), []))
    assert json.loads(text)["captures"][0]["capture"] == "a\\udcff.pcap"


def test_ndjson_has_one_object_for_each_connection() -> None:
    rows: list[dict[str, Any]] = [
        json.loads(line)
        for line in write(NdjsonWriter, (capture(), [failed(), negotiated()]), (capture(), [])).splitlines()
    ]
    assert [(row["capture"], row["tcp.stream"]) for row in rows] == [("ticket/a.pcap", 3), ("ticket/a.pcap", 4)]


@pytest.mark.parametrize("record", [
    failed(),
    negotiated(),
    negotiated(response_time=1.25e-05, server_name=HOSTILE, offered=(HOSTILE, "caf\xe9", "\udc80"), first_ns=-1, last_ns=1),
    failed(findings=(finding(summary=HOSTILE, frames=(), reference=None, fix=()), warning(places=(Place("a\udc80", 7),)))),
    failed(detail=Detail((), ())),
])
def test_the_quick_text_is_the_slow_one(record: ConnectionRecord) -> None:
    """Connections are written from parts that are made once."""
    assert f"{{{connection_text(record)}}}" == json.dumps(connection_object(record))
