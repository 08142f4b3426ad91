"""Connections -> stories -> what remains of them, in this process or, where they are many, in several.

Nothing costs as much for each connection, and no story needs another: a portion of connections goes to
a process, and what it says of them comes back in the order of tcp.stream.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from analyzer.accounts import Account, Chapter, Shown, account_of, packed
from analyzer.errors import Error
from analyzer.negotiation.notice import Notice, notice_of
from analyzer.negotiation.story import Story, tell
from analyzer.tcp.assemble import Portion
from analyzer.tcp.connection import Connection

MANY = 2048              # connections of one capture for which it pays to start processes


class Wanted(NamedTuple):
    """Which connections are reported: those with one of the hosts and one of the streams; empty is all.

    detailed: with their steps and their offer and answer; messages: with their NEGOTIATE messages.
    records_only: nobody looks at the stories, so that none is told again, and of many alike one is enough.
    """

    hosts: frozenset[bytes] = frozenset()
    streams: frozenset[int] = frozenset()
    detailed: bool = False
    messages: bool = False
    records_only: bool = False

    @property
    def shown(self) -> Shown:
        """What of each connection is kept for a report."""
        return Shown(self.detailed, self.messages)

    @property
    def all_alike(self) -> bool:
        """Whether connections may be told by their kind. Those that are alike have no messages."""
        return self.records_only and not (self.hosts or self.streams or self.detailed)

    def takes(self, connection: Connection) -> bool:
        """Whether a connection is reported."""
        return (not self.streams or connection.stream in self.streams) and (
            not self.hosts or any(end.address in self.hosts for end in connection.ends)
        )


class Told(NamedTuple):
    """What remains of a portion. notices: of all connections; accounts: packed, of those to report."""

    notices: tuple[Notice, ...]
    accounts: bytes


class Telling(NamedTuple):
    """How the connections of one capture are told. Pickles.

    ports: what counts as an SMB port; capture_end_ns: time of the last packet; names: host names by address;
    key: of the pseudonyms to report under.
    """

    ports: tuple[int, ...]
    capture_end_ns: int
    names: Mapping[bytes, str]
    key: bytes | None

    def stories(self, connections: Iterable[Connection]) -> Iterator[Story]:
        """The story of each connection."""
        names = self.names
        if self.key is not None:
            from analyzer.rewrite.connections import anonymized
            from analyzer.rewrite.pseudonym import pseudonyms_of

            pseudonyms = pseudonyms_of(self.key)
            names = pseudonyms.hosts(names)
            connections = (anonymized(connection, pseudonyms) for connection in connections)
        for connection in connections:
            yield tell(connection, capture_end_ns=self.capture_end_ns, ports=self.ports, names=names)

    def accounts(
        self, connections: Iterable[Connection], wanted: Wanted
    ) -> Iterator[tuple[Notice, Account | None]]:
        """What remains of each connection; no account of one that is not to be reported."""
        shown = wanted.shown
        for story in self.stories(connections):
            notice = notice_of(story)
            yield notice, account_of(story, notice, shown) if wanted.takes(story.connection) else None


class _Work:
    """What a process does with each portion. The number of a portion is its place among them."""

    def __init__(self, telling: Telling, wanted: Wanted) -> None:
        self._telling = telling
        self._wanted = wanted

    def __call__(self, task: tuple[int, Portion]) -> Told:
        told = list(self._telling.accounts(task[1].connections(), self._wanted))
        accounts = [account for _, account in told if account is not None]
        return Told(tuple(notice for notice, _ in told), packed(accounts))


def told(
    telling: Telling, portions: Iterable[Portion], wanted: Wanted, chapter: Chapter, jobs: int
) -> Iterator[Notice]:
    """Tell all connections: their notices, while their accounts are added to a chapter.

    portions: in order of tcp.stream. jobs: processes that share them; 1: this one does it alone.
    """
    if jobs > 1:
        for notices, accounts in _shared(_Work(telling, wanted), portions, jobs):
            chapter.extend(accounts)
            yield from notices
        return
    for portion in portions:
        for notice, account in telling.accounts(portion.connections(), wanted):
            if account is not None:
                chapter.add(account)
            yield notice
    chapter.end()


def _shared(work: _Work, portions: Iterable[Portion], jobs: int) -> Iterator[Told]:
    """What processes say of each portion, in order."""
    from analyzer.workers import Died, Failed, Workers

    waiting: dict[int, Told] = {}
    due = 0
    tasks = enumerate(portion.detached() for portion in portions)
    with Workers(work, jobs) as workers:
        for (number, _), outcome in workers.results(tasks):
            if isinstance(outcome, Died | Failed):
                how = outcome.how if isinstance(outcome, Died) else outcome.error
                raise Error(f"a worker process could not do its work ({how}); --jobs 1 does without")
            waiting[number] = outcome
            while due in waiting:
                yield waiting.pop(due)
                due += 1
