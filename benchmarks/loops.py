"""What a short script would do: every packet through dpkt or scapy, the NEGOTIATE messages counted; or decompression alone.

python -m benchmarks.loops dpkt|scapy|gz|zst|lz4 FILE
"""

from __future__ import annotations

import sys
from typing import IO, Any


def with_dpkt(path: str) -> int:
    """Plain loop with dpkt."""
    import dpkt

    found = 0
    with open(path, "rb") as file:  # noqa: PTH123
        for _, data in dpkt.pcap.Reader(file):
            packet = dpkt.ethernet.Ethernet(data).data
            if isinstance(packet, dpkt.ip.IP) and isinstance(packet.data, dpkt.tcp.TCP):
                segment = packet.data
                if 445 in (segment.sport, segment.dport):
                    found += segment.data[4:8] == b"\xfeSMB" and segment.data[16:18] == b"\0\0"
    return found


def with_scapy(path: str) -> int:
    """Plain loop with scapy."""
    from scapy.layers.inet import TCP
    from scapy.utils import PcapReader

    found = 0
    with PcapReader(path) as reader:
        for packet in reader:
            if TCP in packet and 445 in (packet[TCP].sport, packet[TCP].dport):
                data = bytes(packet[TCP].payload)
                found += data[4:8] == b"\xfeSMB" and data[16:18] == b"\0\0"
    return found


def _drained(file: IO[bytes] | Any) -> int:
    found = 0
    while data := file.read(1 << 20):
        found += len(data)
    return found


def gunzipped(path: str) -> int:
    """The bytes of a .gz."""
    from isal import igzip

    with igzip.open(path) as file:
        return _drained(file)


def unzstd(path: str) -> int:
    """The bytes of a .zst."""
    import zstandard

    with open(path, "rb") as file, zstandard.ZstdDecompressor().stream_reader(file) as reader:  # noqa: PTH123
        return _drained(reader)


def unlz4(path: str) -> int:
    """The bytes of a .lz4."""
    import lz4.frame

    with lz4.frame.open(path) as file:
        return _drained(file)


LOOPS = {"dpkt": with_dpkt, "scapy": with_scapy, "gz": gunzipped, "zst": unzstd, "lz4": unlz4}

if __name__ == "__main__":
    print(LOOPS[sys.argv[1]](sys.argv[2]))
