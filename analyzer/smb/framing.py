"""The bytes one side sent -> NetBIOS session packets, or what stands there instead.

Every packet begins with its type and a length: 17 bits on port 139 (RFC 1002 4.3.1), 24 bits on
445 ([MS-SMB2] 2.1). Both are read as 24 bits: the bits between are zero on 139, and clients send
long messages there too.

Where bytes are missing, or the stream begins in the middle of a packet, reading goes on at the
boundary that the last header promised, else at the next TCP segment that begins with a header
and an SMB signature.
"""

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from functools import partial
from typing import NamedTuple

from analyzer.smb import constants

HEADER_SIZE = 4
_MAGICS = frozenset(
    (constants.SMB2_MAGIC, constants.SMB1_MAGIC, constants.ENCRYPTED_MAGIC, constants.COMPRESSED_MAGIC)
)
# The lengths that the other packet types may have. RFC 1002 4.3.2 to 4.3.6
_LENGTHS = {
    constants.SESSION_REQUEST: (2, 256),
    constants.POSITIVE_RESPONSE: (0, 0),
    constants.NEGATIVE_RESPONSE: (1, 1),
    constants.RETARGET_RESPONSE: (6, 6),
    constants.KEEP_ALIVE: (0, 0),
}
# How other protocols begin; the longest match first where one begins another.
_FOREIGN = (
    (b"HTTP/", "HTTP"), (b"GET ", "HTTP"), (b"POST ", "HTTP"), (b"HEAD ", "HTTP"),
    (b"PUT ", "HTTP"), (b"OPTIONS ", "HTTP"), (b"CONNECT ", "HTTP"), (b"PRI * HTTP/2", "HTTP"),
    (b"SSH-", "SSH"), (b"RFB ", "VNC"), (b"+OK", "POP3"), (b"* OK", "IMAP"),
    (b"\x05\x00", "DCE/RPC"), (b"\x03\x00\x00", "RDP"), (b"\x00\x00\x00\x00", "zero bytes"),
)  # fmt: skip


class Frame(NamedTuple):
    """One packet of the session service.

    at, end: stream offsets of its header and, by its length, behind its body. length: declared.
    type: of the NetBIOS header; None for bytes that are no packet, which `foreign` then names and
    `body` holds whole, and for fewer bytes than a header has.
    source, begin, have: what holds its body, where in it, and how many bytes of it are there: up to its end or to
    the first one missing. Most bodies are long and nobody reads more than their beginning, so that they are not cut out.
    """

    at: int
    end: int
    type: int | None
    length: int
    source: bytes
    begin: int
    have: int
    foreign: str | None = None

    @property
    def body(self) -> bytes:
        """The bytes of the body that are there."""
        return self.source[self.begin : self.begin + self.have]

    @property
    def complete(self) -> bool:
        """Whether all of them are."""
        return self.have == self.length


_made = partial(tuple.__new__, Frame)        # half the time of a call by position


def frames(runs: Sequence[tuple[int, bytes]], starts: Sequence[int]) -> Iterator[Frame]:
    """Every packet in the bytes of one side.

    runs: (stream offset, bytes), in order; between two runs bytes are missing.
    starts: stream offsets at which TCP segments begin, ascending.
    """
    due = runs[0][0] if runs else 0         # where the next header should stand
    for start, data in runs:
        at, size = due - start, len(data)
        if at >= size:
            continue                         # wholly inside a packet that has been seen to begin
        if at < 0:
            resumed = _resume(data, start, 0, starts)
            if resumed is None:
                continue
            at = resumed
        while at < size:
            begin = at + HEADER_SIZE
            # What nearly all packets are, without a call for each.
            if data[at] == constants.SESSION_MESSAGE and data[begin : begin + 4] in _MAGICS:
                length = int.from_bytes(data[at + 1 : begin], "big")
                if length >= 4:
                    at = begin + length
                    yield _made((
                        start + begin - HEADER_SIZE, start + at, constants.SESSION_MESSAGE, length,
                        data, begin, length if at <= size else size - begin, None,
                    ))  # fmt: skip
                    continue
            frame = _frame(data, at, start)
            if frame is not None:
                yield frame
                at = frame.end - start
                continue
            resumed = _resume(data, start, at + 1, starts)
            if resumed is not None:
                at = resumed                 # what was left of a packet whose beginning was not captured
                continue
            if start == runs[0][0]:
                # Behind a gap nobody can tell; before one these bytes are what the peer said.
                rest = size - at
                yield Frame(start + at, start + size, None, rest, data, at, rest, describe(data[at:]))
            at = size
        due = start + at


def _frame(data: bytes, at: int, start: int) -> Frame | None:
    """The packet whose header stands at `at` of a run, None where none can stand."""
    kind = data[at]
    head = data[at : at + HEADER_SIZE]
    if kind != constants.SESSION_MESSAGE and kind not in _LENGTHS:
        return None
    if len(head) < HEADER_SIZE:
        if kind in _LENGTHS and any(head[1:]):
            return None
        return Frame(start + at, start + at + HEADER_SIZE, None, 0, data, at, len(head))
    length = int.from_bytes(head[1:], "big")
    begin = at + HEADER_SIZE
    have = min(length, len(data) - begin)
    if kind == constants.SESSION_MESSAGE:
        if length == 0 or not _begins_smb(data[begin : begin + min(have, 4)]):
            return None
    else:
        low, high = _LENGTHS[kind]
        if not low <= length <= high:
            return None
    return Frame(start + at, start + begin + length, kind, length, data, begin, have)


def _begins_smb(body: bytes) -> bool:
    """Whether the first four bytes of a body, or those that are there, are the signature of a message."""
    return any(body == magic[: len(body)] for magic in _MAGICS)


def _resume(data: bytes, start: int, at: int, starts: Sequence[int]) -> int | None:
    """Offset in a run of the first segment at or after `at` that begins a message with its signature."""
    index = bisect_left(starts, start + at)
    while index < len(starts) and starts[index] < start + len(data):
        place = starts[index] - start
        if data[place] == constants.SESSION_MESSAGE and data[place + 4 : place + 8] in _MAGICS:
            return place
        index += 1
    return None


def describe(data: bytes) -> str:
    """What bytes that are no SMB look like: "TLS", "HTTP", "SSH", "SMTP", "FTP", ..., or "unknown"."""
    # TLS records: content type 20 to 24, version 3.x; an SSL 2 ClientHello has its own form.
    if len(data) >= 3 and 20 <= data[0] <= 24 and data[1] == 3 and data[2] <= 4:
        return "TLS"
    if len(data) >= 5 and data[0] & 0x80 and data[2] == 1 and data[3] == 3:
        return "TLS"
    if data[:3].isdigit() and data[3:4] in (b" ", b"-"):
        line = data[:512].split(b"\n", 1)[0].upper()
        if b"SMTP" in line or b"MAIL" in line:
            return "SMTP"
        return "FTP" if data[:3] in (b"220", b"421", b"530") else "unknown"
    for opening, name in _FOREIGN:
        if data.startswith(opening):
            return name
    return "unknown"
