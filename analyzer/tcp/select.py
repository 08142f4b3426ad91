"""Rows of all connections -> those that a verdict needs, kept until the capture ends: SegmentStore.

Kept of each connection on an SMB port: SYN, FIN, RST and quoted headers; whatever carries or
acknowledges the first bytes of either side, without the bytes that nobody reads; later segments that begin
with a NEGOTIATE message, and what follows each for a while. Everything else is counted only.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from analyzer.capture.gather import hits
from analyzer.capture.table import SegmentTable
from analyzer.tcp.assemble import Portion, portions
from analyzer.tcp.bare import Bare, bare
from analyzer.tcp.batch import WINDOWS, Batch, inside
from analyzer.tcp.connection import Connection
from analyzer.tcp.ends import Ends
from analyzer.tcp.flows import Assignment
from analyzer.tcp.limit import LimitReached
from analyzer.tcp.pairs import grown
from analyzer.tcp.recognise import Recogniser, starts_negotiate
from analyzer.tcp.rows import RowStore
from analyzer.tcp.sequence import distance
from analyzer.tcp.unread import Unread

__all__ = ["LimitReached", "SegmentStore", "StoreLimits"]

# Bytes of either side kept after a NEGOTIATE message beyond the window, and how many such messages
# of one connection: one is a protocol error already.
RENEGOTIATION = 8192
MAX_RENEGOTIATIONS = 16

# Control segments of one connection. A client tries 5 to 10 times; more is a scanner or a loop.
MAX_CONTROLS = 256

# Segments of one connection: both windows in one-byte segments, each acknowledged, twice over.
MAX_ROWS = 8 * WINDOWS[0]

# Payload of one connection: both windows eight times, for retransmissions.
MAX_PAYLOAD = 16 * WINDOWS[0]

# Rows after which those of connections that are no SMB are looked for and dropped.
TIDY = 200_000

FEW_PORTS = 8
"""SMB ports that are compared one by one, which is faster than a table as long as there are few."""

_SYN = 0x02


class StoreLimits(NamedTuple):
    """What a store may hold. 6 million segments are 290 MB."""

    connections: int = 2_000_000
    rows: int = 6_000_000
    payload: int = 320 << 20


class SegmentStore:
    """Collects the rows of a capture, chunk by chunk, then yields its connections.

    ports: the SMB ports. None: every connection is kept until its first bytes show that it is no
    SMB, those on ports 139 and 445 always.
    The result does not depend on how the capture is cut into chunks.
    """

    def __init__(self, ports: frozenset[int] | None, limits: StoreLimits | None = None) -> None:
        self.ends = Ends()
        self._limits = limits or StoreLimits()
        self._copies: int | None = None                      # connections there may be where they are copies
        self._rows = RowStore()
        self._unread = Unread()
        self._recogniser = Recogniser() if ports is None else None
        self._few = ports if ports is not None and len(ports) <= FEW_PORTS else None
        self._port = np.zeros(1 << 16, np.bool_)
        self._port[list(ports) if ports is not None else slice(None)] = True
        self._tidy_at = TIDY
        self._payload_full = False                           # even with the smallest window
        self._narrowed = 0                                   # frame from which on a smaller window was needed
        self._window = 0                                     # index into WINDOWS
        self._bitten: dict[str, LimitReached] = {}
        self._newest_refused = -1                            # stream
        self._reporters: dict[int, bytes] = {}
        self._renewed: dict[int, _Renewal] = {}
        # By connection: what came so far, kept or not, against the limits of one connection.
        self._controls: NDArray[np.int64] = np.zeros(256, np.int64)
        self._kept: NDArray[np.int64] = np.zeros(256, np.int64)
        self._payload: NDArray[np.int64] = np.zeros(256, np.int64)
        self._cut: NDArray[np.bool_] = np.zeros(256, np.bool_)

    @property
    def limits(self) -> tuple[LimitReached, ...]:
        """The limits that bit, in order of name."""
        bitten = list(self._bitten.values())
        if self._window:
            window = WINDOWS[self._window]
            more = (self.ends.volume[: self.ends.count] > window).any(axis=1)
            bitten.append(LimitReached("window", window, int(np.count_nonzero(more)), self._narrowed))
        return tuple(sorted(bitten))

    def expect_copies(self, room: int | None) -> None:
        """From now on take no connections beyond so many, because they can only be copies; None: they are none."""
        self._copies = room

    def concerned(self, segments: SegmentTable) -> NDArray[np.int64]:
        """The rows of a chunk that are of connections on the ports: those that add() takes."""
        return hits(self._on_port(segments))

    def add(self, segments: SegmentTable, rows: NDArray[np.int64], assigned: Assignment) -> None:
        """Take rows of a chunk, in capture order: all that concern the store. assigned: what FlowTable says of these."""
        numbered = assigned.stream >= 0
        if not numbered.all():
            which = hits(numbered)
            rows, assigned = rows[which], assigned.take(which)
        if not rows.size:
            return
        entered = self.ends.count
        room = self._limits.connections
        conn = self.ends.number(segments, rows, assigned, room if self._copies is None else min(room, self._copies))
        refused = conn < 0
        if refused.any():
            self._refuse(segments, rows[refused], assigned.stream[refused])
            which = hits(~refused)
            rows, conn, assigned = rows[which], conn[which], assigned.take(which)
        count = self.ends.count
        for name in ("_controls", "_kept", "_payload", "_cut"):
            setattr(self, name, grown(getattr(self, name), count))
        batch = Batch.of_table(segments, rows, conn, assigned)
        reach = self._reach(segments, batch, entered)
        self.ends.count_rows(segments, rows, conn, assigned)
        self._keep(segments, batch, reach)

    def _on_port(self, segments: SegmentTable) -> NDArray[np.bool_]:
        """Which rows are of connections on the ports."""
        if self._few is None:
            return self._port[segments.src_port] | self._port[segments.dst_port]
        found = np.zeros(segments.rows, np.bool_)
        for port in self._few:
            found |= (segments.src_port == port) | (segments.dst_port == port)
        return found

    def _refuse(self, segments: SegmentTable, rows: NDArray[np.int64], stream: NDArray[np.int64]) -> None:
        """Count connections beyond the limit. Their streams first appear in rising order."""
        streams = np.unique(stream)
        new = int(np.count_nonzero(streams > self._newest_refused))
        self._newest_refused = max(self._newest_refused, int(streams[-1]))
        limit, name = self._limits.connections, "connections"
        if self._copies is not None and self._copies < limit:
            limit, name = self._copies, "copied-connections"
        self._note(name, limit, new, int(segments.frame[rows[0]]))

    def _note(self, name: str, limit: int, beyond: int, frame: int) -> None:
        before = self._bitten.get(name)
        if before is not None:
            beyond, frame = before.beyond + beyond, before.frame
        self._bitten[name] = LimitReached(name, limit, beyond, frame)

    def _reach(self, segments: SegmentTable, batch: Batch, entered: int) -> NDArray[np.int64]:
        """How far into its side's stream a row may begin to be kept; 0: it is not kept at all."""
        if self._recogniser is None:
            return np.broadcast_to(np.int64(WINDOWS[0]), len(batch.rows))
        count = self.ends.count
        self._recogniser.enter(self.ends.port[entered:count], count)
        opened = ((self.ends.flags[:count] & _SYN) != 0).any(axis=1)
        return self._recogniser.reach(
            segments, batch.rows, (batch.conn, batch.side), batch.offset, opened
        )

    def _keep(self, segments: SegmentTable, batch: Batch, reach: NDArray[np.int64]) -> None:
        """Put the rows that matter into the store, within every limit."""
        wanted, payload = self._wanted(segments, batch, reach)
        chosen = hits(wanted)
        if not len(chosen):
            return
        batch, wanted, payload = batch.take(chosen), wanted[chosen], payload[chosen]
        held = payload & ~self._unread.within(segments, batch, payload, self.ends.count)
        size = segments.present[batch.rows]
        ones = np.ones(len(size), np.int64)
        controls = wanted & batch.control & ~payload
        for name, totals, cap, concerned, weight in (
            ("controls", self._controls, MAX_CONTROLS, controls, ones),
            ("connection-rows", self._kept, MAX_ROWS, wanted, ones),
            ("connection-payload", self._payload, MAX_PAYLOAD, held, size),
        ):
            beyond = self._beyond(batch.conn, totals, cap, concerned & wanted, weight)
            if beyond.size:
                wanted[beyond] = False
                self._cut[batch.conn[beyond]] = True
                self._note(name, cap, len(beyond), int(segments.frame[batch.rows[beyond[0]]]))
        if self._window:
            wanted &= inside(batch, WINDOWS[self._window])
        held &= wanted
        if self._recogniser is not None and (
            len(self._rows) > self._tidy_at or self._full(wanted, size * held)
        ):
            self._tidy(self._recogniser.refused(self.ends.count))
        while self._full(wanted, size * held) and self._window + 1 < len(WINDOWS):
            self._narrow(segments, batch, wanted, size * held)
            wanted &= inside(batch, WINDOWS[self._window])
            held &= wanted
        if self._full(wanted, size * held):
            self._stop(segments, batch, wanted, size * held)
        at = hits(wanted)
        if not at.size:
            return
        rows = batch.rows[at]
        self._rows.append(segments, rows, (batch.conn[at], batch.side[at]), payload[at], held[at])
        for frame in segments.frame[rows[segments.icmp[rows] != 0]].tolist():
            if frame in segments.reporters:
                self._reporters[frame] = segments.reporters[frame]

    def _wanted(
        self, segments: SegmentTable, batch: Batch, reach: NDArray[np.int64]
    ) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Which rows to keep, and of which the payload too."""
        near = (batch.offset >= -reach) & (batch.offset < reach)
        payload = batch.data & near
        wanted = payload | (batch.control & (reach > 0))
        wanted |= batch.acks & near & (batch.acked >= -reach) & (batch.acked < reach)
        far = hits(batch.data & ~payload & (reach == WINDOWS[0]))
        starts = far[starts_negotiate(segments, batch.rows[far])]
        if starts.size or self._renewed:
            late = self._late(segments, batch, ~payload, starts)
            wanted[late] = True
            payload[late] = batch.data[late]
        return wanted, payload

    def _late(
        self, segments: SegmentTable, batch: Batch, far: NDArray[np.bool_], starts: NDArray[np.int64]
    ) -> list[int]:
        """Rows beyond the window that begin with a NEGOTIATE (`starts`) or follow such a row."""
        kept = []
        starting = set(starts.tolist())
        numbers = [*self._renewed, *batch.conn[starts].tolist()]
        for at in hits(far & ~batch.control & np.isin(batch.conn, numbers)).tolist():
            row, conn, side = int(batch.rows[at]), int(batch.conn[at]), int(batch.side[at])
            seq, ack = int(segments.seq[row]), int(segments.ack[row])
            renewal = self._renewed.get(conn)
            if at in starting and (renewal is None or renewal.times < MAX_RENEGOTIATIONS):
                count = 1 if renewal is None else renewal.times + 1
                renewal = _Renewal(count, (ack, seq) if side else (seq, ack))
                self._renewed[conn] = renewal
            if renewal is None:
                continue
            ahead = distance(seq, renewal.start[side])
            acked = 0 if batch.data[at] else distance(ack, renewal.start[1 - side])
            if 0 <= ahead < RENEGOTIATION and 0 <= acked < RENEGOTIATION:
                kept.append(at)
        return kept

    @staticmethod
    def _beyond(
        conn: NDArray[np.int64],
        totals: NDArray[np.int64],
        cap: int,
        concerned: NDArray[np.bool_],
        weight: NDArray[np.int64],
    ) -> NDArray[np.int64]:
        """Rows that take the total of their connection beyond the cap. Adds all weights to the totals."""
        at = hits(concerned)
        np.add.at(totals, conn[at], weight[at])
        at = at[totals[conn[at]] > cap]
        if not at.size:
            return at
        at = at[np.argsort(conn[at], kind="stable")]
        numbers, starts, inverse = np.unique(conn[at], return_index=True, return_inverse=True)
        running = np.cumsum(weight[at])
        sums = np.add.reduceat(weight[at], starts)
        before = totals[numbers] - sums - (running[starts] - weight[at][starts])
        return np.sort(at[running + before[inverse] > cap])

    def _full(self, wanted: NDArray[np.bool_], size: NDArray[np.int64]) -> bool:
        more = int(size.sum())
        return (
            len(self._rows) + int(np.count_nonzero(wanted)) > self._limits.rows
            or len(self._rows.arena) + more > self._limits.payload
            or (self._payload_full and more > 0)
        )

    def _tidy(self, refused: NDArray[np.bool_]) -> None:
        """Drop the rows of connections that turned out to be no SMB."""
        self._rows.keep(lambda rows: ~refused[rows.conn])
        self._tidy_at = max(TIDY, 2 * len(self._rows))

    def _narrow(
        self, segments: SegmentTable, batch: Batch, wanted: NDArray[np.bool_], size: NDArray[np.int64]
    ) -> None:
        """Take the next smaller window, for what is in the store too."""
        if not self._window:
            rows, payload = len(self._rows) + np.cumsum(wanted), len(self._rows.arena) + np.cumsum(size)
            first = int(np.argmax((rows > self._limits.rows) | (payload > self._limits.payload)))
            self._narrowed = int(segments.frame[batch.rows[first]])
        self._window += 1
        self._rows.keep(lambda rows: inside(Batch.of_store(rows, self.ends.base), WINDOWS[self._window]))

    def _stop(
        self, segments: SegmentTable, batch: Batch, wanted: NDArray[np.bool_], size: NDArray[np.int64]
    ) -> None:
        """Let in the first rows for which there is room; after the first payload too many, none at all."""
        payload = len(self._rows.arena) + np.cumsum(size)
        over = wanted & (size > 0) & ((payload > self._limits.payload) | self._payload_full)
        self._payload_full |= bool(over.any())
        for name, limit in (("payload", self._limits.payload), ("rows", self._limits.rows)):
            at = hits(over)
            if at.size:
                wanted[at] = False
                self._cut[batch.conn[at]] = True
                self._note(name, limit, len(at), int(segments.frame[batch.rows[at[0]]]))
            over = wanted & (len(self._rows) + np.cumsum(wanted) > self._limits.rows)

    def connections(self, which: NDArray[np.bool_] | None = None) -> Iterator[Connection]:
        """Every connection in order of tcp.stream, one at a time. Call it when all rows were added.

        which: only these; one entry for each connection of `ends`. With ports None, connections
        that were not recognised are left out in either case.
        """
        for portion in self.portions(which):
            yield from portion.connections()

    def portions(self, which: NDArray[np.bool_] | None = None) -> Iterator[Portion]:
        """The same connections, as many at a time as arrays want."""
        count = self.ends.count
        chosen = np.ones(count, np.bool_) if which is None else which.copy()
        if self._recogniser is not None:
            chosen &= self._recogniser.smb(count)
        kept_whole = np.where(self._cut[:count], 0, WINDOWS[self._window])
        return portions(self._rows, self.ends, chosen, kept_whole, self._reporters)

    def bare(self) -> Bare | None:
        """The connections that are SYNs and refusals only; None with ports None."""
        if self._recogniser is not None:
            return None
        return bare(self._rows, self.ends, ~self._cut[: self.ends.count])


class _Renewal(NamedTuple):
    """The newest NEGOTIATE beyond the window: the how many-th it is, where each side was then."""

    times: int
    start: tuple[int, int]
