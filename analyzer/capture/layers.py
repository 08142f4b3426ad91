"""What is peeled off a frame on the way to TCP: rows of a chunk, and the headers they stand before.

A Rows value is a set of frames that all have the same kind of header at `at`. Peelers look at that
header in all rows at once and hand the rows on to the kinds that follow, so that a capture of tunnels
costs a few array operations per header and chunk, not an object per packet.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from analyzer.capture.gather import distinct, gather, hits

# A kind is a number space and a number in it. Ethernet types are their own numbers.
IP4 = 0x10000                # + protocol, behind an IPv4 header
IP6 = 0x20000                # + next header, behind an IPv6 header
GRE = 0x30000                # + protocol type, behind a GRE header
PPP = 0x40000                # + PPP protocol
LINK = 0x100000              # + LINKTYPE_ value
ETHERNET = LINK + 1
IP = LINK + 101              # IPv4 or IPv6, by the version
IPV4 = 0x0800
IPV6 = 0x86DD
MPLS = 0x8847
BRIDGED = 0x6558             # an Ethernet frame as payload
LLC = 0x50000                # IEEE 802.2
PPP_FRAME = LINK + 9
GRE_HEADER = IP4 + 47
AGGREGATE = 0x50001          # A-MSDU subframes of IEEE 802.11

QUOTE = 0xFFFF               # of Rows.mark: type << 8 | code of the ICMP error that quotes this, or 0
PARTIAL = 0x10000            # of Rows.mark: first fragment of a datagram that is not put together
UNSIZED_V6 = 0x20000         # of Rows.mark: IPv6 without a length, which Wireshark takes no further

QUIC, ROCE = 443, 4791       # UDP ports
COUNTED, TUNNEL = 1, 2
"""What datagrams of a port are: looked at by the census, packets that may hold packets."""

MAX_LAYERS = 128
"""Headers peeled off one frame; more is no network but an attack."""


class Rows(NamedTuple):
    """Frames that have the same kind of header next. All columns have one length."""

    row: NDArray[np.int64]       # in the table of the chunk
    at: NDArray[np.int64]        # where the header begins in data
    end: NDArray[np.int64]       # where what it belongs to ends on the wire, as if nothing were cut off
    have: NDArray[np.int64]      # where the captured bytes of the frame end
    ip: NDArray[np.int64]        # where the last IP header began, -1 before the first
    mark: NDArray[np.uint32]     # QUOTE, PARTIAL, UNSIZED_V6

    def take(self, which: NDArray[Any]) -> Rows:
        """These rows, by index."""
        return Rows(*(column[which] for column in self))

    def past(self, size: int | NDArray[np.int64]) -> Rows:
        """The same rows behind so many bytes of header."""
        return self._replace(at=self.at + size)

    def upto(self, end: NDArray[np.int64]) -> Rows:
        """The same rows, what they hold ending no later than there."""
        return self._replace(end=np.minimum(self.end, end))

    def where(self, condition: NDArray[np.bool_]) -> Rows:
        """The rows for which the condition holds; the very same value where it holds for all."""
        if condition.all():
            return self
        return self.take(hits(condition))

    def holding(self, size: int) -> Rows:
        """The rows of which so many bytes are captured and sent from `at` on."""
        return self.where(np.minimum(self.have, self.end) - self.at >= size)


class Segments(NamedTuple):
    """TCP headers of one IP version. Columns as in SegmentTable; ip and tcp are header records."""

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

    @classmethod
    def of(
        cls, rows: Rows, v6: bool, ip: NDArray[Any], tcp: NDArray[Any], there: NDArray[np.int64]
    ) -> Segments:
        """Of rows at a TCP header. there: how many bytes of header and payload are captured."""
        size = (tcp["offset"] >> 4).astype(np.int64) << 2
        payload = rows.at + size
        length = rows.end - payload
        present = np.maximum(there - size, 0)
        unsized = length < 0
        if rows.mark.any():
            unsized |= rows.mark & (PARTIAL | QUOTE) != 0
            unnumbered = (there < 16) | (rows.mark & UNSIZED_V6 != 0)
        else:
            unnumbered = np.zeros(len(size), np.bool_)
        empty = unsized | (size < 20)
        if empty.any():
            length[empty] = 0
            present[empty] = 0
            payload[empty] = rows.at[empty]
        return cls(rows.row, v6, ip, tcp, payload, length, present, rows.mark, unnumbered, unsized)


class Fragments(NamedTuple):
    """IP fragments that are wholly captured."""

    rows: Rows                       # `at` behind the IP headers
    v6: bool
    protocol: NDArray[Any]
    ident: NDArray[Any]
    offset: NDArray[np.int64]        # bytes
    more: NDArray[np.bool_]


Peeler = Callable[["Chunk", Rows], None]


class Chunk:
    """One chunk while its headers are peeled off.

    found, fragments: what came out; reporters: rows of ICMP errors and the addresses that sent them;
    datagrams: rows at a UDP header on a port that is COUNTED with their two ports, destination first, and rdma:
    rows of InfiniBand, for the census.
    """

    def __init__(self, data: NDArray[np.uint8], peelers: Mapping[int, Peeler]) -> None:
        self.data = data
        self.found: list[Segments] = []
        self.fragments: list[Fragments] = []
        self.datagrams: list[tuple[Rows, NDArray[Any], NDArray[Any]]] = []
        self.rdma: list[NDArray[np.int64]] = []
        self.reporters: list[tuple[NDArray[np.int64], NDArray[Any]]] = []
        self._peelers = peelers
        self._waiting: dict[int, list[Rows]] = {}

    def gather(self, at: NDArray[np.int64], record: np.dtype[Any]) -> NDArray[Any]:
        """The record at each place."""
        return gather(self.data, at, record)

    def push(self, kind: int, rows: Rows) -> None:
        """Rows that have a header of this kind next. Kinds nobody peels end here."""
        if len(rows.row) and kind in self._peelers:
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
        self.push(space + first, rows.take(hits(same)))
        rest = hits(~same)
        number = number[rest]
        for other in distinct(number).tolist():
            if space + other in self._peelers:
                self.push(space + other, rows.take(rest[number == other]))

    def divide(self, parts: Fragments) -> None:
        """Keep fragments for reassembly. Wireshark dissects a first one that is cut short by itself."""
        rows = parts.rows
        declared = self.gather(rows.ip + (4 if parts.v6 else 2), SHORT)["value"].astype(np.int64)
        declared = np.where(declared == 0, rows.end, rows.ip + declared + (40 if parts.v6 else 0))
        whole = (rows.have >= declared) & (declared > rows.at)
        first = hits(~whole & (parts.offset == 0))
        if len(first):
            begun = rows.take(first)
            self.dispatch(
                IP6 if parts.v6 else IP4, parts.protocol[first], begun._replace(mark=begun.mark | np.uint32(PARTIAL))
            )
        kept = hits(whole)
        if len(kept):
            self.fragments.append(Fragments(
                rows.take(kept), parts.v6, parts.protocol[kept], parts.ident[kept], parts.offset[kept],
                parts.more[kept],
            ))

    def peel(self) -> None:
        """Peel until only TCP is left, or what is no TCP."""
        for _ in range(MAX_LAYERS):
            waiting, self._waiting = self._waiting, {}
            if not waiting:
                return
            for kind, parts in waiting.items():
                rows = parts[0] if len(parts) == 1 else Rows(
                    *(np.concatenate(columns) for columns in zip(*parts, strict=True))
                )
                self._peelers[kind](self, rows)
        self._waiting = {}


IPV4_HEADER = np.dtype([
    ("version", "u1"), ("service", "u1"), ("total", ">u2"), ("id", ">u2"), ("fragment", ">u2"),
    ("ttl", "u1"), ("protocol", "u1"), ("sum", ">u2"), ("src", ">u4"), ("dst", ">u4"),
])
IPV6_HEADER = np.dtype([
    ("version", ">u4"), ("payload", ">u2"), ("next", "u1"), ("ttl", "u1"),
    ("src_high", ">u8"), ("src_low", ">u8"), ("dst_high", ">u8"), ("dst_low", ">u8"),
])
TCP_HEADER = np.dtype([              # as far as anybody looks
    ("src", ">u2"), ("dst", ">u2"), ("seq", ">u4"), ("ack", ">u4"), ("offset", "u1"), ("flags", "u1"),
])
BYTE = np.dtype([("value", "u1")])
SHORT = np.dtype([("value", ">u2")])
WORD = np.dtype([("value", ">u4")])
