"""Headers of a chunk's frames -> the same headers under pseudonyms; whatever is not named here becomes zero.

Each kind of header that the capture layer peels has a form: which bytes stay, and where addresses
stand. Names of networks, options and payloads have none, so they are gone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from analyzer.capture.layers import (
    AGGREGATE,
    BRIDGED,
    ETHERNET,
    GRE,
    IP4,
    IP6,
    IPV4,
    IPV6,
    LINK,
    LLC,
    MPLS,
    PPP,
    PPP_FRAME,
    Chunk,
    Peeler,
    Rows,
)
from analyzer.capture.links import NETMON_WLAN
from analyzer.capture.tunnels import UDP_TUNNELS
from analyzer.rewrite.pseudonym import Pseudonyms

Bytes = NDArray[np.uint8]

_MAX_BRIDGE = 256                    # of a header of variable length


class Form(NamedTuple):
    """What of a header stays, as (offset, size), and the offsets of the addresses in it.

    bridge: the bytes up to the next known header stay too: the length of such a header varies.
    """

    keep: tuple[tuple[int, int], ...] = ()
    hardware: tuple[int, ...] = ()
    ipv4: tuple[int, ...] = ()
    ipv6: tuple[int, ...] = ()
    bridge: bool = False


def _fixed(size: int) -> Form:
    return Form(keep=((0, size),))


_ETHERNET = Form(keep=((12, 2),), hardware=(0, 6))
_BRIDGE = Form(keep=((0, 2),), bridge=True)
_WLAN = Form(keep=((0, 4), (22, 2)), hardware=(4, 10, 16))

FORMS: Mapping[int, Form] = {
    **dict.fromkeys((ETHERNET, BRIDGED, AGGREGATE), _ETHERNET),
    LINK + 113: Form(keep=((0, 6), (14, 2)), hardware=(6,)),
    LINK + 276: Form(keep=((0, 12),), hardware=(12,)),
    LINK + 138: Form(keep=((16, 2),)),
    **dict.fromkeys((LINK + 0, LINK + 108, 0x8100, 0x88A8, 0x9100, 0x88E7, MPLS, 0x8848, LINK + 219), _fixed(4)),
    0x8926: _fixed(6),
    **dict.fromkeys((0x893F, 0x8909), Form(keep=((6, 2),))),
    **dict.fromkeys((0x8864, LINK + 51), _fixed(6)),
    LINK + 104: _fixed(4),
    LINK + 204: _fixed(1),
    **dict.fromkeys((PPP_FRAME, LINK + 50), _BRIDGE),
    **dict.fromkeys((PPP + 0x281, PPP + 0x283, IP4 + 137, IP6 + 137, GRE + MPLS, GRE + 0x8848), Form()),
    LINK + 105: _WLAN,
    **dict.fromkeys((LINK + 119, LINK + 163, LINK + 192), _fixed(8)),
    LINK + NETMON_WLAN: _fixed(3),
    **dict.fromkeys((LINK + 149, LINK + 258), _fixed(12)),
    IPV4: Form(keep=((0, 12),), ipv4=(12, 16)),
    IPV6: Form(keep=((0, 8),), ipv6=(8, 24)),
    **dict.fromkeys((IP6 + 0, IP6 + 43, IP6 + 60, IP6 + 135, IP6 + 139, IP6 + 140), _fixed(2)),
    IP6 + 44: _fixed(8),
    **dict.fromkeys((IP4 + 51, IP6 + 51), _fixed(12)),
    **dict.fromkeys((IP4 + 6, IP6 + 6), _fixed(20)),
    **dict.fromkeys((IP4 + 17, IP6 + 17), _fixed(8)),
    **dict.fromkeys((IP4 + 47, IP6 + 47), Form(keep=((0, 4),), bridge=True)),
    **dict.fromkeys((IP4 + 97, IP6 + 97), _fixed(2)),
    **dict.fromkeys((GRE + 0x88BE, GRE + 0x22EB), Form(bridge=True)),
    IP4 + 1: _fixed(8),
    IP6 + 58: _fixed(4),
    UDP_TUNNELS + 1701: _BRIDGE,
    UDP_TUNNELS + 2152: Form(keep=((0, 8),), bridge=True),
    UDP_TUNNELS + 4789: _fixed(8),
    UDP_TUNNELS + 4790: _fixed(8),
    UDP_TUNNELS + 6081: _fixed(8),
}


class Seen(NamedTuple):
    """Frames that have the same kind of header next."""

    kind: int
    rows: Rows


def watching(peelers: Mapping[int, Peeler], seen: list[Seen]) -> dict[int, Peeler]:
    """Peelers that note in `seen` what they peel."""

    def watched(kind: int, peeler: Peeler) -> Peeler:
        def peel(chunk: Chunk, rows: Rows) -> None:
            seen.append(Seen(kind, rows))
            peeler(chunk, rows)

        return peel

    return {kind: watched(kind, peeler) for kind, peeler in peelers.items()}


class Sheet:
    """The old and the new bytes of a chunk; the new ones are zero where nobody wrote."""

    def __init__(self, old: Bytes, names: Pseudonyms) -> None:
        self.old = old
        self.new: Bytes = np.zeros(len(old), np.uint8)
        self.names = names

    def own(self, rows: Rows) -> Rows:
        """The rows whose header stands in the chunk itself, not in a datagram put together from it."""
        return rows.where(rows.at < len(self.old))

    def keep(self, rows: Rows, offset: int, size: int) -> None:
        """Take bytes over, as far as each row holds them."""
        at = (rows.at + offset)[:, None] + np.arange(size)
        at = at[at < np.minimum(rows.have, rows.end)[:, None]]
        self.new[at] = self.old[at]

    def replace(self, rows: Rows, offset: int, size: int, pseudonym: Callable[[bytes], bytes]) -> None:
        """Write pseudonyms in the place of addresses; one that is cut off stays zero."""
        at = rows.at + offset
        at = at[at + size <= np.minimum(rows.have, rows.end)]
        if not len(at):
            return
        at = at[:, None] + np.arange(size)
        raw = self.old[at].tobytes()
        new = b"".join([pseudonym(raw[i : i + size]) for i in range(0, len(raw), size)])
        self.new[at] = np.frombuffer(new, np.uint8).reshape(-1, size)


def write_headers(sheet: Sheet, seen: list[Seen]) -> None:
    """All headers of a chunk."""
    bridges: list[Rows] = []
    for kind, rows in seen:
        form = FORMS.get(kind)
        rows = sheet.own(rows)  # noqa: PLW2901 (the same, fewer)
        if kind in (IPV4, IPV6):
            rows = _sound(sheet, rows, 4 if kind == IPV4 else 6)  # noqa: PLW2901
        if form is None or not len(rows.row):
            _special(sheet, kind, rows)
            continue
        for offset, size in form.keep:
            sheet.keep(rows, offset, size)
        for offset in form.hardware:
            sheet.replace(rows, offset, 6, sheet.names.hardware)
        for offset in form.ipv4:
            sheet.replace(rows, offset, 4, sheet.names.address)
        for offset in form.ipv6:
            sheet.replace(rows, offset, 16, sheet.names.address)
        _special(sheet, kind, rows)
        if form.bridge:
            bridges.append(rows)
        if kind == LINK + 105:
            bridges.append(rows.past(24))
        if kind == LINK + 127:
            bridges += _radio(sheet, rows)
    if bridges:
        _write_bridges(sheet, bridges, seen)


def _sound(sheet: Sheet, rows: Rows, version: int) -> Rows:
    """The rows that have a header of this IP version, and not something else behind a port of a tunnel."""
    first = sheet.old[rows.at]
    return rows.where((first >> 4 == version) & ((version == 6) | (first & 15 >= 5)))


def _special(sheet: Sheet, kind: int, rows: Rows) -> None:
    """What depends on the values in a header."""
    if not len(rows.row):
        return
    old = sheet.old
    if kind == IP4 + 1:
        redirect = rows.where(old[rows.at] == 5)
        sheet.replace(redirect, 4, 4, sheet.names.address)
    elif kind == IP6 + 58:
        number = old[rows.at]
        sheet.keep(rows.where(number <= 129), 4, 4)      # errors and echoes
    elif kind == LLC:
        sheet.keep(rows, 0, 3)
        sheet.keep(rows.where(old[rows.at] == 0xAA), 3, 5)


def _radio(sheet: Sheet, rows: Rows) -> list[Rows]:
    """Radiotap, which names no network, and the IEEE 802.11 header behind it."""
    rows = rows.holding(8)
    size = old_short(sheet.old, rows.at + 2)
    for length in np.unique(np.minimum(size, _MAX_BRIDGE)).tolist():
        sheet.keep(rows.where(np.minimum(size, _MAX_BRIDGE) == length), 0, length)
    inner = rows.past(size)
    inner = inner.where(inner.at < len(sheet.old))
    for offset, length in _WLAN.keep:
        sheet.keep(inner, offset, length)
    for offset in _WLAN.hardware:
        sheet.replace(inner, offset, 6, sheet.names.hardware)
    return [inner.past(24)]


def old_short(old: Bytes, at: NDArray[np.int64]) -> NDArray[np.int64]:
    """Little-endian 16-bit numbers at places that are in the chunk."""
    return old[at].astype(np.int64) | old[at + 1].astype(np.int64) << 8


def _write_bridges(sheet: Sheet, bridges: list[Rows], seen: list[Seen]) -> None:
    """What stands between a header and the next known one; nothing where none follows."""
    starts = np.sort(np.concatenate([sheet.own(rows).at for _, rows in seen]))
    for rows in bridges:
        place = np.searchsorted(starts, rows.at, "right")
        known = place < len(starts)
        following = starts[np.minimum(place, len(starts) - 1)]
        inside = known & (following < np.minimum(rows.have, rows.end)) & (following - rows.at <= _MAX_BRIDGE)
        for at, end in zip(rows.at[inside].tolist(), following[inside].tolist(), strict=True):
            sheet.new[at:end] = sheet.old[at:end]
