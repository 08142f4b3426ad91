"""Classic pcap records -> where each frame lies. draft-ietf-opsawg-pcap"""

from __future__ import annotations

import re
import struct
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from analyzer.capture.gather import gather, hits
from analyzer.capture.lanes import Guess, walk_in_lanes
from analyzer.capture.table import Frames
from analyzer.errors import CaptureError

FILE_HEADER = 24

_LANED = 1 << 20                     # chunks from this size on are walked in lanes
_SAMPLE = 1 << 15                    # bytes that tell how large records are
_LANE_RECORDS = 140
_FEWEST_LANES = 24                   # below, an array operation costs more than it saves
_TRIES = 32                          # places in them that look like one at first sight
_SEARCHED = 4096                     # bytes in which a lane's first record is looked for

_FOLLOWING = 8                       # records that must look sound for the first to be taken for one
_DAY = 86_400

_BYTE_ORDERS = (b"\x4d\x3c\x2b\x1a", b"\x1a\x2b\x3c\x4d")       # how a pcapng tells its own

MAX_FRAME = 262_144
"""Wireshark's largest frame; a record that claims more is broken."""
MAX_LARGE_FRAME = 128 << 20
LARGE_LINK_TYPES = frozenset({231, 249})       # D-Bus, USBPcap: their frames may be that large


class _Form(NamedTuple):
    """What a magic number says of the records that follow."""

    order: str
    header: int              # bytes before each frame
    nanoseconds: int         # in one unit of the time stamp's second word


_FORMS = {
    bytes.fromhex("d4c3b2a1"): _Form("<", 16, 1000),
    bytes.fromhex("a1b2c3d4"): _Form(">", 16, 1000),
    bytes.fromhex("4d3cb2a1"): _Form("<", 16, 1),
    bytes.fromhex("a1b23c4d"): _Form(">", 16, 1),
    # Kuznetzov's patched libpcap: interface, protocol and packet type follow the two lengths.
    bytes.fromhex("34cdb2a1"): _Form("<", 24, 1000),
    bytes.fromhex("a1b2cd34"): _Form(">", 24, 1000),
}


def is_pcap(head: bytes) -> bool:
    """Whether these first bytes are a classic pcap's."""
    return head[:4] in _FORMS


def is_pcapng(head: bytes) -> bool:
    """Whether these first bytes are a pcapng's section header. Here, for only who reads one needs what reads them."""
    return head[:4] == b"\x0a\x0d\x0d\x0a" and head[8:12] in _BYTE_ORDERS


def largest_frame(link_type: int) -> int:
    """The most bytes that a frame of this link type can have in a sound capture."""
    return MAX_LARGE_FRAME if link_type in LARGE_LINK_TYPES else MAX_FRAME


class PcapWalker:
    """Walks the records of one file. `head` is its 24-byte header.

    Raises CaptureError for a version that has other records.
    """

    format = "pcap"
    consumes = FILE_HEADER               # bytes of the file before the first record

    def __init__(self, head: bytes) -> None:
        form = _FORMS[head[:4]]
        if len(head) < FILE_HEADER:
            raise CaptureError(f"pcap header is cut short: {len(head)} of {FILE_HEADER} bytes")
        order = form.order
        major, minor, *_, network = struct.unpack(f"{order}HHIIII", head[4:FILE_HEADER])
        if major != 2 or minor > 4:
            raise CaptureError(f"pcap version {major}.{minor} is not known", 4)
        # Before 2.3 the two lengths stood in the other order, as Wireshark has it.
        captured, original = (8, 12) if minor >= 3 else (12, 8)
        self.link_type = network & 0xFFFF          # the upper half tells of an FCS
        self.drops = 0
        self.names: dict[bytes, str] = {}
        self._form = form
        self._length_at = captured
        self._length = struct.Struct(f"{order}I")
        self._apart = 0                            # bytes from record to record in the last chunk; 0: not known
        word = np.dtype(f"{order}u4")
        self._word = np.dtype({"names": ["size"], "formats": [word], "offsets": [captured], "itemsize": 16})
        self._record = np.dtype({
            "names": ["seconds", "fraction", "captured", "original"],
            "formats": [word] * 4,
            "offsets": [0, 4, captured, original],
            "itemsize": 16,
        })

    def walk(self, chunk: NDArray[np.uint8]) -> Frames:
        """The whole records of a chunk that begins at a record."""
        header = self._form.header
        limit = largest_frame(self.link_type)
        at = self._places(chunk)
        fields = gather(chunk, at, self._record)
        start = at + header
        captured = fields["captured"].astype(np.int64)
        broken = ""
        need = header
        consumed = 0
        if len(at):
            # Every record but the last is followed by another, so only the last may lack bytes.
            # A length that no frame has leads the walk astray: what comes after it is dropped.
            count = len(at)
            if int(captured.max()) > limit:
                count = int(np.argmax(captured > limit))
                broken = f"a record of {captured[count]} bytes; the largest frame has {limit}"
            elif int(start[-1] + captured[-1]) > len(chunk):
                count -= 1
            if count < len(at):
                consumed = int(at[count])
                need = header if broken else header + int(captured[count])
                at, start, captured, fields = at[:count], start[:count], captured[:count], fields[:count]
            else:
                consumed = int(start[-1] + captured[-1])
        time = fields["seconds"].astype(np.int64)
        time *= 1_000_000_000
        time += fields["fraction"].astype(np.int64) * self._form.nanoseconds
        return Frames(
            start, captured, fields["original"].astype(np.int64), time,
            np.broadcast_to(np.int32(self.link_type), len(at)), consumed, need, broken,
        )

    @property
    def header(self) -> int:
        """Bytes of a record before its frame."""
        return self._form.header

    def find(self, chunk: NDArray[np.uint8]) -> int:
        """Where in a piece from the middle of a file a record may begin: it and those behind it are sound. Or -1."""
        last = len(chunk) - self._form.header
        if last < 0:
            return -1
        every = np.ndarray((last + 1,), self._record, buffer=chunk, strides=(1,))
        largest = largest_frame(self.link_type)
        captured = every["captured"].astype(np.int64)
        like = (captured > 0) & (captured <= largest) & (captured <= every["original"]) & (every["original"] <= 1 << 28)
        like &= every["fraction"] < 1_000_000_000 // self._form.nanoseconds
        for place in hits(like).tolist():
            at, seconds = place, int(every[place]["seconds"])
            for behind in range(_FOLLOWING):
                if at > last:
                    if at == len(chunk) or behind > _FOLLOWING // 2:
                        return int(place)
                    break
                if not like[at] or abs(int(every[at]["seconds"]) - seconds) > _DAY:
                    break
                at += self._form.header + int(captured[at])
            else:
                return int(place)
        return -1

    def _places(self, chunk: NDArray[np.uint8]) -> NDArray[np.int64]:
        """Where records begin whose header is whole, in order."""
        if len(chunk) < _LANED:
            return self._chain(chunk, 0, len(chunk))
        guess = self._guess(chunk)
        starts = self._lane_starts(chunk, guess)
        if len(starts) < _FEWEST_LANES:
            return self._chain(chunk, 0, len(chunk))
        places = walk_in_lanes(chunk, starts, self._form.header, self._word, self._chain, guess)
        self._apart = len(chunk) // max(len(places), 1)
        return places

    def _chain(self, chunk: NDArray[np.uint8], begin: int, end: int) -> NDArray[np.int64]:
        """The same from one record on, those that begin before `end`, one after the other."""
        # Nothing is checked in this loop but the end of the chunk, which unpack_from does by itself.
        places: list[int] = []
        append = places.append
        length = self._length.unpack_from
        header = self._form.header
        at = begin + self._length_at
        data = chunk.data[:max(min(end + self._length_at + 3, len(chunk) - header + self._length_at + 4), 0)]
        try:
            while True:
                size, = length(data, at)
                append(at)
                at += size + header
        except struct.error:
            pass
        return np.fromiter(places, np.int64, len(places)) - self._length_at

    def _lane_starts(self, chunk: NDArray[np.uint8], guess: Guess) -> NDArray[np.int64]:
        """The first record, and places further on that look like records, some dozen records apart."""
        if not self._apart:
            self._apart = _SAMPLE // max(len(self._chain(chunk, 0, _SAMPLE)), 1)
        # Lanes a power of two apart would share cache sets, hence the odd least distance.
        apart = max(_LANE_RECORDS * self._apart, 5_300)
        starts = [0]
        for target in range(apart, len(chunk) - apart, apart):
            found = guess(target)
            if found > starts[-1]:
                starts.append(found)
        return np.array(starts, np.int64)

    def _guess(self, chunk: NDArray[np.uint8]) -> Guess:
        """Finds places where a record may begin: it and the next have the time of the chunk's first one."""
        header = self._form.header
        length = self._length.unpack_from
        high = 0 if self._form.order == ">" else 2
        stamp = chunk[high:high + 2].tobytes()         # the upper half of the seconds: 18 hours
        # Behind it lengths of less than 16 MB stand; the expression passes over most of what is no record.
        search = re.compile(re.escape(stamp) + (b".{6}\0...\0" if high == 0 else b".{7}\0...\0"), re.DOTALL).search
        data = chunk.data
        last = len(chunk) - header

        def near(target: int) -> int:
            found = search(data, target, target + _SEARCHED)
            for _ in range(_TRIES):
                if found is None:
                    break
                place = found.start() - high
                size, = length(data, place + self._length_at)
                following = place + header + size
                if size and following <= last and data[following + high:following + high + 2] == stamp:
                    return place
                found = search(data, found.start() + 1, target + _SEARCHED)
            return -1

        return near
