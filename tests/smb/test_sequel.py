"""What follows a NEGOTIATE: logon, tree connect, validation, in SMB1 and SMB2."""

from __future__ import annotations

import struct

import pytest

from analyzer.smb import sequel
from tests.smb.made import GUID, block, smb1, smb2
from tests.smb.samples import dissected, faults, recorded


def andx(following: int, offset: int) -> bytes:
    """[MS-CIFS] 2.2.3.4"""
    return struct.pack("<BBH", following, 0, offset)


def test_a_session_setup() -> None:
    body = recorded("smb2-session-setup-negotiate").body
    assert isinstance(body, sequel.SessionSetupRequest)
    assert (body.flags, body.security_mode) == (0, 1)
    assert body.token is not None
    assert body.token.ntlm is not None
    assert body.token.ntlm.message_type == 1


def test_a_session_setup_that_goes_on_is_no_error() -> None:
    message = recorded("smb2-session-setup-challenge")
    assert message.status == 0xC0000016
    assert isinstance(message.body, sequel.SessionSetupResponse)


def test_a_session_setup_answer() -> None:
    message = recorded("smb2-session-setup-success")
    assert isinstance(message.body, sequel.SessionSetupResponse)
    assert message.body.session_flags == 0
    assert message.signed
    assert message.session_id


@pytest.mark.parametrize(("flags", "size"), [(1, 8), (2, 8), (4, 8), (4, 9)])
def test_session_flags(flags: int, size: int) -> None:
    body = dissected(smb2(1, response=True) + struct.pack("<HHHH", 9, flags, 72, 0) + bytes(size - 8)).body
    assert isinstance(body, sequel.SessionSetupResponse)
    assert body.session_flags == flags


def test_a_tree_connect() -> None:
    body = recorded("smb2-tree-connect").body
    assert body == sequel.TreeConnectRequest(r"\\192.168.40.20\IPC$", 0)


def test_a_tree_connect_answer() -> None:
    body = recorded("smb2-tree-connect-success").body
    assert isinstance(body, sequel.TreeConnectResponse)
    assert (body.share_type, body.capabilities) == (2, 0)


def test_the_validation_of_a_negotiation() -> None:
    body = recorded("smb2-validate-request").body
    assert isinstance(body, sequel.ValidateNegotiateRequest)
    assert (body.dialects, body.security_mode, body.max_output) == ((0x0202, 0x0210, 0x0300), 1, 24)
    assert body.guid is not None
    answer = recorded("smb2-validate-response").body
    assert isinstance(answer, sequel.ValidateNegotiateResponse)
    assert (answer.dialect, answer.security_mode) == (0x0300, 1)
    assert answer.guid is not None
    assert answer.guid.rstrip(b"\0") == b"labsrv"


def test_another_ioctl_is_not_dissected() -> None:
    message = dissected(smb2(11, response=False) + struct.pack("<HHI", 57, 0, 0x00060194) + bytes(48))
    assert (message.command, message.body) == (11, None)


def test_a_validation_whose_count_is_too_large() -> None:
    data = struct.pack("<I16sHHH", 1, GUID, 1, 400, 0x0311)
    fixed = struct.pack("<HHI16sIIIIIIII", 57, 0, 0x140204, bytes(16), 120, len(data), 0, 0, 0, 24, 1, 0)
    body = dissected(smb2(11, response=False) + fixed + data).body
    assert body == sequel.ValidateNegotiateRequest(1, GUID, 1, (0x0311,), 24)


def test_a_logoff() -> None:
    assert dissected(smb2(2, response=False) + struct.pack("<HH", 4, 0)).body == sequel.Logoff(4)


def test_other_commands_have_no_body() -> None:
    assert dissected(smb2(5, response=False) + bytes(56)).body is None


def test_a_buffer_outside_the_message_is_a_fault() -> None:
    message = dissected(smb2(3, response=False) + struct.pack("<HHHH", 9, 0, 72, 400))
    assert faults(message) == [("offset-outside", "buffer")]


def test_an_smb1_session_setup() -> None:
    body = recorded("smb1-session-setup-negotiate").body
    assert isinstance(body, sequel.Smb1SessionSetupRequest)
    assert body.word_count == 12
    assert body.token is not None
    assert body.token.kind == "ntlmssp"
    answer = recorded("smb1-session-setup-challenge")
    assert answer.status == 0xC0000016
    assert isinstance(answer.body, sequel.Smb1SessionSetupResponse)
    assert answer.body.action == 0
    assert answer.body.token is not None
    assert answer.body.token.kind == "ntlmssp"


def test_an_smb1_guest() -> None:
    words = andx(0xFF, 0) + struct.pack("<H", 1)
    body = dissected(smb1(0x73, response=True) + block(words, b"")).body
    assert body == sequel.Smb1SessionSetupResponse(1)


def test_an_smb1_tree_connect() -> None:
    assert recorded("smb1-tree-connect").body == sequel.Smb1TreeConnectRequest(r"\\192.168.40.20\IPC$", "IPC")
    assert recorded("smb1-tree-connect-success").body == sequel.Smb1TreeConnectResponse("IPC")


def nt_setup(following: int, offset: int) -> bytes:
    """SESSION_SETUP_ANDX of NT LM 0.12. [MS-CIFS] 2.2.4.53.1"""
    return andx(following, offset) + struct.pack("<HHHIHHII", 4356, 2, 1, 0, 1, 1, 0, 0xD4)


def test_a_chained_tree_connect_is_found() -> None:
    names = b"pw" + b"user\0DOM\0os\0lan\0"
    first = block(nt_setup(0x75, 0), names)
    at = 32 + len(first)
    second = block(andx(0xFF, 0) + struct.pack("<HH", 0, 1), b"\0\\\\FILER\\data\0A:\0")
    message = dissected(smb1(0x73, response=False, flags2=0x4001) + block(nt_setup(0x75, at), names) + second)
    assert message.body == sequel.Smb1SessionSetupRequest(13, 0xD4, None, "user", "DOM", r"\\FILER\data")
    assert faults(message) == []


def test_a_chained_answer_is_found() -> None:
    first = block(andx(0x75, 32 + 1 + 6 + 2) + struct.pack("<H", 0), b"")
    second = block(andx(0xFF, 0) + struct.pack("<H", 1), b"A:\0")
    body = dissected(smb1(0x73, response=True) + first + second).body
    assert body == sequel.Smb1SessionSetupResponse(0, None, tree=True)


@pytest.mark.parametrize("offset", [1, 32, 40, 4000, 0xFFFF])
def test_a_chain_that_does_not_advance_ends(offset: int) -> None:
    message = dissected(smb1(0x73, response=False) + block(nt_setup(0x75, offset), b"pw"))
    assert faults(message) == [("offset-outside", "andx")]


def test_a_chain_of_many_ends() -> None:
    data = smb1(0x73, response=False)
    for _ in range(100):
        data += block(andx(0x75, len(data) + 1 + 8 + 2) + struct.pack("<HH", 0, 0), b"")
    assert isinstance(dissected(data).body, sequel.Smb1SessionSetupRequest)
