"""Captures under pseudonyms: the same diagnosis, right checksums, and nobody's name in the bytes."""

from __future__ import annotations

import io
import ipaddress
import re
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from analyzer.rewrite.mask import masked_options
from tests import variants
from tests.captures import Capture, every_capture, pcap, read
from tests.packets import DoesNotApply
from tests.rewrite.reading import KEY, masked, said

# What tshark reads of who talks to whom.
ADDRESSES = ["ip.src", "ip.dst", "ipv6.src", "ipv6.dst"]
HARDWARE = ["eth.src", "eth.dst", "sll.src.eth"]
GUIDS = ["smb2.client_guid", "smb2.server_guid", "smb.server_guid"]
NAMES = [
    "ntlmssp.auth.username", "ntlmssp.auth.domain", "ntlmssp.auth.hostname", "ntlmssp.challenge.target_name",
    "ntlmssp.challenge.target_info.nb_computer_name", "ntlmssp.challenge.target_info.nb_domain_name",
    "ntlmssp.challenge.target_info.dns_computer_name", "ntlmssp.challenge.target_info.dns_domain_name",
    "ntlmssp.ntlmv2_response.nb_domain_name", "ntlmssp.ntlmv2_response.nb_computer_name",
    "ntlmssp.ntlmv2_response.dns_computer_name", "ntlmssp.ntlmv2_response.dns_domain_name",
    "ntlmssp.ntlmv2_response.target_name", "smb2.tree", "smb.path", "smb.account", "smb.primary_domain", "smb.server",
    "smb2.negotiate_context.netname", "nbss.called_name", "nbss.calling_name", "smb2.filename", "smb.file",
    "dns.qry.name", "nbns.name", "spnego.hintName", "frame.comment", "kerberos.CNameString", "kerberos.realm",
]
# Words that name nobody, or are shorter than chance.
COMMON = {
    "WORKGROUP", "SMBSERVER", "*SMBSERVER", "CIFS", "HOST", "IPC$", "ADMIN$", "PRINT$", "NETLOGON", "SYSVOL", "NULL",
    "NOT_DEFINED_IN_RFC4178", "PLEASE_IGNORE", "NEGDIAG",
}
SHORTEST = 4
# Made of bytes that stand elsewhere by chance: AA in every field of a fuzzed header, 7F000001 across a
# time stamp and a length.
BY_CHANCE = {
    ("ndpi-fuzz-2006-06-26-2594.pcap", "170.170.170.170"), ("ndpi-fuzz-2006-06-26-2594.pcap", "aa:aa:aa:aa:aa:aa"),
    ("suricata-smb-length-5770.pcap", "127.0.0.1"),
}
FOLDERS = ["samples", "lab", "public"]


def known(tshark: str, capture: Path) -> set[tuple[str, str]]:
    """Field and value of everything in a capture that names somebody."""
    fields = [*ADDRESSES, *HARDWARE, *GUIDS, *NAMES]
    command = [tshark, "-r", str(capture), "-T", "fields", "-E", "separator=\1", "-E", "aggregator=\2"]
    for field in fields:
        command += ["-e", field]
    lines = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False).stdout.splitlines()
    return {
        (field, value)
        for line in lines
        for field, values in zip(fields, line.split("\1"), strict=False)
        for value in values.split("\2")
        if value
    }


def spellings(field: str, value: str) -> Iterator[bytes]:
    """Every way in which something could stand in the bytes of a capture."""
    if field in ADDRESSES:
        address = ipaddress.ip_address(value)
        if address.packed not in (bytes(4), bytes(16), b"\xff" * 4):
            yield from (address.packed, value.encode(), value.encode("utf-16-le"), value.encode("utf-16-be"))
    elif field in HARDWARE:
        raw = bytes.fromhex(value.replace(":", ""))
        if raw not in (bytes(6), b"\xff" * 6):
            yield from (raw, value.encode())
    elif field in GUIDS:
        guid = uuid.UUID(value)
        if guid.int:
            yield from (guid.bytes, guid.bytes_le, value.encode())
    else:
        for word in re.split(r"[\\/@.<>()\s]+", value):
            if len(word) >= SHORTEST and word.upper() not in COMMON:
                for text in {word, word.upper(), word.lower()}:
                    yield from (text.encode(), text.encode("utf-16-le"), text.encode("utf-16-be"))
                name = word.upper().encode("latin-1", "replace")[:15]
                yield bytes(0x41 + half for byte in name for half in (byte >> 4, byte & 15))


@pytest.mark.parametrize("folder", FOLDERS)
def test_nobody_is_named_in_the_bytes(folder: str, request: pytest.FixtureRequest, tshark: str) -> None:
    looked_for = 0
    for capture in every_capture(request.getfixturevalue(folder)):
        new = masked(capture)
        for field, value in sorted(known(tshark, capture)):
            if (capture.name, value) in BY_CHANCE:
                continue
            for spelling in spellings(field, value):
                looked_for += 1
                assert spelling not in new, f"{capture.name}: {field} {value!r} as {spelling.hex()}"
    assert looked_for > 1000


@pytest.mark.parametrize("folder", FOLDERS)
def test_the_diagnosis_is_that_of_the_original(folder: str, request: pytest.FixtureRequest) -> None:
    for capture in every_capture(request.getfixturevalue(folder)):
        assert said(io.BytesIO(masked(capture))) == said(str(capture)), capture.name


@pytest.mark.parametrize("folder", FOLDERS)
def test_reports_under_pseudonyms_say_the_same(folder: str, request: pytest.FixtureRequest) -> None:
    for capture in every_capture(request.getfixturevalue(folder)):
        assert said(str(capture), key=KEY) == said(str(capture)), capture.name


def test_checksums_that_were_right_are_right(samples: Path, tshark: str, tmp_path: Path) -> None:
    """The made captures are right to the last byte."""
    for name in ("ok-sequence-wrap.pcap", "icmp-rejected.pcap", "ok-ip-fragments.pcap", "ok-ipv6-extension-headers.pcap"):
        path = tmp_path / "masked.pcapng"
        path.write_bytes(masked(samples / name))
        command = [
            tshark, "-r", str(path), "-o", "tcp.check_checksum:TRUE", "-o", "ip.check_checksum:TRUE", "-o",
            "udp.check_checksum:TRUE", "-Y",
            "tcp.checksum.status==0 || ip.checksum.status==0 || icmp.checksum.status==0 || udp.checksum.status==0",
        ]
        assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "", name


CARRIERS = ["no-common-dialect.pcap", "ok-nt1.pcap"]


@pytest.mark.parametrize("sample", CARRIERS)
@pytest.mark.parametrize("name", variants.REFRAMED)
def test_what_carries_the_packets_does_not_matter(name: str, sample: str, samples: Path) -> None:
    """Tags, tunnels and link layers: rewritten, and the same diagnosis comes out."""
    try:
        changed: Capture = variants.REFRAMED[name](read(samples / sample))
    except DoesNotApply as reason:
        pytest.skip(f"{name}: {reason}")
    file = io.BytesIO(pcap(changed))
    before = said(file)
    new = masked(file)
    assert said(io.BytesIO(new)) == before
    for address in {address for frame in read(samples / sample).frames for address in (frame.data[26:30], frame.data[30:34])}:
        assert address not in new


@pytest.mark.parametrize(("old", "new"), [
    ("0101080a0102030405060708", "0101080a0102030405060708"),
    ("020405b40402080a01020304000000000103030a", "020405b40402080a01020304000000000103030a"),
    ("4c0a0101c0a8000100000101", "010101010101010101010101"),     # a probe that tells an address
    ("0101050a0102030405060708", "0101050a0102030405060708"),
    ("00c0a80001ffffff", "0000000000000000"),
    ("02ffffff", "01010101"),
    ("0200", "0101"),
])
def test_tcp_options_that_are_not_known_become_padding(old: str, new: str) -> None:
    assert masked_options(bytes.fromhex(old)).hex() == new
