"""Where reports go: standard output in one format, and files whose endings choose theirs."""

from __future__ import annotations

import contextlib
import os
import stat
import sys
from collections.abc import Sequence
from types import TracebackType
from typing import IO, TYPE_CHECKING, Any, Final, Self, TextIO, cast

from analyzer.errors import MissingExtra, OutputError, UsageError
from analyzer.report.record import CaptureRecord, ConnectionRecord
from analyzer.report.writer import DETAILED, ENDINGS, FILES, FORMATS, Sink, Style

if TYPE_CHECKING:
    from pathlib import Path

PARQUET: Final = "parquet"       # one file
TABLES: Final = "tables"         # a folder with a file for each table

_BUFFER: Final = 1 << 18         # a line of NDJSON with its fixes has 2 KB, and there may be a million


class Outputs:
    """All reports of one run. A file is complete or absent: it is written beside its place and moved there."""

    def __init__(self, format_name: str, files: Sequence[str], inputs: Sequence[str], style: Style) -> None:
        self._files: list[_File] = []
        plan = [(name, _kind(name)) for name in files]
        _refuse_clashes(files, inputs)
        kinds = {kind for _, kind in plan}
        self.detailed = not DETAILED.isdisjoint({format_name, *kinds})
        self.messages = TABLES in kinds
        self._writers: list[Sink] = [FORMATS[format_name](sys.stdout, style)]
        in_file = style._replace(terminal=False, file=True)
        try:
            for name, kind in plan:
                if kind in (PARQUET, TABLES):
                    self._writers.append(self._parquet(name, kind, in_file))
                    continue
                file = _File(name)
                self._files.append(file)
                with _reported(name):
                    self._writers.append(FILES[kind](file.text, in_file))
        except (OutputError, MissingExtra):
            self.__exit__(OutputError, None, None)
            raise

    def _parquet(self, name: str, kind: str, style: Style) -> Sink:
        """One file with a row per connection, or a folder with a file for each table."""
        from analyzer.report import parquet

        names = {"connections": name}
        if kind == TABLES:
            with _reported(name):
                os.makedirs(name, exist_ok=True)  # noqa: PTH103 (pathlib costs 5 ms of the start)
            names = {table: os.path.join(name, f"{table}.parquet") for table in parquet.TABLES}  # noqa: PTH118
        outs: dict[str, IO[bytes]] = {}
        for table, path in names.items():
            file = _File(path, binary=True)
            self._files.append(file)
            outs[table] = file.out
        return parquet.ParquetWriter(outs, style)

    def __enter__(self) -> Self:
        for writer in self._writers:
            writer.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for file in self._files:
            file.close(keep=kind is None)

    def capture(self, record: CaptureRecord) -> None:
        """The next capture, to every report."""
        for writer in self._writers:
            writer.capture(record)

    def connection(self, record: ConnectionRecord) -> None:
        """The next connection of that capture, to every report."""
        for writer in self._writers:
            writer.connection(record)

    def end(self) -> None:
        """The capture has no further connection."""
        for writer in self._writers:
            writer.end()

    def finish(self) -> None:
        """The run is over."""
        for writer in self._writers:
            writer.finish()


class _File:
    """One report file. What is not a plain file (a pipe, a device) is written in place."""

    def __init__(self, name: str, *, binary: bool = False) -> None:
        from pathlib import Path

        self._name = name
        self._beside: Path | None = None
        self._real = Path(name)
        with _reported(name):
            if not self._real.exists() or stat.S_ISREG(self._real.stat().st_mode):
                self._real = self._real.resolve()
                self._beside = self._real.with_name(f"{self._real.name}.{os.getpid()}.part")
            place = self._beside or self._real
            self.out: IO[Any] = place.open("wb") if binary else place.open(
                "w", _BUFFER, encoding="utf-8", errors="backslashreplace", newline="\n"
            )

    @property
    def text(self) -> TextIO:
        """The file, opened for text."""
        return cast("TextIO", self.out)

    def close(self, *, keep: bool) -> None:
        """Put the file in its place, or take it away."""
        try:
            with _reported(self._name):
                self.out.close()
                if self._beside is not None and keep:
                    self._beside.replace(self._real)
                    self._beside = None
        finally:
            if self._beside is not None:
                with contextlib.suppress(OSError):
                    self._beside.unlink()


class _reported(contextlib.ContextDecorator):  # noqa: N801 - reads as a statement
    """An error of the system becomes an OutputError that names the file."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, OSError):
            raise OutputError(f"{self._name}: cannot be written: {error.strerror or error}") from error


def _kind(name: str) -> str:
    ending = os.path.splitext(name)[1].lower()  # noqa: PTH122 (pathlib costs 5 ms of the start)
    if ending == ".parquet" and not os.path.isdir(name):  # noqa: PTH112
        return PARQUET
    if name.rstrip("/" + os.sep).lower().endswith(".parquet"):
        return TABLES
    if ending not in ENDINGS:
        raise UsageError(f"-o {name}: the ending must be one of {' '.join(ENDINGS)} .parquet .parquet/")
    return ENDINGS[ending]


def _refuse_clashes(files: Sequence[str], inputs: Sequence[str]) -> None:
    """An output that is an input, or two outputs in one file, would destroy what was asked for."""
    taken = {os.path.realpath(name): name for name in inputs if name != "-"}
    for name in files:
        real = os.path.realpath(name)
        if real in taken:
            raise UsageError(f"-o {name}: the same file as {taken[real]}")
        taken[real] = name
