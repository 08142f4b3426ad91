"""Captures rewritten: Capture -> Capture, with what must stay true of the conversation in it.

Every variant keeps the SMB messages, their order and their times (to the microsecond). Unless its
docstring says otherwise it also keeps the number of frames, addresses, ports and tcp.stream.
A variant that makes no sense for a capture raises DoesNotApply.
"""

from __future__ import annotations

import random
import struct
from collections.abc import Callable, Iterable
from dataclasses import replace
from itertools import pairwise

from tests.captures import ETHERNET, NULL, PPP, RAW, SLL, SLL2, Capture, Frame
from tests.packets import (
    IPV4,
    IPV6,
    DoesNotApply,
    Packet,
    Tcp,
    checksum,
    declared,
    ipv4,
    ipv6,
    map_packets,
    mended,
    packet,
    segment,
    split,
    tcp,
)

Variant = Callable[[Capture], Capture]

SEED = 20_260_302
FIN, SYN, RST, PSH, ACK = 1, 2, 4, 8, 16
OUTER = (bytes([198, 51, 100, 1]), bytes([198, 51, 100, 2]))
ETHERNET_HEAD = bytes.fromhex("020000000002020000000001")


# -- link layer


def _relinked(capture: Capture, link_type: int, head: Callable[[bytes], bytes]) -> Capture:
    """Each IP packet behind a new link header; what carries no IP becomes a UDP datagram to port 9, so that
    every frame keeps its number."""
    frames = []
    for frame in capture.frames:
        _, ip, size = split(frame, capture.link_type) or (b"", _DISCARD, len(_DISCARD))
        link = head(ip)
        frames.append(Frame(frame.time_ns, link + ip, len(link) + size))
    return Capture(tuple(frames), link_type)


def _kind(ip: bytes) -> bytes:
    return (IPV4 if ip[0] >> 4 == 4 else IPV6).to_bytes(2, "big")


def as_ethernet(capture: Capture) -> Capture:
    """Plain Ethernet."""
    return _relinked(capture, ETHERNET, lambda ip: ETHERNET_HEAD + _kind(ip))


def as_vlan(capture: Capture) -> Capture:
    """Ethernet with an 802.1Q tag."""
    return _relinked(capture, ETHERNET, lambda ip: ETHERNET_HEAD + b"\x81\x00\x60\x2a" + _kind(ip))


def as_qinq(capture: Capture) -> Capture:
    """Ethernet with an 802.1ad and an 802.1Q tag."""
    return _relinked(capture, ETHERNET, lambda ip: ETHERNET_HEAD + b"\x88\xa8\x00\x64\x81\x00\x00\x2a" + _kind(ip))


def as_three_tags(capture: Capture) -> Capture:
    """Ethernet with three tags, the old 0x9100 among them."""
    tags = b"\x91\x00\x00\x01\x81\x00\x00\x02\x81\x00\x00\x03"
    return _relinked(capture, ETHERNET, lambda ip: ETHERNET_HEAD + tags + _kind(ip))


def as_sll(capture: Capture) -> Capture:
    """Linux cooked capture, version 1."""
    return _relinked(capture, SLL, lambda ip: struct.pack("!HHH6sxx", 0, 1, 6, b"\x02\0\0\0\0\x01") + _kind(ip))


def as_sll2(capture: Capture) -> Capture:
    """Linux cooked capture, version 2."""
    return _relinked(
        capture, SLL2, lambda ip: _kind(ip) + struct.pack("!HIHBB6sxx", 0, 2, 1, 0, 6, b"\x02\0\0\0\0\x01"))


def as_raw(capture: Capture) -> Capture:
    """IP with nothing before it."""
    return _relinked(capture, RAW, lambda _: b"")


def as_null(capture: Capture) -> Capture:
    """BSD loopback, little-endian."""
    return _relinked(capture, NULL, lambda ip: struct.pack("<I", 2 if ip[0] >> 4 == 4 else 30))


def as_null_big_endian(capture: Capture) -> Capture:
    """BSD loopback, written on a big-endian machine; 28 is FreeBSD's number of IPv6."""
    return _relinked(capture, NULL, lambda ip: struct.pack(">I", 2 if ip[0] >> 4 == 4 else 28))


def as_ppp(capture: Capture) -> Capture:
    """PPP with address and control bytes."""
    return _relinked(capture, PPP, lambda ip: b"\xff\x03" + (b"\0\x21" if ip[0] >> 4 == 4 else b"\0\x57"))


def as_pppoe(capture: Capture) -> Capture:
    """A PPPoE session over Ethernet."""
    def head(ip: bytes) -> bytes:
        size = declared(ip) + 2
        return (ETHERNET_HEAD + b"\x88\x64" + struct.pack("!BBHH", 0x11, 0, 7, size)
                + (b"\0\x21" if ip[0] >> 4 == 4 else b"\0\x57"))
    return _relinked(capture, ETHERNET, head)


def as_mpls(capture: Capture) -> Capture:
    """Ethernet with two MPLS labels."""
    labels = struct.pack("!II", 1001 << 12 | 64, 2002 << 12 | 1 << 8 | 64)
    return _relinked(capture, ETHERNET, lambda _: ETHERNET_HEAD + b"\x88\x47" + labels)


def with_trailers(capture: Capture) -> Capture:
    """Ethernet frames with 4 to 40 bytes behind the IP packet, as padding and FCS leave them."""
    source = random.Random(SEED)
    frames = [
        frame._replace(data=frame.data + (more := source.randbytes(source.randint(4, 40))),
                       original=frame.original + len(more))
        if len(frame.data) == frame.original else frame
        for frame in as_ethernet(capture).frames
    ]
    return Capture(tuple(frames), ETHERNET)


# -- tunnels


def _tunnelled(capture: Capture, wrap: Callable[[bytes, int, int], bytes]) -> Capture:
    """Each IP packet inside another; wrap(ip, length on the wire, number) -> the outer packet."""
    frames = []
    for number, frame in enumerate(capture.frames):
        _, ip, size = split(frame, capture.link_type) or (b"", _DISCARD, len(_DISCARD))
        data = ETHERNET_HEAD + _kind(outer := wrap(ip, size, number)) + outer
        frames.append(Frame(frame.time_ns, data, len(data) + size - len(ip)))
    return Capture(tuple(frames), ETHERNET)


def _udp(port: int, inner: bytes, size: int, number: int) -> bytes:
    body = struct.pack("!HHHH", 0xC000 + number % 64, port, 8 + size, 0) + inner
    return ipv4(*OUTER, 17, body, number=number, size=8 + size)


def in_gre(capture: Capture) -> Capture:
    """IP in GRE with key and sequence number, in IPv4."""
    def wrap(ip: bytes, size: int, number: int) -> bytes:
        return ipv4(*OUTER, 47, b"\x30\0" + _kind(ip) + struct.pack("!II", 42, number) + ip, number=number, size=12 + size)
    return _tunnelled(capture, wrap)


def in_ipip(capture: Capture) -> Capture:
    """IP in IPv4."""
    return _tunnelled(capture, lambda ip, size, number: ipv4(
        *OUTER, 4 if ip[0] >> 4 == 4 else 41, ip, number=number, size=size))


def in_ip_in_ipv6(capture: Capture) -> Capture:
    """IP in IPv6."""
    ends = bytes.fromhex("20010db8ffff00000000000000000001"), bytes.fromhex("20010db8ffff00000000000000000002")
    return _tunnelled(capture, lambda ip, size, _: ipv6(*ends, 4 if ip[0] >> 4 == 4 else 41, ip, size=size))


def in_vxlan(capture: Capture) -> Capture:
    """Ethernet in VXLAN."""
    return _tunnelled(capture, lambda ip, size, number: _udp(
        4789, b"\x08\0\0\0\0\0\x2a\0" + ETHERNET_HEAD + _kind(ip) + ip, 22 + size, number))


def in_geneve(capture: Capture) -> Capture:
    """Ethernet in GENEVE with an option."""
    head = b"\x02\0\x65\x58\0\0\x2a\0" + b"\x01\x02\x80\x01abcd"
    return _tunnelled(capture, lambda ip, size, number: _udp(
        6081, head + ETHERNET_HEAD + _kind(ip) + ip, len(head) + 14 + size, number))


def in_gtp(capture: Capture) -> Capture:
    """IP in GTP-U."""
    return _tunnelled(capture, lambda ip, size, number: _udp(
        2152, struct.pack("!BBHI", 0x30, 0xFF, size, 0x1234) + ip, 8 + size, number))


def in_erspan2(capture: Capture) -> Capture:
    """Ethernet in ERSPAN type II."""
    def wrap(ip: bytes, size: int, number: int) -> bytes:
        head = struct.pack("!HHIHHI", 0x1000, 0x88BE, number, 0x1000 | 42, 7, 3)
        return ipv4(*OUTER, 47, head + ETHERNET_HEAD + _kind(ip) + ip, number=number, size=len(head) + 14 + size)
    return _tunnelled(capture, wrap)


# -- IP


def with_fragments(capture: Capture) -> Capture:
    """Each whole TCP packet with data in IP fragments of 64 bytes, the last first. More frames."""
    number = 0x4000

    def change(ip: bytes) -> list[bytes] | None:
        nonlocal number
        found, parsed = packet(ip), tcp(ip)
        if found is None or parsed is None or not parsed.whole or not parsed.data:
            return None
        number += 1
        return _pieces(found, number, 64)[::-1]
    return map_packets(capture, change)


def _pieces(found: Packet, number: int, step: int) -> list[bytes]:
    made = []
    for start in range(0, len(found.payload), step):
        data = found.payload[start : start + step]
        more = start + step < len(found.payload)
        if found.version == 4:
            place = start // 8 | (0x2000 if more else 0)
            made.append(replace(found, payload=data, size=len(data), number=number, fragment=place).encode())
        else:
            head = struct.pack("!BBHI", found.protocol, 0, start | more, number)
            made.append(replace(found, protocol=44, payload=head + data, size=8 + len(data)).encode())
    return made


def with_zero_lengths(capture: Capture) -> Capture:
    """IPv4 total length 0 in packets with data, as segmentation offload leaves it on the sending host."""
    def change(ip: bytes) -> list[bytes] | None:
        parsed = tcp(ip)
        if ip[0] >> 4 != 4 or parsed is None or not parsed.data or not parsed.whole:
            return None
        return [ip[:2] + b"\0\0" + ip[4:10] + mended(ip[10:12], ip[2:4], b"\0\0") + ip[12:]]
    # Without a length whatever trails the packet would belong to it.
    return map_packets(as_ethernet(capture), change)


def to_ipv6(capture: Capture) -> Capture:
    """IPv4 addresses under 2001:db8::/96, ICMP errors as ICMPv6. Addresses change, nothing else does."""
    def address(old: bytes) -> bytes:
        return bytes.fromhex("20010db8000000000000ffff") + old

    def change(ip: bytes) -> list[bytes] | None:
        found = packet(ip)
        if found is None or found.version == 6:
            return None
        ends = address(found.source), address(found.target)
        if found.protocol == 1:
            return [_icmp6(found, ends, change)]
        place = found.fragment & 0x3FFF
        body = found.payload
        if not place or place == 0x2000:
            body = _readdressed(body, found.protocol, found.source + found.target, b"".join(ends))
        if not place:
            return [ipv6(*ends, found.protocol, body, hops=found.ttl, size=found.size)]
        head = struct.pack("!BBHI", found.protocol, 0, (place & 0x1FFF) * 8 | place >> 13 & 1, found.number)
        return [ipv6(*ends, 44, head + body, hops=found.ttl, size=8 + found.size)]
    return map_packets(capture, change)


def _readdressed(body: bytes, protocol: int, removed: bytes, added: bytes) -> bytes:
    """A transport header whose pseudo header changed."""
    at = {6: 16, 17: 6}.get(protocol)
    if at is None or len(body) < at + 2:
        return body
    return body[:at] + mended(body[at : at + 2], removed, added) + body[at + 2 :]


_UNREACHABLE6 = {0: 0, 1: 3, 3: 4, 9: 1, 10: 1, 13: 1}


def _icmp6(found: Packet, ends: tuple[bytes, bytes], change: Callable[[bytes], list[bytes] | None]) -> bytes:
    """An ICMP error with its quoted packet, as ICMPv6; other ICMP as an echo request."""
    kind, code = found.payload[:2]
    quoted = change(found.payload[8:]) if kind == 3 and len(found.payload) >= 36 else None
    if quoted is None:
        kind, code, body = 128, 0, found.payload[4:]
    elif code == 4:
        kind, code, body = 2, 0, struct.pack("!I", 1280) + quoted[0]
    else:
        kind, code, body = 1, _UNREACHABLE6.get(code, 0), bytes(4) + quoted[0]
    pseudo = b"".join(ends) + struct.pack("!II", 4 + len(body), 58)
    check = checksum(pseudo + bytes([kind, code, 0, 0]) + body)
    return ipv6(*ends, 58, struct.pack("!BBH", kind, code, check) + body, hops=found.ttl)


def readdressed(capture: Capture) -> Capture:
    """Every IPv4 address with its first byte replaced, every IPv6 address with its last word turned over. Addresses change."""
    def address(old: bytes) -> bytes:
        return bytes([172]) + old[1:] if len(old) == 4 else old[:14] + bytes(255 - byte for byte in old[14:])

    def change(ip: bytes) -> list[bytes] | None:
        found = packet(ip)
        if found is None:
            return None
        ends = address(found.source), address(found.target)
        body = found.payload
        if found.protocol in {1, 58} and len(body) >= 36 and body[0] in {1, 2, 3}:
            quoted = change(body[8:])
            body = body[:8] + (quoted[0] if quoted else body[8:])
            pseudo = b"".join(ends) + struct.pack("!II", len(body), 58) if found.version == 6 else b""
            body = body[:2] + checksum(pseudo + body[:2] + b"\0\0" + body[4:]).to_bytes(2, "big") + body[4:]
        elif not found.fragment & 0x1FFF:
            body = _readdressed(body, found.protocol, found.source + found.target, b"".join(ends))
        if found.version == 6 and found.protocol not in {6, 17, 58}:
            raise DoesNotApply("IPv6 extension headers")
        head = len(ip) - len(found.payload)
        first = ip[:12] + b"".join(ends) + ip[20:head] if found.version == 4 else ip[:8] + b"".join(ends)
        if found.version == 4:
            first = first[:10] + mended(ip[10:12], ip[12:20], b"".join(ends)) + first[12:]
        return [first + body]
    return map_packets(capture, change)


# -- TCP


def _map_tcp(capture: Capture, change: Callable[[Tcp], list[Tcp] | None]) -> Capture:
    """Each whole TCP segment replaced by those that `change` makes of it."""
    def in_packet(ip: bytes) -> list[bytes] | None:
        parsed = tcp(ip)
        made = change(parsed) if parsed is not None else None
        return None if made is None else [piece.encode() for piece in made]
    return map_packets(capture, in_packet)


def recut(capture: Capture, *, largest: int = 97, seed: int = SEED) -> Capture:
    """Data in segments of random size up to `largest`. More frames."""
    source = random.Random(seed)

    def change(whole: Tcp) -> list[Tcp] | None:
        if not whole.whole or len(whole.data) < 2:
            return None
        edges = [0]
        while edges[-1] < len(whole.data):
            edges.append(min(edges[-1] + source.randint(1, largest), len(whole.data)))
        return [whole.piece(start, end) for start, end in pairwise(edges)]
    return _map_tcp(capture, change)


def in_one_byte_segments(capture: Capture) -> Capture:
    """Data of up to 600 bytes in one-byte segments, longer data in random ones. More frames."""
    def change(whole: Tcp) -> list[Tcp] | None:
        if not whole.whole or not 2 <= len(whole.data) <= 600:
            return None
        return [whole.piece(at, at + 1) for at in range(len(whole.data))]
    return _map_tcp(capture, change) if len(capture.frames) < 2000 else recut(capture)


def reordered(capture: Capture) -> Capture:
    """Data re-cut, the pieces of each segment in random order; a FIN stays the last. More frames.

    Wireshark follows with tcp.reassemble_out_of_order only.
    """
    source = random.Random(SEED)

    def change(whole: Tcp) -> list[Tcp] | None:
        if not whole.whole or len(whole.data) < 3:
            return None
        step = max(1, len(whole.data) // 5)
        pieces = [whole.piece(at, min(at + step, len(whole.data))) for at in range(0, len(whole.data), step)]
        last = [pieces.pop()] if whole.flags & FIN else []
        return source.sample(pieces, len(pieces)) + last
    return _map_tcp(capture, change)


def overlapping(capture: Capture) -> Capture:
    """Data sent in thirds, each piece again together with the next. More frames."""
    def change(whole: Tcp) -> list[Tcp] | None:
        third = len(whole.data) // 3
        if not whole.whole or not third:
            return None
        end = len(whole.data)
        return [whole.piece(0, third), whole.piece(0, 2 * third), whole.piece(third, end)]
    return _map_tcp(capture, change)


def duplicated(capture: Capture) -> Capture:
    """Every frame twice, a microsecond apart, as a mirror port of two interfaces gives them. Twice the frames."""
    frames = []
    for frame in capture.frames:
        frames += [frame, frame._replace(time_ns=frame.time_ns + 1000)]
    frames.sort(key=lambda frame: frame.time_ns)
    return capture.with_frames(frames)


def across_the_wrap(capture: Capture) -> Capture:
    """Sequence numbers of each direction moved so that they pass zero 30 bytes behind their start."""
    shifts: dict[tuple[bytes, int, bytes, int], int] = {}

    def shift(flow: tuple[bytes, int, bytes, int], first: int) -> int:
        return shifts.setdefault(flow, -30 - first)

    def change(whole: Tcp) -> list[Tcp]:
        back = whole.flow[2:] + whole.flow[:2]
        seq = whole.seq + shift(whole.flow, whole.seq)
        ack = whole.ack + shift(back, whole.ack) if whole.flags & ACK else whole.ack
        return [whole.changed(
            seq=seq & 0xFFFF_FFFF, ack=ack & 0xFFFF_FFFF, options=_shifted_sack(whole.options, shifts.get(back, 0)))]

    def in_packet(ip: bytes) -> list[bytes] | None:
        parsed = tcp(ip)
        if parsed is not None:
            return [made.encode() for made in change(parsed)]
        found = packet(ip)
        if found is not None and found.protocol in {6, 44, 0, 60} and (found.fragment & 0x3FFF or found.protocol != 6):
            raise DoesNotApply("fragments or extension headers")

        def edit(quoted: Packet) -> bytes:
            source, target, seq = struct.unpack_from("!HHI", quoted.payload)
            seq += shifts.get((quoted.source, source, quoted.target, target), 0)
            return struct.pack("!HHI", source, target, seq & 0xFFFF_FFFF)
        return _requoted(ip, edit)
    return map_packets(capture, in_packet)


def _shifted_sack(options: bytes, shift: int) -> bytes:
    """TCP options, cut ones among them, with the edges of SACK blocks moved."""
    out, at = bytearray(options), 0
    while at + 1 < len(options) and options[at]:
        size = 1 if options[at] == 1 else max(options[at + 1], 2)
        if options[at] == 5:
            for edge in range(at + 2, min(at + size, len(options) - 3), 4):
                value = int.from_bytes(options[edge : edge + 4], "big") + shift
                out[edge : edge + 4] = (value & 0xFFFF_FFFF).to_bytes(4, "big")
        at += size
    return bytes(out)


def _requoted(ip: bytes, edit: Callable[[Packet], bytes]) -> list[bytes] | None:
    """An ICMP error whose quoted TCP header begins with the eight bytes that `edit` makes of the quoted packet."""
    found = packet(ip)
    if found is None or found.protocol not in {1, 58} or len(found.payload) < 36 or found.payload[0] not in {1, 2, 3}:
        return None
    body = found.payload
    quoted = packet(body[8:])
    if quoted is None or quoted.protocol != 6 or len(quoted.payload) < 8:
        return None
    old, new = quoted.payload, edit(quoted)
    if len(old) >= 18:
        new += old[8:16] + mended(old[16:18], old[:8], new) + old[18:]
    else:
        new += old[8:]
    body = body[: len(body) - len(old)] + new
    pseudo = found.pseudo + struct.pack("!II", len(body), 58) if found.version == 6 else b""
    body = body[:2] + checksum(pseudo + body[:2] + b"\0\0" + body[4:]).to_bytes(2, "big") + body[4:]
    return [ip[: len(ip) - len(found.payload)] + body]


def on_port(capture: Capture, port: int = 44_500) -> Capture:
    """Port 445 becomes `port`, in quoted headers too. The server's port changes."""
    def moved(number: int) -> int:
        return port if number == 445 else number

    def change(ip: bytes) -> list[bytes] | None:
        parsed = tcp(ip)
        if parsed is not None:
            return [parsed.changed(source_port=moved(parsed.source_port), target_port=moved(parsed.target_port)).encode()]
        found = packet(ip)
        if found is None:
            return None
        if found.fragment & 0x3FFF or found.protocol in {0, 44, 60}:
            raise DoesNotApply("fragments or extension headers")

        def edit(quoted: Packet) -> bytes:
            ports = [moved(number) for number in struct.unpack_from("!HH", quoted.payload)]
            return struct.pack("!HH", *ports) + quoted.payload[4:8]
        return _requoted(ip, edit)
    return map_packets(capture, change)


def with_other_client_ports(capture: Capture) -> Capture:
    """Client ports (20,000 and above) moved by 7. The clients' ports change."""
    def moved(number: int) -> int:
        return 20_000 + (number - 20_000 + 7) % 45_536 if number >= 20_000 else number

    def change(whole: Tcp) -> list[Tcp]:
        return [whole.changed(source_port=moved(whole.source_port), target_port=moved(whole.target_port))]
    _refuse_what_tcp_does_not_see(capture)
    return _map_tcp(capture, change)


def _refuse_what_tcp_does_not_see(capture: Capture) -> None:
    """A change of TCP headers alone would tear apart what ICMP quotes and fragments carry."""
    for frame in capture.frames:
        parts = split(frame, capture.link_type)
        found = packet(parts[1]) if parts else None
        if found is not None and (found.protocol not in {6, 17} or found.fragment & 0x3FFF):
            raise DoesNotApply("fragments, extension headers or ICMP")


# -- time and company


def later(capture: Capture, seconds: int = 97) -> Capture:
    """Everything later by less than what counts as clock skew. Times change."""
    return capture.with_frames([frame._replace(time_ns=frame.time_ns + seconds * 10**9) for frame in capture.frames])


def among_others(capture: Capture) -> Capture:
    """UDP, ARP and short unknown frames before and between. More frames; no TCP is added."""
    source = random.Random(SEED)
    frames: list[Frame] = []
    for frame in as_ethernet(capture).frames:
        for _ in range(source.randint(0, 2)):
            noise = source.choice([
                ETHERNET_HEAD + _kind(_DISCARD) + _DISCARD,
                ETHERNET_HEAD + b"\x08\x06" + b"\0\1\x08\0\6\4\0\1" + bytes(20),
                ETHERNET_HEAD + b"\x88\xcc" + source.randbytes(30),
                ETHERNET_HEAD + _kind(_DISCARD) + _udp(53, source.randbytes(40), 40, 1),
            ])
            frames.append(Frame(frame.time_ns, noise, len(noise)))
        frames.append(frame)
    return Capture(tuple(frames), ETHERNET)


def behind_other_connections(capture: Capture, count: int = 3) -> Capture:
    """`count` HTTP connections before the first frame and one beside. More frames; tcp.stream grows by `count`."""
    plain = as_ethernet(capture)
    start = plain.frames[0].time_ns if plain.frames else 0
    frames = [
        frame
        for number in range(count)
        for frame in _http(start - 10**9 + number * 10_000_000, 40_000 + number)
    ]
    return Capture((*frames, *plain.frames), ETHERNET)


def _http(time_ns: int, port: int) -> Iterable[Frame]:
    """A short HTTP connection."""
    client, server = bytes([203, 0, 113, 5]), bytes([203, 0, 113, 80])
    request, answer = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", b"HTTP/1.1 204 No Content\r\n\r\n"
    said = [
        (0, SYN, 1000, 0, b""), (1, SYN | ACK, 5000, 1001, b""), (0, ACK, 1001, 5001, b""),
        (0, PSH | ACK, 1001, 5001, request), (1, PSH | ACK, 5001, 1001 + len(request), answer),
        (0, FIN | ACK, 1001 + len(request), 5001 + len(answer), b""),
        (1, FIN | ACK, 5001 + len(answer), 1002 + len(request), b""),
    ]
    for step, (side, flags, seq, ack, data) in enumerate(said):
        ends = (client, server) if side == 0 else (server, client)
        ports = (port, 80) if side == 0 else (80, port)
        head = struct.pack("!HHIIBBHHH", *ports, seq, ack, 0x50, flags, 8192, 0, 0)
        carrier = Packet(4, *ends, 6, 64, step, 0x4000, head + data, 20 + len(data))
        made = segment(carrier)
        assert made is not None
        ip = made.piece(0, len(data)).encode()
        frame = ETHERNET_HEAD + _kind(ip) + ip
        yield Frame(time_ns + step * 100_000, frame, len(frame))


# -- losses: these do not keep the conversation, and may only ever make a verdict more careful


def without_packets(capture: Capture, *, share: float, seed: int) -> Capture:
    """A capture that lost `share` of its packets at random. Fewer frames."""
    source = random.Random(seed)
    return capture.with_frames([frame for frame in capture.frames if source.random() >= share])


def one_direction(capture: Capture, *, port: int = 445, from_server: bool) -> Capture:
    """Only what comes from (or goes to) the server's port, and what is not TCP. Fewer frames."""
    def kept(frame: Frame) -> bool:
        parts = split(frame, capture.link_type)
        parsed = tcp(parts[1]) if parts else None
        if parsed is None or port not in {parsed.source_port, parsed.target_port}:
            return True
        return (parsed.source_port == port) is from_server
    return capture.with_frames([frame for frame in capture.frames if kept(frame)])


def snapped(capture: Capture, size: int) -> Capture:
    """Every frame cut to `size` bytes, its original length kept."""
    return capture.with_frames([frame._replace(data=frame.data[:size]) for frame in capture.frames])


_DISCARD = ipv4(bytes([203, 0, 113, 7]), bytes([203, 0, 113, 9]), 17, struct.pack("!HHHH", 40_009, 9, 12, 0) + b"idle")

# Same frames, same numbers, same streams.
REFRAMED: dict[str, Variant] = {
    made.__name__: made
    for made in (
        as_ethernet, as_vlan, as_qinq, as_three_tags, as_sll, as_sll2, as_raw, as_null, as_null_big_endian,
        as_ppp, as_pppoe, as_mpls, with_trailers, in_gre, in_ipip, in_ip_in_ipv6, in_vxlan, in_geneve, in_gtp,
        in_erspan2, with_zero_lengths, across_the_wrap,
    )
}
# Same messages and streams, other frame numbers.
RECUT: dict[str, Variant] = {
    made.__name__: made
    for made in (
        with_fragments, recut, in_one_byte_segments, reordered, overlapping, duplicated, among_others,
    )
}
# Same messages; addresses, ports, times or stream numbers differ.
RENAMED: dict[str, Variant] = {
    made.__name__: made
    for made in (to_ipv6, readdressed, with_other_client_ports, later, behind_other_connections, on_port)
}
