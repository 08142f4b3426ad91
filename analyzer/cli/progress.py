"""How far the reading of captures is: a line on a terminal's standard error, nothing anywhere else."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

from analyzer.report.safe import clean

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from analyzer.reading import Watch

# Whoever waits less than this does not wonder.
PATIENCE_S = 1.0


class Reading:
    """A bar that appears once reading takes long, and is gone when it ends."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._shown: tuple[Progress, TaskID] | None = None

    @classmethod
    def where_seen(cls, *, quiet: bool) -> Reading | None:
        """One, where somebody can see it."""
        return None if quiet or not sys.stderr.isatty() else cls()

    def told(self, name: str, done: int, total: int) -> None:
        """A reading.Watch."""
        if self._shown is None:
            if time.monotonic() - self._began < PATIENCE_S:
                return
            self._shown = self._begin()
        bar, task = self._shown
        bar.update(task, description=clean(name), completed=done, total=total or None)

    def end(self) -> None:
        """Take the bar away; it does not come back."""
        if self._shown is not None:
            self._shown[0].stop()
            self._shown = None
        self._began = float("inf")

    def _begin(self) -> tuple[Progress, TaskID]:
        from rich.console import Console
        from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn

        columns = (TextColumn("{task.description}", markup=False), BarColumn(), DownloadColumn())
        bar = Progress(*columns, console=Console(stderr=True), transient=True)
        bar.start()
        return bar, bar.add_task("")


def watch_of(reading: Reading | None) -> Watch | None:
    """What tells a bar, None without one."""
    return None if reading is None else reading.told
