"""Records -> the JSON report, and NDJSON with one object per connection. Values are as they are, in ASCII."""

from __future__ import annotations

import json
from functools import lru_cache
from json.encoder import encode_basestring_ascii as _quoted
from typing import TYPE_CHECKING

from analyzer.report.record import SCHEMA, CaptureRecord, ConnectionRecord, Detail, FindingRecord, iso
from analyzer.report.safe import encodable
from analyzer.report.writer import Writer
from analyzer.version import __version__

if TYPE_CHECKING:
    from analyzer.capture.join import Place
    from analyzer.diagnosis.rule import Fix

Json = dict[str, "JsonValue"]
JsonValue = None | bool | int | float | str | list["JsonValue"] | Json

# The fields of a connection that many share, as they follow each other.
_COMMON = slice(ConnectionRecord._fields.index("transport"), ConnectionRecord._fields.index("frames"))


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
        self.out.write(f"{'' if self._first_connection else ','}\n    {{{connection_text(record)}}}")
        self._first_connection = False

    def end(self) -> None:
        self.out.write("]}")

    def finish(self) -> None:
        self.out.write("]}\n")


class NdjsonWriter(Writer):
    """One object per connection, with the name of its capture."""

    _capture = ""

    def capture(self, record: CaptureRecord) -> None:
        self._capture = _quoted(encodable(record.capture))

    def connection(self, record: ConnectionRecord) -> None:
        if record.detail is not None:
            record = record._replace(detail=None)
        self.out.write(f'{{"capture": {self._capture}, {connection_text(record)}}}\n')


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


def connection_text(record: ConnectionRecord) -> str:
    """json.dumps of connection_object(), without its braces: what connections have in common is written once."""
    frames = record.frames
    detail = "" if record.detail is None else f", {json.dumps(detail_object(record.detail, record.first_ns))[1:-1]}"
    return (
        f'"tcp.stream": {record.stream}, "client": {_quoted(record.client)}, "server": {_quoted(record.server)}, '
        f"{_common_text(*tuple(record)[_COMMON])}, "
        f'"frames": {{"first": {frames.first}, "last": {frames.last}, "request": {_number(frames.request)}, '
        f'"response": {_number(frames.response)}}}, "response_time": {_number(record.response_time)}, '
        f'"first_time": "{iso(record.first_ns)}", "last_time": "{iso(record.last_ns)}", '
        f'"findings": [{", ".join(map(_finding_text, record.findings))}]{detail}'
    )


@lru_cache(maxsize=4096)
def _common_text(*values: str | tuple[str, ...] | None) -> str:
    """From the transport to the offer."""
    fields = zip(ConnectionRecord._fields[_COMMON], values, strict=True)
    found = {
        name: [encodable(one) for one in value] if isinstance(value, tuple) else _text(value) for name, value in fields
    }
    return json.dumps(found)[1:-1]


def _finding_text(finding: FindingRecord) -> str:
    before, between = _rule_text(finding.rule, finding.code, finding.severity, finding.title, finding.fix)
    places = f', "places": {json.dumps(list(map(_place, finding.places)))}' if finding.places else ""
    frames = ", ".join(map(str, finding.frames))
    return (
        f"{before}{_quoted(encodable(finding.summary))}{between}{frames}]{places}, "
        f'"display_filter": {_quoted(finding.display_filter)}, "reference": {"null" if finding.reference is None else _quoted(finding.reference)}}}'
    )


@lru_cache(maxsize=1024)
def _rule_text(rule: str, code: str, severity: str, title: str, fix: tuple[Fix, ...]) -> tuple[str, str]:
    """What a rule always says of a finding: before its summary, and from there to its frames."""
    head = json.dumps({"rule": rule, "code": code, "severity": severity, "title": title})
    fixes = json.dumps([one._asdict() for one in fix])
    return f'{head[:-1]}, "summary": ', f', "fix": {fixes}, "frames": ['


def _number(value: float | None) -> str:
    return "null" if value is None else repr(value)


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
