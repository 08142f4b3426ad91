"""Do the examples of the rules carry their conditions? Breaks each condition and runs the examples.

    python -m tests.mutate_rules [SLUG...]

For every rule, every condition is replaced by `true` and by `false`, and each operand of each `&&` in
it is taken out; every such rule must fail one of its own examples. Prints the changes that none notices;
status 1 if there are any.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from analyzer.diagnosis.engine import RuleSet
from analyzer.diagnosis.expression import Language
from analyzer.diagnosis.loader import language_of, read_folders
from analyzer.diagnosis.rule import Example, Rule
from analyzer.diagnosis.selftest import check_facts

_TOKEN = re.compile(
    r"""//[^\n]*|[rRbB]{0,2}(?:'(?:\\.|[^'\\\n])*'|"(?:\\.|[^"\\\n])*")|&&|\|\||[(\[{]|[)\]}]|.""", re.DOTALL
)


class Mutation(NamedTuple):
    """A changed condition. change: in words; text: the condition that comes of it."""

    key: str
    change: str
    text: str


class _Part(NamedTuple):
    """A stretch of a condition's text."""

    begin: int
    end: int


def mutations(rule: Rule) -> Iterator[Mutation]:
    """Every change of every condition of a rule."""
    for key, condition in rule.conditions():
        text = condition.text.rstrip()
        for word in ("true", "false"):
            yield Mutation(key, f"replaced by {word}", word)
        for chain in chains(text):
            for index, operand in enumerate(chain):
                rest = [text[part.begin : part.end] for part in chain if part is not operand]
                # Without the operand its neighbours must still be operands of the same &&.
                changed = text[: chain[0].begin] + " && ".join(rest) + text[chain[-1].end :]
                gone = " ".join(text[operand.begin : operand.end].split())
                yield Mutation(key, f"without operand {index + 1}: {gone}", changed)


def chains(text: str) -> list[list[_Part]]:
    """The operands of each `&&` in a condition: its own, those in branches of `||` and in parentheses."""
    found: list[list[_Part]] = []
    _collect(text, _Part(0, len(text)), found)
    return found


def _collect(text: str, part: _Part, found: list[list[_Part]]) -> None:
    for branch in _split(text, part, "||"):
        operands = [_trimmed(text, operand) for operand in _split(text, branch, "&&")]
        if len(operands) > 1:
            found.append(operands)
        for operand in operands:
            inner = _unwrapped(text, operand)
            if inner is not None:
                _collect(text, inner, found)


def _split(text: str, part: _Part, operator: str) -> list[_Part]:
    """The parts between an operator that stands outside all brackets."""
    parts = []
    depth, begin = 0, part.begin
    for match in _TOKEN.finditer(text, part.begin, part.end):
        token = match[0]
        if token in "([{":
            depth += 1
        elif token in ")]}":
            depth -= 1
        elif token == operator and depth == 0:
            parts.append(_Part(begin, match.start()))
            begin = match.end()
    return [*parts, _Part(begin, part.end)]


def _trimmed(text: str, part: _Part) -> _Part:
    shown = text[part.begin : part.end]
    begin = part.begin + len(shown) - len(shown.lstrip())
    return _Part(begin, begin + len(shown.strip()))


def _unwrapped(text: str, part: _Part) -> _Part | None:
    """What is in the parentheses that an operand consists of, `!` before them aside."""
    shown = text[part.begin : part.end]
    begin = part.begin + len(shown) - len(shown.lstrip("! \n"))
    if text[begin : begin + 1] != "(" or text[part.end - 1] != ")":
        return None
    depth = 0
    for match in _TOKEN.finditer(text, begin, part.end):
        depth += (match[0] in "([{") - (match[0] in ")]}")
        if depth == 0:
            return _Part(begin + 1, part.end - 1) if match.end() == part.end else None
    return None


def survivors(rule: Rule, examples: Sequence[Example], language: Language) -> list[Mutation]:
    """The changes of a rule that its examples of facts do not notice."""
    facts = [example for example in examples if example.expects != "capture"]
    found = []
    for mutation in mutations(rule):
        changed = _changed(rule, mutation)
        alone = RuleSet((changed,), language)
        if not any(check_facts(changed, example, alone) for example in facts):
            found.append(mutation)
    return found


def _changed(rule: Rule, mutation: Mutation) -> Rule:
    condition = dict(rule.conditions())[mutation.key]._replace(text=mutation.text)
    kind, _, name = mutation.key.partition(".")
    changes: dict[str, Any] = {kind: condition}     # Any: members of Rule, by name
    if kind == "hints":
        changes[kind] = tuple(h._replace(when=condition) if h.name == name else h for h in rule.hints)
    return rule._replace(**changes)


def main(slugs: Sequence[str]) -> int:
    language = language_of()
    loaded = read_folders([], language=language)
    changes = unnoticed = 0
    for rule in loaded.rules:
        if slugs and rule.slug not in slugs:
            continue
        changes += sum(1 for _ in mutations(rule))
        for mutation in survivors(rule, loaded.examples[rule.slug], language):
            unnoticed += 1
            line = dict(rule.conditions())[mutation.key].line
            print(f"{rule.source}:{line}: {rule.slug}: {mutation.key} {mutation.change}")
    print(f"{changes} changes of {len(slugs) or len(loaded.rules)} rules, {unnoticed} unnoticed")
    return 1 if unnoticed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
