from __future__ import annotations

import pickle

import pytest

from analyzer.diagnosis.expression import Defect, ExpressionErrors, Language, Result, Unknown
from analyzer.diagnosis.loader import language_of
from tests.diagnosis.toy import FACTS

LANGUAGE = language_of(FACTS)

VALUES: list[tuple[str, dict[str, object], Result]] = [
    ("connection.up", {"connection.up": True}, True),
    ("connection.up", {"connection.up": False}, False),
    ("connection.up", {}, Unknown("connection.up")),
    ("!connection.up", {}, Unknown("connection.up")),
    ("response.smb2.nt_status != 0", {}, Unknown("response.smb2.nt_status")),
    ("0x0311 in request.smb2.dialect", {}, Unknown("request.smb2.dialect")),
    ("connection.up && connection.refused", {"connection.up": False}, False),
    ("connection.refused && connection.up", {"connection.up": False}, False),
    ("connection.refused || connection.up", {"connection.up": True}, True),
    ("connection.refused || connection.up", {"connection.up": False}, Unknown("connection.refused")),
    ("0x0311 in request.smb2.dialect", {"request.smb2.dialect": (0x202, 0x311)}, True),
    ("request.smb2.dialect.exists(d, d > 0x300)", {"request.smb2.dialect": [0x202]}, False),
    ("request.smb2.dialect.all(d, d > 0x300)", {"request.smb2.dialect": []}, True),
    (
        "request.smb2.dialect[3] == 1",
        {"request.smb2.dialect": [1]},
        Defect("UNKNOWN: Index error: index=3 size=1"),
    ),
    (
        "response.smb2.nt_status / 0 == 1",
        {"response.smb2.nt_status": 1},
        Defect("INVALID_ARGUMENT: divide by zero"),
    ),
    ("connection.skew > 300.0", {"connection.skew": 301}, True),
    (
        "request.smb.dialect.name.exists(n, n.startsWith('SMB'))",
        {"request.smb.dialect.name": ["SMB 2.002"]},
        True,
    ),
    ("'\ufffd' in request.smb.dialect.name", {"request.smb.dialect.name": ["\udc80"]}, False),
    ("'?' in request.smb.dialect.name", {"request.smb.dialect.name": ["\udc80"]}, True),
]


@pytest.mark.parametrize(("text", "facts", "result"), VALUES)
def test_a_condition_is_true_false_or_says_what_it_lacks(
    text: str, facts: dict[str, object], result: Result
) -> None:
    assert LANGUAGE.compile(text).evaluate(LANGUAGE.bind(facts)) == result


def test_a_long_list_of_a_hostile_client_only_silences_the_rule() -> None:
    program = LANGUAGE.compile("request.smb2.dialect.exists(a, request.smb2.dialect.exists(b, a + b == -1))")
    result = program.evaluate(LANGUAGE.bind({"request.smb2.dialect": list(range(30_000))}))
    assert isinstance(result, Defect)
    assert "budget" in result.problem


REFUSED = [
    ("request.smb2.dialekt == 1", [(1, 1, "unknown name 'request.smb2.dialekt'", "request.smb2.dialekt")]),
    ("connection.up &&\n   nothing.here", [(2, 4, "unknown name 'nothing.here'", "nothing.here")]),
    ("'ü' == connection.server && a", [(1, 29, "unknown name 'a'", "a")]),
    ("a.b || c.d", [(1, 1, "unknown name 'a.b'", "a.b"), (1, 8, "unknown name 'c.d'", "c.d")]),
    ("request.smb2.dialect == 1", [(1, 22, "found no matching overload for '_==_' applied to '(list(int), int)'", None)]),
    ("response.smb2.nt_status == 'x'", [(1, 25, "found no matching overload for '_==_' applied to '(int, string)'", None)]),
    ("connection.up &&", [(1, 17, "Syntax error: the condition ends too early", None)]),
    ("response.smb2.nt_status & 1 == 1", [(1, 25, "Syntax error: token recognition error at: '& '", None)]),
    ("response.smb2.nt_status", [(1, 1, "a condition is true or false, this is int", None)]),
    ("", [(1, 1, "Syntax error: the condition ends too early", None)]),
]  # fmt: skip


@pytest.mark.parametrize(("text", "expected"), REFUSED)
def test_a_wrong_condition_is_refused_with_every_place(
    text: str, expected: list[tuple[int, int, str, str | None]]
) -> None:
    with pytest.raises(ExpressionErrors) as caught:
        LANGUAGE.compile(text)
    assert [(e.line, e.column, e.problem, e.name) for e in caught.value.errors] == expected


@pytest.mark.parametrize("text", ["(" * 1000 + "true" + ")" * 1000, "true" + " || true" * 50_000])
def test_a_hostile_condition_is_refused(text: str) -> None:
    with pytest.raises(ExpressionErrors):
        LANGUAGE.compile(text)


NAMES = [
    ("connection.up && connection . refused", {"connection.up", "connection.refused"}),
    ("request.smb2.dialect.exists(d, d == response.smb2.nt_status)", {"request.smb2.dialect", "response.smb2.nt_status"}),
    ("connection.server == 'connection.up' // connection.refused\n", {"connection.server"}),
    ("'it\\'s' == connection.server && r'\\d' == connection.outcome", {"connection.server", "connection.outcome"}),
    ('"""\n"connection.up""" == connection.server', {"connection.server"}),
    ("size(request.smb2.dialect) == 1", {"request.smb2.dialect"}),
]  # fmt: skip


@pytest.mark.parametrize(("text", "names"), NAMES)
def test_a_condition_knows_the_facts_it_reads(text: str, names: set[str]) -> None:
    assert LANGUAGE.names(text) == names
    LANGUAGE.compile(text)
    # None of them is named for nothing: without it the condition cannot even be compiled.
    for name in names:
        fewer = Language({other: fact.type for other, fact in FACTS.items() if other != name})
        with pytest.raises(ExpressionErrors):
            fewer.compile(text)


def test_a_language_pickles_without_its_programs() -> None:
    again = pickle.loads(pickle.dumps(LANGUAGE))
    assert again.compile("connection.up").evaluate(again.bind({"connection.up": True})) is True
