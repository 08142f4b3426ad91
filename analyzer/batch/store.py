"""The folder of a batch: parts of results, each there whole or not at all, and what they were made with.

    DIR/captures/KEY.parquet       one row: the capture. Its presence says that the source is done
    DIR/connections/KEY.parquet    the rows of the other tables, where the capture has any
    DIR/findings/KEY.parquet
    DIR/messages/KEY.parquet
    DIR/TABLE/0.parquet            no rows: the first file of each table, from which readers take its types
    DIR/batch.json                 settings; DIR/.partial: what is being written; DIR/.lock

KEY is that of sources.Source. A part is written beside its place, flushed to the disk and moved there,
the capture's row after all others: a run that is killed in between leaves rows without a capture's row,
which the next run removes before it reads anything.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import re
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import IO, Final, Self

import pyarrow as pa
import pyarrow.parquet as pq

from analyzer.batch.work import Part
from analyzer.errors import OutputError, UsageError
from analyzer.report.parquet import TABLES, schema

_PART: Final = re.compile(r"([0-9a-f]{24})-[0-9a-f]{16}\.parquet")
_SETTINGS: Final = "batch.json"
_DONE: Final = "captures"
_EMPTY: Final = "0.parquet"
_SMALL: Final = 1 << 20      # bytes of a part that is read at once


class Store:
    """Results on disk, for one run at a time. Use it as a context manager.

    Raises UsageError where another run is writing there, or one with other settings has; OutputError
    where the folder cannot be written.
    """

    def __init__(self, folder: str, described: Mapping[str, str]) -> None:
        self.folder = Path(folder)
        self._partial = self.folder / ".partial"
        self._lock: IO[bytes] | None = None
        self._numbers = itertools.count()
        self._done: dict[str, str] = {}          # digest of the place -> key
        try:
            self._partial.mkdir(parents=True, exist_ok=True)
            self._lock = _locked(self.folder / ".lock")
            self._clean()
            self._settle(described)
        except OSError as error:
            self.close()
            raise OutputError(f"--out {folder}: cannot be written: {error.strerror or error}") from error
        except UsageError:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let another run write here."""
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def has(self, key: str) -> bool:
        """Whether this version of the source is done."""
        return self._done.get(_place(key)) == key

    def keys(self) -> tuple[str, ...]:
        """Everything that is done, in a fixed order."""
        return tuple(sorted(self._done.values()))

    def commit(self, key: str, part: Part) -> None:
        """Put a part in its place, for another version of the same source if there is one.

        Threads may do so side by side, each for a source of its own.
        Raises OutputError where it cannot be written.
        """
        try:
            self.forget(key)
            written = [(self._written(data), self._path(table, key)) for table, data in part.tables.items()]
            for table in TABLES:
                if table not in part.tables:
                    self._path(table, key).unlink(missing_ok=True)
            for partial, path in written:
                if path.parent.name != _DONE:
                    partial.replace(path)
            for table in part.tables.keys() - {_DONE}:
                _flush(self.folder / table)
            # That this name is lost with the power does no harm: the source is then done again.
            partial, path = next(pair for pair in written if pair[1].parent.name == _DONE)
            partial.replace(path)
        except OSError as error:
            raise OutputError(f"{self.folder}: cannot be written: {error.strerror or error}") from error
        self._done[_place(key)] = key

    def forget(self, key: str) -> None:
        """Remove whatever is there of the same source."""
        old = self._done.pop(_place(key), None)
        if old is not None:
            for table in (_DONE, *TABLES):
                self._path(table, old).unlink(missing_ok=True)

    def table(self, table: str, key: str, columns: Iterable[str]) -> pa.Table | None:
        """Some columns of a part, None where it has no rows."""
        path = self._path(table, key)
        try:
            if path.stat().st_size <= _SMALL:
                # Threads and a file that is sought in Python take longer than such a part itself.
                return pq.ParquetFile(pa.py_buffer(path.read_bytes())).read(list(columns), use_threads=False)
            with path.open("rb") as file:
                return pq.ParquetFile(file).read(list(columns))
        except FileNotFoundError:
            return None
        except (OSError, pa.ArrowException) as error:
            raise OutputError(f"{path}: cannot be read: {error}; remove it, and its capture is done again") from error

    def write(self, name: str, data: bytes) -> None:
        """Put a report over everything in its place. Raises OutputError where it cannot be written."""
        try:
            self._written(data).replace(self.folder / name)
            _flush(self.folder)
        except OSError as error:
            raise OutputError(f"{self.folder / name}: cannot be written: {error.strerror or error}") from error

    def _path(self, table: str, key: str) -> Path:
        return self.folder / table / f"{key}.parquet"

    def _written(self, data: bytes) -> Path:
        """A file under no name that counts, whole and on the disk."""
        path = self._partial / f"{next(self._numbers)}.part"
        with path.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        return path

    def _clean(self) -> None:
        """Remove what a killed run left: unfinished files, and rows of captures that have none."""
        for path in self._partial.iterdir():
            path.unlink()
        for table in TABLES:
            (self.folder / table).mkdir(exist_ok=True)
        for name in sorted(os.listdir(self.folder / _DONE)):  # noqa: PTH208 (a name is all that is needed)
            if (match := _PART.fullmatch(name)) is not None:
                self._done[match[1]] = name.removesuffix(".parquet")
        done = set(self._done.values())
        for table in TABLES:
            for path in (self.folder / table).iterdir():
                if _PART.fullmatch(path.name) and path.stem not in done:
                    path.unlink()

    def _settle(self, described: Mapping[str, str]) -> None:
        """Every result in the folder is made with the same settings, or it would not be one result."""
        path = self.folder / _SETTINGS
        if path.exists() and self._done:
            try:
                before = json.loads(path.read_text("utf-8"))
            except ValueError as error:
                raise UsageError(f"--out {self.folder}: {_SETTINGS} is damaged: {error}") from error
            other = [name for name in described if before.get(name) != described[name]]
            if other:
                raise UsageError(
                    f"--out {self.folder}: holds results of a batch with other settings ({', '.join(other)}); "
                    "name another folder, or remove this one to do everything again"
                )
            return
        self.write(_SETTINGS, json.dumps(described, indent=1).encode() + b"\n")
        for table in TABLES:
            sink = pa.BufferOutputStream()
            pq.write_table(schema(table).empty_table(), sink, compression="zstd")
            self._written(sink.getvalue().to_pybytes()).replace(self.folder / table / _EMPTY)
            _flush(self.folder / table)


def _place(key: str) -> str:
    return key.partition("-")[0]


def _flush(folder: Path) -> None:
    """Make names in a folder outlast a loss of power, where the system has a way to."""
    if sys.platform == "win32":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        with contextlib.suppress(OSError):       # some network file systems refuse it
            os.fsync(handle)
    finally:
        os.close(handle)


def _locked(path: Path) -> IO[bytes]:
    """A lock that the system takes back when the process ends, however it ends."""
    file = path.open("ab")
    try:
        if sys.platform == "win32":
            import msvcrt

            file.seek(0)
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        file.close()
        raise UsageError(f"--out {path.parent}: another batch is writing there") from error
    return file
