"""Captures of Microsoft Network Monitor -> where each frame lies.

The file ends with a table of where its frames begin; they need not follow each other. Where the
file cannot be sought (a pipe, compressed) they are taken to, from byte 128 to that table.
"""

from __future__ import annotations

import struct
from datetime import datetime
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from analyzer.capture.gather import gather
from analyzer.capture.links import NETMON_WLAN
from analyzer.capture.pcap import MAX_FRAME
from analyzer.capture.source import Source
from analyzer.capture.table import Frames
from analyzer.errors import CaptureError

_FILE_HEADER = 128
_MAX_TABLE = 64 << 20                # bytes of frame table: 16 million frames
_EPOCH_1601 = 11_644_473_600         # seconds from 1601-01-01, where FILETIME begins, to 1970-01-01

_LAST_SECOND = 9_000_000_000         # the year 2255; 64 bits of nanoseconds end in 2262

_OTHER = 0x10000                     # + network type: one that has no LINKTYPE_ value
_LINK_TYPES = {0: 1, 1: 1, 2: 6, 3: 10, 6: NETMON_WLAN, 7: 101, 8: 101, 9: 101, 0xE080: 105}
_NO_FRAME = (0xFFFC, 0xFFFD, 0xFFFE)   # metadata that Wireshark does not number

_RECORD_1 = np.dtype([("time", "<u4"), ("original", "<u2"), ("captured", "<u2")])
_RECORD_2 = np.dtype([("time", "<i8"), ("original", "<u4"), ("captured", "<u4")])
_NETWORK = np.dtype([("network", "<u2")])
_TRAILER = np.dtype([("network", "<u2"), ("process", "<u4"), ("time", "<u8"), ("zone", "u1")])


class _Header(NamedTuple):
    version: int                     # 1 to 2.3 as 0x100 to 0x203
    link_type: int
    began_ns: int
    table: int                       # offset of the frame table
    table_size: int


def _header(head: bytes) -> _Header:
    if len(head) < _FILE_HEADER:
        raise CaptureError(f"Network Monitor header is cut short: {len(head)} of {_FILE_HEADER} bytes")
    minor, major, network, *when, table, size = struct.unpack_from("<BBH8HII", head, 4)
    if major not in (1, 2):
        raise CaptureError(f"Network Monitor version {major}.{minor} is not known", 4)
    year, month, _, day, hour, minute, second, millisecond = when
    try:
        # Written in the local time of an unknown zone; read as UTC, like all times.
        began = datetime(year, month, day, hour, minute, second)  # noqa: DTZ001
    except ValueError:
        seconds = 0
    else:
        seconds = int((began - datetime(1970, 1, 1)).total_seconds())  # noqa: DTZ001
    if abs(seconds) > _LAST_SECOND:
        seconds = 0
    return _Header(
        major << 8 | minor, _LINK_TYPES.get(network, _OTHER | network),
        (seconds * 1000 + millisecond) * 1_000_000, table, size,
    )


class NetmonWalker:
    """Walks the frames of one file. `head` begins with its 128-byte header; the source may be sought."""

    format = "netmon"
    consumes = _FILE_HEADER
    drops = 0

    def __init__(self, head: bytes, source: Source) -> None:
        self._header = header = _header(head)
        self.names: dict[bytes, str] = {}
        self._record: np.dtype[Any] = _RECORD_2 if header.version >= 0x200 else _RECORD_1
        trailers = {0x201: 2, 0x202: 6}
        self._trailer = trailers.get(header.version, 15 if header.version > 0x202 else 0)
        self._at = _FILE_HEADER          # file offset of the next chunk
        self._table: NDArray[np.int64] | None = None
        stored = source.stored_at(header.table, min(header.table_size & ~3, _MAX_TABLE))
        if stored is not None:
            table = np.frombuffer(stored[:len(stored) & ~3], "<u4").astype(np.int64)
            if not len(table):
                raise CaptureError("the frame table of this Network Monitor capture is missing", header.table)
            if int(table[0]) < _FILE_HEADER or (np.diff(table) <= 0).any():
                raise CaptureError("the frame table of this Network Monitor capture is not in order", header.table)
            self._table = table

    def walk(self, chunk: NDArray[np.uint8]) -> Frames:
        """The whole frames of a chunk that follows the last one."""
        places = self._places(chunk)
        header = self._record.itemsize
        fields = gather(chunk, places, self._record)
        captured = fields["captured"].astype(np.int64)
        size = header + captured + self._trailer
        limit = min(len(chunk), self._header.table - self._at) if self._table is None else len(chunk)
        short = places + size > limit
        wrong = captured > MAX_FRAME
        count = int(np.argmax(short | wrong)) if (short | wrong).any() else len(places)
        broken = ""
        if count < len(places):
            consumed = int(places[count])
            if wrong[count]:
                broken = f"a record of {captured[count]} bytes; the largest frame has {MAX_FRAME}"
            need = int(size[count]) if not broken else header
        else:
            consumed, need = self._rest(places, size, len(chunk))
        self._at += consumed
        if self._table is not None:
            self._table = self._table[count:]
        start, captured, fields = places[:count] + header, captured[:count], fields[:count]
        time = self._header.began_ns + fields["time"].astype(np.int64) * (
            1000 if self._record is _RECORD_2 else 1_000_000
        )
        link_type = np.full(count, self._header.link_type, np.int32)
        if self._trailer and count:
            trailer = gather(chunk, start + captured, _TRAILER if self._trailer == 15 else _NETWORK)
            link_type = _link_types(trailer["network"])
            if self._trailer == 15:
                time = (trailer["time"].astype(np.int64) - _EPOCH_1601 * 10_000_000) * 100
            kept = ~np.isin(trailer["network"], _NO_FRAME)
            start, captured, time = start[kept], captured[kept], time[kept]
            link_type, fields = link_type[kept], fields[kept]
        return Frames(
            start, captured, fields["original"].astype(np.int64), time, link_type, consumed, need, broken
        )

    def _places(self, chunk: NDArray[np.uint8]) -> NDArray[np.int64]:
        """Where frames begin in the chunk whose header is whole."""
        header = self._record.itemsize
        if self._table is not None:
            here = self._table - self._at
            return here[:int(np.searchsorted(here, len(chunk) - header, side="right"))]
        end = min(len(chunk), self._header.table - self._at) - header
        size = struct.Struct("<I" if self._record is _RECORD_2 else "<H").unpack_from
        length_at = header - (4 if self._record is _RECORD_2 else 2)
        places: list[int] = []
        at = 0
        while at <= end:
            places.append(at)
            at += header + size(chunk.data, at + length_at)[0] + self._trailer
        return np.array(places, np.int64)

    def _rest(self, places: NDArray[np.int64], size: NDArray[np.int64], length: int) -> tuple[int, int]:
        """What is consumed of a chunk all of whose frames are whole, and how long the next one is."""
        after = int(places[-1] + size[-1]) if len(places) else 0
        if self._table is not None:
            left = self._table[len(places):]
            # What stands between frames, or behind the last one, is not looked at.
            return (min(int(left[0]) - self._at, length) if len(left) else length), self._record.itemsize
        ended = self._at + after + self._record.itemsize > self._header.table
        return (length if ended else after), self._record.itemsize


def _link_types(network: NDArray[Any]) -> NDArray[np.int32]:
    """LINKTYPE_ values of network types. 0xE000 and above hold one, of a converted pcap."""
    result = network.astype(np.int32) | _OTHER
    converted = (network & 0xF000 == 0xE000) & ((network < 0xE080) | (network > 0xE08A))
    result[converted] = network[converted] & 0x0FFF
    for number, link_type in _LINK_TYPES.items():
        result[network == number] = link_type
    return result
