"""capture/fragments.py: datagrams from fragments, in the frame that completes them."""

import random
import struct

import numpy as np
import pytest

from analyzer.capture import fragments, reader
from analyzer.capture.table import SegmentTable
from tests.capture.making import address, decoded, ethernet, ip4, ip6, one, payload_of, pcap, same, tcp, udp

PAYLOAD = random.Random(2).randbytes(3000)
WHOLE = tcp(PAYLOAD)


def split4(body: bytes, size: int, *, ident: int = 7, protocol: int = 6, ttl: int = 61) -> list[bytes]:
    """IPv4 fragments of `size` bytes, a multiple of eight."""
    return [
        ip4(body[at:at + size], ident=ident, protocol=protocol, ttl=ttl,
            fragment=at // 8 | (0x2000 if at + size < len(body) else 0))
        for at in range(0, len(body), size)
    ]


def split6(body: bytes, size: int, ident: int = 7) -> list[bytes]:
    """IPv6 fragments."""
    return [
        ip6(struct.pack(">BBHI", 6, 0, at | (at + size < len(body)), ident) + body[at:at + size], following=44)
        for at in range(0, len(body), size)
    ]


FOUR = [ethernet(part) for part in split4(WHOLE, 800)]
SIX = [ethernet(part, 0x86DD) for part in split6(WHOLE, 800)]


def check(table: SegmentTable, frame: int, payload: bytes = PAYLOAD) -> None:
    """One whole segment, in this frame."""
    assert same(table.frame, [frame])
    assert (int(table.length[0]), int(table.src_port[0]), int(table.seq[0])) == (len(payload), 50000, 1000)
    assert payload_of(table, 0) == payload
    assert not len(table.unsized)


@pytest.mark.parametrize("parts", [FOUR, SIX], ids=["IPv4", "IPv6"])
def test_any_order_and_repeats(parts: list[bytes]) -> None:
    chance = random.Random(1)
    for _ in range(20):
        order = parts[:]
        chance.shuffle(order)
        last = order.pop()
        order += chance.sample(order, 2)
        check(one(pcap([*order, last])), len(order) + 1)


def test_the_first_copy_of_a_byte_stays() -> None:
    first, second, *rest = split4(WHOLE, 800)
    other = ip4(b"\xee" * 1600, ident=7, fragment=0x2000 | 50)         # bytes 400 to 2000, all different
    table = one(pcap([ethernet(part) for part in (first, other, second, *rest)]))
    expected = bytearray(WHOLE)
    expected[800:2000] = b"\xee" * 1200
    check(table, 5, bytes(expected[20:]))


def test_the_header_is_that_of_the_completing_frame() -> None:
    parts = split4(WHOLE, 800)
    parts[-1] = split4(WHOLE, 800, ttl=33)[-1]
    table = one(pcap([ethernet(part) for part in parts]))
    assert same(table.ttl, [33])
    assert address(table, 0, "src") == "10.1.2.3"


def test_datagrams_are_kept_apart() -> None:
    """By identification, protocol and addresses; what never becomes whole is nothing."""
    a, b = split4(WHOLE, 800, ident=1), split4(tcp(b"b" * 1000), 800, ident=2)
    foreign = split4(udp(b"x" * 1000), 800, ident=1, protocol=17)
    mixed = [a[0], b[0], foreign[0], a[1], a[2], b[1], foreign[1]]
    table = one(pcap([ethernet(part) for part in mixed]))
    assert same(table.frame, [6])
    assert payload_of(table, 0) == b"b" * 1000


def test_chunks_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader, "CHUNK", 900)
    tables, decoder = decoded(pcap(FOUR))
    assert len(tables) == len(FOUR)
    assert [table.rows for table in tables] == [0, 0, 0, 1]
    check(tables[-1], 4)
    assert decoder.fragments_dropped == 0


def test_fragments_in_a_tunnel_that_is_fragmented() -> None:
    frames = []
    for number, inner in enumerate(split4(WHOLE, 800)):
        outer = udp(b"\x08\0\0\0\0\0\5\0" + ethernet(inner))
        frames += [ethernet(part) for part in split4(outer, 400, ident=100 + number, protocol=17)]
    check(one(pcap(frames)), len(frames))


def test_a_lone_first_fragment_that_is_cut_short_is_dissected() -> None:
    """As Wireshark does: numbered, without a length. One that is whole waits for the others."""
    table = one(pcap([(FOUR[0][:60], len(FOUR[0])), (FOUR[1][:60], len(FOUR[1])), FOUR[0]]))
    assert same(table.frame, [1])
    assert same(table.unsized, [0])
    assert same(table.length, [0])


def test_an_ipv6_fragment_that_is_all_goes_on_at_once() -> None:
    check(one(pcap([ethernet(split6(WHOLE, 4000)[0], 0x86DD)])), 1)


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """The oldest unfinished datagrams go first, and how many is said."""
    monkeypatch.setattr(fragments, "MAX_HELD", 10_000)
    lost = [ethernet(split4(WHOLE, 800, ident=ident)[0]) for ident in range(100, 120)]
    table = one(pcap([*FOUR[:3], *lost, *FOUR[3:]]))
    assert table.rows == 0
    (table,), decoder = decoded(pcap([*lost, *FOUR]))
    check(table, 24)
    assert decoder.fragments_dropped > 10


@pytest.mark.parametrize("chunk", [200, 1000, 1 << 20])
def test_small_ones_beyond_measure_are_passed_over_and_said(monkeypatch: pytest.MonkeyPatch, chunk: int) -> None:
    """Large ones pay for themselves; small ones come to an end, in the same frame whatever the chunks."""
    monkeypatch.setattr(fragments, "CREDIT", 3000)
    monkeypatch.setattr(reader, "CHUNK", chunk)
    small = [ethernet(part) for part in split4(WHOLE[:160], 16)]
    assert len(small) == 10
    tables, decoder = decoded(pcap([*FOUR, *small, *FOUR]))
    assert sum(table.rows for table in tables) == 3
    # FOUR brings 3020 bytes and costs 1600, so 4420 are left, for 11 that cost 384 each.
    assert decoder.fragments_passed == (0, 0)
    tables, decoder = decoded(pcap([*FOUR, *small, *small, *FOUR]))
    assert decoder.fragments_passed == (24 - 11, 4 + 11 + 1)
    assert decoder.fragments_dropped == 0


def test_overlaps_are_put_together_byte_by_byte() -> None:
    """Against a plain array: random pieces, in random order, first copy wins."""
    chance = random.Random(9)
    for _ in range(200):
        total = chance.randrange(1, 20) * 8
        datagram = fragments._Datagram()
        expected: dict[int, int] = {}
        whole: bytes | None = None
        for _ in range(40):
            at = chance.randrange(0, total, 8)
            size = min(chance.randrange(1, 6) * 8, total - at)
            data = chance.randbytes(size)
            new = datagram.add(at, data, last=at + size == total)
            before = len(expected)
            for place, byte in enumerate(data, at):
                expected.setdefault(place, byte)
            assert new == len(expected) - before
            whole = datagram.whole()
            if whole is not None:
                break
        if whole is not None:
            assert whole == bytes(expected[place] for place in range(total))
        else:
            assert datagram.total is None or len(expected) < total
    assert np.all(np.array(datagram.starts) >= 0)
