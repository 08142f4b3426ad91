"""Bytes of large messages that nobody reads: what stands for them, and what is left alone."""

from __future__ import annotations

import random
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analyzer.smb.message import messages
from analyzer.tcp.batch import WINDOWS
from analyzer.tcp.connection import FIN, PSH, ByteStream
from analyzer.tcp.reassembly import Piece, blanked
from analyzer.tcp.select import StoreLimits
from tests.tcp.build import ACK, Packet, down, up
from tests.tcp.test_select import SMB_PORTS, C, S, connections, handshake, one, store_of

READ, WRITE, SETUP = 8, 9, 1
REFUSED, OVERFLOW, PENDING = 0xC0000022, 0x80000005, 0x103
PART = 1000                          # bytes of a segment


def smb2(command: int, size: int, *, answer: bool, status: int = 0, following: int = 0, fill: bytes = b"\xaa") -> bytes:
    """A framed SMB2 message of `size` bytes in all. [MS-SMB2] 2.2.1"""
    header = b"\xfeSMB" + struct.pack("<HHIHHII", 64, 0, status, command, 1, int(answer), following)
    return struct.pack(">I", size - 4) + header.ljust(68, b"\1") + fill * (size - 72)


def sealed(magic: bytes, size: int) -> bytes:
    """A framed encrypted or compressed message. [MS-SMB2] 2.2.41, 2.2.42"""
    return struct.pack(">I", size - 4) + magic + b"\xaa" * (size - 8)


def parts(data: bytes, *, step: int = PART, start: int = 0) -> list[Packet]:
    """What the server says, from an offset on, in segments."""
    return [
        down(S + 1 + start + at, C + 1, PSH | ACK, data[at : at + step]) for at in range(0, len(data), step)
    ]


def heard(packets: list[Packet]) -> ByteStream:
    return one([*handshake(), *packets]).streams[1]


def run_of(stream: ByteStream) -> bytes:
    (run,) = stream.runs
    assert run.start == 0
    return run.data


@pytest.mark.parametrize(
    "message",
    [
        smb2(READ, 5500, answer=True),
        smb2(READ, 5500, answer=True, status=OVERFLOW),
        smb2(WRITE, 5500, answer=False),
        sealed(b"\xfdSMB", 5500),
        sealed(b"\xfcSMB", 5500),
    ],
)
def test_the_rest_of_a_large_message_is_zeros(message: bytes) -> None:
    """All headers, and what follows in the segment it ends in, are there; frames and places are unchanged."""
    behind = smb2(SETUP, 300, answer=True)
    whole = message + behind
    stream = heard(parts(whole))
    data = run_of(stream)
    assert data[:PART] == message[:PART]
    assert data[PART:5000] == bytes(4000)
    assert data[5000:] == whole[5000:]
    (run,) = stream.runs
    assert run.ends == (1000, 2000, 3000, 4000, 5000, 5800)
    assert run.frames == (4, 5, 6, 7, 8, 9)
    assert stream.gaps == () and stream.disagreeing == ()


@pytest.mark.parametrize(
    "message",
    [
        smb2(READ, 5500, answer=False),
        smb2(WRITE, 5500, answer=True),
        smb2(READ, 5500, answer=True, status=REFUSED),
        smb2(READ, 5500, answer=True, status=PENDING),
        smb2(READ, 5500, answer=True, following=4000),
        smb2(SETUP, 5500, answer=True),
        smb2(SETUP, 5500, answer=False),
        b"\0\0" + sealed(b"\xfdSMB", 5500),
        b"\x85" + smb2(READ, 5500, answer=True)[1:],
    ],
)
def test_whatever_may_be_read_is_kept(message: bytes) -> None:
    """Other commands, errors, compounds, and what is no message."""
    assert run_of(heard(parts(message))) == message


def test_headers_that_come_in_pieces_are_kept_with_the_rest() -> None:
    message = smb2(READ, 2000, answer=True)
    assert run_of(heard(parts(message, step=100))) == message


def test_a_message_that_is_in_another_begins_none() -> None:
    """The file that is read holds what looks like a larger message: what comes behind the true one is kept."""
    inner = smb2(WRITE, 60000, answer=False)
    outer = smb2(READ, 4 * PART, answer=True)
    outer = outer[:PART] + inner[: 3 * PART]
    behind = smb2(SETUP, 2 * PART, answer=True)
    data = run_of(heard(parts(outer + behind)))
    assert data == outer[:PART] + bytes(3 * PART) + behind


def test_both_sides_and_other_connections_are_apart() -> None:
    """A message of one side says nothing about bytes of the other side or of another connection."""
    asked = smb2(SETUP, 3 * PART, answer=False)
    packets = [
        *handshake(), *handshake(50001),
        down(S + 1, C + 1, ACK, smb2(READ, 5 * PART, answer=True)[:PART]),
        *(up(C + 1 + at, S + 1, ACK, asked[at : at + PART]) for at in range(0, len(asked), PART)),
        *(down(S + 1 + at, C + 1, ACK, asked[at : at + PART], port=50001) for at in range(0, len(asked), PART)),
    ]  # fmt: skip
    first, second = connections(packets)
    assert run_of(first.streams[0]) == asked
    assert run_of(second.streams[1]) == asked


def test_copies_of_what_nobody_reads_do_not_disagree() -> None:
    """Sent again in other pieces, before and behind the bytes that are read; one byte of these does differ."""
    message = smb2(READ, 6 * PART, answer=True)
    again = [down(S + 1 + 500, C + 1, ACK, message[500:2500]), down(S + 1 + 4500, C + 1, ACK, message[4500:6000])]
    stream = heard([*parts(message), *again])
    assert run_of(stream) == message[:PART] + bytes(5 * PART)
    assert stream.disagreeing == ()
    other = bytearray(message)
    other[600] ^= 1
    stream = heard([*parts(message), down(S + 1 + 500, C + 1, ACK, bytes(other[500:2500]))])
    assert stream.disagreeing == (10,)


def test_what_came_before_its_beginning_is_zeros_only_where_a_copy_is() -> None:
    """A segment that overtook the beginning is kept as it is, until another copy comes that is not."""
    message = smb2(READ, 4 * PART, answer=True)
    first, second, third, fourth = parts(message)
    assert run_of(heard([third, first, second, fourth])) == message[:PART] + bytes(PART) + message[2000:3000] + bytes(PART)
    assert run_of(heard([third, first, second, fourth, third])) == message[:PART] + bytes(3 * PART)


def test_lost_and_cut_segments_stay_gaps() -> None:
    message = smb2(READ, 6 * PART, answer=True)
    first, second, _, fourth, fifth, sixth = parts(message)
    cut = fifth._replace(payload=fifth.payload[:400], snapped=600)
    stream = heard([first, second, fourth, cut, sixth])
    assert [(gap.start, gap.end, gap.snapped) for gap in stream.gaps] == [(2000, 3000, False), (4400, 5000, True)]
    assert [(run.start, run.end) for run in stream.runs] == [(0, 2000), (3000, 4400), (5000, 6000)]


def test_a_negotiate_behind_the_window_is_found_behind_such_a_message() -> None:
    message = smb2(READ, 80 * PART, answer=True)
    negotiate = smb2(0, 200, answer=True)
    stream = heard([*parts(message), *parts(negotiate, start=80 * PART)])
    assert stream.runs[-1].data == negotiate


def test_they_do_not_count_against_the_room_for_bytes() -> None:
    """Sixty times 60 KB fit into 100 KB, and the window stays what it is."""
    packets = [
        packet._replace(sport=packet.sport if packet.dport != 445 else port, dport=port if packet.dport != 445 else 445)
        for port in range(50000, 50060)
        for packet in [*handshake(), *parts(smb2(READ, 60 * PART, answer=True)), down(S + 60_001, C + 1, FIN | ACK)]
    ]
    store = store_of(packets, limits=StoreLimits(payload=100_000))
    assert store.limits == ()
    assert len(list(store.connections())) == 60
    assert store_of(packets, limits=StoreLimits(payload=50_000)).limits[0].limit < WINDOWS[0]


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32))
def test_messages_are_the_same_however_they_are_cut(seed: int) -> None:
    """Cut anywhere, lost, sent again, overtaken: what is said of each message does not depend on bytes left out."""
    rng = random.Random(seed)
    said = b""
    for _ in range(rng.randint(1, 6)):
        size = rng.choice((100, 300, 1500, 4000, 9000))
        command = rng.choice((READ, READ, SETUP, 0, 5))
        kind = rng.choice((b"", b"", b"", b"\xfdSMB"))
        said += sealed(kind, size) if kind else smb2(
            command, size, answer=True, status=rng.choice((0, 0, REFUSED)), fill=bytes([rng.randrange(256)])
        )
    packets, at = [], 0
    while at < len(said):
        step = rng.choice((64, 300, 1000, 1460))
        packets.append(down(S + 1 + at, C + 1, ACK, said[at : at + step]))
        at += step
    for _ in range(rng.randint(0, 3)):
        place = rng.randrange(len(packets))
        packets.insert(rng.randrange(len(packets)), packets[place])
    if rng.random() < 0.5 and len(packets) > 2:
        packets.pop(rng.randrange(1, len(packets)))
    connection = one([*handshake(), *packets])
    runs = [(run.start, run.data) for run in connection.streams[1].runs]
    starts = sorted({start for run in connection.streams[1].runs for start in (run.start, *run.ends[:-1])})
    true = [(start, said[start : start + len(data)]) for start, data in runs]
    assert messages(runs, starts) == messages(true, starts)


def test_blanked_pieces() -> None:
    """Spans that touch, overlap and cover parts of pieces."""
    pieces = [Piece(0, 5, 1, 1, b"abcde"), Piece(5, 5, 2, 2, b"fghij"), Piece(-2, 4, 3, 3, b"wxyz"), Piece(20, 2, 4, 4, b"no")]
    spans = [(8, 9), (1, 2), (2, 3), (4, 7)]
    assert [piece.data for piece in blanked(pieces, spans)] == [b"a\0\0d\0", b"\0\0h\0j", b"wxy\0", b"no"]


def test_on_any_port() -> None:
    """A connection that is known by its bytes only."""
    message = smb2(READ, 4 * PART, answer=True)
    first = smb2(0, 120, answer=True)
    packets = [*handshake(), *parts(first), *parts(message, start=120)]
    moved = [
        p._replace(sport=4450 if p.sport == 445 else p.sport, dport=4450 if p.dport == 445 else p.dport) for p in packets
    ]
    for ports, given_packets in ((SMB_PORTS, packets), (None, moved)):
        (connection,) = connections(given_packets, ports)
        assert run_of(connection.streams[1]) == first + message[:PART] + bytes(3 * PART)
