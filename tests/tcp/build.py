"""Segments written by hand -> SegmentTable, and the same as a capture for another program to read."""

from __future__ import annotations

import random
import struct
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from analyzer.capture.table import SegmentTable

FIN, SYN, RST, PSH, ACK = 1, 2, 4, 8, 16
SECOND = 1_000_000_000
TOP = 2**32
UNREACHABLE = 3 << 8 | 1      # ICMP type and code


class Packet(NamedTuple):
    """One TCP segment. Addresses: 4 bytes or 16. snapped: payload bytes that were not captured."""

    src: bytes
    sport: int
    dst: bytes
    dport: int
    seq: int = 0
    ack: int = 0
    flags: int = ACK
    payload: bytes = b""
    snapped: int = 0
    icmp: int = 0
    quoted: int = 20         # icmp: TCP header bytes quoted
    frame: int = 0           # 0: its place in the list


CLIENT, SERVER = b"\x0a\x00\x00\x01", b"\x0a\x00\x00\x02"


def up(seq: int, ack: int = 0, flags: int = ACK, payload: bytes = b"", *, port: int = 50000, snapped: int = 0) -> Packet:
    """A segment from the client, 10.0.0.1, to port 445 of the server."""
    return Packet(CLIENT, port, SERVER, 445, seq % 2**32, ack % 2**32, flags, payload, snapped)


def down(
    seq: int, ack: int = 0, flags: int = ACK, payload: bytes = b"", *, port: int = 50000, snapped: int = 0
) -> Packet:
    """A segment from port 445 of the server, 10.0.0.2, to the client."""
    return Packet(SERVER, 445, CLIENT, port, seq % 2**32, ack % 2**32, flags, payload, snapped)


def table(packets: Sequence[Packet], first: int = 1) -> SegmentTable:
    """The rows of these packets; frame numbers count from `first`, one packet is 1 ms after the other."""
    high, low = zip(*(_words(p.src) for p in packets), strict=True) if packets else ((), ())
    dst_high, dst_low = zip(*(_words(p.dst) for p in packets), strict=True) if packets else ((), ())
    present = [0 if p.icmp else len(p.payload) for p in packets]
    starts = np.cumsum([0, *(len(p.payload) for p in packets)])[:-1]
    frames = np.array([p.frame or first + i for i, p in enumerate(packets)], np.int64)
    return SegmentTable(
        data=np.frombuffer(b"".join(p.payload for p in packets) or b"\0", np.uint8),
        frame=frames,
        time_ns=1_700_000_000 * SECOND + frames * 1_000_000,
        v6=np.array([len(p.src) == 16 for p in packets], np.bool_),
        src_high=np.array(high, np.uint64),
        src_low=np.array(low, np.uint64),
        dst_high=np.array(dst_high, np.uint64),
        dst_low=np.array(dst_low, np.uint64),
        src_port=np.array([p.sport for p in packets], np.uint16),
        dst_port=np.array([p.dport for p in packets], np.uint16),
        seq=np.array([p.seq for p in packets], np.uint32),
        ack=np.array([p.ack for p in packets], np.uint32),
        flags=np.array([p.flags for p in packets], np.uint8),
        ttl=np.array([64] * len(packets), np.uint8),
        payload=starts.astype(np.int64),
        length=np.array([0 if p.icmp else len(p.payload) + p.snapped for p in packets], np.int64),
        present=np.array(present, np.int64),
        icmp=np.array([p.icmp for p in packets], np.uint16),
        unnumbered=np.array([i for i, p in enumerate(packets) if p.icmp and p.quoted < 16], np.int64),
        unsized=np.array([i for i, p in enumerate(packets) if p.icmp], np.int64),
        reporters={int(f): b"\x0a\x00\x00\xfe" for f, p in zip(frames, packets, strict=True) if p.icmp},
    )


def chunks(packets: Sequence[Packet], size: int) -> Iterator[SegmentTable]:
    """The same packets in tables of `size` rows."""
    for at in range(0, len(packets), size):
        yield table(packets[at : at + size], at + 1)


def pcap(packets: Sequence[Packet]) -> bytes:
    """A classic capture of these packets without link layer (LINKTYPE_RAW)."""
    records = [struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 262144, 101)]
    for i, packet in enumerate(packets):
        frame = _ip(packet)
        cut = frame[: len(frame) - packet.snapped]
        records.append(struct.pack("<IIII", 1_700_000_000, i % 1_000_000, len(cut), len(frame)) + cut)
    return b"".join(records)


def trace(seed: int, count: int) -> list[Packet]:
    """Random packets between few enough endpoints that everything collides."""
    rng = random.Random(seed)
    hosts = rng.choice((1, 2, 3, 20))
    ports, near = rng.choice((1, 2, 4, 30)), rng.choice((2, 5, 50))
    share_v6, share_icmp = rng.choice((0, 0.2, 1)), rng.choice((0, 0.05, 0.3))
    four = [bytes((10, 0, 0, i)) for i in range(1, hosts + 1)]
    six = [bytes((first, *bytes(14), i)) for first in (0x20, 0xFD) for i in range(1, hosts + 1)]
    packets = []
    for _ in range(count):
        family = six if rng.random() < share_v6 else four
        seq = rng.randrange(near) if rng.random() < 0.5 else rng.choice((TOP - 1 - rng.randrange(near), rng.randrange(TOP)))
        packet = Packet(
            rng.choice(family), 40000 + rng.randrange(ports), rng.choice(family), 40000 + rng.randrange(ports),
            seq, rng.randrange(near),
            rng.choice((SYN, SYN, SYN | ACK, SYN | ACK, ACK, ACK, RST, RST | ACK, FIN | ACK, 0, rng.randrange(64))),
            b"x" * rng.choice((0, 0, 1, 5)),
        )
        if rng.random() < share_icmp:
            icmp = UNREACHABLE if len(packet.src) == 4 else 1 << 8 | 4
            packet = packet._replace(icmp=icmp, quoted=rng.choice((8, 12, 15, 16, 20, 20)), payload=b"")
        packets.append(packet)
    return packets


def _words(address: bytes) -> tuple[int, int]:
    number = int.from_bytes(address, "big")
    return number >> 64, number & (2**64 - 1)


def _ip(packet: Packet) -> bytes:
    tcp = struct.pack(
        "!HHIIBBHHH", packet.sport, packet.dport, packet.seq, packet.ack, 0x50, packet.flags, 8192, 0, 0
    )
    body = tcp + packet.payload + bytes(packet.snapped)
    if packet.icmp:
        quoted = _datagram(packet.src, packet.dst, 6, tcp[: packet.quoted], length=40)
        kind, code = packet.icmp >> 8, packet.icmp & 0xFF
        body = struct.pack("!BBHI", kind, code, 0, 0) + quoted
        if len(packet.src) == 16:
            return _datagram(packet.dst, packet.src, 58, body)
        return _datagram(b"\x0a\x00\x00\xfe", packet.src, 1, body)
    return _datagram(packet.src, packet.dst, 6, body)


def _datagram(src: bytes, dst: bytes, protocol: int, body: bytes, length: int = 0) -> bytes:
    if len(src) == 16:
        size = length - 20 if length else len(body)
        return struct.pack("!IHBB", 6 << 28, size, protocol, 64) + src + dst + body
    size = length or 20 + len(body)
    return struct.pack("!BBHHHBBH", 0x45, 0, size, 0, 0, 64, protocol, 0) + src + dst + body
