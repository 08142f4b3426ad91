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
from analyzer.tcp.bare import Bare, packed
from analyzer.tcp.connection import Endpoint, at_port

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
    refused = np.flatnonzero(bare.refused)
    if not len(refused):
        return
    (numbers,) = _numbered((bare.v6[refused], bare.server[refused]))
    _, first, counts = np.unique(numbers, return_index=True, return_counts=True)
    for at, count in zip(refused[first].tolist(), counts.tolist(), strict=True):
        here.hear(bare.address(at, 1), count)


def _numbered(*columns: tuple[NDArray[np.bool_], NDArray[np.uint64]]) -> list[NDArray[np.int64]]:
    """Columns of addresses, each with what says that it is IPv6, as numbers below 2**32 that are equal where they are."""
    if not any(v6.any() for v6, _ in columns):
        return [words[:, 1].astype(np.int64) for _, words in columns]
    whole = np.concatenate([np.column_stack((v6.astype(np.uint64), words)) for v6, words in columns])
    numbers = np.unique(np.ascontiguousarray(whole).view("V24").ravel(), return_inverse=True)[1]
    return np.split(numbers.astype(np.int64), np.cumsum([len(v6) for v6, _ in columns])[:-1])


def _addresses(found: Sequence[bytes]) -> tuple[NDArray[np.bool_], NDArray[np.uint64]]:
    """Addresses as a column."""
    words = np.frombuffer(b"".join(address.rjust(16, b"\0") for address in found), ">u8")
    return np.array([len(address) == 16 for address in found], np.bool_), words.reshape(-1, 2).astype(np.uint64)


def _kinds(classes: Classes, here: Here) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(kind of each connection, -1 where it is one of its own; one of each kind), once all of the capture are known."""
    bare = classes.bare
    up = list(here.pairs())
    clients, servers, up_clients, up_servers = _numbered(
        (bare.v6, bare.client), (bare.v6, bare.server),
        _addresses([client for client, _ in up]), _addresses([server for _, server in up]),
    )  # fmt: skip
    _, one, place = np.unique(servers, return_index=True, return_inverse=True)
    told = [here.told_of(bare.address(at, 1)) for at in one.tolist()]
    heard = np.array([one.heard for one in told], np.int64)[place] > bare.refused
    came_up = np.cumsum([one.came_up for one in told]) * np.array([one.came_up for one in told], np.int64)
    number = classes.number
    for column, room in (
        (heard, 2), (came_up[place], int(came_up.max(initial=0)) + 1), (np.where(came_up[place] > 0, bare.ttl, 0), 256),
    ):  # fmt: skip
        number = number * room + column
    _, first, number = np.unique(number, return_index=True, return_inverse=True)
    known = np.isin(clients << 32 | servers, up_clients << 32 | up_servers)
    kept = ~known[first]
    kept[MOST_KINDS:] = False
    return np.where(known | ~kept[number], -1, number), first[kept]


class _Member(NamedTuple):
    """One connection's own: who it is between, its place in Bare, and its frames."""

    at: int
    stream: int
    client: str
    server: str
    ports: list[int]
    times: list[int]
    frames: list[int]

    def record(self, of: ConnectionRecord) -> ConnectionRecord:
        client, server = self.client, self.server
        return of._replace(
            stream=self.stream, client=at_port(client, self.ports[0]), client_host=client,
            server=at_port(server, self.ports[1]), server_host=server,
            frames=FrameNumbers(self.frames[0], self.frames[-1], None, None),
            first_ns=self.times[0], last_ns=self.times[1],
        )  # fmt: skip


class _Members:
    """The connections of a capture's classes."""

    def __init__(self, bare: Bare) -> None:
        self._bare = bare

    def of(self, which: NDArray[np.int64]) -> Iterator[_Member]:
        """These, in the order given, which is ascending; a block is looked at at a time."""
        bare = self._bare
        for begin in range(0, len(which), _BLOCK):
            block = which[begin : begin + _BLOCK]
            low, high = int(bare.bounds[block[0]]), int(bare.bounds[block[-1] + 1])
            frames = bare.frames[low:high].tolist()
            v6 = bare.v6[block]
            columns = (
                block.tolist(), bare.stream[block].tolist(), _texts(v6, bare.client[block]), _texts(v6, bare.server[block]),
                bare.port[block].tolist(), bare.times[block].tolist(),
                (bare.bounds[block] - low).tolist(), (bare.bounds[block + 1] - low).tolist(),
            )  # fmt: skip
            for at, stream, client, server, ports, times, first, end in zip(*columns, strict=True):
                yield _Member(at, stream, client, server, ports, times, frames[first:end])

    def account(self, member: _Member, of: Account, frames: list[int]) -> Account:
        """The account of one. of: that of its class; frames: those of the connection which that was told of."""
        bare, at = self._bare, member.at
        record = member.record(of.record)
        return Account(
            of.sketch._replace(
                stream=member.stream, pair=(bare.address(at, 0), bare.address(at, 1)), first_ns=member.times[0],
                reset_ttl=None if of.sketch.reset_ttl is None else int(bare.ttl[at]),
            ),
            of.facts | {
                "connection.client": record.client, "connection.server": record.server,
                "connection.server_host": record.server_host,
            },
            {name: tuple([member.frames[frames.index(at)] for at in proof]) for name, proof in of.evidence.items()},
            record,
        )  # fmt: skip


def _texts(v6: NDArray[np.bool_], words: NDArray[np.uint64]) -> list[str]:
    """Addresses as text."""
    if not v6.any():
        return [f"{low >> 24}.{low >> 16 & 255}.{low >> 8 & 255}.{low & 255}" for low in words[:, 1].tolist()]
    return [
        Endpoint(packed(high, low, v6=long), 0).host
        for long, (high, low) in zip(v6.tolist(), words.tolist(), strict=True)
    ]


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
    number, kinds = classes.number.tolist(), kind.tolist()
    frames = {number[member.at]: member.frames for member in members.of(np.sort(classes.first))}

    def account(member: _Member) -> Account:
        class_ = number[member.at]
        return members.account(member, alike.accounts[class_], frames[class_])

    patterns: dict[int, _Pattern] = {}
    for member in members.of(np.sort(first)):
        own = account(member)
        marked = judge(own, {**own.facts, **dict(others.facts(own.sketch, here)), **MARKS})
        patterns[kinds[member.at]] = _Pattern(marked, member.frames)
    for member in members.of(np.arange(len(kinds))):
        pattern = patterns.get(kinds[member.at])
        if pattern is not None:
            yield pattern.on(member)
        else:
            own = account(member)
            yield judge(own, own.facts | dict(others.facts(own.sketch, here)))
