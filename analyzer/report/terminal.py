"""Triage -> tables on a terminal, within 80 columns. The same content as the plain text, shorter."""

from __future__ import annotations

from typing import TextIO

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from analyzer.report.record import FindingRecord
from analyzer.report.safe import clean
from analyzer.report.text import (
    REMARKS_SHOWN,
    ROWS_SHOWN,
    TriageWriter,
    fix_head,
    heading,
    tail,
)
from analyzer.report.triage import Cause, Triage, listed, plural, verdict
from analyzer.report.writer import Style

WIDTH = 80
COLORS = {"error": "bold red", "warning": "yellow", "info": "cyan"}


class TerminalWriter(TriageWriter):
    """The triage as rich tables. What comes from a capture is shown as text, never read as markup."""

    def __init__(self, out: TextIO, style: Style) -> None:
        super().__init__(out, style)
        self.console = Console(
            file=out, no_color=not style.color, highlight=False, markup=False, emoji=False, legacy_windows=False
        )
        self.console.width = min(self.console.width, WIDTH)

    def show(self, triage: Triage) -> None:
        style = self.style
        bad = triage.capture.error is not None or any(not cause.recovered for cause in triage.causes.values())
        self._print(
            Text.assemble(
                (clean(triage.capture.capture) + ": ", "bold"),
                (clean(verdict(triage)), "bold red" if bad else "bold green" if triage.dialects else "bold"),
            )
        )
        quiet = style.several and not style.verbose and not triage.broken and not triage.undecided
        if style.quiet or quiet:
            return
        for note in triage.capture.notes:
            self._print(Text(clean(f"note ({note.kind}): {note.text}"), "cyan"), indent=2)
        for number, cause in enumerate(triage.ranked()):
            self._cause(cause, told=number == 0 and not cause.recovered)
        for cause in triage.undecided.values():
            may_be = f"; may be: {', '.join(cause.slugs)}" if cause.slugs else ""
            self._print(Text(f"\nUNDECIDED: {heading(cause)}{may_be}", "bold yellow"))
            self._rows(cause)
        self._remarks(triage)
        for line in tail(triage):
            self._print(Text(clean(line)))
        self._print(Text())

    def finish(self) -> None:
        if self.style.several:
            self._print(Text(self.totals.sentence(), "bold"))

    def _cause(self, cause: Cause, *, told: bool) -> None:
        """One cause. told: the verdict holds its summary already."""
        first = cause.findings[0] if cause.findings else None
        if first is None:
            self._print(Text(f"\n{', '.join(cause.slugs)}: {heading(cause)}"))
            return
        self._print(Text.assemble("\n", *_head(first), f" {first.title} ({heading(cause)})"))
        if not told:
            self._print(Text(clean(first.summary)), indent=2)
        self._rows(cause)
        for finding in cause.findings[1:]:
            self._print(Text.assemble("with it ", *_head(finding), f" {clean(finding.summary)}"), indent=2)
        if cause.candidates:
            self._print(Text(f"may be behind it: {', '.join(cause.candidates)}"), indent=2)
        for fix in next((finding.fix for finding in cause.findings if finding.fix), ()):
            self._print(Text(clean(fix_head(fix)), "green"), indent=2)
            for line in (fix.command or "").splitlines():
                self.console.print(Text("    " + clean(line), "bold"), soft_wrap=True)
        if first.reference:
            self._print(Text(clean(f"Reference: {first.reference}"), "dim"), indent=2)
        self._print(Text(f"More: negdiag explain {first.rule}", "dim"), indent=2)

    def _rows(self, cause: Cause) -> None:
        table = Table(box=SIMPLE_HEAD, pad_edge=False, show_edge=False)
        table.add_column("server", overflow="fold")
        table.add_column("client", overflow="fold")
        table.add_column("count", justify="right")
        table.add_column("tcp.stream", overflow="fold")
        table.add_column("frames", overflow="fold")
        rows = sorted(cause.rows.values(), key=lambda row: (row.recovered, -row.count))
        for row in rows[:ROWS_SHOWN]:
            table.add_row(
                _ends(row.server, row.server_name),
                _ends(row.client, row.client_name),
                Text(f"{row.count:,}"),
                Text(" ".join(listed(row.streams, row.count))),
                Text(" ".join(str(frame) for frame in row.finding.frames[:8]) if row.finding else ""),
            )
        self.console.print(Padding(table, (0, 0, 0, 2), expand=False))
        rest = cause.count - sum(row.count for row in rows[:ROWS_SHOWN])
        if rest:
            self._print(Text(f"and {plural(rest, 'connection')} more like these"), indent=2)

    def _remarks(self, triage: Triage) -> None:
        remarks = triage.ranked_remarks()
        if not remarks:
            return
        table = Table(box=SIMPLE_HEAD, pad_edge=False, show_edge=False)
        table.add_column("warning", overflow="fold", ratio=2)
        table.add_column("count", justify="right")
        table.add_column("for one", overflow="fold", ratio=4)
        for remark in remarks[:REMARKS_SHOWN]:
            finding = remark.finding
            table.add_row(
                Text.assemble((finding.rule, COLORS.get(finding.severity, ""))),
                Text(f"{remark.count:,}"),
                Text(clean(finding.summary)),
            )
        self._print(Text())
        self.console.print(table)

    def _print(self, text: Text, indent: int = 0) -> None:
        self.console.print(Padding(text, (0, 0, 0, indent), expand=False) if indent else text)


def _head(finding: FindingRecord) -> tuple[tuple[str, str], ...]:
    return ((f"{finding.severity} {finding.code} {finding.rule}:", COLORS.get(finding.severity, "")),)


def _ends(address: str, name: str | None) -> Text:
    return Text(clean(address) + (f"\n{clean(name)}" if name else ""))
