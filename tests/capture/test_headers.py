"""capture/headers.py: the TCP columns, from frames whose values are known."""

import struct

import numpy as np
import pytest

from analyzer.capture.headers import Decoder
from tests.capture.encapsulations import AGGREGATE, ENCAPSULATIONS, PAYLOAD, V4, V6
from tests.capture.making import (
    CLIENT,
    CLIENT6,
    SERVER,
    SERVER6,
    address,
    decoded,
    enhanced,
    ethernet,
    interface,
    ip4,
    ip6,
    one,
    payload_of,
    pcap,
    same,
    section,
    tcp,
)


@pytest.mark.parametrize("name", ENCAPSULATIONS)
def test_the_innermost_header_counts(name: str) -> None:
    link_type, frame, packet = ENCAPSULATIONS[name]
    table = one(pcap([frame], link_type=link_type))
    assert table.rows == 1
    v6 = packet == V6
    assert bool(table.v6[0]) is v6
    assert (address(table, 0, "src"), address(table, 0, "dst")) == ((CLIENT6, SERVER6) if v6 else (CLIENT, SERVER))
    assert (int(table.src_port[0]), int(table.dst_port[0])) == (50000, 445)
    assert (int(table.seq[0]), int(table.ack[0]), int(table.flags[0])) == (1000, 77, 0x18)
    assert int(table.ttl[0]) == (60 if v6 else 61)
    assert (int(table.length[0]), payload_of(table, 0)) == (len(PAYLOAD), PAYLOAD)
    assert (int(table.frame[0]), int(table.time_ns[0]), int(table.icmp[0])) == (1, 7000, 0)
    assert not len(table.unsized) and not len(table.unnumbered)


@pytest.mark.parametrize("name", ENCAPSULATIONS)
def test_a_frame_cut_anywhere_has_no_more_than_it_has(name: str) -> None:
    """Every snap length: no exception, no payload beyond the bytes that are there, the same tcp.len."""
    link_type, frame, _ = ENCAPSULATIONS[name]
    whole = one(pcap([frame], link_type=link_type))
    table = one(pcap([(frame[:cut], len(frame)) for cut in range(len(frame))], link_type=link_type))
    kept = table.present > 0
    assert np.array_equal(table.length[kept], np.full(int(kept.sum()), int(whole.length[0])))
    for row in np.flatnonzero(kept):
        assert payload_of(table, int(row)) == PAYLOAD[:int(table.present[row])]


def test_a_mixed_chunk_stays_in_capture_order() -> None:
    names = sorted(ENCAPSULATIONS)
    links = sorted({link_type for link_type, _, _ in ENCAPSULATIONS.values()})
    data = section() + b"".join(interface(link) for link in links) + b"".join(
        enhanced(ENCAPSULATIONS[name][1], number=links.index(ENCAPSULATIONS[name][0])) for name in names
    )
    table = one(data)
    assert same(table.frame, range(1, len(names) + 1))
    assert same(table.v6, [ENCAPSULATIONS[name][2] == V6 for name in names])
    assert {payload_of(table, row) for row in range(table.rows)} == {PAYLOAD}


def test_one_frame_can_carry_several_packets() -> None:
    table = one(pcap([AGGREGATE, AGGREGATE], link_type=105))
    assert same(table.frame, [1, 1, 1, 2, 2, 2])
    assert sorted(table.v6[:3].tolist()) == [False, False, True]


def test_lengths_as_wireshark_has_them() -> None:
    """Padding, segmentation offload, options, lengths beyond the frame, and header lengths that cannot be."""
    body = tcp(PAYLOAD)
    table = one(pcap([
        ethernet(ip4(tcp())) + bytes(6),                               # padded to 60 bytes
        ethernet(ip4(body, total=0)),                                  # offload: the frame's length
        ethernet(ip4(body, total=2000)),                               # beyond the frame: what there is
        ethernet(ip4(tcp(PAYLOAD, options=bytes(12)), options=bytes(8))),
        ethernet(ip4(body, total=19)),                                 # below the header: nothing behind it
        ethernet(b"\x44" + ip4(body)[1:]),
        ethernet(ip4(body[:12] + b"\x40" + body[13:])),                # a TCP header of 16 bytes
        ethernet(ip4(body[:12] + b"\xf0" + body[13:], total=60)),      # longer than the packet
        ethernet(ip6(body, length=0), 0x86DD),                         # offload: Wireshark stops here
        (ethernet(ip4(body))[:54], 14 + 40 + len(PAYLOAD)),            # snapped behind the header
        (ethernet(ip4(body))[:49], 14 + 40 + len(PAYLOAD)),            # 15 bytes of TCP: not to be numbered
    ]))
    assert same(table.frame, [1, 2, 3, 4, 7, 8, 9, 10])
    assert same(table.length, [0, 68, 68, 68, 0, 0, 68, 68])
    assert same(table.present, [0, 68, 68, 68, 0, 0, 68, 0])
    assert same(table.unsized, [5])
    assert same(table.unnumbered, [6])


def _icmp(quoted: bytes, *, kind: int = 3, code: int = 1, words: int = 0) -> bytes:
    return ethernet(ip4(struct.pack(">BBHBBH", kind, code, 0, 0, words, 0) + quoted, protocol=1, src="10.9.9.9"))


def test_headers_quoted_in_icmp_errors() -> None:
    """The quoted packet's own addresses; a stream number from 16 quoted bytes on; who reported it."""
    syn = ip4(tcp(flags=2))
    six = ethernet(ip6(b"\1\4\0\0" + bytes(4) + ip6(tcp(flags=2)), following=58, src="fd00::99"), 0x86DD)
    table = one(pcap([
        _icmp(syn[:28]), _icmp(syn), _icmp(syn[:27]), _icmp(syn, kind=8), _icmp(syn, kind=11, code=0),
        _icmp(syn, kind=5), six, ethernet(syn), _icmp(ip4(b"x" * 30, protocol=17)), _icmp(syn + bytes(128), words=32),
    ]))
    assert same(table.frame, [1, 2, 5, 6, 7, 8, 10])
    assert same(table.icmp, [0x301, 0x301, 0xB00, 0x501, 0x104, 0, 0x301])
    assert same(table.unnumbered, [0, 3])
    assert same(table.unsized, [0, 1, 2, 3, 4, 6])
    assert same(table.seq, [1000] * 7)
    assert same(table.flags, [0, 2, 2, 0, 2, 2, 2])
    assert address(table, 0, "src") == CLIENT
    assert address(table, 4, "dst") == SERVER6
    ten = bytes([10, 9, 9, 9])
    assert table.reporters == {1: ten, 2: ten, 5: ten, 6: ten, 10: ten, 7: bytes.fromhex("fd00" + 26 * "0" + "99")}


def test_link_types_that_are_not_known_are_counted() -> None:
    data = section() + interface(147) + interface(1) + enhanced(b"?" * 60) + enhanced(ethernet(V4), number=1) + enhanced(
        b"!", number=5)
    (table,), decoder = decoded(data)
    assert same(table.frame, [2])
    assert (decoder.unknown_link_packets, decoder.unknown_link_types) == (2, {147, -1})


def test_a_tower_of_headers_ends() -> None:
    """No frame is peeled for ever, and a table without segments has its columns."""
    decoder = Decoder()
    data = pcap([ethernet(b"\x81\x00\0\1" * 20_000, 0x8100), ethernet(b"\x88\x47" * 9, 0x8847)])
    (table,), decoder = decoded(data)
    assert table.rows == 0
    assert decoder.census.tcp_segments == 0


def test_random_bytes_are_not_believed() -> None:
    chance = np.random.default_rng(5)
    frames = [chance.integers(0, 256, int(size), dtype=np.uint8).tobytes() for size in chance.integers(0, 120, 400)]
    for link_type in sorted({link_type for link_type, _, _ in ENCAPSULATIONS.values()} | {119, 163, 138, 219}):
        table = one(pcap(frames, link_type=link_type))
        assert (table.present <= table.length).all()
        assert (table.payload + table.present <= len(table.data)).all()


def test_damaged_wrappings_are_not_believed() -> None:
    """Bytes of every encapsulation changed: payloads always lie inside the data."""
    chance = np.random.default_rng(6)
    for link_type, frame, _ in ENCAPSULATIONS.values():
        frames = []
        for _ in range(40):
            broken = bytearray(frame)
            for at in chance.integers(0, len(frame) - len(PAYLOAD), 2):
                broken[at] = chance.integers(0, 256)
            frames.append(bytes(broken))
        table = one(pcap(frames, link_type=link_type))
        assert (table.present >= 0).all() and (table.present <= table.length).all()
        assert (table.payload + table.present <= len(table.data)).all()
