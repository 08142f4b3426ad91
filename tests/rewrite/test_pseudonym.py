"""Pseudonyms: prefixes, lengths and equality survive, nothing else does."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from yacryptopan import CryptoPAn

from analyzer.rewrite.pseudonym import Pseudonyms

# Key and addresses of the sample trace that came with Crypto-PAn 1.0.
SAMPLE_KEY = bytes((
    21, 34, 23, 141, 51, 164, 207, 128, 19, 10, 91, 22, 73, 144, 125, 16,
    216, 152, 143, 131, 121, 121, 101, 39, 98, 87, 76, 45, 42, 132, 34, 2,
))
SAMPLE = {
    "128.11.68.132": "135.242.180.132",
    "129.118.74.4": "134.136.186.123",
    "130.132.252.244": "133.68.164.234",
    "141.223.7.43": "141.167.8.160",
    "141.233.145.108": "141.129.237.235",
    "152.163.225.39": "151.140.114.167",
    "156.29.3.236": "147.225.12.42",
    "165.247.96.84": "162.9.99.234",
    "166.107.77.190": "160.132.178.185",
    "192.102.249.13": "252.138.62.131",
    "192.215.32.125": "252.43.47.189",
}
NAMES = Pseudonyms(b"a key of sixteen or more bytes")
WORDS = st.text("abcdefghijklmnopqrstuvwxyz0123456789-", min_size=1, max_size=20)


def shared(first: bytes, second: bytes) -> int:
    """How many leading bits are the same."""
    size = len(first) * 8
    return size - (int.from_bytes(first, "big") ^ int.from_bytes(second, "big")).bit_length()


@pytest.mark.parametrize(("address", "expected"), SAMPLE.items())
def test_the_library_is_crypto_pan(address: str, expected: str) -> None:
    assert CryptoPAn(SAMPLE_KEY).anonymize(address) == expected


@pytest.mark.parametrize("size", [4, 16])
@given(data=st.data())
def test_addresses_keep_what_they_have_in_common(size: int, data: st.DataObject) -> None:
    first, second = (data.draw(st.binary(min_size=size, max_size=size)) for _ in range(2))
    reserved = {bytes(4), b"\xff" * 4, bytes(16)}
    if not {first, second} & reserved:
        assert shared(NAMES.address(first), NAMES.address(second)) == shared(first, second)


@given(first=st.binary(min_size=6, max_size=6), second=st.binary(min_size=6, max_size=6))
def test_hardware_addresses_do_too_and_groups_stay_groups(first: bytes, second: bytes) -> None:
    if not {first, second} & {bytes(6), b"\xff" * 6}:
        assert shared(NAMES.hardware(first), NAMES.hardware(second)) == shared(first, second)
        assert NAMES.hardware(first)[0] & 1 == first[0] & 1


def test_an_address_nobody_has_stays() -> None:
    assert NAMES.address(bytes(4)) == bytes(4)
    assert NAMES.address(b"\xff" * 4) == b"\xff" * 4
    assert NAMES.address(bytes(16)) == bytes(16)
    assert NAMES.hardware(b"\xff" * 6) == b"\xff" * 6
    assert NAMES.guid(bytes(16)) == bytes(16)


@given(first=WORDS, second=WORDS)
def test_names_are_equal_exactly_where_they_were(first: str, second: str) -> None:
    assert (NAMES.name(first) == NAMES.name(second)) == (first == second)
    assert len(NAMES.name(first)) == len(first)


@given(name=st.text(max_size=30))
def test_a_name_in_place_keeps_its_length(name: str) -> None:
    assert len(NAMES.name(name, keep_length=True)) == len(name)
    assert len(NAMES.path(name)) == len(name)


def test_a_host_is_known_again_by_its_label() -> None:
    host = NAMES.name("fs1.corp.example.com")
    assert NAMES.name("FS1") == host.split(".")[0].upper()
    assert NAMES.name("cifs/fs1.corp.example.com") == f"cifs/{host}"
    assert NAMES.name("CORP\\alice").split("\\")[0].lower() == host.split(".")[1]


def test_an_address_that_is_written_out_is_that_address() -> None:
    new = str(ipaddress.ip_address(NAMES.address(bytes((10, 1, 2, 3)))))
    assert NAMES.name("cifs/10.1.2.3") == f"cifs/{new}"
    assert NAMES.name("10.1.2.3", keep_length=True) == (new if len(new) == 8 else NAMES.name("10.1.2.3", keep_length=True))
    assert "10.1.2.3" not in NAMES.name("\\\\10.1.2.3\\data", keep_length=True)


def test_what_names_nobody_stays() -> None:
    assert NAMES.name("*SMBSERVER") == "*SMBSERVER"
    assert NAMES.name("not_defined_in_RFC4178@please_ignore") == "not_defined_in_RFC4178@please_ignore"
    assert NAMES.path("\\\\FS1\\IPC$") == f"\\\\{NAMES.name('FS1')}\\IPC$"
    assert not NAMES.path("\\\\FS1\\payroll").endswith("payroll")


def test_another_key_gives_other_names() -> None:
    other = Pseudonyms(b"another key of sixteen bytes")
    assert other.name("fileserver") != NAMES.name("fileserver")
    assert other.address(bytes((10, 1, 2, 3))) != NAMES.address(bytes((10, 1, 2, 3)))
    assert other.guid(b"0123456789abcdef") != NAMES.guid(b"0123456789abcdef")


def test_a_short_key_is_refused() -> None:
    with pytest.raises(ValueError, match="16 bytes or more, not 5"):
        Pseudonyms(b"short")
