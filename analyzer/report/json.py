"""Records -> the JSON report, and NDJSON with one object per connection. Values are as they are, in ASCII."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from analyzer.report.record import SCHEMA, CaptureRecord, ConnectionRecord, Detail, FindingRecord, iso
from analyzer.report.safe import encodable
from analyzer.report.writer import Writer
from analyzer.version import __version__

if TYPE_CHECKING:
    from analyzer.capture.join import Place

Json = dict[str, "JsonValue"]
JsonValue = None | bool | int | float | str | list["JsonValue"] | Json


class JsonWriter(Writer):
    """One document, streamed: one line per connection."""

    _first_capture = True
    _first_connection = True

    def start(self) -> None:
        head = json.dumps({"version": __version__, "schema": SCHEMA})
        self.out.write(f'{{"negdiag": {head},\n "captures": [')

    def capture(self, record: CaptureRecord) -> None:
        text = json.dumps(capture_object(record))
        self.out.write(f'{"" if self._first_capture else ","}\n  {text[:-1]},\n   "connections": [')
        self._first_capture = False
        self._first_connection = True

    def connection(self, record: ConnectionRecord) -> None:
        self.out.write(f"{'' if self._first_connection else ','}\n    {json.dumps(connection_object(record))}")
        self._first_connection = False

    def end(self) -> None:
        self.out.write("]}")

    def finish(self) -> None:
        self.out.write("]}\n")


class NdjsonWriter(Writer):
    """One object per connection, with the name of its capture."""

    _capture = ""

    def capture(self, record: CaptureRecord) -> None:
        self._capture = encodable(record.capture)

    def connection(self, record: ConnectionRecord) -> None:
        self.out.write(json.dumps({"capture": self._capture, **connection_object(record._replace(detail=None))}) + "\n")


def capture_object(record: CaptureRecord) -> Json:
    """A capture without its connections."""
    traffic = record.traffic
    return {
        "capture": encodable(record.capture),
        **({"files": [encodable(part.file) for part in record.parts]} if record.parts else {}),
        "format": record.format,
        "packets": record.packets,
        "first_time": None if record.first_ns is None else iso(record.first_ns),
        "last_time": None if record.last_ns is None else iso(record.last_ns),
        "error": None if record.error is None else encodable(record.error),
        "notes": [{"kind": note.kind, "text": encodable(note.text)} for note in record.notes],
        "traffic": {
            "link_types": list(traffic.link_types),
            "tcp_packets": traffic.tcp_packets,
            "tcp_ports": [{"port": port.port, "packets": port.packets} for port in traffic.tcp_ports],
            "smb_like_ports": list(traffic.smb_like_ports),
        },
    }


def connection_object(record: ConnectionRecord) -> Json:
    """A connection with its findings."""
    return {
        "tcp.stream": record.stream,
        "client": record.client,
        "server": record.server,
        "transport": record.transport,
        "outcome": record.outcome,
        "reached": record.reached,
        "causes": list(record.causes),
        "confidence": record.confidence,
        "candidates": list(record.candidates),
        "warnings": list(record.warnings),
        "dialect": _text(record.dialect),
        "client_name": _text(record.client_name),
        "server_name": _text(record.server_name),
        "offered": [encodable(dialect) for dialect in record.offered],
        "frames": {
            "first": record.frames.first,
            "last": record.frames.last,
            "request": record.frames.request,
            "response": record.frames.response,
        },
        "response_time": record.response_time,
        "first_time": iso(record.first_ns),
        "last_time": iso(record.last_ns),
        "findings": [finding_object(finding) for finding in record.findings],
        **({} if record.detail is None else detail_object(record.detail, record.first_ns)),
    }


def detail_object(detail: Detail, first_ns: int) -> Json:
    """The steps of a connection and its offer and answer. seconds: since its first packet."""
    return {
        "events": [
            {
                "kind": event.kind,
                "from": "client" if event.from_client else "server",
                "frame": event.frame,
                "seconds": None if event.time_ns is None else (event.time_ns - first_ns) / 1e9,
                "label": encodable(event.label),
                "detail": encodable(event.detail),
            }
            for event in detail.events
        ],
        "offer": {_key(aspect.name): _texts(aspect.offer) for aspect in detail.comparison},
        "answer": {_key(aspect.name): _texts(aspect.answer) for aspect in detail.comparison},
        "agreed": {_key(aspect.name): _texts(aspect.agreed) for aspect in detail.comparison},
        "mismatches": [_key(aspect.name) for aspect in detail.comparison if aspect.differs],
    }


def finding_object(finding: FindingRecord) -> Json:
    """One slug on one connection."""
    return {
        "rule": finding.rule,
        "code": finding.code,
        "severity": finding.severity,
        "title": finding.title,
        "summary": encodable(finding.summary),
        "fix": [
            {"side": fix.side, "platform": fix.platform, "text": fix.text, "command": fix.command}
            for fix in finding.fix
        ],
        "frames": list(finding.frames),
        **({"places": [_place(place) for place in finding.places]} if finding.places else {}),
        "display_filter": finding.display_filter,
        "reference": finding.reference,
    }


def _place(place: Place) -> Json:
    return {"file": encodable(place.file), "frame": place.frame}


def _key(name: str) -> str:
    return name.lower().replace(" ", "_")


def _texts(values: tuple[str, ...] | None) -> JsonValue:
    return None if values is None else [encodable(value) for value in values]


def _text(value: str | None) -> str | None:
    return None if value is None else encodable(value)
