"""The vocabulary -> its tables in docs/rules.md, so that the page says what the code knows.

    python -m analyzer.diagnosis.docs [--check] docs/rules.md

Rewrites what stands between the two marks of the page; with --check it only says whether it is current
(status 1 if not).
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from analyzer.negotiation.vocabulary import EVIDENCE, VOCABULARY

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from analyzer.negotiation.vocabulary import Fact

BEGIN = "<!-- vocabulary: made by python -m analyzer.diagnosis.docs -->"
END = "<!-- vocabulary: end -->"

_TITLES = {
    "request": "The last NEGOTIATE request",
    "response": "Its answer",
    "connection": "The connection",
    "others": "Other connections of the run",
    "capture": "The capture",
}


def vocabulary_tables(facts: Mapping[str, Fact] = VOCABULARY, evidence: Sequence[str] = EVIDENCE) -> str:
    """All facts in tables by their first word, and the names of frames, as Markdown."""
    return "\n".join(_lines(facts, evidence)) + "\n"


def _lines(facts: Mapping[str, Fact], evidence: Sequence[str]) -> Iterator[str]:
    for group in dict.fromkeys(name.partition(".")[0] for name in facts):
        yield f"### {_TITLES[group]}"
        yield ""
        yield "| fact | type | says |"
        yield "| --- | --- | --- |"
        for fact in facts.values():
            if fact.name.partition(".")[0] == group:
                says = fact.doc.replace("|", "\\|")
                yield f"| `{fact.name}` | {fact.type} | {says}{' *(summary only)*' if fact.summary_only else ''} |"
        yield ""
    yield "### Frames for `evidence`"
    yield ""
    yield ", ".join(f"`{name}`" for name in evidence)


def renewed(page: str) -> str:
    """The page with the tables as they are now. Raises ValueError where it lacks a mark."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"the page has no {BEGIN} or no {END}")
    return f"{before}{BEGIN}\n\n{vocabulary_tables()}\n{END}{after}"


def main(arguments: Sequence[str]) -> int:
    """Status 0: current or rewritten; 1: not current; 2: wrong use."""
    paths = [Path(word) for word in arguments if word != "--check"]
    if len(paths) != 1:
        print("usage: python -m analyzer.diagnosis.docs [--check] docs/rules.md", file=sys.stderr)
        return 2
    page = paths[0].read_text(encoding="utf-8")
    current = renewed(page)
    if page == current:
        return 0
    if "--check" in arguments:
        print(
            f"{paths[0]}: the vocabulary is not current: run python -m analyzer.diagnosis.docs",
            file=sys.stderr,
        )
        return 1
    paths[0].write_text(current, encoding="utf-8", newline="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
