from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzer.report.safe import clean, defused, encodable, joined

ANYTHING = st.text(st.characters(codec=None))


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("FILER", "FILER"),
        ("Büro 文件", "Büro 文件"),
        ("\x1b[31mred", "\\x1b[31mred"),
        ("a\nb\tc", "a\\x0ab\\x09c"),
        ("\x9b2J", "\\x9b2J"),
        ("cod\u202efdp.exe", "cod\\u202efdp.exe"),
        ("\u2066x\u2069\u200b", "\\u2066x\\u2069\\u200b"),
        ("bad\udcff", "bad\\udcff"),
        ("\U000e0041", "\\U000e0041"),
    ],
)
def test_clean_shows_what_would_act(text: str, shown: str) -> None:
    assert clean(text) == shown


@given(ANYTHING)
def test_clean_text_never_drives_a_terminal(text: str) -> None:
    shown = clean(text)
    assert not re.search("[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\u2028\u2029\u200e\u200f]", shown)
    shown.encode("utf-8")


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", " =", "\xa0+"])
def test_a_formula_is_text_in_a_spreadsheet(start: str) -> None:
    assert defused(f"{start}cmd|'/c calc'!A1").startswith("'")


@pytest.mark.parametrize("text", ["", "SMB 2.1", "10.1.2.3:445", "[fe80::1]:445", "no-common-dialect"])
def test_what_is_no_formula_stays(text: str) -> None:
    assert defused(text) == text


def test_joined_values_cannot_make_cells() -> None:
    assert joined(["SMB 2.1", "x;=1+1", "=2"]) == "SMB 2.1;x\\x3b=1+1;'=2"


def test_encodable_keeps_everything_that_can_be_written() -> None:
    assert encodable("a\x1bü\u202e") == "a\x1bü\u202e"
    assert encodable("a\udcff") == "a\\udcff"
