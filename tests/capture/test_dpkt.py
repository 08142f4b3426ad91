"""The array decode of headers and a loop with dpkt over the same frames give the same segments."""

from __future__ import annotations

from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import dpkt
import pytest

from analyzer.capture.headers import Decoder
from analyzer.capture.reader import CaptureReader
from analyzer.capture.source import open_source
from tests import captures, variants

SAMPLES = sorted((Path(__file__).resolve().parents[2] / "sample_pcaps").glob("*.pcap"))
# frame, source port, destination port, seq, ack, flags, ttl, payload
Row = tuple[int, int, int, int, int, int, int, bytes]


def by_columns(data: bytes) -> Iterator[Row]:
    with open_source(BytesIO(data)) as source:
        reader, decoder = CaptureReader(source), Decoder()
        for table in reader.tables():
            found = decoder.decode(table)
            for i in range(len(found.frame)):
                if found.icmp[i]:
                    continue
                at, size = int(found.payload[i]), int(found.present[i])
                yield (
                    int(found.frame[i]), int(found.src_port[i]), int(found.dst_port[i]), int(found.seq[i]),
                    int(found.ack[i]), int(found.flags[i]), int(found.ttl[i]), found.data[at : at + size].tobytes(),
                )


def by_dpkt(capture: captures.Capture) -> Iterator[Row]:
    for number, frame in enumerate(capture.frames, 1):
        packet = dpkt.ethernet.Ethernet(frame.data).data
        while isinstance(packet, (dpkt.ip.IP, dpkt.ip6.IP6)) and not isinstance(packet.data, dpkt.tcp.TCP):
            packet = packet.data
        if isinstance(packet, (dpkt.ip.IP, dpkt.ip6.IP6)):
            tcp = packet.data
            ttl = packet.ttl if isinstance(packet, dpkt.ip.IP) else packet.hlim
            yield number, tcp.sport, tcp.dport, tcp.seq, tcp.ack, tcp.flags & 0xFF, ttl, bytes(tcp.data)


def fragmented(frame: captures.Frame) -> bool:
    packet = dpkt.ethernet.Ethernet(frame.data).data
    if isinstance(packet, dpkt.ip6.IP6):
        return 44 in packet.extension_hdrs
    return isinstance(packet, dpkt.ip.IP) and bool(packet.mf or packet.offset)


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.stem)
def test_columns_say_what_dpkt_says(path: Path) -> None:
    capture = captures.read(path)
    if capture.link_type != captures.ETHERNET or any(map(fragmented, capture.frames)):
        pytest.skip("dpkt neither reassembles fragments nor is asked for other link types here")
    if any(len(frame.data) < frame.original for frame in capture.frames):
        pytest.skip("dpkt refuses what the snap length cut")
    assert list(by_columns(captures.pcap(capture))) == list(by_dpkt(capture))


@pytest.mark.parametrize("variant", [variants.as_vlan, variants.as_qinq, variants.in_ipip, variants.to_ipv6])
def test_columns_say_what_dpkt_says_of_variants(samples: Path, variant: variants.Variant) -> None:
    capture = variant(captures.read(samples / "no-common-dialect.pcap"))
    rows = list(by_dpkt(capture))
    assert len(rows) > 8
    assert list(by_columns(captures.pcap(capture))) == rows
