"""Bytes of a capture -> where its lengths, counts, offsets and types stand, each under the name of its kind.

Made from the formats' descriptions and not from the package: a field that the package forgets to
check is a field here. Where a capture is damaged the walk stops; what was found before is used.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import suppress
from typing import Literal, NamedTuple

WRAPPED = 24                     # bytes of a tunnel's header, each of which is a place
ETHERNET, RAW, NULL, SLL, SLL2 = 1, 101, 0, 113, 276


Order = Literal["little", "big"]


class Place(NamedTuple):
    """A number in a file. kind: such as "tcp.offset"; order: "little" or "big"."""

    kind: str
    at: int
    size: int
    order: Order


def places(data: bytes) -> list[Place]:
    """All places of a capture, in no order that matters."""
    found: list[Place] = []
    with suppress(struct.error):
        found.extend(_container(data))
    return [place for place in found if 0 <= place.at <= len(data) - place.size]


def _each(prefix: str, at: int, order: Order, *fields: tuple[str, int]) -> Iterator[Place]:
    """Fields that follow each other; a name that begins with `-` is passed over."""
    for name, size in fields:
        if not name.startswith("-"):
            yield Place(f"{prefix}.{name}", at, size, order)
        at += size


def _container(data: bytes) -> Iterator[Place]:
    if data[:4] in {b"\xd4\xc3\xb2\xa1", b"\x4d\x3c\xb2\xa1"}:
        yield from _pcap(data, "little")
    elif data[:4] in {b"\xa1\xb2\xc3\xd4", b"\xa1\xb2\x3c\x4d"}:
        yield from _pcap(data, "big")
    elif data[:4] == b"\x0a\x0d\x0d\x0a":
        yield from _pcapng(data)
    elif data[:5] == b"snoop":
        yield from _snoop(data)
    elif data[:4] in {b"GMBU", b"RTSS"}:
        yield from _netmon(data)
    elif data[:2] == b"\x1f\x8b":
        yield from _each("gzip", 2, "little", ("method", 1), ("flags", 1), ("time", 4), ("extra", 1), ("system", 1))
        yield from _each("gzip", len(data) - 8, "little", ("checksum", 4), ("size", 4))
    elif data[:4] == b"\x28\xb5\x2f\xfd":
        yield from _each("zstd", 4, "little", ("descriptor", 1), ("size", 1), ("block", 3), ("data", 2))
    elif data[:4] == b"\x04\x22\x4d\x18":
        yield from _each("lz4", 4, "little", ("flags", 1), ("descriptor", 1), ("header-check", 1), ("block", 4))


def _pcap(data: bytes, order: Order) -> Iterator[Place]:
    yield from _each(
        "pcap", 0, order, ("magic", 4), ("major", 2), ("minor", 2), ("zone", 4), ("digits", 4), ("snap", 4), ("link", 4)
    )
    code = "<" if order == "little" else ">"
    link = struct.unpack_from(code + "I", data, 20)[0] & 0xFFFF
    at = 24
    while at + 16 <= len(data):
        yield from _each("record", at, order, ("seconds", 4), ("fraction", 4), ("captured", 4), ("original", 4))
        size = struct.unpack_from(code + "I", data, at + 8)[0]
        yield from _frame(data, at + 16, min(at + 16 + size, len(data)), link)
        at += 16 + size


def _pcapng(data: bytes) -> Iterator[Place]:
    order: Order = "little"
    at, links = 0, [ETHERNET]
    while at + 12 <= len(data):
        if data[at : at + 4] == b"\x0a\x0d\x0d\x0a":
            order = "little" if data[at + 8 : at + 12] == b"\x4d\x3c\x2b\x1a" else "big"
            links = []
        code = "<" if order == "little" else ">"
        kind, size = struct.unpack_from(code + "II", data, at)
        if size < 12:
            return
        name = {0x0A0D0D0A: "section", 1: "interface", 2: "packet", 3: "simple", 4: "names", 5: "statistics", 6: "enhanced"}
        prefix = f"pcapng.{name.get(kind, 'other')}"
        yield from _each(prefix, at, order, ("type", 4), ("length", 4))
        yield Place(f"{prefix}.trailer", at + size - 4, 4, order)
        body, end, options = at + 8, at + size - 4, 0
        if kind == 0x0A0D0D0A:
            yield from _each(prefix, body, order, ("magic", 4), ("major", 2), ("minor", 2), ("size", 8))
            options = 16
        elif kind == 1:
            yield from _each(prefix, body, order, ("link", 2), ("reserved", 2), ("snap", 4))
            links.append(struct.unpack_from(code + "H", data, body)[0])
            options = 8
        elif kind == 4:
            yield from _options(data, body, end, order, prefix)
        elif kind == 5:
            yield from _each(prefix, body, order, ("interface", 4))
            options = 12
        elif kind == 3:
            yield from _each(prefix, body, order, ("original", 4))
            yield from _frame(data, body + 4, end, links[0] if links else ETHERNET)
        elif kind == 6:
            yield from _each(
                prefix, body, order,
                ("interface", 4), ("high", 4), ("low", 4), ("captured", 4), ("original", 4))
            number, captured = struct.unpack_from(code + "I8xI", data, body)
            link = links[number] if number < len(links) else ETHERNET
            yield from _frame(data, body + 20, min(body + 20 + captured, end), link)
            options = 20 + captured + -captured % 4
        if options:
            yield from _options(data, body + options, end, order, prefix)
        at += size + -size % 4


def _options(data: bytes, at: int, end: int, order: Order, prefix: str) -> Iterator[Place]:
    code = "<" if order == "little" else ">"
    while at + 4 <= end:
        kind, size = struct.unpack_from(code + "HH", data, at)
        yield from _each(f"{prefix}.option", at, order, ("code", 2), ("length", 2), (f"value{kind}", 1))
        at += 4 + size + -size % 4


def _snoop(data: bytes) -> Iterator[Place]:
    yield from _each("snoop", 8, "big", ("version", 4), ("link", 4))
    at = 16
    while at + 24 <= len(data):
        yield from _each(
            "snoop.record", at, "big",
            ("original", 4), ("captured", 4), ("length", 4), ("drops", 4), ("seconds", 4), ("fraction", 4))
        captured, size = struct.unpack_from(">4xII", data, at)
        yield from _frame(data, at + 24, at + 24 + captured, ETHERNET)
        at += max(size, 24)


def _netmon(data: bytes) -> Iterator[Place]:
    yield from _each(
        "netmon", 4, "little", ("minor", 1), ("major", 1), ("network", 2), ("year", 2), ("month", 2), ("weekday", 2),
        ("day", 2), ("hour", 2), ("minute", 2), ("second", 2), ("millisecond", 2), ("table", 4), ("table-size", 4))
    table, size = struct.unpack_from("<II", data, 24)
    for entry in range(table, min(table + size, len(data) - 3), 4):
        yield Place("netmon.entry", entry, 4, "little")
        at = struct.unpack_from("<I", data, entry)[0]
        yield from _each("netmon.record", at, "little", ("time", 8), ("original", 4), ("captured", 4))
        captured = struct.unpack_from("<12xI", data, at)[0]
        yield from _frame(data, at + 16, at + 16 + captured, ETHERNET)
        yield from _each("netmon.trailer", at + 16 + captured, "little", ("network", 2), ("process", 4), ("time", 8))


def _frame(data: bytes, at: int, end: int, link: int) -> Iterator[Place]:
    frame = data[:end]
    if link == ETHERNET:
        kind = int.from_bytes(frame[at + 12 : at + 14], "big")
        yield Place("ethernet.type", at + 12, 2, "big")
        at += 14
        while kind in {0x8100, 0x88A8, 0x9100}:
            kind = int.from_bytes(frame[at + 2 : at + 4], "big")
            yield Place("vlan.type", at + 2, 2, "big")
            at += 4
    elif link in {SLL, SLL2, NULL, RAW}:
        skip = {SLL: 16, SLL2: 20, NULL: 4, RAW: 0}[link]
        yield Place("link.type", at + (0 if link in {SLL2, NULL} else skip - 2), 2, "big")
        at += skip
    else:
        yield from (Place(f"wrap.{link}", byte, 1, "big") for byte in range(at, min(at + 64, end)))
        return
    yield from _ip(frame, at)


def _ip(frame: bytes, at: int, depth: int = 0) -> Iterator[Place]:
    version = frame[at] >> 4 if at < len(frame) else 0
    if version == 4:
        yield from _each(
            "ip", at, "big", ("version", 1), ("-tos", 1), ("length", 2), ("id", 2), ("fragment", 2), ("ttl", 1),
            ("protocol", 1))
        if len(frame) >= at + 20:
            yield from _transport(frame, at + (frame[at] & 15) * 4, frame[at + 9], depth)
    elif version == 6 and len(frame) >= at + 40:
        yield from _each("ip6", at, "big", ("version", 1), ("-flow", 3), ("length", 2), ("next", 1), ("hops", 1))
        following = frame[at + 6]
        at += 40
        while following in {0, 43, 44, 60} and at + 8 <= len(frame):
            yield from _each("ip6.extension", at, "big", ("next", 1), ("length", 1), ("offset", 2), ("id", 4))
            size = 8 if following == 44 else frame[at + 1] * 8 + 8
            following = frame[at]
            at += size
        yield from _transport(frame, at, following, depth)


def _transport(frame: bytes, at: int, protocol: int, depth: int) -> Iterator[Place]:
    if protocol == 6:
        yield from _each(
            "tcp", at, "big",
            ("source", 2), ("target", 2), ("seq", 4), ("ack", 4), ("offset", 1), ("flags", 1), ("window", 2))
        if at + 12 < len(frame):
            start = at + (frame[at + 12] >> 4) * 4
            yield from _tcp_options(frame, at + 20, start)
            yield from _payload(frame, start)
    elif protocol == 17:
        yield from _each("udp", at, "big", ("source", 2), ("target", 2), ("length", 2))
        ports = frame[at : at + 4].hex()
        yield from (Place(f"wrap.{ports}.{byte}", at + 8 + byte, 1, "big") for byte in range(WRAPPED))
    elif protocol == 47:
        yield from (Place(f"wrap.gre.{byte}", at + byte, 1, "big") for byte in range(WRAPPED))
    elif protocol in {1, 58}:
        yield from _each("icmp", at, "big", ("type", 1), ("code", 1), ("-sum", 2), ("-unused", 1), ("words", 1))
        if depth < 2:
            yield from _ip(frame, at + 8, depth + 1)


def _tcp_options(frame: bytes, at: int, end: int) -> Iterator[Place]:
    while at + 1 < min(end, len(frame)):
        if frame[at] < 2:
            at += 1
            continue
        yield from _each("tcp.option", at, "big", ("kind", 1), ("length", 1))
        at += max(frame[at + 1], 2)


def _payload(frame: bytes, at: int) -> Iterator[Place]:
    if at + 4 <= len(frame):
        yield from _each("nbss", at, "big", ("type", 1), ("length", 3))
        if frame[at] == 0x81:
            yield from (Place(f"nbss.name.{byte}", at + byte, 1, "big") for byte in (4, 37, 38, 39, 41, 42))
    place = frame.find(b"SMB", at)
    while place > at:
        begin = place - 1
        if begin >= at + 4:
            yield from _each("nbss", begin - 4, "big", ("type", 1), ("length", 3))
        yield Place("smb.magic", begin, 1, "big")
        if frame[begin] == 0xFE:
            yield from _smb2(frame, begin)
        elif frame[begin] == 0xFF:
            yield from _smb1(frame, begin)
        elif frame[begin] == 0xFD:
            yield from _each("transform", begin + 36, "little", ("size", 4), ("reserved", 2), ("flags", 2), ("session", 8))
        place = frame.find(b"SMB", place + 3)
    yield from _token(frame, at)


def _smb2(frame: bytes, at: int) -> Iterator[Place]:
    yield from _each(
        "smb2", at + 4, "little",
        ("size", 2), ("charge", 2), ("status", 4), ("command", 2), ("credits", 2), ("flags", 4), ("next", 4), ("id", 8),
        ("process", 4), ("tree", 4), ("session", 8))
    if at + 72 > len(frame):
        return
    command = struct.unpack_from("<H", frame, at + 12)[0]
    answer = frame[at + 16] & 1
    body = at + 64
    if command or struct.unpack_from("<I", frame, at + 8)[0]:
        # Every body but NEGOTIATE's: as words, whatever they are.
        for word in range(body, min(body + 48, len(frame) - 1), 2):
            yield Place(f"smb2.body{command}.{answer}.{word - body}", word, 2, "little")
        return
    if answer:
        yield from _each(
            "negotiate.answer", body, "little", ("size", 2), ("mode", 2), ("dialect", 2), ("contexts", 2), ("-guid", 16),
            ("capabilities", 4), ("transact", 4), ("read", 4), ("write", 4), ("time", 8), ("start", 8),
            ("buffer-offset", 2), ("buffer-length", 2), ("context-offset", 4))
        where = body + 60
        count = struct.unpack_from("<H", frame, body + 6)[0]
    else:
        yield from _each(
            "negotiate.request", body, "little", ("size", 2), ("dialects", 2), ("mode", 2), ("reserved", 2),
            ("capabilities", 4), ("-guid", 16), ("context-offset", 4), ("contexts", 2), ("-reserved", 2),
            ("dialect", 2), ("dialect", 2), ("dialect", 2))
        where = body + 28
        count = struct.unpack_from("<H", frame, body + 32)[0] if body + 34 <= len(frame) else 0
    if where + 4 <= len(frame):
        yield from _contexts(frame, at, struct.unpack_from("<I", frame, where)[0], count)


def _contexts(frame: bytes, at: int, offset: int, count: int) -> Iterator[Place]:
    for _ in range(min(count, 16)):
        offset += -offset % 8
        here = at + offset
        if here + 8 > len(frame):
            return
        kind, size = struct.unpack_from("<HH", frame, here)
        name = f"context{kind}" if kind < 16 else "context"
        yield from _each(name, here, "little", ("type", 2), ("length", 2), ("-reserved", 4), ("count", 2), ("second", 2), ("third", 2))
        offset += 8 + size


def _smb1(frame: bytes, at: int) -> Iterator[Place]:
    yield from _each(
        "smb1", at + 4, "little", ("command", 1), ("status", 4), ("flags", 1), ("flags2", 2), ("-high", 2), ("-signature", 8),
        ("-reserved", 2), ("tree", 2), ("process", 2), ("user", 2), ("id", 2), ("words", 1))
    if at + 33 > len(frame):
        return
    command, answer, words = frame[at + 4], frame[at + 9] >> 7, frame[at + 32]
    for word in range(words):
        yield Place(f"smb1.body{command}.{answer}.{words}.{word}", at + 33 + 2 * word, 2, "little")
    count = at + 33 + 2 * words
    yield Place(f"smb1.body{command}.{answer}.bytes", count, 2, "little")
    if command == 0x72 and not answer:
        for place in range(count + 2, min(len(frame), count + 300)):
            if frame[place] in {0, 2}:
                yield Place("smb1.dialect.format", place, 1, "little")


def _token(frame: bytes, at: int) -> Iterator[Place]:
    """DER of SPNEGO, and NTLMSSP."""
    start = frame.find(b"\x06\x06\x2b\x06\x01\x05\x05\x02", at)
    if start > at + 2:
        yield from _der(frame, start - (2 if frame[start - 2] == 0x60 else 3), len(frame), 0)
    answer = frame.find(b"\xa1", at)
    while 0 <= answer < len(frame) - 4:
        if 0x30 in frame[answer + 2 : answer + 5]:
            yield from _der(frame, answer, len(frame), 0)
            break
        answer = frame.find(b"\xa1", answer + 1)
    place = frame.find(b"NTLMSSP\0", at)
    while place >= 0:
        kind = frame[place + 8 : place + 9].hex()
        yield from _each(
            f"ntlmssp{kind}", place + 8, "little", ("type", 4),
            *((f"{part}{number}", size) for number in range(6) for part, size in (("length", 2), ("max", 2), ("offset", 4))))
        if place + 48 <= len(frame) and frame[place + 8] == 2:
            pairs = place + struct.unpack_from("<I", frame, place + 44)[0]
            for _ in range(8):
                if pairs + 4 > len(frame):
                    break
                yield from _each("ntlmssp.pair", pairs, "little", ("type", 2), ("length", 2))
                pairs += 4 + struct.unpack_from("<H", frame, pairs + 2)[0]
        place = frame.find(b"NTLMSSP\0", place + 8)


def _der(frame: bytes, at: int, end: int, depth: int) -> Iterator[Place]:
    while at + 2 <= end and depth < 8:
        tag, size, start = frame[at], frame[at + 1], at + 2
        yield from _each(f"der{tag:02x}", at, "big", ("tag", 1), ("length", 1))
        if size > 0x80:
            width = size & 0x7F
            yield Place("der.long", start, min(width, 4), "big")
            size = int.from_bytes(frame[start : start + width], "big")
            start += width
        stop = min(start + size, end)
        if tag & 0x20 or (tag == 0x06 and depth == 1):
            yield from _der(frame, start, stop, depth + 1)
        at = start + size
