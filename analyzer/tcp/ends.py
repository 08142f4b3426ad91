"""What is known of each kept connection as a whole: columns that grow with the connections, 130 bytes each."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from analyzer.capture.gather import hits
from analyzer.capture.table import SegmentTable
from analyzer.tcp.flows import Assignment, sized
from analyzer.tcp.pairs import grown

_ROOM = 256
_ACK = 0x10
_ABSENT = -1


class Ends:
    """One row per connection, in order of tcp.stream; (n, 2) columns by side.

    Everything is counted over all packets of the connection, kept or not.
    """

    def __init__(self) -> None:
        self.count = 0
        self.stream: NDArray[np.int64] = np.zeros(_ROOM, np.int64)
        self.v6: NDArray[np.bool_] = np.zeros(_ROOM, np.bool_)
        self.address: NDArray[np.uint64] = np.zeros((_ROOM, 4), np.uint64)   # high, low of side 0 and 1
        self.port: NDArray[np.uint16] = np.zeros((_ROOM, 2), np.uint16)
        self.packets: NDArray[np.uint32] = np.zeros((_ROOM, 2), np.uint32)
        self.volume: NDArray[np.int64] = np.zeros((_ROOM, 2), np.int64)      # payload bytes on the wire
        self.flags: NDArray[np.uint8] = np.zeros((_ROOM, 2), np.uint8)       # all flags seen
        self.base: NDArray[np.uint32] = np.zeros((_ROOM, 2), np.uint32)      # sequence number before byte 0
        self.based: NDArray[np.bool_] = np.zeros((_ROOM, 2), np.bool_)       # whether there is a base
        self.quoted: NDArray[np.uint32] = np.zeros(_ROOM, np.uint32)         # headers in ICMP errors
        self.frames: NDArray[np.int64] = np.zeros((_ROOM, 2), np.int64)      # first, last
        self.times: NDArray[np.int64] = np.zeros((_ROOM, 2), np.int64)
        self._number: NDArray[np.int32] = np.full(_ROOM, _ABSENT, np.int32)  # by stream

    def number(
        self, segments: SegmentTable, rows: NDArray[np.int64], assigned: Assignment, room: int
    ) -> NDArray[np.int64]:
        """The connection of each row, -1 beyond the first `room` connections; new ones are entered.

        assigned: of these rows.
        """
        stream = assigned.stream
        known = len(self._number)
        top = int(stream.max()) + 1
        if top > known:
            self._number = grown(self._number, top)
            self._number[known:] = _ABSENT
        number = self._number[stream]
        absent = hits(number == _ABSENT)
        if absent.size and self.count < room:
            streams, firsts = np.unique(stream[absent], return_index=True)
            streams, firsts = streams[: room - self.count], firsts[: room - self.count]
            at = absent[firsts]
            self._enter(segments, rows[at], assigned.side[at], streams)
            number = self._number[stream]
        return number.astype(np.int64)

    def _enter(
        self, segments: SegmentTable, rows: NDArray[np.int64], side: NDArray[np.uint8], streams: NDArray[np.int64]
    ) -> None:
        start, end = self.count, self.count + len(rows)
        self.count = end
        if end > len(self.stream):
            for name in _COLUMNS:
                setattr(self, name, grown(getattr(self, name), end))
        new = slice(start, end)
        self._number[streams] = np.arange(start, end)
        self.stream[new] = streams
        self.v6[new] = segments.v6[rows]
        self.frames[new, 0] = segments.frame[rows]
        self.times[new, 0] = segments.time_ns[rows]
        # Side 0 is the sender of a stream's first row: of this one, for its rows are all selected.
        source = np.stack((segments.src_high[rows], segments.src_low[rows]), axis=1)
        target = np.stack((segments.dst_high[rows], segments.dst_low[rows]), axis=1)
        swapped = side == 1
        self.address[new, :2] = np.where(swapped[:, None], target, source)
        self.address[new, 2:] = np.where(swapped[:, None], source, target)
        self.port[new, 0] = np.where(swapped, segments.dst_port[rows], segments.src_port[rows])
        self.port[new, 1] = np.where(swapped, segments.src_port[rows], segments.dst_port[rows])

    def count_rows(
        self,
        segments: SegmentTable,
        rows: NDArray[np.int64],
        conn: NDArray[np.int64],
        assigned: Assignment,
    ) -> None:
        """Enter what these rows (in capture order) tell of their connections. assigned: of these rows."""
        last = 2 * conn + 1
        self.frames.reshape(-1)[last] = segments.frame[rows]
        self.times.reshape(-1)[last] = segments.time_ns[rows]
        quoted = segments.icmp[rows] != 0
        if quoted.any():
            np.add.at(self.quoted, conn[quoted], np.uint32(1))
            counted = hits(~quoted)
            rows, conn, assigned = rows[counted], conn[counted], assigned.take(counted)
        own = 2 * conn + assigned.side
        flags = segments.flags[rows]
        np.add.at(self.packets.reshape(-1), own, np.uint32(1))
        np.add.at(self.volume.reshape(-1), own, segments.length[rows])
        fresh = hits(flags & ~self.flags.reshape(-1)[own])
        np.bitwise_or.at(self.flags.reshape(-1), own[fresh], flags[fresh])
        acks = (flags & _ACK) != 0
        if assigned.steady and not len(segments.unsized):
            acking = hits(acks)
            self._set_bases(own, assigned.base)
            self._set_bases(own[acking] ^ 1, assigned.peer_base[acking])
            return
        telling = sized(segments)[rows]
        told = hits(np.stack((telling, telling & acks), axis=1).ravel())
        self._set_bases(
            np.stack((own, own ^ 1), axis=1).ravel()[told],
            np.stack((assigned.base, assigned.peer_base), axis=1).ravel()[told],
        )

    def _set_bases(self, sides: NDArray[np.int64], bases: NDArray[np.uint32]) -> None:
        """Enter bases, in capture order: of several of one side the last one stays."""
        self.base.reshape(-1)[sides] = bases
        self.based.reshape(-1)[sides] = True


_COLUMNS = (
    "stream", "v6", "address", "port", "packets", "volume", "flags", "base", "based", "quoted", "frames", "times",
)
