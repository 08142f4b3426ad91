"""All stories of a run -> what the other connections say about each of them.

A Sketch is what others need of a story. Connections whose TCP never came up leave nothing here, so
that a scan of a million hosts costs no memory.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import Counter
from collections.abc import Iterator, Sequence
from operator import add
from typing import NamedTuple
from zlib import crc32

from analyzer.negotiation.faults import offer_whole
from analyzer.negotiation.story import Story
from analyzer.negotiation.vocabulary import Value
from analyzer.smb import constants, smb1, smb2
from analyzer.tcp.connection import Segment

# Clients that race both ports open the second one a few milliseconds after the first.
RACE_NS = 1_000_000_000
SCAN_CONNECTIONS = 3
SALT = 16            # bytes that two clients do not draw alike by chance

ELSEWHERE = (-1, -1)    # key of any connection of another run

Item = tuple[str, Value]
Pair = tuple[bytes, bytes]


class Print(NamedTuple):
    """A 3.1.1 NEGOTIATE message by its random salt, and a digest of all it says."""

    salt: bytes
    digest: int


class Sketch(NamedTuple):
    """One connection, as far as others need it. dialect: 0 where none was selected."""

    stream: int
    pair: Pair                       # addresses of client and server
    port: int                        # of the server
    first_ns: int
    up: bool                         # TCP is known to have come up
    heard: bool                      # the server sent something
    ttl: int | None                  # of the SYN/ACK
    reset_ttl: int | None            # of the server's RST that refused or ended it
    client_guid: bytes | None
    prints: tuple[Print, ...]
    answered: bool
    selected: bool
    went_on: bool                    # SESSION_SETUP or more
    stayed: bool                     # the server closed first: the client was not done
    offer: tuple[str, ...]
    dialect: int
    smb1_answer: bool
    newer_contexts: bool
    zero_guid: bool


def sketch_of(story: Story) -> Sketch:
    """What to tell the others of a story."""
    final = story.final
    asked = None if final is None or final.request is None else final.request.message.body
    answer = None if final is None or final.response is None else final.response.message.body
    newer = isinstance(asked, smb2.NegotiateRequest) and any(
        c.type > constants.COMPRESSION for c in asked.contexts or ()
    )
    by_server = story.ending is not None and not story.ending.by_client and story.coverage.whole
    went_on = story.sequel.session.request is not None or story.sequel.encrypted
    accepted, reset = story.handshake.syn_ack, _reset_by_server(story)
    return Sketch(
        stream=story.connection.stream,
        pair=(story.client.address, story.server.address),
        port=story.server.port,
        first_ns=story.connection.first_ns,
        up=bool(story.handshake.up),
        heard=bool(story.connection.packets[1 - story.client_side]),
        ttl=None if accepted is None else accepted.ttl,
        reset_ttl=None if reset is None else reset.ttl,
        client_guid=_client_guid(story),
        prints=_prints(story),
        answered=any(e.response is not None for e in story.exchanges),
        selected=final is not None,
        went_on=went_on,
        stayed=by_server,
        offer=_offer(story),
        dialect=(answer.dialect or 0) if isinstance(answer, smb2.NegotiateResponse) else 0,
        smb1_answer=isinstance(answer, smb1.NegotiateResponse),
        newer_contexts=newer,
        zero_guid=isinstance(answer, smb2.NegotiateResponse) and answer.server_guid == bytes(16),
    )


def _prints(story: Story) -> tuple[Print, ...]:
    """The whole NEGOTIATE messages that carry a salt. [MS-SMB2] 2.2.3.1.1"""
    found = []
    for placed in (story.request, story.response):
        body = None if placed is None else placed.message.body
        if placed is None or not placed.message.complete:
            continue
        if isinstance(body, smb2.NegotiateRequest | smb2.NegotiateResponse):
            salt = next((c.salt for c in body.contexts or () if c.salt and len(c.salt) >= SALT), None)
            if salt is not None:
                found.append(Print(salt, crc32(placed.message.data[smb2.HEADER_SIZE :])))
    return tuple(found)


def _reset_by_server(story: Story) -> Segment | None:
    ending = story.ending
    if ending is not None and ending.reset and not ending.by_client:
        return ending.segment
    return story.handshake.refusal


def _offer(story: Story) -> tuple[str, ...]:
    """The dialects of the last request; empty where it was not captured to their end."""
    request = story.request
    return story.offered if request is not None and offer_whole(request.message) else ()


def _client_guid(story: Story) -> bytes | None:
    """ClientGuid of the last request; None where it has none, or an empty one (2.0.2 only)."""
    body = None if story.request is None else story.request.message.body
    guid = body.client_guid if isinstance(body, smb2.NegotiateRequest) else None
    return guid if guid and any(guid) else None


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


class Shared(NamedTuple):
    """What one run tells another: clients by their ClientGuid, and the messages seen by their salts."""

    by_guid: dict[tuple[bytes, Pair], _Beside]
    prints: dict[bytes, set[int]]


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


_NOBODY: dict[Pair, _Beside] = {}


class Others:
    """The connections of a run, indexed by who spoke to whom. Fill it with add(), then ask facts().

    Both take the same time however many connections there are.
    """

    def __init__(self) -> None:
        # Between two captures addresses and settings change hands; ClientGuid tells the same client.
        self._by_pair: dict[int, dict[Pair, _Beside]] = {}
        self._by_guid: dict[tuple[bytes, Pair], _Beside] = {}
        self._by_server: dict[tuple[int, bytes], _Trait] = {}
        self._prints: dict[bytes, set[int]] = {}
        self._ttl: dict[tuple[int, bytes], int] = {}
        self._heard: Counter[tuple[int, bytes]] = Counter()

    def add(self, sketch: Sketch, capture: int = 0) -> None:
        """Take note of one connection."""
        server = (capture, sketch.pair[1])
        if sketch.heard:
            self._heard[server] += 1
        if sketch.ttl is not None:
            self._ttl.setdefault(server, sketch.ttl)
        if not sketch.up:
            return
        for salt, digest in sketch.prints:
            self._prints.setdefault(salt, set()).add(digest)
        self._by_pair.setdefault(capture, {}).setdefault(sketch.pair, _Beside()).add(sketch, capture)
        if sketch.client_guid is not None:
            self._by_guid.setdefault((sketch.client_guid, sketch.pair), _Beside()).add(sketch, capture)
        if sketch.selected:
            before = self._by_server.get(server, _NO_TRAIT)
            self._by_server[server] = _Trait(*map(add, before, _trait(sketch)))

    def shared(self) -> Shared:
        """What runs over other captures must know of this one."""
        return Shared(self._by_guid, self._prints)

    def learn(self, shared: Shared) -> None:
        """Take in what another run shares. Each run must learn from every other one, in any order."""
        for known, beside in shared.by_guid.items():
            self._by_guid.setdefault(known, _Beside()).merge(beside)
        for salt, digests in shared.prints.items():
            self._prints.setdefault(salt, set()).update(digests)

    def hear(self, server: bytes, capture: int, connections: int) -> None:
        """Take note of connections that a server answered and refused. It is what add() notes of these."""
        self._heard[capture, server] += connections

    def told_of(self, server: bytes, capture: int) -> Told:
        """What is known of a server."""
        key = (capture, server)
        return Told(self._heard.get(key, 0), key in self._ttl or key in self._by_server)

    def pairs(self, capture: int) -> Iterator[Pair]:
        """Clients and servers between which TCP came up."""
        return iter(self._by_pair.get(capture, ()))

    def facts(self, sketch: Sketch, capture: int = 0) -> Iterator[Item]:
        """What stands under others. for one connection."""
        key, pair, server = (capture, sketch.stream), sketch.pair, (capture, sketch.pair[1])
        guid = sketch.client_guid
        found = (self._by_pair.get(capture, _NOBODY).get(pair), self._by_guid.get((guid, pair)) if guid is not None else None)
        beside = [one for one in found if one is not None]
        first_ns = sketch.first_ns
        yield "others.came_up", any(one.came_up(key, first_ns - RACE_NS) for one in beside)
        yield "others.raced", any(one.raced(sketch.port, first_ns) for one in beside)
        yield "others.scanner", self.scanner(pair, capture)
        yield "others.server_heard", self._heard[server] > sketch.heard
        usual = self._ttl.get(server)
        if usual is not None and sketch.reset_ttl is not None:
            yield "others.reset_elsewhere", sketch.reset_ttl != usual
        higher = _higher(beside, sketch)
        yield "others.higher_dialect", higher is not None
        if higher is not None:
            yield "others.higher_dialect_name", constants.dialect_name(higher)
        all_here = self._by_server.get(server, _NO_TRAIT)
        own = _trait(sketch) if sketch.up else _NO_TRAIT
        yield "others.server_speaks_smb1", all_here.smb1 > own.smb1
        yield "others.old_contexts_accepted", all_here.old_contexts > own.old_contexts
        yield "others.zero_guid", all_here.zero_guid > own.zero_guid
        yield "others.altered", any(len(self._prints.get(p.salt, ())) > 1 for p in sketch.prints)

    def scanner(self, pair: Pair, capture: int = 0) -> bool:
        """Whether a client probes a server: several unequal offers, each left after its answer."""
        beside = self._by_pair.get(capture, _NOBODY).get(pair)
        return beside is not None and beside.scans


def _higher(beside: Sequence[_Beside], sketch: Sketch) -> int | None:
    """A higher dialect that the same offer brought elsewhere.

    An alternate channel offers one dialect only, and is no downgrade. [MS-SMB2] 3.2.4.2.2.2
    """
    if not sketch.dialect or len(sketch.offer) < 2:
        return None
    highest = max((one.highest(sketch.offer) for one in beside), default=0)
    return highest if highest > sketch.dialect else None
