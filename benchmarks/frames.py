"""Recorded conversations -> the same ones many times over, between other hosts: whole arrays of pcap records.

A Frame is a template; stamp() writes it once for each host pair, with its own addresses, ports, times and
sequence numbers and a right IP checksum. Nothing here is random: the same call gives the same bytes.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

FILE_HEADER = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 262144, 1)      # microseconds, Ethernet
RECORD = 16
START = 1_772_442_000        # 2026-03-02 09:00:00 UTC

_IP, _TCP = 14, 34           # offsets in a frame: Ethernet without VLAN tag, IPv4 without options
_CLIENT_MAC, _SERVER_MAC = bytes.fromhex("020000000002"), bytes.fromhex("020000000001")


class Frame(NamedTuple):
    """One packet of a conversation. offset: microseconds after its first."""

    offset: int
    data: bytes
    from_client: bool


class Pairs(NamedTuple):
    """Who speaks in the copies, one entry each; addresses and ports in host order."""

    client: NDArray[np.uint32]
    server: NDArray[np.uint32]
    port: NDArray[np.uint16]     # of the client
    start: NDArray[np.int64]     # microseconds since START

    def take(self, which: NDArray[np.int64] | slice) -> Pairs:
        """Some of them."""
        return Pairs(self.client[which], self.server[which], self.port[which], self.start[which])


class Shift(NamedTuple):
    """What was sent meanwhile, in bytes, by client and server of each copy: numbers move by so much."""

    client: NDArray[np.int64]
    server: NDArray[np.int64]


def recorded(path: Path) -> list[Frame]:
    """The TCP frames of a small pcap that holds one conversation over IPv4."""
    data = path.read_bytes()
    unit = {0xA1B2C3D4: 1, 0xA1B23C4D: 1000}[struct.unpack("<I", data[:4])[0]]
    at = len(FILE_HEADER)
    found: list[Frame] = []
    first = client = None
    while at < len(data):
        seconds, fraction, captured, _ = struct.unpack("<IIII", data[at : at + RECORD])
        frame = data[at + RECORD : at + RECORD + captured]
        at += RECORD + captured
        if frame[12:14] != b"\x08\x00" or frame[_IP] != 0x45 or frame[_IP + 9] != 6:
            continue
        time = seconds * 1_000_000 + fraction // unit
        first = time if first is None else first
        client = client or frame[_IP + 12 : _IP + 16]
        found.append(Frame(time - first, frame, frame[_IP + 12 : _IP + 16] == client))
    return found


def tcp(offset: int, payload: bytes, *, from_client: bool, port: int, seq: int, ack: int, flags: int = 0x10) -> Frame:
    """A TCP packet between a client and `port` of a server."""
    ports = (50000, port) if from_client else (port, 50000)
    header = struct.pack(">HHIIBBHHH", *ports, seq & 0xFFFFFFFF, ack & 0xFFFFFFFF, 0x50, flags, 64240, 0, 0)
    return Frame(offset, _ip(6, header + payload, from_client=from_client), from_client)


def udp(offset: int, payload: bytes, *, from_client: bool, port: int) -> Frame:
    """A UDP packet between a client and `port` of a server."""
    ports = (50000, port) if from_client else (port, 50000)
    header = struct.pack(">HHHH", *ports, 8 + len(payload), 0)
    return Frame(offset, _ip(17, header + payload, from_client=from_client), from_client)


def _ip(protocol: int, packet: bytes, *, from_client: bool) -> bytes:
    macs = (_SERVER_MAC + _CLIENT_MAC) if from_client else (_CLIENT_MAC + _SERVER_MAC)
    header = struct.pack(">BBHHHBBHII", 0x45, 0, 20 + len(packet), 1, 0x4000, 64, protocol, 0, 0, 0)
    return (macs + b"\x08\x00" + header + packet).ljust(60, b"\0")


def sent(frames: list[Frame]) -> tuple[int, int]:
    """Payload bytes and FINs of client and server."""
    total = [0, 0]
    for frame in frames:
        size = struct.unpack(">H", frame.data[_IP + 2 : _IP + 4])[0] - 20 - (frame.data[_TCP + 12] >> 4) * 4
        total[not frame.from_client] += size + (frame.data[_TCP + 13] & 1)
    return total[0], total[1]


def numbers(frames: list[Frame]) -> tuple[int, int]:
    """The next sequence number of client and server after a conversation's frames."""
    following = [0, 0]
    for frame in frames:
        seq = struct.unpack(">I", frame.data[_TCP + 4 : _TCP + 8])[0]
        size = struct.unpack(">H", frame.data[_IP + 2 : _IP + 4])[0] - 20 - (frame.data[_TCP + 12] >> 4) * 4
        following[not frame.from_client] = seq + size + (1 if frame.data[_TCP + 13] & 3 else 0) & 0xFFFFFFFF
    return following[0], following[1]


def stamp(frame: Frame, pairs: Pairs, shift: Shift | None = None) -> NDArray[np.uint8]:
    """The records of one frame for all pairs, shape (pairs, record size)."""
    size = len(frame.data)
    rows = np.empty((len(pairs.client), RECORD + size), np.uint8)
    rows[:, RECORD:] = np.frombuffer(frame.data, np.uint8)
    time = pairs.start + frame.offset
    seconds, fraction = START + time // 1_000_000, time % 1_000_000
    lengths = np.full(len(time), size)
    rows[:, :RECORD] = np.stack((seconds, fraction, lengths, lengths), axis=1).astype("<u4").view(np.uint8)
    ends = (pairs.client, pairs.server) if frame.from_client else (pairs.server, pairs.client)
    for at, address in zip((12, 16), ends, strict=True):
        _put(rows, _IP + at, address, ">u4")
    _put(rows, _TCP + (0 if frame.from_client else 2), pairs.port, ">u2")
    _put(rows, _IP + 10, np.zeros(len(rows), np.uint16), ">u2")
    words = rows[:, RECORD + _IP : RECORD + _TCP].copy().view(">u2").astype(np.uint32).sum(axis=1)
    words = (words & 0xFFFF) + (words >> 16)
    _put(rows, _IP + 10, 0xFFFF - ((words & 0xFFFF) + (words >> 16)), ">u2")
    if shift is not None:
        own, peer = (shift.client, shift.server) if frame.from_client else (shift.server, shift.client)
        for at, by in ((4, own), (8, peer)):
            number = struct.unpack(">I", frame.data[_TCP + at : _TCP + at + 4])[0]
            _put(rows, _TCP + at, (number + by) & 0xFFFFFFFF, ">u4")
    return rows


def _put(rows: NDArray[np.uint8], at: int, values: NDArray[np.generic], form: str) -> None:
    field = np.ascontiguousarray(values.astype(form)).view(np.uint8).reshape(len(rows), -1)
    rows[:, RECORD + at : RECORD + at + field.shape[1]] = field
