"""Name resolution and statistics blocks -> host names, and packets lost while capturing."""

from __future__ import annotations

import struct

import numpy as np
from numpy.typing import NDArray

from analyzer.capture.gather import hits
from analyzer.capture.pcapng_interfaces import numbers, options

MAX_NAMES = 100_000                      # host names kept; a hostile file could repeat them for ever
MAX_NAME = 255                           # characters of one. RFC 1035 2.3.4
MAX_RECORDS = 400_000
"""Records of name resolution blocks that are looked at, and statistics blocks, of each interface the last of a chunk."""
MAX_LOSSES = 65_536                      # interfaces of all sections whose losses are kept

_ADDRESS = {1: 4, 2: 16}                 # code of a record -> bytes of the address
_IFDROP, _OSDROP = 5, 7


class Remarks:
    """What a file says beside its packets.

    names: address (4 or 16 bytes) -> host name; drops: (section, interface) -> packets lost, as last told.
    """

    def __init__(self) -> None:
        self.names: dict[bytes, str] = {}
        self.drops: dict[tuple[int, int], int] = {}
        self._records = self._statistics = MAX_RECORDS   # still to be looked at

    def take_names(
        self, chunk: NDArray[np.uint8], at: NDArray[np.int64], end: NDArray[np.int64], big: NDArray[np.bool_]
    ) -> None:
        """Name resolution blocks that begin at `at`. The first name of an address is kept."""
        if not self._records:
            return
        for first, last, order in zip(at.tolist(), end.tolist(), big.tolist(), strict=True):
            self._names_of(chunk.data[first + 8:last - 4], struct.Struct(">HH" if order else "<HH"))
            if not self._records:
                return

    def _names_of(self, body: memoryview, head: struct.Struct) -> None:
        at = 0
        while at + 4 <= len(body) and self._records:
            self._records -= 1
            code, length = head.unpack_from(body, at)
            at += 4
            if code == 0 or at + length > len(body):
                return
            size = _ADDRESS.get(code, 0)
            if size and length > size and len(self.names) < MAX_NAMES:
                value = bytes(body[at:at + length])
                name = value[size:].split(b"\0", 1)[0].decode("utf-8", "replace")[:MAX_NAME]
                if name:
                    self.names.setdefault(value[:size], name)
            at += length + 3 & ~3

    def take_statistics(
        self, chunk: NDArray[np.uint8], at: NDArray[np.int64], end: NDArray[np.int64], big: NDArray[np.bool_],
        interfaces: tuple[NDArray[np.int64], NDArray[np.int64]],
    ) -> None:
        """Statistics blocks of at least 24 bytes that begin at `at`, in order. interfaces: section and number of each."""
        section, interface = interfaces
        if not self._statistics:
            return
        order = np.lexsort((interface, section))
        last = np.ones(len(order), np.bool_)
        last[:-1] = (np.diff(section[order]) != 0) | (np.diff(interface[order]) != 0)
        which = np.sort(order[last])[:self._statistics]
        self._statistics -= len(which)
        lost = [0] * len(which)
        for code, row, place, size in options(chunk, at[which] + 20, end[which] - 4, big[which]):
            told = hits(((code == _IFDROP) | (code == _OSDROP)) & (size >= 8))
            if len(told):
                counts = numbers(chunk, place[told], big[which][row[told]])
                for one, count in zip(row[told].tolist(), counts.tolist(), strict=True):
                    lost[one] += count if count < 1 << 63 else 0        # all ones: not known
        for one, count in zip(zip(section[which].tolist(), interface[which].tolist(), strict=True), lost, strict=True):
            if one in self.drops or len(self.drops) < MAX_LOSSES:
                self.drops[one] = count
