"""Stories -> accounts: what a verdict and a report need of each, small, and kept on disk where they are many.

A story holds a connection's bytes and messages, and nobody can keep a hundred thousand of them; telling
each twice would cost twice. An account says the same without them, and waits until every capture is read.
"""

from __future__ import annotations

import pickle
from collections.abc import Iterator, Mapping, Sequence
from io import BytesIO
from typing import IO, TYPE_CHECKING, Generic, NamedTuple, TypeVar
from weakref import finalize

from analyzer.errors import Error
from analyzer.negotiation.evidence import evidence
from analyzer.negotiation.facts import facts
from analyzer.negotiation.notice import Notice, notice_of
from analyzer.negotiation.pairing import is_negotiate
from analyzer.negotiation.sketch import Sketch
from analyzer.negotiation.story import Story
from analyzer.negotiation.vocabulary import Value
from analyzer.report.record import ConnectionRecord, FindingRecord, Frames
from analyzer.smb.fields import fields

if TYPE_CHECKING:
    from analyzer.diagnosis.engine import RuleSet, Verdict
    from analyzer.report.fieldlist import Row

Kind = TypeVar("Kind")

BLOCK = 64               # accounts that are put away together: what they share is written once
AS_THEY_ARE = 1024       # accounts of a run that are not put away at all: most captures have no more
IN_MEMORY = 32 << 20     # bytes of those that are; more go to a temporary file


class Account(NamedTuple):
    """One connection without its bytes. facts: without those that others show; record: without the verdict."""

    sketch: Sketch
    facts: dict[str, Value]
    evidence: Mapping[str, tuple[int, ...]]
    record: ConnectionRecord


class Shown(NamedTuple):
    """What of a connection is reported beside its verdict: its steps with offer and answer, its NEGOTIATEs."""

    detailed: bool = False
    messages: bool = False


def account_of(story: Story, notice: Notice, shown: Shown) -> Account:
    """The account of a story."""
    return Account(notice.sketch, facts(story), evidence(story), _record(story, shown))


def _record(story: Story, shown: Shown) -> ConnectionRecord:
    connection = story.connection
    request, response, took = story.request, story.response, story.response_time_ns
    detail = None
    if shown.detailed:
        from analyzer.report.detail import detail_of

        detail = detail_of(story)
    client, server = story.client, story.server
    return ConnectionRecord(
        stream=connection.stream,
        client=str(client),
        client_host=client.host,
        server=str(server),
        server_host=server.host,
        transport=story.transport,
        outcome="",
        reached=story.reached,
        causes=(),
        confidence=None,
        candidates=(),
        warnings=(),
        dialect=story.dialect,
        client_name=story.client_name,
        server_name=story.server_name,
        offered=story.offered,
        frames=Frames(
            connection.first_frame,
            connection.last_frame,
            None if request is None else request.frame,
            None if response is None else response.frame,
        ),
        response_time=None if took is None else took / 1e9,
        first_ns=connection.first_ns,
        last_ns=connection.last_ns,
        findings=(),
        detail=detail,
        messages=tuple(_rows(story)) if shown.messages else (),
    )


def _rows(story: Story) -> Iterator[Row]:
    """The NEGOTIATE messages of a connection under Wireshark's names, in the order of its streams."""
    for placed in story.placed:
        if is_negotiate(placed.message):
            yield {"frame.number": placed.frame, "tcp.stream": story.connection.stream, **fields(placed.message)}


def judged(record: ConnectionRecord, verdict: Verdict, rules: RuleSet) -> ConnectionRecord:
    """The record of an account with the verdict on it."""
    detail = record.detail
    if detail is not None:
        from analyzer.report.detail import blamed

        detail = blamed(detail, verdict.causes)
    return record._replace(
        outcome=verdict.outcome,
        causes=verdict.causes,
        confidence=verdict.confidence,
        candidates=verdict.candidates,
        warnings=verdict.warnings,
        findings=tuple(
            FindingRecord(
                rule=finding.rule,
                code=finding.code,
                severity=finding.severity,
                title=rules.by_slug[finding.rule].title,
                summary=finding.summary,
                fix=finding.fix,
                frames=finding.frames,
                display_filter=finding.display_filter,
                reference=finding.reference or None,
                why=rules.by_slug[finding.rule].why,
                sees=rules.by_slug[finding.rule].sees,
                blind_to=rules.by_slug[finding.rule].blind_to,
            )
            for finding in verdict.findings
        ),
        detail=detail,
    )


def told(stories: Iterator[Story], shown: Shown) -> Iterator[tuple[Notice, Account]]:
    """Each story as what remains of it."""
    for story in stories:
        notice = notice_of(story)
        yield notice, account_of(story, notice, shown)


def packed(accounts: Sequence[Account]) -> bytes:
    """Accounts as they are put away."""
    return pickle.dumps(accounts, pickle.HIGHEST_PROTOCOL)


class Ledger:
    """All accounts of a run, in the order in which they came. They go with the last chapter."""

    def __init__(self) -> None:
        self.file: IO[bytes] = BytesIO()
        self.room = AS_THEY_ARE          # for accounts beside the file
        self._refused = False            # there is no room for a file

    def put(self, value: object) -> None:
        """Write at the end: bytes as they are, anything else pickled. Raises Error where a disk is full."""
        try:
            if isinstance(value, bytes):
                self.file.write(value)
            else:
                pickle.dump(value, self.file, pickle.HIGHEST_PROTOCOL)
            if isinstance(self.file, BytesIO) and self.file.tell() > IN_MEMORY and not self._refused:
                self._move(self.file)
        except OSError as error:
            raise Error(f"a temporary file cannot be written: {error.strerror or error}") from error

    def _move(self, in_memory: BytesIO) -> None:
        """To disk; where there is none for it, all stays in memory."""
        from tempfile import TemporaryFile

        try:
            file = TemporaryFile()  # noqa: SIM115 - closed by finalize
        except OSError:
            self._refused = True
            return
        finalize(self, file.close)
        file.write(in_memory.getbuffer())
        self.file = file

    def chapter(self) -> Chapter:
        """Where the accounts of one capture go; each must be ended before the next begins."""
        return Chapter(self)

    def keep(self, value: Kind) -> Kept[Kind]:
        """Put away something else, between two chapters."""
        at = self.file.tell()
        self.put(value)
        return Kept(self, at)


class Kept(NamedTuple, Generic[Kind]):
    """Where something stands in a ledger."""

    ledger: Ledger
    at: int

    def get(self) -> Kind:
        """A copy of it."""
        self.ledger.file.seek(self.at)
        value: Kind = pickle.load(self.ledger.file)  # noqa: S301 - written by this very run
        return value


class Chapter:
    """The accounts of one capture. Add them all, call end(), then iterate, as often as needed."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._begin = ledger.file.tell()
        self._first: list[Account] = []      # come before all that are put away
        self._sizes: list[int] = []
        self._open: list[Account] = []

    def add(self, account: Account) -> None:
        """The next account."""
        if self._ledger.room and not self._sizes:
            self._ledger.room -= 1
            self._first.append(account)
            return
        self._open.append(account)
        if len(self._open) >= BLOCK:
            self.end()

    def extend(self, block: bytes) -> None:
        """The next accounts, packed."""
        self.end()
        self._write(block)

    def end(self) -> None:
        """Put away what was added."""
        if self._open:
            self._write(packed(self._open))
            self._open = []

    def _write(self, block: bytes) -> None:
        self._ledger.put(block)
        self._sizes.append(len(block))

    def __iter__(self) -> Iterator[Account]:
        yield from self._first
        file, at = self._ledger.file, self._begin
        for size in self._sizes:
            file.seek(at)
            at += size
            yield from pickle.loads(file.read(size))  # noqa: S301 - written by this very run
