"""Records -> CSV, one row per connection, safe to open in a spreadsheet."""

from __future__ import annotations

import csv
from typing import Final, TextIO

from analyzer.report.record import CaptureRecord, ConnectionRecord, iso
from analyzer.report.safe import defused, joined
from analyzer.report.writer import Style, Writer

COLUMNS: Final = (
    "capture", "tcp.stream", "client", "server", "transport", "outcome", "reached", "causes",
    "confidence", "candidates", "warnings", "dialect", "client_name", "server_name", "offered",
    "first_frame", "last_frame", "request_frame", "response_frame", "response_time",
    "first_time", "last_time", "severity", "summary", "fix", "frames", "display_filter",
)
Cell = str | int | float | None


class CsvWriter(Writer):
    """A heading and rows, ended by LF. A file has a byte order mark, by which spreadsheets know UTF-8."""

    def __init__(self, out: TextIO, style: Style) -> None:
        super().__init__(out, style)
        self._rows = csv.writer(out, lineterminator="\n")
        self._capture = ""

    def start(self) -> None:
        if self.style.file:
            self.out.write("\ufeff")
        self._rows.writerow(COLUMNS)

    def capture(self, record: CaptureRecord) -> None:
        self._capture = defused(record.capture)

    def connection(self, record: ConnectionRecord) -> None:
        self._rows.writerow((self._capture, *cells(record)))


def cells(record: ConnectionRecord) -> tuple[Cell, ...]:
    """One connection, in the order of COLUMNS behind the capture.

    severity, summary, fix, frames and display_filter are those of the primary cause, or, without one,
    of the first warning.
    """
    finding = record.findings[0] if record.findings else None
    fix = finding.fix[0] if finding is not None and finding.fix else None
    return (
        record.stream, record.client, record.server, record.transport, record.outcome, record.reached,
        joined(record.causes), record.confidence, joined(record.candidates), joined(record.warnings),
        _text(record.dialect), _text(record.client_name), _text(record.server_name), joined(record.offered),
        record.frames.first, record.frames.last, record.frames.request, record.frames.response,
        None if record.response_time is None else f"{record.response_time:.9f}".rstrip("0").rstrip("."),
        iso(record.first_ns), iso(record.last_ns),
        None if finding is None else finding.severity,
        None if finding is None else defused(finding.summary),
        None if fix is None else defused(f"{fix.text} {fix.command}" if fix.command else fix.text),
        None if finding is None else joined([str(frame) for frame in finding.frames]),
        None if finding is None else defused(finding.display_filter),
    )


def _text(value: str | None) -> str | None:
    return None if value is None else defused(value)
