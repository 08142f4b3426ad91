"""The built-in rules: their examples hold, and nothing in their conditions is idle."""

from __future__ import annotations

import functools
from pathlib import Path

import pytest

from analyzer.diagnosis.expression import Language
from analyzer.diagnosis.loader import Loaded, builtin_folder, language_of, read_folders
from analyzer.diagnosis.selftest import run_examples
from tests.diagnosis import toy
from tests.mutate_rules import chains, mutations, survivors

CHAINS = [
    ("a", []),
    ("a && b", [["a", "b"]]),
    ("a && b && c", [["a", "b", "c"]]),
    ("a || b && c", [["b", "c"]]),
    ("a && (b || c && d)", [["a", "(b || c && d)"], ["c", "d"]]),
    ("!(a && b)", [["a", "b"]]),
    ("!(a && b) && c", [["!(a && b)", "c"], ["a", "b"]]),
    ("(a && b) || (c && d)", [["a", "b"], ["c", "d"]]),
    ("x.exists(d, d > 1 && d < 3) && b", [["x.exists(d, d > 1 && d < 3)", "b"]]),
    ("s == '&&' && [1 && 2] && \"a && b\" == s", [["s == '&&'", "[1 && 2]", '"a && b" == s']]),
    ("(a) && (b)", [["(a)", "(b)"]]),
    ("a // b && c\n && d", [["a // b && c", "d"]]),
]


@pytest.mark.parametrize(("text", "expected"), CHAINS)
def test_every_operand_of_every_and_is_found(text: str, expected: list[list[str]]) -> None:
    assert [[text[part.begin : part.end] for part in chain] for chain in chains(text)] == expected


def test_an_idle_operand_survives(tmp_path: Path) -> None:
    toy.write(tmp_path, "mine", "TOY700", when="|\n  connection.up && !connection.refused",
              examples="[fires: {connection.up: true, connection.refused: false}, silent: {connection.up: false}]")  # fmt: skip
    loaded = toy.read(builtin=tmp_path)
    rule = loaded.rules[0]
    assert [mutation.text for mutation in mutations(rule)] == [
        "true", "false", "!connection.refused", "connection.up",
    ]  # fmt: skip
    found = survivors(rule, loaded.examples["mine"], language_of(toy.FACTS))
    assert [mutation.change for mutation in found] == [
        "without operand 1: connection.up",
        "without operand 2: !connection.refused",
    ]


def test_the_toy_rules_have_no_idle_condition() -> None:
    loaded = toy.read()
    language = language_of(toy.FACTS)
    assert [survivors(rule, loaded.examples[rule.slug], language) for rule in loaded.rules] == [[], [], []]


SLUGS = sorted(path.stem for path in Path(builtin_folder()).glob("*.yaml"))


@functools.cache
def _builtin() -> tuple[Loaded, Language]:
    language = language_of()
    return read_folders([], language=language), language


@pytest.mark.parametrize("slug", SLUGS)
def test_the_examples_of_a_rule_carry_its_conditions(slug: str) -> None:
    loaded, language = _builtin()
    rule = next(rule for rule in loaded.rules if rule.slug == slug)
    assert run_examples([rule], loaded.examples, language).failures == ()
    assert survivors(rule, loaded.examples[slug], language) == []
