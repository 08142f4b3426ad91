"""A TCP connection -> the story of its negotiation: who, what was asked, answered, and how it ended."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from functools import lru_cache
from operator import itemgetter
from typing import NamedTuple

from analyzer.negotiation.coverage import (
    Coverage,
    Ending,
    Handshake,
    coverage_of,
    ending_of,
    handshake_of,
)
from analyzer.negotiation.exchange import Exchange, Placed, State, make_placed
from analyzer.negotiation.pairing import NO_DIALECT, is_negotiate, pair_exchanges
from analyzer.negotiation.sequel import Sequel, sequel_of
from analyzer.negotiation.stages import last_stage
from analyzer.smb import constants, smb1, smb2
from analyzer.smb.message import Message, SessionRequest, messages
from analyzer.tcp.connection import ByteStream, Connection, Endpoint, Segment

NETBIOS_PORT, DIRECT_PORT = 139, 445


class Story(NamedTuple):
    """Everything that the capture tells of one connection.

    client_side: index of the client in connection.ends. request, response: the last NEGOTIATE request, None where only
    its answer was captured, and its answer, also where that request was not captured. dialect: what the server selected
    last, as text; 0x02FF is no selection. offered: what the request offered, as text. transport: direct-tcp or netbios
    ([MS-SMB2] 2.1). capture_end_ns: time of the last packet of the whole capture. names: host names the capture gives
    for addresses.
    """

    connection: Connection
    client_side: int
    handshake: Handshake
    coverage: Coverage
    ending: Ending | None
    placed: tuple[Placed, ...]
    kinds: frozenset[str]                # of the messages; most connections have one, and nothing is looked for in vain
    exchanges: tuple[Exchange, ...]
    request: Placed | None
    response: Placed | None
    dialect: str | None
    offered: tuple[str, ...]
    transport: str
    copies: Sequence[Segment]            # every segment that carries the first byte of the last NEGOTIATE request
    sequel: Sequel
    stage: str | None                    # the last stage reached before the ending, None if hidden
    capture_end_ns: int
    names: Mapping[bytes, str]

    @property
    def weight(self) -> int:
        """About how many bytes it takes to keep: what its segments, bytes and messages do."""
        held = sum(len(run.data) + 24 * len(run.ends) for side in self.connection.streams for run in side.runs)
        gaps = sum(len(side.gaps) for side in self.connection.streams)
        messages = sum(500 + len(p.message.data) for p in self.placed)
        return held + messages + 150 * (len(self.connection.segments) + gaps)

    @property
    def client(self) -> Endpoint:
        """The end that opened the connection."""
        return self.connection.ends[self.client_side]

    @property
    def server(self) -> Endpoint:
        """The end that was connected to."""
        return self.connection.ends[1 - self.client_side]

    @property
    def superseded(self) -> bool:
        """The last answer refused, and bytes are missing behind it that may be another NEGOTIATE.

        A refusal lets the client ask again ([MS-SMB2] 3.3.5.4); any other answer is the last one.
        """
        response, request = self.response, self.request
        if response is None or self.exchanges[-1].state is not State.DENIED:
            return False
        streams, server = self.connection.streams, 1 - self.client_side
        hidden = any(gap.end > response.message.end for gap in streams[server].gaps)
        if request is not None:
            hidden |= any(gap.end > request.message.end for gap in streams[self.client_side].gaps)
        return hidden

    @property
    def final(self) -> Exchange | None:
        """The exchange that selected a real dialect."""
        return next((e for e in reversed(self.exchanges) if e.state is State.ANSWERED), None)

    @property
    def reached(self) -> str:
        """none, tcp, negotiate, session or tree: how far the connection got."""
        if self.sequel.tree.succeeded:
            return "tree"
        if self.sequel.session.succeeded or self.sequel.encrypted or self.sequel.tree.request is not None:
            return "session"
        if self.final is not None:
            return "negotiate"
        return "none" if self.handshake.up is False else "tcp"

    @property
    def response_time_ns(self) -> int | None:
        """From the last NEGOTIATE request to its answer."""
        if self.request is None or self.response is None:
            return None
        return max(0, self.response.time_ns - self.request.time_ns)

    @property
    def client_name(self) -> str | None:
        """Host name of the client, as far as the capture gives one."""
        name = self.names.get(self.client.address) or self._netbios_name("calling")
        if name is None and self.sequel.authenticate is not None:
            name = self.sequel.authenticate.workstation
        return name or None

    @property
    def server_name(self) -> str | None:
        """Host name of the server, as far as the capture gives one."""
        name = self.names.get(self.server.address)
        challenge = self.sequel.challenge
        if name is None and challenge is not None:
            name = challenge.nb_computer or challenge.dns_computer or challenge.target_name
        return name or self._netbios_name("called")

    def _netbios_name(self, which: str) -> str | None:
        for placed in self.placed if "session-request" in self.kinds else ():
            body = placed.message.body
            if isinstance(body, SessionRequest):
                name = body.called if which == "called" else body.calling
                return None if name == "*SMBSERVER" else name
        return None


def selected_dialect(exchange: Exchange) -> str | None:
    """The dialect an answer selects, as text; None where it selects none, or from a list that was not captured."""
    if exchange.response is None:
        return None
    body = exchange.response.message.body
    if isinstance(body, smb2.NegotiateResponse):
        if body.dialect is None or body.dialect == constants.SMB_2_WILDCARD:
            return None
        return constants.dialect_name(body.dialect)
    if isinstance(body, smb1.NegotiateResponse):
        index = body.dialect_index
        if index is None or index == NO_DIALECT:
            return None
        request = None if exchange.request is None else exchange.request.message
        offered = request.body.dialects if request is not None and isinstance(request.body, smb1.NegotiateRequest) else ()
        if index < len(offered):
            return offered[index]
        return None if request is None or not request.complete else f"unknown index {index}"
    return None


def selects(exchange: Exchange) -> bool:
    """Whether an answer selects a dialect, known or not."""
    body = None if exchange.response is None else exchange.response.message.body
    if isinstance(body, smb1.NegotiateResponse):
        return body.dialect_index not in (None, NO_DIALECT)
    return selected_dialect(exchange) is not None


def offered_by(request: Placed) -> tuple[str, ...]:
    """The dialects that a NEGOTIATE request offers, as text."""
    body = request.message.body
    if isinstance(body, smb2.NegotiateRequest):
        dialects = body.dialects
        return _names_of(dialects) if len(dialects) <= _FEW else tuple(map(constants.dialect_name, dialects))
    if isinstance(body, smb1.NegotiateRequest):
        return body.dialects
    return ()


_FEW = 16                             # dialects of a list that is remembered: there are seven


@lru_cache(maxsize=256)               # clients offer the same few lists
def _names_of(dialects: tuple[int, ...]) -> tuple[str, ...]:
    return tuple(map(constants.dialect_name, dialects))


# Of one side the messages, in order, and frame.number and time of the frame that completes each; None where no byte of
# it was captured.
_Said = tuple[Sequence[Message], Sequence[tuple[int, int] | None]]


def _said(stream: ByteStream) -> _Said:
    found = messages([(run.start, run.data) for run in stream.runs], _starts(stream))
    return found, stream.completions([(message.at, message.end) for message in found])


def _starts(stream: ByteStream) -> list[int]:
    # Runs are in order, and so are their pieces.
    return [start for run in stream.runs for start in (run.start, *run.ends[:-1])]


def _client_side(connection: Connection, ports: Sequence[int], said: Sequence[_Said]) -> int:
    """Which side is the client: who opened, else who asked first, else who is not on the SMB port."""
    if connection.initiator is not None:
        return connection.initiator
    spoken = [
        (message, of[0], side) for side in (0, 1) for message, of in zip(*said[side], strict=True) if of is not None
    ]
    asked = [
        (frame, side)
        for message, frame, side in spoken
        if message.response is False or message.kind == "session-request"
    ]
    answered = [(frame, 1 - side) for message, frame, side in spoken if message.response is True]
    first = min(asked or answered, default=None)
    if first is not None:
        return first[1]
    on_port = [end.port in ports for end in connection.ends]
    if on_port[0] != on_port[1]:
        return 0 if on_port[1] else 1
    # Neither or both ends are on such a port: the ephemeral one is the higher.
    return 0 if connection.ends[0].port >= connection.ends[1].port else 1


def tell(
    connection: Connection,
    *,
    capture_end_ns: int,
    ports: Sequence[int] = (DIRECT_PORT, NETBIOS_PORT),
    names: Mapping[bytes, str] | None = None,
) -> Story:
    """The story of one connection.

    capture_end_ns: time of the last packet of the capture. ports: what counts as an SMB port.
    names: address (4 or 16 bytes) -> host name, from the capture's own name resolution.
    """
    said = [_said(stream) for stream in connection.streams]
    client = _client_side(connection, ports, said)
    handshake = handshake_of(connection, client)
    ending = ending_of(connection, client, handshake)
    coverage = coverage_of(connection, client, handshake)
    # Of one side in the order of its stream, which a stable sort keeps in a frame; the client's come first.
    placed = [
        make_placed((message, side == client, *of))
        for side in (client, 1 - client) for message, of in zip(*said[side], strict=True) if of is not None
    ]
    placed.sort(key=itemgetter(2))
    kinds = frozenset([p.message.kind for p in placed])
    negotiates = [p for p in placed if is_negotiate(p.message)]
    negotiated = negotiates[-1].frame if negotiates else 0
    exchanges = pair_exchanges(negotiates)
    request, response = (exchanges[-1].request, exchanges[-1].response) if exchanges else (None, None)
    return Story(
        connection=connection,
        client_side=client,
        handshake=handshake,
        coverage=coverage,
        ending=ending,
        placed=tuple(placed),
        kinds=kinds,
        exchanges=exchanges,
        request=request,
        response=response,
        dialect=_selected_last(exchanges),
        offered=() if request is None else offered_by(request),
        transport=_transport(connection.ends[1 - client], kinds),
        copies=_copies(connection, client, request),
        sequel=sequel_of(placed, negotiated, kinds),
        stage=_stage_before(placed, ending, coverage),
        capture_end_ns=capture_end_ns,
        names=names or {},
    )


def _selected_last(exchanges: Sequence[Exchange]) -> str | None:
    selected = (selected_dialect(exchange) for exchange in reversed(exchanges))
    return next((dialect for dialect in selected if dialect is not None), None)


def _transport(server: Endpoint, kinds: frozenset[str]) -> str:
    netbios = server.port == NETBIOS_PORT or "session-request" in kinds or "positive" in kinds
    return "netbios" if netbios else "direct-tcp"


def _copies(connection: Connection, client: int, request: Placed | None) -> Sequence[Segment]:
    base = connection.bases[client]
    if request is None or base is None:
        return ()
    return connection.segments.carrying(client, (base + request.message.at) & 0xFFFFFFFF)


def _stage_before(placed: Sequence[Placed], ending: Ending | None, coverage: Coverage) -> str | None:
    """The last stage before the ending; None where a gap may hide a later one."""
    if ending is None:
        return None
    count = bisect_left([p.frame for p in placed], ending.segment.frame + 1)
    # A message that the closing side sent in the very frame of its FIN comes before it.
    before = [p for p in placed[:count] if p.frame < ending.segment.frame or p.from_client == ending.by_client]
    stage = last_stage(before)
    if stage in ("other", "encrypted"):
        return stage
    if not coverage.whole:
        return None
    if coverage.start_seen:
        return stage or "handshake"
    # Before the first message that was captured may have been others, and an answer to them.
    return stage if stage not in (None, "session-request", "request") and opens(placed) else None


def opens(placed: Sequence[Placed]) -> bool:
    """Whether the client's first message is the first of a connection: NEGOTIATE, in SMB2 with MessageId 0."""
    first = next((p.message for p in placed if p.from_client), None)
    if first is None or first.response or not is_negotiate(first):
        return False
    return first.kind == "smb1" or first.message_id == 0
