"""Signing as the specification decides it: every cell of both tables, and guests. [MS-SMB2] 2.2.3, 2.2.4; KB916846"""

from __future__ import annotations

import pytest

from sample_pcaps import messages as m
from sample_pcaps.conversation import Conversation
from sample_pcaps.peers import SESSION, leave, logon
from tests.talks import (
    ACCESS_DENIED,
    CIFS,
    answer,
    answer_nt,
    ask,
    ask_smb1,
    connected,
    talk,
    tree_refused,
    verdicts,
)

LEFT = ("client-rejected-response",)
MISMATCH = ("signing-mismatch", "client-rejected-response")
BAD_MODE = ("malformed-response", "client-rejected-response")

# (SecurityMode of the client, of the server) -> what a client that leaves right after the answer broke over.
SMB2 = {
    (1, 1): LEFT, (1, 3): LEFT, (1, 2): LEFT, (1, 0): BAD_MODE,
    (2, 1): LEFT, (2, 3): LEFT, (2, 0): MISMATCH,
    (3, 1): LEFT, (3, 3): LEFT, (3, 0): MISMATCH,
    (0, 1): LEFT, (0, 3): MISMATCH, (0, 2): MISMATCH, (0, 0): BAD_MODE,
}  # fmt: skip


@pytest.mark.parametrize(("modes", "causes"), SMB2.items())
def test_smb2_client_leaves_after_the_answer(modes: tuple[int, int], causes: tuple[str, ...]) -> None:
    (record,) = verdicts(answer(ask(talk(), (0x0202, 0x0210), mode=modes[0]), 0x0210, mode=modes[1]).close("c"))
    if modes == (1, 2):      # a server that requires signing without enabling it is nonconforming too
        causes = BAD_MODE
    assert record.causes == causes


@pytest.mark.parametrize("modes", SMB2)
def test_smb2_peers_that_go_on_have_no_mismatch(modes: tuple[int, int]) -> None:
    """Required on either side means signed; with SecurityMode 0 real peers sign all the same."""
    signed = bool((modes[0] | modes[1]) & 2)
    c = logon(answer(ask(talk(), (0x0202, 0x0210), mode=modes[0]), 0x0210, mode=modes[1]))
    (record,) = verdicts(leave(connected(c, signed=signed)))
    assert (record.outcome, record.causes) == ("negotiated", ())
    assert ("signing-not-required" in record.warnings) == (not signed)


@pytest.mark.parametrize(("server", "signed", "causes"), [
    (3, False, ("signing-mismatch",)),
    (3, True, ()),
    (1, False, ()),
])  # fmt: skip
def test_an_unsigned_tree_connect_to_a_server_that_requires_signing(
    server: int, signed: bool, causes: tuple[str, ...]
) -> None:
    c = logon(answer(ask(talk(), (0x0202, 0x0210)), 0x0210, mode=server))
    (record,) = verdicts(tree_refused(c, ACCESS_DENIED, signed=signed).close("c"))
    assert record.causes == causes
    if causes:
        assert record.confidence == "proven"


@pytest.mark.parametrize(("client", "flags", "end", "causes"), [
    (3, 1, "leaves", ("guest-cannot-sign",)),
    (3, 2, "leaves", ("guest-cannot-sign",)),
    (1, 1, "leaves", ("guest-blocked",)),
    (1, 2, "leaves", ()),
    (3, 1, "goes on", ()),
    (1, 1, "goes on", ()),
    (1, 0, "leaves", ()),
    (3, 0, "leaves", ()),
])  # fmt: skip
def test_guests_have_no_key(client: int, flags: int, end: str, causes: tuple[str, ...]) -> None:
    c = logon(answer(ask(talk(), mode=client), mode=1), flags=flags)
    (record,) = verdicts(c.close("c") if end == "leaves" else leave(connected(c, signed=False)))
    assert record.causes == causes
    if flags:
        assert "signing-not-required" not in record.warnings


# SMB1: Flags2 of the client (0x10 requires, 0x04 signs), SecurityMode of the server (0x04 enabled, 0x08 required).
DISABLED, ENABLED, REQUIRED = 0x03, 0x07, 0x0F
SMB1 = {
    (0, DISABLED): LEFT, (0, ENABLED): LEFT, (0, REQUIRED): MISMATCH,
    (4, DISABLED): LEFT, (4, ENABLED): LEFT, (4, REQUIRED): MISMATCH,
    (0x10, DISABLED): MISMATCH, (0x10, ENABLED): LEFT, (0x10, REQUIRED): MISMATCH,
}  # fmt: skip


@pytest.mark.parametrize(("bits", "causes"), SMB1.items())
def test_smb1_client_leaves_after_the_answer(bits: tuple[int, int], causes: tuple[str, ...]) -> None:
    """Where the server requires signing the client's bits do not say what it can: likely, not proven."""
    (record,) = verdicts(answer_nt(ask_smb1(talk(), CIFS, flags2=0xC801 | bits[0]), 2, mode=bits[1]).close("c"))
    assert record.causes == causes
    likely = causes == LEFT or bits[1] == REQUIRED
    assert record.confidence == ("likely" if likely else "proven")


def smb1_session(c: Conversation, status: int, *, signed: bool) -> Conversation:
    """SESSION_SETUP_ANDX and its answer; the bit of Flags2 says that a message is signed."""
    def flagged(message: bytes) -> bytes:
        flags2 = int.from_bytes(message[10:12], "little") | 0x4000 | (4 if signed else 0)
        return message[:10] + flags2.to_bytes(2, "little") + message[12:]

    c.say("c", m.session(flagged(m.smb1_session_setup("m.huber", "OFFICE"))))
    told = flagged(m.smb1_session_setup_answer())
    return c.say("s", m.session(told[:5] + status.to_bytes(4, "little") + told[9:]))


@pytest.mark.parametrize("bits", SMB1)
def test_smb1_peers_that_go_on_have_no_mismatch(bits: tuple[int, int]) -> None:
    """A server that requires signing may serve an unsigned client all the same."""
    c = answer_nt(ask_smb1(talk(), CIFS, flags2=0xC801 | bits[0]), 2, mode=bits[1])
    (record,) = verdicts(smb1_session(c, 0, signed=bool(bits[0])).close("c"))
    assert (record.outcome, record.causes) == ("negotiated", ())
    assert "smb1-in-use" in record.warnings


@pytest.mark.parametrize(("mode", "signed", "causes"), [
    (REQUIRED, False, ("signing-mismatch",)),
    (REQUIRED, True, ()),
    (ENABLED, False, ()),
])  # fmt: skip
def test_smb1_server_that_requires_signing_refuses_an_unsigned_logon(
    mode: int, signed: bool, causes: tuple[str, ...]
) -> None:
    c = answer_nt(ask_smb1(talk(), CIFS), 2, mode=mode)
    (record,) = verdicts(smb1_session(c, ACCESS_DENIED, signed=signed).close("c"))
    assert record.causes == causes
    assert SESSION
