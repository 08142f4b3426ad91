"""All sketches of a run -> what the other connections say about each of them.

Here has those of one capture, Others what ties captures together. Connections whose TCP never came up leave
hardly anything, so that a scan of a million hosts costs no memory.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import Counter
from collections.abc import Iterator, Sequence
from operator import add
from typing import NamedTuple

from analyzer.negotiation.sketch import Pair, Sketch
from analyzer.negotiation.vocabulary import Value
from analyzer.smb import constants

# Clients that race both ports open the second one a few milliseconds after the first.
RACE_NS = 1_000_000_000
SCAN_CONNECTIONS = 3

ELSEWHERE = (-1, -1)    # key of any connection of another run

Item = tuple[str, Value]


class _Beside:
    """What one client was seen to do at one server: enough to ask of each connection what the others show."""

    __slots__ = ("_came_up", "_dialects", "_offer", "_offers_differ", "_probes", "_selected", "_stayed", "_went_on")

    def __init__(self) -> None:
        self._came_up: list[tuple[int, tuple[int, int]]] = []     # the two latest that went on: time and key
        self._selected: dict[int, list[int]] = {}                 # port -> times of those that selected a dialect
        self._dialects: dict[tuple[str, ...], int] = {}           # offer -> highest dialect that it brought
        self._probes = 0
        self._offer: tuple[str, ...] = ()
        self._offers_differ = self._stayed = self._went_on = False

    def add(self, sketch: Sketch, capture: int) -> None:
        if sketch.selected:
            insort(self._selected.setdefault(sketch.port, []), sketch.first_ns)
            if sketch.went_on:
                key = (capture, sketch.stream)
                self._came_up = sorted([*self._came_up, (sketch.first_ns, key)])[-2:]
        if sketch.dialect > self._dialects.get(sketch.offer, 0):
            self._dialects[sketch.offer] = sketch.dialect
        if sketch.answered or sketch.offer:
            self._probes += 1
            self._stayed |= sketch.stayed and sketch.selected
        if sketch.offer:
            self._offers_differ |= bool(self._offer) and sketch.offer != self._offer
            self._offer = sketch.offer
        self._went_on |= sketch.went_on

    def merge(self, other: _Beside) -> None:
        """Add what another one was told; keys of both are different ones."""
        self._came_up = sorted([*self._came_up, *((first, ELSEWHERE) for first, _ in other._came_up)])[-2:]
        for port, times in other._selected.items():
            self._selected[port] = sorted([*self._selected.get(port, ()), *times])
        for offer, dialect in other._dialects.items():
            self._dialects[offer] = max(dialect, self._dialects.get(offer, 0))

    def came_up(self, key: tuple[int, int], since: int) -> bool:
        """Whether another connection went on that began at this time or later."""
        return any(first >= since and other != key for first, other in self._came_up)

    def raced(self, port: int, first_ns: int) -> bool:
        """Whether another port selected a dialect at the same time."""
        for other, times in self._selected.items():
            at = bisect_left(times, first_ns - RACE_NS)
            if other != port and at < len(times) and times[at] <= first_ns + RACE_NS:
                return True
        return False

    def highest(self, offer: tuple[str, ...]) -> int:
        """The highest dialect that an offer brought, 0 for none."""
        return self._dialects.get(offer, 0)

    @property
    def scans(self) -> bool:
        """Several unequal offers, each left after its answer."""
        return (
            self._probes >= SCAN_CONNECTIONS and self._offers_differ and not self._stayed and not self._went_on
        )


class Told(NamedTuple):
    """A server: how many connections it answered in some way, and whether one of them came up."""

    heard: int
    came_up: bool


class _Trait(NamedTuple):
    """What an answered connection tells of its server. Added up over all of them: how many tell it."""

    smb1: int
    old_contexts: int
    zero_guid: int


_NO_TRAIT = _Trait(0, 0, 0)


def _trait(sketch: Sketch) -> _Trait:
    if not sketch.selected:
        return _NO_TRAIT
    return _Trait(
        int(sketch.smb1_answer),
        int(not sketch.newer_contexts and not sketch.smb1_answer),
        int(sketch.zero_guid),
    )


class Here:
    """The connections of one capture, indexed by who spoke to whom. capture: its number in the run. Pickles."""

    def __init__(self, capture: int = 0) -> None:
        self.capture = capture
        self._by_pair: dict[Pair, _Beside] = {}
        self._by_server: dict[bytes, _Trait] = {}
        self._ttl: dict[bytes, int] = {}
        self._heard: Counter[bytes] = Counter()

    def add(self, sketch: Sketch) -> None:
        """Take note of one connection."""
        server = sketch.pair[1]
        if sketch.heard:
            self._heard[server] += 1
        if sketch.ttl is not None:
            self._ttl.setdefault(server, sketch.ttl)
        if not sketch.up:
            return
        beside = self._by_pair.get(sketch.pair)
        if beside is None:
            beside = self._by_pair[sketch.pair] = _Beside()
        beside.add(sketch, self.capture)
        if sketch.selected:
            self._by_server[server] = _Trait(*map(add, self._by_server.get(server, _NO_TRAIT), _trait(sketch)))

    def hear(self, server: bytes, connections: int) -> None:
        """Take note of connections that a server answered and refused. It is what add() notes of these."""
        self._heard[server] += connections

    def told_of(self, server: bytes) -> Told:
        """What is known of a server."""
        return Told(self._heard.get(server, 0), server in self._ttl or server in self._by_server)

    def pairs(self) -> Iterator[Pair]:
        """Clients and servers between which TCP came up."""
        return iter(self._by_pair)

    def beside(self, pair: Pair) -> _Beside | None:
        """What a client did at a server."""
        return self._by_pair.get(pair)

    def scanner(self, pair: Pair) -> bool:
        """Whether a client probes a server: several unequal offers, each left after its answer."""
        beside = self._by_pair.get(pair)
        return beside is not None and beside.scans

    def server_facts(self, sketch: Sketch) -> Iterator[Item]:
        """What the other connections of its server show."""
        server = sketch.pair[1]
        yield "others.server_heard", self._heard[server] > sketch.heard
        usual = self._ttl.get(server)
        if usual is not None and sketch.reset_ttl is not None:
            yield "others.reset_elsewhere", sketch.reset_ttl != usual
        all_here = self._by_server.get(server, _NO_TRAIT)
        own = _trait(sketch) if sketch.up else _NO_TRAIT
        yield "others.server_speaks_smb1", all_here.smb1 > own.smb1
        yield "others.old_contexts_accepted", all_here.old_contexts > own.old_contexts
        yield "others.zero_guid", all_here.zero_guid > own.zero_guid


class Shared(NamedTuple):
    """What one run tells another: clients by their ClientGuid, and the messages seen by their salts."""

    by_guid: dict[tuple[bytes, Pair], _Beside]
    prints: dict[bytes, int]
    altered: set[bytes]


class Others:
    """What ties the captures of all runs together. Fill it with add(), then ask facts().

    Both take the same time however many connections there are. several: there is more than one capture.
    """

    def __init__(self, *, several: bool = True) -> None:
        # Between two captures addresses and settings change hands; ClientGuid tells the same client. Within
        # one it tells nothing that the addresses do not.
        self._several = several
        self._by_guid: dict[tuple[bytes, Pair], _Beside] = {}
        self._prints: dict[bytes, int] = {}              # salt -> digest of the first message with it
        self._altered: set[bytes] = set()                # salts of messages that say one thing and another

    def add(self, sketch: Sketch, here: Here) -> None:
        """Take note of one connection of a capture."""
        here.add(sketch)
        if not sketch.up:
            return
        for salt, digest in sketch.prints:
            self._note(salt, digest)
        if self._several and sketch.client_guid is not None:
            known = (sketch.client_guid, sketch.pair)
            beside = self._by_guid.get(known)
            if beside is None:
                beside = self._by_guid[known] = _Beside()
            beside.add(sketch, here.capture)

    def _note(self, salt: bytes, digest: int) -> None:
        if self._prints.setdefault(salt, digest) != digest:
            self._altered.add(salt)

    def shared(self) -> Shared:
        """What runs over other captures must know of this one."""
        return Shared(self._by_guid, self._prints, self._altered)

    def learn(self, shared: Shared) -> None:
        """Take in what another run shares. Each run must learn from every other one, in any order."""
        for known, beside in shared.by_guid.items():
            self._by_guid.setdefault(known, _Beside()).merge(beside)
        for salt, digest in shared.prints.items():
            self._note(salt, digest)
        self._altered |= shared.altered

    def facts(self, sketch: Sketch, here: Here) -> Iterator[Item]:
        """What stands under others. for one connection of a capture."""
        key, pair, guid = (here.capture, sketch.stream), sketch.pair, sketch.client_guid
        found = (here.beside(pair), self._by_guid.get((guid, pair)) if guid is not None else None)
        beside = [one for one in found if one is not None]
        first_ns = sketch.first_ns
        yield "others.came_up", any(one.came_up(key, first_ns - RACE_NS) for one in beside)
        yield "others.raced", any(one.raced(sketch.port, first_ns) for one in beside)
        yield "others.scanner", here.scanner(pair)
        higher = _higher(beside, sketch)
        yield "others.higher_dialect", higher is not None
        if higher is not None:
            yield "others.higher_dialect_name", constants.dialect_name(higher)
        yield from here.server_facts(sketch)
        yield "others.altered", any(salt in self._altered for salt, _ in sketch.prints)


def _higher(beside: Sequence[_Beside], sketch: Sketch) -> int | None:
    """A higher dialect that the same offer brought elsewhere.

    An alternate channel offers one dialect only, and is no downgrade. [MS-SMB2] 3.2.4.2.2.2
    """
    if not sketch.dialect or len(sketch.offer) < 2:
        return None
    highest = max((one.highest(sketch.offer) for one in beside), default=0)
    return highest if highest > sketch.dialect else None
