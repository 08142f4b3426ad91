"""One large uncompressed pcap file, several processes: each reads ranges of it, and the result is that of one pass.

A range yields an excerpt: the rows on which numbering and keeping depend. They are numbered and kept here, in
order. A range counts only if the records before it lead exactly to where its walk began, and if no datagram's
fragments lie on both sides; otherwise it is read again, or the whole file in one pass.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from io import FileIO
from itertools import islice
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from analyzer.capture.headers import Decoder
from analyzer.capture.ranges import BUFFER, MOST, Large, RangeReader, opened
from analyzer.capture.reader import CaptureSummary
from analyzer.capture.table import Cut
from analyzer.tcp.excerpt import Excerpt, Excerpter
from analyzer.tcp.flows import FlowTable
from analyzer.tcp.select import SegmentStore
from analyzer.workers import Died, Failed, Workers

RANGE = 32 << 20         # bytes of a range: what is known of it is in memory at once
FIRST = 24               # where the first record begins
_WAITING = 8             # ranges for each process that may wait for one before them


class Task(NamedTuple):
    """A range to be read. guessed: whether its first record is only looked for."""

    begin: int
    end: int
    guessed: bool


class Part(NamedTuple):
    """What is known of a range. first, reached and others: as RangeReader has them."""

    first: int
    reached: int
    packets: int
    snapped: int
    times: list[int]
    cut: Cut | None
    link_type: int
    excerpt: Excerpt | None
    decoder: Decoder


class Divided(NamedTuple):
    """A file that was read: what one pass would have come to."""

    summary: CaptureSummary
    decoder: Decoder


class _Work:
    """What a process does with each range. ports: the SMB ports."""

    def __init__(self, path: str, ports: frozenset[int]) -> None:
        self._path = path
        self._ports = ports
        self._buffer: NDArray[np.uint8] | None = None      # of this process, for all its ranges

    def __call__(self, task: Task) -> Part:
        decoder, excerpter = Decoder(), Excerpter(self._ports)
        decoder.watch_fragments()
        if self._buffer is None:
            self._buffer = np.empty(BUFFER, np.uint8)
        with opened(self._path) as file:
            reader = RangeReader(file, task.begin, task.end, guessed=task.guessed, buffer=self._buffer)
            for table, at in reader.pieces():
                excerpter.add(decoder.decode(table), len(table.data), at)
        return Part(
            reader.first, reader.reached, reader.packets, reader.snapped, reader.times, reader.cut,
            reader.link_type, excerpter.result(), decoder,
        )


def read_divided(
    large: Large,
    ports: frozenset[int],
    store: SegmentStore,
    jobs: int,
    watch: Callable[[int, int], None] | None = None,
) -> Divided | None:
    """Read a file with so many processes. None: it must be read in one pass, with another store.

    store: empty; holds afterwards what it would after one pass. watch: is told of bytes read, and those there are.
    """
    path, size = large
    work = _Work(path, ports)
    total = _Total(store)
    tasks = (Task(begin, min(begin + RANGE, size), begin != FIRST) for begin in range(FIRST, size, RANGE))
    # Putting ranges together takes a fifth of the work, and is done by one.
    workers: Workers[Task, Part] = Workers(work, min(jobs, MOST + 1))
    with opened(path) as file, workers:
        for task, found in _in_order(workers, tasks, jobs):
            if total.reached >= task.end:            # a record that reaches across the range
                continue
            if found is None:
                return None
            part = found if found.first == total.reached else work(Task(total.reached, task.end, guessed=False))
            if not total.add(part, file):
                return None
            if watch is not None:
                watch(total.reached, size)
            if part.cut is not None:
                break
        return total.result()


def _in_order(
    workers: Workers[Task, Part], tasks: Iterable[Task], jobs: int
) -> Iterator[tuple[Task, Part | None]]:
    """Each task with its result, in the order of the tasks; None where there is none."""
    source = iter(tasks)
    while group := list(islice(source, _WAITING * jobs)):
        waiting: dict[Task, Part | None] = {}
        due = iter(group)
        task = next(due)
        for done, outcome in workers.results(group):
            waiting[done] = None if isinstance(outcome, Died | Failed) else outcome
            while task in waiting:
                yield task, waiting.pop(task)
                task = next(due, _NONE)


_NONE = Task(-1, -1, guessed=False)


class _Total:
    """Ranges put together."""

    def __init__(self, store: SegmentStore) -> None:
        self.reached = FIRST
        self._flows = FlowTable()
        self._store = store
        self._decoder: Decoder | None = None
        self._packets = self._snapped = 0
        self._times: list[int] = []
        self._links: set[int] = set()
        self._cut: Cut | None = None

    def add(self, part: Part, file: FileIO) -> bool:
        """The next range. False: ranges cannot say what one pass would."""
        if self._decoder is None:
            self._decoder = part.decoder
        elif not self._decoder.follow(part.decoder, self._packets):
            return False
        if part.excerpt is not None:
            segments = part.excerpt.table(file, self._packets)
            rows = self._store.concerned(segments)
            self._store.add(segments, rows, self._flows.assign(segments, rows))
            if self._flows.limits:                   # counts rows that are not here
                return False
        self.reached = part.reached
        self._packets += part.packets
        self._snapped += part.snapped
        times = [*self._times, *part.times]
        self._times = [min(times), max(times)] if times else []
        if part.packets:
            self._links.add(part.link_type)
        self._cut = part.cut
        return True

    def result(self) -> Divided | None:
        """What one pass would say; None where no frame was read."""
        if self._decoder is None or not self._packets:
            return None
        first, last = self._times or (None, None)
        return Divided(
            CaptureSummary(
                "pcap", "", self._packets, first, last, self._cut, tuple(sorted(self._links)), self._snapped, 0, {}
            ),
            self._decoder,
        )
