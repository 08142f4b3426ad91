"""Many captures, several processes: each reads its share, all learn what the others saw, results come in order.

The result is that of one process, whatever their number. A worker is `python -c` with pickles on its
standard input and output: it starts alike on every system, and ends with the process that started it.
"""

from __future__ import annotations

import os
import pickle
import queue
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from typing import IO, Any, NamedTuple

from analyzer.alike import Diagnosed
from analyzer.diagnosis.engine import RuleSet
from analyzer.diagnosis.loader import load_rules
from analyzer.errors import Error
from analyzer.negotiation.others import Shared
from analyzer.pipeline import Analyzed, Capture, Run, Settings, Watch
from analyzer.telling import Wanted

ENOUGH = 24              # captures for which it pays to start another process

_PROGRAM = "from analyzer.shares import serve; serve()"


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
        self._process = subprocess.Popen(  # noqa: S603 - this interpreter, a constant program
            [sys.executable, "-P", "-c", _PROGRAM], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
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
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                try:
                    stream.close()
                except OSError:          # what it was still to be told
                    continue
        self._process.wait()

    def _send(self, message: object) -> None:
        assert self._process.stdin is not None
        try:
            pickle.dump(message, self._process.stdin, pickle.HIGHEST_PROTOCOL)
            self._process.stdin.flush()
        except OSError:
            raise Error("a worker process ended unexpectedly; --jobs 1 does without") from None

    def _receive(self) -> Any:
        assert self._process.stdout is not None
        try:
            return pickle.load(self._process.stdout)  # noqa: S301 - from our own process
        except (EOFError, pickle.UnpicklingError):
            raise Error("a worker process ended unexpectedly; --jobs 1 does without") from None


def serve() -> None:
    """The other side: a worker, from start to end."""
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)                        # whatever prints must not get between the pickles
    told: queue.SimpleQueue[Any] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(sys.stdin.buffer, told), daemon=True).start()
    share: _Share = told.get()
    run = Run(share.captures, share.settings, share.wanted, several=True)
    rules = share.rules.load()
    try:
        _say(out, run.others.shared())
        for other in told.get():
            run.others.learn(other)
        for analyzed in run.results(rules):
            connections = [(one.record, one.verdict._replace(findings=())) for one in analyzed.connections]
            _say(out, (analyzed.record, analyzed.cut, connections))
    except OSError:                      # nobody wants to know any more
        os._exit(1)
    # Not by way of the interpreter's own end: it would wait for the thread that still listens.
    os._exit(0)


def _say(out: IO[bytes], message: object) -> None:
    pickle.dump(message, out, pickle.HIGHEST_PROTOCOL)
    out.flush()


def _listen(source: IO[bytes], told: queue.SimpleQueue[Any]) -> None:
    """Hand on what comes; when nothing can come any more, whoever started this process is gone."""
    while True:
        try:
            told.put(pickle.load(source))  # noqa: S301 - from the process that started this one
        except (EOFError, pickle.UnpicklingError):
            os._exit(1)
