"""Display filters that select exactly the frames of a finding, in the syntax of Wireshark 4.0 and later."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_RANGE = 3
"""From so many consecutive frames on, a range is shorter than a list."""


def evidence_filter(stream: int | None, frames: Sequence[int], *, quoted: bool = False) -> str:
    """The filter for ascending frame numbers of one connection.

    quoted: some frame only quotes the connection (an ICMP error), which its stream number need not
    select. Without frames it is the whole connection.
    """
    connection = f"tcp.stream eq {stream}" if stream is not None else ""
    if not frames:
        return connection
    chosen = frame_set(frames)
    return chosen if quoted or not connection else f"{connection} && {chosen}"


def frame_set(frames: Sequence[int]) -> str:
    """`frame.number in {13, 15, 20..24}` for ascending numbers, of which there is one at least."""
    if len(frames) == 1:
        return f"frame.number == {frames[0]}"
    return f"frame.number in {{{', '.join(_spans(frames))}}}"


def _spans(frames: Sequence[int]) -> Iterable[str]:
    begin = 0
    for end in range(1, len(frames) + 1):
        if end < len(frames) and frames[end] == frames[end - 1] + 1:
            continue
        if end - begin >= _RANGE:
            yield f"{frames[begin]}..{frames[end - 1]}"
        else:
            yield from map(str, frames[begin:end])
        begin = end
