"""Story -> facts about the NEGOTIATE itself: offer against answer, faults, waiting, clocks."""

from __future__ import annotations

from itertools import pairwise

from analyzer.negotiation.exchange import Placed, State
from analyzer.negotiation.facts_transport import (
    SECOND,
    asked_in_vain,
    command_label,
    first_message,
    opens_with_negotiate,
)
from analyzer.negotiation.faults import dialect_fault, offer_whole, request_fault, response_fault, small_sizes
from analyzer.negotiation.pairing import NO_DIALECT
from analyzer.negotiation.story import Story
from analyzer.negotiation.vocabulary import Found
from analyzer.smb import constants, smb1, smb2
from analyzer.smb.status import status_name
from analyzer.tcp.connection import ACK, RST

PATIENCE_NS = 5 * SECOND             # an unanswered request counts as such from here on
SLOW_NS = 1 * SECOND                 # an answer later than this is worth a warning
SKEW_NS = 300 * SECOND               # Kerberos tolerates five minutes. RFC 4120 1.6
FROZEN_NS = SECOND // 10             # a clock that does not move in this time is no clock
RESENDS = 3                          # TCP retransmissions that no peer with an answer would see
DUPLICATE_NS = SECOND // 100         # copies closer than this are a mirror port's, not TCP's
# Captures without a clock begin at 1970; Windows' own epoch is 1601.
PLAUSIBLE_NS = 631_152_000 * SECOND  # 1990-01-01
FILETIME_EPOCH = 116_444_736_000_000_000


def seconds(duration_ns: int) -> str:
    """A duration for people: "8.0 s", "12 ms"."""
    if duration_ns >= SECOND:
        return f"{duration_ns / SECOND:.1f} s"
    return f"{duration_ns / 1_000_000:.0f} ms"


def negotiate_facts(story: Story, found: Found) -> None:
    """Enter what stands under connection. and speaks of the NEGOTIATE."""
    asked = [e.request for e in story.exchanges if e.request is not None]
    found["connection.negotiates"] = len(asked)
    last = story.request
    found["connection.request_captured"] = last is not None and last.message.complete
    first = opens_with_negotiate(story)
    if first is not None:
        found["connection.first_is_negotiate"] = first
    opening = first_message(story, client=True)
    if opening is not None:
        found["connection.first_command"] = command_label(opening)
    found["connection.second_negotiate"] = any(not e.expected for e in story.exchanges)
    _waiting_facts(story, found)
    _offer_facts(story, asked, found)
    _answer_facts(story, found)
    _clock_facts(story, found)


def _waiting_facts(story: Story, found: Found) -> None:
    request, response, ending = story.request, story.response, story.ending
    in_vain = asked_in_vain(story)
    if in_vain is not None:
        found["connection.answered"] = not in_vain
    if request is None:
        return
    late = (
        response is not None
        and ending is not None
        and ending.by_client
        and response.frame > ending.segment.frame
    )
    found["connection.answered_late"] = late
    invited = story.exchanges[-1].state is State.RENEGOTIATE and story.coverage.whole
    if in_vain or late or (invited and not story.sequel.went_on):
        since = response if invited and response is not None else request
        until = story.capture_end_ns if ending is None else ending.segment.time_ns
        waited = max(0, until - since.time_ns)
        found["connection.waited_5s"] = waited >= PATIENCE_NS
        found["connection.waited"] = seconds(waited)
    if response is not None and not late:
        took = max(0, response.time_ns - request.time_ns)
        found["connection.slow"] = took - (story.handshake.round_trip_ns or 0) > SLOW_NS
        found["connection.response_time"] = seconds(took)
    _delivery_facts(story, request, found)


def _delivery_facts(story: Story, request: Placed, found: Found) -> None:
    base = story.connection.bases[story.client_side]
    if base is None:
        return
    start = (base + request.message.at) & 0xFFFFFFFF
    size = request.message.end - request.message.at
    server = 1 - story.client_side
    if any(s.side == server and not s.icmp for s in story.connection.segments):
        found["connection.request_acked"] = any(
            s.side == server
            and s.flags & ACK
            and size <= (s.ack - start) & 0xFFFFFFFF < 0x80000000
            and not s.flags & RST
            and not s.icmp
            for s in story.connection.segments
        )
    sent = [s.time_ns for s in story.copies]
    copies = 1 + sum(later - earlier >= DUPLICATE_NS for earlier, later in pairwise(sent))
    found["connection.request_resent"] = copies > RESENDS


def _offer_facts(story: Story, asked: list[Placed], found: Found) -> None:
    if asked:
        shown = ", ".join(story.offered) or "nothing"
        found["connection.offered"] = shown if offer_whole(asked[-1].message) else f"{shown}, the rest not captured"
        bodies = [p.message.body for p in asked]
        whole = all(offer_whole(p.message) for p in asked)
        smb2_offered = any(_offers_smb2(body) for body in bodies)
        newest = any(isinstance(b, smb2.NegotiateRequest) and constants.SMB_3_1_1 in b.dialects for b in bodies)
        if whole or smb2_offered:
            found["connection.offers_smb2"] = smb2_offered
        if whole or newest:
            found["connection.offers_311"] = newest
    last = story.request
    found["connection.offer_captured"] = last is not None and offer_whole(last.message)
    fault = request_fault(last)
    smb1_whole = last is not None and last.message.kind == "smb1" and last.message.complete
    found["connection.request_judged"] = fault is not None or smb1_whole
    if fault is not None:
        found["connection.request_fault"] = fault[0]
        found["connection.request_fault_detail"] = fault[1]
    body = None if story.request is None else story.request.message.body
    if isinstance(body, smb2.NegotiateRequest) and story.request and story.request.message.complete:
        types = [c.type for c in body.contexts or ()]
        found["connection.preauth_repeated"] = types.count(constants.PREAUTH_INTEGRITY) > 1
        found["connection.newer_contexts"] = any(t > constants.COMPRESSION for t in types)


def _offers_smb2(body: object) -> bool:
    if isinstance(body, smb1.NegotiateRequest):
        return any(name.startswith("SMB 2.") for name in body.dialects)
    return isinstance(body, smb2.NegotiateRequest)


def _answer_facts(story: Story, found: Found) -> None:
    if story.dialect is not None:
        found["connection.selected"] = story.dialect
    last = next((e for e in reversed(story.exchanges) if e.response is not None), None)
    if last is None or last.response is None:
        return
    fault = response_fault(last)
    if fault is not None:
        found["connection.response_fault"] = fault[0]
        found["connection.response_fault_detail"] = fault[1]
    elif last.response.message.status:
        found["connection.response_fault_detail"] = status_name(last.response.message.status)
    body = last.response.message.body
    request = None if last.request is None else last.request.message
    if isinstance(body, smb1.NegotiateResponse) and request is not None and offer_whole(request):
        offered = request.body.dialects if isinstance(request.body, smb1.NegotiateRequest) else ()
        if body.dialect_index is not None and body.dialect_index != NO_DIALECT:
            found["connection.dialect_offered"] = body.dialect_index < len(offered)
    if not isinstance(body, smb2.NegotiateResponse):
        return
    if body.dialect is not None and request is not None and offer_whole(request) and not last.response.message.status:
        found["connection.dialect_offered"] = dialect_fault(last, body) is None
    small = small_sizes(body)
    if small is not None:
        found["connection.small_sizes"] = small
    _encryption_facts(story, body, found)


def _encryption_facts(story: Story, answer: smb2.NegotiateResponse, found: Found) -> None:
    dialect = answer.dialect
    asked = None if story.request is None else story.request.message.body
    if isinstance(asked, smb2.NegotiateRequest):
        ciphers = [i for c in asked.contexts or () if c.type == constants.ENCRYPTION for i in c.ids]
        flag = bool((asked.capabilities or 0) & constants.CAP_ENCRYPTION)
        can = {constants.SMB_3_1_1: bool(ciphers), constants.SMB_3_0: flag, constants.SMB_3_0_2: flag}
        three = any(d >= constants.SMB_3_0 for d in asked.dialects)
        found["connection.client_can_encrypt"] = can.get(dialect or 0, three and (flag or bool(ciphers)))
    elif isinstance(asked, smb1.NegotiateRequest):
        found["connection.client_can_encrypt"] = False
    if dialect is None or story.response is None or not story.response.message.complete:
        return
    granted = any(
        i for c in answer.contexts or () if c.type == constants.ENCRYPTION for i in c.ids
    )
    flag = bool((answer.capabilities or 0) & constants.CAP_ENCRYPTION)
    found["connection.server_can_encrypt"] = (
        granted if dialect == constants.SMB_3_1_1 else flag and dialect >= constants.SMB_3_0
    )


def server_clock_ns(placed: Placed) -> int | None:
    """The server's clock in an answer, nanoseconds since 1970; None where it gives none."""
    body = placed.message.body
    if not isinstance(body, (smb1.NegotiateResponse, smb2.NegotiateResponse)) or not body.system_time:
        return None
    return (body.system_time - FILETIME_EPOCH) * 100


def _clock_facts(story: Story, found: Found) -> None:
    if story.client.address == story.server.address:
        return
    told = [
        (clock, e.response)
        for e in story.exchanges
        if e.response is not None and (clock := server_clock_ns(e.response)) is not None
    ]
    if not told:
        return
    clock, placed = told[-1]
    if placed.time_ns < PLAUSIBLE_NS or any(
        other == clock and abs(p.time_ns - placed.time_ns) > FROZEN_NS for other, p in told
    ):
        return
    skew = clock - placed.time_ns
    found["connection.skewed"] = abs(skew) > SKEW_NS
    found["connection.skew"] = f"{seconds(abs(skew))} {'ahead of' if skew > 0 else 'behind'} the capture"
