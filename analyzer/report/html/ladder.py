"""Events of a connection -> a ladder diagram: where each line and each word of it stands.

The drawing is kept apart from its words. Connections that take the same steps share one Shape; the page
holds each shape once, and its script fills in the words of the connection that is asked for.
"""

from __future__ import annotations

import functools
import textwrap
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from analyzer.negotiation.events import Event
from analyzer.report.safe import clean

# All in pixels of the drawing, which is narrow enough to be read on a phone.
WIDTH = 440
LEFT, RIGHT = 92, 424                    # the two lifelines
MIDDLE = (LEFT + RIGHT) // 2
HEAD = 40                                # where the lifelines begin
LABEL, LINE, ARROW, SPACE = 14, 14, 8, 8    # heights: the label, a line of detail, the arrow, room around

CHARACTERS = 44                          # of a line of detail
MOST_LINES = 4
PAUSE_NS = 1_000_000_000                 # a wait that is drawn as one


class Mark(NamedTuple):
    """One row of a drawing.

    kind: that of the event, or `pause`. lines: y of each line of detail. arrow: y of the arrow, which goes
    right (from the client) or left. proof: its frame proves a finding.
    """

    kind: str
    right: bool
    top: int
    label: int
    lines: tuple[int, ...]
    arrow: int
    bottom: int
    framed: bool
    timed: bool
    proof: bool


class Lifeline(NamedTuple):
    """A piece of both lifelines; broken where something is missing or nothing happens for long."""

    top: int
    bottom: int
    broken: bool


class Shape(NamedTuple):
    """A drawing without its words."""

    marks: tuple[Mark, ...]
    lifelines: tuple[Lifeline, ...]
    height: int


class Words(NamedTuple):
    """What stands in one row: microseconds since the connection began, frame.number, label, detail by line."""

    microseconds: int | None
    frame: int | None
    label: str
    lines: tuple[str, ...]


class Ladder(NamedTuple):
    """A drawing and its words; one Words for each Mark."""

    shape: Shape
    words: tuple[Words, ...]


class _Row(NamedTuple):
    kind: str
    right: bool
    proof: bool
    words: Words


def ladder_of(events: Sequence[Event], first_ns: int, proof: frozenset[int]) -> Ladder:
    """The ladder of a connection. first_ns: when it began; proof: frames that prove its findings."""
    rows = list(_rows(events, first_ns, proof))
    marks: list[Mark] = []
    y = HEAD
    for row in rows:
        mark = _mark(row, y)
        marks.append(mark)
        y = mark.bottom
    shape = Shape(tuple(marks), tuple(_lifelines(marks)), y + SPACE)
    return Ladder(shape, tuple(row.words for row in rows))


def shortened(text: str, width: int) -> str:
    """The text, harmless, with an ellipsis in place of what is too long."""
    text = clean(text[: 4 * width])
    return text if len(text) <= width else text[: width - 1] + "…"


def _rows(events: Sequence[Event], first_ns: int, proof: frozenset[int]) -> Iterator[_Row]:
    before = first_ns
    for event in events:
        at = event.time_ns
        if at is not None and at - before >= PAUSE_NS:
            words = Words(None, None, f"{(at - before) / 1e9:.1f} s without a step", ())
            yield _Row("pause", True, False, words)
        before = before if at is None else at
        since = None if at is None else (at - first_ns) // 1000
        label = f"{event.detail} ({'client' if event.from_client else 'server'})" if event.kind == "gap" else event.label
        detail = "" if event.kind == "gap" else event.detail
        lines = _wrapped(detail)
        yield _Row(
            event.kind,
            event.from_client,
            event.frame in proof,
            Words(since, event.frame, shortened(label, CHARACTERS), lines),
        )


@functools.lru_cache(maxsize=4096)
def _wrapped(text: str) -> tuple[str, ...]:
    # What is longer than can be shown is not even looked at: a capture may hold any length.
    lines = textwrap.wrap(clean(text[: 2 * MOST_LINES * CHARACTERS]), CHARACTERS)
    if len(lines) > MOST_LINES:
        return (*lines[: MOST_LINES - 1], lines[MOST_LINES - 1][: CHARACTERS - 1] + "…")
    return tuple(lines)


def _mark(row: _Row, top: int) -> Mark:
    label = top + SPACE + LABEL - 4
    lines = tuple(label + LINE * (number + 1) for number in range(len(row.words.lines)))
    last = lines[-1] if lines else label
    drawn = row.kind not in ("gap", "pause", "end", "more")
    arrow = last + ARROW if drawn else last
    bottom = arrow + SPACE - (2 if drawn else 0)
    return Mark(
        row.kind, row.right, top, label, lines, arrow, bottom,
        row.words.frame is not None, row.words.microseconds is not None, row.proof,
    )  # fmt: skip


def _lifelines(marks: Sequence[Mark]) -> Iterator[Lifeline]:
    top = HEAD - 4
    for mark in marks:
        if mark.kind in ("gap", "pause", "more"):
            if mark.top > top:
                yield Lifeline(top, mark.top, broken=False)
            yield Lifeline(mark.top, mark.bottom, broken=True)
            top = mark.bottom
    if marks and marks[-1].bottom > top:
        yield Lifeline(top, marks[-1].bottom, broken=False)
