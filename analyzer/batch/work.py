"""One source -> its rows of every table, as the bytes of Parquet files: the work of a worker, wherever it runs."""

from __future__ import annotations

import contextlib
import hashlib
import io
import tempfile
from collections.abc import Iterable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import IO, Any, NamedTuple, cast

import pyarrow as pa

from analyzer.batch.sources import Source, open_remote
from analyzer.diagnosis.engine import RuleSet
from analyzer.diagnosis.loader import builtin_folder, load_rules
from analyzer.errors import CaptureError
from analyzer.pipeline import run
from analyzer.reading import Capture, Settings
from analyzer.report.parquet import TABLES, ParquetWriter
from analyzer.report.record import NO_TRAFFIC, CaptureRecord
from analyzer.report.safe import encodable
from analyzer.report.writer import Style
from analyzer.telling import Wanted
from analyzer.version import __version__


class RuleFile(NamedTuple):
    """A rule file as it is shipped to where its folder may not exist."""

    name: str
    text: bytes


class Recipe(NamedTuple):
    """All that the rows of a capture depend on, beside the capture. folders: those of --rules, in order."""

    folders: tuple[tuple[RuleFile, ...], ...] = ()
    select: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    settings: Settings = Settings()
    hosts: frozenset[bytes] = frozenset()
    version: str = __version__

    def described(self) -> dict[str, str]:
        """What a later run must have in common with this one to add to its results."""
        settings = self.settings
        ports = settings.ports
        return {
            "version": self.version,
            "--rules": _digest(part for files in (_builtin(), *self.folders) for file in files for part in file),
            "--select": ",".join(sorted(self.select)),
            "--ignore": ",".join(sorted(self.ignore)),
            "--port": "any" if ports is None else ",".join(map(str, sorted(ports))),
            "--host": ",".join(sorted(host.hex() for host in self.hosts)),
            "--max-connections": str(settings.max_connections),
            "--max-decompressed": str(settings.limits.max_decompressed),
            # A digest of the key tells nothing about it: it is as long as a key must be.
            "--anonymize-key": "" if settings.key is None else _digest([b"negdiag batch", settings.key]),
        }


class Part(NamedTuple):
    """The rows of one capture. tables: name -> Parquet file, those that have rows; captures always has one."""

    tables: dict[str, bytes]


class Work:
    """Does one source after the other. Calling it raises what reading a remote source may raise."""

    def __init__(self, recipe: Recipe) -> None:
        self._recipe = recipe

    def __call__(self, source: Source) -> Part:
        recipe = self._recipe
        if recipe.version != __version__:
            raise RuntimeError(f"this worker has negdiag {__version__}, the batch {recipe.version}")
        if source.problem is not None:
            return unread(source, source.problem)
        try:
            with _opened(source) as capture:
                return self._part(source, capture)
        except OSError as error:
            return unread(source, error.strerror or str(error) or type(error).__name__)

    def _part(self, source: Source, capture: Capture) -> Part:
        recipe = self._recipe
        files, writer = _tables(source)
        for analyzed in run(
            [(source.name, capture)], rules_of(recipe), recipe.settings, Wanted(recipe.hosts, messages=True, records_only=True)
        ):
            writer.capture(analyzed.record)
            for diagnosed in analyzed.connections:
                writer.connection(diagnosed.record)
            writer.end()
        return _finished(files, writer)


def unread(source: Source, problem: str) -> Part:
    """The row of a capture that cannot be read. problem: why."""
    files, writer = _tables(source)
    error = str(CaptureError(problem))
    writer.capture(CaptureRecord(source.name, None, 0, None, None, error, (), NO_TRAFFIC))
    writer.end()
    return _finished(files, writer)


def folder_of(folder: str) -> tuple[RuleFile, ...]:
    """The files of a folder of rules, by name."""
    from analyzer.diagnosis.compile import rule_files

    return tuple(RuleFile(path.name, path.read_bytes()) for path in rule_files(Path(folder)))


@lru_cache(maxsize=2)
def rules_of(recipe: Recipe) -> RuleSet:
    """The rules in force. They do not pickle, so each process loads them, once."""
    with tempfile.TemporaryDirectory(prefix="negdiag-rules-") as place:
        folders = []
        for number, files in enumerate(recipe.folders):
            folder = Path(place, str(number))
            folder.mkdir()
            for file in files:
                (folder / file.name).write_bytes(file.text)
            folders.append(folder)
        return load_rules(folders).reporting(recipe.select, recipe.ignore)


def _builtin() -> tuple[RuleFile, ...]:
    folder = Path(builtin_folder())
    files = sorted(path for path in folder.iterdir() if path.suffix in (".yaml", ".json"))
    return tuple(RuleFile(path.name, path.read_bytes()) for path in files)


def _digest(parts: Iterable[str | bytes]) -> str:
    digest = hashlib.sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        digest.update(len(data).to_bytes(8, "little") + data)
    return digest.hexdigest()[:32]


@contextlib.contextmanager
def _opened(source: Source) -> Iterator[Capture]:
    if source.local:
        yield source.place
    elif source.content is not None:
        yield io.BytesIO(source.content)
    else:
        with open_remote(source.place) as file:
            yield file


def _tables(source: Source) -> tuple[dict[str, pa.BufferOutputStream], ParquetWriter]:
    # Where Arrow writes without asking Python.
    files = {table: pa.BufferOutputStream() for table in TABLES}
    about = {
        "negdiag.version": __version__,
        "negdiag.source": encodable(source.place),
        "negdiag.identity": source.identity,
    }
    return files, ParquetWriter(cast("dict[str, IO[Any]]", files), Style(), about)


def _finished(files: dict[str, pa.BufferOutputStream], writer: ParquetWriter) -> Part:
    writer.finish()
    return Part({table: files[table].getvalue().to_pybytes() for table, rows in writer.rows.items() if rows})
