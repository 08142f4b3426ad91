"""A capture -> what a verdict needs of it: its connections in a store, and what it is as a whole."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

from analyzer.capture.headers import Decoder
from analyzer.capture.memory import release
from analyzer.capture.reader import CaptureReader, CaptureSummary
from analyzer.capture.source import Limits, Source, open_source
from analyzer.errors import CaptureError
from analyzer.negotiation.story import Story
from analyzer.report.notes import Contents, link_name
from analyzer.tcp.flows import FlowTable
from analyzer.tcp.select import LimitReached, SegmentStore, StoreLimits
from analyzer.telling import Telling

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from analyzer.capture.join import JoinedReader
    from analyzer.capture.table import PacketTable
    from analyzer.rewrite.pseudonym import Pseudonyms

SMB_PORTS = frozenset({139, 445})
COPIED_CONNECTIONS = 10_000          # of a capture that shrank as if they were copies of each other
COPIED_STREAMS = 1_000_000           # the same, of any port
MAX_CONNECTIONS = 2_000_000          # of one capture: a scan of two million hosts is analysed whole


class Joined(NamedTuple):
    """Captures that are one, cut in files: paths in the order given, which decides between equal times."""

    files: tuple[str, ...]


Capture = str | os.PathLike[str] | BinaryIO | Joined


class Settings(NamedTuple):
    """What reading captures depends on.

    ports: SMB's, None for any; key: of the pseudonyms to report under; jobs: processes that may share one
    large capture, on which no result depends.
    """

    ports: frozenset[int] | None = SMB_PORTS
    max_connections: int = MAX_CONNECTIONS
    limits: Limits = Limits()
    key: bytes | None = None
    jobs: int = 1


class Reading(NamedTuple):
    """One capture after it was read: what a verdict needs of it, and nothing of its bulk."""

    name: str
    contents: Contents
    store: SegmentStore
    settings: Settings
    joined: JoinedReader | None = None

    @property
    def telling(self) -> Telling:
        """How its connections are told."""
        summary = self.contents.summary
        ports = tuple(SMB_PORTS if self.settings.ports is None else self.settings.ports)
        return Telling(ports, summary.last_ns or 0, summary.names, self.settings.key)

    def stories(self, which: NDArray[np.bool_] | None = None) -> Iterator[Story]:
        """The story of each connection, in order of tcp.stream. May be asked for more than once.

        which: only these; one entry for each connection of the store.
        """
        return self.telling.stories(self.store.connections(which))


# Is told while a capture is read: its name, the bytes of the file read so far, and those there are (0: unknown).
Watch = Callable[[str, int, int], None]


def read(name: str, capture: Capture, settings: Settings, watch: Watch | None = None) -> Reading:
    """Read one capture to its end. Raises CaptureError where not a single packet can be read."""
    decoder = Decoder()
    store = SegmentStore(settings.ports, StoreLimits(connections=settings.max_connections))
    joined: JoinedReader | None = None
    if settings.jobs > 1 and isinstance(capture, str | os.PathLike):
        divided = _divided(name, os.fspath(capture), settings, watch)
        if divided is not None:
            release()
            return divided
    if isinstance(capture, Joined):
        from analyzer.capture.join import JoinedReader

        joined = JoinedReader(capture.files, settings.limits)
        numbering = _take(joined.tables(), decoder, store)
        summary = joined.summary
    else:
        with open_source(capture, settings.limits) as source:
            reader = CaptureReader(source)
            tables = reader.tables() if watch is None else _watched(reader.tables(), name, source, watch)
            numbering = _take(tables, decoder, store, source)
        summary = reader.summary
    assert summary is not None
    return _reading(name, summary, decoder, store, numbering, settings, joined)


def _reading(  # noqa: PLR0917 - what reading a capture leaves, however it was read
    name: str,
    summary: CaptureSummary,
    decoder: Decoder,
    store: SegmentStore,
    numbering: tuple[LimitReached, ...],
    settings: Settings,
    joined: JoinedReader | None = None,
) -> Reading:
    if summary.packets and decoder.unknown_link_packets == summary.packets:
        raise CaptureError(f"no known link type: {', '.join(map(link_name, sorted(decoder.unknown_link_types)))}")
    contents = Contents(
        summary, decoder.census, (*store.limits, *numbering), decoder.unknown_link_packets,
        tuple(sorted(decoder.unknown_link_types)), decoder.fragments_dropped,
        () if joined is None else joined.parts, decoder.fragments_passed,
    )
    return Reading(name, contents, store, settings, joined)


def _divided(name: str, path: str, settings: Settings, watch: Watch | None) -> Reading | None:
    """One large file, read by several processes; None where that is not possible or not worth it."""
    from analyzer.capture.ranges import divisible

    large = divisible(path, settings.jobs)
    if large is None or settings.ports is None:
        return None
    from analyzer.divided import read_divided

    store = SegmentStore(settings.ports, StoreLimits(connections=settings.max_connections))
    told = None if watch is None else partial(watch, name)
    found = read_divided(large, settings.ports, store, settings.jobs, told)
    return None if found is None else _reading(name, found.summary, found.decoder, store, (), settings)


def _take(
    tables: Iterable[PacketTable], decoder: Decoder, store: SegmentStore, source: Source | None = None
) -> tuple[LimitReached, ...]:
    """Every packet of a capture, into what is kept of it; returns the limits of numbering that were reached.

    source: ended where a bomb of connections comes out of it.
    """
    flows = FlowTable()
    for table in tables:
        tight = source is not None and source.tight
        store.expect_copies(COPIED_CONNECTIONS if tight else None)
        segments = decoder.decode(table)
        rows = store.concerned(segments)
        store.add(segments, rows, flows.assign(segments, rows))
        if source is not None and tight and (
            store.ends.count >= COPIED_CONNECTIONS or flows.streams > COPIED_STREAMS
        ):
            source.stop(f"{flows.streams:,} TCP connections that can only be copies of each other")
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
