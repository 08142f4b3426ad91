"""What no sample has: old forms of messages, wrappings around TCP, blocks of pcapng, each as a small capture."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from tests.capture.encapsulations import AGGREGATE, ENCAPSULATIONS
from tests.capture.making import block as ng_block
from tests.capture.making import enhanced, ethernet, interface, option, pcap, section
from tests.fuzz.hostile import ip as packet
from tests.fuzz.hostile import netbios, spoken
from tests.fuzz.mutate import Seed
from tests.smb.made import (
    CHALLENGE,
    INIT,
    MADE,
    NT_DIALECTS,
    block,
    request,
    response,
    smb1,
    smb1_request,
    smb2,
)

_AGREED = netbios(request()), netbios(response(token=INIT))
_NAME = b"\x20" + b"CA" * 16
_TREE = block(struct.pack("<BBHHH", 0xFF, 0, 0, 0, 1), b"\0\\\\FILER\\data\0A:\0")
_NT = struct.pack("<HHHIHHII", 4356, 2, 1, 0, 1, 1, 0, 0xD4)
_LANMAN = struct.pack("<HHHIHI", 4356, 2, 1, 0, 1, 0)
_EXTENDED = struct.pack("<HHHIHII", 4356, 2, 1, 0, len(INIT), 0, 0x800000D4)


def _andx(words: bytes, data: bytes, *, answer: bool = False, unicode: bool = False) -> bytes:
    """SESSION_SETUP_ANDX with a TREE_CONNECT_ANDX behind it. [MS-CIFS] 2.2.4.53, 2.2.4.55"""
    at = 32 + 1 + 4 + len(words) + 2 + len(data)
    return (
        smb1(0x73, response=answer, flags2=0xC001 if unicode else 0x4001)
        + block(struct.pack("<BBH", 0x75, 0, at) + words, data) + _TREE
    )


def _error(status: int, data: bytes, contexts: int) -> bytes:
    """An error answer. [MS-SMB2] 2.2.2"""
    return smb2(0, response=True, status=status) + struct.pack("<HBBI", 9, contexts, 0, len(data)) + data


_VALIDATE = struct.pack("<I16sHHHH", 0x7F, bytes(16), 1, 2, 0x0202, 0x0311)
# What a client says and what it is told, packet by packet.
TALKS: dict[str, tuple[tuple[bytes, ...], tuple[bytes, ...]]] = {
    "lanman": ((MADE["smb1-request-lanman"],), (MADE["smb1-response-lanman"],)),
    "setups": (
        (smb1_request(*NT_DIALECTS), _andx(_NT, b"pwuser\0DOM\0os\0lan\0"), _andx(_LANMAN, b"puser\0DOM\0os\0lan\0"),
         _andx(_NT, b"pw" + "user\0DOM\0os\0".encode("utf-16-le"), unicode=True), _andx(_EXTENDED, INIT)),
        (MADE["smb1-response-nt-challenge"], _andx(struct.pack("<H", 1), b"os\0", answer=True),
         _andx(struct.pack("<HH", 0, len(INIT)), INIT, answer=True)),
    ),
    "errors": (
        (request(), request()),
        (_error(0xC05D0001, struct.pack("<IIHH", 2, 0, 0x0302, 0) * 2, 2), _error(0xC00000BB, b"\0", 0)),
    ),
    "validation": (
        (request((0x0302,), ()),
         smb2(11, response=False)
         + struct.pack("<HHI16sIIIIIIII", 57, 0, 0x140204, b"\xff" * 16, 120, len(_VALIDATE), 0, 0, 0, 24, 1, 0) + _VALIDATE),
        (response(0x0302, ()),
         smb2(11, response=True) + struct.pack("<HHI16sIIIIII", 49, 0, 0x140204, b"\xff" * 16, 112, 0, 112, 24, 0, 0)
         + struct.pack("<I16sHH", 0x2F, bytes(16), 3, 0x0302)),
    ),
    "challenge-alone": ((smb1_request(*NT_DIALECTS),), (MADE["smb1-response-nt-oem"] + CHALLENGE,)),
}


def _talks() -> Iterator[Seed]:
    for name, (asked, told) in TALKS.items():
        yield _conversation(name, b"".join(map(netbios, asked)), b"".join(map(netbios, told)))
    for name, message in MADE.items():
        answers = "response" in name
        before = netbios(smb1_request(*NT_DIALECTS) if "smb1" in name else request())
        yield _conversation(name, before if answers else netbios(message), netbios(message) if answers else b"")
    names = b"\x81\0\0\x4c" + _NAME + b"\3abc\0" + _NAME + b"\3def\0" + _AGREED[0]
    yield _conversation("scopes", names, b"\x82\0\0\0" + _AGREED[1] + b"\x85\0\0\0")
    yield _conversation("retarget", names, b"\x84\0\0\6" + bytes(6))
    yield _conversation("hidden", _AGREED[0] + netbios(b"\xfdSMB" + bytes(60)), _AGREED[1] + netbios(b"\xfcSMB" + bytes(40)))


def _conversation(name: str, asked: bytes, told: bytes) -> Seed:
    return Seed(f"form-{name}", pcap([ethernet(frame) for frame in spoken(asked, told)]))


def _wrapped() -> Iterator[Seed]:
    """Every wrapping by its link type, a few frames in each capture."""
    frames: dict[int, list[bytes]] = {105: [AGGREGATE]}
    for link, frame, _ in ENCAPSULATIONS.values():
        frames.setdefault(link, []).append(frame)
    for link, found in frames.items():
        for at in range(0, len(found), 12):
            yield Seed(f"wrapped-{link}-{at}", pcap(found[at : at + 12], link_type=link))


def _cut() -> Iterator[Seed]:
    """Fragments in both orders, and segments that come twice and crosswise."""
    whole = list(spoken(*_AGREED, step=60))
    pieces = []
    for number, one in enumerate(whole):
        body = one[20:]
        cuts = range(0, len(body), 32)
        found = [
            packet(one[12:16], one[16:20], 6, body[at : at + 32], ident=number + 9, fragment=at // 8 | (at != cuts[-1]) << 13)
            for at in cuts
        ]
        pieces += found if number % 2 else found[::-1]
    yield Seed("fragments", pcap([ethernet(frame) for frame in pieces]))
    yield Seed("crosswise", pcap([ethernet(frame) for frame in (*whole[:3], *whole[:2:-1], *whole[3:])]))
    yield Seed("snapped", pcap([(ethernet(frame)[: 90 + 9 * number], len(frame) + 14) for number, frame in enumerate(whole)]))


def _blocks() -> Iterator[Seed]:
    """Blocks and options of pcapng that captures seldom have."""
    frames = [ethernet(frame) for frame in spoken(*_AGREED)]
    for order in "<>":
        told = interface(options=option(9, b"\x06", order) + option(14, struct.pack(order + "q", 5), order), order=order)
        names = ng_block(4, option(1, b"\x0a\0\0\1filer\0", order) + option(2, bytes(16) + b"six\0", order) + bytes(4), order)
        simple = b"".join(ng_block(3, struct.pack(order + "I", len(f)) + f, order) for f in frames[:3])
        old = b"".join(
            ng_block(2, struct.pack(order + "HHIIII", 0, 0, 0, n, len(f), len(f)) + f, order) for n, f in enumerate(frames[3:]))
        lost = ng_block(5, struct.pack(order + "III", 0, 0, 0) + option(5, struct.pack(order + "Q", 7), order), order)
        yield Seed(f"blocks-{order}", section(order) + told + told + names + simple + ng_block(0x99, b"?" * 8, order) + old + lost)
    yield Seed("undeclared", section() + b"".join(enhanced(frame, number=n % 3) for n, frame in enumerate(frames)))


def forms() -> list[Seed]:
    """All of them, in a fixed order."""
    return [*_talks(), *_wrapped(), *_cut(), *_blocks()]
