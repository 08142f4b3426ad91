"""Records -> Parquet: one file with a row per connection, or the four tables.

Whole numbers are nullable int64 (uint64 where the wire has 64 bits), times timestamp[ns, UTC], lists are
lists, and every part of every table has all its columns, whether a capture fills them or not.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from functools import cache, lru_cache
from typing import IO, Any, Final

from analyzer.errors import MissingExtra
from analyzer.report import columns
from analyzer.report.fieldlist import Row
from analyzer.report.record import CaptureRecord, ConnectionRecord, FindingRecord
from analyzer.report.safe import encodable
from analyzer.report.writer import Sink, Style

try:
    import pyarrow as pa
    import pyarrow.parquet as pq
except ImportError as error:
    raise MissingExtra("Parquet", "parquet") from error

TABLES: Final = tuple(columns.TABLES)
ROWS = 16_384            # of one row group
FEW = 64                 # rows of a file

_TEXT = pa.string()
_TYPES: Final[Mapping[str, pa.DataType]] = {
    columns.STRING: _TEXT,
    columns.INTEGER: pa.int64(),
    columns.UNSIGNED: pa.uint64(),
    columns.FLOAT: pa.float64(),
    columns.FLAG: pa.bool_(),
    columns.TIME: pa.timestamp("ns", "UTC"),
    columns.STRINGS: pa.list_(_TEXT),
    columns.INTEGERS: pa.list_(pa.int64()),
    columns.UNSIGNEDS: pa.list_(pa.uint64()),
    columns.FLAGS: pa.list_(pa.bool_()),
    columns.NOTES: pa.list_(pa.struct([("kind", _TEXT), ("text", _TEXT)])),
    columns.FIXES: pa.list_(
        pa.struct([("side", _TEXT), ("platform", _TEXT), ("text", _TEXT), ("command", _TEXT)])
    ),
    columns.PLACES: pa.list_(pa.struct([("file", _TEXT), ("frame", pa.int64())])),
}
_NULLABLE: Final[Mapping[str, str]] = {
    columns.INTEGER: "Int64", columns.UNSIGNED: "UInt64", columns.FLOAT: "Float64", columns.FLAG: "boolean",
}
Values = tuple[object, ...]


@cache
def _plain(table: str) -> pa.Schema:
    """The schema of one of TABLES, of a file that is one of many."""
    return schema(table).remove_metadata()


@cache
def _lists(table: str) -> tuple[tuple[str, bool], ...]:
    """The columns of one of TABLES, and whether each holds lists."""
    return tuple((field.name, pa.types.is_list(field.type)) for field in schema(table))


@lru_cache(maxsize=1024)
def _absent(kind: pa.DataType, rows: int) -> pa.Array:
    """A column without a value. Most columns of a message are; building one costs as much as one with values."""
    return pa.nulls(rows, kind)


@cache
def schema(table: str) -> pa.Schema:
    """The schema of one of TABLES, with what pandas wants to know."""
    fields = columns.columns(table)
    return pa.schema(
        [(column.name, _TYPES[column.type]) for column in fields],
        {"pandas": json.dumps(_for_pandas(fields))},
    )


def _for_pandas(fields: Iterable[columns.Column]) -> object:
    """What pandas' own files say, by which it reads absent whole numbers as absent, not as floats."""
    return {
        "index_columns": [], "column_indexes": [], "partition_columns": [],
        "columns": [
            {
                "name": column.name, "field_name": column.name, "pandas_type": str(_TYPES[column.type]),
                "numpy_type": _NULLABLE[column.type], "metadata": None,
            }
            for column in fields
            if column.type in _NULLABLE
        ],
    }


class ParquetWriter(Sink):
    """Tables being written, each to a binary file of its own. outs: by name of the table.

    part: words about a file that is one of many. Such files are small, so they say nothing twice: what
    pandas wants to know stands in the first file of their folder only.
    """

    def __init__(self, outs: Mapping[str, IO[bytes]], style: Style, part: Mapping[str, str] | None = None) -> None:
        super().__init__(style)
        self._tables = {name: _Table(name, out, part) for name, out in outs.items()}
        self._record: CaptureRecord | None = None
        self._name = ""
        self._count = 0

    @property
    def rows(self) -> dict[str, int]:
        """Rows taken so far, by table."""
        return {name: table.rows for name, table in self._tables.items()}

    def capture(self, record: CaptureRecord) -> None:
        self._record = record
        self._name = encodable(record.capture)
        self._count = 0

    def connection(self, record: ConnectionRecord) -> None:
        self._count += 1
        if (table := self._tables.get("connections")) is not None:
            table.add(_connection(self._name, record))
        if (table := self._tables.get("findings")) is not None:
            for finding in record.findings:
                table.add(_finding(self._name, record, finding))
        if (table := self._tables.get("messages")) is not None:
            for row in record.messages:
                table.add(table.values({"capture": self._name, **row}))

    def end(self) -> None:
        assert self._record is not None
        if (table := self._tables.get("captures")) is not None:
            table.add(_capture(self._name, self._record, self._count))

    def finish(self) -> None:
        for table in self._tables.values():
            table.close()


class _Table:
    """One table. Rows are gathered and written a row group at a time."""

    def __init__(self, name: str, out: IO[bytes], part: Mapping[str, str] | None) -> None:
        self.rows = 0
        self._out = out
        self._part = part
        self._schema = schema(name) if part is None else _plain(name)
        self._lists = _lists(name)
        self._writer: Any = None                 # a pq.ParquetWriter, which publishes no type
        self._waiting: list[Values] = []

    def add(self, values: Values) -> None:
        """The next row."""
        self.rows += 1
        self._waiting.append(values)
        if len(self._waiting) >= ROWS:
            self._flush()

    def values(self, row: Row) -> Values:
        """A message as a row: a list wherever the column is one, and never where it is not."""
        return tuple(_cell(row.get(name), several=several) for name, several in self._lists)

    def close(self) -> None:
        """Write what waits, and the end of the file; a table without rows is a file too, but no part is."""
        if self._part is not None and not self.rows:
            return
        self._flush()
        self._opened().close()

    def _opened(self) -> Any:
        if self._writer is None:
            # A few rows are neither compressed nor made smaller by dictionaries, which take most of the time,
            # and read sooner than looked up in statistics.
            few = len(self._waiting) < FEW
            self._writer = pq.ParquetWriter(
                self._out, self._schema, compression="none" if few else "zstd", use_dictionary=not few,
                write_statistics=not few, store_schema=self._part is None,
            )
            if self._part is not None:
                self._writer.add_key_value_metadata(dict(self._part))
        return self._writer

    def _flush(self) -> None:
        if not self._waiting:
            return
        writer = self._opened()
        arrays = [
            pa.array(values, field.type) if any(value is not None for value in values)
            else _absent(field.type, len(values))
            for values, field in zip(zip(*self._waiting, strict=True), self._schema, strict=True)
        ]
        writer.write_table(pa.Table.from_arrays(arrays, schema=writer.schema))
        self._waiting.clear()


def _cell(value: object, *, several: bool) -> object:
    if value is None:
        return None
    if several:
        values = value if isinstance(value, list | tuple) else [value]
        return [_scalar(one) for one in values]
    return _scalar(value[0] if isinstance(value, list | tuple) else value)


def _scalar(value: object) -> object:
    return encodable(value) if isinstance(value, str) else value


def _text(value: str | None) -> str | None:
    return None if value is None else encodable(value)


def _texts(values: tuple[str, ...]) -> list[str]:
    return [encodable(value) for value in values]


def _capture(name: str, record: CaptureRecord, connections: int) -> Values:
    return (
        name, record.format, record.packets, record.first_ns, record.last_ns, _text(record.error),
        [{"kind": note.kind, "text": encodable(note.text)} for note in record.notes], connections,
        [encodable(part.file) for part in record.parts] if record.parts else None,
    )


def _connection(capture: str, record: ConnectionRecord) -> Values:
    finding = record.findings[0] if record.findings else None
    fix = finding.fix[0] if finding is not None and finding.fix else None
    return (
        capture, record.stream, record.client, record.server, record.transport, record.outcome, record.reached,
        list(record.causes), record.confidence, list(record.candidates), list(record.warnings),
        _text(record.dialect), _text(record.client_name), _text(record.server_name), _texts(record.offered),
        record.frames.first, record.frames.last, record.frames.request, record.frames.response,
        record.response_time, record.first_ns, record.last_ns,
        None if finding is None else finding.severity,
        None if finding is None else encodable(finding.summary),
        None if fix is None else encodable(f"{fix.text} {fix.command}" if fix.command else fix.text),
        None if finding is None else list(finding.frames),
        None if finding is None else finding.display_filter,
    )


def _finding(capture: str, record: ConnectionRecord, finding: FindingRecord) -> Values:
    return (
        capture, record.stream, record.client, record.server, finding.rule, finding.code, finding.severity,
        finding.title, encodable(finding.summary), [fix._asdict() for fix in finding.fix], list(finding.frames),
        finding.display_filter, finding.reference,
        [{"file": encodable(place.file), "frame": place.frame} for place in finding.places] or None,
    )
