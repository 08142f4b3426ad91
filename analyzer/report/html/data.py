"""Connections -> what the page's script reads: one column of numbers for each thing that varies.

Texts stand once, in tables that are sorted here, so that the script sorts and filters numbers. The size is
bounded: connections beyond LISTED and details beyond BUDGET are left out, and the page says so.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from ipaddress import ip_address
from typing import TYPE_CHECKING, NamedTuple

from analyzer.report.html.charts import OUTCOMES, SYMBOLS
from analyzer.report.html.ladder import Ladder, Shape, shortened
from analyzer.report.record import BROKEN, ConnectionRecord, FindingRecord
from analyzer.report.safe import clean

if TYPE_CHECKING:
    from analyzer.negotiation.comparison import Aspect

LISTED = 20_000          # connections in the table; those with a cause come before the others
BUDGET = 8_000_000       # characters of texts
SHAPES = 400             # ladder drawings
VALUES = 40              # of one aspect of an offer
WIDTH = 120              # characters of one text
LONGEST_FILTER = 4000
NONE = -1

Texts = tuple[str, ...] | None


class Line(NamedTuple):
    """One aspect of offer and answer as it is shown: harmless and of bounded length."""

    name: str
    offer: Texts
    answer: Texts
    agreed: Texts
    differs: bool


def lines_of(comparison: Sequence[Aspect]) -> tuple[Line, ...]:
    """The offer-and-answer table of a connection."""
    return tuple(
        Line(a.name, _values(a.offer), _values(a.answer), _values(a.agreed), a.differs) for a in comparison
    )


def _values(values: Texts) -> Texts:
    if values is None:
        return None
    shown = tuple(shortened(value, WIDTH) for value in values[:VALUES])
    return shown if len(values) <= VALUES else (*shown, f"and {len(values) - VALUES:,} more")


class Table:
    """Texts, each once, numbered in the order in which they came."""

    def __init__(self) -> None:
        self.numbers: dict[str, int] = {}
        self.size = 0

    def number(self, text: str | None) -> int:
        """The number of a text; NONE for none."""
        if text is None:
            return NONE
        found = self.numbers.get(text)
        if found is None:
            found = self.numbers[text] = len(self.numbers)
            self.size += len(text) + 3
        return found

    def ranked(self) -> tuple[list[str], list[int]]:
        """The texts, harmless, in the order of people (addresses by value), and number -> place in it."""
        order = sorted(self.numbers, key=_order)
        places = [0] * len(order)
        for place, text in enumerate(order):
            places[self.numbers[text]] = place
        return [clean(text) for text in order], places


class Row(NamedTuple):
    """One connection; what is a text is its number in a Table."""

    turn: int
    capture: int
    stream: int
    client: int
    client_port: int
    server: int
    client_name: int
    server_name: int
    outcome: int
    causes: int
    warnings: int
    dialect: int
    took: float | None       # microseconds
    began: int               # microseconds since 1970
    first: int
    last: int
    findings: tuple[tuple[int, int, int], ...]      # rule, summary, display filter
    ladder: tuple[int, tuple[int | None, ...], tuple[int, ...], tuple[int, ...]] | None
    comparison: int


class ConnectionData:
    """Takes the connections one by one; document() is what the page holds of them."""

    def __init__(self) -> None:
        self.shapes: dict[Shape, int] = {}
        self.total = 0
        self._broken: list[Row] = []
        self._others: list[Row] = []
        self._captures: list[str] = []
        self._clients, self._servers, self._names = Table(), Table(), Table()
        self._slugs, self._dialects, self._texts = Table(), Table(), Table()
        self._rules: dict[tuple[str, str, str, str], int] = {}
        self._comparisons: dict[tuple[Line, ...], int] = {}
        self._size = 0

    @property
    def listed(self) -> int:
        """How many connections the table has."""
        return min(LISTED, len(self._broken) + len(self._others))

    def capture(self, name: str) -> None:
        """The connections that follow are of this capture."""
        self._captures.append(name)

    def add(self, record: ConnectionRecord, ladder: Ladder | None, lines: tuple[Line, ...]) -> None:
        """Take one connection."""
        self.total += 1
        into = self._broken if record.outcome in BROKEN else self._others
        if len(into) >= LISTED:
            return
        full = self._size + self._texts.size > BUDGET
        into.append(
            Row(
                turn=self.total,
                capture=len(self._captures) - 1,
                stream=record.stream,
                client=self._clients.number(record.client_host),
                client_port=int(record.client.rpartition(":")[2]),
                server=self._servers.number(record.server),
                client_name=self._names.number(record.client_name),
                server_name=self._names.number(record.server_name),
                outcome=OUTCOMES.index(record.outcome),
                causes=self._slugs.number(" ".join(record.causes)),
                warnings=self._slugs.number(" ".join(record.warnings)),
                dialect=self._dialects.number(None if record.dialect is None else shortened(record.dialect, WIDTH)),
                took=None if record.response_time is None else round(record.response_time * 1e6, 3),
                began=record.first_ns // 1000,
                first=record.frames.first,
                last=record.frames.last,
                findings=() if full else tuple(self._findings(record)),
                ladder=None if full or ladder is None else self._ladder(ladder),
                comparison=NONE if full or not lines else self._comparison(lines),
            )
        )

    def document(self, folder: str = "") -> str:
        """The data as JSON that may stand in a script element. folder: what to leave out of the captures' names."""
        rows = sorted(self._broken + self._others[: max(0, LISTED - len(self._broken))])[:LISTED]
        clients, client_at = self._clients.ranked()
        servers, server_at = self._servers.ranked()
        names, name_at = self._names.ranked()
        slugs, slug_at = self._slugs.ranked()
        dialects, dialect_at = self._dialects.ranked()
        value = {
            "total": self.total,
            "captures": [clean(name.removeprefix(folder)) for name in self._captures],
            "outcomes": [[name, SYMBOLS[name]] for name in OUTCOMES],
            "clients": clients, "servers": servers, "names": names, "slugs": slugs, "dialects": dialects,
            "texts": [clean(text) for text in self._texts.numbers],
            "rules": list(self._rules),
            "comparisons": list(self._comparisons),
            "columns": {
                "capture": [row.capture for row in rows],
                "stream": [row.stream for row in rows],
                "client": [client_at[row.client] for row in rows],
                "port": [row.client_port for row in rows],
                "server": [server_at[row.server] for row in rows],
                "clientName": [_at(name_at, row.client_name) for row in rows],
                "serverName": [_at(name_at, row.server_name) for row in rows],
                "outcome": [row.outcome for row in rows],
                "causes": [_at(slug_at, row.causes) for row in rows],
                "warnings": [_at(slug_at, row.warnings) for row in rows],
                "dialect": [_at(dialect_at, row.dialect) for row in rows],
                "took": [row.took for row in rows],
                "began": [row.began for row in rows],
                "first": [row.first for row in rows],
                "last": [row.last for row in rows],
                "findings": [row.findings for row in rows],
                "ladder": [row.ladder for row in rows],
                "comparison": [row.comparison for row in rows],
            },
        }
        return in_script(value)

    def _findings(self, record: ConnectionRecord) -> Iterable[tuple[int, int, int]]:
        for finding in record.findings:
            rule = (finding.rule, finding.code, finding.severity, finding.title)
            yield (
                self._rules.setdefault(rule, len(self._rules)),
                self._texts.number(shortened(finding.summary, 600)),
                self._texts.number(_filter(finding, record)),
            )

    def _ladder(
        self, ladder: Ladder
    ) -> tuple[int, tuple[int | None, ...], tuple[int, ...], tuple[int, ...]] | None:
        number = self.shapes.get(ladder.shape)
        if number is None:
            if len(self.shapes) >= SHAPES:
                return None
            number = self.shapes[ladder.shape] = len(self.shapes)
        times = tuple(words.microseconds for words in ladder.words if words.microseconds is not None)
        frames = tuple(words.frame for words in ladder.words if words.frame is not None)
        texts = tuple(
            self._texts.number(text) for words in ladder.words for text in (words.label, *words.lines)
        )
        return number, times, frames, texts

    def _comparison(self, lines: tuple[Line, ...]) -> int:
        found = self._comparisons.get(lines)
        if found is None:
            found = self._comparisons[lines] = len(self._comparisons)
            self._size += sum(
                len(text) + 3 for line in lines for texts in line[1:4] for text in (texts or ())
            )
        return found


def in_script(value: object) -> str:
    """JSON that neither ends the script element it stands in nor begins a comment there."""
    text = json.dumps(value, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _at(places: Sequence[int], number: int) -> int:
    return NONE if number == NONE else places[number]


def _order(text: str) -> tuple[int, int, int, str]:
    host, colon, port = text.rpartition(":")
    if text.count(":") > 1 and not text.startswith("["):
        host, colon, port = text, "", ""
    try:
        address = ip_address((host if colon else text).strip("[]"))
    except ValueError:
        return (99, 0, 0, text)
    return (address.version, int(address), int(port) if colon and port.isdecimal() else 0, text)


def _filter(finding: FindingRecord, record: ConnectionRecord) -> str:
    """A filter cut in the middle would be none: beyond a screenful, the whole connection."""
    if len(finding.display_filter) <= LONGEST_FILTER:
        return finding.display_filter
    return f"tcp.stream eq {record.stream}"
