"""Rows of a range -> those that numbering and keeping the rows of a whole capture depend on: Excerpt.

All rows on SMB ports are among them, with the first bytes of each; the rest of a payload is left where it
is. Of other connections those that may open one or set a sequence number that is compared later, which is
what reuse.turning_rows() says and some rows more. FlowTable and SegmentStore come to the same with them.
"""

from __future__ import annotations

from io import FileIO
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from analyzer.capture.gather import gather, hits
from analyzer.capture.table import HEAD, SegmentTable
from analyzer.errors import Error
from analyzer.tcp.arena import gathered
from analyzer.tcp.flows import FlowTable
from analyzer.tcp.pairs import grown

_SYN, _ACK = 0x02, 0x10
_NEAR = 4096             # bytes of a file between two payloads that are read along rather than sought past
_COLUMNS = (
    "frame", "time_ns", "v6", "src_high", "src_low", "dst_high", "dst_low", "src_port", "dst_port",
    "seq", "ack", "flags", "ttl", "length", "present", "icmp",
)
_ODD = 4                                 # sorts of rows: by direction and whether there is an ACK, and others
_SMALL = ("length", "present")           # sent as 32 bits
_UPPER = ("src_high", "dst_high")        # of IPv6 addresses; not sent where there are none


class Excerpt(NamedTuple):
    """Rows of a range. columns: by name, those of SegmentTable that are copied as they are, but for _SMALL and _UPPER.

    heads: (rows, HEAD) bytes, the first of each payload. place: where the payload begins in the file, or,
    counted down from -1, in `rest`: what was put together from fragments.
    """

    columns: dict[str, NDArray[Any]]
    heads: NDArray[np.uint8]
    place: NDArray[np.int64]
    rest: bytes
    reporters: dict[int, bytes]
    unnumbered: NDArray[np.int64]
    unsized: NDArray[np.int64]

    def table(self, file: FileIO, frames: int) -> SegmentTable:
        """The rows as a table. file: the capture; frames: how many came before the range."""
        count = len(self.place)
        columns = {**self.columns, "frame": self.columns["frame"] + frames}
        columns |= {name: columns[name].astype(np.int64) for name in _SMALL}
        columns |= {name: np.zeros(count, np.uint64) for name in _UPPER if name not in columns}
        return SegmentTable(
            data=self.heads.reshape(-1),
            payload=np.arange(count) * HEAD,
            reporters={frame + frames: address for frame, address in self.reporters.items()},
            unnumbered=self.unnumbered,
            unsized=self.unsized,
            elsewhere=_Payloads(file, self.place, self.rest),
            **columns,
        )


class Excerpter:
    """Collects the excerpt of one range. ports: the SMB ports."""

    def __init__(self, ports: frozenset[int]) -> None:
        self._port = np.zeros(1 << 16, np.bool_)
        self._port[list(ports)] = True
        self._flows = FlowTable()
        self._seen: NDArray[np.uint8] = np.zeros(1024, np.uint8)      # by flow: kinds of rows since its last SYN
        self._parts: list[Excerpt] = []
        self._rows = 0

    def add(self, segments: SegmentTable, chunk: int, at: int) -> None:
        """Take what matters of a chunk. chunk: bytes of it, which begin at a place of the file; behind: others."""
        smb = self._port[segments.src_port] | self._port[segments.dst_port]
        rows = hits(smb | self._turning(segments))
        if not len(rows):
            return
        place = segments.payload[rows] + at
        heads = np.zeros((len(rows), HEAD), np.uint8)
        carrying = hits(smb[rows] & (segments.present[rows] > 0))
        found = gather(segments.data, segments.payload[rows[carrying]], np.dtype(f"V{HEAD}"))
        heads.view(f"V{HEAD}")[carrying, 0] = found
        rest = segments.data[chunk:].tobytes() if len(segments.data) > chunk else b""
        behind = segments.payload[rows] >= chunk
        place[behind] = -1 - (segments.payload[rows[behind]] - chunk) - sum(len(part.rest) for part in self._parts)
        self._parts.append(Excerpt(
            {name: getattr(segments, name)[rows] for name in _COLUMNS}, heads, place, rest, dict(segments.reporters),
            _among(segments.unnumbered, rows) + self._rows, _among(segments.unsized, rows) + self._rows,
        ))
        self._rows += len(rows)

    def result(self) -> Excerpt | None:
        """Everything taken; None: nothing."""
        parts = self._parts
        if not parts:
            return None
        columns = {name: np.concatenate([part.columns[name] for part in parts]) for name in _COLUMNS}
        columns |= {name: columns[name].astype(np.uint32) for name in _SMALL}
        if not columns["v6"].any():
            for name in _UPPER:
                del columns[name]
        return Excerpt(
            columns,
            np.concatenate([part.heads for part in parts]),
            np.concatenate([part.place for part in parts]),
            b"".join(part.rest for part in parts),
            {frame: address for part in parts for frame, address in part.reporters.items()},
            np.concatenate([part.unnumbered for part in parts]),
            np.concatenate([part.unsized for part in parts]),
        )

    def _turning(self, segments: SegmentTable) -> NDArray[np.bool_]:
        """Rows that may begin a conversation or set a base: more than are needed, never fewer."""
        odd = segments.icmp != 0
        odd[segments.unnumbered] = True
        odd[segments.unsized] = True
        flow, direction = self._flows.flows_of(segments, odd)
        self._seen = grown(self._seen, int(flow.max(initial=0)) + 1)
        sort = direction * 2 + ((segments.flags & _ACK) != 0)
        kind = np.left_shift(1, sort).astype(np.uint8)
        plain = ~odd & (flow >= 0)
        syn = (segments.flags & _SYN) != 0
        opened = np.zeros(len(self._seen), np.bool_)
        opened[flow[syn & (flow >= 0)]] = True
        opened_row = opened[flow] & (flow >= 0)
        turning: NDArray[np.bool_] = ~plain | syn
        fresh = hits(plain & ~opened_row & ((self._seen[flow] & kind) == 0))
        turning[fresh] = True
        np.bitwise_or.at(self._seen, flow[fresh], kind[fresh])
        story = hits(opened_row)
        if len(story):
            story = story[np.argsort(flow[story], kind="stable")]
            sort[odd] = _ODD
            self._since_syn(flow[story], syn[story], sort[story], story, turning)
        return turning

    def _since_syn(
        self,
        flow: NDArray[np.int64],
        syn: NDArray[np.bool_],
        sort: NDArray[np.uint8],
        story: NDArray[np.int64],
        turning: NDArray[np.bool_],
    ) -> None:
        """Mark, in flows in which a SYN is, the first row of each sort at the begin and since each SYN.

        story: numbers of their rows, flow after flow; flow, syn, sort: of these rows.
        """
        starts = np.ones(len(flow), np.bool_)
        starts[1:] = flow[1:] != flow[:-1]
        starts |= syn
        part = np.cumsum(starts) - 1
        first = np.full((int(part[-1]) + 1, _ODD + 1), -1)
        first[part[::-1], sort[::-1]] = story[::-1]            # backwards: of several the first one stays
        turning[first[first >= 0]] = True
        # What is known afterwards is what came since the last SYN.
        self._seen[flow[starts]] = (first[:, :_ODD] >= 0) @ np.array([1, 2, 4, 8], np.uint8)


class _Payloads:
    """Where the payload of an excerpt's rows is."""

    def __init__(self, file: FileIO, place: NDArray[np.int64], rest: bytes) -> None:
        self._file = file
        self._place = place
        self._rest = rest

    def fetch(self, rows: NDArray[np.int64], size: NDArray[np.int64]) -> tuple[bytearray, NDArray[np.int64]]:
        """Bytes that hold the first so many bytes of each row's payload, and where these begin in them."""
        place = self._place[rows]
        filed = hits(place >= 0)
        found, moved = gathered(place[filed], size[filed], _NEAR, self._read)
        begin = len(found) - 1 - place
        begin[filed] = moved
        found += self._rest
        return found, begin

    def _read(self, start: int, view: memoryview) -> None:
        self._file.seek(start)
        if self._file.readinto(view) != len(view):
            raise Error("the capture changed while it was read")


def _among(numbers: NDArray[np.int64], rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """Where some rows, which are all chosen, are among the chosen ones."""
    return np.searchsorted(rows, numbers)
