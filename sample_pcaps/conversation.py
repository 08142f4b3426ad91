"""TCP conversations as frames: who says what, and when -> [(time in ns, Ethernet frame)].

scapy makes the packets, with right lengths and checksums. Nothing here is random and nothing asks a
clock: the same script writes the same bytes each time.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Self

from scapy.layers.inet import IP, TCP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import Ether
from scapy.packet import Packet

START_NS = 1_772_442_000_000_000_000        # 2026-03-02 09:00:00 UTC
MS = 1_000_000
FIN, SYN, RST, PSH, ACK = 1, 2, 4, 8, 16
MSS = 1460

Frame = tuple[int, bytes]


@dataclass
class Host:
    """One machine of a capture."""

    name: str
    address: str
    mac: str
    ttl: int = 64
    ip_id: int = 0x1000

    def ip(self, other: Host) -> Packet:
        """The IP header of a packet to `other`."""
        if ":" in self.address:
            return IPv6(src=self.address, dst=other.address, hlim=self.ttl)
        self.ip_id = self.ip_id + 1 & 0xFFFF
        return IP(src=self.address, dst=other.address, ttl=self.ttl, id=self.ip_id, flags="DF")

    def ethernet(self, other: Host) -> Packet:
        """The Ethernet header of a frame to `other`."""
        return Ether(src=self.mac, dst=other.mac)


@dataclass
class Conversation:
    """One TCP connection. Sides: "c" opened it, "s" is the other. Times go on by themselves.

    scene: names the negotiation; what peers choose at random for one (salts, numbers) follows from it.
    """

    scene: str
    client: Host
    server: Host
    client_port: int = 50_122
    server_port: int = 445
    start_ns: int = START_NS
    client_isn: int | None = None
    server_isn: int | None = None
    rtt_ms: float = 0.4
    frames: list[Frame] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.now = self.start_ns
        chosen = struct.unpack(">II", hashlib.sha256(f"{self.scene} {self.client.address}".encode()).digest()[:8])
        self.next = {
            "c": chosen[0] if self.client_isn is None else self.client_isn,
            "s": chosen[1] if self.server_isn is None else self.server_isn}

    # -- what a scenario says

    def wait(self, ms: float) -> Self:
        """Nothing happens for a while."""
        self.now += round(ms * MS)
        return self

    def open(self) -> Self:
        """The three-way handshake."""
        self.segment("c", SYN)
        self.wait(self.rtt_ms)
        self.segment("s", SYN | ACK)
        self.wait(0.03)
        self.segment("c", ACK)
        return self.wait(0.1)

    def say(self, side: str, data: bytes, *, acknowledged: bool = True, cuts: Sequence[int] = ()) -> Self:
        """`data` in as many segments as it takes (at most an MSS each, and cut at `cuts`), then an ACK."""
        edges = sorted({0, len(data), *cuts, *range(0, len(data), MSS)})
        for start, end in pairwise(edges):
            self.segment(side, PSH | ACK if end == len(data) else ACK, data[start:end])
            self.wait(0.02)
        self.wait(self.rtt_ms)
        if acknowledged:
            self.segment(other(side), ACK)
        return self.wait(0.2)

    def close(self, side: str) -> Self:
        """FIN from `side`, FIN from the other, last ACK."""
        self.segment(side, FIN | ACK)
        self.wait(self.rtt_ms)
        self.segment(other(side), FIN | ACK)
        self.wait(0.05)
        self.segment(side, ACK)
        return self

    def reset(self, side: str) -> Self:
        """RST from `side`."""
        self.segment(side, RST | ACK)
        return self

    # -- how it becomes frames

    def packet(self, side: str, flags: int, data: bytes = b"") -> Packet:
        """The next IP packet of `side`; its sequence number goes on."""
        source, target = (self.client, self.server) if side == "c" else (self.server, self.client)
        ports = (self.client_port, self.server_port) if side == "c" else (self.server_port, self.client_port)
        tcp = TCP(
            sport=ports[0], dport=ports[1], seq=self.next[side], flags=flags, window=64_240,
            ack=self.next[other(side)] if flags & ACK else 0,
            options=[("MSS", MSS), ("SAckOK", b""), ("NOP", None), ("WScale", 7)] if flags & SYN else [],
        )
        self.next[side] = self.next[side] + len(data) + bool(flags & (SYN | FIN)) & 0xFFFF_FFFF
        return source.ip(target) / tcp / data

    def segment(self, side: str, flags: int, data: bytes = b"") -> None:
        """One TCP segment, in one frame."""
        self.emit(side, self.packet(side, flags, data))

    def emit(self, side: str, packet: Packet) -> None:
        """An IP packet of `side` as an Ethernet frame."""
        source, target = (self.client, self.server) if side == "c" else (self.server, self.client)
        frame = bytes(source.ethernet(target) / packet)
        self.frames.append((self.now, frame.ljust(60, b"\0")))


def other(side: str) -> str:
    """The side opposite."""
    return "s" if side == "c" else "c"


def in_time_order(*parts: Iterable[Frame]) -> list[Frame]:
    """The frames of several conversations as one capture point sees them."""
    return sorted((frame for part in parts for frame in part), key=lambda frame: frame[0])


def write_pcap(path: Path, frames: Iterable[Frame], link_type: int = 1) -> None:
    """A pcap file in nanoseconds, little-endian."""
    with path.open("wb") as file:
        file.write(struct.pack("<IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, 262_144, link_type))
        for time_ns, frame in frames:
            seconds, nanoseconds = divmod(time_ns, 1_000_000_000)
            file.write(struct.pack("<IIII", seconds, nanoseconds, len(frame), len(frame)) + frame)


def block(kind: int, body: bytes) -> bytes:
    """One pcapng block."""
    body += bytes(-len(body) % 4)
    size = len(body) + 12
    return struct.pack("<II", kind, size) + body + struct.pack("<I", size)


def option(code: int, value: bytes) -> bytes:
    """One pcapng option, padded."""
    return struct.pack("<HH", code, len(value)) + value + bytes(-len(value) % 4)


def section_header() -> bytes:
    """A pcapng section header, little-endian, of unknown length."""
    return block(0x0A0D0D0A, struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1))


def packet_block(interface: int, ticks: int, frame: bytes) -> bytes:
    """A pcapng enhanced packet block; `ticks` are in the interface's resolution."""
    head = struct.pack("<IIIII", interface, ticks >> 32, ticks & 0xFFFF_FFFF, len(frame), len(frame))
    return block(6, head + frame)
