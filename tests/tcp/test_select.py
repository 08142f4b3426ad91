"""What is kept of a capture, and the connections made of it."""

from __future__ import annotations

import random
import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analyzer.tcp import arena, evidence, select
from analyzer.tcp.connection import Connection, Gap
from analyzer.tcp.flows import FlowTable
from analyzer.tcp.limit import LimitReached
from analyzer.tcp.select import SegmentStore, StoreLimits
from tests.tcp.build import ACK, CLIENT, FIN, PSH, RST, SERVER, SYN, Packet, chunks, down, trace, up

SMB_PORTS = frozenset({139, 445})
UNREACHABLE = 3 << 8 | 3
C, S = 1000, 5000                    # initial sequence numbers of client and server


def smb2(command: int, size: int = 100) -> bytes:
    """A framed SMB2 message of `size` bytes, framing included. [MS-SMB2] 2.1, 2.2.1"""
    header = b"\xfeSMB" + struct.pack("<HHIH", 64, 0, 0, command)
    return struct.pack(">I", size - 4) + header.ljust(size - 4, b"\0")


def smb1(command: int, size: int = 60) -> bytes:
    """The same of SMB1. [MS-CIFS] 2.2.3.1"""
    return struct.pack(">I", size - 4) + (b"\xffSMB" + bytes([command])).ljust(size - 4, b"\0")


def store_of(
    packets: list[Packet],
    size: int = 1 << 30,
    ports: frozenset[int] | None = SMB_PORTS,
    limits: StoreLimits | None = None,
) -> SegmentStore:
    flows, store = FlowTable(), SegmentStore(ports, limits)
    for chunk in chunks(packets, size):
        rows = store.concerned(chunk)
        store.add(chunk, rows, flows.assign(chunk, rows))
    return store


def connections(
    packets: list[Packet], ports: frozenset[int] | None = SMB_PORTS, limits: StoreLimits | None = None
) -> list[Connection]:
    """All connections; the same whatever the chunks, as often as they are asked for, by way of a file, and piece by piece."""
    store = store_of(packets, ports=ports, limits=limits)
    found = list(store.connections())
    assert list(store.connections()) == found
    for size in (1, 3):
        again = store_of(packets, size, ports, limits)
        assert list(again.connections()) == found
        assert again.limits == store.limits
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(arena, "IN_MEMORY", 0)
        assert list(store_of(packets, 3, ports, limits).connections()) == found
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(evidence, "_by_offset", lambda of, *_: np.arange(len(of)))
        assert list(store.connections()) == found
    return found


def handshake(port: int = 50000) -> list[Packet]:
    return [
        up(C, flags=SYN, port=port),
        down(S, C + 1, SYN | ACK, port=port),
        up(C + 1, S + 1, port=port),
    ]


def one(packets: list[Packet]) -> Connection:
    (found,) = connections(packets)
    return found


def test_a_connection() -> None:
    """Handshake, a question, an answer, the end: every part in its place."""
    connection = one(
        [
            *handshake(),
            up(C + 1, S + 1, PSH | ACK, b"question"),
            down(S + 1, C + 9, PSH | ACK, b"answer"),
            up(C + 9, S + 7, FIN | ACK),
            down(S + 7, C + 10, FIN | ACK),
            up(C + 10, S + 8),
        ]
    )
    assert [str(end) for end in connection.ends] == ["10.0.0.1:50000", "10.0.0.2:445"]
    assert (connection.stream, connection.initiator, connection.packets) == (0, 0, (5, 3))
    assert (connection.first_frame, connection.last_frame) == (1, 8)
    assert connection.last_ns - connection.first_ns == 7_000_000
    assert connection.bases == (C + 1, S + 1)
    assert [s.frame for s in connection.segments] == [1, 2, 3, 4, 5, 6, 7, 8]
    assert [s.side for s in connection.segments] == [0, 1, 0, 0, 1, 0, 1, 0]
    assert connection.segments[4][3:] == (S + 1, C + 9, PSH | ACK, 64, 6, 6, 0)
    for stream, data, frame in zip(connection.streams, (b"question", b"answer"), (4, 5), strict=True):
        (run,) = stream.runs
        assert (run.start, run.data, run.frames, stream.gaps) == (0, data, (frame,), ())


def test_other_ports_are_not_kept_but_numbered() -> None:
    """The SMB connection between two others keeps its tcp.stream."""
    web = [Packet(CLIENT, port, SERVER, 80, 1, 0, SYN) for port in (1, 2)]
    found = connections([web[0], up(C, flags=SYN), web[1], Packet(SERVER, 139, CLIENT, 7, 1)])
    assert [connection.stream for connection in found] == [1, 3]


def test_ipv6_ends() -> None:
    """Both halves of both addresses, whoever speaks first."""
    client, server = bytes(range(16)), bytes(range(16, 32))
    connection = one([Packet(server, 445, client, 9, 1), Packet(client, 9, server, 445, 1)])
    assert connection.ends == ((server, 445), (client, 9))


@pytest.mark.parametrize(
    ("packets", "initiator"),
    [
        pytest.param([up(C, flags=SYN)], 0, id="SYN"),
        pytest.param([down(S, C + 1, SYN | ACK)], 1, id="SYN/ACK alone"),
        pytest.param([down(S, C + 1, SYN | ACK), up(C, flags=SYN)], 1, id="out of order"),
        pytest.param([up(C, flags=SYN), down(S, flags=SYN)], 0, id="simultaneous open"),
        pytest.param([up(C, flags=SYN), up(C, flags=SYN), down(0, C + 1, RST | ACK)], 0, id="SYN again"),
        pytest.param([up(C, S), down(S, C)], None, id="mid-stream"),
        pytest.param([up(C)._replace(icmp=UNREACHABLE)], None, id="only quoted"),
    ],
)
def test_initiator(packets: list[Packet], initiator: int | None) -> None:
    """By SYN, else by SYN/ACK, else unknown."""
    assert one(packets).initiator == initiator


def test_quoted_headers() -> None:
    """They stand among the segments with what quoted them, and count as nobody's packet."""
    connection = one([up(C, flags=SYN), up(C)._replace(icmp=UNREACHABLE, quoted=8)])
    assert connection.packets == (1, 0)
    assert [(s.side, s.icmp, s.flags) for s in connection.segments] == [(0, 0, SYN), (0, UNREACHABLE, 0)]
    assert connection.reporters == {2: b"\x0a\x00\x00\xfe"}
    assert connection.bases == (C + 1, None)


def test_sequence_wrap_inside_the_bytes() -> None:
    """The number after 2**32 - 1 is 0."""
    top = 2**32
    packets = [up(top - 3, flags=SYN), down(top - 1, top - 2, SYN | ACK)]
    packets += [up(top - 2 + i, 0, payload=b"abcdef"[i : i + 1]) for i in range(6)]
    packets += [down(0, 4, payload=b"xyz")]
    connection = one(packets)
    assert connection.streams[0].runs[0].data == b"abcdef"
    assert connection.streams[1].runs[0].data == b"xyz"
    assert connection.bases == (top - 2, 0)


def test_data_on_the_syn() -> None:
    """TCP Fast Open: the payload of a SYN begins after the SYN. RFC 7413"""
    connection = one([up(C, flags=SYN, payload=b"ab"), down(S, C + 3, SYN | ACK), up(C + 3, S + 1, payload=b"cd")])
    assert connection.streams[0].runs[0].data == b"abcd"
    assert connection.streams[1].gaps == ()


@pytest.mark.parametrize(
    ("packets", "gaps"),
    [
        pytest.param([down(S + 1, C + 9)], ([(0, 8)], []), id="acknowledged, not captured"),
        pytest.param([up(C + 9, S + 1)], ([(0, 8)], []), id="the sender went on"),
        pytest.param([up(C + 9, S + 1, FIN | ACK)], ([(0, 8)], []), id="its FIN stands behind"),
        pytest.param([up(C + 9, S + 1, payload=b"x")], ([(0, 8)], []), id="later bytes"),
        pytest.param([up(C + 1, S + 1, FIN | ACK), down(S + 1, C + 2)], ([], []), id="a FIN takes one number"),
        pytest.param([down(S + 1, C + 2)], ([], []), id="perhaps a FIN that was not captured"),
        pytest.param([down(S + 1, C + 90, RST | ACK)], ([], []), id="RST is no witness"),
        pytest.param([down(S + 2**30, C + 90)], ([], []), id="out of nowhere"),
        pytest.param([down(S + 1, C + 2**20)], ([], []), id="acknowledges what cannot be"),
        pytest.param([up(C, S + 1, payload=b"\0"), down(S + 1, C + 1)], ([], []), id="keep-alive"),
        pytest.param([up(C, S + 1), down(S + 1, C + 1)], ([], []), id="keep-alive without a byte"),
        pytest.param(
            [up(C + 1, S + 1, FIN | ACK), up(C + 2, S + 1, payload=b"late"), down(S + 1, C + 6)],
            ([], []),
            id="bytes behind the FIN",
        ),
        pytest.param(
            [up(C + 1, S + 1, payload=b"abcd"), up(C + 2, S + 1, FIN | ACK), up(C + 5, S + 1, payload=b"efgh")],
            ([], []),
            id="a FIN amid the bytes is none",
        ),
    ],
)
def test_gaps(packets: list[Packet], gaps: tuple[list[tuple[int, int]], list[tuple[int, int]]]) -> None:
    """What shows that bytes are missing, and what does not."""
    connection = one(handshake() + packets)
    assert tuple([(gap.start, gap.end) for gap in stream.gaps] for stream in connection.streams) == gaps


def test_the_text_of_a_reset_is_not_the_stream() -> None:
    """RFC 1122 4.2.2.12 lets a RST carry a reason."""
    connection = one([*handshake(), down(S + 1, C + 1, RST | ACK, b"no listener")])
    assert connection.streams[1].runs == ()
    assert connection.segments[-1].length == 11


def test_bytes_behind_the_fin_are_not_the_stream() -> None:
    """Cut where the FIN stands."""
    connection = one(
        [*handshake(), up(C + 1, S + 1, FIN | ACK, b"abc"), up(C + 1, S + 1, payload=b"abcdef"), up(C + 4, payload=b"x")]
    )
    assert [run.data for run in connection.streams[0].runs] == [b"abc"]


def test_mid_stream_begins_with_the_earliest_byte() -> None:
    """A retransmission of earlier bytes moves offset 0; what one side acknowledged before is no gap."""
    connection = one(
        [
            down(S, C + 4),
            up(C + 4, S, payload=b"efgh"),
            up(C, S, payload=b"abcd"),
            down(S, C + 8, payload=b"yes"),
        ]
    )
    assert [stream.runs[0].data for stream in connection.streams] == [b"yes", b"abcdefgh"]
    assert connection.streams[1].gaps == ()
    assert connection.bases == (S, C)


def test_mid_stream_keep_alive_is_no_byte() -> None:
    """One byte that was acknowledged before it came."""
    connection = one([down(S, C), up(C - 1, S, payload=b"\0"), down(S, C), up(C, S, payload=b"abc")])
    assert connection.streams[1].runs[0].data == b"abc"
    assert connection.bases[1] == C


def test_one_direction_only() -> None:
    """The other side's bytes are a gap as long as was acknowledged."""
    connection = one(
        [up(C, flags=SYN), up(C + 1, S + 1), up(C + 1, S + 1, payload=b"ab"), up(C + 3, S + 301), up(C + 3, S + 401)]
    )
    assert connection.streams[1].gaps == (Gap(0, 400, snapped=False),)
    assert connection.packets == (5, 0)


def test_snapped_segments() -> None:
    """What the snap length cut off is a gap of its own kind."""
    connection = one([*handshake(), up(C + 1, S + 1, payload=b"abcd", snapped=6), up(C + 11, S + 1, payload=b"e")])
    assert connection.streams[0].gaps == (Gap(4, 10, snapped=True),)
    assert [s.present for s in connection.segments if s.length] == [4, 1]


def test_every_packet_twice() -> None:
    """A mirror port that sees both directions of a router."""
    packets = [*handshake(), up(C + 1, S + 1, payload=b"abc"), down(S + 1, C + 4, payload=b"de")]
    connection = one([packet for packet in packets for _ in range(2)])
    assert [stream.runs[0].data for stream in connection.streams] == [b"abc", b"de"]
    assert connection.streams[0].runs[0].frames == (7,)
    assert connection.packets == (6, 4)


def test_reused_ports_are_two_connections() -> None:
    """Each has its own segments and bytes."""
    second = [up(C + 900, flags=SYN), down(S + 900, C + 901, SYN | ACK), up(C + 901, S + 901, payload=b"new")]
    found = connections([*handshake(), up(C + 1, S + 1, payload=b"old"), *second])
    assert [connection.streams[0].runs[0].data for connection in found] == [b"old", b"new"]
    assert [len(connection.segments) for connection in found] == [4, 3]


BULK = 1000


def download(segments: int, start: int = S + 1) -> list[Packet]:
    """The server sends, the client acknowledges."""
    packets = []
    for i in range(segments):
        at = start + i * BULK
        packets += [down(at, C + 1, payload=bytes(BULK)), up(C + 1, at + BULK)]
    return packets


def test_bulk_is_counted_only() -> None:
    """64 KiB of each side are kept; the rest leaves no gap; FIN and RST are always kept."""
    end = S + 1 + 200 * BULK
    connection = one([*handshake(), *download(200), down(end, C + 1, FIN | ACK), up(C + 1, end + 1, RST)])
    (run,) = connection.streams[1].runs
    assert len(run.data) == 66 * BULK
    assert connection.streams[1].gaps == ()
    assert connection.packets == (203, 202)
    assert [s.flags for s in connection.segments[-2:]] == [FIN | ACK, RST]
    assert len(connection.segments) == 3 + 66 + 65 + 2


def test_a_late_negotiate_is_kept_with_what_follows() -> None:
    """The message, its answer and its acknowledgements; the bulk between leaves no gap."""
    at = S + 1 + 100 * BULK
    late = [
        up(C + 1, at, payload=smb2(0, 100)),
        down(at, C + 101, payload=smb2(0, 200)),
        up(C + 101, at + 200),
    ]
    behind = download(20, at + 200)
    connection = one([*handshake(), *download(100), *late, *behind])
    assert [(run.start, len(run.data)) for run in connection.streams[0].runs] == [(0, 100)]
    first, second = connection.streams[1].runs
    assert (second.start, second.data[:200]) == (100 * BULK, smb2(0, 200))
    assert connection.streams[1].gaps == ()
    assert first.end < second.start
    assert second.end - second.start <= select.RENEGOTIATION + BULK


@pytest.mark.parametrize("message", [smb2(0), smb1(0x72)])
def test_late_negotiates_of_both_kinds(message: bytes) -> None:
    """The request itself is beyond the window of its side."""
    at = C + 1 + 70 * BULK
    bulk = [up(C + 1 + i * BULK, S + 1, payload=bytes(BULK)) for i in range(70)]
    connection = one([*handshake(), *bulk, up(at, S + 1, payload=message), down(S + 1, at + 9, payload=b"no")])
    assert connection.streams[0].runs[-1].data == message
    other = one([*handshake(), *bulk, up(at, S + 1, payload=smb2(8)), down(S + 1, at + 9, payload=b"no")])
    assert other.streams[0].runs[-1].start == 0


def test_any_port_by_its_bytes() -> None:
    """Whole, in pieces, answered only, in the middle; others are not yielded."""

    def talk(port: int, *parts: Packet) -> list[Packet]:
        packets = [up(C, flags=SYN), down(S, C + 1, SYN | ACK), *parts]
        return [
            p._replace(sport=port, dport=8445) if p.dport == 445 else p._replace(sport=8445, dport=port) for p in packets
        ]

    message, http = smb2(0), b"GET / HTTP/1.1\r\n"
    packets = [
        *talk(1, up(C + 1, payload=message)),
        *talk(2, *(up(C + 1 + i, payload=message[i : i + 3]) for i in range(0, 12, 3))),
        *talk(3, up(C + 1, payload=http), down(S + 1, payload=message)),
        *talk(4, up(C + 1, payload=http), down(S + 1, payload=b"HTTP/1.1 200 OK"), up(C + 17, payload=message)),
        *talk(5),
        *talk(6, up(C + 1, payload=b"\x81\x00\x00\x44\x20" + bytes(67))),
        *talk(7, *(up(C + 1 + i, payload=http[i : i + 1]) for i in range(16)), down(S + 1, payload=http)),
        up(C, flags=SYN),
        *[p._replace(sport=9, dport=8445) for p in (up(C, payload=b"middle of"), up(C + 9, payload=message))],
    ]
    found = connections(packets, ports=None)
    assert [connection.stream for connection in found] == [0, 1, 2, 5, 7, 8]
    assert found[1].streams[0].runs[0].data == message[:12]
    assert found[5].streams[0].runs[0].data == b"middle of" + message


def test_which_connections() -> None:
    """A choice by the columns of `ends`: flows that are nothing but SYNs need no objects."""
    store = store_of([up(C, flags=SYN, port=1), *handshake(2), up(C, flags=SYN, port=3)])
    alone = (store.ends.flags[: store.ends.count] == (SYN, 0)).all(axis=1)
    assert store.ends.stream[: store.ends.count][alone].tolist() == [0, 2]
    assert [connection.stream for connection in store.connections(~alone)] == [1]
    assert store.ends.packets[: store.ends.count].tolist() == [[1, 0], [2, 1], [1, 0]]


def test_limit_of_connections() -> None:
    """The first ones in order of tcp.stream are kept whole; the others are counted."""
    packets = [*handshake(1), *handshake(2), *handshake(3), *handshake(4), up(C + 1, payload=b"a", port=1)]
    limits = StoreLimits(connections=2)
    found = connections(packets, limits=limits)
    assert [connection.packets for connection in found] == [(3, 1), (2, 1)]
    assert store_of(packets, limits=limits).limits == (LimitReached("connections", 2, 2, 7),)


def test_limit_of_control_segments() -> None:
    """A flood of SYNs on one connection."""
    packets = [up(C, flags=SYN)] * 300
    connection = one(packets)
    assert len(connection.segments) == select.MAX_CONTROLS
    assert connection.packets == (300, 0)
    assert store_of(packets).limits == (LimitReached("controls", 256, 44, 257),)


def test_limit_of_payload_narrows_the_window() -> None:
    """Every connection loses its later bytes before one loses its first ones."""
    packets = [p for port in range(1, 9) for p in handshake(port)]
    packets += [
        down(S + 1 + i * BULK, C + 1, payload=bytes([port]) * BULK, port=port) for i in range(64) for port in range(1, 9)
    ]
    limits = StoreLimits(payload=150_000)
    found = connections(packets, limits=limits)
    assert {len(connection.streams[1].runs[0].data) for connection in found} == {17 * BULK}
    assert {connection.streams[1].gaps for connection in found} == {()}
    assert store_of(packets, limits=limits).limits == (LimitReached("window", 16384, 8, 175),)


def test_limit_of_rows_is_the_last_resort() -> None:
    """What does not fit even then is left out, claims no gap and is reported."""
    packets = [p for port in range(1, 9) for p in handshake(port)]
    limits = StoreLimits(rows=10)
    found = connections(packets, limits=limits)
    assert sum(len(connection.segments) for connection in found) == 10
    assert [connection.packets for connection in found] == [(2, 1)] * 8
    assert LimitReached("rows", 10, 14, 11) in store_of(packets, limits=limits).limits


MESSAGE = st.lists(st.tuples(st.booleans(), st.binary(min_size=1, max_size=30)), min_size=1, max_size=8)


@settings(max_examples=60, deadline=None)
@given(MESSAGE, st.randoms(use_true_random=False), st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1))
def test_any_way_of_sending_gives_the_same_bytes(
    talk: list[tuple[bool, bytes]], rng: random.Random, client: int, server: int
) -> None:
    """Cut into any segments, duplicated, locally out of order, anywhere on the circle."""
    position = [client + 1, server + 1]
    said = [b"", b""]
    packets = [up(client, flags=SYN), down(server, client + 1, SYN | ACK), up(client + 1, server + 1)]
    for side, data in talk:
        segment = down if side else up
        start = 0
        burst = []
        while start < len(data):
            size = rng.randint(1, 12)
            cut = segment(position[side] + start, position[not side], payload=data[start : start + size])
            burst += [cut] * rng.choice((1, 1, 1, 2))
            start += size
        rng.shuffle(burst)
        packets += burst
        position[side] += len(data)
        said[side] += data
    connection = one(packets)
    assert [b"".join(run.data for run in stream.runs) for stream in connection.streams] == said
    assert all(stream.gaps == () and stream.disagreeing == () for stream in connection.streams)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("ports", [frozenset(range(1 << 16)), None], ids=["ports", "any port"])
def test_random_traces_do_not_depend_on_the_chunks(seed: int, ports: frozenset[int] | None) -> None:
    """Nonsense of every kind, cut SMB messages among it; `connections` compares three chunk sizes."""
    rng = random.Random(seed)
    texts = (b"", b"a", b"GET / HTTP", smb2(0), smb1(0x72), smb2(0)[:5], smb2(0)[5:], bytes(3000))
    packets = [
        packet._replace(payload=rng.choice(texts), snapped=rng.choice((0, 0, 0, 50))) if packet.payload else packet
        for packet in trace(seed, 300)
    ]
    found = connections(packets, ports=ports)
    assert sum(sum(connection.packets) for connection in found) <= len(packets)
    connections(packets, ports=ports, limits=StoreLimits(connections=3))


def test_nothing_is_nothing() -> None:
    """No rows, no connections, no limits."""
    store = store_of([])
    assert list(store.connections()) == []
    assert store.limits == ()
    assert list(store_of([Packet(CLIENT, 1, SERVER, 80)]).connections(np.zeros(0, np.bool_))) == []
