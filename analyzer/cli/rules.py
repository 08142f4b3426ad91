"""`negdiag rules` and `negdiag rules test`: the rules in force -> a list; their examples -> what failed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from analyzer.cli import exits
from analyzer.diagnosis.loader import language_of, load_rules, read_folders
from analyzer.diagnosis.selftest import run_examples
from analyzer.report.safe import clean, encodable

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterable, Sequence

    from analyzer.diagnosis.engine import RuleSet
    from analyzer.diagnosis.rule import Rule
    from analyzer.diagnosis.selftest import Diagnosed

FORMATS = ("text", "json")


def rules_command(rules_dirs: Sequence[str | os.PathLike[str]], format: str, out: TextIO) -> int:  # noqa: A002 - the option's name
    """Lists the rules in force by code: `text`, or `json` as a list of objects.

    Raises RulesError, UsageError as `load_rules`.
    """
    rules = load_rules(rules_dirs).rules
    if format == "json":
        _write_json(rules, out)
    else:
        _write_table(rules, out)
    return exits.OK


def test_command(
    dirs: Sequence[str | os.PathLike[str]],
    out: TextIO,
    diagnose: Callable[[Path, RuleSet, tuple[int, ...]], Iterable[Diagnosed]] | None = None,  # noqa: PT028 - no test
) -> int:
    """Runs the examples of the rules in `dirs`, or of the built-in rules, and says which fail.

    Rules of `dirs` may name built-in ones. diagnose: reads a capture with a set of rules and further SMB ports; without it,
    examples that are captures are skipped. Status 1 where an example fails. Raises RulesError where a
    rule does not load (one without examples among them), UsageError as `load_rules`.
    """
    language = language_of()
    loaded = read_folders([Path(folder) for folder in dirs], language=language)
    rules = [rule for rule in loaded.rules if not dirs or not rule.builtin]
    read = None
    if diagnose is not None:
        in_force = load_rules(dirs)

        def read(path: Path, ports: tuple[int, ...]) -> Iterable[Diagnosed]:
            return diagnose(path, in_force, ports)

    outcome = run_examples(rules, loaded.examples, language, read)
    out.writelines(
        clean(f"{failure.rule.source}:{failure.line}: {failure.rule.slug}: {failure.problem}") + "\n"
        for failure in outcome.failures
    )
    skipped = f", {len(outcome.skipped)} skipped (no capture to read)" if outcome.skipped else ""
    out.write(
        f"{_count(len(rules), 'rule')}: {_count(outcome.passed, 'example')} passed,"
        f" {len(outcome.failures)} failed{skipped}\n"
    )
    return exits.FOUND if outcome.failures else exits.OK


def origin(rule: Rule) -> str:
    """Where a rule comes from: `built-in`, or its file."""
    return "built-in" if rule.builtin else rule.source


def _write_table(rules: Sequence[Rule], out: TextIO) -> None:
    rows = [("CODE", "SLUG", "SEVERITY", "FROM", "TITLE")]
    rows += [(rule.code, rule.slug, rule.severity, clean(origin(rule)), clean(rule.title)) for rule in rules]
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    for row in rows:
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=False)]
        out.write("  ".join((*cells, row[4])) + "\n")


def _write_json(rules: Sequence[Rule], out: TextIO) -> None:
    import json

    records = [
        {
            "slug": rule.slug,
            "code": rule.code,
            "severity": rule.severity,
            "title": rule.title,
            "role": rule.role,
            "from": encodable(origin(rule)),
        }
        for rule in rules
    ]
    json.dump(records, out, indent=1)
    out.write("\n")


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
