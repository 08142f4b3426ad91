"""Sources and a store -> every source's part in the store: only what is missing is done."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

from analyzer.batch.sources import Source
from analyzer.batch.store import Store
from analyzer.batch.work import Part, unread
from analyzer.workers import Died, Failed

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
    for number, (source, outcome) in enumerate(execute(todo), 1):
        part = outcome if isinstance(outcome, Part) else unread(source, _problem(outcome))
        store.commit(source.key, part)
        yield Step(number, len(todo), source, not isinstance(outcome, Part))


def _problem(outcome: Died | Failed) -> str:
    if isinstance(outcome, Died):
        return f"whatever process analyses it dies ({outcome.how})"
    return f"not analysed: {outcome.error}"


def _has_error(store: Store, key: str) -> bool:
    table = store.table("captures", key, ["error"])
    return table is not None and table.column("error").null_count < len(table)
