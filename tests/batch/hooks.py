"""Work with a defect, as a worker process imports it."""

from __future__ import annotations

import os
import signal
import sys

from analyzer.batch.sources import Source
from analyzer.batch.work import Part, Recipe, Work

DEADLY, DEFECTIVE = "deadly", "defective"


def die() -> None:
    """End this process as a kernel short of memory would."""
    if sys.platform == "win32":
        os._exit(9)
    os.kill(os.getpid(), signal.SIGKILL)


class Hooked:
    """Work that dies of a capture with DEADLY in its name, and raises for one with DEFECTIVE."""

    def __init__(self, recipe: Recipe) -> None:
        self._work = Work(recipe)

    def __call__(self, source: Source) -> Part:
        if DEADLY in source.name:
            die()
        if DEFECTIVE in source.name:
            raise ZeroDivisionError("division by zero")
        return self._work(source)


def square(number: int) -> int:
    """Dies of 13, raises for negative numbers."""
    if number == 13:
        die()
    if number < 0:
        raise ValueError(f"{number} is negative")
    return number * number


def process(_: int) -> int:
    """Which process does the work."""
    return os.getpid()


def forever(_: int) -> None:
    """Never ends by itself."""
    while True:
        pass
