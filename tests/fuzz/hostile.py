"""Captures made to cost time or memory: each is one trap for work that grows with the square of its input.

All are whole files of at most `size` bytes; what each holds is its name and its docstring.
"""

from __future__ import annotations

import random
import struct
from collections.abc import Callable, Iterable, Iterator
from itertools import islice

import zstandard

CLIENT, SERVER = b"\x0a\0\0\1", b"\x0a\0\0\2"
WINDOW = 65_500                       # bytes of one side that are kept of a connection
SYN, RST, ACK, SYN_ACK, PSH_ACK = 2, 4, 0x10, 0x12, 0x18
RAW = 101

Packet = bytes
Case = Callable[[int], bytes]


def ip(source: bytes, target: bytes, protocol: int, payload: bytes, *, ident: int = 1, fragment: int = 0) -> Packet:
    """An IPv4 packet."""
    return struct.pack(
        ">BBHHHBBH4s4s", 0x45, 0, 20 + len(payload), ident, fragment, 64, protocol, 0, source, target) + payload


def tcp(port: int, seq: int, ack: int, flags: int, payload: bytes = b"", *, client: bytes = CLIENT, back: bool = False) -> Packet:
    """A segment from a client's port to 445, or back."""
    ends = (445, port) if back else (port, 445)
    head = struct.pack(">HHIIBBHHH", *ends, seq % (1 << 32), ack % (1 << 32), 0x50, flags, 8192, 0, 0)
    return ip(SERVER if back else client, client if back else SERVER, 6, head + payload)


def pcap(packets: Iterable[bytes], size: int, link: int = RAW) -> bytes:
    """A classic capture of the first packets that fit."""
    out = bytearray(struct.pack("<IHHIIII", 0xA1B2C3D4, 2, 4, 0, 0, 262_144, link))
    for number, packet in enumerate(packets):
        if len(out) + 16 + len(packet) > size:
            break
        out += struct.pack("<IIII", 1_700_000_000 + number // 10**6, number % 10**6, len(packet), len(packet)) + packet
    return bytes(out)


def handshake(port: int = 50_000, client: bytes = CLIENT) -> list[Packet]:
    """Three segments; the client's first byte is 1000, the server's 5000."""
    return [
        tcp(port, 999, 0, SYN, client=client), tcp(port, 4999, 1000, SYN_ACK, client=client, back=True),
        tcp(port, 1000, 5000, ACK, client=client),
    ]


def spoken(asked: bytes, told: bytes = b"", *, port: int = 50_000, step: int = 1400, client: bytes = CLIENT, opened: bool = True) -> list[Packet]:
    """A connection in which both sides say something."""
    out = handshake(port, client) if opened else []
    for at in range(0, max(len(asked), len(told)), step):
        if asked[at : at + step]:
            out.append(tcp(port, 1000 + at, 5000, PSH_ACK, asked[at : at + step], client=client))
        if told[at : at + step]:
            out.append(tcp(port, 5000 + at, 1000, PSH_ACK, told[at : at + step], client=client, back=True))
    return out


def many(asked: bytes, told: bytes = b"", *, opened: bool = True) -> Case:
    """Connection after connection that says the same."""

    def packets() -> Iterator[Packet]:
        for port in range(1024, 65536):
            yield from spoken(asked, told, port=port, opened=opened)

    return lambda size: pcap(packets(), size)


def netbios(body: bytes) -> bytes:
    """A session message."""
    return struct.pack(">I", len(body)) + body


def smb2(command: int, *, answer: bool = False, number: int = 0, status: int = 0, following: int = 0) -> bytes:
    """An SMB2 header."""
    return struct.pack(
        "<4sHHIHHIIQIIQ16s", b"\xfeSMB", 64, 0, status, command, 0, int(answer), following, number, 0, 0, 0, b"")


def asking(*dialects: int) -> bytes:
    """An SMB2 NEGOTIATE request."""
    fixed = struct.pack("<HHHHI16sQ", 36, len(dialects), 1, 0, 0, b"g" * 16, 0)
    return smb2(0) + fixed + b"".join(struct.pack("<H", one) for one in dialects)


def answering(dialect: int, token: bytes = b"", contexts: int = 0, after: bytes = b"") -> bytes:
    """An SMB2 NEGOTIATE response."""
    fixed = struct.pack(
        "<HHHH16sIIIIQQHHI", 65, 1, dialect, contexts, b"s" * 16, 0, 65536, 65536, 65536, 0, 0, 128, len(token), 128)
    return smb2(0, answer=True) + fixed + token + after


def der(tag: int, content: bytes) -> bytes:
    """A DER element."""
    size = len(content)
    return bytes([tag]) + (bytes([size]) if size < 128 else b"\x82" + struct.pack(">H", size)) + content


def block(kind: int, body: bytes) -> bytes:
    """A pcapng block."""
    body += bytes(-len(body) % 4)
    size = struct.pack("<I", len(body) + 12)
    return struct.pack("<I", kind) + size + body + size


SECTION = block(0x0A0D0D0A, struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1))
INTERFACE = block(1, struct.pack("<HHI", RAW, 0, 0))


def repeated(head: bytes, unit: bytes) -> Case:
    """A pcapng of one unit over and over."""
    return lambda size: head + unit * ((size - len(head)) // len(unit))


def gaps(piece: bytes, step: int, *, backwards: bool = False) -> Case:
    """One connection of short segments with a hole behind each."""

    def make(size: int) -> bytes:
        count = min((size - 300) // (56 + len(piece)), WINDOW // step)
        places = range(count, 0, -1) if backwards else range(count)
        segments = (tcp(50_000, 1000 + step * place, 5000, PSH_ACK, piece) for place in places)
        return pcap([*handshake(), *segments], size)

    return make


def byte_by_byte(asked: bytes) -> Case:
    """One connection in segments of one byte."""
    return lambda size: pcap(
        [*handshake(), *(tcp(50_000, 1000 + at, 5000, PSH_ACK, asked[at : at + 1]) for at in range(len(asked)))], size)


def interfaces(size: int) -> bytes:
    """As many interfaces as packets, each packet from another one."""
    count = size // (len(INTERFACE) + 32)
    return SECTION + INTERFACE * count + b"".join(block(6, struct.pack("<IIIII", i, 0, i, 0, 0)) for i in range(count - 2))


def names(size: int) -> bytes:
    """Nothing but names for addresses."""
    records = b"".join(struct.pack("<HHI4s", 1, 8, i, b"abc\0") for i in range((size - 100) // 12))
    return SECTION + INTERFACE + block(4, records)


def overlaps(size: int) -> bytes:
    """Long segments anywhere in the window that all disagree."""
    rng = random.Random(1)
    segments = (tcp(50_000, 1000 + rng.randrange(60_000), 5000, PSH_ACK, rng.randbytes(1500)) for _ in range(10_000))
    return pcap(islice([*handshake(), *segments], 10_000), size)


def _each(kind: int, *, answer: bool, length: int, numbers: Iterable[int]) -> bytes:
    return b"".join(netbios(smb2(kind, answer=answer, number=n)[:length]) for n in numbers)


_VALIDATE = netbios(
    smb2(11, number=1) + struct.pack("<HHI16sIIIIIIII", 57, 0, 0x140204, b"\xff" * 16, 120, 26, 0, 0, 0, 24, 1, 0)
    + struct.pack("<I16sHH", 0, b"", 1, 1) + b"\x02\x02")
_NAMES = b"\x81\0\0\x44\x20" + b"CA" * 16 + b"\0\x20" + b"CA" * 16 + b"\0"
_DEEP = bytes(0)
for _ in range(15_000):
    _DEEP = der(0x30, _DEEP) if len(_DEEP) < 60_000 else _DEEP
_SPNEGO = b"\x06\x06+\x06\x01\x05\x05\x02"
_HASHES = struct.pack("<HHI", 1, 0, 0) * 7000

CASES: dict[str, Case] = {
    "keep-alives": many(b"\x85\0\0\0" * (WINDOW // 4), b"\x85\0\0\0" * (WINDOW // 4)),
    "positive-responses": many(b"\x82\0\0\0" * (WINDOW // 4), b"\x82\0\0\0" * (WINDOW // 4)),
    "unopened": many(b"\x82\0\0\0" * (WINDOW // 4), b"\x82\0\0\0" * (WINDOW // 4), opened=False),
    "negotiates-crosswise": many(
        _each(0, answer=False, length=32, numbers=range(1800)), _each(0, answer=True, length=32, numbers=range(1800, 0, -1))),
    "negotiates-alike": many(
        _each(0, answer=False, length=32, numbers=[5] * 1800), _each(0, answer=True, length=32, numbers=[5] * 1800)),
    "ioctls": many(
        _each(11, answer=False, length=24, numbers=range(2300)), _each(11, answer=True, length=24, numbers=range(2300))),
    "validations": many(_VALIDATE * (WINDOW // len(_VALIDATE)), _each(11, answer=True, length=24, numbers=[2] * 2300)),
    "session-setups": many(
        _each(1, answer=False, length=64, numbers=range(960)), _each(1, answer=True, length=64, numbers=range(960))),
    "netbios-names": many(_NAMES * 900, b"\x83\0\0\1\x80" * 13_000),
    "gaps": gaps(b"x", 2),
    "gaps-backwards": gaps(b"\0", 2, backwards=True),
    "gaps-with-messages": gaps(netbios(b"\xfeSMB"), 9),
    "byte-by-byte": byte_by_byte((netbios(smb2(0) + bytes(36)) * 700)[:WINDOW]),
    "compound-byte-by-byte": byte_by_byte(netbios(b"".join(smb2(0, number=n, following=64) for n in range(200)))),
    "compounds": many(netbios(b"".join(smb2(0, number=n, following=64) for n in range(128)) + bytes(56_000))),
    "resumed": many(b"z" + (netbios(b"\xfeSMB") + b"z") * 7200),
    "resumed-byte-by-byte": byte_by_byte(b"z" + netbios(b"\xfeSMB") * 1700),
    "claims-16-mb": many(b"\0\xff\xff\xff" + smb2(0) + bytes(100), b"\0\xff\xff\xff" + smb2(0, answer=True) + bytes(100)),
    "one-pair-without-smb": lambda size: pcap((tcp(port, 1, 1, ACK) for port in range(1024, 65536)), size),
    "one-pair": many(netbios(asking(0x202)), netbios(answering(0x202))),
    "half-open": lambda size: pcap(
        (tcp(1024, i, 0, SYN, client=struct.pack(">I", 0x0B000000 + i)) for i in range(1 << 20)), size),
    "syns-of-one-flow": lambda size: pcap((tcp(5000, i, 0, SYN) for i in range(1 << 20)), size),
    "resets": lambda size: pcap([*handshake(), *(tcp(50_000, i, 0, RST) for i in range(1 << 14))], size),
    "dialects": many(netbios(asking(*range(32_000))), netbios(answering(0x202))),
    "smb1-dialects": many(netbios(b"\xffSMB\x72" + bytes(28) + struct.pack("<H", 60_000) + b"\x02\0" * 30_000)),
    "contexts": many(
        netbios(asking(0x311, 0)[:92] + struct.pack("<IHH", 104, 7000, 0) + b"\x11\x03\0\0" + _HASHES),
        netbios(answering(0x311, contexts=7000, after=_HASHES))),
    "deep-asn1": many(netbios(asking(0x210)), netbios(answering(0x210, der(0x60, _SPNEGO + der(0xA0, der(0x30, _DEEP)))))),
    "mechanisms": many(
        netbios(asking(0x210)),
        netbios(answering(0x210, der(0x60, _SPNEGO + der(0xA0, der(0x30, der(0xA0, der(0x30, b"\x06\1\x2a" * 20_000)))))))),
    "mpls-labels": lambda size: pcap([bytes(12) + b"\x88\x47" + bytes(60_000)] * 20, size, 1),
    "vlan-tags": lambda size: pcap([bytes(12) + b"\x81\x00" * 15_000] * 40, size, 1),
    "ip-in-ip": lambda size: pcap([ip(CLIENT, SERVER, 4, b"")[:2] + bytes(2) + ip(CLIENT, SERVER, 4, b"")[4:] * 1] * 1000, size),
    "fragments": lambda size: pcap(
        (ip(CLIENT, SERVER, 6, bytes(8), ident=i // 8000, fragment=0x2000 | i % 8000) for i in range(1 << 15)), size),
    "fragments-backwards": lambda size: pcap(
        (ip(CLIENT, SERVER, 6, bytes(8), ident=i // 8000, fragment=0x2000 | 8000 - i % 8000) for i in range(1 << 15)), size),
    "overlaps": overlaps,
    "interfaces": interfaces,
    "sections": repeated(b"", SECTION + INTERFACE + block(6, bytes(20))),
    "empty-blocks": repeated(SECTION, block(0x123, b"")),
    "packet-kinds-in-turn": repeated(SECTION + INTERFACE, block(6, bytes(20)) + block(3, bytes(4))),
    "names": names,
    "statistics": repeated(SECTION + INTERFACE, block(5, struct.pack("<IQHHQ", 0, 0, 5, 8, 1))),
    "empty-records": lambda size: pcap([], size) + bytes(size - 24),
}


def big_block(kind: int, body: bytes) -> bytes:
    """A pcapng block of a big-endian section."""
    size = struct.pack(">I", len(body) + 12)
    return struct.pack(">I", kind) + size + body + size


def packet(data: bytes) -> bytes:
    """An enhanced packet block."""
    return block(6, struct.pack("<IIIII", 0, 0, 1, len(data), len(data)) + data)


def records(packets: Iterable[bytes]) -> bytes:
    """Records of a classic capture."""
    return b"".join(struct.pack("<IIII", 1_700_000_000, 5, len(one), len(one)) + one for one in packets)


def later(packets: Iterable[Packet], by: int) -> list[Packet]:
    """The same segments with other sequence numbers: for TCP another connection."""
    out = []
    for one in packets:
        numbers = (struct.unpack(">II", one[24:32]))
        moved = struct.pack(">II", *((number + by) % (1 << 32) for number in numbers))
        out.append(one[:24] + moved + one[32:])
    return out


_BIG_SECTION = big_block(0x0A0D0D0A, struct.pack(">IHHq", 0x1A2B3C4D, 1, 0, -1))
_BIG_INTERFACE = big_block(1, struct.pack(">HHI", RAW, 0, 0))
_BIG_PACKET = big_block(6, bytes(20))
_PCAP = pcap([], 24)
_SYN = tcp(50_000, 999, 0, SYN)
_TALK = spoken(netbios(asking(0x202)), netbios(answering(0x202)))
_STATISTICS = block(5, struct.pack("<IQHHQ", 0, 0, 5, 8, 1))
_NAME = block(4, struct.pack("<HHI4s", 1, 8, 1, b"abc\0") + bytes(4))

UNITS: dict[str, tuple[bytes, bytes]] = {
    "empty-blocks": (SECTION, block(0x123, b"")),
    "empty-records": (_PCAP, bytes(16)),
    "interfaces": (SECTION, INTERFACE),
    "sections": (b"", SECTION),
    "sections-in-both-orders": (b"", SECTION + _BIG_SECTION),
    "packets-in-both-orders": (b"", SECTION + INTERFACE + packet(b"") + _BIG_SECTION + _BIG_INTERFACE + _BIG_PACKET),
    "section-for-each-packet": (b"", SECTION + INTERFACE + packet(_SYN)),
    "names": (SECTION + INTERFACE, _NAME),
    "statistics": (SECTION + INTERFACE, _STATISTICS),
    "empty-packets": (SECTION + INTERFACE, packet(b"")),
    "empty-simple-packets": (SECTION + INTERFACE, block(3, bytes(4))),
    "all-blocks-in-turn": (
        SECTION + INTERFACE, packet(_SYN) + _STATISTICS + _NAME + INTERFACE + block(3, bytes(4)) + block(2, bytes(20)) + block(0x77, b"")),
    "one-syn": (_PCAP, records([_SYN])),
    "new-syns": (_PCAP, records([_SYN, *later([_SYN], 777_777)])),
    "new-talks": (_PCAP, records([*_TALK, *later(_TALK, 100_000_000)])),
    "one-byte": (_PCAP, records([tcp(50_000, 1000, 5000, PSH_ACK, b"x")])),
    "quotes": (_PCAP, records([ip(SERVER, CLIENT, 1, b"\3\1" + bytes(6) + _SYN[:28])])),
    "fragments": (_PCAP, records([ip(CLIENT, SERVER, 6, bytes(8), fragment=0x2001)])),
    "quic": (_PCAP, records([ip(CLIENT, SERVER, 17, struct.pack(">HHHH", 5, 443, 14, 0) + b"\xc0\0\0\0\1\1")])),
    "ip-in-ip": (_PCAP, records([ip(CLIENT, SERVER, 4, ip(CLIENT, SERVER, 4, ip(CLIENT, SERVER, 4, _SYN)))])),
}


def packed(name: str, size: int) -> bytes:
    """A capture of about `size` bytes that are one unit over and over, as zstd makes it small."""
    head, unit = UNITS[name]
    piece = unit * max((1 << 20) // len(unit), 1)
    packer = zstandard.ZstdCompressor(level=1).compressobj()
    out = [packer.compress(head)]
    out += [packer.compress(piece) for _ in range(max(size // len(piece), 1))]
    return b"".join([*out, packer.flush()])
