"""Link layers and what rides on them (tags, labels, PPP): rows -> the rows behind the header."""

from __future__ import annotations

import numpy as np

from analyzer.capture.gather import hits
from analyzer.capture.layers import (
    AGGREGATE,
    BRIDGED,
    BYTE,
    ETHERNET,
    IP,
    IPV4,
    IPV6,
    LINK,
    LLC,
    MPLS,
    PPP,
    PPP_FRAME,
    SHORT,
    WORD,
    Chunk,
    Peeler,
    Rows,
)

NETMON_WLAN = 0x10006                 # no LINKTYPE_ value: what netmon.py calls it
LOOPBACK_FAMILIES = {2: IPV4, 10: IPV6, 23: IPV6, 24: IPV6, 28: IPV6, 30: IPV6}

_LITTLE_SHORT = np.dtype([("value", "<u2")])
_LITTLE_WORD = np.dtype([("value", "<u4")])
_SNAP = np.dtype([("sap", ">u2"), ("control", "u1"), ("oui_high", "u1"), ("oui_low", ">u2"), ("type", ">u2")])
_PPPOE = np.dtype([("version", "u1"), ("code", "u1"), ("session", ">u2"), ("length", ">u2")])
_FRAME_CONTROL = np.dtype([("kind", "u1"), ("flags", "u1")])
_PPI = np.dtype([("version", "u1"), ("flags", "u1"), ("length", "<u2"), ("link", "<u4")])


def _tag(type_at: int, size: int) -> Peeler:
    """A header of fixed size that holds the Ethernet type of what follows."""

    def peel(chunk: Chunk, rows: Rows) -> None:
        rows = rows.holding(size)
        chunk.dispatch(0, chunk.gather(rows.at + type_at, SHORT)["value"], rows.past(size))

    return peel


def _behind(size: int, kind: int) -> Peeler:
    """A header of fixed size before one known kind."""

    def peel(chunk: Chunk, rows: Rows) -> None:
        chunk.push(kind, rows.past(size))

    return peel


def _ethernet(chunk: Chunk, rows: Rows) -> None:
    rows = rows.holding(14)
    kind = chunk.gather(rows.at + 12, SHORT)["value"]
    chunk.dispatch(0, kind, rows.past(14))
    short = kind < 1536
    if short.any():
        which = hits(short & (kind != 0))
        framed = rows.take(which).past(14)
        chunk.push(LLC, framed.upto(framed.at + kind[which]))


def _llc(chunk: Chunk, rows: Rows) -> None:
    """IEEE 802.2 with SNAP, RFC 1042, and the bridge-tunnel OUI 00-00-F8."""
    rows = rows.holding(8)
    snap = chunk.gather(rows.at, _SNAP)
    which = hits(
        (snap["sap"] == 0xAAAA) & (snap["control"] == 3) & (snap["oui_high"] == 0)
        & ((snap["oui_low"] == 0) | (snap["oui_low"] == 0xF8))
    )
    chunk.dispatch(0, snap["type"][which], rows.take(which).past(8))


def _cooked(chunk: Chunk, rows: Rows) -> None:
    rows = rows.holding(16)
    kind = chunk.gather(rows.at + 14, SHORT)["value"]
    chunk.dispatch(0, kind, rows.past(16))
    if (kind == 4).any():                      # LINUX_SLL_P_802_2
        chunk.push(LLC, rows.take(hits(kind == 4)).past(16))


def _loopback(chunk: Chunk, rows: Rows) -> None:
    """BSD loopback: an address family in the byte order of the host that captured, or an Ethernet type."""
    rows = rows.holding(4)
    family = chunk.gather(rows.at, WORD)["value"].astype(np.uint32)
    swapped = (family & 0xFFFF0000) != 0
    family[swapped] = family[swapped].byteswap()
    known = np.zeros(len(family), np.uint32)
    for number, kind in LOOPBACK_FAMILIES.items():
        known[family == number] = kind
    chunk.dispatch(0, np.where(family > 1500, family, known), rows.past(4))


def _ip(chunk: Chunk, rows: Rows) -> None:
    rows = rows.holding(1)
    version = chunk.gather(rows.at, BYTE)["value"] >> 4
    chunk.push(IPV4, rows.where(version == 4))
    chunk.push(IPV6, rows.where(version == 6))


def _mpls(chunk: Chunk, rows: Rows) -> None:
    """One label; behind the last the first nibble tells, RFC 4928. Zero: an Ethernet pseudowire."""
    rows = rows.holding(5)
    bottom = (chunk.gather(rows.at, WORD)["value"] & 0x100) != 0
    rows = rows.past(4)
    chunk.push(MPLS, rows.take(hits(~bottom)))
    rows = rows.where(bottom)
    nibble = chunk.gather(rows.at, BYTE)["value"] >> 4
    chunk.push(IPV4, rows.take(hits(nibble == 4)))
    chunk.push(IPV6, rows.take(hits(nibble == 6)))
    wire = rows.take(hits(nibble == 0)).holding(18)
    # The control word of RFC 4448 is optional and not announced: believe the place where an
    # Ethernet type that is known stands.
    plain = np.isin(chunk.gather(wire.at + 12, SHORT)["value"], (IPV4, IPV6, 0x8100, 0x88A8))
    chunk.push(ETHERNET, wire.take(hits(plain)))
    chunk.push(ETHERNET, wire.take(hits(~plain)).past(4))


def _pppoe(chunk: Chunk, rows: Rows) -> None:
    rows = rows.holding(6)
    header = chunk.gather(rows.at, _PPPOE)
    rows = rows.past(6)
    rows = rows.upto(rows.at + header["length"])
    chunk.push(PPP_FRAME, rows.where(header["code"] == 0))


def _ppp(chunk: Chunk, rows: Rows) -> None:
    """PPP, RFC 1661, with or without the address and control of RFC 1662, protocol field compressed or not."""
    rows = rows.holding(2)
    framed = np.isin(chunk.gather(rows.at, SHORT)["value"], (0xFF03, 0x0F00, 0x8F00))
    rows = rows.past(np.where(framed, 2, 0)).holding(2)
    protocol = chunk.gather(rows.at, SHORT)["value"].astype(np.uint32)
    compressed = (protocol & 0x100) != 0
    chunk.dispatch(
        PPP, np.where(compressed, protocol >> 8, protocol), rows.past(np.where(compressed, 1, 2))
    )


def _cisco_hdlc(chunk: Chunk, rows: Rows) -> None:
    rows = rows.holding(4)
    chunk.dispatch(0, chunk.gather(rows.at + 2, SHORT)["value"], rows.past(4))


def _wlan(chunk: Chunk, rows: Rows) -> None:
    _wlan_frames(chunk, rows, np.zeros(len(rows.row), np.bool_))


def _wlan_frames(chunk: Chunk, rows: Rows, padded: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> None:
    """IEEE 802.11 data frames that are neither encrypted nor fragments. padded: header filled up to 4 bytes."""
    whole = np.minimum(rows.have, rows.end) - rows.at >= 32
    rows, padded = rows.take(hits(whole)), padded[whole]
    control = chunk.gather(rows.at, _FRAME_CONTROL)
    kind, flags = control["kind"], control["flags"]
    fragment = chunk.gather(rows.at + 22, _LITTLE_SHORT)["value"] & 15
    which = hits(
        (kind & 0x4F == 0x08) & (flags & 0x44 == 0) & (fragment == 0)      # data, with a body, in clear
    )
    rows, padded, kind, flags = rows.take(which), padded[which], kind[which], flags[which]
    quality = (kind & 0x80) != 0
    size = 24 + np.where(flags & 3 == 3, 6, 0)
    aggregate = quality & (chunk.gather(rows.at + size, BYTE)["value"] & 0x80 != 0)
    size += np.where(quality, 2, 0) + np.where(quality & (flags & 0x80 != 0), 4, 0)
    size = np.where(padded, size + 3 & ~3, size)
    rows = rows.past(size)
    chunk.push(LLC, rows.take(hits(~aggregate)))
    chunk.push(AGGREGATE, rows.take(hits(aggregate)))


def _aggregate(chunk: Chunk, rows: Rows) -> None:
    """The first A-MSDU subframe; the rest is peeled again."""
    rows = rows.holding(14)
    length = chunk.gather(rows.at + 12, SHORT)["value"].astype(np.int64)
    body = rows.past(14)
    chunk.push(LLC, body.upto(body.at + length))
    chunk.push(AGGREGATE, rows.past(14 + length + 3 & ~3))


def _netmon_wlan(chunk: Chunk, rows: Rows) -> None:
    """Network Monitor's header before IEEE 802.11: a version, then its length."""
    rows = rows.holding(3)
    length = chunk.gather(rows.at + 1, _LITTLE_SHORT)["value"].astype(np.int64)
    chunk.push(LINK + 105, rows.past(length))


def _radiotap(chunk: Chunk, rows: Rows) -> None:
    rows = rows.holding(9)
    size = chunk.gather(rows.at + 2, _LITTLE_SHORT)["value"].astype(np.int64)
    present = chunk.gather(rows.at + 4, _LITTLE_WORD)["value"]
    fields = np.full(len(rows.row), 8, np.int64)
    more = present
    for _ in range(8):                         # bit 31: another word of presence bits follows
        extended = (more & 0x80000000) != 0
        if not extended.any():
            break
        more = np.where(extended, chunk.gather(rows.at + fields, _LITTLE_WORD)["value"], 0)
        fields += np.where(extended, 4, 0)
    clock = (present & 1) != 0                 # TSFT, eight bytes, aligned
    fields = np.where(clock, (fields + 7 & ~7) + 8, fields)
    flags = chunk.gather(rows.at + fields, BYTE)["value"]
    padded = (present & 2 != 0) & (flags & 0x20 != 0)
    _wlan_frames(chunk, rows.past(size), padded)


def _prism(chunk: Chunk, rows: Rows) -> None:
    """Prism monitoring header: its length in the byte order of the driver. AVS headers share the link type."""
    rows = rows.holding(8)
    avs = chunk.gather(rows.at, WORD)["value"] & 0xFFFFF000 == 0x80211000
    length = chunk.gather(rows.at + 4, WORD)["value"].astype(np.uint32)
    swapped = ~avs & (length > 0xFFFF)
    length[swapped] = length[swapped].byteswap()
    chunk.push(LINK + 105, rows.past(length.astype(np.int64)))


def _ppi(chunk: Chunk, rows: Rows) -> None:
    rows = rows.holding(8)
    header = chunk.gather(rows.at, _PPI)
    rows = rows.past(np.maximum(header["length"].astype(np.int64), 8))
    chunk.dispatch(LINK, header["link"] & 0xFFFF, rows)


def _pktap(chunk: Chunk, rows: Rows) -> None:
    """Apple's packet metadata: its length, then what comes next and of which link type."""
    rows = rows.holding(12)
    length = chunk.gather(rows.at, _LITTLE_WORD)["value"].astype(np.int64)
    link = chunk.gather(rows.at + 8, _LITTLE_WORD)["value"]
    chunk.dispatch(LINK, link & 0xFFFF, rows.past(np.maximum(length, 12)))


PEELERS: dict[int, Peeler] = {
    ETHERNET: _ethernet,
    BRIDGED: _ethernet,
    LINK + 113: _cooked,
    LINK + 276: _tag(0, 20),                   # Linux cooked v2
    LINK + 138: _tag(16, 18),                  # Apple IP over IEEE 1394
    **dict.fromkeys((LINK + 0, LINK + 108), _loopback),
    **dict.fromkeys((IP, LINK + 12, LINK + 14), _ip),
    LINK + 228: _behind(0, IPV4),
    LINK + 229: _behind(0, IPV6),
    **dict.fromkeys((PPP_FRAME, LINK + 50), _ppp),
    LINK + 204: _behind(1, PPP_FRAME),         # a direction before it
    LINK + 51: _pppoe,
    LINK + 104: _cisco_hdlc,
    LINK + 219: _mpls,
    LINK + 105: _wlan,
    LINK + 119: _prism,
    LINK + 163: _prism,
    LINK + 127: _radiotap,
    LINK + NETMON_WLAN: _netmon_wlan,
    LINK + 192: _ppi,
    **dict.fromkeys((LINK + 149, LINK + 258), _pktap),
    **dict.fromkeys((0x8100, 0x88A8, 0x9100), _tag(2, 4)),     # VLAN tags
    0x8926: _tag(4, 6),                        # VN-Tag
    0x893F: _tag(6, 8),                        # E-Tag, 802.1BR
    0x8909: _tag(6, 8),                        # Cisco metadata
    0x88E7: _behind(4, ETHERNET),              # 802.1ah, provider backbone bridge
    **dict.fromkeys((MPLS, 0x8848), _mpls),
    0x8864: _pppoe,
    LLC: _llc,
    AGGREGATE: _aggregate,
    PPP + 0x21: _behind(0, IPV4),
    PPP + 0x57: _behind(0, IPV6),
    PPP + 0x281: _mpls,
    PPP + 0x283: _mpls,
}
