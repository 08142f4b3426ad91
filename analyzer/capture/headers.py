"""PacketTable -> SegmentTable: link, IP and TCP headers of a whole chunk at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from analyzer.capture.gather import gather
from analyzer.capture.layers import (
    BYTE, ETHERNET, IP, IP4, IP6, IPV4, IPV4_HEADER, IPV6, IPV6_HEADER, LINK, OFFLOADED, PARTIAL, SHORT,
    TCP_HEADER, WORD, Rows, joined,
)
from analyzer.capture.table import PacketTable, SegmentTable

MAX_LAYERS = 40
"""Headers peeled off one frame; more is no network but an attack."""

VLAN_TYPES = (0x8100, 0x88A8, 0x9100)          # 802.1Q, 802.1ad, and what came before it
LOOPBACK_FAMILIES = {2: IPV4, 10: IPV6, 23: IPV6, 24: IPV6, 28: IPV6, 30: IPV6}

Peeler = Callable[["Chunk", Rows], None]


class _Segments(NamedTuple):
    """TCP rows of one kind; columns as in SegmentTable."""

    row: NDArray[np.int64]
    v6: bool
    ip: NDArray[Any]
    tcp: NDArray[Any]
    payload: NDArray[np.int64]
    length: NDArray[np.int64]
    present: NDArray[np.int64]
    mark: NDArray[np.uint32]
    unnumbered: NDArray[np.bool_]
    unsized: NDArray[np.bool_]


class Chunk:
    """One chunk while its headers are peeled off."""

    def __init__(self, data: NDArray[np.uint8]) -> None:
        self.data = data
        self.found: list[_Segments] = []
        self._waiting: dict[int, list[Rows]] = {}

    def push(self, kind: int, rows: Rows) -> None:
        """Rows that have a header of this kind next. Kinds nobody peels end here."""
        if len(rows.row) and kind in PEELERS:
            self._waiting.setdefault(kind, []).append(rows)

    def dispatch(self, space: int, number: NDArray[Any], rows: Rows) -> None:
        """Hand each row on by its number in a space of kinds."""
        if not len(number):
            return
        first = int(number[0])
        same = number == first
        if same.all():
            self.push(space + first, rows)
            return
        self.push(space + first, rows.take(np.flatnonzero(same)))
        rest = np.flatnonzero(~same)
        number = number[rest]
        for other in np.unique(number).tolist():
            if space + other in PEELERS:
                self.push(space + other, rows.take(rest[number == other]))

    def peel(self) -> None:
        """Peel until only TCP is left, or what is no TCP."""
        for _ in range(MAX_LAYERS):
            waiting, self._waiting = self._waiting, {}
            if not waiting:
                return
            for kind, parts in waiting.items():
                PEELERS[kind](self, joined(parts))
        self._waiting = {}


class Decoder:
    """Decodes the chunks of one capture, in order: fragments go on from one to the next."""

    def decode(self, table: PacketTable) -> SegmentTable:
        """The TCP segments of a chunk. The result points into the chunk's bytes."""
        chunk = Chunk(table.data)
        have = table.start + table.captured
        rows = Rows(
            np.arange(len(table), dtype=np.int64), table.start, table.start + table.original, have,
            np.full(len(table), -1, np.int64), np.zeros(len(table), np.uint32),
        )
        chunk.dispatch(LINK, table.link_type, rows)
        chunk.peel()
        return _table(table, chunk)


def _table(packets: PacketTable, chunk: Chunk) -> SegmentTable:
    """All segments found, in capture order."""
    found = chunk.found
    if not found:
        return _columns(packets, chunk.data, _NOTHING)
    if len(found) == 1:
        return _columns(packets, chunk.data, found[0])
    tables = [_columns(packets, chunk.data, part) for part in found]
    frame = np.concatenate([part.frame for part in tables])
    order = np.argsort(frame, kind="stable")
    place = np.empty(len(order), np.int64)
    place[order] = np.arange(len(order))
    first = np.cumsum([0, *(len(part) for part in tables[:-1])]).tolist()

    def column(name: str) -> NDArray[Any]:
        merged: NDArray[Any] = np.concatenate([getattr(part, name) for part in tables])[order]
        return merged

    def index(name: str) -> NDArray[np.int64]:
        parts = [getattr(part, name) + begin for part, begin in zip(tables, first, strict=True)]
        return np.sort(place[np.concatenate(parts)])

    return SegmentTable(
        chunk.data, frame[order], *(column(name) for name in _COLUMNS),
        {}, index("unnumbered"), index("unsized"),
    )


_COLUMNS = (
    "time_ns", "v6", "src_high", "src_low", "dst_high", "dst_low", "src_port", "dst_port", "seq", "ack",
    "flags", "ttl", "payload", "length", "present", "icmp",
)


def _columns(packets: PacketTable, data: NDArray[np.uint8], part: _Segments) -> SegmentTable:
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
    if icmp.any():
        quoted = icmp != 0
        ack[quoted] = 0
        flags[quoted] = 0
    return SegmentTable(
        data, part.row + packets.first_frame, packets.time_ns[part.row], np.full(count, part.v6),
        src_high, src_low, dst_high, dst_low,
        tcp["src"].astype(np.uint16), tcp["dst"].astype(np.uint16),
        tcp["seq"].astype(np.uint32), ack, flags, ip["ttl"].copy(),
        part.payload, part.length, part.present, icmp,
        {}, np.flatnonzero(part.unnumbered), np.flatnonzero(part.unsized),
    )


def _ethernet(chunk: Chunk, rows: Rows) -> None:
    rows = rows.holding(14)
    kind = gather(chunk.data, rows.at + 12, SHORT)["value"]
    chunk.dispatch(0, kind, rows.past(14))


def _vlan(chunk: Chunk, rows: Rows) -> None:
    rows = rows.holding(4)
    chunk.dispatch(0, gather(chunk.data, rows.at + 2, SHORT)["value"], rows.past(4))


def _cooked(chunk: Chunk, rows: Rows) -> None:
    rows = rows.holding(16)
    chunk.dispatch(0, gather(chunk.data, rows.at + 14, SHORT)["value"], rows.past(16))


def _cooked_2(chunk: Chunk, rows: Rows) -> None:
    rows = rows.holding(20)
    chunk.dispatch(0, gather(chunk.data, rows.at, SHORT)["value"], rows.past(20))


def _loopback(chunk: Chunk, rows: Rows) -> None:
    """BSD loopback: an address family in the byte order of the host that captured, or an Ethernet type."""
    rows = rows.holding(4)
    family = gather(chunk.data, rows.at, WORD)["value"].astype(np.uint32)
    swapped = (family & 0xFFFF0000) != 0
    family[swapped] = family[swapped].byteswap()
    for number, kind in LOOPBACK_FAMILIES.items():
        family[family == number] = kind
    family[family < 1536] = 0
    chunk.dispatch(0, family, rows.past(4))


def _ip(chunk: Chunk, rows: Rows) -> None:
    rows = rows.holding(1)
    version = gather(chunk.data, rows.at, BYTE)["value"] >> 4
    chunk.push(IPV4, rows.where(version == 4))
    chunk.push(IPV6, rows.where(version == 6))


def _ipv4(chunk: Chunk, rows: Rows) -> None:
    rows = rows.holding(20)
    header = gather(chunk.data, rows.at, IPV4_HEADER)
    first = header["version"]
    if not (first == 0x45).all():
        # Cooked captures have been seen with IPv6 under the type of IPv4; Wireshark goes on there.
        chunk.push(IPV6, rows.take(np.flatnonzero(first >> 4 == 6)))
        sound = np.flatnonzero((first >> 4 == 4) & (first & 15 >= 5))
        rows, header = rows.take(sound), header[sound]
    size = (header["version"] & 15).astype(np.int64) << 2
    total = header["total"].astype(np.int64)
    short = total < size
    if short.any():
        # A length of zero is written by segmentation offload: the frame's own length counts.
        total[total == 0] = 1 << 40
        sound = np.flatnonzero(total >= size)
        rows, header, size, total = rows.take(sound), header[sound], size[sound], total[sound]
    ip = rows.at
    rows = rows._replace(at=ip + size, end=np.minimum(rows.end, ip + total), ip=ip)
    fragment = header["fragment"] & 0x3FFF
    if fragment.any():
        rows, kept = _fragments(chunk, rows, fragment)
        header = header[kept]
    chunk.dispatch(IP4, header["protocol"], rows)


def _fragments(
    chunk: Chunk, rows: Rows, fragment: NDArray[Any]
) -> tuple[Rows, NDArray[np.int64]]:
    """Whole datagrams, and first fragments that are cut short: those are dissected as they are."""
    whole = rows.have >= rows.end
    kept = np.flatnonzero((fragment == 0) | (~whole & (fragment & 0x1FFF == 0)))
    first = fragment[kept] != 0
    rows = rows.take(kept)
    rows.mark[first] |= PARTIAL
    return rows, kept


def _ipv6(chunk: Chunk, rows: Rows) -> None:
    rows = rows.holding(40)
    header = gather(chunk.data, rows.at, IPV6_HEADER)
    sound = header["version"] >> 28 == 6
    if not sound.all():
        which = np.flatnonzero(sound)
        rows, header = rows.take(which), header[which]
    payload = header["payload"].astype(np.int64)
    mark = rows.mark
    empty = payload == 0
    if empty.any():
        payload[empty] = 1 << 40
        mark = mark | np.where(empty, np.uint32(OFFLOADED), np.uint32(0))
    ip = rows.at
    rows = rows._replace(at=ip + 40, end=np.minimum(rows.end, ip + 40 + payload), ip=ip, mark=mark)
    chunk.dispatch(IP6, header["next"], rows)


def _tcp(chunk: Chunk, rows: Rows, *, v6: bool) -> None:
    """Wireshark finds the conversation once 16 bytes are there, before it looks at the header length."""
    quoted = rows.mark & 0xFFFF
    there = np.minimum(rows.have, rows.end) - rows.at
    least = np.where(quoted, 8, 16) if quoted.any() else 16
    enough = there >= least
    if not enough.all():
        which = np.flatnonzero(enough)
        rows, there = rows.take(which), there[which]
    tcp = gather(chunk.data, rows.at, TCP_HEADER)
    ip = gather(chunk.data, rows.ip, IPV6_HEADER if v6 else IPV4_HEADER)
    size = (tcp["offset"] >> 4).astype(np.int64) << 2
    payload = rows.at + size
    length = rows.end - payload
    unsized = (size < 20) | (length < 0)
    marked = rows.mark.any()
    unnumbered = np.zeros(len(size), np.bool_)
    if marked:
        unsized |= (rows.mark & (PARTIAL | 0xFFFF)) != 0
        unnumbered = (there < 16) | (rows.mark & OFFLOADED != 0)
    present = np.minimum(rows.have, rows.end) - payload
    np.maximum(present, 0, out=present)
    if unsized.any():
        length[unsized] = 0
        present[unsized] = 0
        payload[unsized] = rows.at[unsized]
    chunk.found.append(
        _Segments(rows.row, v6, ip, tcp, payload, length, present, rows.mark, unnumbered, unsized)
    )


PEELERS: dict[int, Peeler] = {
    ETHERNET: _ethernet,
    LINK + 113: _cooked,
    LINK + 276: _cooked_2,
    LINK + 0: _loopback,
    LINK + 108: _loopback,
    **dict.fromkeys((IP, LINK + 12, LINK + 14), _ip),
    LINK + 228: _ipv4,
    LINK + 229: _ipv6,
    **dict.fromkeys(VLAN_TYPES, _vlan),
    IPV4: _ipv4,
    IPV6: _ipv6,
    IP4 + 6: lambda chunk, rows: _tcp(chunk, rows, v6=False),
    IP6 + 6: lambda chunk, rows: _tcp(chunk, rows, v6=True),
}

_NOTHING = _Segments(
    np.zeros(0, np.int64), False, np.zeros(0, IPV4_HEADER), np.zeros(0, TCP_HEADER), np.zeros(0, np.int64),
    np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0, np.uint32), np.zeros(0, np.bool_),
    np.zeros(0, np.bool_),
)
