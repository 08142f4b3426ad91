"""Connections -> the matrix of outcomes and the timeline of response times, as numbers to draw.

Both are bounded: a matrix shows the clients and servers with most to say, a timeline draws what falls on
the same spot as one mark.
"""

from __future__ import annotations

import math
from array import array
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from analyzer.report.record import BROKEN, ConnectionRecord, iso

OUTCOMES = ("failed", "no-connection", "not-smb", "incomplete", "unused", "negotiated")
SYMBOLS: Mapping[str, str] = {
    "failed": "✕", "no-connection": "⊘", "not-smb": "≠", "incomplete": "?", "unused": "–", "negotiated": "✓",
}

ROWS, COLUMNS = 40, 12                   # clients and servers of a matrix
PAIRS = 50_000                           # client-and-server pairs counted; further ones are left out
POINTS = 500_000                         # connections on a timeline

WIDTH, HEIGHT = 960, 250
LEFT, RIGHT, TOP, BOTTOM = 64, 12, 12, 28
LANE = 40                                # under the plot: where no answer was captured
DAY = 86_400
STEPS = (10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200)   # seconds, under a day
MOST_TICKS = 8
SPOT = 4                                 # pixels that count as the same spot


class Cell(NamedTuple):
    """Outcomes of one client at one server, in the order of OUTCOMES."""

    server: str
    counts: tuple[tuple[str, int], ...]


class MatrixRow(NamedTuple):
    """One client at each server of the matrix."""

    client: str
    cells: tuple[Cell, ...]


class Matrix(NamedTuple):
    """Clients by servers. more_clients, more_servers: how many are not shown."""

    servers: tuple[str, ...]
    rows: tuple[MatrixRow, ...]
    more_clients: int
    more_servers: int


class Tick(NamedTuple):
    """A line of a scale."""

    at: float
    text: str


class Spot(NamedTuple):
    """Connections of one outcome that fall on the same spot. size: pixels."""

    x: float
    y: float
    size: float
    outcome: str
    title: str


class Timeline(NamedTuple):
    """The drawing: time to the right, response time upwards (logarithmic)."""

    across: tuple[Tick, ...]
    up: tuple[Tick, ...]
    spots: tuple[Spot, ...]
    lane: float
    start: str
    left_out: int


class Pairs:
    """Counts outcomes by client and server as connections pass by."""

    def __init__(self) -> None:
        self._counts: dict[tuple[str, str], Counter[str]] = {}

    def add(self, record: ConnectionRecord) -> None:
        """Count one connection."""
        pair = (record.client_host, record.server)
        counts = self._counts.get(pair)
        if counts is None:
            if len(self._counts) >= PAIRS:
                return
            counts = self._counts[pair] = Counter()
        counts[record.outcome] += 1

    def matrix(self) -> Matrix:
        """Those with failures first, then the busy."""
        clients: Counter[str] = Counter()
        servers: Counter[str] = Counter()
        for (client, server), counts in self._counts.items():
            weight = sum(counts.values()) + 1_000_000_000 * sum(counts[outcome] for outcome in BROKEN)
            clients[client] += weight
            servers[server] += weight
        columns = [server for server, _ in servers.most_common(COLUMNS)]
        rows = tuple(
            MatrixRow(client, tuple(Cell(server, self._ordered(client, server)) for server in columns))
            for client, _ in clients.most_common(ROWS)
        )
        return Matrix(tuple(columns), rows, len(clients) - len(rows), len(servers) - len(columns))

    def _ordered(self, client: str, server: str) -> tuple[tuple[str, int], ...]:
        counts = self._counts.get((client, server), Counter())
        return tuple((outcome, counts[outcome]) for outcome in OUTCOMES if counts[outcome])


class Times:
    """Gathers when connections began and how long the NEGOTIATE took: 17 bytes a connection."""

    def __init__(self) -> None:
        self._began = array("q")
        self._took = array("d")
        self._outcome = array("b")
        self._left_out = 0

    def add(self, record: ConnectionRecord) -> None:
        """Take one connection."""
        if len(self._began) >= POINTS:
            self._left_out += 1
            return
        self._began.append(record.first_ns)
        self._took.append(-1.0 if record.response_time is None else record.response_time)
        self._outcome.append(OUTCOMES.index(record.outcome))

    def timeline(self) -> Timeline | None:
        """None where there is nothing to compare: fewer than two connections, or no answer."""
        answered = [took for took in self._took if took >= 0]
        if len(self._began) < 2 or not answered:
            return None
        first, last = min(self._began), max(self._began)
        span = max(last - first, 1_000_000)
        low, high = _decades(answered)
        width = WIDTH - LEFT - RIGHT
        floor = HEIGHT - BOTTOM - LANE
        spots: dict[tuple[int, int, int], list[int]] = {}
        for index, (began, took, outcome) in enumerate(zip(self._began, self._took, self._outcome, strict=True)):
            x = LEFT + 6 + (began - first) / span * (width - 12)
            y = floor + LANE / 2 if took < 0 else floor - _height(took, low, high) * (floor - TOP)
            spots.setdefault((int(x / SPOT), int(y / SPOT), outcome), []).append(index)
        return Timeline(
            tuple(_time_ticks(span, width)),
            tuple(Tick(floor - (d - low) / (high - low) * (floor - TOP), duration(10.0**d)) for d in range(low, high + 1)),
            tuple(self._spots(spots)),
            floor + LANE / 2,
            iso(first),
            self._left_out,
        )

    def _spots(self, spots: Mapping[tuple[int, int, int], Sequence[int]]) -> Iterator[Spot]:
        for (x, y, outcome), members in sorted(spots.items()):
            name = OUTCOMES[outcome]
            took = sorted(self._took[i] for i in members)
            count = f"{len(members):,} connections, " if len(members) > 1 else ""
            if took[0] < 0:
                said = "no answer captured"
            elif len(members) == 1:
                said = f"answered after {duration(took[0])}"
            else:
                said = f"answered after {duration(took[0])} to {duration(took[-1])}"
            began = iso(min(self._began[i] for i in members))
            size = min(4 + math.log2(len(members)), 10)
            yield Spot((x + 0.5) * SPOT, (y + 0.5) * SPOT, size, name, f"{count}{name}: {said}; began {began}")


def duration(seconds: float) -> str:
    """A time in the unit that suits it: 812 µs, 8.12 ms, 8.00 s."""
    if seconds < 0.001:
        return f"{seconds * 1e6:.0f} µs"
    return f"{seconds * 1e3:.3g} ms" if seconds < 1 else f"{seconds:.2f} s" if seconds < 100 else f"{seconds:.0f} s"


def _decades(answered: Sequence[float]) -> tuple[int, int]:
    values = [max(took, 1e-6) for took in answered]
    low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
    return (low, high) if high > low else (low, low + 1)


def _height(took: float, low: int, high: int) -> float:
    return (math.log10(max(took, 10.0**low)) - low) / (high - low)


def _time_ticks(span_ns: int, width: int) -> Iterator[Tick]:
    """Round distances from the first connection on, at most MOST_TICKS of them."""
    seconds = span_ns / 1e9
    small = (factor * 10.0**power for power in range(-9, 1) for factor in (1, 2, 5))
    large = (factor * DAY * 10**power for power in range(20) for factor in (1, 2, 5))
    step = next(step for step in (*small, *STEPS, *large) if seconds / step <= MOST_TICKS)
    for number in range(int(seconds / step) + 1):
        yield Tick(LEFT + 6 + number * step / seconds * (width - 12), f"+{_span(number * step)}" if number else "0")


def _span(seconds: float) -> str:
    if seconds >= DAY:
        return f"{seconds / DAY:g} d"
    if seconds >= 3600:
        return f"{seconds / 3600:g} h"
    if seconds >= 120:
        return f"{seconds / 60:g} min"
    return f"{seconds:g} s" if seconds >= 1 else f"{seconds * 1e3:g} ms" if seconds >= 1e-3 else f"{seconds * 1e6:g} µs"
