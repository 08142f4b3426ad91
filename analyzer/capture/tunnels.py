"""Tunnels, ICMP errors and IPv6 extension headers: rows behind an IP header -> rows at the inner one."""

from __future__ import annotations

import numpy as np

from analyzer.capture.gather import hits
from analyzer.capture.layers import (
    BRIDGED,
    BYTE,
    ETHERNET,
    GRE,
    GRE_HEADER,
    IP,
    IP4,
    IP6,
    IPV4,
    IPV6,
    LINK,
    MPLS,
    PPP_FRAME,
    QUIC,
    QUOTE,
    ROCE,
    SHORT,
    Chunk,
    Fragments,
    Peeler,
    Rows,
)

# The UDP ports under which Wireshark 4.0 looks for a tunnel.
UDP_TUNNELS = 0x60000
UDP_PORTS = (1701, 2152, 3544, 4754, 4789, 4790, 6081, 6635)
_ICMP_ERRORS = (3, 4, 5, 11, 12)               # RFC 792; 5, a redirect, quotes eight bytes
_ICMP6_ERRORS = (1, 2, 3, 4)                   # RFC 4443

_GRE = np.dtype([("flags", ">u2"), ("type", ">u2")])
_UDP = np.dtype([("src", ">u2"), ("dst", ">u2"), ("length", ">u2"), ("sum", ">u2")])
_GENEVE = np.dtype([("options", "u1"), ("flags", "u1"), ("type", ">u2"), ("network", ">u4")])
_GTP = np.dtype([("flags", "u1"), ("type", "u1"), ("length", ">u2"), ("tunnel", ">u4")])
_EXTENSION = np.dtype([("next", "u1"), ("length", "u1")])
_FRAGMENT = np.dtype([("next", "u1"), ("reserved", "u1"), ("offset", ">u2"), ("id", ">u4")])
_ICMP = np.dtype([("type", "u1"), ("code", "u1"), ("sum", ">u2"), ("unused", "u1"), ("words", "u1")])
_ADDRESS4 = np.dtype("V4")
_ADDRESS6 = np.dtype("V16")


def _roce(chunk: Chunk, rows: Rows) -> None:
    chunk.rdma.append(rows.row)


def _gre(chunk: Chunk, rows: Rows) -> None:
    """RFC 2784, 2890, 2637. Source routing (RFC 1701) is not followed."""
    rows = rows.holding(4)
    header = chunk.gather(rows.at, _GRE)
    flags, kind = header["flags"].astype(np.int64), header["type"]
    sequenced = (flags & 0x1000) != 0
    acknowledged = (flags & 0x80 != 0) & (flags & 7 == 1)
    size = (
        4 + np.where(flags & 0x8000, 4, 0) + np.where(flags & 0x2000, 4, 0)
        + np.where(sequenced, 4, 0) + np.where(acknowledged, 4, 0)
    )
    plain = flags & 0x4000 == 0
    rows = rows.past(size)
    # ERSPAN I has the type of ERSPAN II; Wireshark takes a sequence number as the sign of a header.
    bare = plain & (kind == 0x88BE) & ~sequenced
    chunk.push(ETHERNET, rows.take(hits(bare)))
    which = hits(plain & ~bare)
    chunk.dispatch(GRE, kind[which], rows.take(which))


def _erspan(chunk: Chunk, rows: Rows) -> None:
    rows = rows.holding(8)
    version = chunk.gather(rows.at, BYTE)["value"] >> 4
    chunk.push(ETHERNET, rows.take(hits(version == 1)).past(8))
    third = rows.take(hits(version == 2)).holding(12)
    # The last 16 bits: P, frame type (5), hardware, direction, granularity, O: a subheader follows.
    last = chunk.gather(third.at + 10, SHORT)["value"].astype(np.int64)
    third = third.past(12 + np.where(last & 1, 8, 0))
    chunk.push(ETHERNET, third.take(hits(last >> 10 & 31 == 0)))
    chunk.push(IP, third.take(hits(last >> 10 & 31 == 2)))


def _wccp(chunk: Chunk, rows: Rows) -> None:
    """Cisco's redirection: version 2 has four bytes more, and is told by what follows not being IPv4."""
    rows = rows.holding(5)
    first = chunk.gather(rows.at, BYTE)["value"] >> 4
    chunk.push(IP, rows.past(np.where(first == 4, 0, 4)))


def _udp(chunk: Chunk, rows: Rows) -> None:
    rows = rows.holding(8)
    header = chunk.gather(rows.at, _UDP)
    source, destination = header["src"], header["dst"]
    counted = hits((source == QUIC) | (destination == QUIC) | (source == ROCE) | (destination == ROCE))
    if len(counted):
        chunk.datagrams.append((rows.take(counted), destination[counted], source[counted]))
    length = header["length"].astype(np.int64)
    inner = rows.past(8).upto(rows.at + np.where(length >= 8, length, 1 << 40))
    # Both ports are asked, the lower one first.
    lower, upper = np.minimum(source, destination), np.maximum(source, destination)
    low_known = np.isin(lower, UDP_PORTS)
    known = low_known | np.isin(upper, UDP_PORTS)
    if known.any():
        which = hits(known)
        chunk.dispatch(UDP_TUNNELS, np.where(low_known, lower, upper)[which], inner.take(which))


def _vxlan_gpe(chunk: Chunk, rows: Rows) -> None:
    rows = rows.holding(8)
    following = chunk.gather(rows.at + 3, BYTE)["value"]
    rows = rows.past(8)
    for number, kind in ((1, IPV4), (2, IPV6), (3, ETHERNET), (5, MPLS)):
        chunk.push(kind, rows.take(hits(following == number)))


def _vxlan(chunk: Chunk, rows: Rows) -> None:
    chunk.push(ETHERNET, rows.holding(8).past(8))


def _geneve(chunk: Chunk, rows: Rows) -> None:
    rows = rows.holding(8)
    header = chunk.gather(rows.at, _GENEVE)
    size = 8 + (header["options"] & 0x3F).astype(np.int64) * 4
    chunk.dispatch(0, header["type"], rows.past(size))


def _gtp(chunk: Chunk, rows: Rows) -> None:
    """GTP-U, 3GPP TS 29.281 5.1: only G-PDUs carry a packet. Version 0 has 20 bytes."""
    rows = rows.holding(8)
    header = chunk.gather(rows.at, _GTP)
    rows = rows.where(header["type"] == 0xFF)
    flags = chunk.gather(rows.at, BYTE)["value"]
    chunk.push(IP, rows.take(hits(flags >> 5 == 0)).past(20))
    rows, flags = rows.take(hits(flags >> 5 == 1)), flags[flags >> 5 == 1]
    more = np.where(flags & 4, chunk.gather(rows.at + 11, BYTE)["value"], 0)
    rows = rows.past(np.where(flags & 7, 12, 8))
    for _ in range(16):                        # extension headers: length in words, type of the next
        extended = more != 0
        if not extended.any():
            break
        words = chunk.gather(rows.at, BYTE)["value"].astype(np.int64) * 4
        which = hits(~extended | (words > 0))
        extended = extended[which]
        rows = rows.take(which).past(np.where(extended, words[which], 0))
        more = np.where(extended, chunk.gather(rows.at - 1, BYTE)["value"], 0)
    chunk.push(IP, rows.take(hits(more == 0)))


def _l2tp(chunk: Chunk, rows: Rows) -> None:
    """L2TP data messages, RFC 2661 3.1."""
    rows = rows.holding(6)
    flags = chunk.gather(rows.at, SHORT)["value"].astype(np.int64)
    which = hits((flags & 0x8000 == 0) & (flags & 15 == 2))
    rows, flags = rows.take(which), flags[which]
    rows = rows.past(6 + np.where(flags & 0x4000, 2, 0) + np.where(flags & 0x0800, 4, 0))
    offset = np.where(flags & 0x0200, 2 + chunk.gather(rows.at, SHORT)["value"].astype(np.int64), 0)
    chunk.push(PPP_FRAME, rows.past(offset))


def _teredo(chunk: Chunk, rows: Rows) -> None:
    """RFC 4380 5.1.1: IPv6, perhaps behind an origin indication."""
    rows = rows.holding(8)
    first = chunk.gather(rows.at, SHORT)["value"]
    chunk.push(IPV6, rows.take(hits(first >> 12 == 6)))
    chunk.push(IPV6, rows.take(hits(first == 0)).past(8))


def _extension(chunk: Chunk, rows: Rows) -> None:
    """IPv6 hop-by-hop, routing, destination, mobility, HIP and Shim6 headers. RFC 8200 4"""
    rows = rows.holding(8)
    header = chunk.gather(rows.at, _EXTENSION)
    chunk.dispatch(IP6, header["next"], rows.past((header["length"].astype(np.int64) + 1) * 8))


def _authentication(space: int) -> Peeler:
    """RFC 4302: the payload is in clear behind it."""

    def peel(chunk: Chunk, rows: Rows) -> None:
        rows = rows.holding(12)
        header = chunk.gather(rows.at, _EXTENSION)
        chunk.dispatch(space, header["next"], rows.past((header["length"].astype(np.int64) + 2) * 4))

    return peel


def _fragment6(chunk: Chunk, rows: Rows) -> None:
    """RFC 8200 4.5. A fragment that is the whole datagram goes on at once."""
    rows = rows.holding(8)
    header = chunk.gather(rows.at, _FRAGMENT)
    rows = rows.past(8)
    offset = header["offset"].astype(np.int64)
    alone = hits(offset & 0xFFF9 == 0)
    chunk.dispatch(IP6, header["next"][alone], rows.take(alone))
    part = hits(offset & 0xFFF9)
    header, offset = header.take(part), offset[part]
    chunk.divide(Fragments(
        rows.take(part), True, header["next"], header["id"], offset & 0xFFF8, offset & 1 != 0
    ))


def _icmp(chunk: Chunk, rows: Rows) -> None:
    rows = rows.where(rows.mark & QUOTE == 0).holding(28)
    header = chunk.gather(rows.at, _ICMP)
    which = hits(np.isin(header["type"], _ICMP_ERRORS))
    rows, header = rows.take(which), header.take(which)
    chunk.reporters.append((rows.row, chunk.gather(rows.ip + 12, _ADDRESS4)))
    mark = rows.mark | header["type"].astype(np.uint32) << 8 | header["code"]
    inner = rows.past(8)._replace(mark=mark)
    size = (chunk.gather(inner.at, BYTE)["value"] & 15).astype(np.int64) * 4
    total = chunk.gather(inner.at + 2, SHORT)["value"]
    # RFC 4884: the quoted datagram ends where the extensions begin; Wireshark adds its header to that.
    words = np.where(header["type"] == 4, 0, header["words"].astype(np.int64) * 4)
    extended = (words > 0) & (rows.end - rows.at > 8 + words) & (total > words)
    end = np.where(extended, inner.at + size + words, inner.end)
    end = np.where(header["type"] == 5, inner.at + size + 8, end)
    chunk.push(IP, inner.upto(end))


def _icmp6(chunk: Chunk, rows: Rows) -> None:
    rows = rows.where(rows.mark & QUOTE == 0).holding(48)
    header = chunk.gather(rows.at, _ICMP)
    which = hits(np.isin(header["type"], _ICMP6_ERRORS))
    rows, header = rows.take(which), header.take(which)
    chunk.reporters.append((rows.row, chunk.gather(rows.ip + 8, _ADDRESS6)))
    mark = rows.mark | header["type"].astype(np.uint32) << 8 | header["code"]
    chunk.push(IPV6, rows.past(8)._replace(mark=mark))


def _inside(kind: int, size: int = 0) -> Peeler:
    """A header of fixed size before one known kind."""

    def peel(chunk: Chunk, rows: Rows) -> None:
        chunk.push(kind, rows.past(size))

    return peel


def _behind_ip(space: int) -> dict[int, Peeler]:
    return {
        space + 4: _inside(IPV4),
        space + 41: _inside(IPV6),
        space + 17: _udp,
        space + 47: _gre,
        space + 51: _authentication(space),
        space + 97: _inside(ETHERNET, 2),      # EtherIP, RFC 3378
        space + 137: _inside(MPLS),
        space + 143: _inside(ETHERNET),
    }


PEELERS: dict[int, Peeler] = {
    **_behind_ip(IP4),
    **_behind_ip(IP6),
    IP4 + 1: _icmp,
    IP6 + 58: _icmp6,
    **dict.fromkeys((IP6 + 0, IP6 + 43, IP6 + 60, IP6 + 135, IP6 + 139, IP6 + 140), _extension),
    IP6 + 44: _fragment6,
    GRE + IPV4: _inside(IP),
    GRE + IPV6: _inside(IPV6),
    GRE + BRIDGED: _inside(ETHERNET),
    GRE + MPLS: _inside(MPLS),
    GRE + 0x8848: _inside(MPLS),
    GRE + 0x880B: _inside(PPP_FRAME),
    GRE + 0x883E: _wccp,
    **dict.fromkeys((GRE + 0x88BE, GRE + 0x22EB), _erspan),
    0x8915: _roce,
    LINK + 247: _roce,                         # InfiniBand
    UDP_TUNNELS + 1701: _l2tp,
    UDP_TUNNELS + 2152: _gtp,
    UDP_TUNNELS + 3544: _teredo,
    UDP_TUNNELS + 4754: _inside(GRE_HEADER),
    UDP_TUNNELS + 4789: _vxlan,
    UDP_TUNNELS + 4790: _vxlan_gpe,
    UDP_TUNNELS + 6081: _geneve,
    UDP_TUNNELS + 6635: _inside(MPLS),
}
