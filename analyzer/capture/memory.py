"""Memory that a large capture is read into, made ready while a start still imports modules.

Memory from the system is cleared when it is first written to, and a virtual machine may have to get it from its host
before. The reader of a large capture would wait for that, while another processor has nothing to do.
"""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Iterable
from contextlib import suppress
from threading import Event, Thread
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mmap import mmap

LARGE = 64 << 20
"""Bytes of a file from which on it pays to start a thread."""
SIZE = 33 << 19
"""Bytes of each piece: a chunk, and what the one before left over."""
_PIECES = 2

_ready: list[mmap] = []
_late = Event()                      # what becomes ready from now on is not wanted any more


def prepare(paths: Iterable[str]) -> None:
    """Begin, if one of the paths is a large file. What is no path of a file does not count."""
    for path in paths:
        with suppress(OSError, ValueError):
            found = os.stat(path)  # noqa: PTH116 (a start without large captures need not import pathlib)
            if stat.S_ISREG(found.st_mode) and found.st_size >= LARGE:
                # First, for loading its libraries would wait for memory and make the thread wait.
                import numpy as np  # noqa: F401

                _late.clear()
                Thread(target=_fill, name="preparing", daemon=True).start()
                return


def take(size: int) -> mmap | None:
    """A piece of at least so many bytes that is ready; None where there is none."""
    return _ready.pop() if size <= SIZE and _ready else None


def release() -> None:
    """Give up what was not taken, and what is not ready yet."""
    _late.set()
    _ready.clear()


def _fill() -> None:
    with suppress(ImportError, OSError):
        import ctypes
        import mmap

        for _ in range(_PIECES):
            if sys.platform == "win32":
                piece = mmap.mmap(-1, SIZE)
            else:                                # large pages are for private memory
                piece = mmap.mmap(-1, SIZE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
                if hasattr(mmap, "MADV_HUGEPAGE"):
                    piece.madvise(mmap.MADV_HUGEPAGE)
            # By a function that leaves the interpreter to others; and not by reading a file into it, for pages that the
            # kernel itself is the first to write to keep others from getting memory, those that import.
            ctypes.memset(ctypes.addressof(ctypes.c_char.from_buffer(piece)), 0, SIZE)
            if _late.is_set():
                return
            _ready.append(piece)
