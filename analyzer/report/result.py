"""Report: what analyzer.analyze() returns, records kept in memory and shown as DataFrames."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from analyzer.errors import OutputError, UsageError
from analyzer.report.record import CaptureRecord, ConnectionRecord
from analyzer.report.writer import ENDINGS, FILES, Sink, Style

if TYPE_CHECKING:
    import pandas as pd


class Report:
    """One run over one or more captures. The tables are made when they are first asked for."""

    def __init__(
        self,
        found: Sequence[tuple[CaptureRecord, Sequence[ConnectionRecord]]],
        fields: Sequence[Mapping[str, object]],
    ) -> None:
        self._found = found
        self._fields = fields

    @cached_property
    def captures(self) -> pd.DataFrame:
        """One row per capture given, with its error."""
        from analyzer.report import tables

        return tables.captures(self._found)

    @cached_property
    def connections(self) -> pd.DataFrame:
        """One row per TCP connection on an SMB port."""
        from analyzer.report import tables

        return tables.connections(self._found)

    @cached_property
    def findings(self) -> pd.DataFrame:
        """One row per cause or warning of a connection."""
        from analyzer.report import tables

        return tables.findings(self._found)

    @cached_property
    def messages(self) -> pd.DataFrame:
        """One row per NEGOTIATE message, columns under Wireshark's names."""
        from analyzer.report import tables

        return tables.messages(self._fields)

    def write(self, path: str | os.PathLike[str]) -> None:
        """Write the report to a file; its ending chooses the format, as with `negdiag -o`.

        Raises UsageError for an ending that stands for no format, OutputError where the file cannot be written,
        MissingExtra for `.parquet` without the extra of that name.
        """
        name = os.fspath(path)
        ending = Path(name).suffix.lower()
        if ending == ".parquet":
            self._write_parquet(name)
        elif ending in ENDINGS:
            self._write(name, ENDINGS[ending])
        else:
            raise UsageError(f"{name}: the ending must be one of {' '.join(ENDINGS)} .parquet")

    def _write(self, name: str, kind: str) -> None:
        try:
            with Path(name).open("w", encoding="utf-8", newline="\n") as out:
                self._fill(FILES[kind](out, self._style))
        except OSError as error:
            raise OutputError(f"{name}: {error.strerror or error}") from error

    def _write_parquet(self, name: str) -> None:
        from analyzer.report.parquet import ParquetWriter

        try:
            with Path(name).open("wb") as out:
                self._fill(ParquetWriter({"connections": out}, self._style))
        except OSError as error:
            raise OutputError(f"{name}: {error.strerror or error}") from error

    @property
    def _style(self) -> Style:
        return Style(several=len(self._found) > 1, file=True)

    def _fill(self, sink: Sink) -> None:
        sink.start()
        for capture, records in self._found:
            sink.capture(capture)
            for record in records:
                sink.connection(record)
            sink.end()
        sink.finish()

    def to_html(self, path: str | os.PathLike[str]) -> None:
        """Write the report to a self-contained HTML page, whatever the ending of its name."""
        self._write(os.fspath(path), "html")

    def __repr__(self) -> str:
        connections = sum(len(records) for _, records in self._found)
        return f"<negdiag report: {len(self._found)} captures, {connections} connections>"
