"""Frames taken apart and put together: link header, IP packet, TCP segment. For tests only.

A change keeps every length right, and every checksum as right as it was: checksums are mended by the
difference (RFC 1624), so that a capture taken before segmentation offload stays what it is, and a
snapped packet needs no bytes that are not there.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from tests.captures import ETHERNET, NULL, RAW, SLL, SLL2, Capture, Frame

IPV4, IPV6 = 0x0800, 0x86DD
TAGS = {0x8100, 0x88A8, 0x9100}


class DoesNotApply(Exception):
    """A variant does not make sense for a capture, and says why."""


def network(frame: Frame, link_type: int) -> int | None:
    """Where the IP packet of a frame begins; None where it carries none."""
    data = frame.data
    if link_type == RAW:
        at, kind = 0, None
    elif link_type == NULL:
        at, kind = 4, None
    elif link_type == SLL:
        at, kind = 16, data[14:16]
    elif link_type == SLL2:
        at, kind = 20, data[0:2]
    elif link_type == ETHERNET:
        at, kind = 14, data[12:14]
        while len(data) >= at + 4 and int.from_bytes(kind, "big") in TAGS:
            at, kind = at + 4, data[at + 2 : at + 4]
    else:
        raise DoesNotApply(f"link type {link_type}")
    if kind is not None and int.from_bytes(kind, "big") not in {IPV4, IPV6}:
        return None
    return at if len(data) >= at + 20 and data[at] >> 4 in {4, 6} else None


def declared(ip: bytes) -> int:
    """The length an IP packet says it has; what there is of it where it says zero."""
    if ip[0] >> 4 == 4:
        return int.from_bytes(ip[2:4], "big") or len(ip)
    return 40 + int.from_bytes(ip[4:6], "big")


def split(frame: Frame, link_type: int) -> tuple[bytes, bytes, int] | None:
    """Link header, IP packet without what trails it, and that packet's length on the wire."""
    at = network(frame, link_type)
    if at is None:
        return None
    ip = frame.data[at:]
    size = declared(ip)
    return frame.data[:at], ip[:size], size


def map_packets(capture: Capture, change: Callable[[bytes], Iterable[bytes] | None]) -> Capture:
    """Each whole IP packet replaced by those that `change` makes of it (None: stays as it is).

    A snapped packet is handed over as far as it goes; what comes out of it is snapped by as much.
    """
    frames: list[Frame] = []
    for frame in capture.frames:
        parts = split(frame, capture.link_type)
        made = change(parts[1]) if parts else None
        if parts is None or made is None:
            frames.append(frame)
            continue
        link, ip, size = parts
        missing = size - len(ip)
        for new in made:
            data = _with_version(link, new, capture.link_type) + new
            frames.append(Frame(frame.time_ns, data, len(data) + missing))
    return capture.with_frames(frames)


def _with_version(link: bytes, ip: bytes, link_type: int) -> bytes:
    """The link header with the type of the packet that follows."""
    kind = (IPV4 if ip[0] >> 4 == 4 else IPV6).to_bytes(2, "big")
    if link_type == ETHERNET:
        return link[:-2] + kind
    if link_type == SLL:
        return link[:14] + kind
    if link_type == SLL2:
        return kind + link[2:]
    if link_type == NULL:
        return struct.pack("<I", 2 if ip[0] >> 4 == 4 else 24)
    return link


# -- checksums


def checksum(data: bytes) -> int:
    """The Internet checksum of whole bytes. RFC 1071"""
    if len(data) % 2:
        data += b"\0"
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total ^ 0xFFFF


def mended(old: bytes, removed: bytes, added: bytes) -> bytes:
    """A checksum after some bytes went and as many others came. RFC 1624, equation 3"""
    odd = len(removed) % 2
    removed, added = removed + bytes(odd), added + bytes(odd)
    total: int = ~int.from_bytes(old, "big") & 0xFFFF
    total += sum(~word & 0xFFFF for (word,) in struct.iter_unpack("!H", removed))
    total += sum(word for (word,) in struct.iter_unpack("!H", added))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return (~total & 0xFFFF).to_bytes(2, "big")


def ipv4(source: bytes, target: bytes, protocol: int, payload: bytes, *, ttl: int = 64, number: int = 0,
         fragment: int = 0x4000, size: int | None = None) -> bytes:
    """An IPv4 packet; size: length of the payload on the wire, where it is snapped."""
    total = 20 + (len(payload) if size is None else size)
    head = struct.pack("!BBHHHBBH4s4s", 0x45, 0, total, number & 0xFFFF, fragment, ttl, protocol, 0, source, target)
    return head[:10] + checksum(head).to_bytes(2, "big") + head[12:] + payload


def ipv6(source: bytes, target: bytes, protocol: int, payload: bytes, *, hops: int = 64, size: int | None = None) -> bytes:
    """An IPv6 packet; size as for ipv4."""
    return struct.pack(
        "!IHBB16s16s", 0x6000_0000, len(payload) if size is None else size, protocol, hops, source, target) + payload


# -- IP and TCP


@dataclass(frozen=True, slots=True)
class Packet:
    """An IP packet without options or extension headers kept apart from its payload."""

    version: int
    source: bytes
    target: bytes
    protocol: int
    ttl: int
    number: int                 # IPv4 identification
    fragment: int               # IPv4 flags and offset
    payload: bytes
    size: int                   # length of the payload on the wire

    def encode(self) -> bytes:
        """The packet as bytes; IPv4 options are gone."""
        if self.version == 4:
            return ipv4(self.source, self.target, self.protocol, self.payload, ttl=self.ttl, number=self.number,
                        fragment=self.fragment, size=self.size)
        return ipv6(self.source, self.target, self.protocol, self.payload, hops=self.ttl, size=self.size)

    @property
    def pseudo(self) -> bytes:
        """What a TCP checksum covers of the IP header and an address change alters."""
        return self.source + self.target


def packet(ip: bytes) -> Packet | None:
    """An IP packet taken apart; None where its header is cut or has a wrong length."""
    if ip[0] >> 4 == 4:
        head = (ip[0] & 15) * 4
        if len(ip) < head or head < 20:
            return None
        number, fragment, ttl, protocol = struct.unpack_from("!HHBB", ip, 4)
        return Packet(4, ip[12:16], ip[16:20], protocol, ttl, number, fragment, ip[head:], declared(ip) - head)
    if len(ip) < 40:
        return None
    return Packet(6, ip[8:24], ip[24:40], ip[6], ip[7], 0, 0, ip[40:], declared(ip) - 40)


@dataclass(frozen=True, slots=True)
class Tcp:
    """A TCP segment in its packet. options: all of the header behind its twenty bytes, as far as it was captured."""

    carrier: Packet
    source_port: int
    target_port: int
    seq: int
    ack: int
    flags: int
    window: int
    check: bytes
    urgent: int
    options: bytes
    data: bytes
    head: int                   # length of the header on the wire
    length: int                 # of the data on the wire

    @property
    def whole(self) -> bool:
        """Every byte of it was captured."""
        return len(self.data) == self.length and len(self.options) == self.head - 20

    @property
    def flow(self) -> tuple[bytes, int, bytes, int]:
        """Who sends to whom."""
        return self.carrier.source, self.source_port, self.carrier.target, self.target_port

    def _head(self, check: bytes) -> bytes:
        return struct.pack(
            "!HHIIBBH2sH", self.source_port, self.target_port, self.seq, self.ack,
            self.head // 4 << 4, self.flags, self.window, check, self.urgent) + self.options

    def changed(self, **fields: int | bytes | Packet) -> Tcp:
        """With other ports, numbers, options or addresses, and the checksum mended by the difference."""
        new: Tcp = replace(self, **fields)  # type: ignore[arg-type]
        removed = self.carrier.pseudo + self._head(b"\0\0")
        added = new.carrier.pseudo + new._head(b"\0\0")
        check = mended(self.check, removed, added)
        return replace(new, check=check)

    def piece(self, start: int, end: int) -> Tcp:
        """The segment that carries data[start:end], with a right checksum; FIN and PSH on the last only."""
        last = end == len(self.data)
        flags = self.flags if last else self.flags & ~0x09
        new = replace(self, seq=self.seq + start & 0xFFFF_FFFF, flags=flags, data=self.data[start:end],
                      length=end - start, check=b"\0\0")
        body = new._head(b"\0\0") + new.data
        pseudo = self.carrier.pseudo + struct.pack("!IHH", len(body), 0, 6)
        return replace(new, check=checksum(pseudo + body).to_bytes(2, "big"))

    def encode(self) -> bytes:
        """The IP packet as bytes."""
        body = self._head(self.check) + self.data
        return replace(self.carrier, payload=body, size=self.head + self.length).encode()


def tcp(ip: bytes) -> Tcp | None:
    """The TCP segment of an IP packet; None for anything else, fragments and cut headers among it."""
    found = packet(ip)
    if found is None or found.protocol != 6 or found.fragment & 0x3FFF or len(found.payload) < 20:
        return None
    return segment(found)


def segment(carrier: Packet) -> Tcp | None:
    """The TCP segment that a packet carries; None where its header says that it is too short."""
    body = carrier.payload
    source, target, seq, ack, offset, flags, window, check, urgent = struct.unpack_from("!HHIIBBH2sH", body)
    head = (offset >> 4) * 4
    if head < 20:
        return None
    return Tcp(carrier, source, target, seq, ack, flags, window, check, urgent, body[20:head], body[head:],
               head, carrier.size - head)
