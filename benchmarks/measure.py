"""One command -> how long it took, and the most memory its processes had, as the kernel counts it."""

from __future__ import annotations

import os
import subprocess
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

_EVERY = 0.02            # seconds between two looks at the processes


class Measured(NamedTuple):
    """seconds: wall clock; cpu: user and system, children included; peak: bytes, the sum of the processes' peaks."""

    seconds: float
    cpu: float
    peak: int
    status: int


def measure(command: Sequence[str], output: Path | None = None) -> Measured:
    """Run a command, its output thrown away or written to a file. POSIX only."""
    with (output or Path(os.devnull)).open("wb") as out:
        begin = time.perf_counter()
        process = subprocess.Popen(command, stdout=out, stderr=subprocess.DEVNULL)
        peaks: dict[int, int] = {}
        over = threading.Event()
        watch = threading.Thread(target=_watch, args=(process.pid, peaks, over))
        watch.start()
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - begin
    over.set()
    watch.join()
    process.returncode = os.waitstatus_to_exitcode(status)
    peaks[process.pid] = max(peaks.get(process.pid, 0), usage.ru_maxrss * 1024)
    return Measured(seconds, usage.ru_utime + usage.ru_stime, sum(peaks.values()), process.returncode)


def _watch(root: int, peaks: dict[int, int], over: threading.Event) -> None:
    """The peak of each process below `root`, by its number (Linux; elsewhere only the first one is counted)."""
    while not over.wait(_EVERY):
        pending = [root]
        while pending:
            pid = pending.pop()
            try:
                fields = Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace").splitlines()
                pending += map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split())
            except OSError:
                continue
            peak = next((line.split()[1] for line in fields if line.startswith("VmHWM:")), None)
            if peak is not None:
                peaks[pid] = max(peaks.get(pid, 0), int(peak) * 1024)
