"""The columns that the capture layer hands on, and what each promises.

PacketTable: where each frame of a chunk lies. SegmentTable: the TCP segments among them.
Row i of every column of a table is the same frame.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class PacketTable:
    """One row per frame of a chunk, in capture order. Valid until the next chunk is asked for."""

    first_frame: int                 # frame.number of row 0; rows are consecutive
    data: NDArray[np.uint8]          # the chunk's bytes
    start: NDArray[np.int64]         # where the frame begins in data
    captured: NDArray[np.int64]      # bytes of the frame in data (frame.cap_len)
    original: NDArray[np.int64]      # bytes of the frame on the wire (frame.len)
    time_ns: NDArray[np.int64]       # since 1970-01-01 UTC
    link_type: NDArray[np.int32]     # LINKTYPE_ value, -1 where the interface is not declared

    def __len__(self) -> int:
        return len(self.start)


@dataclass(frozen=True, slots=True)
class SegmentTable:
    """One row per TCP segment, or per TCP header quoted in an ICMP error, in capture order.

    Addresses are two words in host order: IPv6 its upper and lower half, IPv4 zero and the
    32-bit value; `v6` tells them apart. A quoted header (icmp != 0) has the addresses, ports and
    sequence number of the packet it quotes; ack, flags and payload of it are zero.
    """

    data: NDArray[np.uint8]          # what `payload` points into; may hold more than the chunk
    frame: NDArray[np.int64]         # frame.number
    time_ns: NDArray[np.int64]
    v6: NDArray[np.bool_]
    src_high: NDArray[np.uint64]
    src_low: NDArray[np.uint64]
    dst_high: NDArray[np.uint64]
    dst_low: NDArray[np.uint64]
    src_port: NDArray[np.uint16]
    dst_port: NDArray[np.uint16]
    seq: NDArray[np.uint32]
    ack: NDArray[np.uint32]
    flags: NDArray[np.uint8]         # FIN 1, SYN 2, RST 4, PSH 8, ACK 16
    ttl: NDArray[np.uint8]           # IPv4 TTL, IPv6 hop limit
    payload: NDArray[np.int64]       # where the payload begins in data
    length: NDArray[np.int64]        # payload bytes on the wire (tcp.len)
    present: NDArray[np.int64]       # payload bytes captured, <= length
    icmp: NDArray[np.uint16]         # 0, or type << 8 | code of the ICMP error that quotes
    reporters: Mapping[int, bytes] = field(default_factory=dict)
    # frame of a quoting ICMP error -> address of its sender, 4 or 16 bytes

    def __len__(self) -> int:
        return len(self.frame)
