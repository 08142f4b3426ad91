"""Captures -> records: one call per stage, no decisions.

Every capture is read before the first verdict is spoken, because what other connections of the run
show can decide one. Only what belongs to SMB connections is kept in between.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from heapq import merge
from typing import TYPE_CHECKING, BinaryIO, NamedTuple, cast

import numpy as np

from analyzer.accounts import Account, Chapter, Kept, Ledger, judged
from analyzer.alike import Alike, Diagnosed, classes_of, diagnosed_alike, hear
from analyzer.diagnosis.engine import RuleSet, diagnose
from analyzer.diagnosis.loader import load_rules
from analyzer.errors import CaptureError, UsageError
from analyzer.negotiation.facts_capture import capture_facts
from analyzer.negotiation.others import Here, Others
from analyzer.negotiation.pairing import is_negotiate
from analyzer.negotiation.story import Story
from analyzer.negotiation.vocabulary import Facts
from analyzer.reading import SMB_PORTS, Capture, Joined, Reading, Settings, Watch, pseudonyms, read
from analyzer.report.notes import Contents, NoteTaker, traffic_of
from analyzer.report.record import (
    NO_TRAFFIC,
    CaptureRecord,
    ConnectionRecord,
    Note,
)
from analyzer.smb.fields import fields
from analyzer.telling import MANY, Wanted, told

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from analyzer.capture.join import JoinedReader
    from analyzer.capture.table import Cut
    from analyzer.report.fieldlist import Row
    from analyzer.report.result import Report
    from analyzer.rewrite.pseudonym import Pseudonyms

class Unread(NamedTuple):
    """A capture of which not a single packet can be read."""

    name: str
    error: str


class Analyzed(NamedTuple):
    """One capture. connections: in order of tcp.stream, each made when it is asked for."""

    record: CaptureRecord
    cut: Cut | None
    connections: Iterable[Diagnosed]


def run(
    captures: Sequence[tuple[str, Capture]], rules: RuleSet, settings: Settings, wanted: Wanted
) -> Iterator[Analyzed]:
    """Every capture, in the order given; its connections are exhausted before the next is asked for.

    captures: (name as reported, what to open).
    """
    return Run(captures, settings, wanted).results(rules)


class Run:
    """Captures that were read, before the first verdict: what other runs know of them may still come in.

    others: what ties them together. several: there are further runs, which share what they know with this one.
    """

    def __init__(
        self,
        captures: Sequence[tuple[str, Capture]],
        settings: Settings,
        wanted: Wanted,
        watch: Watch | None = None,
        *,
        several: bool = False,
    ) -> None:
        self.others = Others(several=several or len(captures) > 1)
        names = pseudonyms(settings)
        if names is not None:
            wanted = wanted._replace(hosts=frozenset(map(names.address, wanted.hosts)))
        teller = _Teller(settings, wanted, self.others, watch)
        self._told = [teller.one(number, *capture) for number, capture in enumerate(captures)]

    def results(self, rules: RuleSet) -> Iterator[Analyzed]:
        """Every capture, in the order given; its connections are exhausted before the next is asked for."""
        for one in self._told:
            if isinstance(one, Unread):
                yield Analyzed(_unread_record(one), None, ())
                continue
            here = one.here.get()
            yield Analyzed(
                _capture_record(one, here, rules),
                one.contents.summary.cut,
                _connections(one, self.others, here, rules),
            )


class _Told(NamedTuple):
    """A capture whose stories were told.

    accounts: of the connections to report; alike: those that are told by their class; here: what all say about
    each other; stories: tells those to report again, in the same order, None where nobody looks at them.
    """

    name: str
    contents: Contents
    pseudonyms: Pseudonyms | None
    joined: JoinedReader | None
    notes: NoteTaker
    accounts: Chapter
    alike: Kept[Alike | None]
    here: Kept[Here]
    stories: Callable[[], Iterator[Story]] | None


class _Teller:
    """Reads captures and tells their stories, so that only accounts remain."""

    def __init__(self, settings: Settings, wanted: Wanted, others: Others, watch: Watch | None) -> None:
        self._settings = settings
        self._wanted = wanted
        self._others = others
        self._ledger = Ledger()
        self._watch = watch

    def one(self, number: int, name: str, capture: Capture) -> _Told | Unread:
        """One capture. number: its place in the run."""
        try:
            reading = read(name, capture, self._settings, self._watch)
        except CaptureError as error:
            return Unread(name, str(error))
        wanted = self._wanted
        notes, here = NoteTaker(), Here(number)
        alike, which = self._alike(reading, here, notes)
        kept = self._ledger.keep(alike)
        chapter = self._ledger.chapter()
        count = reading.store.ends.count if which is None else int(np.count_nonzero(which))
        jobs = self._settings.jobs if count >= MANY else 1
        for notice in told(reading.telling, reading.store.portions(which), wanted, chapter, jobs):
            self._others.add(notice.sketch, here)
            notes.add(notice)
        stories = None if wanted.records_only else partial(_wanted_stories, reading, wanted)
        return _Told(
            name, reading.contents, pseudonyms(self._settings), reading.joined, notes, chapter, kept,
            self._ledger.keep(here), stories,
        )  # fmt: skip

    def _alike(
        self, reading: Reading, here: Here, notes: NoteTaker
    ) -> tuple[Alike | None, NDArray[np.bool_] | None]:
        """The connections that are told by their class, and which are not."""
        plain = self._settings.key is None and reading.joined is None and not reading.contents.summary.names
        count = reading.store.ends.count
        if not (self._wanted.all_alike and plain and count > MANY):
            return None, None
        bare = reading.store.bare()
        classes = None if bare is None else classes_of(bare)
        if bare is None or classes is None:
            return None, None
        hear(bare, here)
        notes.stories = len(bare.conn)
        first = np.zeros(count, np.bool_)
        first[bare.conn[classes.first]] = True
        accounts = {
            notice.sketch.stream: account
            for notice, account in reading.telling.accounts(reading.store.connections(first), self._wanted)
            if account is not None
        }
        rest = np.ones(count, np.bool_)
        rest[bare.conn] = False
        return Alike(classes, [accounts[stream] for stream in bare.stream[classes.first].tolist()]), rest


def _wanted_stories(reading: Reading, wanted: Wanted) -> Iterator[Story]:
    return (story for story in reading.stories() if wanted.takes(story.connection))


def _connections(
    one: _Told, others: Others, here: Here, rules: RuleSet
) -> Iterator[Diagnosed]:
    """The connections of a capture, judged, in order of tcp.stream."""

    def judge(account: Account, found: Facts) -> Diagnosed:
        verdict = diagnose(found, account.evidence, rules, account.record.stream)
        record = judged(account.record, verdict, rules)
        if one.joined is not None:
            place = one.joined.place
            record = record._replace(findings=tuple(
                finding._replace(places=tuple(map(place, finding.frames))) for finding in record.findings
            ))
        return Diagnosed(record, None, verdict)

    singly = (
        judge(account, account.facts | dict(others.facts(account.sketch, here))) for account in one.accounts
    )
    if one.stories is not None:
        return (
            diagnosed._replace(story=story)
            for diagnosed, story in zip(singly, one.stories(), strict=True)
        )
    alike = one.alike.get()
    if alike is None:
        return singly
    by_class = diagnosed_alike(alike, judge, others, here)
    return merge(singly, by_class, key=lambda diagnosed: diagnosed.record.stream)


def _unread_record(unread: Unread) -> CaptureRecord:
    return CaptureRecord(unread.name, None, 0, None, None, unread.error, (), NO_TRAFFIC)


def _capture_record(told: _Told, here: Here, rules: RuleSet) -> CaptureRecord:
    summary = told.contents.summary
    census = told.contents.census
    names = told.pseudonyms
    if names is not None:
        census = census._replace(quic_hosts={
            (names.address(client), names.address(server)): frame
            for (client, server), frame in census.quic_hosts.items()
        })
    beside = diagnose(*capture_facts(census, here.pairs(), empty=not told.notes.stories), rules)
    return CaptureRecord(
        capture=told.name,
        format=summary.format,
        packets=summary.packets,
        first_ns=summary.first_ns,
        last_ns=summary.last_ns,
        error=None,
        notes=(
            *told.notes.notes(told.contents, here),
            *(Note(finding.rule, finding.summary) for finding in beside.findings),
        ),
        traffic=traffic_of(told.contents),
        parts=() if told.joined is None else told.joined.parts,
    )


def negotiates(reading: Reading) -> Iterator[Row]:
    """Every NEGOTIATE message of a capture under Wireshark's names, in the order of the capture."""
    found = [
        (placed.frame, placed.message.at, placed.message.offset, story.connection.stream, fields(placed.message))
        for story in reading.stories()
        for placed in story.placed
        if is_negotiate(placed.message)
    ]
    for frame, _, _, stream, row in sorted(found, key=lambda item: item[:4]):
        yield {"frame.number": frame, "tcp.stream": stream, **row}


def analyze(
    *captures: Capture | Iterable[Capture],
    rules: Iterable[str | os.PathLike[str]] = (),
    select: Iterable[str] = (),
    ignore: Iterable[str] = (),
    ports: Iterable[int] | None = (),
    hosts: Iterable[str] = (),
    streams: Iterable[int] = (),
    details: bool = True,
    join: bool = False,
) -> Report:
    """Diagnose captures: paths of files or folders, "-" for standard input, open binary files.

    rules: folders with further rule files. select, ignore: slugs. ports: SMB ports beside 139 and 445,
    None to recognise SMB by its bytes on any port. hosts, streams: report only these connections.
    details: keep what HTML and JSON reports show of each connection's steps; without, it is faster and smaller.
    join: the captures, which are paths, are one that was cut in files.
    What a capture contains never raises: an unreadable one is a row of `captures` with its error.
    Raises a subclass of analyzer.Error for wrong use: no capture, no such folder, a rule that does not load.
    """
    from ipaddress import ip_address

    from analyzer.capture.finder import find
    from analyzer.report.result import Report

    given: list[tuple[str, Capture]] = []
    for capture in _flat(captures):
        if isinstance(capture, str | os.PathLike):
            given += find([os.fspath(capture)]).captures
        else:
            given.append((str(getattr(capture, "name", "-")), capture))
    if not given:
        raise UsageError("no capture given, or none in the folders given")
    if join:
        given = [joined_of(given)]
    try:
        wanted = Wanted(frozenset(ip_address(host).packed for host in hosts), frozenset(streams), details, messages=True)
    except ValueError as error:
        raise UsageError(str(error)) from error
    in_force = load_rules(rules).reporting(select, ignore)
    settings = Settings(ports=None if ports is None else SMB_PORTS | frozenset(ports))
    found: list[tuple[CaptureRecord, list[ConnectionRecord]]] = []
    rows: list[Row] = []
    for analyzed in run(given, in_force, settings, wanted):
        records: list[ConnectionRecord] = []
        for diagnosed in analyzed.connections:
            records.append(diagnosed.record)
            rows += ({"capture": analyzed.record.capture, **row} for row in diagnosed.record.messages)
        found.append((analyzed.record, records))
    return Report(found, rows)


def joined_of(captures: Sequence[tuple[str, Capture]]) -> tuple[str, Joined]:
    """Captures as the one that they are, under the name of the first.

    Raises UsageError for one that is not a path.
    """
    files = []
    for name, capture in captures:
        if not isinstance(capture, str | os.PathLike):
            raise UsageError(f"{name}: only files can be joined")
        files.append(os.fspath(capture))
    first = captures[0][0]
    return (first if len(files) == 1 else f"{first} and {len(files) - 1} more"), Joined(tuple(files))


def _flat(captures: Iterable[Capture | Iterable[Capture]]) -> Iterator[Capture]:
    for capture in captures:
        if isinstance(capture, str | os.PathLike | Joined):
            yield capture
        elif hasattr(capture, "read"):
            yield cast("BinaryIO", capture)
        else:
            yield from capture
