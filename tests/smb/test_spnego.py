"""Security buffers: the mechanisms they name, within bounds whatever their lengths claim."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzer.smb import sequel
from analyzer.smb.spnego import object_identifier, read_token, token_kind
from tests.smb.made import HINTS, INIT, KERBEROS_OID, NTLMSSP_OID, SPNEGO_OID, der
from tests.smb.samples import recorded

NTLM = "1.3.6.1.4.1.311.2.2.10"
NEGOTIATE = b"NTLMSSP\0\1\0\0\0\x15\x82\x08\x62"
MECHS = der(0xA0, der(0x30, NTLMSSP_OID))


def test_an_offer() -> None:
    token = read_token(INIT)
    assert (token.form, token.whole, token.mechanism) == ("spnego-init", True, "1.3.6.1.5.5.2")
    assert token.mech_types == ("1.2.840.48018.1.2.2", "1.2.840.113554.1.2.2", NTLM)
    assert token.hint_name == "not_defined_in_RFC4178@please_ignore"
    assert (token.mech_token, token.kind, token.ntlm) == (None, None, None)


def test_an_offer_with_a_token() -> None:
    token = read_token(der(0x60, SPNEGO_OID, der(0xA0, der(0x30, MECHS, der(0xA2, der(4, NEGOTIATE))))))
    assert (token.kind, token.mech_token) == ("ntlmssp", NEGOTIATE)
    assert token.ntlm is not None
    assert (token.ntlm.message_type, token.ntlm.flags) == (1, 0x62088215)


def test_an_older_offer_ends_in_a_checksum() -> None:
    token = read_token(der(0x60, SPNEGO_OID, der(0xA0, der(0x30, MECHS, der(0xA3, der(4, b"mic"))))))
    assert (token.mech_types, token.hint_name) == ((NTLM,), None)


def test_an_answer() -> None:
    inner = der(0x30, der(0xA0, der(0x0A, b"\1")), der(0xA1, NTLMSSP_OID), der(0xA2, der(4, b"NTLMSSP\0\2\0\0\0")))
    token = read_token(der(0xA1, inner))
    assert (token.form, token.whole, token.negotiate_result, token.supported_mech) == ("spnego-response", True, 1, NTLM)
    assert token.kind == "ntlmssp"


def test_answers_of_a_real_server() -> None:
    challenge = recorded("smb2-session-setup-challenge").body
    assert isinstance(challenge, sequel.SessionSetupResponse)
    assert challenge.token is not None
    assert (challenge.token.negotiate_result, challenge.token.supported_mech) == (1, NTLM)
    success = recorded("smb2-session-setup-success").body
    assert isinstance(success, sequel.SessionSetupResponse)
    assert success.token is not None
    assert (success.token.negotiate_result, success.token.kind) == (0, None)


@pytest.mark.parametrize(
    ("buffer", "form", "whole"),
    [
        (b"", "empty", True),
        (NEGOTIATE, "ntlmssp", True),
        (NEGOTIATE[:5], "ntlmssp", False),
        (der(0x60, KERBEROS_OID, b"\1\0"), "kerberos", True),
        (der(0x60, der(6, b"\x2a\x03\x04"), b"x"), "gss", True),
        (b"garbage", "unknown", False),
        (b"\x60", "unknown", False),
        (b"\x60\x80\x06\x01\x00", "unknown", False),
        (b"\x60\x85\1\1\1\1\1\1", "unknown", False),
        (INIT[:-1], "spnego-init", False),
        (der(0x60, SPNEGO_OID), "unknown", True),
        (der(0x60, SPNEGO_OID, der(0x04, b"")), "unknown", True),
        (der(0xA0, der(0x30, MECHS, HINTS)), "spnego-init", True),
        (der(0xA0, b"\x30"), "spnego-init", False),
        (der(0x30, b""), "unknown", True),
    ],
)
def test_the_form_is_told(buffer: bytes, form: str, whole: bool) -> None:
    token = read_token(buffer)
    assert (token.form, token.whole) == (form, whole)


@pytest.mark.parametrize(
    ("content", "want"),
    [
        ("2b0601050502", "1.3.6.1.5.5.2"), ("2a864886f712010202", "1.2.840.113554.1.2.2"), ("00", "0.0"),
        ("8837", "2.999"), ("2b", "1.3"), ("", None), ("2b86", None), ("ff" * 20 + "01", None),
    ],
)  # fmt: skip
def test_object_identifiers(content: str, want: str | None) -> None:
    """X.690 8.19: first two arcs in one, seven bits a byte."""
    assert object_identifier(bytes.fromhex(content)) == want


@pytest.mark.parametrize(
    ("token", "kind"),
    [
        (NEGOTIATE, "ntlmssp"), (b"NEGOEXTS" + bytes(8), "negoex"), (der(0x60, KERBEROS_OID, b"\1\0x"), "kerberos"),
        (der(0x6E, b""), "unknown"), (b"", "unknown"),
    ],
)  # fmt: skip
def test_the_kind_of_the_inner_token(token: bytes, kind: str) -> None:
    assert token_kind(token) == kind


@pytest.mark.parametrize("cut", range(len(INIT)))
def test_a_cut_token_is_never_whole_and_never_raises(cut: int) -> None:
    assert not read_token(INIT[:cut]).whole or cut == 0


@given(st.integers(0, len(INIT) - 1), st.integers(0, 255))
def test_any_byte_may_be_wrong(at: int, value: int) -> None:
    token = read_token(INIT[:at] + bytes((value,)) + INIT[at + 1 :])
    assert len(token.mech_types) <= len(INIT)


def test_depth_is_no_danger() -> None:
    token = b""
    for _ in range(2000):
        token = der(0x60, SPNEGO_OID, der(0xA0, der(0x30, token)))
    assert read_token(token).mech_types == ()
