"""Records of Sun's snoop -> where each frame lies. RFC 1761"""

from __future__ import annotations

import struct

import numpy as np
from numpy.typing import NDArray

from analyzer.capture.gather import gather
from analyzer.capture.pcap import MAX_FRAME
from analyzer.capture.table import Frames
from analyzer.errors import CaptureError

_FILE_HEADER = 16
_HEADER = 24                         # before each frame
_OTHER = 0x20000                     # + datalink type: one that has no LINKTYPE_ value we know

# Datalink types of RFC 1761 and of Solaris' dlpi.h, as LINKTYPE_ values.
_LINK_TYPES = {0: 1, 4: 1, 9: 0, 14: 0, 2: 6, 8: 10}

_RECORD = np.dtype([
    ("original", ">u4"), ("captured", ">u4"), ("size", ">u4"), ("drops", ">u4"),
    ("seconds", ">u4"), ("microseconds", ">u4"),
])


class SnoopWalker:
    """Walks the records of one file. `head` begins with its 16-byte header.

    drops: packets lost while capturing, as the last record read counts them.
    """

    format = "snoop"
    consumes = _FILE_HEADER

    def __init__(self, head: bytes) -> None:
        if len(head) < _FILE_HEADER:
            raise CaptureError(f"snoop header is cut short: {len(head)} of {_FILE_HEADER} bytes")
        version, link_type = struct.unpack_from(">II", head, 8)
        if version != 2:
            raise CaptureError(f"snoop version {version} is not known", 8)
        self.link_type = _LINK_TYPES.get(link_type, _OTHER | link_type & 0xFFFF)
        self.drops = 0
        self.names: dict[bytes, str] = {}

    def walk(self, chunk: NDArray[np.uint8]) -> Frames:
        """The whole records of a chunk that begins at a record."""
        places: list[int] = []
        size = struct.Struct(">I").unpack_from
        data = chunk.data
        at, end = 0, len(data) - _HEADER
        while at <= end:
            places.append(at)
            length, = size(data, at + 8)
            if length < _HEADER:
                break
            at += length
        start = np.array(places, np.int64)
        fields = gather(chunk, start, _RECORD)
        captured, length = fields["captured"].astype(np.int64), fields["size"].astype(np.int64)
        wrong = (captured + _HEADER > length) | (captured > MAX_FRAME)
        broken = ""
        count = len(places)
        if wrong.any():
            count = int(np.argmax(wrong))
            broken = f"a record of {length[count]} bytes that claims {captured[count]} bytes of frame"
        elif count and at > len(data):
            count -= 1
        consumed = places[count] if count < len(places) else at
        need = _HEADER if broken or count == len(places) else int(length[count])
        fields, start, captured = fields[:count], start[:count], captured[:count]
        if count:
            self.drops = int(fields["drops"][-1])
        time = fields["seconds"].astype(np.int64) * 1_000_000_000
        time += fields["microseconds"].astype(np.int64) * 1000
        return Frames(
            start + _HEADER, captured, fields["original"].astype(np.int64), time,
            np.full(count, self.link_type, np.int32), consumed, need, broken,
        )
