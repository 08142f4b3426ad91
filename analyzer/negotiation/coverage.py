"""What the capture shows of a connection and what it hides, and how TCP began.

A fact is None where the capture cannot show it: nothing here turns absence into a verdict.
[RFC 9293] 3.5 for the handshake, 3.10.7 for what RST answers.
"""

from __future__ import annotations

from typing import NamedTuple

from analyzer.tcp.connection import ACK, FIN, RST, SYN, Connection, Gap, Segment

# ICMP and ICMPv6 errors that say "this never arrived"; code 4 and type 2 are path MTU discovery.
UNREACHABLE = frozenset(
    [3 << 8 | code for code in (0, 1, 3, 9, 10, 13)] + [1 << 8 | code for code in range(8)]
)
LARGEST_MESSAGE = 1 << 24            # that a NetBIOS header can announce; RFC 1002 4.3.1, MS-SMB2 2.1


class Handshake(NamedTuple):
    """How TCP came up, or did not. Frames are None where the segment was not captured."""

    syns: tuple[Segment, ...]
    syn_ack: Segment | None
    refusal: Segment | None              # the RST that answered the SYN
    icmp: Segment | None                 # the ICMP error that quotes the SYN
    up: bool | None
    round_trip_ns: int | None

    @property
    def repeated(self) -> bool:
        """The same SYN was sent more than once."""
        return any(s.seq == self.syns[0].seq for s in self.syns[1:])


def handshake_of(connection: Connection, client: int) -> Handshake:
    """Read the handshake of a connection whose client is a known side."""
    controls = connection.controls
    opening = [s for s in controls if s.flags & SYN]
    syns = tuple(s for s in opening if s.side == client and not s.flags & ACK and not s.icmp)
    syn_ack = next((s for s in opening if s.side != client and s.flags & ACK), None)
    quoted = [s for s in controls if s.icmp]
    icmp = next((s for s in quoted if s.icmp in UNREACHABLE and any(s.seq == y.seq for y in syns)), None)
    talked = (
        any(not s.flags & (SYN | RST) and not s.icmp for s in connection.segments)
        or sum(connection.packets) > len(connection.segments) - len(quoted)
    )
    up: bool | None = None
    if syn_ack is not None or talked:
        up = True
    elif syns:
        up = False
    refusal = None
    if up is False:
        answers = {(s.seq + 1 + s.length) & 0xFFFFFFFF for s in syns} | {
            (s.seq + 1) & 0xFFFFFFFF for s in syns
        }
        resets = (s for s in controls if s.flags & RST and s.side != client and s.flags & ACK)
        refusal = next((s for s in resets if s.ack in answers), None)
    round_trip = None
    if syn_ack is not None and syns:
        sent = max((s.time_ns for s in syns if s.frame < syn_ack.frame), default=None)
        round_trip = None if sent is None else max(0, syn_ack.time_ns - sent)
    return Handshake(syns, syn_ack, refusal, icmp, up, round_trip)


class Coverage(NamedTuple):
    """What is missing. `client` and `server` are sides of the connection.

    *_from: stream offset of the first byte that is missing, None where nothing is.
    *_snapped: that first missing byte was cut off by the snap length.
    """

    both_sides: bool
    one_sided: bool
    start_seen: bool                     # the handshake was captured, so offset 0 is the first byte
    client_from: int | None
    client_snapped: bool
    server_from: int | None
    server_snapped: bool
    unseen_close: bool                   # a FIN that the capture does not hold was acknowledged or stepped over

    @property
    def whole(self) -> bool:
        """Nothing is missing on either side."""
        complete = self.client_from is None and self.server_from is None
        return self.both_sides and complete and not self.unseen_close


def coverage_of(connection: Connection, client: int, handshake: Handshake) -> Coverage:
    """What the capture misses of a connection."""
    server = 1 - client
    both = all(connection.packets)
    heard = server if connection.packets[server] else client
    acknowledges = any(
        s.side == heard and s.flags & ACK and not s.flags & RST for s in connection.segments
    )
    missing, server_missing = (_first_gap(connection, side) for side in (client, server))
    return Coverage(
        both_sides=both,
        one_sided=not both and acknowledges,
        start_seen=bool(handshake.syns) or handshake.syn_ack is not None,
        client_from=None if missing is None else missing.start,
        client_snapped=missing is not None and missing.snapped,
        server_from=None if server_missing is None else server_missing.start,
        server_snapped=server_missing is not None and server_missing.snapped,
        unseen_close=any(_closed_unseen(connection, side) for side in (0, 1)),
    )


def _first_gap(connection: Connection, side: int) -> Gap | None:
    """The first bytes of a side that are missing. Those before its first one captured begin below 0."""
    base = connection.bases[side]
    before = None if base is None else _head_gap(connection, side, base)
    if before is not None:
        return before
    gap = min(connection.streams[side].gaps, default=None)
    return gap if gap is not None or base is None else _reset_gap(connection, side, base)


def _head_gap(connection: Connection, side: int, base: int) -> Gap | None:
    """Bytes before the first that was captured: the other side has acknowledged less than that."""
    if any(s.side == side and s.flags & SYN for s in connection.controls):
        return None
    heard = next(
        (s for s in connection.segments if s.side != side and s.flags & (ACK | SYN | RST) == ACK and not s.icmp), None
    )
    missing = 0 if heard is None else (base - heard.ack) & 0xFFFFFFFF
    return Gap(-missing, 0, snapped=False) if 0 < missing < LARGEST_MESSAGE else None


def _reset_gap(connection: Connection, side: int, base: int) -> Gap | None:
    """Bytes of a side that only a RST shows: its own stands behind them, or the other one's acknowledges them."""
    resets = [s for s in connection.controls if s.flags & RST]
    if not resets:
        return None
    length = _length(connection, side)
    closed = any(s.side == side and s.flags & FIN for s in connection.controls)
    for s in resets:
        if s.icmp or s.flags & SYN or (s.side != side and not s.flags & ACK):
            continue
        beyond = ((s.seq if s.side == side else s.ack) - base - length - closed) & 0xFFFFFFFF
        # One more than the bytes is a FIN that was not captured.
        if 1 < beyond < LARGEST_MESSAGE:
            return Gap(length, length + beyond, snapped=False)
    return None


def _length(connection: Connection, side: int) -> int:
    """Stream offset behind the last byte that a side is known to have sent."""
    stream = connection.streams[side]
    return max([run.end for run in stream.runs[-1:]] + [gap.end for gap in stream.gaps[-1:]], default=0)


def _closed_unseen(connection: Connection, side: int) -> bool:
    """Whether a side's FIN is missing: it takes one sequence number, which what follows shows."""
    base = connection.bases[side]
    if base is None or any(s.side == side and s.flags & FIN for s in connection.controls):
        return False
    length = _length(connection, side)
    beyond = (base + length + 1) & 0xFFFFFFFF
    return any(
        s.seq == beyond if s.side == side else s.flags & ACK and s.ack == beyond
        for s in connection.segments.numbered(beyond)
        if not s.icmp and not s.flags & SYN and (length or s.side != side or not s.flags & RST)
    )


class Ending(NamedTuple):
    """The first FIN or RST after TCP was up, and what it answered.

    by_client: who sent it. expects: sequence number the closing segment carries.
    """

    by_client: bool
    reset: bool
    segment: Segment


def ending_of(connection: Connection, client: int, handshake: Handshake) -> Ending | None:
    """How a connection ended, None where the capture shows no end."""
    if not handshake.up:
        return None
    for segment in connection.controls:
        if segment.icmp or not segment.flags & (FIN | RST):
            continue
        return Ending(segment.side == client, bool(segment.flags & RST), segment)
    return None
