"""All parts of a batch -> which servers, clients and causes there are, how many, and since when."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple

from analyzer.batch.store import Store
from analyzer.report.notes import UNREAD
from analyzer.report.record import BROKEN

GROUPS: Final = 500_000      # rows of one outcome, cause, server and client; further clients share one
OTHERS: Final = "(others)"
_OUTCOMES: Final = (*BROKEN, "incomplete", "negotiated", "unused")

_CAPTURE: Final = ("capture", "error", "notes", "packets", "first_time", "last_time", "connections")
_CONNECTION: Final = (
    "tcp.stream", "client", "server", "outcome", "causes", "confidence", "client_name", "server_name",
    "first_time", "last_time",
)


class Key(NamedTuple):
    """What connections have in common that are counted together. cause: the primary one, or empty."""

    outcome: str
    cause: str
    server: str
    client: str

    @property
    def broken(self) -> bool:
        return self.outcome in BROKEN


class Group:
    """Connections counted together. example: capture and tcp.stream of the first by name and number."""

    def __init__(self) -> None:
        self.connections = 0
        self.likely = 0
        self.captures = 0
        self.first_ns: int | None = None
        self.last_ns: int | None = None
        self.server_name = ""
        self.client_name = ""
        self.example: tuple[str, int] = ("", -1)
        self._part = -1

    def add(self, part: int, capture: str, row: Mapping[str, object]) -> None:
        """One connection; parts come one after the other."""
        self.connections += 1
        self.likely += row["confidence"] == "likely"
        if part != self._part:
            self._part = part
            self.captures += 1
        self.first_ns = _least(self.first_ns, row["first_time"])
        self.last_ns = _most(self.last_ns, row["last_time"])
        self.server_name = _name(self.server_name, row["server_name"])
        self.client_name = _name(self.client_name, row["client_name"])
        example = (capture, int(str(row["tcp.stream"])))
        if self.example[1] < 0 or example < self.example:
            self.example = example


class Line(NamedTuple):
    """One capture. broken: its connections that failed; notes: their kinds; limits: what was left out, and why."""

    capture: str
    error: str | None
    packets: int
    connections: int
    broken: int
    first_ns: int | None
    last_ns: int | None
    notes: tuple[str, ...]
    limits: tuple[str, ...] = ()

    @property
    def cut(self) -> bool:
        """Whether it ends in the middle."""
        return "cut-short" in self.notes

    @property
    def unfinished(self) -> bool:
        """Whether it was not read to its end."""
        return self.cut or any(text.startswith(UNREAD) for text in self.limits)


class Survey(NamedTuple):
    """Everything in a store, in an order that depends on nothing but what is there."""

    lines: tuple[Line, ...]                     # by name
    groups: tuple[tuple[Key, Group], ...]       # broken first, the most frequent first
    by_key: Mapping[str, Line]                  # key of the part -> its capture


def survey(store: Store) -> Survey:
    """Read all parts, one at a time. Raises OutputError for one that cannot be read."""
    groups: dict[Key, Group] = {}
    by_key: dict[str, Line] = {}
    for number, key in enumerate(store.keys()):
        table = store.table("captures", key, _CAPTURE)
        assert table is not None
        row = _rows(table)[0]
        capture = str(row["capture"])
        broken = 0
        connections = store.table("connections", key, _CONNECTION)
        for batch in () if connections is None else connections.to_batches(16_384):
            for connection in _rows(batch):
                broken += connection["outcome"] in BROKEN
                _group(groups, connection).add(number, capture, connection)
        by_key[key] = Line(
            capture, row["error"], row["packets"], row["connections"], broken, row["first_time"], row["last_time"],
            tuple(dict.fromkeys(note["kind"] for note in row["notes"])),
            tuple(note["text"] for note in row["notes"] if note["kind"] == "limit-reached"),
        )
    return Survey(
        tuple(sorted(by_key.values(), key=lambda line: (line.capture, line.error or "", line.first_ns or 0))),
        tuple(sorted(groups.items(), key=_rank)),
        by_key,
    )


def _rank(item: tuple[Key, Group]) -> tuple[int, int, Key]:
    key, group = item
    return _OUTCOMES.index(key.outcome), -group.connections, key


def _group(groups: dict[Key, Group], row: Mapping[str, object]) -> Group:
    causes = row["causes"]
    assert isinstance(causes, list)
    key = Key(str(row["outcome"]), causes[0] if causes else "", str(row["server"]), host(str(row["client"])))
    group = groups.get(key)
    if group is None:
        if len(groups) >= GROUPS:
            key = key._replace(server=OTHERS, client=OTHERS)
        group = groups.setdefault(key, Group())
    return group


def _rows(table: Any) -> list[dict[str, Any]]:  # pyarrow publishes no types
    """Rows of a Table or RecordBatch; times as whole nanoseconds."""
    import pyarrow as pa

    arrays = [
        column.cast(pa.int64()) if pa.types.is_timestamp(column.type) else column for column in table.columns
    ]
    names = table.schema.names
    return [
        dict(zip(names, values, strict=True))
        for values in zip(*(array.to_pylist() for array in arrays), strict=True)
    ]


def host(end: str) -> str:
    """The address alone of `ip:port` or `[ip]:port`."""
    return end.rpartition(":")[0].strip("[]")


def span(groups: Iterable[Group]) -> tuple[int | None, int | None]:
    """The earliest and the latest time of several groups."""
    first: int | None = None
    last: int | None = None
    for group in groups:
        first, last = _least(first, group.first_ns), _most(last, group.last_ns)
    return first, last


def _least(known: int | None, value: object) -> int | None:
    return known if not isinstance(value, int) else value if known is None else min(known, value)


def _most(known: int | None, value: object) -> int | None:
    return known if not isinstance(value, int) else value if known is None else max(known, value)


def _name(known: str, value: object) -> str:
    """The first name in order of the alphabet: which one was met first is chance."""
    return known if not isinstance(value, str) or not value else min(known, value) if known else value
