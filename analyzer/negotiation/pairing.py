"""Messages of a connection -> its NEGOTIATE exchanges.

An answer belongs to the request with its MessageId (SMB2) or MID (SMB1); an SMB2 answer with
MessageId 0 may also belong to an SMB1 request that offered SMB2 dialects ([MS-SMB2] 3.3.5.3.1).
What an exchange does to the state of the negotiation is one table.
"""

from __future__ import annotations

import enum
from collections import deque
from collections.abc import Iterator, Mapping, Sequence

from analyzer.negotiation.exchange import Exchange, Placed, State
from analyzer.smb import constants, smb1, smb2
from analyzer.smb.message import Message

NO_DIALECT = 0xFFFF          # DialectIndex of a refusal. [MS-CIFS] 2.2.4.52.2


_FROM_SMB1 = ("smb1", -1)    # what an SMB2 answer with MessageId 0 may belong to, whatever the MID


class Event(enum.Enum):
    """What a NEGOTIATE message does."""

    ASKED = "asked"
    OFFERED = "offered"      # answer 0x02FF
    SELECTED = "selected"
    DENIED = "denied"


# A pair that is not here is a NEGOTIATE where none may come: [MS-SMB2] 3.3.5.4 lets one follow
# only 0x02FF or a refusal.
NEXT = {
    (State.IDLE, Event.ASKED): State.WAITING,
    (State.WAITING, Event.ASKED): State.WAITING,
    (State.RENEGOTIATE, Event.ASKED): State.WAITING,
    (State.DENIED, Event.ASKED): State.WAITING,
    (State.WAITING, Event.OFFERED): State.RENEGOTIATE,
    (State.WAITING, Event.SELECTED): State.ANSWERED,
    (State.WAITING, Event.DENIED): State.DENIED,
}


def is_negotiate(message: Message) -> bool:
    """Whether this is an SMB1 or SMB2 NEGOTIATE, request or answer."""
    if message.kind == "smb2":
        return message.command == constants.NEGOTIATE
    return message.kind == "smb1" and message.command == constants.SMB1_NEGOTIATE


def event_of(message: Message) -> Event:
    """What a NEGOTIATE message does to the negotiation."""
    if not message.response:
        return Event.ASKED
    body = message.body
    if isinstance(body, smb2.NegotiateResponse) and not message.status:
        return Event.OFFERED if body.dialect == constants.SMB_2_WILDCARD else Event.SELECTED
    if isinstance(body, smb1.NegotiateResponse) and not message.status:
        return Event.DENIED if body.dialect_index == NO_DIALECT else Event.SELECTED
    # A successful answer whose body cannot be read still selected something.
    return Event.DENIED if message.status else Event.SELECTED


def _first(waiting: deque[int] | None, answered: Mapping[int, Placed]) -> int | None:
    """The first request that has no answer yet; those that have one are taken off."""
    while waiting and waiting[0] in answered:
        waiting.popleft()
    return waiting[0] if waiting else None


def _paired(messages: Sequence[Placed]) -> Iterator[tuple[Placed | None, Placed | None]]:
    """Every request with its answer, then in place the answers without a request."""
    requests = [m for m in messages if m.from_client and not m.message.response]
    responses = [m for m in messages if not m.from_client and m.message.response]
    # Requests by what an answer to them looks like; each waits in order, and is answered once.
    waiting: dict[tuple[str, int | None], deque[int]] = {}
    for i, request in enumerate(requests):
        kind, number = request.message.kind, request.message.message_id
        waiting.setdefault((kind, number), deque()).append(i)
        if kind == "smb1":
            waiting.setdefault(_FROM_SMB1, deque()).append(i)
    answer_to: dict[int, Placed] = {}
    orphans: list[Placed] = []
    for response in responses:
        kind, number = response.message.kind, response.message.message_id
        keys = [(kind, number), _FROM_SMB1] if kind == "smb2" and not number else [(kind, number)]
        found = [first for key in keys if (first := _first(waiting.get(key), answer_to)) is not None]
        if found:
            answer_to[min(found)] = response
        else:
            orphans.append(response)
    pairs: list[tuple[Placed | None, Placed | None]] = [
        (request, answer_to.get(i)) for i, request in enumerate(requests)
    ]
    pairs += [(None, response) for response in orphans]

    def frame(pair: tuple[Placed | None, Placed | None]) -> int:
        first = pair[0] or pair[1]
        return first.frame if first else 0

    return iter(sorted(pairs, key=frame))


def pair_exchanges(negotiates: Sequence[Placed]) -> tuple[Exchange, ...]:
    """The exchanges of the NEGOTIATE messages of one connection, in order of their requests."""
    exchanges = []
    state = State.IDLE
    for request, response in _paired(negotiates):
        expected = (state, Event.ASKED) in NEXT
        state = State.WAITING
        if response is not None:
            state = NEXT[state, event_of(response.message)]
        exchanges.append(Exchange(request, response, state, expected=expected))
    return tuple(exchanges)
