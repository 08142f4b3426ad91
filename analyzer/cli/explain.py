"""`negdiag explain RULE`: one rule in full, as text of 80 columns."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, TextIO

from analyzer.cli import exits
from analyzer.cli.rules import origin
from analyzer.diagnosis.loader import load_rules
from analyzer.report.safe import clean

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator, Sequence

    from analyzer.diagnosis.rule import Condition, Fix, Rule

WIDTH = 80
_PLATFORMS = {
    "windows": "Windows",
    "linux": "Linux",
    "macos": "macOS",
    "samba": "Samba",
    "netapp": "NetApp",
    "powerscale": "PowerScale",
    "qnap": "QNAP",
    "truenas": "TrueNAS",
}
_CONDITIONS = {
    "when": "It is reported when",
    "cause_when": "It is what broke the connection, and else a warning, when",
    "candidate_when": "It is named as a candidate when",
    "likely_when": "It is likely rather than proven when",
    "warning_when": "It is only a warning when",
    "info_when": "It is only information when",
}


def explain_command(name: str, rules_dirs: Sequence[str | os.PathLike[str]], out: TextIO) -> int:
    """Prints the rule with this slug or code.

    Raises UsageError, with the nearest slug, where there is none; RulesError as `load_rules`.
    """
    rule = load_rules(rules_dirs).find(name)
    out.writelines(line.rstrip() + "\n" for line in _lines(rule))
    return exits.OK


def _lines(rule: Rule) -> Iterator[str]:
    yield clean(rule.title)
    yield "=" * min(len(rule.title), WIDTH)
    yield f"{rule.slug} ({rule.code}), {clean(origin(rule))}"
    yield f"{rule.severity}, {_role(rule)}"
    yield from _section("Why", _paragraphs(rule.why))
    yield from _section("In the report", _paragraphs(rule.summary))
    if rule.sees:
        yield from _section("What the user sees", _listed(rule.sees))
    if rule.fix:
        yield from _section("How to fix it", _fixes(rule.fix))
    yield from _section("On the wire", _wire(rule))
    if rule.blind_to:
        yield from _section("What it cannot see", _paragraphs(rule.blind_to))
    if rule.reference:
        yield from _section("Reference", _paragraphs(rule.reference))


def _role(rule: Rule) -> str:
    if rule.role == "limit":
        return "limit of the capture"
    if rule.role == "cause" and rule.cause_when is None:
        return f"cause, {rule.confidence}"
    return f"warning or cause, {rule.confidence}" if rule.can_be_cause else "warning"


def _section(title: str, lines: Iterator[str]) -> Iterator[str]:
    yield ""
    yield title
    yield from lines


def _paragraphs(text: str) -> Iterator[str]:
    # A folded text keeps one line break between paragraphs, a literal one its lines.
    for line in text.split("\n"):
        if line.strip():
            yield from _wrapped(" ".join(line.split()), "  ")


def _listed(pairs: Sequence[tuple[str, str]]) -> Iterator[str]:
    width = max(len(_platform(who)) for who, _ in pairs) + 2
    for who, text in pairs:
        yield from _wrapped(" ".join(text.split()), " " * (width + 2), f"  {_platform(who):<{width}}")


def _fixes(fixes: Sequence[Fix]) -> Iterator[str]:
    for fix in fixes:
        where = fix.side if fix.platform == "any" else f"{fix.side}, {_platform(fix.platform)}"
        yield from _wrapped(" ".join(fix.text.split()), "    ", f"  {where}: ")
        # A command is there to be pasted: it is not wrapped.
        yield from (f"      {clean(line)}" for line in (fix.command or "").splitlines())


def _wire(rule: Rule) -> Iterator[str]:
    hints = {f"hints.{hint.name}": hint.text for hint in rule.hints}
    for key, condition in rule.conditions():
        if key in hints:
            yield from _wrapped(f'The report adds "{" ".join(hints[key].split())}" when', "  ")
        else:
            yield f"  {_CONDITIONS[key]}"
        yield from _condition(condition)
    if rule.evidence:
        yield from _wrapped(f"Proved by: {', '.join(rule.evidence)}", "  ")
    if rule.explains:
        yield from _wrapped(f"Explains: {', '.join(rule.explains)}", "  ")
    if rule.instead_of:
        yield from _wrapped(f"Instead of: {', '.join(rule.instead_of)}", "  ")


def _condition(condition: Condition) -> Iterator[str]:
    yield from (f"      {clean(line)}" for line in condition.text.strip("\n").splitlines())


def _platform(word: str) -> str:
    return _PLATFORMS.get(word, word)


def _wrapped(text: str, indent: str, first: str | None = None) -> Iterator[str]:
    lines = textwrap.wrap(
        clean(text),
        WIDTH,
        initial_indent=indent if first is None else first,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )
    yield from lines or [(first or indent).rstrip()]
