"""capture/usual.py: what is taken apart in one go is what peeling header by header finds."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analyzer.capture import usual
from analyzer.capture.headers import PEELERS, Decoder
from analyzer.capture.table import SegmentTable
from tests.capture import making
from tests.capture.making import ethernet, ip4, ip6, tcp, udp

SMB = b"\0\0\0\x40\xfeSMB" + bytes(60)
QUIC = b"\xc3\0\0\0\1" + bytes(30)


def _tagged(frame: bytes) -> bytes:
    return frame[:12] + b"\x81\0\0\5" + frame[12:]


def _vxlan(frame: bytes) -> bytes:
    return ethernet(ip4(udp(b"\x08\0\0\0\0\0\5\0" + frame), protocol=17))


def _as_if_tagged() -> bytes:
    """A frame that is not tagged and holds, where IPv4 stands behind a tag, what looks like it."""
    frame = bytearray(ethernet(ip4(tcp(bytes(2008)))))
    frame[16:22] = bytes.fromhex("080045004000")         # length, identification, flags
    frame[24:26] = bytes(2)
    frame[27] = 6
    return bytes(frame)


_UDP = [udp(QUIC, dport=443), udp(QUIC, sport=443, dport=9), udp(bytes(40), dport=4791), udp(b"a", dport=53),
        udp(bytes(30), sport=5004, dport=5006)]
_TCP = [tcp(SMB), tcp(SMB, dport=8445), tcp(options=bytes(12)), tcp(bytes(5), flags=2), tcp()[:16]]
_FRAMES = [
    *(ethernet(ip4(segment)) for segment in _TCP),
    *(ethernet(ip6(segment), 0x86DD) for segment in _TCP),
    *(ethernet(ip4(datagram, protocol=17)) for datagram in _UDP),
    *(ethernet(ip6(datagram, following=17), 0x86DD) for datagram in _UDP),
    ethernet(ip4(tcp(SMB), options=bytes(8))),
    ethernet(ip4(tcp(SMB), total=0)),
    ethernet(ip6(tcp(SMB), length=0), 0x86DD),
    ethernet(ip4(tcp(SMB), fragment=0x2000)),
    ethernet(ip4(bytes(8), fragment=10)),
    ethernet(ip4(tcp(SMB), fragment=0x4000)),
    ethernet(ip4(b"\3\1" + bytes(6) + ip4(tcp()), protocol=1)),
    ethernet(bytes(50), 0x0806),
    ethernet(bytes(50), 60),
    _as_if_tagged(),
]
_FRAMES += [*map(_tagged, _FRAMES), *map(_vxlan, _FRAMES), _tagged(_tagged(_FRAMES[0]))]

_changes = st.lists(st.tuples(st.integers(12, 79), st.integers(0, 255)), max_size=2)
_frame = st.tuples(st.sampled_from(_FRAMES), _changes, st.one_of(st.none(), st.integers(0, 90)), st.integers(-8, 9))


def _made(frame: bytes, changes: list[tuple[int, int]], snap: int | None, more: int) -> tuple[bytes, int]:
    data = bytearray(frame + bytes(max(more, 0)))
    for at, value in changes:
        if at < len(data):
            data[at] = value
    return bytes(data[:snap]), max(len(data) + min(more, 0), 0)


def _columns(table: SegmentTable) -> list[object]:
    return [value.tolist() if isinstance(value, np.ndarray) else value for value in table[1:]]


@pytest.mark.parametrize("first", usual._FORMS)
@settings(max_examples=150)
@given(st.lists(_frame, min_size=1, max_size=12))
def test_it_is_what_peeling_finds(
    first: usual._Form, drawn: list[tuple[bytes, list[tuple[int, int]], int | None, int]]
) -> None:
    """Whatever frames came before."""
    tables, _ = making.read(making.pcap([_made(*one) for one in drawn]))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(usual, "_FORM4", first)
        quick, slow = Decoder(), Decoder(dict(PEELERS))
    for table in tables:
        assert _columns(quick.decode(table)) == _columns(slow.decode(table))
    assert quick.census == slow.census
    assert quick.fragments_dropped == slow.fragments_dropped


def test_what_was_most_frequent_comes_first() -> None:
    decoder = Decoder()
    tagged = _tagged(ethernet(ip6(tcp(SMB)), 0x86DD))
    for frames, form in (([tagged, tagged, _FRAMES[0]], 3), ([_FRAMES[0]], 0), ([_as_if_tagged()], 0)):
        (table,), _ = making.read(making.pcap(frames))
        decoder.decode(table)
        assert decoder._usual._first is usual._FORMS[form]


def test_all_of_the_usual_frames_are_found() -> None:
    frames = [ethernet(ip4(tcp(SMB))), _tagged(ethernet(ip6(tcp(SMB), src="fd00::7"), 0x86DD)), ethernet(ip4(tcp(b"x")))]
    table = making.one(making.pcap(frames))
    assert table.frame.tolist() == [1, 2, 3]
    assert table.length.tolist() == [len(SMB), len(SMB), 1]
    assert [making.payload_of(table, row) for row in range(3)] == [SMB, SMB, b"x"]
    assert table.v6.tolist() == [False, True, False]
    assert making.address(table, 1, "src") == "fd00::7"
    assert struct.pack(">H", int(table.dst_port[0])) == b"\x01\xbd"
