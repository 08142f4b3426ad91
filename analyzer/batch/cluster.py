"""Tasks -> results by a Dask distributed cluster, whose workers may come, go and die."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from types import TracebackType
from typing import Any, Final, Generic, NamedTuple, Self, TypeVar
from uuid import uuid4

from analyzer.errors import Error, MissingExtra, UsageError
from analyzer.version import __version__
from analyzer.workers import Died, Failed, told

try:
    from distributed import Client, Future, KilledWorker, as_completed
except ImportError as error:
    raise MissingExtra("--scheduler", "cluster") from error

Task = TypeVar("Task")
Result = TypeVar("Result")

WAIT: Final = 60             # seconds for the first worker to come, and between two looks whether one is left
_AHEAD: Final = 2            # tasks handed over for each thread: few, because results wait in workers' memory
_LOST: Final = 10            # times a task may be lost by the cluster without a word


class _Given(NamedTuple, Generic[Task]):
    """A task the cluster has. lost: how often it has lost it."""

    task: Task
    lost: int


class Cluster(Generic[Task, Result]):
    """A connection to a scheduler. work, tasks and results must pickle; the workers need this package.

    Work is done again where a worker dies under it, so it must be such that this does no harm.
    Raises UsageError where there is no scheduler, no worker, or not the same negdiag there.
    """

    def __init__(self, work: Callable[[Task], Result], address: str) -> None:
        self._work = work
        self._run = uuid4().hex
        self._number = 0
        try:
            self._client = Client(address, timeout=WAIT)
        except (OSError, ValueError) as error:
            raise UsageError(f"--scheduler {address}: cannot be reached: {error}") from error
        try:
            self._greet(address)
        except UsageError:
            self._client.close()
            raise

    def _greet(self, address: str) -> None:
        try:
            self._client.wait_for_workers(1, timeout=WAIT)
        except TimeoutError as error:
            raise UsageError(f"--scheduler {address}: has no worker") from error
        versions = self._client.run(_version, on_error="return")
        for worker, version in sorted(versions.items()):
            if version != __version__:
                raise UsageError(f"--scheduler {address}: worker {worker} has no negdiag {__version__}: {version}")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.close()

    def results(self, tasks: Iterable[Task]) -> Iterator[tuple[Task, Result | Died | Failed]]:
        """Every task with its outcome, in the order in which they are done. Tasks are taken as needed.

        Raises Error where the scheduler goes away, or all workers do and none comes within WAIT.
        """
        suspects: list[Task] = []
        for task, outcome in self._round(tasks):
            # The scheduler blames every task a worker had when it died. So whoever was there too often
            # is tried once more with nobody beside it: then only the guilty one is left.
            if isinstance(outcome, Died):
                suspects.append(task)
            else:
                yield task, outcome
        for task in suspects:
            yield from self._round([task])

    def _round(self, tasks: Iterable[Task]) -> Iterator[tuple[Task, Result | Died | Failed]]:
        waiting = iter(tasks)
        given: dict[Future[Any], _Given[Task]] = {}
        completed = _completed(given)
        deserted = False
        self._fill(waiting, given, completed)
        while given:
            try:
                future, result = next(completed)
            except TimeoutError:
                deserted = self._deserted(before=deserted)
                completed = _completed(given)
                continue
            task, lost = given.pop(future)
            if future.status == "finished":
                yield task, result
            elif future.status == "error":
                error = result[1]
                if isinstance(error, KilledWorker):
                    yield task, Died(1, "the scheduler gave it up")
                else:
                    yield task, Failed(told(error))
            elif self._client.status != "running" or lost == _LOST:
                raise Error("the scheduler went away; the same command goes on where this one stopped")
            else:
                self._give(_Given(task, lost + 1), given, completed)
            future.release()
            self._fill(waiting, given, completed)

    def _deserted(self, *, before: bool) -> bool:
        """Whether there is no worker just now. Raises Error where there was none the last time either."""
        if self._client.status == "running" and self._client.nthreads():
            return False
        if before:
            raise Error("the cluster has no worker any more; the same command goes on where this one stopped")
        return True

    def _fill(self, waiting: Iterator[Task], given: dict[Future[Any], _Given[Task]], completed: as_completed) -> None:
        room = max(_AHEAD * sum(self._client.nthreads().values()), _AHEAD) - len(given)
        for _ in range(room):
            task = next(waiting, None)
            if task is None:
                return
            self._give(_Given(task, 0), given, completed)

    def _give(self, task: _Given[Task], given: dict[Future[Any], _Given[Task]], completed: as_completed) -> None:
        self._number += 1
        future = self._client.submit(
            self._work, task.task, key=f"negdiag-{self._run}-{self._number}", pure=False, retries=0
        )
        given[future] = task
        completed.add(future)


def _completed(given: Iterable[Future[Any]]) -> as_completed:
    """What is handed over, as it is done; TimeoutError once in a while, to look after the workers."""
    return as_completed(list(given), with_results=True, raise_errors=False, timeout=WAIT)


def _version() -> str:
    """Of the package, as a worker has it."""
    return __version__
