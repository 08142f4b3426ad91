"""Messages and tokens written anew: as long as before, without names, read as the same."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzer.rewrite.connections import rewritten_stream
from analyzer.rewrite.messages import rewritten_body
from analyzer.rewrite.pseudonym import Pseudonyms
from analyzer.rewrite.tokens import rewritten_token
from analyzer.smb.message import messages
from analyzer.smb.ntlmssp import read_ntlm
from analyzer.smb.spnego import read_token
from analyzer.tcp.connection import ByteStream, Run

NAMES = Pseudonyms(b"a key of sixteen or more bytes")
UNICODE = 0x00000001


def utf16(text: str) -> bytes:
    return text.encode("utf-16-le")


def pair(kind: int, value: bytes) -> bytes:
    return struct.pack("<HH", kind, len(value)) + value


def authenticate(user: str, domain: str, host: str, target: str) -> bytes:
    """AUTHENTICATE_MESSAGE with an NTLMv2 response. [MS-NLMP] 2.2.1.3"""
    pairs = pair(2, utf16(domain)) + pair(1, utf16("FS1")) + pair(9, utf16(target)) + bytes(4)
    response = b"P" * 16 + b"\1\1" + bytes(6) + b"T" * 8 + b"C" * 8 + bytes(4) + pairs
    parts = [b"L" * 24, response, utf16(domain), utf16(user), utf16(host), b"K" * 16]
    at, fields = 88, b""
    for part in parts:
        fields += struct.pack("<HHI", len(part), len(part), at)
        at += len(part)
    return b"NTLMSSP\0" + struct.pack("<I", 3) + fields + struct.pack("<I", UNICODE) + bytes(8) + b"M" * 16 + b"".join(parts)


def test_an_authentication_keeps_its_form_and_loses_its_names() -> None:
    old = authenticate("alice", "CORP", "PC-17", "cifs/fs1.example.com")
    new = rewritten_token(old, NAMES)
    assert len(new) == len(old)
    before, after = read_ntlm(old), read_ntlm(new)
    assert after == before._replace(
        user=NAMES.name("alice"), domain=NAMES.name("CORP"), workstation=NAMES.name("PC-17"),
        target_name=NAMES.name("cifs/fs1.example.com"),
    )
    for secret in (b"P" * 16, b"L" * 24, b"K" * 16, b"M" * 16, b"C" * 8, utf16("alice"), utf16("fs1")):
        assert secret not in new


def test_a_target_that_is_an_address_is_that_address_though_longer() -> None:
    old = authenticate("a", "D", "H", "cifs/1.2.3.4")
    assert read_ntlm(rewritten_token(old, NAMES)).target_name == NAMES.name("cifs/1.2.3.4")


def test_a_hint_that_is_a_principal_is_replaced_and_the_constant_is_not() -> None:
    def hint(name: bytes) -> bytes:
        def der(tag: int, content: bytes) -> bytes:
            return bytes((tag, len(content))) + content

        hints = der(0xA3, der(0x30, der(0xA0, der(0x1B, name))))
        mechanisms = der(0xA0, der(0x30, bytes.fromhex("060a2b06010401823702020a")))
        return der(0x60, bytes.fromhex("06062b0601050502") + der(0xA0, der(0x30, mechanisms + hints)))

    assert read_token(rewritten_token(hint(b"cifs/fs1@CORP"), NAMES)).hint_name == NAMES.name("cifs/fs1@CORP")
    constant = hint(b"not_defined_in_RFC4178@please_ignore")
    assert rewritten_token(constant, NAMES) == constant


def test_a_session_request_has_other_names() -> None:
    def encoded(name: bytes) -> bytes:
        padded = name.ljust(15) + b"\x20"
        return b"\x20" + bytes(0x41 + half for byte in padded for half in (byte >> 4, byte & 15)) + b"\0"

    new = rewritten_body(0x81, encoded(b"*SMBSERVER") + encoded(b"CLIENT7"), 68, NAMES)
    assert new == encoded(b"*SMBSERVER") + encoded(NAMES.name("CLIENT7").encode())


def test_a_retarget_names_another_address() -> None:
    assert rewritten_body(0x84, bytes((10, 1, 2, 3, 1, 189)), 6, NAMES) == NAMES.address(bytes((10, 1, 2, 3))) + b"\1\xbd"


@given(data=st.binary(max_size=300), opening=st.sampled_from([b"", b"NTLMSSP\0", b"\x60\x48\x06\x06", b"\xa1\x30"]))
def test_any_token_keeps_its_length(data: bytes, opening: bytes) -> None:
    assert len(rewritten_token(opening + data, NAMES)) == len(opening + data)


@pytest.mark.parametrize("command", [0, 1, 3, 11])
@given(data=st.binary(max_size=300), response=st.booleans(), size=st.integers(0, 1 << 24))
def test_any_smb2_message_keeps_its_length(command: int, data: bytes, response: bool, size: int) -> None:
    head = struct.pack("<4sHHIHHII", b"\xfeSMB", 64, 0, 0, command, 0, int(response), 0) + bytes(40)
    assert len(rewritten_body(0, head + data, size, NAMES)) == 64 + len(data)


@pytest.mark.parametrize("command", [0x72, 0x73, 0x75])
@given(data=st.binary(max_size=200), flags=st.sampled_from([0, 0x80]), flags2=st.integers(0, 0xFFFF))
def test_any_smb1_message_keeps_its_length(command: int, data: bytes, flags: int, flags2: int) -> None:
    head = struct.pack("<4sBIBH", b"\xffSMB", command, 0, flags, flags2) + bytes(20)
    assert len(rewritten_body(0, head + data, 32 + len(data), NAMES)) == 32 + len(data)


@given(data=st.binary(max_size=400), cuts=st.lists(st.integers(1, 399), max_size=4, unique=True))
def test_a_stream_is_read_as_the_same_kinds_at_the_same_places(data: bytes, cuts: list[int]) -> None:
    if not data:
        return
    ends = (*sorted(cut for cut in cuts if cut < len(data)), len(data))
    stream = ByteStream((Run(0, data, ends, tuple(range(len(ends))), (0,) * len(ends)),), ())
    new = rewritten_stream(stream, NAMES).runs[0].data
    starts = [0, *ends[:-1]]
    assert [(m.kind, m.at, m.end, m.foreign) for m in messages([(0, new)], starts)] == [
        (m.kind, m.at, m.end, m.foreign) for m in messages([(0, data)], starts)
    ]


@pytest.mark.parametrize("said", [
    b"HTTP/1.1 400 Bad Request\r\nServer: web.corp.example\r\n", b"SSH-2.0-OpenSSH_9.2 fs1\r\n", b"\x16\x03\x01\x02\x00\x01\x00secret",
    b"220 mail.corp.example ESMTP\r\n", b"220 ftp.corp.example ready\r\n", b"RFB 003.008\ncorp.example", b"\0\0\0\0corp.example",
    b"nothing known corp.example",
])
def test_another_protocol_is_known_by_its_opening_alone(said: bytes) -> None:
    stream = ByteStream((Run(0, said, (len(said),), (1,), (0,)),), ())
    new = rewritten_stream(stream, NAMES).runs[0].data
    assert [m.foreign for m in messages([(0, new)], [0])] == [m.foreign for m in messages([(0, said)], [0])]
    assert b"corp" not in new and b"secret" not in new and b"fs1" not in new
