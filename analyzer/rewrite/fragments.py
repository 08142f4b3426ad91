"""IP fragments of TCP segments -> the same fragments under pseudonyms.

The segment is put together where its last fragment arrives; where each fragment's bytes belong is
learned in a first reading. Fragments of anything else stay without payload.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from analyzer.capture.headers import PEELERS, Decoder
from analyzer.capture.layers import IP4, IP6, IPV4
from analyzer.capture.reader import CaptureReader
from analyzer.capture.table import PacketTable, SegmentTable
from analyzer.rewrite.checksums import checksum
from analyzer.rewrite.headers import Bytes, Seen, Sheet, watching
from analyzer.rewrite.speech import Speech
from analyzer.tcp.connection import RST, SYN
from analyzer.tcp.flows import FlowTable

_MAX_PENDING = 100_000               # fragments of datagrams that are not whole yet
_FRAGMENT6 = IP6 + 44
_TCP = 6
_EXTENSIONS = frozenset((0, 43, 60, 135, 139, 140))

Key = tuple[bytes, int]


class Segments(NamedTuple):
    """The segments of a chunk, and the stream and side of each."""

    table: SegmentTable
    stream: NDArray[np.int64]
    side: NDArray[np.uint8]


class Fragment(NamedTuple):
    """Where the bytes of one frame's fragment belong: to extension headers of `lead` bytes and a segment.

    header: bytes before its payload, `lead` among them; length: of its payload.
    """

    stream: int
    side: int
    seq: int                 # of the first payload byte
    reset: bool
    lead: int
    header: int
    length: int
    offset: int              # of the fragment in the segment


class _Place(NamedTuple):
    """A fragment in a chunk."""

    row: int
    key: Key                 # addresses and identification
    offset: int              # in its datagram
    begin: int               # in the chunk
    end: int
    ip: int
    v6: bool


class FragmentPlan:
    """What is known of each frame that is a fragment of a TCP segment."""

    def __init__(self) -> None:
        self._pending: dict[Key, list[tuple[int, int]]] = {}
        self._count = 0
        self._fragments: dict[int, Fragment] = {}

    def __len__(self) -> int:
        return len(self._fragments)

    def of(self, frame: int) -> Fragment | None:
        """What a frame's fragment is, None where that is not known."""
        return self._fragments.get(frame)

    def by_stream(self) -> dict[int, list[int]]:
        """The frames of each tcp.stream that has fragments, ascending."""
        frames: dict[int, list[int]] = {}
        for frame in sorted(self._fragments):
            frames.setdefault(self._fragments[frame].stream, []).append(frame)
        return frames

    def read(self, reader: CaptureReader) -> None:
        """Learn from a whole capture. Raises CaptureError where nothing can be read."""
        seen: list[Seen] = []
        decoder, flows = Decoder(watching(PEELERS, seen)), FlowTable()
        for table in reader.tables():
            seen.clear()
            segments = decoder.decode(table)
            assigned = flows.assign(segments)
            self.learn(table, Segments(segments, assigned.stream, assigned.side), seen)

    def learn(self, table: PacketTable, segments: Segments, seen: list[Seen]) -> None:
        """Take note of the fragments of a chunk, and of the segments that they complete."""
        places = sorted(_places(table.data, seen))
        if not places:
            return
        whole = dict(_whole(segments, seen, len(table.data)))
        for place in places:
            frame = table.first_frame + place.row
            self._pending.setdefault(place.key, []).append((frame, place.offset))
            self._count += 1
            segment = whole.get(place.row)
            if segment is not None:
                for part, offset in self._take(place.key):
                    self._fragments[part] = segment._replace(offset=offset)
            while self._count > _MAX_PENDING:
                self._take(next(iter(self._pending)))

    def _take(self, key: Key) -> list[tuple[int, int]]:
        parts = self._pending.pop(key)
        self._count -= len(parts)
        return parts


def _whole(segments: Segments, seen: list[Seen], size: int) -> Iterator[tuple[int, Fragment]]:
    """Row and segment, where it was put together from fragments: its bytes stand behind the chunk's."""
    table = segments.table
    behind = np.flatnonzero((table.payload > size) & (table.icmp == 0) & (segments.stream >= 0))
    by_payload = {int(table.payload[row]): row for row in behind.tolist()}
    for kind, rows in seen:
        if kind not in (IP4 + 6, IP6 + 6):
            continue
        fixed = 20 if kind < IP6 else 40
        for row, at, ip in zip(rows.row.tolist(), rows.at.tolist(), rows.ip.tolist(), strict=True):
            if at < size or ip < size or at + 20 > len(table.data):
                continue
            lead = at - ip - fixed
            header = (int(table.data[at + 12]) >> 4) * 4
            segment = by_payload.get(at + header)
            if segment is None:
                continue
            flags = int(table.flags[segment])
            yield row, Fragment(
                int(segments.stream[segment]), int(segments.side[segment]),
                int(table.seq[segment]) + bool(flags & SYN), bool(flags & RST),
                lead, lead + header, int(table.length[segment]), 0,
            )


def _places(data: Bytes, seen: list[Seen]) -> Iterator[_Place]:
    """The fragments of TCP in a chunk."""
    for kind, rows in seen:
        if kind not in (IPV4, _FRAGMENT6):
            continue
        found = rows.where((rows.at < len(data)) & (rows.at + 20 <= rows.have + 12 * (kind == _FRAGMENT6)))
        v6 = kind == _FRAGMENT6
        at = found.at
        if not v6:
            part = (data[at + 6].astype(np.int64) << 8 | data[at + 7]) & 0x3FFF
            found = found.take(np.flatnonzero((part != 0) & (data[at + 9] == _TCP)))
        for row, begin, have, end, ip in zip(
            found.row.tolist(), found.at.tolist(), found.have.tolist(), found.end.tolist(), found.ip.tolist(),
            strict=True,
        ):
            head = data[begin : begin + 20].tobytes()
            if v6:
                if head[0] != _TCP and head[0] not in _EXTENSIONS:
                    continue
                key = (data[ip + 8 : ip + 40].tobytes(), int.from_bytes(head[4:8], "big"))
                yield _Place(row, key, int.from_bytes(head[2:4], "big") & 0xFFF8, begin + 8, min(have, end), ip, True)
                continue
            total = int.from_bytes(head[2:4], "big")
            first = begin + (head[0] & 15) * 4
            last = min(have, end, begin + total if total else end)
            offset = (int.from_bytes(head[6:8], "big") & 0x1FFF) * 8
            key = (head[12:20], int.from_bytes(head[4:6], "big"))
            if first <= last:
                yield _Place(row, key, offset, first, last, begin, False)


def mask_fragments(sheet: Sheet, table: PacketTable, seen: list[Seen], plan: FragmentPlan, speech: Speech) -> None:
    """Write the fragments whose segments are known."""
    if not len(plan):
        return
    view = sheet.new.data
    for place in _places(sheet.old, seen):
        frame = table.first_frame + place.row
        part = plan.of(frame)
        if part is None:
            continue
        _head(sheet, place, part)
        skip = max(part.header - part.offset, 0)
        begin = place.begin + skip
        if begin < place.end and not part.reset:
            seq = part.seq + part.offset + skip - part.header
            view[begin : place.end] = speech.said(part.stream, part.side, seq, place.end - begin, frame)
        if part.offset == 0 and place.begin + part.lead + 20 <= place.end:
            _sum(sheet, place, part, speech)


def _head(sheet: Sheet, place: _Place, part: Fragment) -> None:
    """The extension headers' numbers and lengths, and the segment's header without its options."""
    view = sheet.new.data
    spans = [(part.lead, 20)]
    at = 0
    while part.offset == 0 and at < part.lead and place.begin + at + 2 <= place.end:
        spans.append((at, 2))
        at += (int(sheet.old[place.begin + at + 1]) + 1) * 8
    for start, size in spans:
        begin = max(place.begin + start - part.offset, place.begin)
        end = min(place.begin + start + size - part.offset, place.end)
        if begin < end:
            view[begin:end] = sheet.old[begin:end].tobytes()


def _sum(sheet: Sheet, place: _Place, part: Fragment, speech: Speech) -> None:
    """The checksum of the whole segment, made anew: its bytes are spread over frames."""
    view = sheet.new.data
    at = place.begin + part.lead
    head = bytearray(view[at : min(place.begin + part.header, place.end)])
    head[16:18] = b"\0\0"
    payload = bytes(part.length) if part.reset else speech.said(part.stream, part.side, part.seq, part.length, 0)
    body = bytes(head).ljust(part.header - part.lead, b"\0") + payload
    first, last = (place.ip + 8, place.ip + 40) if place.v6 else (place.ip + 12, place.ip + 20)
    pseudo = bytes(view[first:last]) + len(body).to_bytes(4, "big") + (_TCP).to_bytes(4, "big")
    view[at + 16 : at + 18] = checksum(pseudo + body).to_bytes(2, "big")

