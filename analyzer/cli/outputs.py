"""Where reports go: standard output in one format, and files whose endings choose theirs."""

from __future__ import annotations

import contextlib
import os
import stat
import sys
from collections.abc import Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Self, TextIO

from analyzer.errors import MissingExtra, OutputError, UsageError
from analyzer.report.record import CaptureRecord, ConnectionRecord
from analyzer.report.writer import DETAILED, ENDINGS, FILES, FORMATS, Style, Writer

if TYPE_CHECKING:
    from pathlib import Path


class Outputs:
    """All reports of one run. A file is complete or absent: it is written beside its place and moved there."""

    def __init__(self, format_name: str, files: Sequence[str], inputs: Sequence[str], style: Style) -> None:
        self._files: list[_File] = []
        plan = [(name, _kind(name)) for name in files]
        _refuse_clashes(files, inputs)
        self.detailed = not DETAILED.isdisjoint({format_name, *(kind for _, kind in plan)})
        self._writers: list[Writer] = [FORMATS[format_name](sys.stdout, style)]
        try:
            for name, kind in plan:
                file = _File(name)
                self._files.append(file)
                with _reported(name):
                    self._writers.append(FILES[kind](file.out, style._replace(terminal=False, file=True)))
        except OutputError:
            self.__exit__(OutputError, None, None)
            raise

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

    def __init__(self, name: str) -> None:
        from pathlib import Path

        self._name = name
        self._beside: Path | None = None
        self._real = Path(name)
        with _reported(name):
            if not self._real.exists() or stat.S_ISREG(self._real.stat().st_mode):
                self._real = self._real.resolve()
                self._beside = self._real.with_name(f"{self._real.name}.{os.getpid()}.part")
            self.out: TextIO = (self._beside or self._real).open(
                "w", encoding="utf-8", errors="backslashreplace", newline="\n"
            )

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
    if ending == ".parquet":
        raise MissingExtra("Parquet", "parquet")
    if ending not in ENDINGS:
        raise UsageError(f"-o {name}: the ending must be one of {' '.join(ENDINGS)}")
    return ENDINGS[ending]


def _refuse_clashes(files: Sequence[str], inputs: Sequence[str]) -> None:
    """An output that is an input, or two outputs in one file, would destroy what was asked for."""
    taken = {os.path.realpath(name): name for name in inputs if name != "-"}
    for name in files:
        real = os.path.realpath(name)
        if real in taken:
            raise UsageError(f"-o {name}: the same file as {taken[real]}")
        taken[real] = name
