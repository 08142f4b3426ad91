"""Connections that are alike but for addresses, frames and times -> verdicts, from one pattern for all of a kind.

One connection of each kind is told and judged as any other, with marks in the place of its addresses;
the others are this verdict with their own. What is not surely alike is left to the long way.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from analyzer.diagnosis.engine import RuleSet, Verdict
from analyzer.diagnosis.filters import evidence_filter
from analyzer.negotiation.facts import facts
from analyzer.negotiation.others import Others
from analyzer.negotiation.story import Story
from analyzer.negotiation.vocabulary import Facts
from analyzer.report.record import ConnectionRecord, FindingRecord
from analyzer.report.record import Frames as FrameNumbers
from analyzer.tcp.bare import Bare

# Texts of facts that no rule may ask for, for they are another connection's until they are put right.
MARKS = {"connection.client": "\0c\0", "connection.server": "\0s\0", "connection.server_host": "\0h\0"}
MOST_KINDS = 1024        # more, and they are not alike
_BLOCK = 4096


class Diagnosed(NamedTuple):
    """One connection: what is reported, and what it rests on.

    story: where only records were wanted, it may be that of a connection alike, or None.
    """

    record: ConnectionRecord
    story: Story | None
    verdict: Verdict


class Kinds(NamedTuple):
    """Bare connections by kind. number: of the kind of each, -1: not known to be alike; first: one of each kind."""

    bare: Bare
    number: NDArray[np.int64]
    first: NDArray[np.int64]


def hear(bare: Bare, others: Others, capture: int) -> None:
    """Take note, for the others, of the servers that refused."""
    servers, counts = np.unique(bare.server[bare.refused], return_counts=True)
    for server, count in zip(servers.tolist(), counts.tolist(), strict=True):
        others.hear(server.to_bytes(4), capture, count)


def kinds_of(bare: Bare, rules: RuleSet, others: Others, capture: int) -> Kinds | None:
    """The kinds, once all connections of the run are known; None where the rules ask for addresses."""
    if not rules.reads.isdisjoint(MARKS):
        return None
    servers, place = np.unique(bare.server, return_inverse=True)
    told = [others.told_of(server.to_bytes(4), capture) for server in servers.tolist()]
    heard = np.array([one.heard for one in told], np.int64)[place] > bare.refused
    came_up = np.cumsum([one.came_up for one in told]) * np.array([one.came_up for one in told], np.int64)
    number = np.unique(bare.shape, return_inverse=True)[1].astype(np.int64)
    for column, room in (
        (bare.port[:, 1], 1 << 16), (heard, 2), (came_up[place], int(came_up.max(initial=0)) + 1),
        (np.where(came_up[place] > 0, bare.ttl, 0), 256),
    ):  # fmt: skip
        number = number * room + column
    _, first, number = np.unique(number, return_index=True, return_inverse=True)
    pairs = np.array([int.from_bytes(a) << 32 | int.from_bytes(b) for a, b in others.pairs(capture)], np.uint64)
    known = np.isin(bare.client.astype(np.uint64) << np.uint64(32) | bare.server, pairs)
    if len(first) > MOST_KINDS:
        return None
    first = first[~known[first]]
    return Kinds(bare, np.where(known | ~np.isin(number, number[first]), -1, number), first)


class _Pattern:
    """The verdict on one connection of a kind, with marks for its addresses."""

    def __init__(self, marked: Diagnosed, frames: list[int]) -> None:
        self.marked = marked
        self._findings = [
            (finding, [frames.index(frame) for frame in finding.frames]) for finding in marked.record.findings
        ]

    def findings(self, stream: int, frames: list[int], names: tuple[str, str, str]) -> tuple[FindingRecord, ...]:
        client, server, host = names
        found = []
        for finding, places in self._findings:
            own = tuple([frames[place] for place in places])
            found.append(finding._replace(
                summary=finding.summary.replace("\0c\0", client).replace("\0s\0", server).replace("\0h\0", host),
                frames=own,
                display_filter=evidence_filter(stream, own),
            ))
        return tuple(found)


def diagnosed_by_kind(
    kinds: Kinds,
    stories: Callable[[NDArray[np.int64]], Iterator[Story]],
    judge: Callable[[Story, Facts], Diagnosed],
    others: Others,
    capture: int,
) -> Iterator[Diagnosed]:
    """The connections of a kind, in order of tcp.stream. stories: of connections by their numbers, ascending."""
    bare = kinds.bare
    patterns: dict[int, _Pattern] = {}
    ascending = np.sort(kinds.first)
    for at, story in zip(ascending.tolist(), stories(bare.conn[ascending]), strict=True):
        marked = judge(story, {**facts(story, others, capture), **MARKS})
        patterns[int(kinds.number[at])] = _Pattern(
            marked, bare.frames[bare.bounds[at] : bare.bounds[at + 1]].tolist()
        )
    members = np.flatnonzero(kinds.number >= 0)
    for begin in range(0, len(members), _BLOCK):
        yield from _block(bare, kinds.number, patterns, members[begin : begin + _BLOCK])


def _block(
    bare: Bare, number: NDArray[np.int64], patterns: dict[int, _Pattern], which: NDArray[np.int64]
) -> Iterator[Diagnosed]:
    low, high = int(bare.bounds[which[0]]), int(bare.bounds[which[-1] + 1])
    frames = bare.frames[low:high].tolist()
    columns = (
        number[which].tolist(), bare.stream[which].tolist(), bare.client[which].tolist(),
        bare.server[which].tolist(), bare.port[which].tolist(), bare.times[which].tolist(),
        (bare.bounds[which] - low).tolist(), (bare.bounds[which + 1] - low).tolist(),
    )  # fmt: skip
    for kind, stream, client, server, ports, times, begin, end in zip(*columns, strict=True):
        pattern = patterns[kind]
        marked = pattern.marked
        own = frames[begin:end]
        client_host, server_host = _dotted(client), _dotted(server)
        client_name, server_name = f"{client_host}:{ports[0]}", f"{server_host}:{ports[1]}"
        record = marked.record._replace(
            stream=stream, client=client_name, client_host=client_host, server=server_name, server_host=server_host,
            frames=FrameNumbers(own[0], own[-1], None, None), first_ns=times[0], last_ns=times[1],
            findings=pattern.findings(stream, own, (client_name, server_name, server_host)),
        )  # fmt: skip
        yield Diagnosed(record, marked.story, marked.verdict)


def _dotted(address: int) -> str:
    return f"{address >> 24}.{address >> 16 & 255}.{address >> 8 & 255}.{address & 255}"
