"""Conversations between made peers, for tests that ask what is said of them."""

from __future__ import annotations

import io
import struct
from collections.abc import Sequence

from analyzer.diagnosis.loader import load_rules
from analyzer.pipeline import run
from analyzer.reading import SMB_PORTS, Settings
from analyzer.report.record import ConnectionRecord
from analyzer.telling import Wanted
from sample_pcaps import messages as m
from sample_pcaps.conversation import Conversation, Frame, in_time_order
from sample_pcaps.peers import ALL_DIALECTS, SESSION, filer, usual_answer, usual_offer, workstation
from tests.captures import Capture, pcap
from tests.captures import Frame as Kept

SYN, ACK, PSH, FIN, RST = 2, 16, 8, 1, 4
NOT_SUPPORTED, INVALID_PARAMETER, ACCESS_DENIED, PENDING = 0xC00000BB, 0xC000000D, 0xC0000022, 0x103
STRINGS = ("NT LM 0.12", "SMB 2.002", "SMB 2.???")
CIFS = ("PC NETWORK PROGRAM 1.0", "LANMAN1.0", "NT LM 0.12")


def verdicts(*talks: Conversation, ports: Sequence[int] = ()) -> list[ConnectionRecord]:
    """What is said of conversations that one capture holds, by their first packets."""
    return said(in_time_order(*(talk.frames for talk in talks)), ports=ports)


def said(frames: Sequence[Frame], *, ports: Sequence[int] = ()) -> list[ConnectionRecord]:
    """What is said of frames."""
    capture = pcap(Capture(tuple(Kept(time, data, len(data)) for time, data in frames)))
    settings = Settings(ports=SMB_PORTS | frozenset(ports))
    (analyzed,) = run([("talk", io.BytesIO(capture))], load_rules(()), settings, Wanted())
    return [diagnosed.record for diagnosed in analyzed.connections]


def talk(port: int = 445, *, number: int = 42, client_port: int = 50_122, after_ms: float = 0) -> Conversation:
    """A connection whose TCP handshake is done."""
    c = Conversation("talk", workstation(number), filer(), client_port=client_port, server_port=port)
    return c.wait(after_ms).open()


def ask(
    c: Conversation, dialects: Sequence[int] = ALL_DIALECTS, *, mode: int = 1, offer: Sequence[m.Context] | None = None,
    message_id: int = 0, capabilities: int = 0x7F,
) -> Conversation:
    """An SMB2 NEGOTIATE; with 3.1.1 and no offer given, the contexts of a present-day client."""
    if offer is None:
        offer = usual_offer(c) if 0x0311 in dialects else ()
    return c.say("c", m.session(m.negotiate_request(
        dialects, c.client.name, mode=mode, offer=offer, message_id=message_id, capabilities=capabilities)))


def answer(
    c: Conversation, dialect: int = 0x0311, *, mode: int = 3, contexts: Sequence[m.Context] | None = None,
    message_id: int = 0, capabilities: int = 0x2F, size: int = 8_388_608, token: bytes | None = None,
) -> Conversation:
    """A success."""
    if contexts is None:
        contexts = usual_answer(c) if dialect == 0x0311 else ()
    return c.say("s", m.session(m.negotiate_response(
        dialect, c.server.name, c.now, mode=mode, answer=contexts, message_id=message_id, capabilities=capabilities,
        size=size, token=token)))


def refuse(c: Conversation, status: int, message_id: int = 0) -> Conversation:
    """A refusal of NEGOTIATE."""
    return c.say("s", m.session(m.error(0, status, message_id)))


def ask_smb1(c: Conversation, names: Sequence[str] = STRINGS, *, flags2: int = 0xC801) -> Conversation:
    """An SMB1 NEGOTIATE."""
    return c.say("c", m.session(m.smb1_negotiate(names, flags2=flags2)))


def answer_nt(c: Conversation, index: int, *, mode: int = 3) -> Conversation:
    """The answer that selects NT LM 0.12, without extended security. [MS-CIFS] 2.2.4.52.2"""
    words = struct.pack(
        "<HBHHIIIIQhB", index, mode, 50, 1, 16_644, 65_536, 0, 0x0000_C3FD, m.filetime(c.now), 0, 8)
    data = m.noise("nt challenge", 8) + "OFFICE".encode("utf-16-le") + b"\0\0" + "FILER01".encode("utf-16-le") + b"\0\0"
    header = struct.pack("<4sBIBH12sHHHH", b"\xffSMB", 0x72, 0, 0x88, 0xC001, bytes(12), 0xFFFF, 0xFEFF, 0, 1)
    return c.say("s", m.session(header + bytes([17]) + words + struct.pack("<H", len(data)) + data))


def tree_refused(c: Conversation, status: int, *, signed: bool = True) -> Conversation:
    """A TREE_CONNECT that is refused."""
    c.say("c", m.session(m.tree_connect_request(r"\\filer01.example.com\projects", 3, SESSION, signed=signed)))
    return c.say("s", m.session(m.error(3, status, 3, session_id=SESSION)))


def connected(c: Conversation, *, signed: bool = True) -> Conversation:
    """A TREE_CONNECT that succeeds."""
    c.say("c", m.session(m.tree_connect_request(r"\\filer01.example.com\projects", 3, SESSION, signed=signed)))
    return c.say("s", m.session(m.tree_connect_response(3, SESSION, signed=signed)))


