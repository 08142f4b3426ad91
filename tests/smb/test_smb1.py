"""SMB1 NEGOTIATE in every form that a server may answer with."""

from __future__ import annotations

import pytest

from analyzer.smb import smb1
from analyzer.smb.message import messages
from tests.smb.made import CHALLENGE, GUID, INIT, MADE, NT_DIALECTS, block, nt_words, packet
from tests.smb.made import smb1 as header
from tests.smb.samples import dissected, faults, recorded


def answer(name: str) -> smb1.NegotiateResponse:
    body = dissected(MADE[name]).body
    assert isinstance(body, smb1.NegotiateResponse)
    return body


def offer(message: bytes) -> smb1.NegotiateRequest:
    body = dissected(message).body
    assert isinstance(body, smb1.NegotiateRequest)
    return body


def test_all_dialect_strings_are_read() -> None:
    assert offer(MADE["smb1-request-lanman"]).dialects == NT_DIALECTS
    body = recorded("smb1-request-multi").body
    assert isinstance(body, smb1.NegotiateRequest)
    assert body.dialects[-2:] == ("SMB 2.002", "SMB 2.???")


def test_a_string_without_an_end_is_told_apart() -> None:
    message = dissected(MADE["smb1-request-unterminated"])
    body = message.body
    assert isinstance(body, smb1.NegotiateRequest)
    assert (body.dialects, body.unterminated) == (("NT LM 0.12",), "SMB 2")
    assert faults(message) == [("count-overruns", "dialects")]


def test_odd_bytes_before_a_string_are_kept() -> None:
    body = offer(MADE["smb1-request-odd-format"])
    assert (body.dialects, body.buffer_formats) == (("NT LM 0.12", "SMB 2.002"), (2, 7))


def test_an_empty_offer_is_a_fault() -> None:
    assert faults(dissected(MADE["smb1-request-empty"])) == [("empty-list", "dialects")]


def test_bytes_that_are_no_ascii_do_not_matter() -> None:
    assert offer(header(0x72, response=False) + block(b"", b"\x02\xff\xfe\0")).dialects == ("��",)


@pytest.mark.parametrize("name", ["smb1-response-refused", "smb1-response-no-words"])
def test_both_forms_of_a_refusal_have_the_index(name: str) -> None:
    assert answer(name).dialect_index == 0xFFFF


def test_a_refusal_of_a_real_server() -> None:
    body = recorded("smb1-response-ffff").body
    assert isinstance(body, smb1.NegotiateResponse)
    assert body.dialect_index == 0xFFFF


def test_other_bytes_without_words_are_no_index() -> None:
    message = dissected(header(0x72, response=True) + block(b"", b"\0\0"))
    assert isinstance(message.body, smb1.NegotiateResponse)
    assert message.body.dialect_index is None


def test_the_core_form() -> None:
    assert answer("smb1-response-core") == smb1.NegotiateResponse(1, 0, byte_count=0)


def test_the_lanman_form() -> None:
    body = answer("smb1-response-lanman")
    assert (body.word_count, body.dialect_index, body.security_mode) == (13, 3, 3)
    assert (body.max_buffer_size, body.max_mpx_count, body.max_vcs, body.raw_mode) == (4096, 10, 1, 3)
    assert (body.session_key, body.time_zone, body.challenge) == (0x1234, 60, CHALLENGE)
    assert body.server_time == 0x5B766C32
    assert body.domain == "WORKGROUP"


@pytest.mark.parametrize(
    ("name", "server"),
    [
        ("smb1-response-nt-challenge", "FILER"),
        ("smb1-response-nt-oem", "FILER"),
        ("smb1-response-nt-odd", None),
    ],
)
def test_the_nt_form_with_a_challenge(name: str, server: str | None) -> None:
    body = answer(name)
    assert (body.word_count, body.dialect_index, body.max_mpx_count, body.max_vcs) == (17, 4, 50, 1)
    assert (body.max_buffer_size, body.max_raw_size, body.session_key) == (16644, 65536, 0x1234)
    assert (body.system_time, body.time_zone) == (0x01DD7A5D12345678, -120)
    assert (body.challenge, body.domain, body.server) == (CHALLENGE, "WORKGROUP", server)
    assert (body.server_guid, body.token) == (None, None)


def test_the_nt_form_with_extended_security() -> None:
    body = answer("smb1-response-nt-extended")
    assert (body.server_guid, body.security_buffer, body.challenge) == (GUID, INIT, None)
    assert body.token is not None
    assert body.token.mech_types[-1] == "1.3.6.1.4.1.311.2.2.10"


def test_an_answer_of_a_real_server() -> None:
    message = recorded("smb1-response-samba")
    body = message.body
    assert isinstance(body, smb1.NegotiateResponse)
    assert isinstance(message.header, smb1.Smb1Header)
    assert (message.header.flags2, message.status) == (0xC843, 0)
    assert (body.capabilities, body.security_mode) == (0x8080F3FD, 3)


@pytest.mark.parametrize(
    ("message", "want"),
    [
        (header(0x72, response=True)[:20], [("short", "header")]),
        (header(0x72, response=True) + b"\x11" + bytes(10), [("short", "fixed")]),
        (header(0x72, response=True) + block(b"\0\0", b"")[:-2] + b"\xff\0", [("count-overruns", "bytes")]),
        (header(0x72, response=True) + block(bytes(10), b""), [("structure-size", "fixed")]),
        (header(0x72, response=True) + block(nt_words(0x8000F3FD, 0), b"short"), [("short", "bytes")]),
        (header(0x72, response=True) + block(nt_words(0x0000F3FD, 8), b"four"), [("count-overruns", "bytes")]),
        (header(0x72, response=True) + block(nt_words(0x8000F3FD, 0), GUID + b"bad!"), [("bad-token", "security-buffer")]),
    ],
)
def test_each_fault_has_its_place(message: bytes, want: list[tuple[str, str]]) -> None:
    assert faults(dissected(message)) == want


def test_what_is_cut_off_is_none_and_what_is_not_is_there() -> None:
    data = packet(MADE["smb1-response-nt-challenge"])
    (message,) = messages([(0, data[: 4 + 32 + 1 + 5])], [0])
    body = message.body
    assert isinstance(body, smb1.NegotiateResponse)
    assert (body.dialect_index, body.security_mode, body.max_mpx_count, body.max_vcs) == (4, 3, 50, None)
    assert faults(message) == [("truncated", "message")]
