"""Sources and a store -> every source's part in the store: only what is missing is done."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final, NamedTuple

from analyzer.batch.sources import Source
from analyzer.batch.store import Store
from analyzer.batch.work import Part, unread
from analyzer.workers import Died, Failed

# Parts written at a time: a disk flushes eight files for the price of one.
WRITERS: Final = 8

Outcome = Part | Died | Failed
Execute = Callable[[Iterable[Source]], Iterator[tuple[Source, Outcome]]]


class Step(NamedTuple):
    """Where a batch is. total: sources that were missing when it began."""

    done: int
    total: int
    source: Source
    failed: bool


def missing(sources: Sequence[Source], store: Store, *, retry_errors: bool = False) -> list[Source]:
    """The sources without a result. retry_errors: a capture that could not be read counts as missing."""
    return [
        source for source in sources
        if not store.has(source.key) or (retry_errors and _has_error(store, source.key))
    ]


def fill(todo: Sequence[Source], store: Store, execute: Execute) -> Iterator[Step]:
    """Do the sources, each part on disk before its step is told. Raises OutputError as Store does."""
    steps = 0
    under_way: deque[tuple[Future[None], Source, bool]] = deque()
    with ThreadPoolExecutor(WRITERS) as writers:
        for source, outcome in execute(todo):
            failed = not isinstance(outcome, Part)
            part = outcome if isinstance(outcome, Part) else unread(source, _problem(outcome))
            under_way.append((writers.submit(store.commit, source.key, part), source, failed))
            while len(under_way) > 2 * WRITERS or (under_way and under_way[0][0].done()):
                steps += 1
                yield _told(under_way.popleft(), steps, len(todo))
        while under_way:
            steps += 1
            yield _told(under_way.popleft(), steps, len(todo))


def _told(one: tuple[Future[None], Source, bool], number: int, total: int) -> Step:
    written, source, failed = one
    written.result()
    return Step(number, total, source, failed)


def _problem(outcome: Died | Failed) -> str:
    if isinstance(outcome, Died):
        return f"whatever process analyses it dies ({outcome.how})"
    return f"not analysed: {outcome.error}"


def _has_error(store: Store, key: str) -> bool:
    table = store.table("captures", key, ["error"])
    return table is not None and table.column("error").null_count < len(table)
