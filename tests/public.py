"""docs/public-captures.md: what negdiag says about captures of public test suites, remade and compared.

    python -m tests.public [--check] docs/public-captures.md

The second column of the page's table is negdiag's; the third, why that is right, is written by hand and
kept. With --check nothing is written: status 1 where the page is not what negdiag says.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from analyzer.diagnosis.loader import load_rules
from analyzer.pipeline import run
from analyzer.reading import Settings
from analyzer.telling import Wanted

ROOT = Path(__file__).resolve().parents[1]
PUBLIC = ROOT.parent / "shared" / "captures" / "public"
HEAD = "| capture | negdiag says | why that is right |"


def said(path: Path) -> str:
    """The connections of a capture by what is said of them, in order of their first."""
    (analyzed,) = run([(path.name, path)], load_rules(()), Settings(), Wanted())
    verdicts: Counter[str] = Counter()
    for diagnosed in analyzed.connections:
        record = diagnosed.record
        text = record.outcome
        if record.causes:
            text += f": {', '.join(record.causes)} ({record.findings[0].severity}, {record.confidence})"
        if record.dialect is not None and record.outcome == "negotiated":
            text += f" {record.dialect}"
        if record.candidates:
            text += f"; may be {', '.join(record.candidates)}"
        if record.warnings:
            beside = [f"{f.rule} ({f.severity})" for f in record.findings[len(record.causes):]]
            text += f"; {', '.join(beside)}"
        verdicts[text] += 1
    lines = [f"{count} x {text}" if count > 1 else text for text, count in verdicts.items()]
    notes = [f"note {note.kind}" for note in analyzed.record.notes]
    return "<br>".join([*lines, *notes]) or "no SMB connection"


def names() -> list[str]:
    """The captures, by name."""
    index = json.loads((PUBLIC / "index.json").read_text("utf-8"))
    return sorted(capture["file"] for capture in index["captures"])


def reasons(page: str) -> dict[str, str]:
    """The third column by the first."""
    rows = [line.strip("|").split(" | ") for line in page.splitlines() if line.startswith("| `")]
    return {row[0].strip().strip("`"): row[2].strip() for row in rows}


def table(known: dict[str, str]) -> Iterator[str]:
    """The rows of the table."""
    yield HEAD
    yield "| --- | --- | --- |"
    for name in names():
        yield f"| `{name}` | {said(PUBLIC / name)} | {known.get(name, '')} |"


def renewed(page: str) -> str:
    """The page with negdiag's column as it is now."""
    before = page[: page.index(HEAD)]
    return before + "\n".join(table(reasons(page))) + "\n"


def main(arguments: Sequence[str]) -> int:
    path = Path(arguments[-1])
    page = path.read_text("utf-8")
    new = renewed(page)
    if "--check" in arguments:
        return int(new != page)
    path.write_text(new, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
