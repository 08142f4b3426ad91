"""Captures and packets made byte by byte, for tests: what stands in them is known."""

from __future__ import annotations

import io
import struct
from collections.abc import Iterable, Sequence
from ipaddress import IPv4Address, IPv6Address

import numpy as np

from analyzer.capture.headers import Decoder
from analyzer.capture.reader import CaptureReader, CaptureSummary
from analyzer.capture.source import Limits, open_source
from analyzer.capture.table import PacketTable, SegmentTable

CLIENT, SERVER = "10.1.2.3", "10.1.2.9"
CLIENT6, SERVER6 = "fd00::3", "fd00::9"
MAC = bytes.fromhex("020000000001020000000002")


def tcp(payload: bytes = b"", *, sport: int = 50000, dport: int = 445, seq: int = 1000, ack: int = 77,
        flags: int = 0x18, options: bytes = b"") -> bytes:
    """A TCP segment. RFC 9293 3.1"""
    offset = (20 + len(options)) // 4 << 4
    return struct.pack(">HHIIBBHHH", sport, dport, seq, ack, offset, flags, 8192, 0, 0) + options + payload


def udp(payload: bytes, *, sport: int = 40000, dport: int = 4789) -> bytes:
    """A UDP datagram."""
    return struct.pack(">HHHH", sport, dport, 8 + len(payload), 0) + payload


def ip4(payload: bytes, *, protocol: int = 6, src: str = CLIENT, dst: str = SERVER, ttl: int = 61, ident: int = 1,
        fragment: int = 0, options: bytes = b"", total: int | None = None) -> bytes:
    """An IPv4 packet. fragment: flags and offset as the header has them."""
    size = 20 + len(options)
    return struct.pack(
        ">BBHHHBBH4s4s", 0x40 | size // 4, 0, size + len(payload) if total is None else total, ident, fragment,
        ttl, protocol, 0, IPv4Address(src).packed, IPv4Address(dst).packed,
    ) + options + payload


def ip6(payload: bytes, *, following: int = 6, src: str = CLIENT6, dst: str = SERVER6, hops: int = 60,
        length: int | None = None) -> bytes:
    """An IPv6 packet."""
    return struct.pack(
        ">IHBB16s16s", 6 << 28, len(payload) if length is None else length, following, hops,
        IPv6Address(src).packed, IPv6Address(dst).packed,
    ) + payload


def ethernet(payload: bytes, kind: int = 0x0800) -> bytes:
    """An Ethernet frame without padding and FCS."""
    return MAC + struct.pack(">H", kind) + payload


def pcap(frames: Iterable[bytes | tuple[bytes, int]], *, link_type: int = 1, order: str = "<",
         magic: int = 0xA1B2C3D4, extra: bytes = b"") -> bytes:
    """A classic capture; a frame may come with its original length. Frame i is of second i, fraction 7."""
    parts = [struct.pack(f"{order}IHHIIII", magic, 2, 4, 0, 0, 262144, link_type)]
    for second, item in enumerate(frames):
        frame, original = item if isinstance(item, tuple) else (item, len(item))
        parts.append(struct.pack(f"{order}IIII", second, 7, len(frame), original) + extra + frame)
    return b"".join(parts)


def block(kind: int, body: bytes, order: str = "<") -> bytes:
    """A pcapng block."""
    body += bytes(-len(body) % 4)
    size = struct.pack(f"{order}I", len(body) + 12)
    return struct.pack(f"{order}I", kind) + size + body + size


def section(order: str = "<") -> bytes:
    """A section header block."""
    return block(0x0A0D0D0A, struct.pack(f"{order}IHHq", 0x1A2B3C4D, 1, 0, -1), order)


def option(code: int, value: bytes, order: str = "<") -> bytes:
    """A pcapng option, or a record of a name resolution block."""
    return struct.pack(f"{order}HH", code, len(value)) + value + bytes(-len(value) % 4)


def interface(link_type: int = 1, snap: int = 0, options: bytes = b"", order: str = "<") -> bytes:
    """An interface description block."""
    return block(1, struct.pack(f"{order}HHI", link_type, 0, snap) + options, order)


def enhanced(frame: bytes, ticks: int = 0, *, number: int = 0, original: int | None = None,
             options: bytes = b"", order: str = "<") -> bytes:
    """An enhanced packet block."""
    fixed = struct.pack(f"{order}IIIII", number, ticks >> 32, ticks & 0xFFFFFFFF, len(frame),
                        len(frame) if original is None else original)
    return block(6, fixed + frame + bytes(-len(frame) % 4) + options, order)


def read(data: bytes, limits: Limits | None = None) -> tuple[list[PacketTable], CaptureSummary]:
    """All tables of a capture, each with bytes of its own, and the summary."""
    reader = CaptureReader(open_source(io.BytesIO(data), limits))
    tables = [
        PacketTable(table.first_frame, table.data.copy(), table.start, table.captured, table.original,
                    table.time_ns, table.link_type)
        for table in reader.tables()
    ]
    assert reader.summary is not None
    return tables, reader.summary


def frames_of(tables: Sequence[PacketTable]) -> list[bytes]:
    """The bytes of each frame."""
    return [
        table.data[at:at + size].tobytes()
        for table in tables for at, size in zip(table.start.tolist(), table.captured.tolist(), strict=True)
    ]


def decoded(data: bytes) -> tuple[list[SegmentTable], Decoder]:
    """The segments of a capture, a table per chunk, and the decoder that made them."""
    decoder = Decoder()
    tables, _ = read(data)
    return [decoder.decode(table) for table in tables], decoder


def one(data: bytes) -> SegmentTable:
    """The segments of a capture of one chunk."""
    tables, _ = decoded(data)
    assert len(tables) == 1
    return tables[0]


def address(table: SegmentTable, row: int, end: str) -> str:
    """"src" or "dst" of a row, as text."""
    high, low = int(getattr(table, f"{end}_high")[row]), int(getattr(table, f"{end}_low")[row])
    return str(IPv6Address(high << 64 | low) if table.v6[row] else IPv4Address(low))


def payload_of(table: SegmentTable, row: int) -> bytes:
    """The captured payload of a row."""
    at = int(table.payload[row])
    return table.data[at:at + int(table.present[row])].tobytes()


def same(left: np.ndarray, right: Sequence[int]) -> bool:
    """Whether a column has these values."""
    return list(left.tolist()) == list(right)
