"""Healthy connections in forms that the recordings lack. A docstring is the capture's note."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from scapy.layers.inet import ICMP, IP, fragment
from scapy.layers.inet6 import (
    IPv6ExtHdrDestOpt,
    IPv6ExtHdrFragment,
    IPv6ExtHdrHopByHop,
    PadN,
)

from sample_pcaps import messages as m
from sample_pcaps.conversation import (
    ACK,
    MSS,
    Conversation,
    Frame,
    Host,
    block,
    option,
    packet_block,
    section_header,
)
from sample_pcaps.peers import (
    ALL_DIALECTS,
    SESSION,
    Made,
    connection,
    filer,
    healthy,
    leave,
    logon,
    made,
    negotiate,
    tree,
    usual_answer,
    usual_offer,
    workstation,
)


def ok_all_contexts() -> Made:
    """Every negotiate context there is, RDMA transforms and transport among them, in request and answer."""
    c = connection("ok-all-contexts")
    offer = [*usual_offer(c), m.transport(1), m.rdma(1, 2)]
    answer = [*usual_answer(c), m.compression(1, 4, 1), m.transport(1), m.rdma(2)]
    c.say("c", m.session(m.negotiate_request(ALL_DIALECTS, "WS-042", offer=offer)))
    c.say("s", m.session(m.negotiate_response(0x0311, "FILER01", c.now, mode=3, answer=answer)))
    return made(leave(tree(logon(c))), "negotiated")


def ok_two_negotiates_in_a_frame() -> Made:
    """Two NEGOTIATE requests in one segment, the first with an unknown dialect: 0xC00000BB and a good answer come back in one segment too."""
    c = connection("ok-two-negotiates-in-a-frame")
    c.say("c", m.session(
        m.negotiate_request([0x0399], "WS-042"),
        m.negotiate_request(ALL_DIALECTS, "WS-042", offer=usual_offer(c), message_id=1)))
    c.say("s", m.session(
        m.error(m.NEGOTIATE, 0xC00000BB, 0),
        m.negotiate_response(0x0311, "FILER01", c.now, mode=3, answer=usual_answer(c), message_id=1)))
    return made(leave(tree(logon(c))), "negotiated")


def ok_sequence_wrap() -> Made:
    """3.0.2; the sequence numbers of both sides pass zero inside the NEGOTIATE messages; VALIDATE_NEGOTIATE_INFO agrees."""
    c = connection("ok-sequence-wrap", client_isn=0xFFFF_FFC0, server_isn=0xFFFF_FFF0)
    dialects = ALL_DIALECTS[:4]
    c.say("c", m.session(m.negotiate_request(dialects, "WS-042")))
    c.say("s", m.session(m.negotiate_response(0x0302, "FILER01", c.now, mode=3)))
    tree(logon(c))
    c.say("c", m.session(m.validate_request(dialects, "WS-042", 4, SESSION)))
    c.say("s", m.session(m.validate_response(0x0302, "FILER01", 4, SESSION, mode=3)))
    return made(leave(c), "negotiated", dialect="SMB 3.0.2")


def ok_ipv6_extension_headers() -> Made:
    """IPv6 with hop-by-hop and destination options before TCP, and the NEGOTIATE request in two fragments that arrive in the wrong order."""
    client = Host("WS-042", "2001:db8:20:1::42", "00:1b:21:3a:00:2a", ttl=128)
    server = Host("FILER01", "2001:db8:20::9", "00:1b:21:3a:09:09")
    c = Extended("ok-ipv6-extension-headers", client, server).open()
    c.fragments = True
    c.say("c", m.session(m.negotiate_request(ALL_DIALECTS, "WS-042", offer=usual_offer(c))))
    c.fragments = False
    c.say("s", m.session(m.negotiate_response(0x0311, "FILER01", c.now, mode=3, answer=usual_answer(c))))
    return made(leave(tree(logon(c))), "negotiated")


def ok_ip_fragments() -> Made:
    """IPv4: request and answer each in fragments of at most 160 bytes, in the wrong order, the last one first and one of them twice."""
    c = Fragmented("ok-ip-fragments", workstation(), filer()).open()
    c.fragments = True
    negotiate(c)
    c.fragments = False
    return made(leave(tree(logon(c))), "negotiated")


def ok_path_mtu() -> Made:
    """A router answers a large SESSION_SETUP segment with ICMP 3/4, fragmentation needed, and quotes its header; it is sent again in smaller ones."""
    c = negotiate(connection("ok-path-mtu"))
    token = m.spnego_init(token=m.noise("kerberos ticket", 2100))
    data = m.session(m.session_setup_request(token, 1))
    large = c.packet("c", ACK, data[:MSS])
    c.emit("c", large)
    c.wait(0.9)
    quoting = IP(src="10.20.1.1", dst=c.client.address, ttl=255, id=9) / ICMP(type=3, code=4, nexthopmtu=1280)
    c.emit("s", quoting / bytes(large)[:28])
    c.next["c"] -= MSS
    c.wait(0.3).say("c", data, cuts=[1240, 2480])
    c.say("s", m.session(m.session_setup_response(m.spnego_next(0), 1, SESSION, signed=True)))
    c.say("c", m.session(m.tree_connect_request(r"\\filer01.example.com\projects", 2, SESSION, signed=True)))
    c.say("s", m.session(m.tree_connect_response(2, SESSION, signed=True)))
    return made(leave(c), "negotiated")


def ok_lanman() -> Made:
    """A DOS client: LANMAN2.1 is the best of its dialects, the answer has thirteen words, the session is SMB1."""
    c = connection("ok-lanman", Host("DOSBOX", "10.20.1.77", "00:1b:21:3a:00:4d", ttl=60), server_port=139)
    c.say("c", b"\x81\0\0\x44" + m.netbios_name("FILER01", 0x20) + m.netbios_name("DOSBOX", 0x00))
    c.say("s", b"\x82\0\0\0")
    names = ["PC NETWORK PROGRAM 1.0", "MICROSOFT NETWORKS 3.0", "DOS LM1.2X002", "DOS LANMAN2.1"]
    c.say("c", m.session(m.smb1_negotiate(names, flags2=0)))
    c.say("s", m.session(m.smb1_answer_lanman(3, c.now)))
    c.say("c", m.session(m.smb1_session_setup("DOSUSER", "OFFICE")))
    c.say("s", m.session(m.smb1_session_setup_answer()))
    warnings = ["smb1-in-use", "signing-not-required"]
    return made(c.close("c"), "negotiated", warnings=warnings, dialect="DOS LANMAN2.1")


def ok_nanoseconds_and_names() -> Made:
    """pcapng: times in 2^-30 s with an offset on one interface and in 10^-9 s on the other, a name resolution block, statistics with dropped packets."""
    return replace(made(healthy(connection("ok-nanoseconds-and-names")), "negotiated", notes=["dropped-packets"]),
                   write=_write_two_interfaces, suffix=".pcapng")


def _write_two_interfaces(path: Path, frames: Sequence[Frame]) -> None:
    """Frames of the client through interface 0, of the server through interface 1."""
    offset = 1_700_000_000
    names = b"".join(
        struct.pack("<HH", 1, len(value)) + value + bytes(-len(value) % 4)
        for value in (bytes([10, 20, 0, 9]) + b"filer01.example.com\0", bytes([10, 20, 1, 42]) + b"ws-042.example.com\0")
    ) + bytes(4)
    with path.open("wb") as file:
        file.write(section_header())
        file.write(block(1, struct.pack("<HHI", 1, 0, 262_144) + option(2, b"client side") + option(9, b"\x9e")
                         + option(14, struct.pack("<q", offset)) + bytes(4)))
        file.write(block(1, struct.pack("<HHI", 1, 0, 262_144) + option(2, b"server side") + option(9, b"\x09") + bytes(4)))
        file.write(block(4, names))
        for time_ns, frame in frames:
            if frame[6:12] == bytes.fromhex("001b213a0909"):
                file.write(packet_block(1, time_ns, frame))
            else:
                # Rounded up, so that cutting the fraction off again gives the nanosecond meant.
                ticks = -(-(time_ns - offset * 10**9 << 30) // 10**9)
                file.write(packet_block(0, ticks, frame))
        for interface, dropped in ((0, 0), (1, 3)):
            ticks = frames[-1][0] if interface else (frames[-1][0] - offset * 10**9 << 30) // 10**9
            file.write(block(5, struct.pack("<III", interface, ticks >> 32, ticks & 0xFFFF_FFFF)
                             + option(4, struct.pack("<Q", 40)) + option(5, struct.pack("<Q", dropped)) + bytes(4)))


@dataclass
class Extended(Conversation):
    """IPv6 packets with options, and in two fragments where `fragments` is set."""

    fragments: bool = False

    def segment(self, side: str, flags: int, data: bytes = b"") -> None:
        packet = self.packet(side, flags, data)
        tcp = bytes(packet)[40:]        # with its checksum, which knows nothing of the headers between
        base = packet.copy()
        base.remove_payload()
        base = base / IPv6ExtHdrHopByHop(options=[PadN(optdata=bytes(4))])
        options = IPv6ExtHdrDestOpt(options=[PadN(optdata=bytes(4))], nh=6)
        if not (self.fragments and data):
            self.emit(side, base / options / tcp)
            return
        body = bytes(options / tcp)
        half = len(body) // 2 & ~7
        for start, end in ((half, len(body)), (0, half)):
            piece = IPv6ExtHdrFragment(nh=60, offset=start // 8, m=int(end < len(body)), id=0x51525354)
            self.emit(side, base / piece / body[start:end])
            self.wait(0.01)


@dataclass
class Fragmented(Conversation):
    """IPv4 packets in fragments of 160 bytes where `fragments` is set."""

    fragments: bool = False

    def segment(self, side: str, flags: int, data: bytes = b"") -> None:
        packet = self.packet(side, flags, data)
        if not (self.fragments and data):
            self.emit(side, packet)
            return
        packet[IP].flags = 0
        pieces = fragment(packet, fragsize=160)     # type: ignore[no-untyped-call]  # scapy leaves it so
        for piece in (pieces[-1], *pieces[:-1], pieces[0]):
            self.emit(side, piece)
            self.wait(0.01)


ALL = (
    ok_all_contexts, ok_ip_fragments, ok_ipv6_extension_headers, ok_lanman, ok_nanoseconds_and_names,
    ok_path_mtu, ok_sequence_wrap, ok_two_negotiates_in_a_frame,
)
