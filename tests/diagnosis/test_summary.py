from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzer.diagnosis.summary import MAX_ITEMS, MAX_TEXT, SummaryError, Template, shown

SHOWN: list[tuple[str, object, str]] = [
    ("request.smb2.dialect", [0x0202, 0x0311, 0x0399], "SMB 2.0.2, SMB 3.1.1, unknown 0x0399"),
    ("response.smb2.dialect", 0x02FF, "SMB 2.???"),
    ("response.smb2.nt_status", 0xC00000BB, "STATUS_NOT_SUPPORTED"),
    ("connection.tree_status", 0xC0000022, "STATUS_ACCESS_DENIED"),
    ("response.smb2.nt_status", 0xDEADBEEF, "unknown 0xDEADBEEF"),
    ("response.smb2.negotiate_context.cipher_id", [2], "AES-128-GCM"),
    ("response.smb2.negotiate_context.cipher_id", [0], "none"),
    ("request.smb2.negotiate_context.signing_id", [0, 9], "HMAC-SHA256, unknown 0x0009"),
    ("request.smb2.negotiate_context.hash_algorithm", [1], "SHA-512"),
    ("request.smb2.negotiate_context.type", [8], "SMB2_SIGNING_CAPABILITIES"),
    ("response.nbss.error_code", 0x82, "called name not present"),
    ("response.smb.dialect.index", 0xFFFF, "0xFFFF"),
    ("response.smb.dialect.index", 3, "3"),
    ("response.spnego.MechType", ["1.3.6.1.4.1.311.2.2.10", "1.2.3"], "NTLMSSP, 1.2.3"),
    ("request.smb.dialect.name", ["NT LM 0.12", "SMB 2.???"], "NT LM 0.12, SMB 2.???"),
    ("request.smb2.dialect", [], "none"),
    ("connection.port", 445, "445"),
    ("connection.up", True, "yes"),
    ("connection.up", False, "no"),
    ("connection.skew", 0.0008124, "0.000812"),
    ("connection.skew", 3600.4, "3600"),
    ("connection.server", None, "not captured"),
]


@pytest.mark.parametrize(("name", "value", "text"), SHOWN)
def test_a_value_prints_under_the_label_of_its_specification(name: str, value: object, text: str) -> None:
    assert shown(name, value) == text


def test_what_a_hostile_peer_sends_stays_one_sentence() -> None:
    assert shown("request.smb2.dialect", [0x202] * 30_000).endswith("SMB 2.0.2 and 29984 more")
    assert shown("request.smb2.dialect", [0x202] * 30_000).count("SMB 2.0.2") == MAX_ITEMS
    assert len(shown("connection.server", "x" * 65_536)) == MAX_TEXT + 1


def test_a_template_puts_values_between_its_words() -> None:
    template = Template("{{{connection.server}}} says { connection.port }, {nothing}.")
    assert [place.name for place in template.placeholders] == [
        "connection.server",
        "connection.port",
        "nothing",
    ]
    assert [place.offset for place in template.placeholders] == [3, 30, 51]
    assert (
        template.fill({"connection.server": "a{b}", "connection.port": 445})
        == "{a{b}} says 445, not captured."
    )


@pytest.mark.parametrize(
    ("text", "offset"), [("a {b", 2), ("a }b", 2), ("{}", 0), ("{ }", 0), ("{a{b}}", 0), ("x }} }", 5)]
)
def test_a_brace_without_a_partner_is_refused_with_its_place(text: str, offset: int) -> None:
    with pytest.raises(SummaryError) as caught:
        Template(text)
    assert caught.value.offset == offset


@given(st.text())
def test_a_text_whose_braces_are_doubled_is_itself(text: str) -> None:
    assert Template(text.replace("{", "{{").replace("}", "}}")).fill({}) == text
