"""Records -> what the page says: cards by cause and server, warnings, counts; all of it bounded."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from analyzer.diagnosis.rule import Fix
from analyzer.report.html.data import Line
from analyzer.report.html.ladder import Ladder
from analyzer.report.record import BROKEN, SEVERITIES, ConnectionRecord, FindingRecord
from analyzer.report.triage import NAMES, Triage

CARDS = 60               # causes with a card
PLACES = 200             # servers of a card; further ones are counted only
FULL = 3                 # of these the first are shown in full
CLIENTS = 12             # client addresses named of a server
SHOWN = 8                # connections of a server that are drawn in its card
DRAWN = 48               # of the whole page: what is beyond is drawn by the script when it is asked for


class Shown(NamedTuple):
    """A connection drawn in its card."""

    capture: str
    record: ConnectionRecord
    ladder: Ladder | None
    lines: tuple[Line, ...]


class Side(NamedTuple):
    """The remedies of one side."""

    name: str
    fixes: tuple[Fix, ...]


class Place:
    """One server, as far as one cause goes. record: its first such connection."""

    def __init__(self, record: ConnectionRecord, findings: Sequence[FindingRecord]) -> None:
        self.server = record.server
        self.name = record.server_name
        self.findings = tuple(findings)
        self.count = 0
        self.clients: Counter[str] = Counter()
        self.shown: list[Shown] = []

    @property
    def proof(self) -> FindingRecord | None:
        """The finding that names its frames."""
        return self.findings[0] if self.findings else None

    @property
    def named(self) -> list[tuple[str, int]]:
        """The clients with the most connections, and how many."""
        return self.clients.most_common(CLIENTS)


class Card:
    """Connections that broke for the same reasons, or that cannot be judged for the same reasons."""

    def __init__(self, slugs: tuple[str, ...], record: ConnectionRecord, findings: Sequence[FindingRecord]) -> None:
        self.slugs = slugs
        self.outcome = record.outcome
        self.undecided = record.outcome == "incomplete"
        self.findings = tuple(findings)
        self.count = 0
        self.likely = 0
        self.candidates: list[str] = []
        self.places: dict[str, Place] = {}
        self.unlisted = 0
        self.standing = False

    @property
    def title(self) -> str:
        """What the primary cause is called."""
        if self.undecided:
            return "Undecided: the capture does not show enough"
        return self.findings[0].title if self.findings else self.outcome

    @property
    def first(self) -> FindingRecord | None:
        """The finding of the primary cause."""
        return self.findings[0] if self.findings else None

    @property
    def full(self) -> list[Place]:
        """Servers that are shown in full, those with most connections first."""
        return sorted(self.places.values(), key=lambda place: -place.count)[:FULL]

    @property
    def brief(self) -> list[Place]:
        """The other servers."""
        return sorted(self.places.values(), key=lambda place: -place.count)[FULL:]

    @property
    def clients(self) -> int:
        """How many clients, as far as servers are listed."""
        return len({client for place in self.places.values() for client in place.clients})

    @property
    def sides(self) -> list[Side]:
        """The remedies by side, in the order of the rule."""
        fixes = next((finding.fix for finding in self.findings if finding.fix), ())
        names = dict.fromkeys(fix.side for fix in fixes)
        return [Side(name, tuple(fix for fix in fixes if fix.side == name)) for name in names]

    @property
    def sees(self) -> tuple[tuple[str, str], ...]:
        """What the user sees, by platform."""
        first = self.first
        return () if first is None else first.sees


class Warned:
    """One warning slug over all captures. streams: (capture, tcp.stream) of its first connections."""

    def __init__(self, finding: FindingRecord) -> None:
        self.finding = finding
        self.count = 0
        self.streams: list[tuple[str, int]] = []


class Cards:
    """Gathers cards and warnings as connections pass by."""

    def __init__(self) -> None:
        self.cards: dict[tuple[str, ...], Card] = {}
        self.warnings: dict[str, Warned] = {}
        self._drawn = 0

    def add(self, capture: str, record: ConnectionRecord, ladder: Ladder | None, lines: tuple[Line, ...]) -> None:
        """Take one connection."""
        causes = len(record.causes)
        if record.outcome in BROKEN:
            self._broke(record.causes, record.findings[:causes], Shown(capture, record, ladder, lines))
        elif record.outcome == "incomplete":
            self._broke(("?", *record.candidates), record.findings, Shown(capture, record, ladder, lines))
        for finding in record.findings[causes:]:
            warned = self.warnings.setdefault(finding.rule, Warned(finding))
            warned.count += 1
            if len(warned.streams) < SHOWN:
                warned.streams.append((capture, record.stream))

    def finish(self, triage: Triage) -> None:
        """A capture is over: which failures still stand at its end."""
        for slugs, cause in triage.causes.items():
            if slugs in self.cards and not cause.recovered:
                self.cards[slugs].standing = True

    def ranked(self) -> list[Card]:
        """What still stands first, then what cannot be judged, then attempts that a later one made good."""
        return sorted(
            self.cards.values(), key=lambda card: (0 if card.standing else 1 if card.undecided else 2, -card.count)
        )

    def ranked_warnings(self) -> list[Warned]:
        """The grave, then the frequent."""
        return sorted(
            self.warnings.values(), key=lambda w: (-SEVERITIES.index(w.finding.severity), -w.count)
        )

    def _broke(self, slugs: tuple[str, ...], findings: Sequence[FindingRecord], shown: Shown) -> None:
        record = shown.record
        card = self.cards.get(slugs)
        if card is None:
            card = self.cards[slugs] = Card(slugs, record, findings)
        card.count += 1
        card.likely += record.confidence == "likely"
        card.candidates.extend(slug for slug in record.candidates if slug not in card.candidates)
        place = card.places.get(record.server)
        if place is None:
            if len(card.places) >= PLACES:
                card.unlisted += 1
                return
            place = card.places[record.server] = Place(record, findings)
        place.count += 1
        if record.client_host in place.clients or len(place.clients) < NAMES:
            place.clients[record.client_host] += 1
        if len(place.shown) < SHOWN and self._drawn < DRAWN and len(card.places) <= FULL:
            self._drawn += 1
            place.shown.append(shown)
