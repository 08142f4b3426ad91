"""What every report is: a writer that takes captures and connections one by one, and the table of formats.

A writer never sees the whole run, so that a million connections need not be in memory at once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, NamedTuple, TextIO

from analyzer.report.record import CaptureRecord, ConnectionRecord


class Style(NamedTuple):
    """How a report looks.

    several: more than one capture is reported; chosen: only some connections are; file: written by
    `-o`, not to a pipe.
    """

    several: bool = False
    chosen: bool = False
    verbose: bool = False
    quiet: bool = False
    terminal: bool = False
    color: bool = False
    file: bool = False


class Sink:
    """What takes a run's records. Each capture() is followed by its connection()s and one end()."""

    def __init__(self, style: Style) -> None:
        self.style = style

    def start(self) -> None:
        """Before the first capture."""

    def capture(self, record: CaptureRecord) -> None:
        """The next capture of the run."""

    def connection(self, record: ConnectionRecord) -> None:
        """The next connection of that capture, in order of tcp.stream."""

    def end(self) -> None:
        """The capture has no further connection."""

    def finish(self) -> None:
        """The run is over."""


class Writer(Sink):
    """One report being written as text."""

    def __init__(self, out: TextIO, style: Style) -> None:
        super().__init__(style)
        self.out = out


def _text(out: TextIO, style: Style) -> Writer:
    if style.terminal:
        from analyzer.report.terminal import TerminalWriter

        return TerminalWriter(out, style)
    from analyzer.report.text import TextWriter

    return TextWriter(out, style)


def _json(out: TextIO, style: Style) -> Writer:
    from analyzer.report.json import JsonWriter

    return JsonWriter(out, style)


def _ndjson(out: TextIO, style: Style) -> Writer:
    from analyzer.report.json import NdjsonWriter

    return NdjsonWriter(out, style)


def _csv(out: TextIO, style: Style) -> Writer:
    from analyzer.report.csv import CsvWriter

    return CsvWriter(out, style)


def _markdown(out: TextIO, style: Style) -> Writer:
    from analyzer.report.markdown import MarkdownWriter

    return MarkdownWriter(out, style)


def _html(out: TextIO, style: Style) -> Writer:
    from analyzer.report.html.writer import HtmlWriter

    return HtmlWriter(out, style)


# What --format takes; a new text format is one line here.
FORMATS: Final[Mapping[str, Callable[[TextIO, Style], Writer]]] = {
    "text": _text,
    "json": _json,
    "csv": _csv,
    "ndjson": _ndjson,
    "markdown": _markdown,
}

# What -o writes beside these.
FILES: Final[Mapping[str, Callable[[TextIO, Style], Writer]]] = {**FORMATS, "html": _html}

# Formats that show the detail of each connection: it costs time, and is made only for them.
DETAILED: Final = frozenset({"json", "html"})

# What -o takes: the ending of the file and the format it stands for.
ENDINGS: Final[Mapping[str, str]] = {
    ".json": "json",
    ".csv": "csv",
    ".ndjson": "ndjson",
    ".md": "markdown",
    ".html": "html",
}
