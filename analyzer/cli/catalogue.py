"""The words behind `negdiag rules`, `negdiag rules test` and `negdiag explain` -> calls."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from analyzer.cli import arguments
from analyzer.cli.explain import explain_command
from analyzer.cli.rules import FORMATS, rules_command, test_command

if TYPE_CHECKING:
    from analyzer.diagnosis.engine import RuleSet
    from analyzer.diagnosis.selftest import Diagnosed


def run_rules(words: Sequence[str]) -> int:
    """`negdiag rules [test [DIR]...]`; returns the exit status."""
    if words and words[0] == "test":
        return _run_test(words[1:])
    parser = arguments.Parser(
        "negdiag rules", "Lists the rules in force. `negdiag rules test [DIR]` runs the examples in rule files."
    )
    parser.add_argument("--format", choices=FORMATS, default="text", help="default: text")
    _add_folders(parser)
    options = parser.parse_args(words)
    return rules_command(options.rules, options.format, sys.stdout)


def _run_test(words: Sequence[str]) -> int:
    parser = arguments.Parser(
        "negdiag rules test",
        "Runs the examples that stand in rule files and says which fail. Exit status 1 where one does.",
    )
    parser.add_argument("folders", nargs="*", metavar="DIR", help="folders with rule files (default: the built-in rules)")
    options = parser.parse_args(words)
    return test_command(options.folders, sys.stdout, _diagnose)


def _diagnose(path: Path, rules: RuleSet, ports: tuple[int, ...]) -> Iterator[Diagnosed]:
    """One capture of an example, as `negdiag PATH` diagnoses it. Raises CaptureError where it cannot be read."""
    from analyzer import pipeline, reading
    from analyzer.diagnosis.selftest import Diagnosed
    from analyzer.errors import CaptureError
    from analyzer.telling import Wanted

    settings = reading.Settings(ports=reading.SMB_PORTS | frozenset(ports))
    for analyzed in pipeline.run([(str(path), path)], rules, settings, Wanted()):
        if analyzed.record.error is not None:
            raise CaptureError(analyzed.record.error)
        for diagnosed in analyzed.connections:
            yield Diagnosed(diagnosed.record.stream, diagnosed.verdict.findings)


def run_explain(words: Sequence[str]) -> int:
    """`negdiag explain RULE`; returns the exit status."""
    parser = arguments.Parser(
        "negdiag explain", "Prints one rule in full: what it means on the wire, what the user sees, how to fix it."
    )
    parser.add_argument("rule", metavar="RULE", help="a slug or a code, as `negdiag rules` lists them")
    _add_folders(parser)
    options = parser.parse_args(words)
    return explain_command(options.rule, options.rules, sys.stdout)


def _add_folders(parser: arguments.Parser) -> None:
    parser.add_argument(
        "--rules", action="append", default=[], metavar="DIR",
        help="add the rule files of a folder (repeatable); a rule with a known slug replaces the built-in one",
    )
