"""Source -> the bytes of a capture, a chunk at a time, each with what the one before left over in front.

Of a large file the next chunk is read while the last one is looked at: reading is a copy, and takes as long
as a third of everything else.
"""

from __future__ import annotations

import mmap
from collections.abc import Callable
from threading import Semaphore, Thread

import numpy as np
from numpy.typing import NDArray

from analyzer.capture.memory import LARGE, release, take
from analyzer.capture.source import Source

HEADROOM = 512 << 10
"""Bytes in front of each chunk: what a walk leaves over of the last one, a record that is not whole, fits there."""
_SETTLING = 8 << 20
"""Bytes, more than any column of a chunk has: see _settle()."""
LEAST = 4 << 20
"""Bytes read at a time until it is known how large frames are, and where they are small."""


class Buffers:
    """What is read of a source. data: bytes that are valid until `next`; at: file offset of data[0].

    ended: nothing follows data. chunk: bytes read at a time, at most; wanted: from the next read on.
    """

    def __init__(self, source: Source, chunk: int) -> None:
        _settle()
        self._source = source
        self._chunk = chunk
        self._asked = self.wanted = min(chunk, LEAST)    # by the last read, from the next one on
        self._block = self._new_block()
        self._spare = self._block                        # of a thread another one
        self._pending = False                            # a read into _spare is under way
        self._reader: _Reader | None = None
        count = self._read(self._block)
        self.data: NDArray[np.uint8] = self._block[HEADROOM : HEADROOM + count]
        self.at = 0
        self.ended = count < self._asked

    def read_ahead(self) -> None:
        """From now on read the next chunk while the last one is in use, if that pays."""
        if self._source.size >= LARGE and not self._source.compression and not self.ended:
            self._spare = self._new_block()
            self._reader = _Reader(self._read)
            self._begin(self._reader)
        release()                        # of what is compressed one block is enough

    def next(self, left: int, need: int) -> None:
        """Go on behind data, of which the last `left` bytes are kept. need: bytes wanted in all, more than there are."""
        rest = self.data[len(self.data) - left :]
        self.at += len(self.data) - left
        count = -1
        if self._reader is not None and self._pending:
            count = self._reader.result()
            self._block, self._spare = self._spare, self._block
        if left <= HEADROOM:
            begin = HEADROOM - left
            self._block[begin:HEADROOM] = rest
            if count < 0:
                self._asked = self.wanted
                count = self._read(self._block)
            self.data = self._block[begin : HEADROOM + count]
            self.ended = count < self._asked
        else:
            self._grow(rest, max(count, 0), need)
        if self._reader is not None:
            self._pending = False
            if not self.ended:
                self._begin(self._reader)

    def close(self) -> None:
        """Wait for the read that is under way; there is no other one."""
        if self._reader is not None:
            self._reader.close()
            self._reader = None          # which knows this: memory is free without looking for circles

    def _begin(self, reader: _Reader) -> None:
        self._asked = self.wanted
        reader.begin(self._spare)
        self._pending = True

    def _grow(self, rest: NDArray[np.uint8], count: int, need: int) -> None:
        """Put data in memory of its own: what is left over, what was read ahead, and as much as a large record needs."""
        filled = len(rest) + count
        grown = np.empty(max(need, filled) + self._chunk, np.uint8)
        grown[: len(rest)] = rest
        grown[len(rest) : filled] = self._block[HEADROOM : HEADROOM + count]
        filled += self._source.readinto(grown.data[filled:])
        self.data = grown[:filled]
        self.ended = filled < len(grown)

    def _new_block(self) -> NDArray[np.uint8]:
        size = HEADROOM + self._chunk
        ready = take(size) if self._source.size >= LARGE else None
        return np.empty(size, np.uint8) if ready is None else np.frombuffer(ready, np.uint8, size)

    def _read(self, block: NDArray[np.uint8]) -> int:
        return self._source.readinto(block.data[HEADROOM : HEADROOM + self._asked])


class _Reader(Thread):
    """Fills one block after the other. Not concurrent.futures: that imports logging, for 8 ms.

    read: fills a block. Call begin() and result() in turn, close() at any time.
    """

    def __init__(self, read: Callable[[NDArray[np.uint8]], int]) -> None:
        super().__init__(name="reading", daemon=True)
        self._read = read
        self._block: NDArray[np.uint8] | None = None     # to be filled; None: there are no more
        self._asked, self._done = Semaphore(0), Semaphore(0)
        self._count = 0
        self._error: BaseException | None = None
        self.start()

    def begin(self, block: NDArray[np.uint8]) -> None:
        """Begin to fill a block."""
        self._block = block
        self._asked.release()

    def result(self) -> int:
        """Bytes that were filled in, once it is done. Raises what the read raised."""
        self._done.acquire()
        if self._error is not None:
            raise self._error
        return self._count

    def close(self) -> None:
        """End the thread."""
        self._block = None
        self._asked.release()
        self.join()

    def run(self) -> None:
        """The life of the thread."""
        while True:
            self._asked.acquire()
            block = self._block
            if block is None:
                return
            try:
                self._count = self._read(block)
            except BaseException as error:  # noqa: BLE001 (whatever it is, it is raised again where the bytes are taken)
                self._error = error
            self._done.release()


def _settle() -> None:
    """Have the allocator keep the memory of columns and decompressed pieces for the next ones.

    glibc takes whatever is larger than 128 KB from the system and gives it back at once, until it has seen something
    larger freed (mallopt(3), M_MMAP_THRESHOLD): each time all pages are new, which takes longer than filling them.
    """
    np.empty(_SETTLING, np.uint8)
    # The first of them in one piece: growing bit by bit waits for whoever else gets memory, the thread that reads.
    np.empty(_SETTLING - mmap.PAGESIZE, np.uint8)
