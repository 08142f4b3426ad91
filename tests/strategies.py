"""hypothesis strategies: valid NEGOTIATE conversations, how TCP carries them, and what breaks them."""

from __future__ import annotations

import struct
from typing import NamedTuple

from hypothesis import strategies as st

from tests.fuzz.hostile import answering, handshake, netbios, pcap, smb2, tcp

DIALECTS = (0x0202, 0x0210, 0x0300, 0x0302, 0x0311)
PREAUTH, ENCRYPTION = 1, 2
_FIN_ACK, _PSH_ACK = 0x11, 0x18
_REQUEST_AT, _ANSWER_AT = 1000, 5000


class Conversation(NamedTuple):
    """What both sides say; dialect: the one that is selected."""

    request: bytes
    answer: bytes
    dialect: int


class Segment(NamedTuple):
    """A part of what one side says, at an offset of its stream."""

    back: bool
    at: int
    data: bytes


def _context(kind: int, data: bytes) -> bytes:
    return struct.pack("<HHI", kind, len(data), 0) + data


def _contexts(salt: bytes, cipher: int) -> bytes:
    hashes = _context(PREAUTH, struct.pack("<HHH", 1, len(salt), 1) + salt)
    return hashes + bytes(-len(hashes) % 8) + _context(ENCRYPTION, struct.pack("<HH", 1, cipher))


@st.composite
def conversations(draw: st.DrawFn) -> Conversation:
    """A request and the answer that selects its highest dialect. [MS-SMB2] 2.2.3, 2.2.4"""
    offered = sorted(draw(st.sets(st.sampled_from(DIALECTS), min_size=1)))
    selected = offered[-1]
    guid, salt = draw(st.binary(min_size=16, max_size=16)), draw(st.binary(min_size=32, max_size=32))
    cipher = draw(st.sampled_from([1, 2, 3, 4]))
    dialects = struct.pack(f"<{len(offered)}H", *offered)
    at = 100 + len(dialects) + -(100 + len(dialects)) % 8
    three = selected == 0x0311
    fixed = struct.pack("<HHHHI16s", 36, len(offered), 1, 0, 0x7F if selected >= 0x0300 else 0, guid)
    tail = struct.pack("<IHH", at, 2, 0) if three else bytes(8)
    request = smb2(0) + fixed + tail + dialects
    answer = answering(selected)
    if three:
        request = request.ljust(at, b"\0") + _contexts(salt, cipher)
        answer = answering(selected, contexts=2, after=_contexts(salt[::-1], cipher))
        answer = answer[:124] + struct.pack("<I", 128) + answer[128:]
    return Conversation(netbios(request), netbios(answer), selected)


@st.composite
def segments(draw: st.DrawFn, conversation: Conversation) -> list[Segment]:
    """The conversation in segments of any size, the answer behind the request."""
    found = []
    for back, data in ((False, conversation.request), (True, conversation.answer)):
        inner = sorted(draw(st.sets(st.integers(1, len(data) - 1), max_size=6)))
        found += [Segment(back, at, data[at:end]) for at, end in zip([0, *inner], [*inner, len(data)], strict=True)]
    return found


@st.composite
def disturbed(draw: st.DrawFn, carried: list[Segment]) -> list[Segment]:
    """The same bytes, some sent twice, and those of one side not in order."""
    requests = [one for one in carried if not one.back]
    answers = [one for one in carried if one.back]
    again = draw(st.lists(st.sampled_from(requests), max_size=2))
    return [*draw(st.permutations(requests)), *again, *draw(st.permutations(answers))]


@st.composite
def broken(draw: st.DrawFn, carried: list[Segment]) -> list[Segment]:
    """Segments lost, cut or with other bytes: no promise but that it is reported."""
    out = []
    for one in carried:
        fate = draw(st.sampled_from(["kept", "kept", "lost", "cut", "changed", "elsewhere"]))
        if fate == "cut":
            out.append(one._replace(data=one.data[: draw(st.integers(0, len(one.data)))]))
        elif fate == "changed":
            data = bytearray(one.data)
            data[draw(st.integers(0, len(data) - 1))] = draw(st.integers(0, 255))
            out.append(one._replace(data=bytes(data)))
        elif fate == "elsewhere":
            out.append(one._replace(at=draw(st.integers(-(1 << 31), 1 << 31))))
        elif fate == "kept":
            out.append(one)
    return out


def capture(carried: list[Segment], *, opened: bool = True) -> bytes:
    """A capture of one connection with these segments, closed by the client."""
    packets = handshake() if opened else []
    for back, at, data in carried:
        seq, ack = (_ANSWER_AT, _REQUEST_AT) if back else (_REQUEST_AT, _ANSWER_AT)
        packets.append(tcp(50_000, seq + at, ack, _PSH_ACK, data, back=back))
    return pcap(packets, 1 << 20)
