"""Records -> pandas DataFrames, one row each: the only door to pandas.

Column names are those of the CSV and JSON reports, messages those of Wireshark. Whole numbers and
flags that may be absent are nullable (Int64, boolean), times are datetime64[ns, UTC], lists are lists.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import pandas as pd

from analyzer.report.record import CaptureRecord, ConnectionRecord

Row = Mapping[str, object]
_TIMES = ("first_time", "last_time")

_CAPTURES = {
    "capture": "string", "format": "string", "packets": "Int64", "first_time": "time", "last_time": "time",
    "error": "string", "notes": "object", "connections": "Int64",
}
_CONNECTIONS = {
    "capture": "string", "tcp.stream": "Int64", "client": "string", "server": "string",
    "transport": "string", "outcome": "string", "reached": "string", "causes": "object",
    "confidence": "string", "candidates": "object", "warnings": "object", "dialect": "string",
    "client_name": "string", "server_name": "string", "offered": "object", "first_frame": "Int64",
    "last_frame": "Int64", "request_frame": "Int64", "response_frame": "Int64",
    "response_time": "Float64", "first_time": "time", "last_time": "time",
}
_FINDINGS = {
    "capture": "string", "tcp.stream": "Int64", "client": "string", "server": "string",
    "rule": "string", "code": "string", "severity": "string", "title": "string", "summary": "string",
    "fix": "object", "frames": "object", "display_filter": "string", "reference": "string",
}
_MESSAGES = {"capture": "string", "frame.number": "Int64", "tcp.stream": "Int64"}

Found = Iterable[tuple[CaptureRecord, Sequence[ConnectionRecord]]]


def captures(found: Found) -> pd.DataFrame:
    """One row per capture given, with its error."""
    return _frame(
        (
            {
                "capture": capture.capture, "format": capture.format, "packets": capture.packets,
                "first_time": capture.first_ns, "last_time": capture.last_ns, "error": capture.error,
                "notes": [note.kind for note in capture.notes], "connections": len(records),
            }
            for capture, records in found
        ),
        _CAPTURES,
    )


def connections(found: Found) -> pd.DataFrame:
    """One row per connection, in order of tcp.stream."""
    return _frame((_connection(capture, record) for capture, records in found for record in records), _CONNECTIONS)


def findings(found: Found) -> pd.DataFrame:
    """One row per finding. fix: a list of dicts with side, platform, text and command."""
    return _frame(
        (
            {
                "capture": capture.capture, "tcp.stream": record.stream,
                "client": record.client, "server": record.server,
                "rule": finding.rule, "code": finding.code, "severity": finding.severity,
                "title": finding.title, "summary": finding.summary,
                "fix": [fix._asdict() for fix in finding.fix], "frames": list(finding.frames),
                "display_filter": finding.display_filter, "reference": finding.reference,
            }
            for capture, records in found
            for record in records
            for finding in record.findings
        ),
        _FINDINGS,
    )


def messages(rows: Iterable[Row]) -> pd.DataFrame:
    """One row per NEGOTIATE message. rows: Wireshark's names, with `capture`, `frame.number`, `tcp.stream`."""
    return _frame(rows, _MESSAGES).convert_dtypes()


def _connection(capture: CaptureRecord, record: ConnectionRecord) -> Row:
    return {
        "capture": capture.capture, "tcp.stream": record.stream, "client": record.client,
        "server": record.server, "transport": record.transport, "outcome": record.outcome,
        "reached": record.reached, "causes": list(record.causes), "confidence": record.confidence,
        "candidates": list(record.candidates), "warnings": list(record.warnings),
        "dialect": record.dialect, "client_name": record.client_name,
        "server_name": record.server_name, "offered": list(record.offered),
        "first_frame": record.frames.first, "last_frame": record.frames.last,
        "request_frame": record.frames.request, "response_frame": record.frames.response,
        "response_time": record.response_time, "first_time": record.first_ns, "last_time": record.last_ns,
    }


def _frame(rows: Iterable[Row], types: Mapping[str, str]) -> pd.DataFrame:
    listed = list(rows)
    names = dict.fromkeys((*types, *(name for row in listed for name in row)))
    columns = {}
    for name in names:
        values = [row.get(name) for row in listed]
        kind = types.get(name, "object")
        if kind == "time":
            columns[name] = pd.Series(pd.to_datetime(pd.Series(values, dtype="Int64"), unit="ns", utc=True))
        else:
            columns[name] = pd.Series(values, dtype=kind)
    return pd.DataFrame(columns)
