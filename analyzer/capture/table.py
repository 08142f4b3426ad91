"""The columns that the capture layer hands on, and what each promises.

PacketTable: where each frame of a chunk lies. SegmentTable: the TCP segments among them.
Row i of every column of a table is the same frame.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

_NO_ROWS: NDArray[np.int64] = np.zeros(0, np.int64)
_NO_REPORTERS: Mapping[int, bytes] = {}


HEAD = 28
"""Bytes of a payload that tell which SMB message it begins with, and whether others follow in the same packet."""


class Cut(NamedTuple):
    """Where and why reading stopped before the end of the capture."""

    offset: int              # byte in the file, after decompression
    reason: str
    option: str = ""         # the option that lifts it, where a limit ended the reading and not the file


class Frames(NamedTuple):
    """What a record walk found in one piece of a capture: where each frame lies in it."""

    start: NDArray[np.int64]
    captured: NDArray[np.int64]
    original: NDArray[np.int64]
    time_ns: NDArray[np.int64]
    link_type: NDArray[np.int32]
    consumed: int            # bytes walked over; what begins here is not whole yet, or broken
    need: int                # bytes, from there, that the next record has; more than there are
    broken: str = ""         # why that record can never be read; empty where it may only lack bytes


class PacketTable(NamedTuple):
    """One row per frame of a chunk, in capture order. Valid until the next chunk is asked for."""

    first_frame: int                 # frame.number of row 0; rows are consecutive
    data: NDArray[np.uint8]          # the chunk's bytes
    start: NDArray[np.int64]         # where the frame begins in data
    captured: NDArray[np.int64]      # bytes of the frame in data (frame.cap_len)
    original: NDArray[np.int64]      # bytes of the frame on the wire (frame.len)
    time_ns: NDArray[np.int64]       # since 1970-01-01 UTC
    link_type: NDArray[np.int32]     # LINKTYPE_ value, -1 where the interface is not declared

    @property
    def rows(self) -> int:
        """How many frames."""
        return len(self.start)


class Payloads(Protocol):
    """Payload that is not in a table's data."""

    def fetch(self, rows: NDArray[np.int64], size: NDArray[np.int64]) -> tuple[bytearray, NDArray[np.int64]]:
        """Bytes that hold the first so many bytes of each row's payload, and where these begin in them."""


class SegmentTable(NamedTuple):
    """One row per TCP segment, or per TCP header quoted in an ICMP error, in capture order.

    Addresses are two words in host order: IPv6 its upper and lower half, IPv4 zero and the
    32-bit value; `v6` tells them apart. A quoted header (icmp != 0) has the addresses, ports and
    sequence number of the packet it quotes, and its flags where they are quoted; ack, length and
    present of it are zero.

    Wireshark 4.0 looks a TCP header up in its conversations as soon as 16 bytes of it are there,
    and before it looks at the header length. So a row may have a tcp.stream and no tcp.len
    (`unsized`), and a header quoted in an ICMP error takes part in the numbering like any other
    if 16 bytes of it are quoted (seen with tshark: it opens a stream, and as a SYN with another
    sequence number a new one), else (`unnumbered`, the usual 8 bytes) it has no tcp.stream. A
    header length below 20 is no payload for anybody, but the row counts as sized.
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
    flags: NDArray[np.uint8]         # FIN 1, SYN 2, RST 4, PSH 8, ACK 16; 0 where not quoted
    ttl: NDArray[np.uint8]           # IPv4 TTL, IPv6 hop limit
    payload: NDArray[np.int64]       # where the payload begins in data
    length: NDArray[np.int64]        # payload bytes on the wire (tcp.len)
    present: NDArray[np.int64]       # payload bytes captured, <= length
    icmp: NDArray[np.uint16]         # 0, or type << 8 | code of the ICMP error that quotes
    reporters: Mapping[int, bytes] = _NO_REPORTERS
    # frame of a quoting ICMP error -> address of its sender, 4 or 16 bytes
    unnumbered: NDArray[np.int64] = _NO_ROWS
    # rows, ascending, that get no tcp.stream of their own: fewer than 16 bytes of header quoted,
    # or IPv6 without a payload length (segmentation offload), which Wireshark takes no further
    unsized: NDArray[np.int64] = _NO_ROWS
    # rows, ascending, without tcp.len: all quoted headers, header lengths beyond the packet, lone
    # first fragments. Wireshark numbers them but takes no base sequence number from them.
    elsewhere: Payloads | None = None
    # the payload, where `data` has no more than the first HEAD bytes of each row

    @property
    def rows(self) -> int:
        """How many segments."""
        return len(self.frame)
