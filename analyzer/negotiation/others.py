"""All stories of a run -> what the other connections say about each of them.

A Sketch is what is kept of a story once it is told; connections whose TCP never came up leave
none, so that a scan of a million hosts costs no memory here.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from typing import NamedTuple
from zlib import crc32

from analyzer.negotiation.exchange import State
from analyzer.negotiation.story import Story
from analyzer.negotiation.vocabulary import Value
from analyzer.smb import constants, smb1, smb2
from analyzer.tcp.connection import Segment

# Clients that race both ports open the second one a few milliseconds after the first.
RACE_NS = 1_000_000_000
SCAN_CONNECTIONS = 3
SALT = 16            # bytes that two clients do not draw alike by chance

Item = tuple[str, Value]
Pair = tuple[bytes, bytes]


class Print(NamedTuple):
    """A 3.1.1 NEGOTIATE message by its random salt, and a digest of all it says."""

    salt: bytes
    digest: int


class Sketch(NamedTuple):
    """One connection, as far as others need it. dialect: 0 where none was selected."""

    key: tuple[int, int]             # capture, tcp.stream
    pair: Pair                       # addresses of client and server
    client_guid: bytes | None
    port: int
    first_ns: int
    answered: bool
    selected: bool
    went_on: bool                    # SESSION_SETUP or more
    stayed: bool                     # the server closed first: the client was not done
    offer: tuple[str, ...]
    dialect: int
    smb1_answer: bool
    newer_contexts: bool
    zero_guid: bool
    prints: tuple[Print, ...]


def sketch_of(story: Story, capture: int) -> Sketch | None:
    """What to keep of a story; None where TCP did not come up."""
    if not story.handshake.up:
        return None
    final = story.final
    asked = None if final is None or final.request is None else final.request.message.body
    answer = None if final is None or final.response is None else final.response.message.body
    newer = isinstance(asked, smb2.NegotiateRequest) and any(
        c.type > constants.COMPRESSION for c in asked.contexts or ()
    )
    by_server = story.ending is not None and not story.ending.by_client and story.coverage.whole
    went_on = story.sequel.session.request is not None or story.sequel.encrypted
    return Sketch(
        key=(capture, story.connection.stream),
        pair=(story.client.address, story.server.address),
        client_guid=_client_guid(story),
        port=story.server.port,
        first_ns=story.connection.first_ns,
        answered=any(e.response is not None for e in story.exchanges),
        selected=final is not None,
        went_on=went_on,
        stayed=by_server,
        offer=story.offered,
        dialect=(answer.dialect or 0) if isinstance(answer, smb2.NegotiateResponse) else 0,
        smb1_answer=isinstance(answer, smb1.NegotiateResponse),
        newer_contexts=newer,
        zero_guid=isinstance(answer, smb2.NegotiateResponse) and answer.server_guid == bytes(16),
        prints=_prints(story),
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
                found.append(Print(salt, crc32(repr(body).encode())))
    return tuple(found)


def _reset_by_server(story: Story) -> Segment | None:
    ending = story.ending
    if ending is not None and ending.reset and not ending.by_client:
        return ending.segment
    return story.handshake.refusal


def _client_guid(story: Story) -> bytes | None:
    """ClientGuid of the last request; None where it has none, or an empty one (2.0.2 only)."""
    body = None if story.request is None else story.request.message.body
    guid = body.client_guid if isinstance(body, smb2.NegotiateRequest) else None
    return guid if guid and any(guid) else None


class Others:
    """The connections of a run, indexed by who spoke to whom. Fill it with add(), then ask facts()."""

    def __init__(self) -> None:
        self._by_pair: dict[Pair, list[Sketch]] = defaultdict(list)
        self._by_server: dict[tuple[int, bytes], list[Sketch]] = defaultdict(list)
        self._prints: dict[bytes, set[int]] = {}
        self._ttl: dict[tuple[int, bytes], int] = {}
        self._heard: Counter[tuple[int, bytes]] = Counter()
        self._scanners: dict[tuple[int, Pair], bool] = {}

    def add(self, story: Story, capture: int = 0) -> None:
        """Take note of one connection."""
        if story.connection.packets[1 - story.client_side]:
            self._heard[capture, story.server.address] += 1
        if story.handshake.syn_ack is not None:
            self._ttl.setdefault((capture, story.server.address), story.handshake.syn_ack.ttl)
        sketch = sketch_of(story, capture)
        if sketch is not None:
            for salt, digest in sketch.prints:
                self._prints.setdefault(salt, set()).add(digest)
            self._by_pair[sketch.pair].append(sketch)
            if sketch.selected:
                self._by_server[capture, story.server.address].append(sketch)

    def facts(self, story: Story, capture: int = 0) -> Iterator[Item]:
        """What stands under others. for one connection."""
        key = (capture, story.connection.stream)
        pair = (story.client.address, story.server.address)
        guid = _client_guid(story)
        # Between two captures addresses and settings change hands; ClientGuid tells the same client.
        beside = [
            s
            for s in self._by_pair.get(pair, ())
            if s.key != key and (s.key[0] == capture or (guid is not None and s.client_guid == guid))
        ]
        first_ns = story.connection.first_ns
        yield (
            "others.came_up",
            any(s.selected and s.went_on and s.first_ns >= first_ns - RACE_NS for s in beside),
        )
        yield "others.raced", _raced(beside, story.server.port, first_ns)
        yield "others.scanner", self.scanner(pair, capture)
        itself = bool(story.connection.packets[1 - story.client_side])
        yield "others.server_heard", self._heard[capture, story.server.address] > itself
        usual, reset = self._ttl.get((capture, story.server.address)), _reset_by_server(story)
        if usual is not None and reset is not None:
            yield "others.reset_elsewhere", reset.ttl != usual
        higher = _higher(beside, story)
        yield "others.higher_dialect", higher is not None
        if higher is not None:
            yield "others.higher_dialect_name", constants.dialect_name(higher)
        at_server = [s for s in self._by_server.get((capture, story.server.address), ()) if s.key != key]
        yield "others.server_speaks_smb1", any(s.smb1_answer for s in at_server)
        yield (
            "others.old_contexts_accepted",
            any(not s.newer_contexts and not s.smb1_answer for s in at_server),
        )
        yield "others.zero_guid", any(s.zero_guid for s in at_server)
        yield "others.altered", any(len(self._prints[p.salt]) > 1 for p in _prints(story))

    def scanner(self, pair: Pair, capture: int = 0) -> bool:
        """Whether a client probes a server: several unequal offers, each left after its answer."""
        known = self._scanners.get((capture, pair))
        if known is None:
            here = [s for s in self._by_pair.get(pair, ()) if s.key[0] == capture]
            known = self._scanners[capture, pair] = _scans(here)
        return known


def _scans(sketches: Sequence[Sketch]) -> bool:
    probes = [s for s in sketches if s.answered or s.offer]
    return (
        len(probes) >= SCAN_CONNECTIONS
        and len({s.offer for s in probes if s.offer}) > 1
        and not any(s.stayed for s in probes if s.selected)
        and not any(s.went_on for s in sketches)
    )


def _raced(beside: Sequence[Sketch], port: int, first_ns: int) -> bool:
    return any(s.port != port and s.selected and abs(s.first_ns - first_ns) <= RACE_NS for s in beside)


def _higher(beside: Sequence[Sketch], story: Story) -> int | None:
    """A higher dialect that the same offer brought elsewhere.

    An alternate channel offers one dialect only, and is no downgrade. [MS-SMB2] 3.2.4.2.2.2
    """
    final = story.final
    if final is None or final.response is None or len(story.offered) < 2:
        return None
    body = final.response.message.body
    if final.state is not State.ANSWERED or not isinstance(body, smb2.NegotiateResponse) or body.dialect is None:
        return None
    own = body.dialect
    return max((s.dialect for s in beside if s.dialect > own and s.offer == story.offered), default=None)
