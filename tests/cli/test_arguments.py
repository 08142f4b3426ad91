from __future__ import annotations

import argparse

import pytest

from analyzer.cli import arguments


@pytest.mark.parametrize(
    ("text", "value"),
    [("1", 1), ("512M", 512 << 20), ("4G", 4 << 30), ("4GiB", 4 << 30), ("64k", 64 << 10), ("2TB", 2 << 40)],
)
def test_sizes(text: str, value: int) -> None:
    assert arguments.size(text) == value


@pytest.mark.parametrize("text", ["", "0", "G", "-1", "1.5G", "4X", "1e9", "gg4"])
def test_what_is_no_size(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError):
        arguments.size(text)


@pytest.mark.parametrize(("text", "value"), [("445", 445), ("65535", 65535), ("any", None)])
def test_ports(text: str, value: int | None) -> None:
    assert arguments.port(text) == value


@pytest.mark.parametrize("text", ["0", "65536", "-1", "smb", "", "٤٤٥"])
def test_what_is_no_port(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError):
        arguments.port(text)


def test_given_ports_stand_beside_the_standard_ones() -> None:
    assert arguments.wanted_ports([]) == frozenset({139, 445})
    assert arguments.wanted_ports([4455]) == frozenset({139, 445, 4455})
    assert arguments.wanted_ports([4455, None]) is None


@pytest.mark.parametrize(
    ("text", "value"),
    [("10.0.0.1", bytes([10, 0, 0, 1])), ("::1", bytes(15) + b"\x01"), ("[::1]", bytes(15) + b"\x01"),
     ("fe80::1%eth0", bytes.fromhex("fe80000000000000" + "0000000000000001"))],
)
def test_hosts(text: str, value: bytes) -> None:
    assert arguments.host(text) == value


@pytest.mark.parametrize("text", ["filer", "10.0.0", "10.0.0.1:445", ""])
def test_what_is_no_address(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError):
        arguments.host(text)


def test_slugs_may_stand_together() -> None:
    assert arguments.slugs("a, b,,c") == ["a", "b", "c"]
