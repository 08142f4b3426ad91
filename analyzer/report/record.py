"""What a run says, as records: a capture, its connections, their findings.

The JSON report is these records under the same names; every other report shows part of them.
Times are nanoseconds since 1970-01-01 UTC until a report prints them with iso().
"""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from analyzer.diagnosis.rule import Fix

if TYPE_CHECKING:
    from analyzer.capture.join import Part, Place
    from analyzer.negotiation.comparison import Aspect
    from analyzer.negotiation.events import Event
    from analyzer.report.fieldlist import Row

SCHEMA = 1                               # of the JSON report
SEVERITIES = ("info", "warning", "error")
BROKEN = ("failed", "no-connection", "not-smb")      # outcomes that have causes

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)  # noqa: UP017 - datetime.UTC is the same, mypy knows this one


class Note(NamedTuple):
    """One thing to know about a capture as a whole. kind: one of the kinds the manual lists."""

    kind: str
    text: str


class Frames(NamedTuple):
    """Wireshark's frame numbers of a connection; None where the capture has no such frame."""

    first: int
    last: int
    request: int | None
    response: int | None


class PortCount(NamedTuple):
    """How many TCP packets a port saw, at either end."""

    port: int
    packets: int


class Traffic(NamedTuple):
    """What a capture holds apart from SMB connections, busiest TCP ports first."""

    link_types: tuple[str, ...] = ()
    tcp_packets: int = 0
    tcp_ports: tuple[PortCount, ...] = ()
    smb_like_ports: tuple[int, ...] = ()


NO_TRAFFIC = Traffic()


class FindingRecord(NamedTuple):
    """One slug on one connection, with all its frames. places: of a joined capture, the same frames by file."""

    rule: str
    code: str
    severity: str
    title: str
    summary: str
    fix: tuple[Fix, ...]
    frames: tuple[int, ...]
    display_filter: str
    reference: str | None
    why: str = ""
    sees: tuple[tuple[str, str], ...] = ()       # platform, what its user sees
    blind_to: str = ""
    places: tuple[Place, ...] = ()


class Detail(NamedTuple):
    """What a ladder diagram and an offer-and-answer table are drawn from."""

    events: tuple[Event, ...]
    comparison: tuple[Aspect, ...]


class ConnectionRecord(NamedTuple):
    """One TCP connection on an SMB port. response_time: seconds; findings: causes first."""

    stream: int
    client: str
    client_host: str
    server: str
    server_host: str
    transport: str
    outcome: str
    reached: str
    causes: tuple[str, ...]
    confidence: str | None
    candidates: tuple[str, ...]
    warnings: tuple[str, ...]
    dialect: str | None
    client_name: str | None
    server_name: str | None
    offered: tuple[str, ...]
    frames: Frames
    response_time: float | None
    first_ns: int
    last_ns: int
    findings: tuple[FindingRecord, ...]
    detail: Detail | None = None             # this and messages: only where a report of the run shows it
    messages: tuple[Row, ...] = ()           # its NEGOTIATE messages under Wireshark's names

    @property
    def primary(self) -> FindingRecord | None:
        """The finding of the primary cause."""
        return self.findings[0] if self.causes and self.findings else None


class CaptureRecord(NamedTuple):
    """One capture that was given.

    error: where and why not a single packet could be read; parts: the files that it was joined from.
    """

    capture: str
    format: str | None
    packets: int
    first_ns: int | None
    last_ns: int | None
    error: str | None
    notes: tuple[Note, ...]
    traffic: Traffic
    parts: tuple[Part, ...] = ()


def iso(time_ns: int) -> str:
    """A time as ISO 8601 in UTC: microseconds, and nanoseconds where there are any."""
    microseconds, rest = divmod(time_ns, 1000)
    seconds, microseconds = divmod(microseconds, 1_000_000)
    return f"{_second(seconds)}.{microseconds:06d}{f'{rest:03d}' if rest else ''}Z"


@lru_cache(maxsize=1024)
def _second(seconds: int) -> str:
    return f"{_EPOCH + timedelta(seconds=seconds):%Y-%m-%dT%H:%M:%S}"
