"""Names inside NTLMSSP messages, and nothing beyond their bounds."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzer.smb import sequel
from analyzer.smb.ntlmssp import Ntlm, read_ntlm
from tests.smb.samples import recorded

UNICODE = 0x00000001


def challenge(target: bytes, pairs: bytes, flags: int = UNICODE) -> bytes:
    """[MS-NLMP] 2.2.1.2"""
    head = 56
    return (
        b"NTLMSSP\0"
        + struct.pack("<IHHII", 2, len(target), len(target), head, flags)
        + bytes(16)
        + struct.pack("<HHI", len(pairs), len(pairs), head + len(target))
        + bytes(8)
        + target
        + pairs
    )


def pair(kind: int, text: str) -> bytes:
    """AV_PAIR. [MS-NLMP] 2.2.2.1"""
    data = text.encode("utf-16-le")
    return struct.pack("<HH", kind, len(data)) + data


def authenticate(answer: bytes, *names: str, flags: int = UNICODE) -> bytes:
    """[MS-NLMP] 2.2.1.3: LM answer, NT answer, domain, user, workstation, session key"""
    wide = [name.encode("utf-16-le" if flags & UNICODE else "latin-1") for name in names]
    payloads = [b"", answer, *wide, b""]
    at, fields = 64, b""
    for payload in payloads:
        fields += struct.pack("<HHI", len(payload), len(payload), at)
        at += len(payload)
    return b"NTLMSSP\0" + struct.pack("<I", 3) + fields + struct.pack("<I", flags) + b"".join(payloads)


PAIRS = pair(2, "DOM") + pair(1, "FILER") + pair(4, "example") + pair(3, "filer.example") + struct.pack("<HH", 0, 0)
ANSWER = bytes(44) + pair(2, "DOM") + pair(9, "cifs/filer.example") + bytes(4)


def test_a_challenge() -> None:
    assert read_ntlm(challenge("DOM".encode("utf-16-le"), PAIRS)) == Ntlm(
        2, UNICODE, "DOM", "FILER", "DOM", "filer.example", "example"
    )


def test_an_authentication() -> None:
    found = read_ntlm(authenticate(ANSWER, "DOM", "user", "CLIENT"))
    assert (found.domain, found.user, found.workstation) == ("DOM", "user", "CLIENT")
    assert (found.target_name, found.ntlmv2, found.anonymous) == ("cifs/filer.example", True, False)


def test_an_older_authentication_has_no_target() -> None:
    found = read_ntlm(authenticate(bytes(24), "DOM", "user", "CLIENT", flags=2))
    assert (found.domain, found.target_name, found.ntlmv2) == ("DOM", None, False)


@pytest.mark.parametrize(("answer", "user", "flags"), [(b"", "", UNICODE), (b"\0", "", UNICODE | 0x800)])
def test_an_anonymous_authentication(answer: bytes, user: str, flags: int) -> None:
    assert read_ntlm(authenticate(answer, "", user, "", flags=flags)).anonymous


def test_a_negotiation() -> None:
    assert read_ntlm(b"NTLMSSP\0" + struct.pack("<II", 1, 0x62088215)) == Ntlm(1, 0x62088215)


def test_an_unknown_type_is_kept() -> None:
    assert read_ntlm(b"NTLMSSP\0" + struct.pack("<I", 9)) == Ntlm(9)
    assert read_ntlm(b"NTLMSSP\0") == Ntlm(None)


def test_messages_of_real_peers() -> None:
    answer = recorded("smb2-session-setup-challenge").body
    assert isinstance(answer, sequel.SessionSetupResponse)
    assert answer.token is not None
    assert answer.token.ntlm is not None
    assert (answer.token.ntlm.message_type, answer.token.ntlm.nb_computer) == (2, "LABSRV")
    asked = recorded("smb2-session-setup-authenticate").body
    assert isinstance(asked, sequel.SessionSetupRequest)
    assert asked.token is not None
    ntlm = asked.token.ntlm
    assert ntlm is not None
    assert (ntlm.domain, ntlm.user, ntlm.target_name) == ("WORKGROUP", "labuser", "cifs/192.168.40.20")


@pytest.mark.parametrize("whole", [challenge(b"D\0", PAIRS), authenticate(ANSWER, "DOM", "user", "CLIENT")])
def test_cut_messages_have_no_more_names_than_whole_ones(whole: bytes) -> None:
    full = read_ntlm(whole)
    for cut in range(len(whole)):
        for name, value in read_ntlm(whole[:cut])._asdict().items():
            assert value is None or value == getattr(full, name), (cut, name)


@given(st.binary(max_size=200))
def test_any_bytes_are_read(data: bytes) -> None:
    read_ntlm(b"NTLMSSP\0" + data)
