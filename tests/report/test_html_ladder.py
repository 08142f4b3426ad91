"""Where the parts of a ladder stand, and what stands in them."""

from __future__ import annotations

from typing import Any

from analyzer.negotiation.events import Event
from analyzer.report.html.ladder import CHARACTERS, HEAD, MOST_LINES, ladder_of, shortened
from tests.report.sample import START

SECOND = 1_000_000_000


def event(**changes: Any) -> Event:
    values: dict[str, Any] = {
        "kind": "message", "from_client": True, "frame": 4, "time_ns": START + 1_500_000, "label": "NEGOTIATE request",
        "detail": "SMB 2.1",
    }  # fmt: skip
    return Event(**(values | changes))


def ladder(*events: Event, proof: int = 0) -> Any:
    return ladder_of(events, START, frozenset({proof}))


def test_a_message_is_an_arrow_under_its_words() -> None:
    found = ladder(event(), event(from_client=False, frame=6))
    first, second = found.shape.marks
    assert (first.right, second.right) == (True, False)
    assert HEAD == first.top < first.label < first.lines[0] < first.arrow < first.bottom == second.top
    assert found.shape.height > second.bottom
    assert found.words[0] == (1500, 4, "NEGOTIATE request", ("SMB 2.1",))


def test_a_frame_that_proves_is_marked() -> None:
    found = ladder(event(frame=4), event(frame=6), proof=6)
    assert [mark.proof for mark in found.shape.marks] == [False, True]


def test_a_gap_breaks_the_lifelines_and_says_what_is_missing() -> None:
    gap = event(kind="gap", frame=None, time_ns=None, label="missing", detail="288 bytes not in the capture", from_client=False)
    found = ladder(event(), gap, event())
    assert [line.broken for line in found.shape.lifelines] == [False, True, False]
    broken = found.shape.lifelines[1]
    assert (broken.top, broken.bottom) == (found.shape.marks[1].top, found.shape.marks[1].bottom)
    assert found.words[1] == (None, None, "288 bytes not in the capture (server)", ())


def test_a_wait_of_a_second_is_drawn() -> None:
    found = ladder(event(), event(time_ns=START + 9 * SECOND))
    assert [mark.kind for mark in found.shape.marks] == ["message", "pause", "message"]
    assert found.words[1].label == "9.0 s without a step"
    assert found.words[2].microseconds == 9_000_000


def test_equal_steps_share_one_drawing_whatever_their_words() -> None:
    one = ladder(event(), event(kind="rst", frame=6, label="RST", detail=""))
    other = ladder(event(frame=900, detail="SMB 3.1.1"), event(kind="rst", frame=901, label="RST", detail=""))
    assert one.shape == other.shape
    assert one.words != other.words


def test_long_and_hostile_details_are_bounded_and_harmless() -> None:
    found = ladder(event(detail="\x1b[31m\u202e" + "x" * 100_000, label="y" * 500))
    (words,) = found.words
    assert len(words.lines) == MOST_LINES
    assert words.lines[0].startswith(r"\x1b[31m\u202e")
    assert words.lines[-1].endswith("…")
    assert max(map(len, (*words.lines, words.label))) <= CHARACTERS


def test_shortened() -> None:
    assert shortened("short", 10) == "short"
    assert shortened("a" * 20, 10) == "a" * 9 + "…"
    assert shortened("\n", 10) == r"\x0a"
