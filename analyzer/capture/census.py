"""What else a capture holds: counts for a report on a capture in which nothing is to be diagnosed."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from analyzer.capture.gather import distinct, gather, hits
from analyzer.capture.layers import QUIC, ROCE, Chunk
from analyzer.capture.table import SegmentTable

SMB_PORTS = (139, 445)
IWARP = 5445                         # TCP port
_FOLD = 1 << 16                      # port numbers collected before they are counted

_SMB = np.dtype({
    # A NetBIOS session header, then the signature; the flags that mark an answer are byte 9 of an
    # SMB1 header and bytes 16 to 19 of an SMB2 header.
    "names": ["protocol", "signature", "flags1", "flags2"],
    "formats": ["u1", "V3", "u1", "u1"],
    "offsets": [4, 5, 13, 20],
    "itemsize": 24,
})
_SIGNATURE = np.frombuffer(b"SMB", "V3")
_IPV4_PAIR = np.dtype([("both", "<u8")])
_IPV6_PAIR = np.dtype([(name, "<u8") for name in ("high1", "low1", "high2", "low2")])
_FACTORS = tuple(np.uint64(factor) for factor in (
    0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9, 0xD6E8FEB86659FD93))
_QUIC = np.dtype([("first", "u1"), ("version", ">u4")])


HOSTS = 4096                         # pairs that speak QUIC, kept of one capture


class Sighting(NamedTuple):
    """Something seen: where first, and in how many frames."""

    first_frame: int
    frames: int


class Census(NamedTuple):
    """What there is beside the connections that are diagnosed.

    tcp_ports: the busiest, as (port, segments), by the lower port of each segment;
    smb_elsewhere: TCP port other than 139 and 445 -> SMB messages at the start of a segment;
    quic: QUIC handshakes (long headers) on UDP 443; quic_hosts: addresses of client and server -> the first
    such frame between them; rdma: "iWARP", "RoCE" -> frames.
    """

    tcp_segments: int
    tcp_ports: tuple[tuple[int, int], ...]
    smb_elsewhere: dict[int, Sighting]
    quic: Sighting | None
    quic_hosts: dict[tuple[bytes, bytes], int]
    rdma: dict[str, Sighting]


def _addresses(chunk: Chunk, ip: int) -> tuple[bytes, bytes]:
    """Source and destination of the IP header at an offset."""
    if ip < 0:
        return b"", b""
    size, at = (4, ip + 12) if chunk.data[ip] >> 4 == 4 else (16, ip + 8)
    found = chunk.data[at : at + 2 * size].tobytes()
    return found[:size], found[size:]


def _firsts(chunk: Chunk, ip: NDArray[np.int64], toward: NDArray[np.bool_]) -> NDArray[np.int64]:
    """The rows, ascending, in which two hosts first speak in one direction. ip: where the IP header begins, or -1.

    Addresses are told apart by 64 bits: all of two IPv4 addresses, a sum of products of two of IPv6.
    """
    key = np.zeros(len(ip), np.uint64)
    version = np.where(ip >= 0, chunk.data[np.maximum(ip, 0)] >> 4, 0)
    four, six = hits(version == 4), hits((version != 4) & (ip >= 0))
    key[four] = chunk.gather(ip[four] + 12, _IPV4_PAIR)["both"]
    if len(six):
        pair = chunk.gather(ip[six] + 8, _IPV6_PAIR)
        for field, factor in zip(_IPV6_PAIR.names or (), _FACTORS, strict=True):
            key[six] += pair[field] * factor
    order = np.lexsort((toward, key))
    first = np.ones(len(order), np.bool_)
    first[1:] = (key[order][1:] != key[order][:-1]) | (toward[order][1:] != toward[order][:-1])
    return np.sort(order[first])


class Counter:
    """Counts one capture, a chunk at a time."""

    def __init__(self) -> None:
        self._segments = 0
        self._ports = np.zeros(65536, np.int64)
        self._pending: list[NDArray[np.uint16]] = []
        self._waiting = 0
        self._smb: dict[int, Sighting] = {}
        self._quic: Sighting | None = None
        self._quic_hosts: dict[tuple[bytes, bytes], int] = {}
        self._rdma: dict[str, Sighting] = {}

    def __getstate__(self) -> dict[str, Any]:
        # Few of the ports there could be were seen.
        self._fold()
        seen = hits(self._ports)
        return {**self.__dict__, "_ports": (seen, self._ports[seen])}

    def __setstate__(self, state: dict[str, Any]) -> None:
        seen, counts = state["_ports"]
        self.__dict__.update(state, _ports=np.zeros(65536, np.int64))
        self._ports[seen] = counts

    def add(self, chunk: Chunk, segments: SegmentTable, first_frame: int) -> None:
        """Count a chunk. first_frame: frame number of its row 0."""
        if segments.rows:
            self._count_tcp(segments)
        # Of one chunk in the order of frames, by whatever way they came here: then its size does not matter.
        hosts: list[tuple[int, tuple[bytes, bytes]]] = []
        quic_frames: list[NDArray[np.int64]] = []
        roce = list(chunk.rdma)
        for rows, destination, source in chunk.datagrams:
            quic = hits((destination == QUIC) | (source == QUIC))
            if len(quic):
                header = chunk.gather(rows.at[quic] + 8, _QUIC)
                long = quic[(header["first"] & 0xC0 == 0xC0) & (header["version"] != 0)]
                quic_frames.append(rows.row[long] + first_frame)
                toward = destination[long] == QUIC
                looked_at = len(long) and len(self._quic_hosts) < HOSTS
                for index in long[_firsts(chunk, rows.ip[long], toward)].tolist() if looked_at else ():
                    ends = _addresses(chunk, int(rows.ip[index]))
                    ends = ends if destination[index] == QUIC else ends[::-1]
                    hosts.append((int(rows.row[index]) + first_frame, ends))
            roce.append(rows.row[destination == ROCE])
        if quic_frames:
            self._quic = _seen(self._quic, np.concatenate(quic_frames))
            for frame, ends in sorted(hosts, key=lambda seen: seen[0]):
                if not self._see_quic(ends, frame):
                    break
        if roce:
            self._see_rdma("RoCE", np.concatenate(roce) + first_frame)

    def follow(self, later: Counter, frames: int) -> None:
        """Add what was counted of later frames. frames: how many came before them."""
        later._fold()
        self._segments += later._segments
        self._ports += later._ports
        for port, sighting in later._smb.items():
            self._smb[port] = _added(self._smb.get(port), sighting, frames)
        for kind, sighting in later._rdma.items():
            self._rdma[kind] = _added(self._rdma.get(kind), sighting, frames)
        if later._quic is not None:
            self._quic = _added(self._quic, later._quic, frames)
        for hosts, frame in later._quic_hosts.items():
            self._see_quic(hosts, frame + frames)

    def result(self) -> Census:
        """Everything counted so far."""
        self._fold()
        seen = hits(self._ports)
        busiest = seen[np.argsort(-self._ports[seen], kind="stable")[:10]]
        return Census(
            self._segments,
            tuple((int(port), int(self._ports[port])) for port in busiest),
            dict(sorted(self._smb.items())), self._quic, dict(self._quic_hosts),
            dict(sorted(self._rdma.items())),
        )

    def _count_tcp(self, segments: SegmentTable) -> None:
        source, destination = segments.src_port, segments.dst_port
        lower = np.minimum(source, destination)
        self._segments += len(lower)
        self._pending.append(lower)
        self._waiting += len(lower)
        if self._waiting >= _FOLD:
            self._fold()
        long = segments.present >= 36
        for port in SMB_PORTS:
            long &= (source != port) & (destination != port)
        rows = hits(long)
        if not len(rows):
            return
        iwarp = hits(long & ((source == IWARP) | (destination == IWARP)))
        self._see_rdma("iWARP", segments.frame[iwarp])
        # One byte decides for most: whole heads are fetched of few.
        rows = rows[hits(segments.data[segments.payload[rows]] == 0)]
        head = gather(segments.data, segments.payload[rows], _SMB)
        like = (head["protocol"] >= 0xFC) & (head["signature"] == _SIGNATURE)
        found = hits(like)
        if len(found):
            rows, head = rows[found], head.take(found)
            answer = np.where(head["protocol"] == 0xFF, head["flags1"] & 0x80, head["flags2"] & 1) != 0
            server = np.where(answer, source[rows], destination[rows])
            for port in distinct(server).tolist():
                frames = segments.frame[rows[server == port]]
                seen = _seen(self._smb.get(port), frames)
                assert seen is not None
                self._smb[port] = seen

    def _see_quic(self, hosts: tuple[bytes, bytes], frame: int) -> bool:
        """Keep the first frame of two hosts; False where there is no room for more."""
        if len(self._quic_hosts) < HOSTS:
            self._quic_hosts.setdefault(hosts, frame)
        return len(self._quic_hosts) < HOSTS

    def _see_rdma(self, kind: str, frames: NDArray[np.int64]) -> None:
        seen = _seen(self._rdma.get(kind), frames)
        if seen is not None:
            self._rdma[kind] = seen

    def _fold(self) -> None:
        if self._pending:
            self._ports += np.bincount(np.concatenate(self._pending), minlength=65536)
            self._pending = []
            self._waiting = 0


def _added(before: Sighting | None, later: Sighting, frames: int) -> Sighting:
    if before is None:
        return later._replace(first_frame=later.first_frame + frames)
    return before._replace(frames=before.frames + later.frames)


def _seen(before: Sighting | None, frames: NDArray[np.int64]) -> Sighting | None:
    if not len(frames):
        return before
    if before is None:
        return Sighting(int(frames.min()), len(frames))
    return before._replace(frames=before.frames + len(frames))
