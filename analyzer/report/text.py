"""Triage -> plain text, the report of a pipe: the verdict on the first line, then causes, then the rest."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from typing import TextIO

from analyzer.diagnosis.rule import Fix
from analyzer.report.patterns import patterns
from analyzer.report.record import CaptureRecord, ConnectionRecord, FindingRecord
from analyzer.report.safe import clean
from analyzer.report.triage import (
    Cause,
    Remark,
    Row,
    Triage,
    dialects,
    listed,
    many,
    of_all,
    plural,
    verdict,
)
from analyzer.report.writer import Style, Writer

WIDTH = 80
ROWS_SHOWN = 8           # client-and-server rows of a cause
REMARKS_SHOWN = 12


class TriageWriter(Writer):
    """What reports for people share: connections are gathered in a Triage and shown capture by capture."""

    def __init__(self, out: TextIO, style: Style) -> None:
        super().__init__(out, style)
        self.triage: Triage | None = None
        self.totals = Totals()

    def capture(self, record: CaptureRecord) -> None:
        self.triage = Triage(record, chosen=self.style.chosen)

    def connection(self, record: ConnectionRecord) -> None:
        assert self.triage is not None
        self.triage.add(record)

    def end(self) -> None:
        assert self.triage is not None
        self.triage.finish()
        self.totals.add(self.triage)
        self.show(self.triage)
        self.triage = None

    def show(self, triage: Triage) -> None:
        """Write what is said about one capture."""
        raise NotImplementedError


class TextWriter(TriageWriter):
    """The triage as plain text."""

    def show(self, triage: Triage) -> None:
        self.out.writelines(f"{line}\n" for line in lines(triage, self.style))

    def finish(self) -> None:
        if self.style.several:
            self.out.write(f"{self.totals.sentence()}\n")


class Totals:
    """Counts over all captures of a run."""

    def __init__(self) -> None:
        self.captures = self.unread = self.with_causes = self.connections = self.broken = 0

    def add(self, triage: Triage) -> None:
        """Take in one capture."""
        self.captures += 1
        self.unread += triage.capture.error is not None
        self.with_causes += triage.broken > 0
        self.connections += triage.connections
        self.broken += triage.broken

    def sentence(self) -> str:
        """The run in one line."""
        text = f"{plural(self.captures, 'capture')}"
        if self.unread:
            text += f" ({self.unread:,} not readable)"
        text += f", {plural(self.connections, 'SMB connection')}: "
        if not self.broken:
            return text + "none failed"
        return text + f"{self.broken:,} failed, in {plural(self.with_causes, 'capture')}"


def lines(triage: Triage, style: Style) -> Iterator[str]:
    """The lines of one capture's report."""
    yield clean(f"{triage.capture.capture}: {verdict(triage)}")
    brief = style.quiet or (style.several and not style.verbose and not triage.broken and not triage.undecided)
    if brief:
        return
    for note in triage.capture.notes:
        yield from _wrapped(f"note ({note.kind}): {note.text}", "  ")
    for cause in triage.ranked():
        yield ""
        yield from _cause(cause, triage)
    for cause in triage.undecided.values():
        yield ""
        yield from _undecided(cause)
    remarks = triage.ranked_remarks()
    if remarks:
        yield ""
        yield "Warnings"
        for remark in remarks[:REMARKS_SHOWN]:
            yield from _remark(remark, triage)
        if len(remarks) > REMARKS_SHOWN:
            yield f"  and {plural(len(remarks) - REMARKS_SHOWN, 'further kind')}"
    yield from tail(triage)
    if triage.connections or style.several:
        yield ""


def tail(triage: Triage) -> Iterator[str]:
    """What the connections show together, then healthy and unused ones, a line each, where the verdict does not say it."""
    together = list(patterns(triage))
    if together:
        yield ""
        yield from (f"Pattern: {line}" for line in together)
    negotiated = triage.outcomes["negotiated"]
    if negotiated and (triage.broken or triage.undecided):
        yield ""
        yield (
            f"Healthy: {of_all(negotiated, triage.connections)} ({dialects(triage)}), "
            f"{many(triage.clients, 'client')}, {many(triage.servers, 'server')}"
        )
    if triage.outcomes["unused"] and len(triage.outcomes) > 1:
        yield ""
        streams = " ".join(listed(triage.unused, triage.outcomes["unused"]))
        yield f"Unused: {plural(triage.outcomes['unused'], 'connection')} without a byte, tcp.stream {streams}"


def heading(cause: Cause) -> str:
    """What broke, how often and where."""
    text = f"{plural(cause.count, 'connection')}"
    if len(cause.servers) > 1 or len(cause.clients) > 1:
        text += f", {many(cause.servers, 'server')}, {many(cause.clients, 'client')}"
    if cause.likely:
        text += ", likely" if cause.likely == cause.count else f", {cause.likely:,} of them likely"
    if cause.recovered:
        text += "; the client got through at the same time or later"
    return text


def row_text(row: Row, *, frames: bool = True) -> str:
    """One client at one server: how often, and where to look."""
    server = row.server + (f" ({row.server_name})" if row.server_name else "")
    client = row.client + (f" ({row.client_name})" if row.client_name else "")
    text = f"{server} <- {client}: "
    if row.count > 1:
        text += f"{row.count:,} times, "
    text += f"tcp.stream {' '.join(listed(row.streams, row.count))}"
    if frames and row.finding is not None and row.finding.frames:
        text += f", {proof_text(row.finding)}" + (" in the first" if row.count > 1 else "")
    return text


def frames_text(frames: tuple[int, ...]) -> str:
    """`frames 13, 15`."""
    shown = ", ".join(str(frame) for frame in frames[:8])
    if len(frames) > 8:
        shown += f" and {len(frames) - 8} more"
    return f"frame{'s' if len(frames) > 1 else ''} {shown}"


def proof_text(finding: FindingRecord) -> str:
    """`frames 13, 15`, and of a joined capture `(b.pcap: frames 3, 5)` behind it."""
    files: dict[str, list[int]] = {}
    for place in finding.places:
        files.setdefault(place.file, []).append(place.frame)
    named = "; ".join(f"{file}: {frames_text(tuple(frames))}" for file, frames in files.items())
    return frames_text(finding.frames) + (f" ({named})" if named else "")


def fix_head(fix: Fix) -> str:
    """Where a fix belongs."""
    where = fix.side if fix.platform in ("", "any") else f"{fix.side}, {fix.platform}"
    return f"Fix ({where}): {fix.text}" if where else f"Fix: {fix.text}"


def _cause(cause: Cause, triage: Triage) -> Iterator[str]:
    first = cause.findings[0] if cause.findings else None
    if first is None:
        yield f"{', '.join(cause.slugs)}: {heading(cause)}"
    else:
        yield from _wrapped(f"{first.severity.upper()} {first.code} {first.rule}: {first.title}", "")
        if triage.connections > 1 or cause.likely or cause.recovered:
            yield from _wrapped(heading(cause), "  ")
    rows = sorted(cause.rows.values(), key=lambda row: (row.recovered, -row.count))
    for number, row in enumerate(rows[:ROWS_SHOWN]):
        yield from _wrapped(row_text(row), "  ")
        if row.finding is not None and not number:       # the others say the same of other addresses
            yield from _wrapped(row.finding.summary, "    ")
    if len(rows) > ROWS_SHOWN or cause.unlisted:
        rest = cause.count - sum(row.count for row in rows[:ROWS_SHOWN])
        yield f"  and {plural(rest, 'connection')} more like these"
    for finding in cause.findings[1:]:
        yield from _wrapped(f"With it {finding.code} {finding.rule}: {finding.summary}", "  ")
    if cause.candidates:
        yield from _wrapped(f"May be behind it: {', '.join(cause.candidates)}", "  ")
    yield from _fixes(cause.findings)
    if first is not None:
        yield from _pointers(first)


def _fixes(findings: tuple[FindingRecord, ...]) -> Iterator[str]:
    for fix in next((finding.fix for finding in findings if finding.fix), ()):
        yield from _wrapped(fix_head(fix), "  ")
        if fix.command:
            for line in fix.command.splitlines():      # never wrapped: it is there to be pasted
                yield f"      {clean(line)}"


def _pointers(finding: FindingRecord) -> Iterator[str]:
    if finding.display_filter:
        yield clean(f"  Wireshark: {finding.display_filter}")
    if finding.reference:
        yield from _wrapped(f"Reference: {finding.reference}", "  ")
    yield f"  More: negdiag explain {finding.rule}"


def _undecided(cause: Cause) -> Iterator[str]:
    yield from _wrapped(
        f"UNDECIDED: {heading(cause)}: the capture does not show enough"
        + (f"; may be: {', '.join(cause.slugs)}" if cause.slugs else ""),
        "",
    )
    rows = list(cause.rows.values())
    for row in rows[:ROWS_SHOWN]:
        yield from _wrapped(row_text(row), "  ")
    if len(rows) > ROWS_SHOWN or cause.unlisted:
        rest = cause.count - sum(row.count for row in rows[:ROWS_SHOWN])
        yield f"  and {plural(rest, 'connection')} more like these"


def _remark(remark: Remark, triage: Triage) -> Iterator[str]:
    finding = remark.finding
    text = f"{finding.severity} {finding.code} {finding.rule}"
    if triage.connections > 1:
        streams = " ".join(listed(remark.streams, remark.count))
        text += f": {plural(remark.count, 'connection')}, {many(remark.servers, 'server')}, tcp.stream {streams}"
    yield from _wrapped(text, "  ")
    told = finding.summary + (f" ({proof_text(finding)})" if finding.frames else "")
    yield from _wrapped(told if remark.count == 1 else f"for one: {told}", "    ")


def _wrapped(text: str, indent: str) -> list[str]:
    return textwrap.wrap(
        clean(text), WIDTH, initial_indent=indent, subsequent_indent=indent + "  ",
        break_long_words=False, break_on_hyphens=False,
    )
