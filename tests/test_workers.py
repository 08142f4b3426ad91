"""Worker processes: every task has its outcome, deaths are those of their task, nothing is left behind."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from analyzer.workers import TRIES, Died, Failed, Process, Workers
from tests.batch.hooks import forever, process, square


def test_every_task_comes_back_with_its_result() -> None:
    with Workers(square, 2) as workers:
        assert sorted(workers.results(iter(range(9)))) == [(n, n * n) for n in range(9)]


def test_a_worker_does_many_tasks() -> None:
    with Workers(process, 2) as workers:
        assert 1 <= len({pid for _, pid in workers.results(range(20))}) <= 2


def test_what_raises_is_an_outcome() -> None:
    with Workers(square, 1) as workers:
        assert list(workers.results([2, -1, 3])) == [(2, 4), (-1, Failed("ValueError: -1 is negative")), (3, 9)]


def test_a_task_that_takes_its_worker_down_is_the_only_one_to_blame() -> None:
    with Workers(square, 2) as workers:
        found = dict(workers.results([13, *range(12), 13 + 13]))
    died = found.pop(13)
    assert isinstance(died, Died)
    assert died.times == TRIES
    assert died.how == ("exit status 9" if sys.platform == "win32" else "SIGKILL")
    assert found == {n: n * n for n in (*range(12), 26)}


def test_one_that_dies_once_is_tried_again(tmp_path: Path) -> None:
    """A worker that was killed from outside costs nothing."""
    with Workers(process, 1) as workers:

        def tasks() -> Iterator[int]:
            yield 1
            psutil.Process(workers._idle[0]._process.pid).kill()
            yield 2

        (_, first), (_, second) = workers.results(tasks())
        assert isinstance(first, int)
        assert isinstance(second, int)
        assert second != first


def test_workers_that_end_as_they_start_are_not_started_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Process, "give", lambda _worker, _task: False)
    with Workers(square, 1) as workers:
        for task, outcome in workers.results([1, 2]):
            assert isinstance(outcome, Died), task
            assert outcome.times == TRIES


def test_at_the_end_no_process_is_left() -> None:
    with Workers(process, 2) as workers:
        pids = {pid for _, pid in workers.results(range(4))}
    assert not [pid for pid in pids if isinstance(pid, int) and psutil.pid_exists(pid)]


def test_leaving_in_the_middle_ends_workers_at_work() -> None:
    before = set(psutil.Process().children(recursive=True))
    with pytest.raises(KeyboardInterrupt), Workers(forever, 1) as workers:  # noqa: PT012
        workers._give(1, 0)
        raise KeyboardInterrupt
    assert set(psutil.Process().children(recursive=True)) <= before | _trackers()


def _trackers() -> set[psutil.Process]:
    return {child for child in psutil.Process().children() if "resource_tracker" in " ".join(child.cmdline())}


ENDLESS = """
import sys
from analyzer.workers import Workers
from tests.batch.hooks import forever
if __name__ == "__main__":
    with Workers(forever, 2) as workers:
        workers._give(1, 0)
        workers._give(2, 0)
        print(*(worker._process.pid for worker, _, _ in workers._busy.values()), flush=True)
        list(workers.results([]))
"""


def test_workers_end_with_a_parent_that_is_killed(root: Path, tmp_path: Path) -> None:
    """In the middle of work that would never end."""
    script = tmp_path / "endless.py"
    script.write_text(ENDLESS)
    with subprocess.Popen(
        [sys.executable, str(script)], cwd=root, env={"PYTHONPATH": str(root)}, stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        workers = [psutil.Process(int(pid)) for pid in parent.stdout.readline().split()]
        assert len(workers) == 2
        parent.kill()
    gone, alive = psutil.wait_procs(workers, timeout=20)
    assert len(gone) == 2
    assert not alive
