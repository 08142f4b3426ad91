"""TCP rows -> the connection of each: Wireshark's tcp.stream, which side sent it, where its bytes lie.

Wireshark 4.0 gives a new number to the first packet between two endpoints, and to a SYN without
ACK whose sequence number is not the base of what its side sent before on the newest conversation
between the two. The base of a side is the sequence number of its first packet (SYN), or one less,
or one less than the first acknowledgement of the other side, whichever comes first; a SYN/ACK with
another sequence number moves it. Nothing else, time, FIN and RST included, begins a conversation.

A header without a segment length (SegmentTable.unsized: one quoted in an ICMP error, say) is
numbered like any other, but sets no base. One quoted too short for Wireshark to number it
(SegmentTable.unnumbered) is given to the conversation that is there already, if there is one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from analyzer.capture.gather import distinct, hits
from analyzer.capture.table import SegmentTable
from analyzer.tcp.limit import LimitReached
from analyzer.tcp.pairs import PairTable, grown
from analyzer.tcp.reuse import Rows, Sides, turning_rows, walk

# 45 bytes each: 190 MB. A capture with more conversations is a scan or a flood; conversations
# beyond this have no number and are not looked at.
MAX_FLOWS = 1 << 22

_NONE = -1
_NOWHERE = np.uint64(0xFFFF_FFFF_FFFF_FFFF)      # an endpoint whose address has no number
_SYN, _ACK = 0x02, 0x10


class Assignment(NamedTuple):
    """Where rows of a SegmentTable belong. Row i of every column is the i-th of those that were asked for."""

    stream: NDArray[np.int64]        # tcp.stream, -1: an unnumbered quotation of nothing seen, or beyond the limit
    side: NDArray[np.uint8]          # 0: the sender of the stream's first row; a quotation is its sender's
    # The sequence number before the first byte (that of the SYN) of the sender; 0 of an unsized row.
    base: NDArray[np.uint32]
    peer_base: NDArray[np.uint32]    # the same of the other side; 0 where the row has no ACK
    steady: bool                     # of no stream does a side's base change from row to row

    def take(self, which: NDArray[np.int64]) -> Assignment:
        """The same of some of the rows, by index."""
        return Assignment(self.stream[which], self.side[which], self.base[which], self.peer_base[which], self.steady)


class FlowTable:
    """Numbers the rows of a whole capture, chunk after chunk.

    The result does not depend on how the capture is cut into chunks.
    """

    def __init__(self, max_flows: int = MAX_FLOWS) -> None:
        self.streams = 0             # numbers given so far
        self._unnumbered = 0         # rows of flows beyond max_flows
        self._first_unnumbered = 0   # frame
        self._max_flows = max_flows
        self._addresses = PairTable()                       # IPv6: upper and lower half
        self._pairs = PairTable()                           # endpoint, endpoint -> flow
        self._stream: NDArray[np.int32] = np.zeros(1024, np.int32)
        self._opener: NDArray[np.uint8] = np.zeros(1024, np.uint8)    # direction of side 0
        # By 2 * flow + direction:
        self._base: NDArray[np.uint32] = np.zeros(2048, np.uint32)
        self._known: NDArray[np.bool_] = np.zeros(2048, np.bool_)
        self._settled: NDArray[np.bool_] = np.zeros(1024, np.bool_)   # by flow: both bases are known

    @property
    def limits(self) -> tuple[LimitReached, ...]:
        """The limit of flows, if it bit."""
        if not self._unnumbered:
            return ()
        return (LimitReached("flows", self._max_flows, self._unnumbered, self._first_unnumbered),)

    def assign(self, segments: SegmentTable, which: NDArray[np.int64] | None = None) -> Assignment:
        """The place of each row. Rows come in capture order, each chunk once.

        which: the rows whose places are wanted, None: all. All are numbered.
        """
        known = len(self._pairs)
        quoting = len(segments.unnumbered)
        short = np.zeros(segments.rows, np.bool_)
        short[segments.unnumbered] = True
        flow, direction = self.flows_of(segments, short)
        rows = Rows(
            flow=flow,
            direction=direction,
            seq=segments.seq,
            ack=segments.ack,
            flags=segments.flags * ~short if quoting else segments.flags,
            counts=sized(segments),
        )
        if not len(flow) or int(flow.min()) >= 0:
            return self._assign(rows, known, which)
        numbered = hits(flow >= 0)
        part = self._assign(rows.take(numbered), known)
        result = Assignment(
            np.full(len(flow), _NONE, np.int64),
            np.zeros(len(flow), np.uint8),
            np.zeros(len(flow), np.uint32),
            np.zeros(len(flow), np.uint32),
            part.steady,
        )
        result.stream[numbered] = part.stream
        result.side[numbered] = part.side
        result.base[numbered] = part.base
        result.peer_base[numbered] = part.peer_base
        return result if which is None else result.take(which)

    def flows_of(
        self, segments: SegmentTable, short: NDArray[np.bool_]
    ) -> tuple[NDArray[np.int64], NDArray[np.uint8]]:
        """The flow (both directions of an address and port pair) of each row, and which direction.

        short: rows that begin no flow; -1 is none. A part of assign(), for those who need no more.
        """
        source, target, everywhere = self._endpoints(segments)
        lower, upper = np.minimum(source, target), np.maximum(source, target)
        before = len(self._pairs)
        if everywhere and not len(segments.unnumbered):
            flow = self._pairs.number(lower, upper, self._max_flows)
        else:
            addressed = upper != _NOWHERE
            adding = addressed & ~short
            flow = np.full(segments.rows, _NONE, np.int64)
            flow[adding] = self._pairs.number(lower[adding], upper[adding], self._max_flows)
            quoting = hits(addressed & short)
            flow[quoting] = self._pairs.find(lower[quoting], upper[quoting])
            # Found, but perhaps only because of a later row of this chunk.
            first = _first_rows(flow, hits(adding & (flow >= before)), before, len(self._pairs))
            fresh = quoting[flow[quoting] >= before]
            flow[fresh[first[flow[fresh] - before] > fresh]] = _NONE
        refused = hits((flow < 0) & ~short)
        if refused.size:
            self._first_unnumbered = self._first_unnumbered or int(segments.frame[refused[0]])
            self._unnumbered += len(refused)
        flows = len(self._pairs)
        self._stream = grown(self._stream, flows)
        self._opener = grown(self._opener, flows)
        self._settled = grown(self._settled, flows)
        self._base = grown(self._base, 2 * flows)
        self._known = grown(self._known, 2 * flows)
        return flow, (source > target).astype(np.uint8)

    def _endpoints(self, segments: SegmentTable) -> tuple[NDArray[np.uint64], NDArray[np.uint64], bool]:
        """One word for each sender and receiver: address and port; IPv6 addresses by their number. And whether all have one."""
        source, target, v6 = segments.src_low, segments.dst_low, segments.v6
        if v6.any():
            six = slice(None) if v6.all() else hits(v6)
            numbers = self._numbers(
                (segments.src_high[six], source[six]), (segments.dst_high[six], target[six])
            )
            source, target = source.copy(), target.copy()
            for word, number in zip((source, target), numbers, strict=True):
                word[six] = number.view(np.uint64) | np.uint64(1 << 47)      # of -1 _NOWHERE
            if min(int(number.min()) for number in numbers) < 0:
                return _endpoint(source, segments.src_port), _endpoint(target, segments.dst_port), False
        shift = np.uint64(16)
        return (source << shift) | segments.src_port, (target << shift) | segments.dst_port, True

    def _numbers(
        self, *addresses: tuple[NDArray[np.uint64], NDArray[np.uint64]]
    ) -> Sequence[NDArray[np.int64]]:
        """Of IPv6 senders and receivers, each as upper and lower half, the numbers; -1 beyond the limit."""
        table, limit = self._addresses, 2 * self._max_flows
        (source, _), _ = addresses
        if len(table) + 2 * len(source) <= limit:
            return [table.number(high, low, limit) for high, low in addresses]
        # Whose turn it is counts: then chunks of any size give the last numbers to the same ones.
        high, low = (_in_turn(*halves) for halves in zip(*addresses, strict=True))
        both = table.number(high, low, limit)
        return both[::2], both[1::2]

    def _assign(self, rows: Rows, before: int, which: NDArray[np.int64] | None = None) -> Assignment:
        """Rows of numbered flows; flows from `before` on are new in this chunk. which: as assign() has it."""
        flow = rows.flow
        at = hits(~self._settled[flow])              # new flows are among them
        young = rows.take(at)
        newly = self._set_bases(young)
        first = at[_first_rows(young.flow, hits(young.flow >= before), before, len(self._pairs))]
        self._opener[before : len(self._pairs)] = rows.direction[first]
        self._settle(young.flow)
        # Within the chunk a base only changes in flows where one of these SYNs stands.
        odd = hits(rows.flags & _SYN)
        slot = 2 * flow[odd] + rows.direction[odd]
        odd = odd[self._known[slot] & (rows.seq[odd] != self._base[slot])]
        if len(odd):
            reused = np.zeros(len(self._pairs), np.bool_)
            reused[flow[odd]] = True
            self._known[newly[reused[newly >> 1]]] = False
            everything = self._assign_reused(rows, first, before, reused)
            self._settle(hits(reused))
            return everything if which is None else everything.take(which)
        self._stream[before + np.argsort(first)] = np.arange(self.streams, self.streams + len(first))
        self.streams += len(first)
        return self._told(rows if which is None else rows.take(which), steady=True)

    def _told(self, rows: Rows, *, steady: bool) -> Assignment:
        """What the table says of rows now, without the bases that a row itself does not need: they may come from later rows."""
        flow, direction = rows.flow, rows.direction
        slot = 2 * flow + direction
        return Assignment(
            self._stream[flow].astype(np.int64),
            direction ^ self._opener[flow],
            self._base[slot] * rows.counts,
            self._base[slot ^ 1] * _acks(rows),
            steady,
        )

    def _settle(self, flow: NDArray[np.int64]) -> None:
        """Note of some flows whether both bases are known."""
        self._settled[flow] = self._known[2 * flow] & self._known[2 * flow + 1]

    def _set_bases(self, rows: Rows) -> NDArray[np.int64]:
        """Give each side without a base the one its first row here tells. Returns the sides set."""
        slot = 2 * rows.flow + rows.direction
        other = slot ^ 1
        own = self._first_telling(slot, hits(rows.counts & ~self._known[slot]))
        peer = self._first_telling(other, hits(_acks(rows) & ~self._known[other]))
        side = np.concatenate((slot[own], other[peer]))
        base = np.concatenate((
            rows.seq[own] - ((rows.flags[own] & _SYN) == 0).astype(np.uint32), rows.ack[peer] - np.uint32(1),
        ))
        # Backwards: of two values the first one stays. In a row its own side comes first.
        order = np.argsort(np.concatenate((2 * own, 2 * peer + 1)))[::-1]
        self._base[side[order]] = base[order]
        self._known[side] = True
        return side

    def _first_telling(self, side: NDArray[np.int64], rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """The first of some rows, ascending, for each of their sides, whose bases are not known."""
        scratch, side = self._base, side[rows]
        scratch[side[::-1]] = rows[::-1]
        first: NDArray[np.int64] = rows[scratch[side] == rows]
        return first

    def _assign_reused(
        self, rows: Rows, first: NDArray[np.int64], before: int, reused: NDArray[np.bool_]
    ) -> Assignment:
        """The same where in the flows `reused` a SYN comes that does not fit: these row by row."""
        story = hits(reused[rows.flow])
        story = story[np.argsort(rows.flow[story], kind="stable")]
        turns = turning_rows(rows, story)
        turning = story[turns]
        found = walk(rows, turning, Sides(self._opener, self._base, self._known), before)
        began = before + hits(~reused[before:])
        origins = found.origin[found.origin >= 0]
        creating = distinct(np.concatenate((first[began - before], origins)))
        self._stream[began] = self.streams + np.searchsorted(creating, first[began - before])
        number = np.where(
            found.origin >= 0,
            self.streams + np.searchsorted(creating, found.origin),
            self._stream[rows.flow[turning]],
        )
        self._stream[rows.flow[turning]] = number        # of several the last one stays
        self.streams += len(creating)
        result = self._told(rows, steady=False)
        last = np.cumsum(turns) - 1
        own = rows.direction[story]
        bases = found.bases[last]
        result.stream[story] = number[last]
        result.side[story] = own ^ found.opener[last]
        result.base[story] = np.where(own, bases[:, 1], bases[:, 0]) * rows.counts[story]
        result.peer_base[story] = np.where(own, bases[:, 0], bases[:, 1]) * _acks(rows)[story]
        return result


def sized(segments: SegmentTable) -> NDArray[np.bool_]:
    """Which rows set bases."""
    found = np.ones(segments.rows, np.bool_)
    found[segments.unsized] = False
    return found


def _acks(rows: Rows) -> NDArray[np.bool_]:
    """Which rows tell the base of the other side."""
    acks: NDArray[np.bool_] = rows.counts & ((rows.flags & _ACK) != 0)
    return acks


def _first_rows(flow: NDArray[np.int64], rows: NDArray[np.int64], start: int, end: int) -> NDArray[np.int64]:
    """The first of `rows` in each of the flows from start to end."""
    first = np.zeros(end - start, np.int64)
    first[flow[rows[::-1]] - start] = rows[::-1]
    return first


def _in_turn(first: NDArray[np.uint64], second: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """One of each in turn."""
    both = np.empty(2 * len(first), np.uint64)
    both[::2], both[1::2] = first, second
    return both


def _endpoint(address: NDArray[np.uint64], port: NDArray[np.uint16]) -> NDArray[np.uint64]:
    word = (address << np.uint64(16)) | port
    return np.where(address == _NOWHERE, _NOWHERE, word)
