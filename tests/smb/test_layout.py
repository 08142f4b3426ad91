"""Fixed parts are read by their wires, and nothing is read past the end."""

from __future__ import annotations

from typing import NamedTuple

import pytest

from analyzer.smb.layout import Layout, Truncated, number, numbers, take, wire


class Record(NamedTuple):
    first: int | None = wire("B", "a.first")
    second: int | None = wire("H")
    third: bytes | None = wire("4s", "a.third")
    rest: tuple[int, ...] = ()


LAYOUT = Layout.of(Record)
DATA = bytes.fromhex("00 01 3412 61626364 ff")


def test_names_and_widths_come_from_the_record() -> None:
    assert LAYOUT.names == ("first", "second", "third")
    assert LAYOUT.size == 7
    assert [one.key for one in LAYOUT.wires] == ["a.first", None, "a.third"]


def test_a_record_that_is_given_nothing_holds_none() -> None:
    assert Record() == (None, None, None, ())


def test_values_are_little_endian_and_unpadded() -> None:
    assert LAYOUT.read(DATA, 1) == (1, 0x1234, b"abcd")


@pytest.mark.parametrize(
    ("cut", "want"),
    [
        (8, (1, 0x1234, b"abcd")),
        (7, (1, 0x1234, None)),
        (4, (1, 0x1234, None)),
        (3, (1, None, None)),
        (2, (1, None, None)),
        (1, (None, None, None)),
        (0, (None, None, None)),
    ],
)
def test_a_field_that_is_cut_is_none(cut: int, want: tuple[object, ...]) -> None:
    assert LAYOUT.read(DATA[:cut], 1) == want
    assert LAYOUT.read(DATA, 1, cut) == want


def test_take_gives_all_or_raises() -> None:
    assert take(b"abcd", 1, 3, "word") == b"bcd"
    assert take(b"abcd", 4, 0, "nothing") == b""
    for at, size in ((1, 4), (5, 0), (-1, 2), (0, -1)):
        with pytest.raises(Truncated, match="word"):
            take(b"abcd", at, size, "word")


def test_numbers_stop_at_the_end() -> None:
    assert number(b"\x01\x02", 0, 2) == 0x0201
    assert number(b"\x01\x02", 1, 2) is None
    assert number(b"\x01\x02", -1, 1) is None
    assert number(b"\x01\x02\x03\x04", 0, 4, end=3) is None
    assert numbers(b"\x01\0\x02\0\x03", 0, 65535) == (1, 2)
    assert numbers(b"\x01\0\x02\0", 0, 65535, end=3) == (1,)
    assert numbers(b"\x01\0", 8, 1) == ()
