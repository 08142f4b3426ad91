"""A diagnosed connection -> the frames that an extract of it needs."""

from __future__ import annotations

from array import array
from collections.abc import Iterable
from typing import NamedTuple

from analyzer.negotiation.exchange import Placed
from analyzer.negotiation.pairing import is_negotiate
from analyzer.negotiation.stages import is_session_setup, is_tree_connect
from analyzer.negotiation.story import Story
from analyzer.smb.sequel import ValidateNegotiateRequest, ValidateNegotiateResponse
from analyzer.tcp.connection import FIN, RST, SYN

_SESSION_SERVICE = ("session-request", "positive", "negative", "retarget")


class Choice(NamedTuple):
    """The frames of one connection, ascending.

    negotiation: handshake, negotiation with its sequel, teardown. kept: all that was looked at.
    """

    stream: int
    pair: tuple[bytes, bytes]            # addresses of client and server
    negotiation: array[int]
    kept: array[int]


def choice_of(story: Story, evidence: Iterable[int]) -> Choice:
    """What to take of a connection. evidence: the frames that its findings name."""
    connection = story.connection
    until = max((placed.frame for placed in story.placed if _belongs(story, placed)), default=0)
    kept = {segment.frame for segment in connection.segments}
    needed = {
        segment.frame
        for segment in connection.segments
        if segment.frame <= until or segment.icmp or segment.flags & (SYN | FIN | RST)
    }
    needed.update(evidence)
    return Choice(
        connection.stream,
        (story.client.address, story.server.address),
        array("q", sorted(needed)),
        array("q", sorted(kept | needed)),
    )


def _belongs(story: Story, placed: Placed) -> bool:
    """Whether a message is of the negotiation, or of what follows from it."""
    message = placed.message
    return (
        is_negotiate(message)
        or is_session_setup(message)
        or is_tree_connect(message)
        or message.kind in _SESSION_SERVICE
        or isinstance(message.body, ValidateNegotiateRequest | ValidateNegotiateResponse)
        or placed is next(other for other in story.placed if other.from_client == placed.from_client)
    )
