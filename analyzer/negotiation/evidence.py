"""Story -> the frames that rules may name as their proof."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from analyzer.negotiation.facts_transport import first_message
from analyzer.negotiation.pairing import is_negotiate
from analyzer.negotiation.sequel import Step
from analyzer.negotiation.story import Story

Frames = tuple[int, ...]


def evidence(story: Story) -> Mapping[str, Frames]:
    """Frames by the names of vocabulary.EVIDENCE; a name without a frame is left out."""
    return {
        name: tuple(frames) if len(frames) == 1 else tuple(sorted(set(frames)))
        for name, frames in _evidence(story)
        if frames
    }


def _evidence(story: Story) -> Iterator[tuple[str, list[int]]]:
    shake, connection = story.handshake, story.connection
    yield "syn", [s.frame for s in shake.syns]
    yield "syn-ack", [s.frame for s in (shake.syn_ack,) if s is not None]
    yield "icmp", [s.frame for s in (shake.icmp,) if s is not None]
    reset = shake.refusal
    ending = story.ending
    if ending is not None:
        yield "close", [ending.segment.frame]
        if ending.reset:
            reset = ending.segment
        else:
            yield "fin", [ending.segment.frame]
    yield "reset", [s.frame for s in (reset,) if s is not None]
    yield "first", [connection.first_frame]
    yield "last", [connection.last_frame]
    for name, client in (("client-first", True), ("server-first", False)):
        words = next((p for p in story.placed if p.from_client == client), None)
        yield name, [words.frame] if words else []
    opening = first_message(story, client=True)
    yield "first-command", [opening.frame] if opening else []
    negotiates = [p for p in story.placed if is_negotiate(p.message)]
    asked = [p.frame for p in negotiates if not p.message.response]
    told = [p.frame for p in negotiates if p.message.response]
    yield "first-request", asked[:1]
    yield "first-response", told[:1]
    yield "request", [story.request.frame] if story.request else []
    last = next((e.response for e in reversed(story.exchanges) if e.response is not None), None)
    yield "response", [last.frame] if last else []
    yield "netbios", [p.frame for p in story.placed if p.message.kind in ("negative", "session-request")]
    yield from _steps("session-setup", story.sequel.session)
    yield from _steps("tree-connect", story.sequel.tree)
    yield from _steps("validate", story.sequel.validation)
    yield "resent", [s.frame for s in story.copies]
    yield "gap", _beside_gap(story, snapped=False)
    yield "snapped", _beside_gap(story, snapped=True)


def _steps(name: str, step: Step) -> Iterator[tuple[str, list[int]]]:
    yield name, [step.request.frame] if step.request else []
    yield f"{name}-response", [step.response.frame] if step.response else []


def _beside_gap(story: Story, *, snapped: bool) -> list[int]:
    """The frames on both sides of the first gap of each direction."""
    frames: list[int] = []
    for stream in story.connection.streams:
        gap = next((g for g in stream.gaps if g.snapped == snapped), None)
        if gap is not None:
            around = (stream.frame_at(gap.start - 1) if gap.start else None, stream.frame_at(gap.end))
            frames += [f for f in around if f is not None]
    if not frames and not snapped and story.request is not None and story.response is None:
        asked = story.request.frame
        frames = [asked, *[p.frame for p in story.placed if p.from_client and p.frame > asked][:1]]
    return frames
