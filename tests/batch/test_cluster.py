"""A Dask cluster of two worker processes: the same result as one machine's, whoever dies in the middle."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from analyzer.batch.cluster import Cluster
from analyzer.batch.run import Execute, fill
from analyzer.batch.sources import Source, sources_of
from analyzer.batch.store import Store
from analyzer.batch.work import Part, Recipe, Work
from analyzer.errors import Error
from tests.batch.hooks import DEADLY, DEFECTIVE, Hooked
from tests.batch.results import result
from tests.cli.test_main import FAILED, Ran

distributed = pytest.importorskip("distributed", reason="needs the extra `cluster`")
# Sockets and loops that distributed leaves to the garbage collector, and its own deprecations.
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture
def address() -> Iterator[str]:
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None, memory_limit=0
    ) as cluster:
        yield cluster.scheduler_address


@pytest.fixture(scope="module")
def captures(samples: Path) -> tuple[Source, ...]:
    return sources_of([str(samples)]).captures


@pytest.fixture(scope="module")
def undisturbed(captures: tuple[Source, ...], tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    out = tmp_path_factory.mktemp("here") / "out"
    filled(out, captures, lambda todo: ((source, Work(Recipe())(source)) for source in todo))
    return result(out)


def filled(out: Path, captures: tuple[Source, ...], execute: Execute) -> None:
    with Store(str(out), {}) as store:
        for _ in fill(captures, store, execute):
            pass


def test_a_worker_that_is_killed_costs_nothing(
    address: str, captures: tuple[Source, ...], undisturbed: dict[str, bytes], tmp_path: Path
) -> None:
    with distributed.Client(address) as client:
        victim = psutil.Process(next(iter(client.run(os.getpid).values())))
    cluster: Cluster[Source, Part]
    with Cluster(Work(Recipe()), address) as cluster, Store(str(tmp_path / "out"), {}) as store:
        for step in fill(captures, store, cluster.results):
            if step.done == 5:
                victim.kill()
    assert result(tmp_path / "out") == undisturbed


def test_a_capture_that_kills_its_worker_is_a_row_and_its_neighbours_are_not_blamed(
    address: str, samples: Path, captures: tuple[Source, ...], undisturbed: dict[str, bytes], tmp_path: Path
) -> None:
    deadly = tmp_path / f"{DEADLY}.pcap"
    defective = tmp_path / f"{DEFECTIVE}.pcap"
    for path in (deadly, defective):
        path.write_bytes((samples / FAILED).read_bytes())
    bad = sources_of([str(deadly), str(defective)]).captures
    cluster: Cluster[Source, Part]
    with Cluster(Hooked(Recipe()), address) as cluster:
        filled(tmp_path / "out", (*captures[:6], *bad, *captures[6:12]), cluster.results)
    with Store(str(tmp_path / "out"), {}) as store:
        errors = {}
        for source in (*captures[:12], *bad):
            table = store.table("captures", source.key, ["error"])
            assert table is not None
            errors[source.name] = table.column("error")[0].as_py()
    assert {name for name, error in errors.items() if error} == {str(deadly), str(defective)}
    assert errors[str(deadly)].startswith("offset 0: whatever process analyses it dies")
    assert errors[str(defective)] == "offset 0: not analysed: ZeroDivisionError: division by zero"
    ours = result(tmp_path / "out")
    good = {f"{source.key}.parquet" for source in captures[:12]}
    assert {n: d for n, d in ours.items() if Path(n).name in good} == {
        n: d for n, d in undisturbed.items() if Path(n).name in good
    }


def test_the_command_gives_the_same_result(
    address: str, samples: Path, undisturbed: dict[str, bytes], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ran = Ran(capsys, "batch", samples, "--out", tmp_path / "out", "--scheduler", address)
    assert (ran.status, ran.err) == (0, "")
    assert parts(result(tmp_path / "out")) == parts(undisturbed)


def parts(files: dict[str, bytes]) -> dict[str, bytes]:
    return {name: data for name, data in files.items() if "/" in name}


def test_a_cluster_whose_workers_all_go_is_not_waited_for(
    captures: tuple[Source, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a nanny nobody starts them again."""
    with distributed.LocalCluster(n_workers=0, protocol="tcp://", dashboard_address=None) as empty:
        script = f"from distributed.cli.dask_worker import main; main(['{empty.scheduler_address}', '--no-nanny', '--no-dashboard'])"
        with subprocess.Popen([sys.executable, "-c", script], stderr=subprocess.DEVNULL) as worker:
            cluster: Cluster[Source, Part]
            with Cluster(Work(Recipe()), empty.scheduler_address) as cluster:
                monkeypatch.setattr("analyzer.batch.cluster.WAIT", 1)
                results = cluster.results(captures)
                next(results)
                worker.kill()
                with pytest.raises(Error, match="no worker any more"):
                    list(results)


def test_without_a_scheduler_it_says_so(
    samples: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("analyzer.batch.cluster.WAIT", 1)
    ran = Ran(capsys, "batch", samples, "--out", tmp_path / "out", "--scheduler", "tcp://127.0.0.1:1")
    assert ran.status == 2
    assert ran.err.startswith("negdiag: --scheduler tcp://127.0.0.1:1: cannot be reached")
