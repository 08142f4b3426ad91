"""Where matrix and timeline place what they are given."""

from __future__ import annotations

from typing import Any

import pytest

from analyzer.report.html import charts
from analyzer.report.html.charts import Pairs, Times, duration
from tests.report.sample import START, failed, negotiated


def matrix(*records: Any) -> charts.Matrix:
    pairs = Pairs()
    for record in records:
        pairs.add(record)
    return pairs.matrix()


def timeline(*records: Any) -> charts.Timeline:
    times = Times()
    for record in records:
        times.add(record)
    found = times.timeline()
    assert found is not None
    return found


def test_a_matrix_counts_outcomes_by_client_and_server() -> None:
    found = matrix(failed(), failed(), negotiated(), negotiated(server="10.1.2.10:445"))
    assert found.servers == ("10.1.2.9:445", "10.1.2.10:445")
    (row,) = found.rows
    assert row.client == "10.1.2.3"
    assert [cell.counts for cell in row.cells] == [(("failed", 2), ("negotiated", 1)), (("negotiated", 1),)]


def test_a_matrix_shows_those_that_fail_first_and_says_what_it_leaves_out() -> None:
    busy = [negotiated(client_host=f"10.0.0.{n}") for n in range(100) for _ in range(3)]
    found = matrix(*busy, failed(client_host="10.9.9.9"))
    assert found.rows[0].client == "10.9.9.9"
    assert len(found.rows) == charts.ROWS
    assert found.more_clients == 101 - charts.ROWS
    assert found.more_servers == 0


def test_a_timeline_goes_right_with_time_and_up_with_response_time() -> None:
    found = timeline(
        negotiated(response_time=0.001), negotiated(response_time=0.1, first_ns=START + 5_000_000_000),
    )
    first, second = sorted(found.spots)
    assert first.x < second.x
    assert first.y > second.y
    assert found.start == "2026-11-22T10:00:00.000001Z"
    assert "answered after 1 ms" in first.title
    assert [tick.text for tick in found.across] == ["0", "+1 s", "+2 s", "+3 s", "+4 s", "+5 s"]


def test_what_got_no_answer_stands_in_its_own_lane() -> None:
    found = timeline(negotiated(response_time=0.01), failed(response_time=None))
    lane = next(spot for spot in found.spots if spot.outcome == "failed")
    assert lane.y == pytest.approx(found.lane, abs=charts.SPOT)
    assert lane.y > max(tick.at for tick in found.up)
    assert "no answer captured" in lane.title


def test_connections_on_one_spot_are_one_larger_mark() -> None:
    found = timeline(*[negotiated(response_time=0.01)] * 64, failed())
    spot = next(spot for spot in found.spots if spot.outcome == "negotiated")
    assert spot.title.startswith("64 connections, negotiated: answered after 10 ms to 10 ms")
    assert spot.size == 10
    assert len(found.spots) == 2


def test_a_million_connections_are_bounded_marks() -> None:
    times = Times()
    record = negotiated()
    for number in range(20_000):
        times.add(record._replace(first_ns=START + number * 7919, response_time=1e-5 * (number % 999 + 1)))
    found = times.timeline()
    assert found is not None
    assert len(found.spots) < charts.WIDTH // charts.SPOT * charts.HEIGHT // charts.SPOT


def test_there_is_no_timeline_of_one_connection_or_without_an_answer() -> None:
    times = Times()
    times.add(negotiated())
    assert times.timeline() is None
    times = Times()
    for _ in range(3):
        times.add(failed(response_time=None))
    assert times.timeline() is None


@pytest.mark.parametrize(("seconds", "ticks"), [
    (0.000_004, "+1 µs"), (0.03, "+5 ms"), (9, "+2 s"), (100, "+15 s"), (600, "+2 min"), (30_000, "+2 h"), (1e6, "+2 d"), (1e9, "+2000 d"),
])  # fmt: skip
def test_scales_are_round(seconds: float, ticks: str) -> None:
    found = timeline(negotiated(), negotiated(first_ns=START + max(int(seconds * 1e9), 1_000_000)))
    assert len(found.across) <= charts.MOST_TICKS + 1
    if seconds >= 0.001:
        assert found.across[1].text == ticks


@pytest.mark.parametrize(("seconds", "text"), [
    (0.0, "0 µs"), (0.000812, "812 µs"), (0.00338, "3.38 ms"), (0.25, "250 ms"), (8.0, "8.00 s"), (120.4, "120 s"),
])  # fmt: skip
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text
