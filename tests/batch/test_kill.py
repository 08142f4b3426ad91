"""A batch that is killed and started again ends with what an undisturbed one ends with."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pyarrow.parquet as pq
import pytest

from tests.batch.results import TABLES, done, result
from tests.cli.test_main import HEALTHY, PROGRAM

KILLS = 20


@pytest.fixture(scope="module")
def captures(samples: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every sample three times, a cut one and two that cannot be read."""
    folder = tmp_path_factory.mktemp("captures")
    for path in sorted(samples.glob("*.pcap*")):
        for copy in "abc":
            (folder / f"{path.stem}-{copy}{path.suffix}").write_bytes(path.read_bytes())
    (folder / "cut.pcap").write_bytes((samples / HEALTHY).read_bytes()[:-10])
    (folder / "empty.pcap").write_bytes(b"")
    (folder / "text.pcap").write_bytes(b"no capture at all")
    return folder


def started(captures: Path, out: Path) -> subprocess.Popen[bytes]:
    command = (*PROGRAM, "batch", str(captures), "--out", str(out), "--jobs", "2", "-q")
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


@pytest.fixture(scope="module")
def undisturbed(captures: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    out = tmp_path_factory.mktemp("undisturbed") / "out"
    with started(captures, out) as run:
        assert run.wait() == 3                   # captures that cannot be read are rows, and the status says so
    return result(out)


def test_killed_twenty_times(captures: Path, undisturbed: dict[str, bytes], tmp_path: Path) -> None:
    """At moments between the start and the end, wherever they fall: reading, writing, moving."""
    out = tmp_path / "out"
    total = sum(name.startswith("captures/") for name in undisturbed) - 1
    draw = random.Random(20)
    before = 0
    for kill in range(1, KILLS + 1):
        goal = total * kill // (KILLS + 1)
        with started(captures, out) as run:
            while done(out) < goal and run.poll() is None:
                try:
                    run.wait(timeout=draw.random() / 50)
                except subprocess.TimeoutExpired:
                    continue
            workers = psutil.Process(run.pid).children() if run.poll() is None else []
            run.kill()
        _, alive = psutil.wait_procs(workers, timeout=20)
        assert not alive, f"{len(alive)} workers outlive the batch"
        assert done(out) >= before, "a result was lost"
        before = done(out)
        for table in TABLES:
            for path in (out / table).glob("*.parquet"):
                pq.read_table(path)              # whole, or not there
    with started(captures, out) as run:
        assert run.wait() == 3
    ended = result(out)
    assert ended.keys() == undisturbed.keys()
    assert [name for name in ended if ended[name] != undisturbed[name]] == []


def test_the_result_does_not_depend_on_the_number_of_workers(
    captures: Path, undisturbed: dict[str, bytes], tmp_path: Path
) -> None:
    command = (*PROGRAM, "batch", str(captures), "--out", str(tmp_path / "out"), "--jobs", "1", "-q")
    assert subprocess.run(command, check=False, capture_output=True).returncode == 3
    assert result(tmp_path / "out") == undisturbed


def test_an_interrupted_batch_says_130_and_goes_on(
    captures: Path, undisturbed: dict[str, bytes], tmp_path: Path
) -> None:
    if sys.platform == "win32":
        pytest.skip("an interrupt of one process is not to be had there")
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        pytest.skip("interrupts are ignored here, as in the background of a script, and by what is started")
    out = tmp_path / "out"
    with started(captures, out) as run:
        while done(out) < 5 and run.poll() is None:
            try:
                run.wait(timeout=0.02)
            except subprocess.TimeoutExpired:
                continue
        workers = psutil.Process(run.pid).children()
        run.send_signal(signal.SIGINT)
        assert run.wait() == 130
    assert not psutil.wait_procs(workers, timeout=20)[1]
    with started(captures, out) as run:
        assert run.wait() == 3
    assert result(out) == undisturbed
