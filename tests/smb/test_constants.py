"""Numbers are the specification's; labels take any number."""

from __future__ import annotations

import pytest

from analyzer.smb import constants


@pytest.mark.parametrize(
    ("value", "name"),
    [
        (0x0202, "SMB 2.0.2"), (0x0210, "SMB 2.1"), (0x02FF, "SMB 2.???"), (0x0300, "SMB 3.0"),
        (0x0302, "SMB 3.0.2"), (0x0311, "SMB 3.1.1"), (0x0399, "unknown 0x0399"), (0, "unknown 0x0000"),
    ],
)  # fmt: skip
def test_dialects_have_names(value: int, name: str) -> None:
    assert constants.dialect_name(value) == name


def test_commands_have_names() -> None:
    assert constants.command_name(0) == "NEGOTIATE"
    assert constants.command_name(11) == "IOCTL"
    assert constants.command_name(0x99) == "unknown 0x0099"
    assert constants.smb1_command_name(0x72) == "NEGOTIATE"
    assert constants.smb1_command_name(0x01) == "unknown 0x01"


def test_mechanisms_have_names_or_stay_numbers() -> None:
    assert constants.mechanism_name("1.3.6.1.4.1.311.2.2.10") == "NTLMSSP"
    assert constants.mechanism_name("1.2.3") == "1.2.3"


@pytest.mark.parametrize(
    ("table", "want"),
    [
        (constants.CIPHERS, {1: "AES-128-CCM", 2: "AES-128-GCM", 3: "AES-256-CCM", 4: "AES-256-GCM"}),
        (constants.HASHES, {1: "SHA-512"}),
        (constants.SIGNINGS, {0: "HMAC-SHA256", 1: "AES-CMAC", 2: "AES-GMAC"}),
        (constants.RDMA_TRANSFORMS, {0: "NONE", 1: "ENCRYPTION", 2: "SIGNING"}),
    ],
)
def test_algorithms_are_those_of_the_specification(table: dict[int, str], want: dict[int, str]) -> None:
    """[MS-SMB2] 2.2.3.1.1, 2.2.3.1.2, 2.2.3.1.6, 2.2.3.1.7"""
    assert dict(table) == want


def test_bits_are_those_of_the_specification() -> None:
    """[MS-SMB2] 2.2.3, 2.2.6, 2.2.10, 2.2.1.2; [MS-CIFS] 2.2.3.1, 2.2.4.52.2"""
    assert (constants.CAP_DFS, constants.CAP_LARGE_MTU, constants.CAP_ENCRYPTION) == (1, 4, 0x40)
    assert (constants.SIGNING_ENABLED, constants.SIGNING_REQUIRED) == (1, 2)
    assert (constants.SESSION_GUEST, constants.SESSION_NULL, constants.SESSION_ENCRYPT) == (1, 2, 4)
    assert constants.SHARE_ENCRYPT_DATA == 0x8000
    assert (constants.FLAG_RESPONSE, constants.FLAG_ASYNC, constants.FLAG_SIGNED) == (1, 2, 8)
    assert (constants.FLAGS2_SIGNED, constants.FLAGS2_NT_STATUS, constants.FLAGS2_UNICODE) == (4, 0x4000, 0x8000)
    assert (constants.SMB1_SIGNING_ENABLED, constants.SMB1_SIGNING_REQUIRED) == (4, 8)
    assert constants.FSCTL_VALIDATE_NEGOTIATE_INFO == 0x00140204
