"""A small vocabulary and the rules over it, so that tests of the engine outlive the real rules."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from analyzer.diagnosis.engine import RuleSet
from analyzer.diagnosis.loader import Loaded, language_of, read_folders
from analyzer.negotiation.vocabulary import Fact

RULES = Path(__file__).parent / "rules"
FACTS: Mapping[str, Fact] = {
    fact.name: fact
    for fact in (
        Fact("connection.outcome", "string", "what it is without a cause"),
        Fact("connection.refused", "bool", "RST answered the SYN"),
        Fact("connection.up", "bool", "TCP came up"),
        Fact("connection.broke", "bool", "the client left"),
        Fact("connection.skew", "double", "seconds"),
        Fact("connection.server", "string", "address and port", summary_only=True),
        Fact("others.raced", "bool", "another connection won"),
        Fact("request.smb2.dialect", "list<int>", "dialects offered"),
        Fact("request.smb.dialect.name", "list<string>", "dialect strings offered"),
        Fact("response.smb2.nt_status", "int", "status"),
    )
}
EVIDENCE = ("syn", "reset", "request", "response", "icmp")
MINIMAL: Mapping[str, str] = {
    "severity": "error",
    "title": "A title",
    "when": "|\n  connection.up",
    "summary": "It happened",
    "why": "Because.",
    "examples": "[fires: {connection.up: true}, silent: {}]",
}


def write(folder: Path, slug: str | None, code: str | None, **keys: str | None) -> Path:
    """Writes the smallest rule that loads, with keys as given in YAML; None leaves one out."""
    values = {"slug": slug, "code": code, **MINIMAL, **keys}
    path = folder / f"{slug}.yaml"
    lines = [f"{key}: {value}\n" for key, value in values.items() if value is not None]
    path.write_text("".join(lines), encoding="utf-8")
    return path


def read(*folders: Path, builtin: Path = RULES) -> Loaded:
    return read_folders(folders, builtin=builtin, vocabulary=FACTS, evidence=EVIDENCE)


def rule_set(*folders: Path, builtin: Path = RULES) -> RuleSet:
    return RuleSet(read(*folders, builtin=builtin).rules, language_of(FACTS))


def made(folder: Path, rules: Sequence[Mapping[str, str]]) -> RuleSet:
    """The rule set of minimal rules: each a mapping of keys, `slug` and `code` among them."""
    for keys in rules:
        write(folder, **keys)
    return rule_set(builtin=folder)
