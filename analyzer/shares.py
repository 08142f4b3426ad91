"""Many captures, several processes: each reads its share, all learn what the others saw, results come in order.

The result is that of one process, whatever their number.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from analyzer.alike import Diagnosed
from analyzer.diagnosis.engine import RuleSet
from analyzer.diagnosis.loader import load_rules
from analyzer.errors import Error
from analyzer.negotiation.others import Shared
from analyzer.pipeline import Analyzed, Run
from analyzer.reading import Capture, Settings, Watch
from analyzer.telling import Wanted

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

ENOUGH = 24              # captures for which it pays to start another process


class Rules(NamedTuple):
    """Which rules are in force: the words of the command line. Compiled conditions do not travel."""

    folders: tuple[str, ...] = ()
    select: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()

    def load(self) -> RuleSet:
        """These rules."""
        return load_rules(self.folders).reporting(self.select, self.ignore)


class _Share(NamedTuple):
    """What one worker does."""

    captures: tuple[tuple[str, Capture], ...]
    rules: Rules
    settings: Settings
    wanted: Wanted


def analyze(
    captures: Sequence[tuple[str, Capture]],
    rules: Rules,
    settings: Settings,
    wanted: Wanted,
    jobs: int,
    *,
    watch: Watch | None = None,
) -> Iterator[Analyzed]:
    """Every capture, in the order given, as pipeline.run() does it, in up to `jobs` processes.

    wanted: must be records_only. The stories of what another process did are not there.
    watch: is told of what this process reads.
    """
    count = min(jobs, max(1, len(captures) // ENOUGH))
    if count == 1 or not wanted.records_only or any(capture == "-" for _, capture in captures):
        return Run(captures, settings, wanted, watch).results(rules.load())
    return _shared(captures, rules, settings._replace(jobs=1), wanted, count, watch=watch)


def _shared(
    captures: Sequence[tuple[str, Capture]],
    rules: Rules,
    settings: Settings,
    wanted: Wanted,
    count: int,
    *,
    watch: Watch | None,
) -> Iterator[Analyzed]:
    # Neighbours are alike in size: turn by turn all get as much.
    shares = [_Share(tuple(captures[first::count]), rules, settings, wanted) for first in range(count)]
    workers = [_Worker(share) for share in shares[1:]]
    try:
        own = Run(shares[0].captures, settings, wanted, watch, several=True)
        in_force = rules.load()
        known = [own.others.shared(), *(worker.shared() for worker in workers)]
        for number, worker in enumerate(workers, 1):
            worker.learn([other for at, other in enumerate(known) if at != number])
        for other in known[1:]:
            own.others.learn(other)
        sources = [own.results(in_force), *(worker.results() for worker in workers)]
        for number in range(len(captures)):
            yield next(sources[number % count])
    finally:
        for worker in workers:
            worker.end()


class _Worker:
    """A process with its share."""

    def __init__(self, share: _Share) -> None:
        from analyzer.workers import Process

        self._process = Process(_serve)
        self._count = len(share.captures)
        self._send(share)

    def shared(self) -> Shared:
        """What it saw, once it has read its captures."""
        shared: Shared = self._receive()
        return shared

    def learn(self, others: Sequence[Shared]) -> None:
        """Tell it what all others saw."""
        self._send(others)

    def results(self) -> Iterator[Analyzed]:
        """Its captures, in order."""
        for _ in range(self._count):
            record, cut, connections = self._receive()
            yield Analyzed(record, cut, [Diagnosed(one, None, verdict) for one, verdict in connections])

    def end(self) -> None:
        """It is not needed any more."""
        self._process.end(kill=True)

    def _send(self, message: object) -> None:
        if not self._process.give(message):
            raise Error(_LOST)

    def _receive(self) -> Any:
        try:
            return self._process.pipe.recv()
        except (EOFError, OSError):
            raise Error(_LOST) from None


_LOST = "a worker process ended unexpectedly; --jobs 1 does without"


def _serve(pipe: Connection) -> None:
    """The other side: a worker, from start to end."""
    try:
        share: _Share = pipe.recv()
        run = Run(share.captures, share.settings, share.wanted, several=True)
        rules = share.rules.load()
        pipe.send(run.others.shared())
        for other in pipe.recv():
            run.others.learn(other)
        for analyzed in run.results(rules):
            connections = [(one.record, one.verdict._replace(findings=())) for one in analyzed.connections]
            pipe.send((analyzed.record, analyzed.cut, connections))
    except (EOFError, OSError):          # nobody wants to know any more
        return
