"""Kept rows -> the connections that never came up, as columns: SYNs, and at most the RSTs that refuse them.

A scan has millions of them, and they differ in nothing but addresses, ports, frames and times. Other
connections, and whatever is odd in these, are left to `assemble`.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from analyzer.capture.gather import hits
from analyzer.tcp.ends import Ends
from analyzer.tcp.rows import RowStore
from analyzer.tcp.sequence import distances

_SYN, _RST_ACK = 0x02, 0x14
_KINDS = 0x3F            # FIN to URG; ECN bits tell nothing here
MOST_ROWS = 32           # of one connection


class Bare(NamedTuple):
    """Connections of SYNs and their refusals, in order of tcp.stream. Side 0 is the client.

    shape: who sent the segments, one after the other: bit i is the side of segment i, and a one stands
    above the last. ttl: of the first RST, 0 without one. frames: of all segments; those of entry i are
    frames[bounds[i]:bounds[i + 1]].
    """

    conn: NDArray[np.int64]          # numbers, as in Ends
    stream: NDArray[np.int64]
    v6: NDArray[np.bool_]
    client: NDArray[np.uint64]       # (n, 2): addresses as SegmentTable has them, upper and lower word
    server: NDArray[np.uint64]       # (n, 2)
    port: NDArray[np.uint16]         # (n, 2)
    times: NDArray[np.int64]         # (n, 2): of the first and the last segment
    shape: NDArray[np.int64]
    ttl: NDArray[np.uint8]
    frames: NDArray[np.int64]
    bounds: NDArray[np.int64]

    @property
    def refused(self) -> NDArray[np.bool_]:
        """Which ones the server answered: some segment is of side 1."""
        found: NDArray[np.bool_] = self.shape != np.int64(1) << np.diff(self.bounds)
        return found

    def address(self, at: int, side: int) -> bytes:
        """An end of one connection, 4 or 16 bytes."""
        high, low = (self.server if side else self.client)[at].tolist()
        return packed(high, low, v6=bool(self.v6[at]))


def packed(high: int, low: int, *, v6: bool) -> bytes:
    """An address from its words, in network order."""
    return high.to_bytes(8) + low.to_bytes(8) if v6 else low.to_bytes(4)


def bare(store: RowStore, ends: Ends, whole: NDArray[np.bool_]) -> Bare:
    """The bare ones. whole: by connection, no segment of it was left out of the store."""
    count = ends.count
    rows = store.rows()
    conn = rows.conn.astype(np.int64)
    side = rows.side.astype(np.int64)
    kind = rows.flags & _KINDS
    base = ends.base[:count]
    plain = (rows.length == 0) & (rows.icmp == 0)
    plain &= np.where(side == 0, kind == _SYN, kind == _RST_ACK)
    # All SYNs are the same one, and what refuses it answers it; base is one less than a RST's number.
    plain &= rows.seq == base[conn, side] + side.astype(np.uint32)
    plain &= (side == 0) | (distances(rows.ack, base[conn, 0]) == 1)
    sizes = np.bincount(conn, minlength=count)
    fit = whole & (sizes > 0) & (sizes <= MOST_ROWS) & (sizes == ends.packets[:count].sum(axis=1))
    fit &= ends.quoted[:count] == 0
    fit[conn[~plain]] = False
    order = store.order()
    starts = np.cumsum(sizes) - sizes
    fit[hits(fit)[side[order[starts[fit]]] != 0]] = False
    chosen = hits(fit)
    sizes = sizes[chosen]
    bounds = np.concatenate(([0], np.cumsum(sizes)))
    place = np.arange(bounds[-1]) - np.repeat(bounds[:-1], sizes)
    picked = order[np.repeat(starts[chosen], sizes) + place]
    shape = np.int64(1) << sizes
    of = np.repeat(np.arange(len(chosen)), sizes)
    np.add.at(shape, of, side[picked] << place)
    ttl = np.zeros(len(chosen), np.uint8)
    resets = hits(side[picked])[::-1]          # backwards: of several the first one stays
    ttl[of[resets]] = rows.ttl[picked[resets]]
    address = ends.address[chosen]
    return Bare(
        chosen, ends.stream[chosen], ends.v6[chosen], address[:, :2], address[:, 2:],
        ends.port[chosen], ends.times[chosen], shape, ttl, rows.frame[picked], bounds,
    )  # fmt: skip
