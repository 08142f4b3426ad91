"""Tasks -> results, by processes of this machine that outlive neither their work nor their parent.

Each worker has one task at a time, so that a worker's death says which task it was. Such a task is tried
again when all others are done, alone, in a process of its own: what takes its worker down every time is
known for sure, and nothing beside it is blamed. concurrent.futures can do neither: one death there breaks
the pool and every task in it, and its processes outlive a parent that was killed.
"""

from __future__ import annotations

import gc
import os
import signal
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from multiprocessing import connection, get_context, parent_process
from multiprocessing.reduction import ForkingPickler
from threading import Thread
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, Self, TypeVar

if TYPE_CHECKING:
    from multiprocessing.connection import Connection
    from multiprocessing.context import SpawnProcess

Task = TypeVar("Task")
Result = TypeVar("Result")

TRIES = 3                # of a task whose worker died
_GRACE = 5.0             # seconds for a worker to end by itself


class Died(NamedTuple):
    """The outcome of a task that took its worker down each time. how: the last time."""

    times: int
    how: str


class Failed(NamedTuple):
    """The outcome of a task whose work raised. error: type and text."""

    error: str


class Workers(Generic[Task, Result]):
    """Processes that do one kind of work. Use it as a context manager: at its end no process is left.

    work: runs in the workers; it and the tasks and results must pickle. count: processes at a time.
    """

    def __init__(self, work: Callable[[Task], Result], count: int) -> None:
        self._work = work
        self._count = max(count, 1)
        self._idle: list[Process] = []
        self._busy: dict[int, tuple[Process, Task, int]] = {}      # by fileno of its pipe: deaths so far

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        workers = [*self._idle, *(worker for worker, _, _ in self._busy.values())]
        self._idle, self._busy = [], {}
        for worker in workers:
            worker.end(kill=kind is not None)

    def results(self, tasks: Iterable[Task]) -> Iterator[tuple[Task, Result | Died | Failed]]:
        """Every task with its outcome, in the order in which they are done. Tasks are taken as needed."""
        suspects: deque[tuple[Task, int]] = deque()
        source = iter(tasks)
        done: list[tuple[Task, Result | Died | Failed]] = []
        while True:
            # The next tasks first: nobody waits while the caller looks at what is done.
            while len(self._busy) < self._count:
                try:
                    task = next(source)
                except StopIteration:
                    break
                refused = self._give(task, 0)
                if refused is not None:
                    done.append((task, refused))
                    break
            yield from done
            if not self._busy and not done:
                break
            done = list(self._done(suspects)) if self._busy else []
        while suspects:
            task, deaths = suspects.popleft()
            refused = self._give(task, deaths)
            if refused is not None:
                yield task, refused
            while self._busy:
                yield from self._done(suspects)

    def _give(self, task: Task, deaths: int) -> Died | None:
        """Hand a task to a worker. Returns how workers ended if none of a few so much as took it."""
        how = ""
        for _ in range(self._count + TRIES):              # those that died while they had nothing to do, and new ones
            worker = self._idle.pop() if self._idle else Process(_serve, self._work)
            if worker.give(task):
                self._busy[worker.number] = (worker, task, deaths)
                return None
            how = worker.end(kill=True)
        return Died(TRIES, how)

    def _done(self, suspects: deque[tuple[Task, int]]) -> Iterator[tuple[Task, Result | Died | Failed]]:
        """Wait for at least one task to end."""
        pipes = [worker.pipe for worker, _, _ in self._busy.values()]
        for pipe in connection.wait(pipes):
            assert not isinstance(pipe, int)
            worker, task, deaths = self._busy.pop(pipe.fileno())
            try:
                outcome = worker.pipe.recv()
            except (EOFError, OSError):
                how = worker.end(kill=True)
                if deaths + 1 < TRIES:
                    suspects.append((task, deaths + 1))
                else:
                    yield task, Died(TRIES, how)
                continue
            self._idle.append(worker)
            yield task, outcome


class Process:
    """A process that ends with this one at the latest, and the pipe to it.

    serve: what it does, called with its end of the pipe and args; all of them must pickle.
    """

    def __init__(self, serve: Callable[..., None], *args: object) -> None:
        context = get_context("spawn")
        self.pipe, theirs = context.Pipe()
        self.number = self.pipe.fileno()
        # Packed by itself, so that what it needs is not imported before somebody looks after the parent.
        does = bytes(ForkingPickler.dumps((serve, args)))
        self._process: SpawnProcess = context.Process(target=_live, args=(theirs, does), daemon=True)
        self._process.start()
        # Only with the parent's copy closed does the pipe end when the process does.
        theirs.close()

    def give(self, message: object) -> bool:
        """Send it something; False if nobody is there."""
        try:
            self.pipe.send(message)
        except OSError:
            return False
        return True

    def end(self, *, kill: bool) -> str:
        """No process is left afterwards. Returns how it ended."""
        self.pipe.close()
        if not kill:
            self._process.join(_GRACE)
        else:
            self._process.join(0.1)                       # it may be dying by itself: let it say how
        if self._process.is_alive():
            self._process.kill()
            self._process.join()
        code = self._process.exitcode or 0
        self._process.close()
        return _named(code)


def _named(code: int) -> str:
    if code >= 0:
        return f"exit status {code}"
    names = {number.value: number.name for number in signal.Signals}
    return names.get(-code, f"signal {-code}")


def told(error: Exception) -> str:
    """Type and text of what work raised."""
    return f"{type(error).__name__}: {error}".removesuffix(": ")


def _live(pipe: Connection, does: bytes) -> None:
    """What every process does, and then its own. does: serve and args of Process, pickled."""
    # An interrupt from the keyboard reaches every process; the parent decides.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    gc.set_threshold(500_000, 20, 20)                     # as in the main process
    Thread(target=_end_with_parent, daemon=True).start()
    serve, args = ForkingPickler.loads(does)
    serve(pipe, *args)


def _serve(pipe: Connection, work: Callable[[Any], Any]) -> None:
    """The life of a worker: tasks in, outcomes out, until the pipe or the parent ends."""
    while True:
        try:
            task = pipe.recv()
        except (EOFError, OSError):
            return
        try:
            outcome = work(task)
        except Exception as error:  # noqa: BLE001 - one task's defect is its outcome, not the end of the run
            outcome = Failed(told(error))
        try:
            pipe.send(outcome)
        except OSError:
            return


def _end_with_parent() -> None:
    """A parent that is killed cannot end its workers; each sees to it itself, in the middle of its work."""
    parent = parent_process()
    if parent is not None:
        connection.wait([parent.sentinel])
        os._exit(1)
