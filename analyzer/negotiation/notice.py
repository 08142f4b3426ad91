"""Story -> Notice: what its capture and the other connections must know of it before anything is judged."""

from __future__ import annotations

from typing import NamedTuple

from analyzer.negotiation.sketch import Sketch, sketch_of
from analyzer.negotiation.story import Story


class Notice(NamedTuple):
    """One connection when it was told. disagreeing: frames whose bytes differ from those sent before."""

    sketch: Sketch
    one_sided: bool                      # the capture holds one direction of it
    disagreeing: tuple[int, ...]
    negotiates: bool                     # a NEGOTIATE or an answer to one was captured


def notice_of(story: Story) -> Notice:
    """What to take note of in a story."""
    first, second = story.connection.streams
    return Notice(
        sketch_of(story),
        story.coverage.one_sided,
        (*first.disagreeing, *second.disagreeing),
        bool(story.exchanges),
    )
