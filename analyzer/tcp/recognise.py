"""First payload bytes -> is this SMB? For finding SMB on any port, and negotiations far into a connection.

[MS-SMB2] 2.1 and [MS-CIFS] 2.1: four bytes of NetBIOS session framing, then the protocol's signature.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from analyzer.capture.gather import gather, hits
from analyzer.capture.table import HEAD, SegmentTable
from analyzer.tcp.batch import WINDOWS
from analyzer.tcp.pairs import grown

SMB_PORTS = (139, 445)

# What an undecided side may send before its later segments are passed over: the longest first
# message that answers the question is a few hundred bytes.
PROBE = 4096

_SYN = 0x02
_HEAD = 8                                        # framing and signature
_SIGNATURES = (0xFE, 0xFF, 0xFD, 0xFC)           # SMB2, SMB1, encrypted, compressed; then "SMB"
_SMB = b"SMB"
_SESSION_REQUEST = bytes((0x81, 0x00, 0x00, 0x44, 0x20))     # RFC 1002 4.3.2, two 32-letter names
_MESSAGE = np.dtype({
    "names": ["protocol", "signature", "command1", "command2"],
    "formats": ["u1", "S3", "u1", "u2"],
    "offsets": [4, 5, 8, 16],
    "itemsize": 18,
})
_BULK = np.dtype({
    # With the session header's length in front, the channel sequence or status, and what follows in a compound.
    "names": ["length", "protocol", "signature", "status", "command", "flags", "next"],
    "formats": [">u4", "u1", "S3", "<u4", "<u2", "<u4", "<u4"],
    "offsets": [0, 4, 5, 12, 16, 20, 24],
    "itemsize": HEAD,
})
_READ, _WRITE = 8, 9
_OVERFLOW = 0x8000_0005                          # a successful READ of a part of a message
_OPENING = 256                                   # bytes that hold every header of a message
_UNDECIDED, _IS_SMB, _IS_NOT = 0, 1, 2
_NEVER = np.iinfo(np.int64).max


def is_smb(head: bytes) -> bool:
    """Whether a stream that begins with these bytes (8 or more) is SMB."""
    framed = head[0] == 0 and head[4] in _SIGNATURES and head[5:8] == _SMB
    return framed or head.startswith(_SESSION_REQUEST)


def starts_message(segments: SegmentTable, rows: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which of these rows begin with a session message that holds SMB, or with a session request."""
    found = np.zeros(len(rows), np.bool_)
    at = _reaching(segments, rows, _HEAD)
    start = segments.payload[rows[at]]
    data = segments.data
    framed = (data[start] == 0) & (data[start + 4] >= _SIGNATURES[-1])
    found[at[framed]] = _matches(data, start[framed] + 5, _SMB)
    asking = data[start] == _SESSION_REQUEST[0]
    found[at[asking]] = _matches(data, start[asking], _SESSION_REQUEST)
    return found


def starts_negotiate(segments: SegmentTable, rows: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which of these rows begin with an SMB1 or SMB2 NEGOTIATE message."""
    found = np.zeros(len(rows), np.bool_)
    at, start = _like_messages(segments, rows, 4 + 4 + 1, 0xFE)
    head = gather(segments.data, start, _MESSAGE)
    which = hits(head["signature"] == _SMB)
    if not len(which):
        return found
    at, head = at[which], head.take(which)
    older = head["protocol"] == 0xFF
    reaching = older | (segments.present[rows[at]] >= _MESSAGE.itemsize)
    found[at] = np.where(older, head["command1"] == 0x72, (head["command2"] == 0) & reaching)
    return found


def starts_unread(
    segments: SegmentTable, rows: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Which of these rows begin a message of whose body no byte is read, by index; and its bytes, framing included.

    An SMB2 WRITE request or READ answer that stands alone in its packet ([MS-SMB2] 2.2.21, 2.2.20), and what is
    encrypted or compressed (2.2.41, 2.2.42). The row must hold all its headers.
    """
    at, start = _like_messages(segments, rows, _OPENING, 0xFC)
    head = gather(segments.data, start, _BULK)
    moves = (head["protocol"] == 0xFE) & (head["next"] == 0)
    answer = head["flags"] & 1 != 0
    moves &= np.where(
        answer,
        (head["command"] == _READ) & ((head["status"] == 0) | (head["status"] == _OVERFLOW)),
        head["command"] == _WRITE,
    )
    hidden = (head["protocol"] == 0xFD) | (head["protocol"] == 0xFC)
    which = hits((head["signature"] == _SMB) & (moves | hidden))
    return at[which], head["length"][which].astype(np.int64) + 4


def _like_messages(
    segments: SegmentTable, rows: NDArray[np.int64], size: int, least: int
) -> tuple[NDArray[np.intp], NDArray[np.int64]]:
    """Of the rows with so many bytes those that may begin a message, by index, and where their payload is.

    least: of the protocol's byte. One byte decides for most rows, and two for nearly all.
    """
    at = _reaching(segments, rows, size)
    start = segments.payload[rows[at]]
    for offset, low, high in ((0, 0, 0), (4, least, 0xFF)):
        byte = segments.data[start + offset]
        which = hits((byte >= low) & (byte <= high))
        at, start = at[which], start[which]
    return at, start


def _reaching(segments: SegmentTable, rows: NDArray[np.int64], size: int) -> NDArray[np.intp]:
    return hits(segments.present[rows] >= size)


def _matches(data: NDArray[np.uint8], start: NDArray[np.int64], text: bytes) -> NDArray[np.bool_]:
    same: NDArray[np.bool_] = np.ones(len(start), np.bool_)
    for i, byte in enumerate(text):
        same &= data[start + i] == byte
    return same


class Recogniser:
    """Decides for each connection whether it is SMB, by the first bytes of either side.

    A connection with an SMB port is SMB. Another one is from the first segment on that begins
    like an SMB message; it is not once both sides, a SYN seen, have begun with something else.
    """

    def __init__(self) -> None:
        self._state: NDArray[np.uint8] = np.zeros(256, np.uint8)
        self._refusing: dict[int, int] = {}                   # connection -> sides that are no SMB, as bits
        self._heads: dict[tuple[int, int], bytearray] = {}    # beginnings that come in pieces

    def smb(self, count: int) -> NDArray[np.bool_]:
        """Which of the connections are SMB, as far as is known."""
        found: NDArray[np.bool_] = self._state[:count] == _IS_SMB
        return found

    def refused(self, count: int) -> NDArray[np.bool_]:
        """Which of the connections are certainly not."""
        found: NDArray[np.bool_] = self._state[:count] == _IS_NOT
        return found

    def enter(self, ports: NDArray[np.uint16], count: int) -> None:
        """Note the ports, (n, 2), of the n newest of `count` connections."""
        self._state = grown(self._state, count)
        known = np.isin(ports, SMB_PORTS).any(axis=1)
        self._state[count - len(ports) : count] = np.where(known, _IS_SMB, _UNDECIDED)

    def reach(
        self,
        segments: SegmentTable,
        rows: NDArray[np.int64],
        owner: tuple[NDArray[np.int64], NDArray[np.uint8]],
        offset: NDArray[np.int64],
        opened: NDArray[np.bool_],
    ) -> NDArray[np.int64]:
        """How far into its side's stream each row may begin to be kept; 0: the row is not kept at all.

        owner: connection and side of each row. offset: of each row in its side's stream.
        opened: by connection, whether a SYN came before these rows.
        """
        conn, side = owner
        state = self._state
        result = np.where(state[conn] == _IS_SMB, WINDOWS[0], 0)
        pending = hits(state[conn] == _UNDECIDED)
        if not pending.size:
            return result
        syn = np.full(len(opened), _NEVER)
        syn[opened] = -1
        opening = pending[((segments.flags[rows[pending]] & _SYN) != 0) & (segments.icmp[rows[pending]] == 0)]
        np.minimum.at(syn, conn[opening], opening)
        carrying = pending[segments.present[rows[pending]] > 0]
        message = starts_message(segments, rows[carrying]) & (np.abs(offset[carrying]) < WINDOWS[0])
        head = (offset[carrying] >= 0) & (offset[carrying] < _HEAD) & (syn[conn[carrying]] < carrying)
        decided = np.full(len(opened), _NEVER)
        for at, positive in zip(
            carrying[message | head].tolist(), message[message | head].tolist(), strict=True
        ):
            number = int(conn[at])
            if state[number] != _UNDECIDED:
                continue
            start = int(segments.payload[rows[at]])
            size = min(_HEAD, int(segments.present[rows[at]]))
            bits = bytes(segments.data[start : start + size])
            sort = _IS_SMB if positive else self._sort(number, int(side[at]), int(offset[at]), bits)
            if sort != _UNDECIDED:
                state[number] = sort
                decided[number] = at
        numbers = conn[pending]
        result[pending] = np.where(
            pending < decided[numbers], PROBE, np.where(state[numbers] == _IS_SMB, WINDOWS[0], 0)
        )
        return result

    def _sort(self, conn: int, side: int, offset: int, data: bytes) -> int:
        """What the bytes at an offset below 8 make of a connection."""
        head = self._heads.pop((conn, side), bytearray())
        if offset <= len(head):
            head[offset:] = data[: _HEAD - offset]
        if len(head) < _HEAD:
            self._heads[conn, side] = head
            return _UNDECIDED
        if is_smb(bytes(head)):
            return _IS_SMB
        sides = self._refusing.pop(conn, 0) | 1 << side
        if sides == 3:
            return _IS_NOT
        self._refusing[conn] = sides
        return _UNDECIDED
