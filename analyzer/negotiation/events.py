"""Story -> what happened, in order: the steps that a ladder diagram is drawn from. Nothing here judges."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from analyzer.negotiation.exchange import Placed
from analyzer.negotiation.facts_transport import command_label
from analyzer.negotiation.pairing import NO_DIALECT, is_negotiate
from analyzer.negotiation.stages import is_session_setup, is_tree_connect, validation_answers
from analyzer.negotiation.story import Story
from analyzer.smb import constants, smb1, smb2, status
from analyzer.smb.message import Message
from analyzer.smb.sequel import (
    SessionSetupRequest,
    SessionSetupResponse,
    Smb1SessionSetupResponse,
    Smb1TreeConnectRequest,
    TreeConnectRequest,
    TreeConnectResponse,
    ValidateNegotiateRequest,
    ValidateNegotiateResponse,
)
from analyzer.tcp.connection import ACK, FIN, RST, SYN, Gap, Segment
from analyzer.tcp.sequence import distance

MOST_EVENTS = 60         # a ladder longer than this says nothing more about a negotiation
LAST_EVENTS = 10         # of these the last ones are kept: they show how it ended
FIRST_MESSAGES = 4       # always stand one by one
MOST_IN_A_ROW = 3        # messages behind the negotiation that stand one by one; a longer row becomes one step

_GUEST, _NULL, _ENCRYPT = 1, 2, 4            # SESSION_SETUP response flags. [MS-SMB2] 2.2.6
_SHARE_ENCRYPT = 0x8000                      # SMB2_SHAREFLAG_ENCRYPT_DATA. [MS-SMB2] 2.2.10
_NTLM = {1: "NTLM NEGOTIATE", 2: "NTLM CHALLENGE", 3: "NTLM AUTHENTICATE"}
_KINDS = {
    "smb1": "SMB1 message",
    "smb2": "SMB2 message",
    "session-request": "NetBIOS session request",
    "positive": "NetBIOS positive response",
    "negative": "NetBIOS negative response",
    "retarget": "NetBIOS retarget response",
    "not-smb": "not SMB",
    "encrypted": "encrypted message",
    "compressed": "compressed message",
}


class Event(NamedTuple):
    """One step of a ladder.

    kind: syn, syn-ack, fin, rst, icmp, message; gap (bytes that nobody captured), more (several
    steps in one), end (the capture ends before the connection does).
    frame: of `more` the first; None for gap and end. time_ns: None for gap.
    """

    kind: str
    from_client: bool
    frame: int | None
    time_ns: int | None
    label: str
    detail: str


class _Step(NamedTuple):
    """An event with its place. order: among events of one frame, what carries comes before what closes."""

    frame: int
    order: int
    event: Event
    message: Message | None = None


def events_of(story: Story) -> tuple[Event, ...]:
    """The steps of a connection in capture order, at most MOST_EVENTS, gaps among them."""
    steps = [*_control(story), *_messages(story), *_gaps(story)]
    steps.sort(key=lambda step: step[:2])
    events = _shortened(list(_joined(steps)))
    if story.ending is None and story.handshake.refusal is None and story.handshake.icmp is None:
        events.append(Event("end", True, None, story.capture_end_ns, "the capture ends", ""))
    return tuple(events)


def _control(story: Story) -> Iterator[_Step]:
    last: dict[tuple[int, str], Segment] = {}
    for segment in story.connection.controls:
        kind = _control_kind(segment)
        if kind is None:
            continue
        before = last.get((segment.side, kind))
        last[segment.side, kind] = segment
        again = before is not None and before.seq == segment.seq
        from_client = segment.side == story.client_side
        if kind == "icmp":
            # The error travels towards the sender of the packet that it quotes.
            text = f"type {segment.icmp >> 8} code {segment.icmp & 0xFF}"
            event = Event(kind, not from_client, segment.frame, segment.time_ns, "ICMP error", text)
        else:
            label = {"syn": "SYN", "syn-ack": "SYN/ACK", "fin": "FIN", "rst": "RST"}[kind]
            event = Event(
                kind, from_client, segment.frame, segment.time_ns, label, "sent again" if again else ""
            )
        yield _Step(segment.frame, 2, event)


def _control_kind(segment: Segment) -> str | None:
    if segment.icmp:
        return "icmp"
    if segment.flags & SYN:
        return "syn-ack" if segment.flags & ACK else "syn"
    if segment.flags & RST:
        return "rst"
    return "fin" if segment.flags & FIN else None


def _gaps(story: Story) -> Iterator[_Step]:
    for side, stream in enumerate(story.connection.streams):
        missing = [gap for gap in stream.gaps if not gap.snapped]
        for gap, frame in zip(missing, _gap_frames(story, side, missing), strict=True):
            text = f"{gap.end - gap.start:,} bytes not in the capture"
            yield _Step(frame, 0, Event("gap", side == story.client_side, None, None, "missing", text))


def _snapped(story: Story) -> dict[int, int]:
    """frame.number -> how many bytes of it the snap length cut off."""
    return {
        stream.frame_at(gap.start - 1) or 0: gap.end - gap.start
        for stream in story.connection.streams
        for gap in stream.gaps
        if gap.snapped and gap.start
    }


def _gap_frames(story: Story, side: int, gaps: Sequence[Gap]) -> Iterator[int]:
    """The frame that shows each gap, in order of offset: the first that comes after it, or that acknowledges it."""
    connection = story.connection
    stream, base = connection.streams[side], connection.bases[side]
    # Acknowledgements that say more than all before them: the first to reach a gap is among these.
    reached: list[int] = []
    frames: list[int] = []
    for segment in connection.segments if base is not None and gaps else ():
        if segment.side != side and segment.flags & ACK:
            offset = distance(segment.ack, base or 0)
            if not reached or offset > reached[-1]:
                reached.append(offset)
                frames.append(segment.frame)
    for gap in gaps:
        after = stream.frame_at(gap.end) or connection.last_frame
        place = bisect_left(reached, gap.end)
        yield min(after, frames[place]) if place < len(frames) else after


def _joined(steps: Sequence[_Step]) -> Iterator[Event]:
    """The events, with rows of messages that have nothing to do with the negotiation made one."""
    row: list[_Step] = []
    seen = 0
    for step in steps:
        if step.message is not None:
            seen += 1
            if seen > FIRST_MESSAGES and not _matters(step.message):
                row.append(step)
                continue
        yield from _one(row)
        row.clear()
        yield step.event
    yield from _one(row)


def _one(row: Sequence[_Step]) -> Iterator[Event]:
    if len(row) <= MOST_IN_A_ROW:
        yield from (step.event for step in row)
        return
    names = list(dict.fromkeys(step.event.label.rsplit(" ", 1)[0] for step in row))
    text = ", ".join(names[:6]) + (" and others" if len(names) > 6 else "")
    first, last = row[0], row[-1]
    yield Event(
        "more", first.event.from_client, first.frame, first.event.time_ns,
        f"{len(row):,} further messages to frame {last.frame}", text,
    )  # fmt: skip


def _matters(message: Message) -> bool:
    return (
        message.kind not in ("smb1", "smb2", "encrypted", "compressed")
        or is_negotiate(message)
        or is_session_setup(message)
        or is_tree_connect(message)
        or isinstance(message.body, ValidateNegotiateRequest | ValidateNegotiateResponse)
    )


def _shortened(events: list[Event]) -> list[Event]:
    if len(events) < MOST_EVENTS:
        return events
    head, tail = events[: MOST_EVENTS - LAST_EVENTS - 2], events[-LAST_EVENTS:]
    left_out = events[len(head) : -LAST_EVENTS]
    first = left_out[0]
    text = f"{len(left_out):,} further steps"
    return [*head, Event("more", first.from_client, first.frame, first.time_ns, text, ""), *tail]


def _messages(story: Story) -> Iterator[_Step]:
    snapped = _snapped(story)
    validated = validation_answers(p.message for p in story.placed)
    for place, placed in enumerate(story.placed):
        if placed.message.kind != "keepalive":
            event = _message(placed, snapped.get(placed.frame), validates=place in validated)
            yield _Step(placed.frame, 1, event, placed.message)


def _message(placed: Placed, cut_off: int | None, *, validates: bool) -> Event:
    message = placed.message
    if message.command is None:
        label = _KINDS.get(message.kind, message.kind)
    else:
        label = f"{command_label(placed)} {'response' if message.response else 'request'}"
    parts = list(_details(message))
    if validates or isinstance(message.body, ValidateNegotiateRequest):
        parts.append("FSCTL_VALIDATE_NEGOTIATE_INFO")
    if cut_off is not None:
        parts.append(f"{cut_off:,} bytes cut off by the snap length")
    elif not message.complete:
        parts.append("incomplete in this capture")
    detail = "; ".join(part for part in parts if part)
    return Event("message", placed.from_client, placed.frame, placed.time_ns, label, detail)


def _details(message: Message) -> Iterator[str]:
    body = message.body
    if message.kind == "not-smb":
        yield message.foreign or "unknown bytes"
    if message.error_code is not None:
        yield constants.label(message.error_code, constants.SESSION_ERRORS, 2)
    if message.status:
        yield status.status_name(message.status)
    if isinstance(body, smb1.NegotiateRequest):
        yield ", ".join(body.dialects)
    elif isinstance(body, smb1.NegotiateResponse) and body.dialect_index is not None:
        none = body.dialect_index == NO_DIALECT
        yield "no dialect accepted" if none else f"dialect index {body.dialect_index}"
    elif isinstance(body, smb2.NegotiateRequest):
        yield ", ".join(constants.dialect_name(d) for d in body.dialects)
        yield _signing(body.security_mode)
    elif isinstance(body, smb2.NegotiateResponse) and body.dialect is not None:
        yield constants.dialect_name(body.dialect)
        yield _signing(body.security_mode)
    else:
        yield from _sequel_details(body)
    if message.signed and message.kind in ("smb1", "smb2"):
        yield "signed"


def _signing(mode: int | None) -> str:
    if mode is None:
        return ""
    if mode & constants.SIGNING_REQUIRED:
        return "signing required"
    return "signing enabled" if mode & constants.SIGNING_ENABLED else "signing not enabled"


def _sequel_details(body: object) -> Iterator[str]:
    if isinstance(body, SessionSetupRequest | SessionSetupResponse) and body.token is not None:
        ntlm = body.token.ntlm
        yield _NTLM.get(ntlm.message_type or 0, "NTLM") if ntlm is not None else (body.token.kind or "")
    if isinstance(body, SessionSetupResponse) and body.session_flags:
        yield "as guest" if body.session_flags & _GUEST else ""
        yield "anonymous" if body.session_flags & _NULL else ""
        yield "encryption required" if body.session_flags & _ENCRYPT else ""
    elif isinstance(body, Smb1SessionSetupResponse) and body.action is not None and body.action & _GUEST:
        yield "as guest"
    elif isinstance(body, TreeConnectRequest | Smb1TreeConnectRequest) and body.path:
        yield body.path
    elif isinstance(body, TreeConnectResponse) and body.share_flags and body.share_flags & _SHARE_ENCRYPT:
        yield "encryption required"
