"""The peers of the made captures and what they usually say, and how a capture is labelled."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sample_pcaps import messages as m
from sample_pcaps.conversation import Conversation, Frame, Host, write_pcap

ALL_DIALECTS = (0x0202, 0x0210, 0x0300, 0x0302, 0x0311)
SESSION = 0x0000_1C00_0000_0041


@dataclass
class Label:
    """What is true of one TCP connection on an SMB port."""

    tcp_stream: int
    client: str
    server: str
    outcome: str
    causes: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    dialect: str | None = "SMB 3.1.1"
    candidates: list[str] = field(default_factory=list)
    allowed: list[str] = field(default_factory=list)      # warnings that may stand there too


@dataclass
class Made:
    """One made capture."""

    frames: list[Frame]
    labels: list[Label]
    options: list[str] = field(default_factory=list)      # with these ...
    with_options: list[Label] = field(default_factory=list)   # ... this is true instead
    notes: list[str] = field(default_factory=list)        # kinds of notes the capture record has
    write: Callable[[Path, list[Frame]], None] = write_pcap
    suffix: str = ".pcap"


def workstation(number: int = 42) -> Host:
    return Host(f"WS-{number:03}", f"10.20.1.{number}", f"00:1b:21:3a:00:{number:02x}", ttl=128)


def filer() -> Host:
    return Host("FILER01", "10.20.0.9", "00:1b:21:3a:09:09")


def connection(
    scene: str, client: Host | None = None, *, server_port: int = 445, client_isn: int | None = None,
    server_isn: int | None = None, rtt_ms: float = 0.4,
) -> Conversation:
    """A connection from a workstation to the filer, opened."""
    return Conversation(
        scene, client or workstation(), filer(), server_port=server_port, client_isn=client_isn, server_isn=server_isn,
        rtt_ms=rtt_ms).open()


def usual_offer(c: Conversation) -> list[m.Context]:
    """What a present-day client sends with 3.1.1."""
    return [
        m.preauth(f"{c.scene} {c.client.name}"), m.encryption(2, 1, 4, 3), m.compression(1, 4, 1, 2, 3),
        m.netname("filer01.example.com"), m.signing(2, 1, 0),
    ]


def usual_answer(c: Conversation) -> list[m.Context]:
    """What a present-day server answers to that."""
    return [m.preauth(f"{c.scene} {c.server.name}"), m.encryption(2), m.signing(2)]


def negotiate(
    c: Conversation, *, client_mode: int = 1, server_mode: int = 3, offer: list[m.Context] | None = None
) -> Conversation:
    """A NEGOTIATE for 3.1.1 and its answer."""
    offer = usual_offer(c) if offer is None else offer
    c.say("c", m.session(m.negotiate_request(ALL_DIALECTS, c.client.name, mode=client_mode, offer=offer)))
    return c.say("s", m.session(m.negotiate_response(
        0x0311, c.server.name, c.now, mode=server_mode, answer=usual_answer(c))))


def authenticate(c: Conversation, *, spn: str = "cifs/filer01.example.com", user: str = "m.huber") -> Conversation:
    """The two requests of an NTLM logon and the answer between; the last answer is the scenario's."""
    c.say("c", m.session(m.session_setup_request(
        m.spnego_init([m.NTLMSSP_OID], m.ntlm_negotiate()), 1)))
    challenge = m.spnego_next(1, m.ntlm_challenge(c.server.name, "OFFICE", c.now), m.NTLMSSP_OID)
    c.say("s", m.session(m.session_setup_response(challenge, 1, SESSION, status=0xC0000016)))
    return c.say("c", m.session(m.session_setup_request(
        m.spnego_next(None, m.ntlm_authenticate(user, "OFFICE", c.client.name, spn, c.now)), 2, session_id=SESSION)))


def logon(c: Conversation, *, flags: int = 0) -> Conversation:
    """A whole SESSION_SETUP that succeeds."""
    authenticate(c)
    return c.say("s", m.session(m.session_setup_response(
        m.spnego_next(0), 2, SESSION, flags=flags, signed=not flags)))


def tree(c: Conversation) -> Conversation:
    """A TREE_CONNECT that succeeds, signed."""
    c.say("c", m.session(m.tree_connect_request(r"\\filer01.example.com\projects", 3, SESSION, signed=True)))
    return c.say("s", m.session(m.tree_connect_response(3, SESSION, signed=True)))


def leave(c: Conversation) -> Conversation:
    """LOGOFF and an orderly end."""
    c.say("c", m.session(m.logoff(5, SESSION))).say("s", m.session(m.logoff(5, SESSION, answer=True)))
    return c.close("c")


def healthy(c: Conversation) -> Conversation:
    """A connection without fault from NEGOTIATE to LOGOFF."""
    return leave(tree(logon(negotiate(c))))


def label(
    c: Conversation, outcome: str, *causes: str, stream: int = 0, dialect: str | None = "SMB 3.1.1",
    warnings: Sequence[str] = (), allowed: Sequence[str] = (),
) -> Label:
    """What is true of `c`."""
    ends = [
        f"[{host.address}]:{port}" if ":" in host.address else f"{host.address}:{port}"
        for host, port in ((c.client, c.client_port), (c.server, c.server_port))]
    return Label(stream, ends[0], ends[1], outcome, list(causes), list(warnings), dialect, allowed=list(allowed))


def made(
    c: Conversation, outcome: str, *causes: str, dialect: str | None = "SMB 3.1.1",
    warnings: Sequence[str] = (), allowed: Sequence[str] = (), notes: Sequence[str] = (),
) -> Made:
    """A capture of one connection."""
    only = label(c, outcome, *causes, dialect=dialect, warnings=warnings, allowed=allowed)
    return Made(c.frames, [only], notes=list(notes))
