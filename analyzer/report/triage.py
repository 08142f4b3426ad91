"""Connection records of one capture -> what broke where, how often, and what to do: the triage.

Every report for people (text, terminal, markdown) shows a Triage; it is built while connections
stream past, and what it holds is bounded by the limits below, however many connections there are.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

from analyzer.report.record import BROKEN, SEVERITIES, CaptureRecord, ConnectionRecord, FindingRecord

ROWS = 2000              # client-and-server rows kept of one capture; further ones are counted only
NAMES = 10_000           # distinct hosts counted exactly; further ones are "more than"
STREAMS = 5              # tcp.stream numbers kept of a row

DID_NOT = {
    "failed": ("the SMB negotiation failed", "failed"),
    "no-connection": ("no TCP connection came up", "failed"),
    "not-smb": ("what answers is not SMB", "failed"),
}


class Row:
    """One client at one server, as far as one cause goes. finding: of its first connection."""

    def __init__(self, record: ConnectionRecord, finding: FindingRecord | None) -> None:
        self.server = record.server
        self.server_name = record.server_name
        self.client = record.client_host
        self.client_name = record.client_name
        self.pair = (record.client_host, record.server_host)
        self.finding = finding
        self.count = 0
        self.streams: list[int] = []
        self.last_ns = record.last_ns
        self.recovered = False


class Cause:
    """Connections that broke for the same reasons.

    slugs: all causes, the primary one first; findings: of the first such connection; unlisted:
    connections beyond ROWS.
    """

    def __init__(self, slugs: tuple[str, ...], outcome: str, findings: tuple[FindingRecord, ...]) -> None:
        self.slugs = slugs
        self.outcome = outcome
        self.findings = findings
        self.count = 0
        self.likely = 0
        self.candidates: list[str] = []
        self.rows: dict[tuple[str, str], Row] = {}
        self.servers: set[str] = set()
        self.clients: set[str] = set()
        self.unlisted = 0

    @property
    def title(self) -> str:
        """What the primary cause is called."""
        return self.findings[0].title if self.findings else self.outcome

    @property
    def recovered(self) -> bool:
        """Whether each of its clients got through to the server in the end."""
        return not self.unlisted and all(row.recovered for row in self.rows.values())


class Remark:
    """One warning slug. finding: of its first connection; streams: the first connections it stands on."""

    def __init__(self, finding: FindingRecord) -> None:
        self.finding = finding
        self.count = 0
        self.streams: list[int] = []
        self.servers: set[str] = set()


class Triage:
    """All that is said about one capture.

    chosen: only some connections are reported; undecided: by candidates; unused: the first
    tcp.stream numbers.
    """

    def __init__(self, capture: CaptureRecord, *, chosen: bool = False) -> None:
        self.capture = capture
        self.chosen = chosen
        self.connections = 0
        self.outcomes: Counter[str] = Counter()
        self.causes: dict[tuple[str, ...], Cause] = {}
        self.remarks: dict[str, Remark] = {}
        self.undecided: dict[tuple[str, ...], Cause] = {}
        self.dialects: Counter[str] = Counter()
        self.clients: set[str] = set()
        self.servers: set[str] = set()
        self.unused: list[int] = []
        self._reached: dict[tuple[str, str], int] = {}       # pair -> last time it worked
        self._rows = 0

    def add(self, record: ConnectionRecord) -> None:
        """Take in one connection; they come in order of tcp.stream."""
        self.connections += 1
        self.outcomes[record.outcome] += 1
        if record.outcome in BROKEN:
            self._break(self.causes, record.causes, record, record.findings[: len(record.causes)])
        elif record.outcome == "incomplete":
            self._break(self.undecided, record.candidates, record, record.findings)
        elif record.outcome == "unused":
            _keep(self.unused, record.stream)
        else:
            self.dialects[record.dialect or "dialect not captured"] += 1
            _count(self.clients, record.client_host)
            _count(self.servers, record.server)
            pair = (record.client_host, record.server_host)
            if pair in self._reached or len(self._reached) < NAMES:
                self._reached[pair] = max(record.last_ns, self._reached.get(pair, record.last_ns))
        for finding in record.findings[len(record.causes):]:
            remark = self.remarks.get(finding.rule)
            if remark is None:
                remark = self.remarks[finding.rule] = Remark(finding)
            remark.count += 1
            _keep(remark.streams, record.stream)
            _count(remark.servers, record.server)

    def finish(self) -> None:
        """Call once, after the last connection: sees which failures were attempts that a later one made good."""
        for cause in self.causes.values():
            for row in cause.rows.values():
                row.recovered = self._reached.get(row.pair, row.last_ns - 1) >= row.last_ns

    @property
    def pairs(self) -> Iterable[tuple[str, str]]:
        """Client and server hosts between which a negotiation succeeded, at most NAMES of them."""
        return self._reached

    @property
    def broken(self) -> int:
        """Connections with a cause."""
        return sum(self.outcomes[outcome] for outcome in BROKEN)

    @property
    def attempts(self) -> int:
        """Broken connections of clients that got through to the same server at the same time or later."""
        return sum(row.count for cause in self.causes.values() for row in cause.rows.values() if row.recovered)

    def ranked(self) -> list[Cause]:
        """Causes in the order to read them: what still stands, then the frequent."""
        return sorted(self.causes.values(), key=lambda cause: (cause.recovered, -cause.count))

    def ranked_remarks(self) -> list[Remark]:
        """Warnings in the order to read them: the grave, then the frequent."""
        grave = {severity: rank for rank, severity in enumerate(SEVERITIES)}
        return sorted(
            self.remarks.values(), key=lambda remark: (-grave.get(remark.finding.severity, 0), -remark.count)
        )

    def _break(
        self,
        into: dict[tuple[str, ...], Cause],
        key: tuple[str, ...],
        record: ConnectionRecord,
        findings: tuple[FindingRecord, ...],
    ) -> None:
        cause = into.get(key)
        if cause is None:
            cause = into[key] = Cause(key, record.outcome, findings)
        cause.count += 1
        cause.likely += record.confidence == "likely"
        _count(cause.servers, record.server)
        _count(cause.clients, record.client_host)
        cause.candidates.extend(slug for slug in record.candidates if slug not in cause.candidates)
        at = (record.server, record.client_host)
        row = cause.rows.get(at)
        if row is None:
            if self._rows >= ROWS:
                cause.unlisted += 1
                return
            self._rows += 1
            row = cause.rows[at] = Row(record, findings[0] if findings else None)
        row.count += 1
        row.last_ns = max(row.last_ns, record.last_ns)
        _keep(row.streams, record.stream)


def verdict(triage: Triage) -> str:
    """One sentence that says what the capture shows: the cause and the fix first, where there is one."""
    capture = triage.capture
    if capture.error is not None:
        return f"not analysed: {capture.error}"
    if triage.connections == 0 and triage.chosen:
        return "nothing to report: no SMB connection with the host or stream asked for"
    if triage.connections == 0:
        return f"nothing to diagnose: {contents(capture)}"
    standing = [cause for cause in triage.ranked() if not cause.recovered]
    if standing:
        return _broken(triage, standing)
    negotiated = triage.outcomes["negotiated"]
    if triage.broken:
        return (
            f"every client got through: {of_all(negotiated, triage.connections)} negotiated "
            f"({dialects(triage)}); {plural(triage.broken, 'earlier or parallel attempt')} failed "
            f"({', '.join(cause.title for cause in triage.ranked())})"
        )
    if negotiated:
        what = "the SMB negotiation succeeded" if negotiated == 1 else f"all {negotiated:,} SMB negotiations succeeded"
        if negotiated < triage.connections:
            what = f"{of_all(negotiated, triage.connections)} negotiated"
        text = f"healthy: {what} ({dialects(triage)})"
        titles = [remark.finding.title for remark in triage.ranked_remarks() if remark.finding.severity != "info"]
        return text + (f"; warnings: {', '.join(titles)}" if titles else "")
    if triage.undecided:
        first = next(iter(triage.undecided.values()))
        text = f"undecided: the capture does not show enough of {plural(triage.outcomes['incomplete'], 'SMB connection')}"
        if first.slugs:
            text += f"; may be: {', '.join(first.slugs)}"
        return f"{text}. {first.findings[0].summary}" if first.findings else text
    return f"nothing to diagnose: {plural(triage.connections, 'SMB connection')} opened and closed without a byte"


def _broken(triage: Triage, standing: list[Cause]) -> str:
    first = standing[0]
    count = triage.broken
    if triage.connections == 1:
        text = f"{DID_NOT[first.outcome][0]}: {first.title}"
    elif len(standing) == 1:
        text = f"{of_all(count, triage.connections)} failed: {first.title}"
    else:
        named = ", ".join(f"{cause.title} ({cause.count:,})" for cause in standing[:3])
        more = f", {plural(len(standing) - 3, 'further cause')}" if len(standing) > 3 else ""
        text = f"{of_all(count, triage.connections)} failed: {named}{more}"
    if first.likely == first.count:
        text += " (likely)"
    if first.findings:
        text += f". {sentence(first.findings[0].summary)}"
        fix = next((fix for finding in first.findings for fix in finding.fix), None)
        if fix is not None:
            text += f" Fix: {sentence(fix.text)}"
    return text


def contents(capture: CaptureRecord) -> str:
    """What a capture without SMB connections holds instead."""
    traffic = capture.traffic
    links = f", {', '.join(traffic.link_types)}" if traffic.link_types else ""
    text = f"no SMB connection in {plural(capture.packets, 'packet')}{links}"
    if traffic.tcp_ports:
        ports = ", ".join(f"{port.port} ({plural(port.packets, 'packet')})" for port in traffic.tcp_ports[:5])
        text += f"; busiest TCP ports: {ports}"
    elif capture.packets:
        text += "; no TCP"
    if traffic.smb_like_ports:
        first = ", ".join(str(port) for port in traffic.smb_like_ports[:5])
        text += f"; SMB-like bytes on port {first}: try --port {traffic.smb_like_ports[0]}"
    others = [note.text for note in capture.notes if note.kind in ("smb-over-quic", "smb-over-rdma")]
    return "; ".join([text, *others])


def dialects(triage: Triage) -> str:
    """Which dialects were agreed, the frequent first."""
    ranked = triage.dialects.most_common()
    if len(ranked) == 1:
        return ranked[0][0]
    return ", ".join(f"{dialect}: {count:,}" for dialect, count in ranked)


def plural(count: int, noun: str) -> str:
    """`1 connection`, `2 connections`."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def of_all(count: int, total: int) -> str:
    """`2 of 5 SMB connections`."""
    return f"{count:,} of {plural(total, 'SMB connection')}"


def sentence(text: str) -> str:
    """The text with a full stop."""
    text = text.rstrip()
    return text if text.endswith((".", "!", "?")) else text + "."


def many(names: Iterable[str], noun: str) -> str:
    """How many distinct hosts, as far as they were counted."""
    count = len(list(names))
    return f"more than {count:,} {noun}s" if count >= NAMES else plural(count, noun)


def listed(streams: list[int], count: int) -> Iterator[str]:
    """The stream numbers that were kept, and how many more there are."""
    yield ", ".join(str(stream) for stream in streams)
    if count > len(streams):
        yield f"and {count - len(streams):,} more"


def _keep(streams: list[int], stream: int) -> None:
    if len(streams) < STREAMS:
        streams.append(stream)


def _count(names: set[str], name: str) -> None:
    if len(names) < NAMES:
        names.add(name)
