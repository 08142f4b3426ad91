"""Captures -> records: one call per stage, no decisions.

Every capture is read before the first verdict is spoken, because what other connections of the run
show can decide one. Only what belongs to SMB connections is kept in between.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from heapq import merge
from typing import TYPE_CHECKING, BinaryIO, NamedTuple, cast

import numpy as np

from analyzer.alike import Diagnosed, diagnosed_by_kind, hear, kinds_of
from analyzer.capture.headers import Decoder
from analyzer.capture.reader import CaptureReader
from analyzer.capture.source import Limits, Source, open_source
from analyzer.diagnosis.engine import RuleSet, Verdict, diagnose
from analyzer.diagnosis.loader import load_rules
from analyzer.errors import CaptureError, UsageError
from analyzer.negotiation.evidence import evidence
from analyzer.negotiation.facts import facts
from analyzer.negotiation.facts_capture import capture_facts
from analyzer.negotiation.others import Others
from analyzer.negotiation.pairing import is_negotiate
from analyzer.negotiation.story import Story, tell
from analyzer.negotiation.vocabulary import Facts
from analyzer.report.notes import Contents, NoteTaker, link_name, traffic_of
from analyzer.report.record import (
    NO_TRAFFIC,
    CaptureRecord,
    ConnectionRecord,
    FindingRecord,
    Frames,
    Note,
)
from analyzer.smb.fields import fields
from analyzer.tcp.connection import Connection
from analyzer.tcp.flows import FlowTable
from analyzer.tcp.select import LimitReached, SegmentStore, StoreLimits

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from analyzer.capture.join import JoinedReader
    from analyzer.capture.table import Cut, PacketTable
    from analyzer.report.fieldlist import Row
    from analyzer.report.result import Report
    from analyzer.rewrite.pseudonym import Pseudonyms
    from analyzer.tcp.bare import Bare

SMB_PORTS = frozenset({139, 445})
MAX_CONNECTIONS = 2_000_000          # of one capture: a scan of two million hosts is analysed whole
KEPT_STORIES = 2048                  # of one capture: beyond these a story is told twice, not kept
KEPT_BYTES = 32 << 20                # of one capture, in stories kept; hostile ones have 15 MB each


class Joined(NamedTuple):
    """Captures that are one, cut in files: paths in the order given, which decides between equal times."""

    files: tuple[str, ...]


Capture = str | os.PathLike[str] | BinaryIO | Joined


class Settings(NamedTuple):
    """What reading captures depends on. ports: SMB's, None for any; key: of the pseudonyms to report under."""

    ports: frozenset[int] | None = SMB_PORTS
    max_connections: int = MAX_CONNECTIONS
    limits: Limits = Limits()
    key: bytes | None = None


class Wanted(NamedTuple):
    """Which connections are reported: those with one of the hosts and one of the streams; empty is all.

    detailed: with their steps and their offer and answer; messages: with their NEGOTIATE messages.
    records_only: nobody looks at the stories, so that of many alike one is enough.
    """

    hosts: frozenset[bytes] = frozenset()
    streams: frozenset[int] = frozenset()
    detailed: bool = False
    messages: bool = False
    records_only: bool = False

    @property
    def all_alike(self) -> bool:
        """Whether connections may be told by their kind. Those that are alike have no messages."""
        return self.records_only and not (self.hosts or self.streams or self.detailed)

    def takes(self, connection: Connection) -> bool:
        """Whether a connection is reported."""
        return (not self.streams or connection.stream in self.streams) and (
            not self.hosts or any(end.address in self.hosts for end in connection.ends)
        )


class Reading(NamedTuple):
    """One capture after it was read: what a verdict needs of it, and nothing of its bulk."""

    name: str
    contents: Contents
    store: SegmentStore
    ports: frozenset[int] | None
    pseudonyms: Pseudonyms | None = None
    joined: JoinedReader | None = None

    def stories(self, which: NDArray[np.bool_] | None = None) -> Iterator[Story]:
        """The story of each connection, in order of tcp.stream. May be asked for more than once.

        which: only these; one entry for each connection of the store.
        """
        summary = self.contents.summary
        ports = tuple(SMB_PORTS if self.ports is None else self.ports)
        names, connections = summary.names, self.store.connections(which)
        if self.pseudonyms is not None:
            from analyzer.rewrite.connections import anonymized

            names = self.pseudonyms.hosts(names)
            connections = (anonymized(connection, self.pseudonyms) for connection in connections)
        for connection in connections:
            yield tell(connection, capture_end_ns=summary.last_ns or 0, ports=ports, names=names)


class Unread(NamedTuple):
    """A capture of which not a single packet can be read."""

    name: str
    error: str


class Analyzed(NamedTuple):
    """One capture. connections: in order of tcp.stream, each made when it is asked for."""

    record: CaptureRecord
    cut: Cut | None
    connections: Iterable[Diagnosed]


# Is told while a capture is read: its name, the bytes of the file read so far, and those there are (0: unknown).
Watch = Callable[[str, int, int], None]


def read(name: str, capture: Capture, settings: Settings, watch: Watch | None = None) -> Reading:
    """Read one capture to its end. Raises CaptureError where not a single packet can be read."""
    decoder = Decoder()
    store = SegmentStore(settings.ports, StoreLimits(connections=settings.max_connections))
    joined: JoinedReader | None = None
    if isinstance(capture, Joined):
        from analyzer.capture.join import JoinedReader

        joined = JoinedReader(capture.files, settings.limits)
        numbering = _take(joined.tables(), decoder, store)
        summary = joined.summary
    else:
        with open_source(capture, settings.limits) as source:
            reader = CaptureReader(source)
            tables = reader.tables() if watch is None else _watched(reader.tables(), name, source, watch)
            numbering = _take(tables, decoder, store)
        summary = reader.summary
    assert summary is not None
    if summary.packets and decoder.unknown_link_packets == summary.packets:
        raise CaptureError(f"no known link type: {', '.join(map(link_name, sorted(decoder.unknown_link_types)))}")
    contents = Contents(
        summary, decoder.census, (*store.limits, *numbering), decoder.unknown_link_packets,
        tuple(sorted(decoder.unknown_link_types)), decoder.fragments_dropped,
        () if joined is None else joined.parts,
    )
    return Reading(name, contents, store, settings.ports, pseudonyms(settings), joined)


def _take(
    tables: Iterable[PacketTable], decoder: Decoder, store: SegmentStore
) -> tuple[LimitReached, ...]:
    """Every packet of a capture, into what is kept of it; returns the limits of numbering that were reached."""
    flows = FlowTable()
    for table in tables:
        segments = decoder.decode(table)
        store.add(segments, flows.assign(segments))
    return tuple(flows.limits)


def _watched(
    tables: Iterable[PacketTable], name: str, source: Source, watch: Watch
) -> Iterator[PacketTable]:
    for table in tables:
        yield table
        watch(name, source.read, source.size)


def pseudonyms(settings: Settings) -> Pseudonyms | None:
    """What reports are written under, None for the true names."""
    if settings.key is None:
        return None
    from analyzer.rewrite.pseudonym import pseudonyms_of

    return pseudonyms_of(settings.key)


def run(
    captures: Sequence[tuple[str, Capture]], rules: RuleSet, settings: Settings, wanted: Wanted
) -> Iterator[Analyzed]:
    """Every capture, in the order given; its connections are exhausted before the next is asked for.

    captures: (name as reported, what to open).
    """
    return Run(captures, settings, wanted).results(rules)


class Run:
    """Captures that were read, before the first verdict: what other runs know of them may still come in.

    others: what their connections say about each other.
    """

    def __init__(
        self,
        captures: Iterable[tuple[str, Capture]],
        settings: Settings,
        wanted: Wanted,
        watch: Watch | None = None,
    ) -> None:
        self.others = Others()
        names = pseudonyms(settings)
        if names is not None:
            wanted = wanted._replace(hosts=frozenset(map(names.address, wanted.hosts)))
        self._wanted = wanted
        self._told = [
            _told(number, capture, settings, self.others, wanted, watch=watch)
            for number, capture in enumerate(captures)
        ]

    def results(self, rules: RuleSet) -> Iterator[Analyzed]:
        """Every capture, in the order given; its connections are exhausted before the next is asked for."""
        for number, one in enumerate(self._told):
            if isinstance(one, Unread):
                yield Analyzed(_unread_record(one), None, ())
                continue
            yield Analyzed(
                _capture_record(one, self.others, number, rules),
                one.reading.contents.summary.cut,
                _connections(one, self.others, number, rules, self._wanted),
            )


class _Told(NamedTuple):
    """A capture whose stories were told once.

    kept: the stories, where they are few enough; bare: connections of which none was told.
    """

    reading: Reading
    notes: NoteTaker
    kept: tuple[Story, ...] | None
    bare: Bare | None


def _told(
    number: int,
    named: tuple[str, Capture],
    settings: Settings,
    others: Others,
    wanted: Wanted,
    *,
    watch: Watch | None = None,
) -> _Told | Unread:
    name, capture = named
    try:
        reading = read(name, capture, settings, watch)
    except CaptureError as error:
        return Unread(name, str(error))
    notes = NoteTaker()
    kept: list[Story] = []
    room = KEPT_BYTES
    bare = which = None
    plain = reading.pseudonyms is None and reading.joined is None and not reading.contents.summary.names
    if wanted.all_alike and plain and reading.store.ends.count > KEPT_STORIES:
        bare = reading.store.bare()
    if bare is not None:
        hear(bare, others, number)
        notes.stories = len(bare.conn)
        which = np.ones(reading.store.ends.count, np.bool_)
        which[bare.conn] = False
    for story in reading.stories(which):
        others.add(story, number)
        notes.add(story)
        if room >= 0:
            room = room - story.weight if notes.stories <= KEPT_STORIES else -1
            kept.append(story)
            if room < 0:
                kept.clear()
    whole = bare is None and room >= 0
    return _Told(reading, notes, tuple(kept) if whole else None, bare)


def _connections(
    one: _Told, others: Others, number: int, rules: RuleSet, wanted: Wanted
) -> Iterator[Diagnosed]:
    """The connections of a capture, judged, in order of tcp.stream."""
    def judge(story: Story, found: Facts) -> Diagnosed:
        return _diagnosed(story, found, rules, wanted, one.reading.joined)

    def stories(which: NDArray[np.int64]) -> Iterator[Story]:
        chosen = np.zeros(one.reading.store.ends.count, np.bool_)
        chosen[which] = True
        return one.reading.stories(chosen)

    kinds = which = None
    if one.bare is not None:
        kinds = kinds_of(one.bare, rules, others, number)
        if kinds is not None:
            which = np.ones(one.reading.store.ends.count, np.bool_)
            which[one.bare.conn[kinds.number >= 0]] = False
    told = one.reading.stories(which) if one.kept is None else one.kept
    singly = (judge(story, facts(story, others, number)) for story in told if wanted.takes(story.connection))
    if kinds is None:
        return singly
    return merge(singly, diagnosed_by_kind(kinds, stories, judge, others, number), key=lambda one: one.record.stream)


def _diagnosed(
    story: Story, found: Facts, rules: RuleSet, wanted: Wanted, joined: JoinedReader | None
) -> Diagnosed:
    verdict = diagnose(found, evidence(story), rules, story.connection.stream)
    record = _connection_record(story, verdict, rules)
    if wanted.detailed:
        from analyzer.report.detail import detail_of

        record = record._replace(detail=detail_of(story, verdict.causes))
    if wanted.messages:
        record = record._replace(messages=tuple(_rows(story)))
    if joined is not None:
        record = record._replace(findings=tuple(
            finding._replace(places=tuple(map(joined.place, finding.frames))) for finding in record.findings
        ))
    return Diagnosed(record, story, verdict)


def _rows(story: Story) -> Iterator[Row]:
    """The NEGOTIATE messages of a connection under Wireshark's names, in the order of its streams."""
    for placed in story.placed:
        if is_negotiate(placed.message):
            yield {"frame.number": placed.frame, "tcp.stream": story.connection.stream, **fields(placed.message)}


def _unread_record(unread: Unread) -> CaptureRecord:
    return CaptureRecord(unread.name, None, 0, None, None, unread.error, (), NO_TRAFFIC)


def _capture_record(told: _Told, others: Others, number: int, rules: RuleSet) -> CaptureRecord:
    summary = told.reading.contents.summary
    census = told.reading.contents.census
    names = told.reading.pseudonyms
    if names is not None:
        census = census._replace(quic_hosts={
            (names.address(client), names.address(server)): frame
            for (client, server), frame in census.quic_hosts.items()
        })
    beside = diagnose(*capture_facts(census, others.pairs(number), empty=not told.notes.stories), rules)
    joined = told.reading.joined
    return CaptureRecord(
        capture=told.reading.name,
        format=summary.format,
        packets=summary.packets,
        first_ns=summary.first_ns,
        last_ns=summary.last_ns,
        error=None,
        notes=(
            *told.notes.notes(told.reading.contents, others, number),
            *(Note(finding.rule, finding.summary) for finding in beside.findings),
        ),
        traffic=traffic_of(told.reading.contents),
        parts=() if joined is None else joined.parts,
    )


def _connection_record(story: Story, verdict: Verdict, rules: RuleSet) -> ConnectionRecord:
    connection = story.connection
    request, response, took = story.request, story.response, story.response_time_ns
    return ConnectionRecord(
        stream=connection.stream,
        client=str(story.client),
        client_host=story.client.host,
        server=str(story.server),
        server_host=story.server.host,
        transport=story.transport,
        outcome=verdict.outcome,
        reached=story.reached,
        causes=verdict.causes,
        confidence=verdict.confidence,
        candidates=verdict.candidates,
        warnings=verdict.warnings,
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
