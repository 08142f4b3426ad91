from __future__ import annotations

import io
from pathlib import Path

import pytest

from analyzer.cli.explain import WIDTH, explain_command
from analyzer.diagnosis import loader
from analyzer.errors import UsageError

RULE = """\
slug: refused
code: TOY101
severity: error
title: Connection refused
outcome: no-connection
when: |
  connection.refused
    && !connection.up
info_when: |
  others.raced
instead_of: [refused-too]
evidence: [syn, reset]
summary: "{connection.server} refused the connection"
why: >-
  Nothing listens there, or a firewall on the way rejects what it does not like instead of dropping it.

  A second thought.
sees: {windows: System error 53, macos: unknown}
fix:
  - side: server
    platform: windows
    text: Start the Server service.
    command: |
      Start-Service LanmanServer
      Get-NetTCPConnection -LocalPort 445 | Format-Table -AutoSize # a line that is longer than the page
  - {side: network, text: "Look at the \\efirewall."}
reference: RFC 9293 3.10.7.3
blind_to: A RST that was not captured.
examples:
  - fires: {connection.refused: true, connection.up: false}
  - silent: {connection.refused: false}
"""
OTHER = """\
slug: refused-too
code: TOY102
severity: warning
title: Other
role: warning
when: connection.up
summary: So
why: Why not
examples: [fires: {connection.up: true}, silent: {}]
"""
PAGE = """\
Connection refused
==================
refused (TOY101), built-in
error, cause, proven

Why
  Nothing listens there, or a firewall on the way rejects what it does not like
  instead of dropping it.
  A second thought.

In the report
  {connection.server} refused the connection

What the user sees
  Windows  System error 53
  macOS    unknown

How to fix it
  server, Windows: Start the Server service.
      Start-Service LanmanServer
      Get-NetTCPConnection -LocalPort 445 | Format-Table -AutoSize # a line that is longer than the page
  network: Look at the \\x1bfirewall.

On the wire
  It is reported when
      connection.refused
        && !connection.up
  It is only information when
      others.raced
  Proved by: syn, reset
  Instead of: refused-too

What it cannot see
  A RST that was not captured.

Reference
  RFC 9293 3.10.7.3
"""


@pytest.fixture(autouse=True)
def builtin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "refused.yaml").write_text(RULE, encoding="utf-8")
    (tmp_path / "refused-too.yaml").write_text(OTHER, encoding="utf-8")
    monkeypatch.setattr(loader, "builtin_folder", lambda: tmp_path)
    return tmp_path


@pytest.mark.parametrize("name", ["refused", "TOY101", "toy101"])
def test_a_rule_is_explained_by_slug_or_code(name: str) -> None:
    out = io.StringIO()
    assert explain_command(name, [], out) == 0
    assert out.getvalue() == PAGE


def test_a_short_rule_leaves_sections_out() -> None:
    out = io.StringIO()
    explain_command("refused-too", [], out)
    assert [line for line in out.getvalue().splitlines() if line and not line.startswith(" ")] == [
        "Other", "=====", "refused-too (TOY102), built-in", "warning, warning", "Why", "In the report", "On the wire",
    ]  # fmt: skip


def test_a_mistyped_rule_is_answered_with_the_nearest() -> None:
    with pytest.raises(UsageError, match=r"no rule 'refusd' \(did you mean 'refused'\?\)"):
        explain_command("refusd", [], io.StringIO())


def test_every_built_in_rule_fits_the_page(monkeypatch: pytest.MonkeyPatch, root: Path) -> None:
    """Commands, conditions and what cannot be broken aside."""
    monkeypatch.setattr(loader, "builtin_folder", lambda: root / "rules")
    for rule in loader.load_rules().rules:
        out = io.StringIO()
        explain_command(rule.slug, [], out)
        for line in out.getvalue().splitlines():
            if not line.startswith("      ") and " " in line.strip():
                words = [*line.split(), ""]
                assert len(line) <= WIDTH or max(map(len, words)) > WIDTH - 12, line
