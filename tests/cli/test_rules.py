from __future__ import annotations

import io
import json
from collections.abc import Iterable
from pathlib import Path

import pytest

from analyzer.cli.rules import rules_command
from analyzer.cli.rules import test_command as examples_command
from analyzer.diagnosis import loader
from analyzer.diagnosis.engine import RuleSet
from analyzer.diagnosis.selftest import Diagnosed
from analyzer.errors import RulesError, UsageError
from tests.diagnosis.toy import write

RULE = {"when": "|\n  connection.refused", "examples": "[fires: {connection.refused: true}, silent: {}]"}


@pytest.fixture
def builtin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two built-in rules."""
    folder = tmp_path / "builtin"
    folder.mkdir()
    write(folder, "first", "TOY200", title="First of all", **RULE)
    write(folder, "second", "TOY100", severity="info", title="=Second\x1b", **RULE)
    (folder / "second.yaml").write_text(
        (folder / "second.yaml").read_text(encoding="utf-8").replace("=Second\x1b", '"=Second\\e"'),
        encoding="utf-8",
    )
    monkeypatch.setattr(loader, "builtin_folder", lambda: folder)
    return folder


@pytest.fixture
def added(tmp_path: Path) -> Path:
    folder = tmp_path / "added"
    folder.mkdir()
    write(folder, "third", "TOY300", **RULE)
    return folder


def test_rules_are_listed_by_code(builtin: Path, added: Path) -> None:
    out = io.StringIO()
    assert rules_command([added], "text", out) == 0
    source = str(added / "third.yaml")
    width = len(source)
    assert out.getvalue().splitlines() == [
        f"CODE    SLUG    SEVERITY  {'FROM':<{width}}  TITLE",
        f"TOY100  second  info      {'built-in':<{width}}  =Second\\x1b",
        f"TOY200  first   error     {'built-in':<{width}}  First of all",
        f"TOY300  third   error     {source}  A title",
    ]


def test_rules_are_listed_as_json(builtin: Path) -> None:
    out = io.StringIO()
    assert rules_command([], "json", out) == 0
    assert json.loads(out.getvalue()) == [
        {"slug": "second", "code": "TOY100", "severity": "info", "title": "=Second\x1b", "role": "cause",
         "from": "built-in"},
        {"slug": "first", "code": "TOY200", "severity": "error", "title": "First of all", "role": "cause",
         "from": "built-in"},
    ]  # fmt: skip


def test_passing_examples_are_counted(builtin: Path) -> None:
    out = io.StringIO()
    assert examples_command([], out) == 0
    assert out.getvalue() == "2 rules: 4 examples passed, 0 failed\n"


def test_only_the_rules_of_the_folder_are_tested(builtin: Path, added: Path) -> None:
    """They may name built-in ones all the same."""
    write(added, "third", "TOY300", explains="[first]", **RULE)
    out = io.StringIO()
    assert examples_command([added], out) == 0
    assert out.getvalue() == "1 rule: 2 examples passed, 0 failed\n"


def test_a_failing_example_is_status_1_and_has_its_line(builtin: Path, added: Path) -> None:
    path = write(added, "third", "TOY300", when="|\n  connection.up", examples="[fires: {}, silent: {}]")
    out = io.StringIO()
    assert examples_command([added], out) == 1
    assert out.getvalue().splitlines() == [
        f"{path}:9: third: expected is a cause, but it is silent (when: connection.up is unknown)",
        "1 rule: 1 example passed, 1 failed",
    ]


def test_a_rule_without_an_example_does_not_load(builtin: Path, added: Path) -> None:
    write(added, "third", "TOY300", examples=None)
    with pytest.raises(RulesError, match="the key 'examples' is missing"):
        examples_command([added], io.StringIO())


def test_captures_are_read_with_the_rules_in_force(builtin: Path, added: Path) -> None:
    write(added, "third", "TOY300", when="|\n  connection.refused",
          examples="[{capture: a.pcap, ports: 4450}, {capture: b.pcap}, silent: {}]")  # fmt: skip
    (added / "a.pcap").write_bytes(b"")
    seen: list[tuple[Path, list[str], tuple[int, ...]]] = []

    def diagnose(path: Path, rules: RuleSet, ports: tuple[int, ...]) -> Iterable[Diagnosed]:
        seen.append((path, sorted(rules.by_slug), ports))
        return []

    out = io.StringIO()
    assert examples_command([added], out, diagnose) == 1
    assert seen == [(added / "a.pcap", ["first", "second", "third"], (4450,))]
    assert out.getvalue().splitlines() == [
        f"{added / 'third.yaml'}:9: third: a.pcap: no such finding",
        "1 rule: 1 example passed, 1 failed, 1 skipped (no capture to read)",
    ]


def test_a_folder_that_is_none_is_wrong_usage(builtin: Path) -> None:
    with pytest.raises(UsageError):
        rules_command(["nowhere"], "text", io.StringIO())
