"""Source -> the bytes of a capture, a chunk at a time, each with what the one before left over in front.

Of a large file the next chunk is read while the last one is looked at: reading is a copy, and takes as long
as a third of everything else.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from analyzer.capture.source import Source

if TYPE_CHECKING:
    from concurrent.futures import Future, ThreadPoolExecutor

HEADROOM = 512 << 10
"""Bytes in front of each chunk: what a walk leaves over of the last one, a record that is not whole, fits there."""
_SETTLING = 8 << 20
"""Bytes, more than any column of a chunk has: see _settle()."""
LARGE = 64 << 20
"""Bytes of a file from which on it pays to start a thread."""


class Buffers:
    """What is read of a source. data: bytes that are valid until `next`; at: file offset of data[0].

    ended: nothing follows data. chunk: bytes read at a time.
    """

    def __init__(self, source: Source, chunk: int) -> None:
        _settle()
        self._source = source
        self._chunk = chunk
        self._block = self._new_block()
        self._pending: Future[int] | None = None         # of a read into _spare
        self._spare: NDArray[np.uint8] | None = None
        self._reader: ThreadPoolExecutor | None = None
        count = self._read(self._block)
        self.data: NDArray[np.uint8] = self._block[HEADROOM : HEADROOM + count]
        self.at = 0
        self.ended = count < chunk

    def read_ahead(self) -> None:
        """From now on read the next chunk while the last one is in use, if that pays."""
        if self._source.size >= LARGE and not self._source.compression and not self.ended:
            from concurrent.futures import ThreadPoolExecutor

            self._reader = ThreadPoolExecutor(1, "reading")
            self._spare = self._new_block()
            self._pending = self._reader.submit(self._read, self._spare)

    def next(self, left: int, need: int) -> None:
        """Go on behind data, of which the last `left` bytes are kept. need: bytes wanted in all, more than there are."""
        rest = self.data[len(self.data) - left :]
        self.at += len(self.data) - left
        count = -1
        if self._pending is not None:
            count = self._pending.result()
            assert self._spare is not None
            self._block, self._spare = self._spare, self._block
        if left <= HEADROOM:
            begin = HEADROOM - left
            self._block[begin:HEADROOM] = rest
            if count < 0:
                count = self._read(self._block)
            self.data = self._block[begin : HEADROOM + count]
            self.ended = count < self._chunk
        else:
            self._grow(rest, max(count, 0), need)
        if self._reader is not None:
            self._pending = None if self.ended else self._reader.submit(self._read, self._spare)

    def close(self) -> None:
        """Wait for the read that is under way; there is no other one."""
        if self._reader is not None:
            self._reader.shutdown()

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
        return np.empty(HEADROOM + self._chunk, np.uint8)

    def _read(self, block: NDArray[np.uint8] | None) -> int:
        assert block is not None
        return self._source.readinto(block.data[HEADROOM:])


def _settle() -> None:
    """Have the allocator keep the memory of columns and decompressed pieces for the next ones.

    glibc takes whatever is larger than 128 KB from the system and gives it back at once, until it has seen something
    larger freed (mallopt(3), M_MMAP_THRESHOLD): each time all pages are new, which takes longer than filling them.
    """
    np.empty(_SETTLING, np.uint8)
