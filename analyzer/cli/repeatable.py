"""A capture that is read more than once, and the file a new one is written to."""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import IO, BinaryIO, Self, cast

from analyzer.errors import CaptureError, OutputError, UsageError

_IN_MEMORY = 16 << 20    # bytes of a pipe's content; more goes to a temporary file


class Repeatable:
    """A capture that can be opened again: what comes through a pipe is put aside first.

    name: as given. Raises CaptureError where there is none, UsageError for a folder.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._aside: IO[bytes] | None = None
        try:
            regular = name != "-" and stat.S_ISREG(os.stat(name).st_mode)  # noqa: PTH116 (pathlib is not needed)
            if name != "-" and Path(name).is_dir():
                raise UsageError(f"{name}: a folder; this command takes one capture")
            if not regular:
                self._put_aside()
        except (OSError, ValueError) as error:
            raise CaptureError(getattr(error, "strerror", None) or str(error)) from error

    def _put_aside(self) -> None:
        self._aside = tempfile.SpooledTemporaryFile(_IN_MEMORY)  # noqa: SIM115 (closed by __exit__)
        if self.name != "-":
            with Path(self.name).open("rb") as file:
                shutil.copyfileobj(file, self._aside)
        elif sys.stdin is not None:
            shutil.copyfileobj(sys.stdin.buffer, self._aside)

    def source(self) -> str | BinaryIO:
        """What to open next; the one before is of no more use."""
        if self._aside is None:
            return self.name
        self._aside.seek(0)
        return cast("BinaryIO", self._aside)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._aside is not None:
            self._aside.close()


class NewFile:
    """A capture being written: complete or absent. It is made beside its place and moved there.

    Raises OutputError where it cannot be written.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._real = Path(name)
        self._beside: Path | None = None
        with self._reported():
            if not self._real.exists() or stat.S_ISREG(self._real.stat().st_mode):
                self._real = self._real.resolve()
                self._beside = self._real.with_name(f"{self._real.name}.{os.getpid()}.part")
            self.out: BinaryIO = (self._beside or self._real).open("wb")

    @contextlib.contextmanager
    def _reported(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise OutputError(f"{self._name}: cannot be written: {error.strerror or error}") from error

    def __enter__(self) -> BinaryIO:
        return self.out

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            with self._reported():
                self.out.close()
                if self._beside is not None and kind is None:
                    self._beside.replace(self._real)
                    self._beside = None
        finally:
            if self._beside is not None:
                with contextlib.suppress(OSError):
                    self._beside.unlink()
        if isinstance(error, OSError):
            raise OutputError(f"{self._name}: cannot be written: {error.strerror or error}") from error


def refuse_same(name: str, output: str) -> None:
    """Raises UsageError where the output is the input, whatever links lead to it."""
    try:
        new = os.stat(output)  # noqa: PTH116
        old = os.fstat(sys.stdin.fileno()) if name == "-" else os.stat(name)  # noqa: PTH116
    except (OSError, ValueError, AttributeError):
        return
    if os.path.samestat(new, old) and stat.S_ISREG(new.st_mode):
        raise UsageError(f"-o {output}: the same file as {name}")
