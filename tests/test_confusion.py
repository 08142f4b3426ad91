"""What is said of labelled captures is what their labels say, and nothing beside it: `python -m tests.confusion`."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.confusion import Found, Judged, differences, judge, matrix, silent


@pytest.fixture(scope="module")
def judged(samples: Path) -> Judged:
    return judge([samples])


def test_every_sample_is_as_its_label_says(judged: Judged) -> None:
    assert [line for one in judged.found for line in differences(one)] == []
    assert judged.missing == ()


def test_every_recorded_connection_is_as_its_label_says_and_every_rule_fires(judged: Judged, lab: Path) -> None:
    recorded = judge([lab])
    assert [line for one in recorded.found for line in differences(one)] == []
    assert recorded.missing == ()
    assert silent(Judged((), (), judged.slugs | recorded.slugs)) == set()


LABEL = {"outcome": "failed", "causes": ["a", "b"], "warnings": ["w"], "candidates": ["c"], "dialect": "0x0311",
         "confidence": "proven"}  # fmt: skip
RIGHT = Found("x tcp.stream 0", LABEL, "failed", ("a", "b"), "proven", ("c",), ("w",), "SMB 3.1.1")


@pytest.mark.parametrize(("found", "expected"), [
    (RIGHT, []),
    (RIGHT._replace(outcome="negotiated"), ["outcome negotiated, the label says failed"]),
    (RIGHT._replace(causes=("b", "a")), ["causes ['b', 'a'], the label says ['a', 'b']"]),
    (RIGHT._replace(confidence="likely"), ["confidence likely, the label says proven"]),
    (RIGHT._replace(dialect="SMB 2.1"), ["dialect SMB 2.1, the label says SMB 3.1.1"]),
    (RIGHT._replace(warnings=()), ["warning w is missing"]),
    (RIGHT._replace(warnings=("w", "v")), ["warning v, which no label has"]),
    (RIGHT._replace(candidates=("d",)), ["candidate c is missing", "candidate d, which no label has"]),
    (RIGHT._replace(warnings=("w", "name-hardening", "session-setup-failed")),
     ["warning name-hardening, which no label has"]),
])  # fmt: skip
def test_each_difference_is_named(found: Found, expected: list[str]) -> None:
    assert list(differences(found)) == [f"x tcp.stream 0: {line}" for line in expected]


def test_the_matrix_has_what_was_taken_for_what() -> None:
    assert list(matrix([RIGHT, RIGHT._replace(causes=("z",)), RIGHT._replace(causes=(), outcome="incomplete")])) == [
        "true  found  else",
        "a         1  z: 1, incomplete: 1",
    ]
