"""PacketTable -> SegmentTable: link, IP and TCP headers of a whole chunk at once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analyzer.capture import links, tunnels
from analyzer.capture.census import Census, Counter
from analyzer.capture.fragments import Reassembler
from analyzer.capture.gather import distinct, hits
from analyzer.capture.layers import (
    COUNTED,
    ETHERNET,
    IP4,
    IP6,
    IPV4,
    IPV4_HEADER,
    IPV6,
    IPV6_HEADER,
    LINK,
    QUIC,
    QUOTE,
    ROCE,
    TCP_HEADER,
    TUNNEL,
    UNSIZED_V6,
    Chunk,
    Fragments,
    Peeler,
    Rows,
    Segments,
)
from analyzer.capture.table import PacketTable, SegmentTable
from analyzer.capture.usual import Usual

_NESTED = 8                          # datagrams put together from fragments inside such datagrams


class Decoder:
    """Decodes the chunks of one capture, in order: fragments go on from one to the next.

    unknown_link_packets: frames of link types that are not decoded, and unknown_link_types which;
    fragments_dropped: datagrams never put together because too many were unfinished at once.
    peelers: by kind of header; others than the standard ones see what is peeled.
    """

    def __init__(self, peelers: Mapping[int, Peeler] | None = None) -> None:
        self._peelers = PEELERS if peelers is None else peelers
        self.unknown_link_packets = 0
        self.unknown_link_types: set[int] = set()
        self._reassembler = Reassembler()
        self._counter = Counter()
        self._usual = Usual(_SORTS)

    def __getstate__(self) -> dict[str, Any]:
        # Peelers are functions and do not travel; a decoder that was sent decodes no further.
        return {**self.__dict__, "_peelers": {}}

    @property
    def fragments_dropped(self) -> int:
        """Unfinished datagrams given up for want of room."""
        return self._reassembler.dropped

    @property
    def fragments_passed(self) -> tuple[int, int]:
        """Fragments not looked at because too many small ones came before them, and the frame of the first."""
        return self._reassembler.passed

    @property
    def census(self) -> Census:
        """What the capture holds, as far as it has been decoded."""
        return self._counter.result()

    def decode(self, table: PacketTable) -> SegmentTable:
        """The TCP segments of a chunk, in capture order; data is the chunk's, or a longer copy."""
        chunk = Chunk(table.data, self._peelers)
        if table.rows:
            kinds = self._note_links(table.link_type)
            rows = Rows(
                np.arange(table.rows), table.start, table.start + table.original, table.start + table.captured,
                np.full(table.rows, -1), np.zeros(table.rows, np.uint32),
            )
            if self._peelers is PEELERS and kinds == [ETHERNET - LINK]:
                chunk.push(ETHERNET, self._usual.take(chunk, rows))
            else:
                chunk.dispatch(LINK, table.link_type, rows)
            chunk.peel()
            for _ in range(_NESTED):
                if not chunk.fragments or not self._reassembler.complete(chunk, table.first_frame):
                    break
                chunk.peel()
        segments = _table(table, chunk)
        self._counter.add(chunk, segments, table.first_frame)
        return segments

    def watch_fragments(self) -> None:
        """Note what follow() must know; before the first chunk."""
        self._reassembler.seen = set()

    def follow(self, later: Decoder, frames: int) -> bool:
        """Become what decodes on where this one ended. False, and nothing is changed: fragments go across.

        later: has decoded what comes next, as a capture of its own, with its fragments watched.
        frames: how many came before that.
        """
        if not self._reassembler.follow(later._reassembler):
            return False
        self._counter.follow(later._counter, frames)
        self.unknown_link_packets += later.unknown_link_packets
        self.unknown_link_types |= later.unknown_link_types
        return True

    def _note_links(self, link_type: NDArray[np.int32]) -> list[int]:
        """Count frames that are not decoded. Returns the link types that there are."""
        kinds: list[int] = distinct(link_type).tolist()
        for kind in kinds:
            if LINK + kind not in PEELERS or kind < 0:
                self.unknown_link_types.add(kind)
                self.unknown_link_packets += int(np.count_nonzero(link_type == kind))
        return kinds


def _ipv4(chunk: Chunk, rows: Rows) -> None:
    rows = rows.holding(20)
    header = chunk.gather(rows.at, IPV4_HEADER)
    first = header["version"]
    if not (first == 0x45).all():
        # Cooked captures have been seen with IPv6 under the type of IPv4; Wireshark goes on there.
        chunk.push(IPV6, rows.take(hits(first >> 4 == 6)))
        sound = hits((first >> 4 == 4) & (first & 15 >= 5))
        rows, header = rows.take(sound), header.take(sound)
    size = (header["version"] & 15).astype(np.int64) << 2
    total = header["total"].astype(np.int64)
    if (total < size).any():
        # A length of zero is written by segmentation offload: the frame's own length counts.
        total[total == 0] = 1 << 40
        sound = hits(total >= size)
        rows, header, size, total = rows.take(sound), header.take(sound), size[sound], total[sound]
    ip = rows.at
    rows = rows._replace(at=ip + size, end=np.minimum(rows.end, ip + total), ip=ip)
    fragment = header["fragment"] & 0x3FFF
    if fragment.any():
        part = hits(fragment)
        place = fragment[part].astype(np.int64)
        chunk.divide(Fragments(
            rows.take(part), False, header["protocol"][part], header["id"][part],
            (place & 0x1FFF) << 3, place & 0x2000 != 0,
        ))
        whole = hits(fragment == 0)
        rows, header = rows.take(whole), header.take(whole)
    chunk.dispatch(IP4, header["protocol"], rows)


def _ipv6(chunk: Chunk, rows: Rows) -> None:
    rows = rows.holding(40)
    header = chunk.gather(rows.at, IPV6_HEADER)
    sound = header["version"] >> 28 == 6
    if not sound.all():
        which = hits(sound)
        rows, header = rows.take(which), header.take(which)
    payload = header["payload"].astype(np.int64)
    mark = rows.mark
    empty = payload == 0
    if empty.any():
        payload[empty] = 1 << 40
        mark = mark | np.where(empty, np.uint32(UNSIZED_V6), np.uint32(0))
    ip = rows.at
    rows = rows._replace(at=ip + 40, end=np.minimum(rows.end, ip + 40 + payload), ip=ip, mark=mark)
    chunk.dispatch(IP6, header["next"], rows)


def _tcp(chunk: Chunk, rows: Rows, *, v6: bool) -> None:
    """Wireshark finds the conversation once 16 bytes are there, before it looks at the header length."""
    there = np.minimum(rows.have, rows.end) - rows.at
    enough = there >= (np.where(rows.mark & QUOTE, 8, 16) if rows.mark.any() else 16)
    if not enough.all():
        which = hits(enough)
        rows, there = rows.take(which), there[which]
    tcp = chunk.gather(rows.at, TCP_HEADER)
    ip = chunk.gather(rows.ip, IPV6_HEADER if v6 else IPV4_HEADER)
    chunk.found.append(Segments.of(rows, v6, ip, tcp, there))


PEELERS: dict[int, Peeler] = {
    **links.PEELERS,
    **tunnels.PEELERS,
    IPV4: _ipv4,
    IPV6: _ipv6,
    IP4 + 6: lambda chunk, rows: _tcp(chunk, rows, v6=False),
    IP6 + 6: lambda chunk, rows: _tcp(chunk, rows, v6=True),
}

_SORTS = np.zeros(1 << 16, np.uint8)             # by UDP port: COUNTED, TUNNEL
_SORTS[[QUIC, ROCE]] |= COUNTED
_SORTS[list(tunnels.UDP_PORTS)] |= TUNNEL

_NONE = np.zeros(0, np.int64)
_NOTHING = Segments(
    _NONE, False, np.zeros(0, IPV4_HEADER), np.zeros(0, TCP_HEADER), _NONE, _NONE, _NONE,
    np.zeros(0, np.uint32), np.zeros(0, np.bool_), np.zeros(0, np.bool_),
)


def _table(packets: PacketTable, chunk: Chunk) -> SegmentTable:
    """All segments found, in capture order."""
    found = chunk.found or [_NOTHING]
    tables = [_columns(packets, chunk, part) for part in found]
    first = tables[0].frame
    # Rows that came to the same header by different ways, tagged and untagged, stand one after the other.
    if len(tables) == 1 and not (first[1:] < first[:-1]).any():
        return tables[0]
    order = np.argsort(np.concatenate([part.frame for part in tables]), kind="stable")
    place = np.empty(len(order), np.int64)
    place[order] = np.arange(len(order))
    begin = np.cumsum([0, *(part.rows for part in tables[:-1])]).tolist()

    def column(name: str) -> NDArray[Any]:
        merged: NDArray[Any] = np.concatenate([getattr(part, name) for part in tables])
        return merged[order]

    def index(name: str) -> NDArray[np.int64]:
        parts = [getattr(part, name) + first for part, first in zip(tables, begin, strict=True)]
        return np.sort(place[np.concatenate(parts)])

    return SegmentTable(
        chunk.data, column("frame"), column("time_ns"), column("v6"),
        column("src_high"), column("src_low"), column("dst_high"), column("dst_low"),
        column("src_port"), column("dst_port"), column("seq"), column("ack"), column("flags"),
        column("ttl"), column("payload"), column("length"), column("present"), column("icmp"),
        {frame: address for part in tables for frame, address in part.reporters.items()},
        index("unnumbered"), index("unsized"),
    )


def _columns(packets: PacketTable, chunk: Chunk, part: Segments) -> SegmentTable:
    tcp, ip = part.tcp, part.ip
    count = len(part.row)
    if part.v6:
        src_high, dst_high = ip["src_high"].astype(np.uint64), ip["dst_high"].astype(np.uint64)
        src_low, dst_low = ip["src_low"].astype(np.uint64), ip["dst_low"].astype(np.uint64)
    else:
        src_high = dst_high = np.zeros(count, np.uint64)
        src_low, dst_low = ip["src"].astype(np.uint64), ip["dst"].astype(np.uint64)
    ack = tcp["ack"].astype(np.uint32)
    flags = tcp["flags"].copy()
    icmp = part.mark.astype(np.uint16)
    reporters: dict[int, bytes] = {}
    if icmp.any():
        quoted = icmp != 0
        ack[quoted] = 0
        flags[quoted & part.unnumbered] = 0
        for row, address in chunk.reporters:
            which = np.isin(row, part.row[quoted])
            frames = row[which] + packets.first_frame
            reporters.update(zip(frames.tolist(), address[which].tolist(), strict=True))
    return SegmentTable(
        chunk.data, part.row + packets.first_frame, packets.time_ns[part.row], np.full(count, part.v6),
        src_high, src_low, dst_high, dst_low,
        tcp["src"].astype(np.uint16), tcp["dst"].astype(np.uint16),
        tcp["seq"].astype(np.uint32), ack, flags, ip["ttl"].copy(),
        part.payload, part.length, part.present, icmp,
        reporters, hits(part.unnumbered), hits(part.unsized),
    )
