"""The bar of a long reading: on a terminal after a second, and nowhere else."""

from __future__ import annotations

import io

import pytest

from analyzer.cli.progress import Reading, watch_of


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_nothing_without_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stderr", io.StringIO())
    assert Reading.where_seen(quiet=False) is None
    assert watch_of(None) is None


def test_nothing_where_quiet_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stderr", Terminal())
    assert Reading.where_seen(quiet=True) is None


@pytest.mark.parametrize(("seconds", "shown"), [(0.9, False), (1.1, True)])
def test_the_bar_waits_a_second(seconds: float, shown: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    reading = Reading.where_seen(quiet=False)
    assert reading is not None
    now[0] += seconds
    reading.told("tick\x1b[31met.pcap", 5_000_000, 10_000_000)
    reading.end()
    assert ("5.0/10.0" in terminal.getvalue()) is shown
    assert "\x1b[31met" not in terminal.getvalue()
    reading.told("ticket.pcap", 10_000_000, 10_000_000)
    assert "10.0/10.0" not in terminal.getvalue()
