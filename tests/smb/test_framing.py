"""NetBIOS packets are found at their boundaries, across gaps, and nothing else is taken for one."""

from __future__ import annotations

import pytest

from analyzer.smb.framing import Frame, describe, frames
from tests.smb.made import packet, request, smb1_request

REQUEST = packet(request())
OTHER = packet(smb1_request("NT LM 0.12"))


def found(*runs: tuple[int, bytes], starts: tuple[int, ...] = ()) -> list[tuple[int, int, bool]]:
    return [(frame.at, frame.end, frame.complete) for frame in frames(runs, starts)]


def test_packets_stand_one_behind_the_other() -> None:
    both = REQUEST + OTHER
    assert found((0, both)) == [(0, len(REQUEST), True), (len(REQUEST), len(both), True)]


@pytest.mark.parametrize("cut", range(1, len(REQUEST)))
def test_a_packet_that_is_cut_keeps_its_announced_end(cut: int) -> None:
    (frame,) = frames([(0, REQUEST[:cut])], [0])
    assert not frame.complete
    assert frame.end == (len(REQUEST) if cut >= 4 else 4)
    assert frame.body == (REQUEST[4:cut] if cut >= 4 else REQUEST[:cut])


def test_long_messages_use_24_bits() -> None:
    message = request() + bytes(0x20000)
    (frame,) = frames([(0, packet(message))], [0])
    assert (frame.length, frame.complete) == (len(message), True)


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (bytes.fromhex("82000000"), 0x82), (bytes.fromhex("83000001 82"), 0x83),
        (bytes.fromhex("84000006 0a000001 008b"), 0x84), (bytes.fromhex("85000000"), 0x85),
    ],
)  # fmt: skip
def test_session_packets_are_known(data: bytes, kind: int) -> None:
    assert [frame.type for frame in frames([(0, data + REQUEST)], [0])] == [kind, 0]


@pytest.mark.parametrize("data", ["82000001 00", "83000002 8282", "84000000", "85000001 00", "81000001 00"])
def test_session_packets_of_another_length_are_foreign(data: str) -> None:
    (frame,) = frames([(0, bytes.fromhex(data))], [0])
    assert (frame.type, frame.foreign) == (None, "unknown")


def test_reading_goes_on_where_a_cut_message_ends() -> None:
    """The header promised the boundary, and the next run holds it."""
    third = 2 * len(REQUEST) + len(OTHER)
    runs = ((0, REQUEST + REQUEST[:50]), (len(REQUEST) + 90, (REQUEST[90:] + OTHER)))
    assert found(*runs) == [
        (0, len(REQUEST), True),
        (len(REQUEST), 2 * len(REQUEST), False),
        (2 * len(REQUEST), third, True),
    ]


def test_a_lost_boundary_is_found_at_a_segment() -> None:
    """The header itself is missing: the next segment that begins a message is taken."""
    start = 1000
    tail = bytes(range(200)) + REQUEST
    starts = (start, start + 100, start + 200)
    assert found((0, REQUEST), (start, tail), starts=starts)[1:] == [(1200, 1200 + len(REQUEST), True)]


def test_a_stream_that_begins_in_a_message_is_read_from_the_next() -> None:
    assert found((0, b"rest of a message" + REQUEST), starts=(0, 17)) == [(17, 17 + len(REQUEST), True)]


def test_a_signature_inside_a_segment_is_no_boundary() -> None:
    """Only segments begin messages; the same bytes in a file's data do not."""
    (frame,) = frames([(0, b"data" + REQUEST)], [0])
    assert frame.foreign == "unknown"


def test_bytes_behind_a_gap_are_not_called_foreign() -> None:
    assert found((0, REQUEST), (len(REQUEST) + 10, b"GET / HTTP/1.1\r\n")) == [(0, len(REQUEST), True)]


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (b"\x16\x03\x01\x02\x00\x01", "TLS"), (b"\x15\x03\x03\x00\x02\x02\x46", "TLS"),
        (b"HTTP/1.1 400 Bad Request\r\n", "HTTP"), (b"GET / HTTP/1.1\r\n", "HTTP"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "SSH"), (b"220 mail.example ESMTP Postfix\r\n", "SMTP"),
        (b"220 (vsFTPd 3.0.3)\r\n", "FTP"), (b"220-Welcome\r\n220 ok\r\n", "FTP"),
        (b"\x03\x00\x00\x13\x0e\xe0", "RDP"), (b"RFB 003.008\n", "VNC"), (b"+OK ready\r\n", "POP3"),
        (b"* OK IMAP4rev1\r\n", "IMAP"), (b"\0\0\0\0\0\0", "zero bytes"), (b"garbage", "unknown"), (b"", "unknown"),
    ],
)  # fmt: skip
def test_other_protocols_are_recognised(data: bytes, name: str) -> None:
    assert describe(data) == name
    if data:
        (frame,) = frames([(0, data)], [0])
        assert frame == Frame(0, len(data), None, len(data), data, 0, len(data), foreign=name)


def test_a_session_message_without_smb_is_foreign() -> None:
    (frame,) = frames([(0, packet(b"no SMB at all"))], [0])
    assert frame.foreign == "unknown"


def test_nothing_gives_nothing() -> None:
    assert list(frames([], [])) == []
