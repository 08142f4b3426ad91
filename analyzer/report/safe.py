"""What a capture says, made harmless for the eye, a terminal and a spreadsheet.

JSON does not pass through here: its values are as they are, in ASCII.
"""

from __future__ import annotations

import re

# Control characters drive terminals, bidirectional controls reorder what is read, line separators
# break one line in two, and lone surrogates cannot be written at all.
# Compiled when the first text needs it: few do.
_HOSTILE = (
    "[\x00-\x1f\x7f-\x9f\xad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\ud800-\udfff"
    "\U000e0000-\U000e007f]"
)
# What a spreadsheet takes for the start of a formula, also in its full-width forms.
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")


def clean(text: str) -> str:
    r"""The text with every control, bidirectional and unprintable character as an escape: \x1b, \u202e."""
    return re.sub(_HOSTILE, _escape, text) if not text.isascii() or not text.isprintable() else text


def defused(text: str) -> str:
    """The text, cleaned, with an apostrophe in front where a spreadsheet would run it as a formula.

    Blanks in front do not stop a spreadsheet, so they do not count here either.
    """
    start = text.lstrip(" \xa0")
    return "'" + clean(text) if start.startswith(_FORMULA) else clean(text)


def joined(values: tuple[str, ...] | list[str]) -> str:
    r"""A list in one cell, joined by `;`. A semicolon inside a value becomes \x3b."""
    return ";".join(defused(value).replace(";", "\\x3b") for value in values)


def encodable(text: str) -> str:
    """The text with lone surrogates (a path that is no UTF-8) as escapes, for JSON readers that refuse them."""
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode("utf-8")


def _escape(match: re.Match[str]) -> str:
    code = ord(match[0])
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
