"""Triage -> Markdown, to be pasted into a ticket."""

from __future__ import annotations

import re
from collections.abc import Iterator

from analyzer.diagnosis.rule import Fix
from analyzer.report.safe import clean
from analyzer.report.text import (
    ROWS_SHOWN,
    TriageWriter,
    fix_head,
    heading,
    proof_text,
    row_text,
    tail,
)
from analyzer.report.triage import Cause, Remark, Triage, listed, plural, verdict

# What CommonMark and its dialects in ticket systems read as markup: HTML, mentions and bare links included.
_MARKUP = re.compile(r"([\\`*_{}\[\]<>#|~$&@]|:(?=//)|(?<=www)\.)")


class MarkdownWriter(TriageWriter):
    """A heading for each capture, a section for each cause."""

    def show(self, triage: Triage) -> None:
        self.out.writelines(f"{line}\n" for line in _lines(triage))

    def finish(self) -> None:
        if self.style.several:
            self.out.write(f"{escaped(self.totals.sentence())}\n")


def escaped(text: str) -> str:
    """Text that Markdown shows as it is."""
    return _MARKUP.sub(r"\\\1", clean(text))


def _code(text: str) -> str:
    # A code span ends at a run of as many backticks as began it.
    fence = "`" * (max((len(run) for run in re.findall("`+", text)), default=0) + 1)
    pad = " " if "`" in text else ""
    return f"{fence}{pad}{clean(text)}{pad}{fence}"


def _lines(triage: Triage) -> Iterator[str]:
    yield f"## {_code(triage.capture.capture)}"
    yield ""
    yield f"**{escaped(verdict(triage))}**"
    yield ""
    for note in triage.capture.notes:
        yield f"> {escaped(note.kind)}: {escaped(note.text)}"
        yield ""
    for cause in triage.ranked():
        yield from _cause(cause)
    for cause in triage.undecided.values():
        yield "### Undecided"
        yield ""
        may_be = f"; may be {', '.join(_code(slug) for slug in cause.slugs)}" if cause.slugs else ""
        yield f"{escaped(heading(cause))}{may_be}"
        yield ""
        yield from _rows(cause)
    remarks = triage.ranked_remarks()
    if remarks:
        yield "### Warnings"
        yield ""
        yield from (_remark(remark) for remark in remarks)
    yield from (escaped(line) for line in tail(triage))
    if remarks or triage.connections:
        yield ""


def _cause(cause: Cause) -> Iterator[str]:
    first = cause.findings[0] if cause.findings else None
    yield f"### {escaped(cause.title)}"
    yield ""
    if first is not None:
        yield f"{_code(first.rule)} ({first.code}, {first.severity}): {escaped(first.summary)}"
        yield ""
    yield escaped(heading(cause))
    yield ""
    yield from _rows(cause)
    for finding in cause.findings[1:]:
        yield f"With it {_code(finding.rule)} ({finding.code}): {escaped(finding.summary)}"
        yield ""
    if cause.candidates:
        yield f"May be behind it: {', '.join(_code(slug) for slug in cause.candidates)}"
        yield ""
    for fix in next((finding.fix for finding in cause.findings if finding.fix), ()):
        yield from _fix(fix)
    if first is not None:
        yield f"Wireshark: {_code(first.display_filter)}"
        if first.reference:
            yield ""
            yield f"Reference: {escaped(first.reference)}"
        yield ""


def _rows(cause: Cause) -> Iterator[str]:
    rows = sorted(cause.rows.values(), key=lambda row: (row.recovered, -row.count))
    yield from (f"- {escaped(row_text(row))}" for row in rows[:ROWS_SHOWN])
    rest = cause.count - sum(row.count for row in rows[:ROWS_SHOWN])
    if rest:
        yield f"- and {plural(rest, 'connection')} more like these"
    yield ""


def _fix(fix: Fix) -> Iterator[str]:
    yield f"- {escaped(fix_head(fix))}"
    if fix.command:
        fence = "`" * max(3, *(len(run) + 1 for run in re.findall("`+", fix.command)), 3)
        yield ""
        yield f"  {fence}"
        yield from (f"  {clean(line)}" for line in fix.command.splitlines())
        yield f"  {fence}"
    yield ""


def _remark(remark: Remark) -> str:
    finding = remark.finding
    streams = " ".join(listed(remark.streams, remark.count))
    frames = f" ({proof_text(finding)})" if finding.frames else ""
    return (
        f"- {_code(finding.rule)} ({finding.code}, {finding.severity}), {plural(remark.count, 'connection')}, "
        f"tcp.stream {streams}: {escaped(finding.summary)}{frames}"
    )
