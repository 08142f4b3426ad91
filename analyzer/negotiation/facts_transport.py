"""Story -> facts about TCP: how the connection began, what the capture hides, how it ended."""

from __future__ import annotations

from analyzer.negotiation.exchange import Placed, State
from analyzer.negotiation.pairing import is_negotiate
from analyzer.negotiation.story import Story, opens, selects
from analyzer.negotiation.vocabulary import Found
from analyzer.smb import constants
from analyzer.tcp.connection import Endpoint

SECOND = 1_000_000_000
# Shorter than any server's idle time-out, longer than a busy accept().
AT_ONCE_NS = 5 * SECOND


def transport_facts(story: Story, found: Found) -> None:
    """Enter what stands under connection. and speaks of TCP."""
    shake, cover = story.handshake, story.coverage
    found["connection.client"] = str(story.client)
    found["connection.server"] = str(story.server)
    found["connection.server_host"] = story.server.host
    found["connection.port"] = story.server.port
    found["connection.outcome"] = base_outcome(story)
    found["connection.syn"] = bool(shake.syns)
    if shake.syn_ack is not None:
        found["connection.syn_ack"] = True
    elif shake.up is False:
        found["connection.syn_ack"] = False
    found["connection.syn_repeated"] = shake.repeated
    found["connection.both_sides"] = cover.both_sides
    found["connection.one_sided"] = cover.one_sided
    found["connection.mid_stream"] = mid_stream(story)
    if shake.up is not None:
        found["connection.up"] = shake.up
    if shake.syns:
        found["connection.refused"] = shake.refusal is not None
    if shake.icmp is not None:
        found["connection.icmp_type"] = shake.icmp.icmp >> 8
        found["connection.icmp_code"] = shake.icmp.icmp & 0xFF
        sender = story.connection.reporters.get(shake.icmp.frame)
        if sender is not None:
            found["connection.icmp_sender"] = Endpoint(sender, 0).host
    gap, truncated = missing_parts(story)
    found["connection.gap"] = gap
    found["connection.truncated"] = truncated
    _bytes_facts(story, found)
    _ending_facts(story, found)


def base_outcome(story: Story) -> str:
    """The outcome if no cause is found."""
    final = story.final
    if final is not None and selects(final):
        return "negotiated"
    sent = [_sent(story, client) for client in (True, False)]
    if story.handshake.up and sent == [False, False] and story.ending is not None:
        return "unused"
    return "incomplete"


def mid_stream(story: Story) -> bool:
    """The capture began after the connection did, and after its NEGOTIATE."""
    if story.coverage.start_seen or story.handshake.icmp is not None:
        return False
    first = next((p.message for p in story.placed if p.message.kind != "keepalive"), None)
    return first is None or not (is_negotiate(first) or first.kind == "session-request")


def missing_parts(story: Story) -> tuple[bool, bool]:
    """(gap, truncated): bytes missing where the NEGOTIATE or its answer must be, by reason."""
    cover = story.coverage
    asked, told = (None, None) if story.superseded else (story.request, story.response)
    parts = [
        (cover.client_from, cover.client_snapped, asked),
        (cover.server_from, cover.server_snapped, told),
    ]
    # A client that goes on has had an answer, even where TCP shows no hole in what the server sent.
    gap = asked is not None and told is None and story.sequel.went_on
    truncated = False
    for start, snapped, placed in parts:
        if start is None or (placed is not None and (placed.message.complete or start >= placed.message.end)):
            continue
        truncated |= snapped
        gap |= not snapped
    return gap, truncated


def _sent(story: Story, client: bool) -> bool | None:
    """Whether one side sent payload, None where the capture cannot tell."""
    side = story.client_side if client else 1 - story.client_side
    stream = story.connection.streams[side]
    if stream.runs or stream.gaps:
        return True
    if not story.handshake.up:
        return False if story.handshake.up is False else None
    return False if story.coverage.start_seen and story.coverage.both_sides else None


def _bytes_facts(story: Story, found: Found) -> None:
    for client, name in ((True, "client"), (False, "server")):
        sent = _sent(story, client)
        if sent is not None:
            found[f"connection.{name}_bytes"] = sent
        said = "nothing" if sent is False else first_words(story, client)
        if said is not None:
            found[f"connection.{name}_speaks"] = said


_FOREIGN = {"TLS": "tls", "HTTP": "http", "SSH": "ssh", "SMTP": "banner", "FTP": "banner"}


def first_words(story: Story, client: bool) -> str | None:
    """What the first bytes of a side are, None where its start was not captured."""
    if not story.coverage.start_seen:
        return None
    first = next((p.message for p in story.placed if p.from_client == client), None)
    if first is None or first.at != 0 or first.kind == "partial":
        return None
    if first.kind == "not-smb":
        return _FOREIGN.get(first.foreign or "", "other")
    if first.kind in ("session-request", "positive", "negative", "retarget", "keepalive"):
        return "netbios"
    return "smb"


def _ending_facts(story: Story, found: Found) -> None:
    ending = story.ending
    if story.handshake.up:
        found["connection.closed"] = ending is not None
    if ending is None:
        return
    found["connection.closed_by"] = "client" if ending.by_client else "server"
    found["connection.closed_with"] = "rst" if ending.reset else "fin"
    if story.stage is not None:
        found["connection.closed_after"] = story.stage
    accepted = story.handshake.syn_ack
    if accepted is not None:
        at_once = ending.segment.time_ns - accepted.time_ns < AT_ONCE_NS
        found["connection.closed_at_once"] = (
            not ending.by_client and story.stage == "handshake" and at_once
        )


def first_message(story: Story, *, client: bool) -> Placed | None:
    """The first SMB message of a side."""
    return next(
        (
            p
            for p in story.placed
            if p.from_client == client and p.message.kind in ("smb1", "smb2", "encrypted", "compressed")
        ),
        None,
    )


def opens_with_negotiate(story: Story) -> bool | None:
    """Whether the client's first SMB message is a NEGOTIATE, None where its start is missing."""
    first = first_message(story, client=True)
    if first is None or not story.coverage.start_seen:
        return None
    if first.message.kind in ("smb1", "smb2") and first.message.command is None:
        return None
    begin = first.message.at
    before = [p for p in story.placed if p.from_client and p.message.at < begin] if begin else []
    if story.coverage.client_from is not None and story.coverage.client_from < begin:
        return None
    if any(p.message.kind not in ("session-request", "keepalive") for p in before):
        return None
    return is_negotiate(first.message)


def command_label(placed: Placed) -> str:
    """The command of a message, as text."""
    message = placed.message
    if message.command is None:
        return message.kind
    if message.kind == "smb1":
        return constants.smb1_command_name(message.command)
    return constants.command_name(message.command)


def asked_in_vain(story: Story) -> bool | None:
    """True: no answer came to the last NEGOTIATE. False: one came. None: the capture cannot tell."""
    if story.request is None:
        return None
    if story.response is not None:
        return False
    final = any(e.state is State.ANSWERED for e in story.exchanges)
    if story.sequel.went_on and not final:
        return None
    begun = story.coverage.start_seen or opens(story.placed)
    return True if begun and story.coverage.whole and story.request.message.complete else None
