"""Captures as tests hold them: bytes of a pcap or pcapng file <-> Capture.

A small reader and writers of its own: what they share with the package's is the formats' description
only, so that a mistake there does not cancel out.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

NULL, ETHERNET, PPP, RAW, SLL, SLL2 = 0, 1, 9, 101, 113, 276


class Frame(NamedTuple):
    """One frame. original: its length on the wire, at least that of data."""

    time_ns: int
    data: bytes
    original: int


@dataclass(frozen=True, slots=True)
class Capture:
    """Frames of one link type, in capture order."""

    frames: tuple[Frame, ...]
    link_type: int = ETHERNET

    def with_frames(self, frames: Iterator[Frame] | list[Frame]) -> Capture:
        """The same link type with other frames."""
        return replace(self, frames=tuple(frames))


def read(path: Path) -> Capture:
    """A pcap or pcapng file whose interfaces are all of one link type."""
    data = path.read_bytes()
    return _read_pcapng(data) if data[:4] == b"\x0a\x0d\x0d\x0a" else _read_pcap(data)


def _read_pcap(data: bytes) -> Capture:
    magic = data[:4]
    order = "<" if magic in {b"\xd4\xc3\xb2\xa1", b"\x4d\x3c\xb2\xa1"} else ">"
    scale = 1 if b"\x4d" in magic[::3] else 1000
    link_type = struct.unpack_from(order + "I", data, 20)[0] & 0xFFFF
    frames, at = [], 24
    while at < len(data):
        seconds, fraction, captured, original = struct.unpack_from(order + "IIII", data, at)
        frames.append(Frame(seconds * 10**9 + fraction * scale, data[at + 16 : at + 16 + captured], original))
        at += 16 + captured
    return Capture(tuple(frames), link_type)


def _read_pcapng(data: bytes) -> Capture:
    frames: list[Frame] = []
    interfaces: list[tuple[int, int, int]] = []         # link type, ticks a second, offset in seconds
    order, at = "<", 0
    while at < len(data):
        if data[at : at + 4] == b"\x0a\x0d\x0d\x0a":
            order = "<" if data[at + 8 : at + 12] == b"\x4d\x3c\x2b\x1a" else ">"
            interfaces = []
        kind, size = struct.unpack_from(order + "II", data, at)
        body = data[at + 8 : at + size - 4]
        if kind == 1:
            found = dict(_options(body[8:], order))
            resolution = found.get(9, b"\x06")[0]
            ticks = 2 ** (resolution & 0x7F) if resolution & 0x80 else 10**resolution
            offset = struct.unpack(order + "q", found[14])[0] if 14 in found else 0
            interfaces.append((struct.unpack_from(order + "H", body)[0], ticks, offset))
        elif kind == 6:
            interface, high, low, captured, original = struct.unpack_from(order + "IIIII", body)
            _, ticks, offset = interfaces[interface]
            time_ns = (high << 32 | low) * 10**9 // ticks + offset * 10**9
            frames.append(Frame(time_ns, body[20 : 20 + captured], original))
        at += size
    (link_type,) = {interface[0] for interface in interfaces}
    return Capture(tuple(frames), link_type)


def _options(data: bytes, order: str) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at + 4 <= len(data):
        code, size = struct.unpack_from(order + "HH", data, at)
        if code == 0:
            return
        yield code, data[at + 4 : at + 4 + size]
        at += 4 + size + -size % 4


# -- file formats


def pcap(capture: Capture, *, order: str = "<", nanoseconds: bool = True) -> bytes:
    """A pcap file; microseconds cut the rest off."""
    magic, scale = (0xA1B23C4D, 1) if nanoseconds else (0xA1B2C3D4, 1000)
    out = [struct.pack(order + "IHHiIII", magic, 2, 4, 0, 0, 262_144, capture.link_type)]
    for time_ns, data, original in capture.frames:
        seconds, fraction = divmod(time_ns, 10**9)
        out.append(struct.pack(order + "IIII", seconds, fraction // scale, len(data), original) + data)
    return b"".join(out)


def pcapng(
    capture: Capture, *, order: str = "<", resolution: int | None = 9, offset: int = 0, interfaces: int = 1,
    sections: int = 1,
) -> bytes:
    """A pcapng file. resolution: the byte of if_tsresol, None leaves it out (microseconds).

    With several interfaces frame i is of interface i modulo their number; with several sections the
    frames are spread over them. Times a resolution cannot hold are cut off to it.
    """
    code = 6 if resolution is None else resolution
    ticks = 2 ** (code & 0x7F) if code & 0x80 else 10**code

    def block(kind: int, body: bytes) -> bytes:
        body += bytes(-len(body) % 4)
        size = struct.pack(order + "I", len(body) + 12)
        return struct.pack(order + "I", kind) + size + body + size

    described = struct.pack(order + "HHI", capture.link_type, 0, 262_144)
    if resolution is not None:
        described += struct.pack(order + "HHBxxx", 9, 1, resolution)
    if offset:
        described += struct.pack(order + "HHq", 14, 8, offset)
    head = block(0x0A0D0D0A, struct.pack(order + "IHHq", 0x1A2B3C4D, 1, 0, -1))
    head += block(1, described + bytes(4)) * interfaces
    out, share = [], -(-len(capture.frames) // sections) or 1
    for number, (time_ns, data, original) in enumerate(capture.frames):
        if number % share == 0:
            out.append(head)
        # Rounded up: the reader, who cuts off, arrives at the same nanosecond where ticks are finer.
        count = -(-(time_ns - offset * 10**9) * ticks // 10**9) if ticks >= 10**9 else (time_ns - offset * 10**9) * ticks // 10**9
        fixed = struct.pack(
            order + "IIIII", number % interfaces, count >> 32, count & 0xFFFF_FFFF, len(data), original)
        out.append(block(6, fixed + data))
    return b"".join(out) or head


FORMATS: dict[str, Callable[[Capture], bytes]] = {
    "pcap-us-le": lambda c: pcap(c, nanoseconds=False),
    "pcap-us-be": lambda c: pcap(c, order=">", nanoseconds=False),
    "pcap-ns-le": pcap,
    "pcap-ns-be": lambda c: pcap(c, order=">"),
    "pcapng-us": lambda c: pcapng(c, resolution=None),
    "pcapng-be-ns": lambda c: pcapng(c, order=">"),
    "pcapng-2^-20-offset": lambda c: pcapng(c, resolution=0x80 | 20, offset=1_000_000_000),
    "pcapng-2^-33": lambda c: pcapng(c, resolution=0x80 | 33),
    "pcapng-10^-10": lambda c: pcapng(c, resolution=10),
    "pcapng-three-interfaces": lambda c: pcapng(c, interfaces=3),
    "pcapng-two-sections": lambda c: pcapng(c, sections=2),
}


def every_capture(folder: Path) -> list[Path]:
    """The captures of a folder, by name."""
    return sorted(path for path in folder.iterdir() if path.suffix in (".pcap", ".pcapng"))
