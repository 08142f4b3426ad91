"""A TCP connection -> the same one between other addresses, with other names in its bytes.

Its streams keep their lengths, and every packet of the session service its place and kind, so that
negdiag reads the same story from it. What stands between packets becomes 0xFF, which begins none.
"""

from __future__ import annotations

from collections.abc import Iterator

from analyzer.rewrite.messages import rewritten_body
from analyzer.rewrite.pseudonym import Pseudonyms
from analyzer.smb.framing import HEADER_SIZE, Frame, describe, frames
from analyzer.tcp.connection import ByteStream, Connection

FILLER = b"\xff"
_OPENING = 16            # bytes by which another protocol is known


def anonymized(connection: Connection, names: Pseudonyms) -> Connection:
    """The connection under pseudonyms. Frames, times, numbers and ports stay."""
    first, second = connection.ends
    return connection._replace(
        ends=(
            first._replace(address=names.address(first.address)),
            second._replace(address=names.address(second.address)),
        ),
        streams=(
            rewritten_stream(connection.streams[0], names),
            rewritten_stream(connection.streams[1], names),
        ),
        reporters={frame: names.address(address) for frame, address in connection.reporters.items()},
    )


def rewritten_stream(stream: ByteStream, names: Pseudonyms) -> ByteStream:
    """What one side sent, under pseudonyms; runs and gaps are where they were."""
    if not stream.runs:
        return stream
    new = [bytearray(FILLER * len(run.data)) for run in stream.runs]
    index = 0
    for at, data in _packets(stream, names):
        while stream.runs[index].end <= at:
            index += 1
        start = at - stream.runs[index].start
        new[index][start : start + len(data)] = data
    runs = tuple(run._replace(data=bytes(data)) for run, data in zip(stream.runs, new, strict=True))
    return stream._replace(runs=runs)


def _packets(stream: ByteStream, names: Pseudonyms) -> Iterator[tuple[int, bytes]]:
    """Offset and new bytes of each packet, or of what stands there instead."""
    runs = [(run.start, run.data) for run in stream.runs]
    starts = sorted({start for run in stream.runs for start in (run.start, *run.ends[:-1])})
    for frame in frames(runs, starts):
        if frame.foreign is not None:
            yield frame.at, _opening(frame.body, frame.foreign)
        elif frame.type is None:
            yield frame.at, frame.body
        else:
            yield frame.at, _header(frame) + rewritten_body(frame.type, frame.body, frame.length, names)


def _header(frame: Frame) -> bytes:
    assert frame.type is not None
    return bytes((frame.type,)) + frame.length.to_bytes(HEADER_SIZE - 1, "big")


def _opening(old: bytes, foreign: str) -> bytes:
    """As little as it takes to be known as the same protocol: no name stands in the first bytes of any."""
    if foreign == "SMTP" and len(old) >= 8:
        return old[:4] + b"SMTP"         # the word that tells it from FTP stands behind the host's name
    for size in range(_OPENING + 1):
        new = old[:size] + FILLER * (len(old) - size)
        if describe(new) == foreign:
            return new[:_OPENING]
    return b""
