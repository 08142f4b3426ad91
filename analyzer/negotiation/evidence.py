"""Story -> the frames that rules may name as their proof."""

from __future__ import annotations

from collections.abc import Mapping

from analyzer.negotiation.facts_transport import first_message
from analyzer.negotiation.pairing import is_negotiate
from analyzer.negotiation.story import Story

Frames = tuple[int, ...]

_NETBIOS = frozenset(("negative", "session-request"))


def evidence(story: Story) -> Mapping[str, Frames]:
    """Frames by the names of vocabulary.EVIDENCE, ascending; a name without a frame is left out."""
    shake, connection, ending = story.handshake, story.connection, story.ending
    found: dict[str, Frames] = {"first": (connection.first_frame,), "last": (connection.last_frame,)}
    if shake.syns:
        found["syn"] = _ascending([s.frame for s in shake.syns])
    if shake.syn_ack is not None:
        found["syn-ack"] = (shake.syn_ack.frame,)
    if shake.icmp is not None:
        found["icmp"] = (shake.icmp.frame,)
    reset = shake.refusal
    if ending is not None:
        found["close"] = (ending.segment.frame,)
        if ending.reset:
            reset = ending.segment
        else:
            found["fin"] = (ending.segment.frame,)
    if reset is not None:
        found["reset"] = (reset.frame,)
    if story.placed:
        _said(story, found)
    if story.copies:
        found["resent"] = _ascending([s.frame for s in story.copies])
    for name, snapped in (("gap", False), ("snapped", True)):
        beside = _beside_gap(story, snapped=snapped)
        if beside:
            found[name] = _ascending(beside)
    return found


def _said(story: Story, found: dict[str, Frames]) -> None:
    """Enter the frames of messages."""
    for name, client in (("client-first", True), ("server-first", False)):
        words = next((p for p in story.placed if p.from_client == client), None)
        if words is not None:
            found[name] = (words.frame,)
    opening = first_message(story, client=True)
    if opening is not None:
        found["first-command"] = (opening.frame,)
    for name, response in (("first-request", False), ("first-response", True)):
        said = (p for p in story.placed if is_negotiate(p.message) and bool(p.message.response) == response)
        first = next(said, None)
        if first is not None:
            found[name] = (first.frame,)
    if story.request is not None:
        found["request"] = (story.request.frame,)
    last = next((e.response for e in reversed(story.exchanges) if e.response is not None), None)
    if last is not None:
        found["response"] = (last.frame,)
    if story.kinds & _NETBIOS:
        found["netbios"] = _ascending([p.frame for p in story.placed if p.message.kind in _NETBIOS])
    sequel = story.sequel
    for name, step in (
        ("session-setup", sequel.session), ("tree-connect", sequel.tree), ("validate", sequel.validation)
    ):
        if step.request is not None:
            found[name] = (step.request.frame,)
        if step.response is not None:
            found[f"{name}-response"] = (step.response.frame,)


def _ascending(frames: list[int]) -> Frames:
    return tuple(frames) if len(frames) == 1 else tuple(sorted(set(frames)))


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
