"""A capture of many connections out of sample_pcaps/: other addresses, ports and times, the same bytes each time."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path

import dpkt

SAMPLES = Path(__file__).resolve().parents[1] / "sample_pcaps"
CLIENTS, SERVERS = 211, 17                     # hosts of the made capture
MOST_FRAMES = 60                               # of a sample that is repeated


def conversations() -> list[list[tuple[float, bytes]]]:
    """The frames of each small IPv4 sample, times from 0."""
    found = []
    for path in sorted(SAMPLES.glob("*.pcap")):
        with path.open("rb") as file:
            if file.read(4) != b"\xd4\xc3\xb2\xa1":
                continue
            file.seek(0)
            reader = dpkt.pcap.Reader(file)
            frames = [(float(at), data) for at, data in reader] if reader.datalink() == 1 else []
        if frames and len(frames) < MOST_FRAMES and all(data[12:14] == b"\x08\x00" for _, data in frames):
            found.append([(at - frames[0][0], data) for at, data in frames])
    return found


def moved(data: bytes, number: int) -> bytes:
    """The frame between other hosts: which ones follows from the number of its connection."""
    frame = dpkt.ethernet.Ethernet(data)
    ip = frame.data
    if not isinstance(ip, dpkt.ip.IP) or not isinstance(ip.data, dpkt.tcp.TCP):
        return data
    client = struct.pack(">BBBB", 10, 20, number % CLIENTS // 100, 1 + number % CLIENTS % 100)
    server = struct.pack(">BBBB", 10, 30, 0, 1 + number % SERVERS)
    tcp = ip.data
    port = 20_000 + number // CLIENTS
    if tcp.dport in (139, 445):
        ip.src, ip.dst, tcp.sport = client, server, port
    else:
        ip.src, ip.dst, tcp.dport = server, client, port
    ip.sum = tcp.sum = 0
    return bytes(frame)


def frames(connections: int) -> Iterator[tuple[float, bytes]]:
    """The made capture: each connection begins 20 ms after the one before."""
    samples = conversations()
    for number in range(connections):
        for at, data in samples[number % len(samples)]:
            yield 1_772_442_000 + number * 0.02 + at, moved(data, number)


def make(path: Path, connections: int) -> Path:
    """Write the capture."""
    with path.open("wb") as file:
        writer = dpkt.pcap.Writer(file, snaplen=262_144)
        for at, data in sorted(frames(connections), key=lambda frame: frame[0]):
            writer.writepkt(data, ts=at)
    return path
