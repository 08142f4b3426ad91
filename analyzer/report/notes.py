"""What is to be said of a capture as a whole: summary, census, store and stories -> notes and Traffic."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from analyzer.capture.census import Census
from analyzer.capture.reader import CaptureSummary
from analyzer.capture.table import Cut
from analyzer.negotiation.notice import Notice
from analyzer.negotiation.others import Here
from analyzer.negotiation.sketch import Pair
from analyzer.report.record import Note, PortCount, Traffic
from analyzer.tcp.connection import Endpoint
from analyzer.tcp.select import LimitReached

if TYPE_CHECKING:
    from analyzer.capture.join import Part

FRAMES_NAMED = 8         # of each note; further ones are counted
PAIRS = 10_000           # client-and-server pairs looked at for scanners

# Names of https://www.tcpdump.org/linktypes.html
LINK_TYPES = {
    -1: "interface not declared", 0: "BSD loopback", 1: "Ethernet", 9: "PPP", 12: "raw IP", 14: "raw IP",
    50: "PPP", 51: "PPPoE", 101: "raw IP", 105: "802.11", 108: "OpenBSD loopback", 113: "Linux cooked",
    119: "802.11 Prism", 127: "802.11 radiotap", 163: "802.11 AVS", 192: "PPI", 228: "raw IPv4",
    229: "raw IPv6", 276: "Linux cooked v2",
}
UNREAD = "not read beyond"      # how the note begins of a limit that ended the reading
# The option that lifts a limit; the others protect memory and have none.
OPTIONS = {"connections": "--max-connections", "copied-connections": "--max-decompressed"}


class Contents(NamedTuple):
    """One capture when it was read: everything but its connections."""

    summary: CaptureSummary
    census: Census
    limits: tuple[LimitReached, ...]
    unknown_link_packets: int
    unknown_link_types: tuple[int, ...]
    fragments_dropped: int
    parts: tuple[Part, ...] = ()             # the files it was joined from
    fragments_passed: tuple[int, int] = (0, 0)   # not looked at, and the frame of the first


class NoteTaker:
    """Gathers what single connections add to the notes of their capture."""

    def __init__(self) -> None:
        self.stories = 0
        self._one_sided = 0
        self._disagreeing: list[int] = []
        self._pairs: dict[Pair, None] = {}

    def add(self, notice: Notice) -> None:
        """Take note of one connection."""
        self.stories += 1
        self._one_sided += notice.one_sided
        self._disagreeing += notice.disagreeing
        if notice.negotiates and len(self._pairs) < PAIRS:
            self._pairs[notice.sketch.pair] = None

    def notes(self, contents: Contents, here: Here) -> tuple[Note, ...]:
        """All notes, in a fixed order."""
        return (
            *_reading(contents),
            *_limits(contents),
            *self._connections(here),
        )

    def _connections(self, here: Here) -> Iterator[Note]:
        if self._one_sided:
            yield Note(
                "one-sided", f"only one direction of {self._one_sided:,} of {self.stories:,} SMB connections was captured"
            )
        if self._disagreeing:
            yield Note(
                "overlap-disagrees",
                f"{_frames(self._disagreeing)}: bytes differ from those sent before for the same place; the first were used",
            )
        scanners = [pair for pair in self._pairs if here.scanner(pair)]
        for client, server in scanners[:FRAMES_NAMED]:
            yield Note(
                "scanner", f"{Endpoint(client, 0).host} probes {Endpoint(server, 0).host} with one offer after another"
            )


def link_name(number: int) -> str:
    """What a link type is called."""
    return LINK_TYPES.get(number, f"link type {number}")


def traffic_of(contents: Contents) -> Traffic:
    """What the capture holds apart from SMB connections."""
    census = contents.census
    return Traffic(
        link_types=tuple(dict.fromkeys(map(link_name, contents.summary.link_types))),
        tcp_packets=census.tcp_segments,
        tcp_ports=tuple(PortCount(*port) for port in census.tcp_ports),
        smb_like_ports=tuple(census.smb_elsewhere),
    )


def _reading(contents: Contents) -> Iterator[Note]:
    summary = contents.summary
    cut = None if contents.parts else summary.cut
    for part in contents.parts:
        if part.error is not None:
            yield Note("file-unreadable", f"{part.file}: {part.error}")
        elif part.cut is not None:
            kind = "limit-reached" if part.cut.option else "cut-short"
            yield Note(kind, f"{part.file}: {_unread(part.cut)}")
    if cut is not None and not cut.option:
        yield Note("cut-short", f"the capture ends in the middle, at offset {cut.offset}: {cut.reason}")
    if summary.snapped:
        yield Note("snapped", f"{summary.snapped:,} of {summary.packets:,} packets were captured only in part")
    if summary.drops:
        yield Note("dropped-packets", f"the capturing system lost {summary.drops:,} packets, by its own count")
    if contents.unknown_link_packets:
        names = ", ".join(map(link_name, contents.unknown_link_types))
        yield Note(
            "link-type-unknown",
            f"{contents.unknown_link_packets:,} of {summary.packets:,} packets were passed over: {names} is not known",
        )
    if cut is not None and cut.option:
        yield Note("limit-reached", _unread(cut))


def _unread(cut: Cut) -> str:
    lifts = f"; {cut.option} lifts it" if cut.option else ""
    return f"{UNREAD} offset {cut.offset}: {cut.reason}{lifts}"


def _limits(contents: Contents) -> Iterator[Note]:
    if contents.fragments_dropped:
        yield Note(
            "limit-reached", f"fragments: {contents.fragments_dropped:,} IP datagrams were given up unfinished"
        )
    passed, frame = contents.fragments_passed
    if passed:
        yield Note(
            "limit-reached",
            f"fragments: {passed:,} were passed over from frame {frame} on, because too many small ones came before",
        )
    for limit in contents.limits:
        option = OPTIONS.get(limit.name)
        lifts = f"; {option} lifts it" if option else ""
        yield Note(
            "limit-reached",
            f"{limit.name}: the limit of {limit.limit:,} was reached in frame {limit.frame}, {limit.beyond:,} beyond it{lifts}",
        )


def _frames(frames: list[int]) -> str:
    named = sorted(set(frames))
    more = f" and {len(named) - FRAMES_NAMED:,} more" if len(named) > FRAMES_NAMED else ""
    return f"frames {', '.join(map(str, named[:FRAMES_NAMED]))}{more}"
