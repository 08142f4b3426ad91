"""Story -> Sketch: one connection, as far as the other connections of a run need it."""

from __future__ import annotations

from typing import NamedTuple
from zlib import crc32

from analyzer.negotiation.faults import offer_whole
from analyzer.negotiation.story import Story
from analyzer.smb import constants, smb1, smb2
from analyzer.tcp.connection import Segment

SALT = 16            # bytes that two clients do not draw alike by chance

Pair = tuple[bytes, bytes]


class Print(NamedTuple):
    """A 3.1.1 NEGOTIATE message by its random salt, and a digest of all it says."""

    salt: bytes
    digest: int


class Sketch(NamedTuple):
    """One connection, as far as others need it. dialect: 0 where none was selected."""

    stream: int
    pair: Pair                       # addresses of client and server
    port: int                        # of the server
    first_ns: int
    up: bool                         # TCP is known to have come up
    heard: bool                      # the server sent something
    ttl: int | None                  # of the SYN/ACK
    reset_ttl: int | None            # of the server's RST that refused or ended it
    client_guid: bytes | None
    prints: tuple[Print, ...]
    answered: bool
    selected: bool
    went_on: bool                    # SESSION_SETUP or more
    stayed: bool                     # the server closed first: the client was not done
    offer: tuple[str, ...]
    dialect: int
    smb1_answer: bool
    newer_contexts: bool
    zero_guid: bool


def sketch_of(story: Story) -> Sketch:
    """What to tell the others of a story."""
    final = story.final
    asked = None if final is None or final.request is None else final.request.message.body
    answer = None if final is None or final.response is None else final.response.message.body
    newer = isinstance(asked, smb2.NegotiateRequest) and any(
        c.type > constants.COMPRESSION for c in asked.contexts or ()
    )
    by_server = story.ending is not None and not story.ending.by_client and story.coverage.whole
    went_on = story.sequel.session.request is not None or story.sequel.encrypted
    accepted, reset = story.handshake.syn_ack, _reset_by_server(story)
    return Sketch(
        stream=story.connection.stream,
        pair=(story.client.address, story.server.address),
        port=story.server.port,
        first_ns=story.connection.first_ns,
        up=bool(story.handshake.up),
        heard=bool(story.connection.packets[1 - story.client_side]),
        ttl=None if accepted is None else accepted.ttl,
        reset_ttl=None if reset is None else reset.ttl,
        client_guid=_client_guid(story),
        prints=_prints(story),
        answered=any(e.response is not None for e in story.exchanges),
        selected=final is not None,
        went_on=went_on,
        stayed=by_server,
        offer=_offer(story),
        dialect=(answer.dialect or 0) if isinstance(answer, smb2.NegotiateResponse) else 0,
        smb1_answer=isinstance(answer, smb1.NegotiateResponse),
        newer_contexts=newer,
        zero_guid=isinstance(answer, smb2.NegotiateResponse) and answer.server_guid == bytes(16),
    )


def _prints(story: Story) -> tuple[Print, ...]:
    """The whole NEGOTIATE messages that carry a salt. [MS-SMB2] 2.2.3.1.1"""
    found = []
    for placed in (story.request, story.response):
        body = None if placed is None else placed.message.body
        if placed is None or not placed.message.complete:
            continue
        if isinstance(body, (smb2.NegotiateRequest, smb2.NegotiateResponse)):
            salt = next((c.salt for c in body.contexts or () if c.salt and len(c.salt) >= SALT), None)
            if salt is not None:
                found.append(Print(salt, crc32(placed.message.data[smb2.HEADER_SIZE :])))
    return tuple(found)


def _reset_by_server(story: Story) -> Segment | None:
    ending = story.ending
    if ending is not None and ending.reset and not ending.by_client:
        return ending.segment
    return story.handshake.refusal


def _offer(story: Story) -> tuple[str, ...]:
    """The dialects of the last request; empty where it was not captured to their end."""
    request = story.request
    return story.offered if request is not None and offer_whole(request.message) else ()


def _client_guid(story: Story) -> bytes | None:
    """ClientGuid of the last request; None where it has none, or an empty one (2.0.2 only)."""
    body = None if story.request is None else story.request.message.body
    guid = body.client_guid if isinstance(body, smb2.NegotiateRequest) else None
    return guid if guid and any(guid) else None
