"""Connections that are alike but for addresses, frames and times -> verdicts, from one account for all of a class.

Connections that never came up differ in little else. One of each class is told; where the other connections
of the run show the same of several, one judgement, with marks in the place of its addresses, serves them all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from analyzer.accounts import Account
from analyzer.diagnosis.engine import Verdict
from analyzer.diagnosis.filters import evidence_filter
from analyzer.negotiation.others import Here, Others
from analyzer.negotiation.story import Story
from analyzer.negotiation.vocabulary import Facts
from analyzer.report.record import ConnectionRecord, FindingRecord
from analyzer.report.record import Frames as FrameNumbers
from analyzer.tcp.bare import Bare

# Facts that only summaries print, and what stands for them until they are each connection's own.
MARKS = {"connection.client": "\0c\0", "connection.server": "\0s\0", "connection.server_host": "\0h\0"}
MOST_KINDS = 1024        # more, and they are not alike
_BLOCK = 4096


class Diagnosed(NamedTuple):
    """One connection: what is reported, and what it rests on.

    story: None where only records were wanted.
    """

    record: ConnectionRecord
    story: Story | None
    verdict: Verdict


Judge = Callable[[Account, Facts], Diagnosed]


class Classes(NamedTuple):
    """Bare connections by what they show themselves. number: of the class of each; first: one of each class."""

    bare: Bare
    number: NDArray[np.int64]
    first: NDArray[np.int64]


class Alike(NamedTuple):
    """Classes with an account of one of each, in order of their numbers."""

    classes: Classes
    accounts: Sequence[Account]


def classes_of(bare: Bare) -> Classes | None:
    """The classes: who sent which segments, and the server's port. None where hardly two are alike."""
    number = np.unique(bare.shape, return_inverse=True)[1].astype(np.int64) << 16 | bare.port[:, 1]
    _, first, number = np.unique(number, return_index=True, return_inverse=True)
    return None if len(first) > MOST_KINDS else Classes(bare, number, first)


def hear(bare: Bare, here: Here) -> None:
    """Take note, for the others of a capture, of the servers that refused."""
    servers, counts = np.unique(bare.server[bare.refused], return_counts=True)
    for server, count in zip(servers.tolist(), counts.tolist(), strict=True):
        here.hear(server.to_bytes(4), count)


def _kinds(classes: Classes, here: Here) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(kind of each connection, -1 where it is one of its own; one of each kind), once all of the capture are known."""
    bare = classes.bare
    servers, place = np.unique(bare.server, return_inverse=True)
    told = [here.told_of(server.to_bytes(4)) for server in servers.tolist()]
    heard = np.array([one.heard for one in told], np.int64)[place] > bare.refused
    came_up = np.cumsum([one.came_up for one in told]) * np.array([one.came_up for one in told], np.int64)
    number = classes.number
    for column, room in (
        (heard, 2), (came_up[place], int(came_up.max(initial=0)) + 1), (np.where(came_up[place] > 0, bare.ttl, 0), 256),
    ):  # fmt: skip
        number = number * room + column
    _, first, number = np.unique(number, return_index=True, return_inverse=True)
    pairs = np.array([int.from_bytes(a) << 32 | int.from_bytes(b) for a, b in here.pairs()], np.uint64)
    known = np.isin(bare.client.astype(np.uint64) << np.uint64(32) | bare.server, pairs)
    kept = ~known[first]
    kept[MOST_KINDS:] = False
    return np.where(known | ~kept[number], -1, number), first[kept]


class _Member(NamedTuple):
    """One connection's own: addresses as numbers and as text, what others know it by, and its frames."""

    stream: int
    addresses: tuple[int, int]
    ports: list[int]
    times: list[int]
    ttl: int
    frames: list[int]

    @property
    def hosts(self) -> tuple[str, str]:
        client, server = self.addresses
        return _dotted(client), _dotted(server)

    def record(self, of: ConnectionRecord) -> ConnectionRecord:
        client, server = self.hosts
        return of._replace(
            stream=self.stream, client=f"{client}:{self.ports[0]}", client_host=client,
            server=f"{server}:{self.ports[1]}", server_host=server,
            frames=FrameNumbers(self.frames[0], self.frames[-1], None, None),
            first_ns=self.times[0], last_ns=self.times[1],
        )  # fmt: skip

    def account(self, of: Account, frames: list[int]) -> Account:
        """Its account. of: that of its class; frames: those of the connection which that was told of."""
        client, server = self.addresses
        record = self.record(of.record)
        return Account(
            of.sketch._replace(
                stream=self.stream, pair=(client.to_bytes(4), server.to_bytes(4)), first_ns=self.times[0],
                reset_ttl=None if of.sketch.reset_ttl is None else self.ttl,
            ),
            of.facts | {
                "connection.client": record.client, "connection.server": record.server,
                "connection.server_host": record.server_host,
            },
            {name: tuple([self.frames[frames.index(at)] for at in proof]) for name, proof in of.evidence.items()},
            record,
        )  # fmt: skip


class _Members:
    """The connections of a capture's classes, looked at a block at a time."""

    def __init__(self, bare: Bare) -> None:
        self._bare = bare

    def of(self, which: NDArray[np.int64]) -> Iterator[_Member]:
        """These, in the order given, which is ascending."""
        bare = self._bare
        for begin in range(0, len(which), _BLOCK):
            block = which[begin : begin + _BLOCK]
            low, high = int(bare.bounds[block[0]]), int(bare.bounds[block[-1] + 1])
            frames = bare.frames[low:high].tolist()
            columns = (
                bare.stream[block].tolist(),
                zip(bare.client[block].tolist(), bare.server[block].tolist(), strict=True),
                bare.port[block].tolist(), bare.times[block].tolist(), bare.ttl[block].tolist(),
                (bare.bounds[block] - low).tolist(), (bare.bounds[block + 1] - low).tolist(),
            )  # fmt: skip
            for stream, addresses, ports, times, ttl, first, end in zip(*columns, strict=True):
                yield _Member(stream, addresses, ports, times, ttl, frames[first:end])


class _Pattern:
    """The verdict on one connection of a kind, with marks for its addresses."""

    def __init__(self, marked: Diagnosed, frames: list[int]) -> None:
        self._marked = marked
        self._findings = [
            (finding, [frames.index(frame) for frame in finding.frames]) for finding in marked.record.findings
        ]

    def on(self, member: _Member) -> Diagnosed:
        """The same verdict on another one."""
        record = member.record(self._marked.record)
        found: list[FindingRecord] = []
        for finding, places in self._findings:
            own = tuple([member.frames[place] for place in places])
            summary = finding.summary.replace("\0c\0", record.client).replace("\0s\0", record.server)
            found.append(finding._replace(
                summary=summary.replace("\0h\0", record.server_host),
                frames=own,
                display_filter=evidence_filter(member.stream, own),
            ))
        return Diagnosed(record._replace(findings=tuple(found)), None, self._marked.verdict)


def diagnosed_alike(alike: Alike, judge: Judge, others: Others, here: Here) -> Iterator[Diagnosed]:
    """The connections of all classes, in order of tcp.stream."""
    classes = alike.classes
    kind, first = _kinds(classes, here)
    members = _Members(classes.bare)
    by_first = np.sort(classes.first)
    frames = {
        int(classes.number[at]): member.frames
        for at, member in zip(by_first.tolist(), members.of(by_first), strict=True)
    }
    number, kinds = classes.number.tolist(), kind.tolist()

    def account(at: int, member: _Member) -> Account:
        return member.account(alike.accounts[number[at]], frames[number[at]])

    patterns: dict[int, _Pattern] = {}
    ascending = np.sort(first)
    for at, member in zip(ascending.tolist(), members.of(ascending), strict=True):
        own = account(at, member)
        marked = judge(own, {**own.facts, **dict(others.facts(own.sketch, here)), **MARKS})
        patterns[kinds[at]] = _Pattern(marked, member.frames)
    for at, member in enumerate(members.of(np.arange(len(kinds)))):
        pattern = patterns.get(kinds[at])
        if pattern is not None:
            yield pattern.on(member)
        else:
            own = account(at, member)
            yield judge(own, own.facts | dict(others.facts(own.sketch, here)))


def _dotted(address: int) -> str:
    return f"{address >> 24}.{address >> 16 & 255}.{address >> 8 & 255}.{address & 255}"
