"""One made capture for each cause that no recording shows. A docstring is the capture's note."""

from __future__ import annotations

import struct

from scapy.layers.inet import ICMP, IP, UDP
from scapy.layers.inet6 import ICMPv6DestUnreach, IPv6

from sample_pcaps import messages as m
from sample_pcaps.conversation import SYN, Conversation, Host, in_time_order
from sample_pcaps.peers import (
    ALL_DIALECTS,
    SESSION,
    Made,
    authenticate,
    connection,
    filer,
    healthy,
    label,
    leave,
    logon,
    made,
    negotiate,
    tree,
    usual_offer,
    workstation,
)


def cluster_dialect() -> Made:
    """TREE_CONNECT to a cluster share answered with 0xC05D0001 and 3.0.2 as the highest dialect; the client does not come back with it."""
    c = logon(negotiate(connection("cluster-dialect")))
    c.say("c", m.session(m.tree_connect_request(r"\\filer01.example.com\cluster", 3, SESSION, signed=True)))
    context = (2).to_bytes(4, "little") + bytes(4) + (0x0302).to_bytes(2, "little")
    c.say("s", m.session(m.error(3, 0xC05D0001, 3, data=context, count=1, session_id=SESSION, signed=True)))
    return made(c.close("c"), "failed", "cluster-dialect")


def guest_blocked() -> Made:
    """An unknown user becomes guest; neither side requires signing, and the client leaves right after the guest session."""
    c = logon(negotiate(connection("guest-blocked"), server_mode=1), flags=1)
    return made(c.wait(2).close("c"), "failed", "guest-blocked")


def tree_connect_unsigned() -> Made:
    """3.1.1 and a real user, but TREE_CONNECT is neither signed nor encrypted: 0xC0000022, then the server ends it."""
    c = logon(negotiate(connection("tree-connect-unsigned"), server_mode=1))
    c.say("c", m.session(m.tree_connect_request(r"\\10.20.0.9\projects", 3, SESSION)))
    c.say("s", m.session(m.error(3, 0xC0000022, 3, session_id=SESSION)))
    return made(c.close("s"), "failed", "tree-connect-unsigned")


def signature_rejected() -> Made:
    """A signed TREE_CONNECT is answered with 0xC000A000, invalid signature; the client leaves."""
    c = logon(negotiate(connection("signature-rejected")))
    c.say("c", m.session(m.tree_connect_request(r"\\filer01.example.com\projects", 3, SESSION, signed=True)))
    c.say("s", m.session(m.error(3, 0xC000A000, 3, session_id=SESSION)))
    return made(c.close("c"), "failed", "signature-rejected")


def preauth_integrity_failure() -> Made:
    """Both legs of a WAN optimiser that takes the compression context out of the NEGOTIATE; the client finds the last SESSION_SETUP answer badly signed and leaves."""
    optimiser = Host("optimiser", "10.30.0.5", "00:1b:21:3a:0e:05")
    before = connection("preauth-integrity-failure", rtt_ms=3)
    after = Conversation("preauth-integrity-failure", optimiser, filer(), client_port=41_007, start_ns=before.start_ns + 900_000, rtt_ms=0.3)
    after.client.name = before.client.name      # it speaks for the client: same ClientGuid, same salt
    after.open()
    logon(negotiate(before)).wait(3).close("c")
    offer = [context for context in usual_offer(before) if context[0] != m.COMPRESSION]
    logon(negotiate(after, offer=offer)).wait(9).close("c")
    return Made(in_time_order(before.frames, after.frames), [
        label(before, "failed", "preauth-integrity-failure"),
        label(after, "failed", "preauth-integrity-failure", stream=1)])


def server_error() -> Made:
    """The NEGOTIATE is answered with 0xC0000001, a failure without a reason."""
    c = connection("server-error")
    c.say("c", m.session(m.negotiate_request(ALL_DIALECTS, "WS-042", offer=usual_offer(c))))
    c.say("s", m.session(m.error(m.NEGOTIATE, 0xC0000001, 0)))
    return made(c.close("c"), "failed", "server-error", dialect=None)


def session_setup_unanswered() -> Made:
    """The second SESSION_SETUP is acknowledged by TCP and never answered: the server waits for its domain controller. The client leaves after 60 s."""
    c = authenticate(negotiate(connection("session-setup-unanswered")))
    return made(c.wait(60_000).close("c"), "negotiated", warnings=["session-setup-unanswered"])


def name_hardening() -> Made:
    """A right password with an alias as target name (cifs/files.example.com, the server is FILER01): 0xC0000022 to the NTLM AUTHENTICATE."""
    c = authenticate(negotiate(connection("name-hardening")), spn="cifs/files.example.com")
    c.say("s", m.session(m.error(m.SESSION_SETUP, 0xC0000022, 2, session_id=SESSION)))
    return made(c.close("c"), "negotiated", warnings=["name-hardening"], allowed=["session-setup-failed"])


def ntlm_blocked() -> Made:
    """The server forbids NTLM: 0xC0000418 to the NTLM NEGOTIATE."""
    c = negotiate(connection("ntlm-blocked"))
    c.say("c", m.session(m.session_setup_request(m.spnego_init([m.NTLMSSP_OID], m.ntlm_negotiate()), 1)))
    c.say("s", m.session(m.error(m.SESSION_SETUP, 0xC0000418, 1)))
    return made(c.close("c"), "negotiated", warnings=["ntlm-blocked"], allowed=["session-setup-failed"])


def context_intolerance() -> Made:
    """A NEGOTIATE with contexts above 0x0003 is refused with 0xC000000D; an older client that sends only the first two comes up with 3.1.1."""
    new = connection("context-intolerance")
    new.say("c", m.session(m.negotiate_request(ALL_DIALECTS, "WS-042", offer=usual_offer(new))))
    new.say("s", m.session(m.error(m.NEGOTIATE, 0xC000000D, 0))).close("c")
    old = Conversation("context-intolerance", workstation(17), filer(), client_port=49_733, start_ns=new.now + 4_000_000_000).open()
    offer = [m.preauth("context-intolerance WS-017"), m.encryption(2, 1)]
    old.say("c", m.session(m.negotiate_request(ALL_DIALECTS, "WS-017", offer=offer)))
    old.say("s", m.session(m.negotiate_response(
        0x0311, "FILER01", old.now, mode=3, answer=[m.preauth("context-intolerance FILER01"), m.encryption(2)])))
    leave(tree(logon(old)))
    return Made(in_time_order(new.frames, old.frames), [
        label(new, "failed", "context-intolerance", "invalid-parameter", dialect=None),
        label(old, "negotiated", stream=1)])


def repeated_context() -> Made:
    """A request with the preauth context twice, to a server that refuses it with 0xC000000D."""
    c = connection("repeated-context")
    offer = [m.preauth("repeated-context WS-042"), m.preauth("repeated-context WS-042 again"), m.encryption(2, 1)]
    c.say("c", m.session(m.negotiate_request(ALL_DIALECTS, "WS-042", offer=offer)))
    c.say("s", m.session(m.error(m.NEGOTIATE, 0xC000000D, 0)))
    return made(c.close("c"), "failed", "malformed-context", "invalid-parameter", dialect=None)


def alternative_port() -> Made:
    """SMB on TCP port 4450: a container whose port is published elsewhere. Without --port nothing but other TCP traffic."""
    c = healthy(connection("alternative-port", server_port=4450))
    return Made(c.frames, [], ["--port", "4450"], [label(c, "negotiated", warnings=["alternative-port"])])


def icmp_rejected() -> Made:
    """A router answers the SYN to an IPv4 address with ICMP 3/13 and the quoted header cut to 8 bytes of TCP, the SYN to an IPv6 address with ICMPv6 1/1."""
    router4 = Host("router", "10.20.1.1", "00:1b:21:3a:01:01", ttl=255)
    c = Conversation("icmp-rejected", workstation(), filer())
    syn = c.packet("c", SYN)
    c.emit("c", syn)
    c.wait(0.8)
    c.emit("s", IP(src=router4.address, dst=c.client.address, ttl=255, id=7) / ICMP(type=3, code=13) / bytes(syn)[:28])

    client6 = Host("WS-042", "2001:db8:20:1::42", "00:1b:21:3a:00:2a", ttl=128)
    server6 = Host("FILER01", "2001:db8:20::9", "00:1b:21:3a:09:09")
    d = Conversation("icmp-rejected", client6, server6, client_port=50_123, start_ns=c.now + 20_000_000)
    syn = d.packet("c", SYN)
    d.emit("c", syn)
    d.wait(0.9)
    quoting = IPv6(src="2001:db8:20:1::1", dst=client6.address, hlim=255) / ICMPv6DestUnreach(code=1) / bytes(syn)
    d.emit("s", quoting)
    return Made([*c.frames, *d.frames], [
        label(c, "no-connection", "icmp-rejected", dialect=None),
        label(d, "no-connection", "icmp-rejected", dialect=None, stream=1)])


def smb_over_quic() -> Made:
    """A healthy SMB connection over TCP, then the same two hosts speak QUIC version 1 on UDP 443."""
    c = healthy(connection("smb-over-quic"))
    ids = m.noise("connection ids", 16)
    start = c.now + 3_000_000_000
    for number, side in enumerate("cscc"):
        source, target, ports = (
            (c.client, c.server, (61_022, 443)) if side == "c" else (c.server, c.client, (443, 61_022)))
        kind = 0xC3 if number < 2 else 0x43        # a long header with its version, then short ones
        head = bytes([kind]) + (b"\0\0\0\x01\x08" + ids[:8] + b"\x08" + ids[8:] + b"\0\x44\x9e" if number < 2 else ids[:8])
        data = (head + m.noise(f"quic {number}", 1200))[:1200 if number < 2 else 90]
        c.now = start + number * 700_000
        c.emit(side, source.ip(target) / UDP(sport=ports[0], dport=ports[1]) / data)
    return made(c, "negotiated", notes=["smb-over-quic"])


def smb_over_rdma() -> Made:
    """SMB Direct over iWARP (TCP 5445): MPA, the SMB Direct negotiation and a NEGOTIATE inside. No connection on an SMB port."""
    c = connection("smb-over-rdma", server_port=5445)
    for side, key in (("c", b"MPA ID Req Frame"), ("s", b"MPA ID Rep Frame")):
        c.say(side, key + bytes([0x40, 1]) + bytes(2))
    asked = struct.pack("<HHHHIII", 0x100, 0x100, 0, 255, 1364, 8192, 1_048_576)
    agreed = struct.pack("<HHHHHHIIIII", 0x100, 0x100, 0x100, 0, 255, 255, 0, 1_048_576, 1364, 1364, 1_048_576)
    c.say("c", fpdu(asked, 1)).say("s", fpdu(agreed, 1))
    request = m.negotiate_request(ALL_DIALECTS, "WS-042", offer=usual_offer(c))
    c.say("c", fpdu(struct.pack("<HHHHIIII", 10, 255, 0, 0, 0, 24, len(request), 0) + request, 2))
    return Made(c.close("c").frames, [], notes=["smb-over-rdma"])


def fpdu(data: bytes, number: int) -> bytes:
    """One RDMAP Send in an MPA frame with its CRC32c. RFC 5040, 5041, 5044"""
    segment = struct.pack(">BBIIII", 0x41, 0x43, 0, 0, number, 0) + data
    frame = struct.pack(">H", len(segment)) + segment
    frame += bytes(-len(frame) % 4)
    crc = 0xFFFF_FFFF
    for byte in frame:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F6_3B78 if crc & 1 else 0)
    return frame + struct.pack("<I", crc ^ 0xFFFF_FFFF)


ALL = (
    alternative_port, cluster_dialect, context_intolerance, guest_blocked, icmp_rejected, name_hardening,
    ntlm_blocked, preauth_integrity_failure, repeated_context, server_error, session_setup_unanswered,
    signature_rejected, smb_over_quic, smb_over_rdma, tree_connect_unsigned,
)
