"""Story -> what happened, in order, and what was offered against what was answered.

The ladder diagram and the offer-and-answer table of a report are drawn from these; nothing here
judges.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from analyzer.negotiation.exchange import Placed
from analyzer.negotiation.facts_transport import command_label
from analyzer.negotiation.pairing import NO_DIALECT
from analyzer.negotiation.story import Story, selected_dialect
from analyzer.smb import constants, smb1, smb2, status
from analyzer.smb.contexts import Context
from analyzer.smb.sequel import (
    TreeConnectRequest,
    ValidateNegotiateRequest,
    ValidateNegotiateResponse,
)
from analyzer.tcp.connection import ACK, FIN, RST, SYN, Segment

# A ladder longer than this says nothing more about a negotiation.
MOST_EVENTS = 60


class Event(NamedTuple):
    """One step of a ladder. kind: syn, syn-ack, fin, rst, icmp, message or gap.

    frame and time_ns are None for a gap: nobody captured it.
    """

    kind: str
    from_client: bool
    frame: int | None
    time_ns: int | None
    label: str
    detail: str


class Aspect(NamedTuple):
    """One line of offer against answer. agreed: None where nothing was settled; differs: no common ground."""

    name: str
    offer: str | None
    answer: str | None
    agreed: str | None
    differs: bool


def events_of(story: Story) -> tuple[Event, ...]:
    """The steps of a connection in capture order, at most MOST_EVENTS, gaps among them."""
    found = [(e.frame or 0, e) for e in _control(story)]
    found += [(p.frame, _message(p)) for p in story.placed if p.message.kind != "keepalive"]
    found += list(_gaps(story))
    found.sort(key=lambda pair: pair[0])
    return tuple(event for _, event in found[:MOST_EVENTS])


def _control(story: Story) -> Iterator[Event]:
    last: dict[tuple[int, str], Segment] = {}
    for segment in story.connection.segments:
        kind = _control_kind(segment)
        if kind is None:
            continue
        before = last.get((segment.side, kind))
        last[segment.side, kind] = segment
        again = before is not None and before.seq == segment.seq
        from_client = segment.side == story.client_side
        if kind == "icmp":
            # The error travels towards the client, whoever sent it.
            text = f"type {segment.icmp >> 8} code {segment.icmp & 0xFF}"
            yield Event(kind, False, segment.frame, segment.time_ns, "ICMP error", text)
            continue
        label = {"syn": "SYN", "syn-ack": "SYN/ACK", "fin": "FIN", "rst": "RST"}[kind]
        yield Event(kind, from_client, segment.frame, segment.time_ns, label, "sent again" if again else "")


def _control_kind(segment: Segment) -> str | None:
    if segment.icmp:
        return "icmp"
    if segment.flags & SYN:
        return "syn-ack" if segment.flags & ACK else "syn"
    if segment.flags & RST:
        return "rst"
    return "fin" if segment.flags & FIN else None


def _gaps(story: Story) -> Iterator[tuple[int, Event]]:
    for side, stream in enumerate(story.connection.streams):
        for gap in stream.gaps:
            before = (stream.frame_at(gap.start - 1) if gap.start else None) or story.connection.first_frame
            why = "cut off by the snap length" if gap.snapped else "not in the capture"
            text = f"{gap.end - gap.start} bytes {why}"
            yield before, Event("gap", side == story.client_side, None, None, "missing", text)


def _message(placed: Placed) -> Event:
    message = placed.message
    label = command_label(placed)
    if message.kind in ("smb1", "smb2"):
        label += " response" if message.response else " request"
    detail = "; ".join(part for part in _details(placed) if part)
    return Event("message", placed.from_client, placed.frame, placed.time_ns, label, detail)


def _details(placed: Placed) -> Iterator[str]:
    message, body = placed.message, placed.message.body
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
    elif isinstance(body, smb2.NegotiateResponse) and body.dialect is not None:
        yield constants.dialect_name(body.dialect)
    elif isinstance(body, TreeConnectRequest) and body.path:
        yield body.path
    elif isinstance(body, ValidateNegotiateRequest | ValidateNegotiateResponse):
        yield "FSCTL_VALIDATE_NEGOTIATE_INFO"
    if not message.complete:
        yield "incomplete in this capture"


def comparison_of(story: Story) -> tuple[Aspect, ...]:
    """What the last NEGOTIATE offered and what its answer says, aspect by aspect."""
    asked = None if story.request is None else story.request.message.body
    told = None if story.response is None else story.response.message.body
    if asked is None and told is None:
        return ()
    return tuple(aspect for aspect in _aspects(story, asked, told) if aspect.offer or aspect.answer)


def _aspects(story: Story, asked: object, told: object) -> Iterator[Aspect]:
    yield _dialects(story)
    request = asked if isinstance(asked, smb2.NegotiateRequest) else None
    answer = told if isinstance(told, smb2.NegotiateResponse) else None
    if isinstance(told, smb1.NegotiateResponse) or isinstance(asked, smb1.NegotiateRequest):
        yield Aspect("signing", _smb1_client(story), _smb1_server(told), None, differs=False)
    if request is not None or answer is not None:
        modes = (
            None if request is None else _mode(request.security_mode),
            None if answer is None else _mode(answer.security_mode),
        )
        yield Aspect("signing", *modes, _signing(modes), differs=False)
        yield from _algorithms(request, answer)
        yield _capabilities(request, answer)
    if answer is not None:
        for name, size in (
            ("largest transaction", answer.max_transact_size),
            ("largest read", answer.max_read_size),
            ("largest write", answer.max_write_size),
        ):
            yield Aspect(name, None, None if size is None else f"{size:,} bytes", None, differs=False)
    if isinstance(told, smb1.NegotiateResponse | smb2.NegotiateResponse) and told.token is not None:
        names = ", ".join(constants.mechanism_name(oid) for oid in told.token.mech_types)
        yield Aspect("mechanisms", None, names or None, None, differs=False)


def _dialects(story: Story) -> Aspect:
    last = next((e for e in reversed(story.exchanges) if e.response is not None), None)
    selected = None if last is None else selected_dialect(last)
    answer = selected
    denied = False
    if last is not None and last.response is not None and selected is None:
        message = last.response.message
        body = message.body
        wildcard = isinstance(body, smb2.NegotiateResponse) and body.dialect == constants.SMB_2_WILDCARD
        denied = not wildcard
        answer = "SMB 2.??? (ask again)" if wildcard else status.status_name(message.status or 0)
        if isinstance(body, smb1.NegotiateResponse):
            answer = "none of them"
    offered = ", ".join(story.offered) or None
    strange = selected is not None and offered is not None and selected not in story.offered
    return Aspect("dialect", offered, answer, selected, differs=denied or strange)


def _mode(mode: int | None) -> str | None:
    if mode is None:
        return None
    if mode & constants.SIGNING_REQUIRED:
        return "required"
    return "enabled" if mode & constants.SIGNING_ENABLED else "not stated"


def _signing(modes: Sequence[str | None]) -> str | None:
    if None in modes:
        return None
    return "messages are signed" if "required" in modes else "not required"


def _smb1_client(story: Story) -> str | None:
    header = None if story.request is None else story.request.message.header
    if not isinstance(header, smb1.Smb1Header):
        return None
    if header.flags2 & constants.FLAGS2_SIGNING_REQUIRED:
        return "required"
    return "enabled" if header.flags2 & constants.FLAGS2_SIGNED else "not stated"


def _smb1_server(told: object) -> str | None:
    if not isinstance(told, smb1.NegotiateResponse) or told.security_mode is None:
        return None
    if told.security_mode & constants.SMB1_SIGNING_REQUIRED:
        return "required"
    return "enabled" if told.security_mode & constants.SMB1_SIGNING_ENABLED else "disabled"


def _ids(contexts: Sequence[Context] | None, kind: int) -> list[int] | None:
    found = [c for c in contexts or () if c.type == kind]
    return [i for c in found for i in c.ids] if found else None


def _algorithms(
    request: smb2.NegotiateRequest | None, answer: smb2.NegotiateResponse | None
) -> Iterator[Aspect]:
    kinds = (
        ("integrity hash", constants.PREAUTH_INTEGRITY, constants.HASHES),
        ("encryption", constants.ENCRYPTION, constants.CIPHERS),
        ("signing algorithm", constants.SIGNING, constants.SIGNINGS),
        ("compression", constants.COMPRESSION, constants.COMPRESSIONS),
        ("RDMA transforms", constants.RDMA_TRANSFORM, constants.RDMA_TRANSFORMS),
    )
    for name, kind, labels in kinds:
        offered = _ids(None if request is None else request.contexts, kind)
        chosen = _ids(None if answer is None else answer.contexts, kind)
        both = offered is not None and chosen is not None
        common = [i for i in chosen or () if i in (offered or ())]
        nothing = kind == constants.ENCRYPTION and chosen == [0]
        yield Aspect(
            name,
            None if offered is None else ", ".join(constants.label(i, labels) for i in offered),
            "none in common" if nothing else _labels(chosen, labels),
            ", ".join(constants.label(i, labels) for i in common) or None,
            differs=both and bool(offered) and not common,
        )


def _labels(ids: Sequence[int] | None, labels: Mapping[int, str]) -> str | None:
    return None if ids is None else ", ".join(constants.label(i, labels) for i in ids)


_CAPABILITY_NAMES = (
    (constants.CAP_DFS, "DFS"),
    (constants.CAP_LEASING, "leasing"),
    (constants.CAP_LARGE_MTU, "large MTU"),
    (constants.CAP_MULTI_CHANNEL, "multichannel"),
    (constants.CAP_PERSISTENT_HANDLES, "persistent handles"),
    (constants.CAP_DIRECTORY_LEASING, "directory leasing"),
    (constants.CAP_ENCRYPTION, "encryption"),
)


def _capabilities(
    request: smb2.NegotiateRequest | None, answer: smb2.NegotiateResponse | None
) -> Aspect:
    mine = None if request is None else request.capabilities
    theirs = None if answer is None else answer.capabilities
    agreed = None if mine is None or theirs is None else _bits(mine & theirs)
    return Aspect(
        "capabilities",
        None if mine is None else _bits(mine),
        None if theirs is None else _bits(theirs),
        agreed,
        differs=False,
    )


def _bits(capabilities: int) -> str:
    return ", ".join(name for bit, name in _CAPABILITY_NAMES if capabilities & bit) or "none"
