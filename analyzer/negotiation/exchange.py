"""Exchange: one NEGOTIATE, what was asked, what was answered and what state that left."""

from __future__ import annotations

import enum
from functools import partial
from typing import NamedTuple

from analyzer.smb.message import Message


class Placed(NamedTuple):
    """A message with its place in the capture."""

    message: Message
    from_client: bool
    frame: int               # frame.number of the frame that completes it
    time_ns: int


make_placed = partial(tuple.__new__, Placed)
"""The same from its members in a tuple, in half the time: there are many."""


class State(enum.Enum):
    """Where the negotiation stands after an exchange."""

    IDLE = "idle"
    WAITING = "waiting"              # asked, not answered
    RENEGOTIATE = "renegotiate"      # answered with 0x02FF: the client must ask again
    ANSWERED = "answered"            # a real dialect was selected
    DENIED = "denied"                # refused with a status or index 0xFFFF


class Exchange(NamedTuple):
    """A NEGOTIATE request and its answer; either is None where it was not captured.

    expected: the request was allowed where it came; False for a NEGOTIATE after a final answer.
    """

    request: Placed | None
    response: Placed | None
    state: State
    expected: bool = True
