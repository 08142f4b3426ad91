"""A capture whose every text tries to be something else: markup, a script, a formula, a terminal command."""

from __future__ import annotations

import struct
from pathlib import Path

from sample_pcaps import messages as m
from sample_pcaps import peers
from sample_pcaps.conversation import Conversation, block, in_time_order, packet_block, section_header

SCRIPT = "</script><script>window.pwned=1</script>"
ATTRIBUTE = "\"'><img src=x onerror=window.pwned=2>"
DRAWING = "</text></svg><svg onload=window.pwned=3>"
COMMENT = "<!--<script>"
TEMPLATE = "{{ 7 * 191 }}{% raw %}"
FORMULA = "=cmd|'/c calc'!A1"
TERMINAL = "\x1b[31m\x07\x9b\u202eevil\u2028"
EVERY = (SCRIPT, ATTRIBUTE, DRAWING, COMMENT, TEMPLATE, FORMULA, TERMINAL)

FILE_NAME = "<img src=x onerror=window.pwned=4>\u202e\x1b[31m&amp;.pcapng"


def conversations() -> list[Conversation]:
    """One connection for each place where a peer may put a text."""
    found = []
    dialects = peers.connection("hostile dialects", peers.workstation(1))
    names = [text for text in EVERY if text.isascii()]
    dialects.say("c", m.session(m.smb1_negotiate([*names, "NT LM 0.12"]))).say("s", m.session(m.smb1_answer_core(0xFFFF)))
    found.append(dialects.close("c"))

    chosen = peers.connection("hostile choice", peers.workstation(2))
    chosen.say("c", m.session(m.smb1_negotiate(names))).say("s", m.session(m.smb1_answer_core(0)))
    found.append(chosen.close("c"))

    for number, text in enumerate(EVERY):
        host = peers.workstation(10 + number)
        host.name = text
        logon = peers.negotiate(peers.connection(f"hostile logon {number}", host))
        peers.authenticate(logon, spn=f"cifs/{text}", user=text)
        logon.say("s", m.session(m.session_setup_response(m.spnego_next(0), 2, peers.SESSION)))
        logon.say("c", m.session(m.tree_connect_request(rf"\\filer\{text}", 3, peers.SESSION)))
        logon.say("s", m.session(m.error(3, 0xC0000022, 3, session_id=peers.SESSION)))
        found.append(logon.close("c"))

    for number, text in enumerate((SCRIPT, ATTRIBUTE, DRAWING)):
        banner = peers.connection(f"hostile banner {number}", peers.workstation(30 + number))
        banner.say("c", m.session(m.negotiate_request(peers.ALL_DIALECTS, "WS", mode=1, offer=peers.usual_offer(banner))))
        found.append(banner.say("s", f"HTTP/1.1 200 {text}\r\nServer: {text}\r\n\r\n".encode()).close("s"))

    called = peers.connection("hostile name", peers.workstation(40), server_port=139)
    name = m.netbios_name("<SCRIPT>X='1'//", 0x20) + m.netbios_name('"><IMG SRC=X>', 0)
    called.say("c", b"\x81\0" + struct.pack(">H", len(name)) + name).say("s", b"\x83\0\0\1\x82")
    found.append(called.close("s"))
    return found


def write(folder: Path) -> Path:
    """The capture, under a hostile name and with hostile host names of its own."""
    path = folder / FILE_NAME
    conversation = conversations()
    names = b"".join(
        struct.pack("<HH", 1, 4 + len(text.encode()) + 1) + bytes((10, 20, 1, 10 + number)) + text.encode() + b"\0"
        + bytes(-(4 + len(text.encode()) + 1) % 4)
        for number, text in enumerate(EVERY)
    )
    names += struct.pack("<HH", 1, 4 + len(SCRIPT) + 1) + bytes((10, 20, 0, 9)) + SCRIPT.encode() + b"\0" + bytes(-(5 + len(SCRIPT)) % 4)
    with path.open("wb") as file:
        file.write(section_header() + block(1, struct.pack("<HHI", 1, 0, 0)) + block(4, names + bytes(4)))
        for time_ns, frame in in_time_order(*(one.frames for one in conversation)):
            file.write(packet_block(0, time_ns // 1000, frame))
    return path
