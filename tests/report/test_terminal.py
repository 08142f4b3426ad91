from __future__ import annotations

import io
import re

import pytest

from analyzer.report.record import ConnectionRecord
from analyzer.report.terminal import TerminalWriter
from analyzer.report.writer import Style
from tests.report.sample import HOSTILE, capture, failed, finding, negotiated


def shown(*connections: ConnectionRecord, color: bool = False, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    out = io.StringIO()
    writer = TerminalWriter(out, Style(terminal=True, color=color))
    writer.capture(capture())
    for connection in connections:
        writer.connection(connection)
    writer.end()
    writer.finish()
    return out.getvalue()


MANY = (
    failed(server="[2001:db8:1111:2222:3333:4444:5555:6666]:445", client_host="2001:db8:1:2:3:4:5:7777"),
    *(failed(stream=number, client_host=f"10.0.0.{number}") for number in range(5, 30)),
    negotiated(stream=99),
)


def test_tables_fit_eighty_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = shown(*MANY, monkeypatch=monkeypatch).splitlines()
    assert max(len(line) for line in lines) <= 80
    assert any("2001:db8:1111:2222" in line for line in lines)
    assert any("and 18 connections more" in line for line in lines)


def test_without_color_there_is_no_escape(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "\x1b" not in shown(*MANY, monkeypatch=monkeypatch)


def test_hostile_text_is_shown_not_obeyed(monkeypatch: pytest.MonkeyPatch) -> None:
    text = shown(
        failed(server_name=HOSTILE + "[bold]x[/bold]", findings=(finding(summary=HOSTILE + "[red]y"),)),
        color=True, monkeypatch=monkeypatch,
    )
    assert "\x1b[31mred" not in text and "\u202e" not in text and "\x07" not in text
    assert "[bold]x[/bold]" in re.sub(r"\s+", "", text)
    assert "[red]y" in re.sub(r"\s+", "", text)


def test_commands_are_not_wrapped(monkeypatch: pytest.MonkeyPatch) -> None:
    command = "Set-SmbServerConfiguration " + "-Option $true " * 10
    fix = failed().findings[0].fix[0]._replace(command=command)
    text = shown(failed(findings=(finding(fix=(fix,)),)), monkeypatch=monkeypatch)
    assert command.strip() in text
