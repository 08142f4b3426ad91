"""One input -> what it breaks, or nothing: the promises of the main command, in this process or in one of its own."""

from __future__ import annotations

import io
import json
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple

from analyzer.diagnosis.engine import RuleSet
from analyzer.diagnosis.loader import load_rules
from analyzer.negotiation.pairing import is_negotiate
from analyzer.pipeline import run
from analyzer.reading import Settings
from analyzer.report.fieldlist import FORMATS as FIELD_FORMATS
from analyzer.report.fieldlist import Row
from analyzer.report.writer import FILES, Style
from analyzer.smb.fields import fields
from analyzer.telling import Wanted
from tests.conftest import ROOT

SECONDS = 8.0                    # processor time for one input of at most 1 MB, in this process
LIMIT_KB, WALL = 2_000_000, 30   # address space and time of one in its own process


class Broken(NamedTuple):
    """A promise that does not hold. place: where, the same for the same defect; detail: the traceback or what was seen."""

    place: str
    detail: str


class Slow(BaseException):
    """Too much processor time. Not an Exception, so that nothing on the way catches it."""


@cache
def rules() -> RuleSet:
    """The built-in rules."""
    return load_rules()


@contextmanager
def limited(seconds: float) -> Iterator[None]:
    """Raises Slow inside after so much processor time, where the system has such a clock (not Windows)."""
    if not hasattr(signal, "setitimer"):
        yield
        return

    def stop(_: int, __: FrameType | None) -> None:
        raise Slow

    before = signal.signal(signal.SIGPROF, stop)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


def check(data: bytes, *, every: bool = False) -> Broken | None:
    """Analyse, report and list the fields of one input in this process. every: in every format of report, HTML too."""
    try:
        with limited(SECONDS):
            return _report(data, tuple(FILES) if every else ("json",))
    except (Exception, Slow) as error:  # noqa: BLE001 (every exception is what is looked for)
        return Broken(_place(error), traceback.format_exc())


def _report(data: bytes, formats: tuple[str, ...]) -> Broken | None:
    outs = {name: io.StringIO() for name in formats}
    writers = [FILES[name](out, Style(file=True)) for name, out in outs.items()]
    for writer in writers:
        writer.start()
    connections = 0
    rows: list[Row] = []
    for analyzed in run([("input", io.BytesIO(data))], rules(), Settings(), Wanted(detailed=True)):
        for writer in writers:
            writer.capture(analyzed.record)
        for diagnosed in analyzed.connections:
            connections += 1
            placed = () if diagnosed.story is None else diagnosed.story.placed
            rows += [fields(one.message) for one in placed if is_negotiate(one.message)]
            for writer in writers:
                writer.connection(diagnosed.record)
        for writer in writers:
            writer.end()
    for writer in writers:
        writer.finish()
    FIELD_FORMATS["json"](rows, io.StringIO())
    return misreported(outs["json"].getvalue(), ["input"], connections)


def _parsed(text: str) -> Any:
    def refuse(word: str) -> Any:
        raise ValueError(f"{word} is not JSON")

    return json.loads(text, parse_constant=refuse)


def misreported(text: str, names: list[str], connections: int | None = None) -> Broken | None:
    """What a JSON report lacks of its promise for captures of these names; connections: how many there are."""
    try:
        report = _parsed(text)
    except ValueError as error:
        return Broken("report: no JSON", f"{error}\n{text[:2000]}")
    captures = report.get("captures", [])
    if [capture["capture"] for capture in captures] != names:
        return Broken("report: captures are missing", text[:2000])
    for capture in captures:
        streams = [connection["tcp.stream"] for connection in capture["connections"]]
        if streams != sorted(set(streams)):
            return Broken("report: connections are not in order", str(streams)[:2000])
        for connection in capture["connections"]:
            broken = _unsound(connection)
            if broken is not None:
                return Broken(f"report: {broken}", json.dumps(connection)[:4000])
    if connections is not None and sum(len(capture["connections"]) for capture in captures) != connections:
        return Broken("report: connections are missing", text[:2000])
    return None


def _unsound(connection: dict[str, Any]) -> str | None:
    """What of one connection record contradicts interface.md."""
    causes, outcome = connection["causes"], connection["outcome"]
    if bool(causes) != (outcome in {"failed", "no-connection", "not-smb"}):
        return "outcome and causes"
    if (connection["confidence"] is None) == bool(causes):
        return "confidence and causes"
    if [finding["rule"] for finding in connection["findings"]] != [*causes, *connection["warnings"]]:
        return "findings"
    first, last = connection["frames"]["first"], connection["frames"]["last"]
    if any(not first <= frame <= last for finding in connection["findings"] for frame in finding["frames"]):
        return "frames of another connection"
    return None


def _place(error: BaseException) -> str:
    """Kind and innermost line of the package: the name of a defect."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if "analyzer" in Path(frame.filename).parts]
    if isinstance(error, Slow):
        # Where a slow input happens to be is chance; the layer is not.
        return f"slow in {'/'.join(Path(ours[-1].filename).parts[-2:])}" if ours else "slow"
    last = (ours or frames)[-1]
    return f"{type(error).__name__} in {'/'.join(Path(last.filename).parts[-2:])}:{last.name}"


def check_command(data: bytes, *words: str, names: tuple[str, ...] = ("input.pcap",)) -> Broken | None:
    """The main command on one input in its own process, under limits of memory (POSIX) and time."""
    with tempfile.TemporaryDirectory() as folder:
        for name in names:
            (Path(folder) / name).write_bytes(data)
        command = [sys.executable, "-m", "analyzer", *names, "--format", "json", *words]
        began = time.monotonic()
        try:
            done = subprocess.run(
                command, cwd=folder, capture_output=True, timeout=WALL, check=False, preexec_fn=_bounded,
                env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin", "OPENBLAS_NUM_THREADS": "1"})
        except subprocess.TimeoutExpired:
            return Broken("command: slow", f"{time.monotonic() - began:.1f} s")
    errors = done.stderr.decode("utf-8", "replace")
    if done.returncode not in {0, 2, 3} or "Traceback" in errors:
        return Broken(f"command: status {done.returncode}", errors[-4000:])
    return misreported(done.stdout.decode("utf-8"), list(names))


def _bounded() -> None:
    if sys.platform != "win32":
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (LIMIT_KB * 1024, LIMIT_KB * 1024))

