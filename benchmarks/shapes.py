"""The same packets as captures of other shapes, to see how little the shape matters.

python -m benchmarks.shapes SHAPE SOURCE TARGET    SOURCE: a little-endian pcap of Ethernet frames, as benchmarks.inputs makes
"""

from __future__ import annotations

import argparse
import struct
from collections.abc import Callable
from pathlib import Path

SNAP = 128                   # bytes that are left of a frame in a snapped capture
_RECORD = struct.Struct("<IIII")
_BUFFER = 1 << 22
_PREFIX = bytes.fromhex("20010db8") + bytes(8)

Record = Callable[[int, int, bytes, int], bytes]
"""Seconds, microseconds, frame and its length on the wire -> a record."""


def _plain(seconds: int, micro: int, frame: bytes, length: int) -> bytes:
    return _RECORD.pack(seconds, micro, len(frame), length) + frame


def _vlan(seconds: int, micro: int, frame: bytes, length: int) -> bytes:
    """With one IEEE 802.1Q tag."""
    return _plain(seconds, micro, frame[:12] + b"\x81\x00\x00\x2a" + frame[12:], length + 4)


def _ipv6(seconds: int, micro: int, frame: bytes, length: int) -> bytes:
    """The same over IPv6; checksums stay what they were."""
    if frame[12:14] != b"\x08\x00":
        return _plain(seconds, micro, frame, length)
    total = int.from_bytes(frame[16:18], "big")
    header = struct.pack(">IHBB", 6 << 28, total - 20, frame[23], frame[22])
    new = frame[:12] + b"\x86\xdd" + header + _PREFIX + frame[26:30] + _PREFIX + frame[30:34] + frame[34 : 14 + total]
    return _plain(seconds, micro, new, len(new))


def _snapped(seconds: int, micro: int, frame: bytes, length: int) -> bytes:
    return _plain(seconds, micro, frame[:SNAP], length)


def _pcapng(seconds: int, micro: int, frame: bytes, length: int) -> bytes:
    """An Enhanced Packet Block of interface 0."""
    ticks = seconds * 1_000_000 + micro
    size = 32 + len(frame) + -len(frame) % 4
    head = struct.pack("<IIIIIII", 6, size, 0, ticks >> 32, ticks & 0xFFFFFFFF, len(frame), length)
    return head + frame + bytes(-len(frame) % 4) + struct.pack("<I", size)


_SECTION = struct.pack("<IIIHHqI", 0x0A0D0D0A, 28, 0x1A2B3C4D, 1, 0, -1, 28)
_INTERFACE = struct.pack("<IIHHII", 1, 20, 1, 0, 0, 20)
SHAPES: dict[str, Record] = {"pcapng": _pcapng, "vlan": _vlan, "ipv6": _ipv6, "snapped": _snapped}


def reshape(shape: str, source: Path, target: Path) -> None:
    """Write the packets of a capture in another shape."""
    record = SHAPES[shape]
    with source.open("rb", buffering=_BUFFER) as file, target.open("wb", buffering=_BUFFER) as out:
        head = file.read(24)
        out.write(_SECTION + _INTERFACE if shape == "pcapng" else head)
        while len(fields := file.read(_RECORD.size)) == _RECORD.size:
            seconds, micro, captured, length = _RECORD.unpack(fields)
            out.write(record(seconds, micro, file.read(captured), length))


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("shape", choices=tuple(SHAPES))
    parser.add_argument("source", type=Path)
    parser.add_argument("target", type=Path)
    options = parser.parse_args()
    reshape(options.shape, options.source, options.target)


if __name__ == "__main__":
    main()
