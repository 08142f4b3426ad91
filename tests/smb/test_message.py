"""Whatever the bytes are, messages come out and nothing else: cuts, wrong numbers, splices, gaps."""

from __future__ import annotations

import struct
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzer.anomaly import Kind
from analyzer.smb.fields import fields
from analyzer.smb.message import Message, SessionRequest, messages
from tests.smb.made import EVERY_CONTEXT, MADE, packet, request, smb1_request
from tests.smb.samples import RECORDED, one, recorded

PACKETS = {name: sample.data for name, sample in RECORDED.items()}
VALID = {name: data for name, data in PACKETS.items() if not one(data).anomalies}


def read(data: bytes) -> list[Message]:
    """The messages of a side's bytes; their fields are written too, because that may not fail either."""
    found = messages([(0, data)], [0])
    for message in found:
        fields(message)
    return found


@pytest.mark.parametrize("name", VALID)
def test_every_cut_of_a_valid_message_is_truncated_and_nothing_else(name: str) -> None:
    data = VALID[name]
    whole = fields(one(data))
    for cut in range(1, len(data)):
        for message in read(data[:cut]):
            assert {anomaly.kind for anomaly in message.anomalies} == {Kind.TRUNCATED}, cut
            assert not message.complete
            for key, value in fields(message).items():
                want = whole[key]
                if isinstance(value, list) and isinstance(want, list):
                    want = want[: len(value)]
                elif key == "smb2.error.data" and isinstance(value, str) and isinstance(want, str):
                    want = want[: len(value)]            # the one field that Wireshark shows in part
                assert value == want, (cut, key)


@pytest.mark.parametrize("name", PACKETS)
def test_any_number_may_be_wrong(name: str) -> None:
    """Each place is taken for a length, count or offset of each width, and driven to its extremes."""
    data = PACKETS[name]
    for size, code in ((1, "B"), (2, "<H"), (4, "<I")):
        for at in range(4, min(len(data), 300) - size + 1):
            (value,) = struct.unpack_from(code, data, at)
            most = (1 << 8 * size) - 1
            for wrong in {0, 1, most, most >> 1, (value + 1) & most, (value - 1) & most} - {value}:
                read(data[:at] + struct.pack(code, wrong) + data[at + size :])


@given(st.data())
def test_any_bytes_may_be_wrong(data: st.DataObject) -> None:
    """Two messages spliced, some bytes changed, cut anywhere: at most as many messages as fit."""
    names = st.sampled_from(sorted(PACKETS))
    first, second = PACKETS[data.draw(names)], PACKETS[data.draw(names)]
    spliced = bytearray(first[: data.draw(st.integers(4, len(first)))] + second[data.draw(st.integers(0, len(second))) :])
    for at, value in data.draw(st.lists(st.tuples(st.integers(0, len(spliced) - 1), st.integers(0, 255)), max_size=6)):
        spliced[at] = value
    found = read(bytes(spliced))
    assert len(found) <= 1 + len(spliced) // 4


@given(st.lists(st.binary(min_size=1, max_size=80), max_size=5), st.integers(0, 60))
def test_any_runs_are_read(pieces: list[bytes], gap: int) -> None:
    runs, at = [], 0
    for piece in pieces:
        runs.append((at, piece))
        at += len(piece) + gap
    messages(runs, [start for start, _ in runs])


CONVERSATION = (
    packet(smb1_request("NT LM 0.12", "SMB 2.002"))
    + packet(request((0x0311,), EVERY_CONTEXT))
    + PACKETS["smb2-tree-connect"]
)


@given(st.sets(st.integers(1, len(CONVERSATION) - 1), max_size=6))
def test_segment_boundaries_do_not_matter(cuts: set[int]) -> None:
    """Bytes without a gap give the same messages wherever segments begin."""
    assert messages([(0, CONVERSATION)], sorted({0, *cuts})) == messages([(0, CONVERSATION)], [0])


@pytest.mark.parametrize(
    ("lost", "left"),
    list(product(range(0, len(CONVERSATION) - 40, 37), (3, 40))),
)
def test_a_gap_never_invents_a_message(lost: int, left: int) -> None:
    """What is found beside a gap is found without it too, whole or cut."""
    whole = {(m.at, m.kind, m.command) for m in messages([(0, CONVERSATION)], [0])}
    starts = sorted({0, lost, lost + left, *(at for at, _, _ in whole)})
    runs = [(0, CONVERSATION[:lost])] if lost else []
    runs.append((lost + left, CONVERSATION[lost + left :]))
    for message in messages(runs, starts):
        if message.kind != "partial" and message.command is not None:
            assert (message.at, message.kind, message.command) in whole
        if message.complete:
            assert message.end <= lost or message.at >= lost + left


def test_the_names_of_a_session_request() -> None:
    message = recorded("nbss-request")
    assert (message.kind, message.body) == ("session-request", SessionRequest("192.168.40.20", "VM"))


def test_a_session_request_without_names() -> None:
    message = one(packet(b"\x20" + b"!" * 32 + b"\0\0", 0x81))
    assert message.body == SessionRequest(None, None)


def test_a_refused_session() -> None:
    message = recorded("nbss-negative")
    assert (message.kind, message.error_code) == ("negative", 0x82)


@pytest.mark.parametrize("data", [b"\0", b"\0\0\1", b"\0\0\0\x50", b"\x83\0\0"])
def test_too_few_bytes_to_tell(data: bytes) -> None:
    (message,) = messages([(0, data)], [0])
    assert (message.kind, message.complete) == ("partial", False)


def test_other_bytes_are_named() -> None:
    (message,) = messages([(0, b"SSH-2.0-OpenSSH_9.2\r\n")], [0])
    assert (message.kind, message.foreign) == ("not-smb", "SSH")
    assert [anomaly.kind for anomaly in message.anomalies] == [Kind.NOT_SMB]


def test_keepalives_stand_between_messages() -> None:
    data = packet(MADE["smb1-request-lanman"]) + packet(b"", 0x85) + packet(request())
    assert [message.kind for message in messages([(0, data)], [0])] == ["smb1", "keepalive", "smb2"]
