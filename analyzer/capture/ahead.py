"""An iterator of pieces -> the same pieces, made in a thread while their taker is busy with earlier ones."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator
from typing import Self

from analyzer.capture.compression import Piece

ROOM = 16 << 20
"""Bytes that may wait to be taken: twice what a reader takes at a time."""

_free = threading.BoundedSemaphore(2)    # what many captures read side by side would make wait is bounded too


def ahead(pieces: Iterator[Piece]) -> Ahead | None:
    """Start a thread for these pieces, or None where enough of them are running."""
    return Ahead(pieces, _free.release) if _free.acquire(blocking=False) else None


class Ahead:
    """Takes from an iterator ahead of whoever takes from this one: same pieces, same end, same exception.

    One thread, which `close` ends; it waits for the piece under way, so the iterator must not block for ever.
    """

    def __init__(self, pieces: Iterator[Piece], done: Callable[[], None], room: int = ROOM) -> None:
        self._pieces = pieces
        self._done = done                    # is called when the thread ends
        self._room = room
        self._ready: deque[Piece] = deque()
        self._waiting = 0                    # bytes in _ready
        self._ended = False
        self._closed = False
        self._error: BaseException | None = None
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="decompression", daemon=True)
        self._thread.start()

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Piece:
        with self._changed:
            while not self._ready and not self._ended:
                self._changed.wait()
            if self._ready:
                piece = self._ready.popleft()
                before = self._waiting
                self._waiting -= len(piece.data)
                # Woken at half, the thread makes several pieces before it sleeps again.
                if self._waiting <= self._room // 2 < before:
                    self._changed.notify_all()
                return piece
        error, self._error = self._error, None
        if error is not None:
            raise error
        raise StopIteration

    def close(self) -> None:
        """End the thread; nothing more can be taken. May be called twice."""
        with self._changed:
            self._closed = self._ended = True
            self._ready.clear()
            self._changed.notify_all()
        self._thread.join()

    def _run(self) -> None:
        error: BaseException | None = None
        try:
            for piece in self._pieces:
                with self._changed:
                    self._ready.append(piece)
                    self._waiting += len(piece.data)
                    self._changed.notify_all()
                    if self._waiting >= self._room:
                        while self._waiting > self._room // 2 and not self._closed:
                            self._changed.wait()
                    if self._closed:
                        return
        except BaseException as raised:  # noqa: BLE001 (whatever it is, it is raised again where the pieces are taken)
            error = raised
        finally:
            with self._changed:
                self._error = error
                self._ended = True
                self._changed.notify_all()
            self._done()
