"""SMB2 headers, NEGOTIATE and errors are read as the specification lays them out."""

from __future__ import annotations

import struct

import pytest

from analyzer.smb import constants, smb2
from analyzer.smb.message import messages
from tests.smb.made import INIT, packet, request, response
from tests.smb.made import smb2 as header
from tests.smb.samples import dissected, faults, one, recorded


def test_a_request_of_a_real_client() -> None:
    message = recorded("smb2-request-311")
    body = message.body
    assert isinstance(body, smb2.NegotiateRequest)
    assert (message.command, message.response, message.status, message.message_id) == (0, False, None, 0)
    assert body.dialects == (0x0202, 0x0210, 0x0300, 0x0302, 0x0311)
    assert (body.structure_size, body.dialect_count, body.security_mode, body.capabilities) == (36, 5, 1, 0x7F)
    assert (body.context_offset, body.context_count) == (0x70, 4)
    assert body.client_guid is not None
    assert body.client_guid.hex() == "17fdebb8b6f2d5479068ee4e507bd334"
    assert body.start_time is None


def test_an_answer_of_a_real_server() -> None:
    message = recorded("smb2-response-311")
    body = message.body
    assert isinstance(body, smb2.NegotiateResponse)
    assert (message.response, message.status) == (True, 0)
    assert (body.dialect, body.security_mode, body.capabilities) == (0x0311, 1, 0x0F)
    assert (body.max_transact_size, body.max_read_size, body.max_write_size) == (8388608, 8388608, 8388608)
    assert body.token is not None
    assert body.token.mech_types == ("1.3.6.1.4.1.311.2.2.10",)
    assert body.contexts is not None
    assert [one.type for one in body.contexts] == [1, 2, 8]


def test_a_refusal_has_an_error_body() -> None:
    message = recorded("smb2-error-not-supported")
    assert message.status == 0xC00000BB
    assert message.body == smb2.ErrorResponse(9, 0, 0, 0, b"", (), None)


def test_a_refusal_in_the_form_of_an_answer_is_read_as_one() -> None:
    body = dissected(response(status=0xC00000BB)).body
    assert isinstance(body, smb2.NegotiateResponse)
    assert body.dialect == 0x0311


@pytest.mark.parametrize(
    ("message", "want"),
    [
        (request(()), [("empty-list", "dialects")]),
        (response(size=64), [("structure-size", "fixed")]),
        (request()[:90], [("short", "fixed"), ("count-overruns", "dialects")]),
        (response()[:90], [("short", "fixed")]),
        (request((0x0202,), ())[:66] + b"\xff\xff" + request((0x0202,), ())[68:], [("count-overruns", "dialects")]),
        (header(0, response=False)[:40], [("short", "header")]),
        (response(token=INIT[:-3]), [("bad-token", "security-buffer")]),
        (response(token=b"garbage!"), [("bad-token", "security-buffer")]),
        (response(0x0210, (), INIT)[:-8], [("count-overruns", "security-buffer")]),
        (response(token=INIT)[:120] + b"\x40\0" + response(token=INIT)[122:], [("offset-outside", "security-buffer")]),
        (b"\xfeSMB" + struct.pack("<H", 63) + request()[6:], [("structure-size", "header")]),
    ],
)
def test_each_fault_has_its_place(message: bytes, want: list[tuple[str, str]]) -> None:
    assert faults(dissected(message)) == want


@pytest.mark.parametrize("message", [response(0x0210, ()), response(token=INIT), response(token=b"NTLMSSP\0\1\0\0\0")])
def test_every_legal_security_buffer_is_accepted(message: bytes) -> None:
    assert faults(dissected(message)) == []


def test_offset_and_length_of_the_buffer_may_both_be_zero() -> None:
    message = response(0x0210, ())
    body = dissected(message[:120] + bytes(4) + message[124:]).body
    assert isinstance(body, smb2.NegotiateResponse)
    assert (body.security_buffer, body.token is not None and body.token.form) == (b"", "empty")


def test_what_is_cut_off_is_none_and_what_is_not_is_there() -> None:
    """Six bytes of the body are captured: StructureSize, SecurityMode and the dialect."""
    (message,) = messages([(0, packet(response())[: 4 + 64 + 6])], [0])
    body = message.body
    assert isinstance(body, smb2.NegotiateResponse)
    assert (body.structure_size, body.dialect, body.context_count, body.contexts) == (65, 0x0311, None, None)
    assert faults(message) == [("truncated", "message")]


def test_a_header_that_is_cut_still_names_its_command() -> None:
    (message,) = messages([(0, packet(response())[: 4 + 30])], [0])
    assert (message.command, message.response, message.status, message.message_id) == (0, True, 0, None)
    assert message.body is None


def test_the_dialect_of_a_cluster_share() -> None:
    """[MS-SMB2] 3.3.5.7: the error context holds the highest dialect."""
    data = struct.pack("<IIH", 2, 0, 0x0302)
    body = struct.pack("<HBBI", 9, 1, 0, len(data)) + data
    message = dissected(header(3, response=True, status=0xC05D0001) + body)
    assert isinstance(message.body, smb2.ErrorResponse)
    assert message.body.contexts == ((0, b"\x02\x03"),)
    assert message.body.cluster_dialect == 0x0302


def test_an_interim_answer_is_no_negotiate_answer() -> None:
    message = dissected(
        header(0, response=True, status=0x103, flags=constants.FLAG_ASYNC) + struct.pack("<HBBIB", 9, 0, 0, 0, 0)
    )
    assert message.status == 0x103
    assert isinstance(message.body, smb2.ErrorResponse)


def test_a_compound_is_unrolled() -> None:
    first = header(5, response=False, mid=7, following=72) + bytes(8)
    second = header(6, response=False, mid=8, flags=4) + bytes(24)
    found = messages([(0, packet(first + second))], [0])
    assert [(m.command, m.message_id, m.offset, m.at, m.end) for m in found] == [
        (5, 7, 0, 0, 164),
        (6, 8, 72, 0, 164),
    ]


@pytest.mark.parametrize("following", [1, 8, 63, 128, 0xFFFFFFFF])
def test_a_compound_that_does_not_advance_or_leaves_the_packet_ends(following: int) -> None:
    message = one(packet(header(5, response=False, following=following) + bytes(64)))
    assert faults(message) == [("offset-outside", "header")]


def test_signed_is_the_flag_of_the_header() -> None:
    assert one(packet(header(3, response=False, flags=8) + bytes(8))).signed
    assert not one(packet(header(3, response=False) + bytes(8))).signed


def test_encrypted_messages_are_known_and_closed() -> None:
    message = recorded("smb2-encrypted")
    assert (message.kind, message.command, message.body) == ("encrypted", None, None)
    assert message.session_id


def test_compressed_messages_are_known() -> None:
    assert dissected(b"\xfcSMB" + bytes(12)).kind == "compressed"
