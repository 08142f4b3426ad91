"""The columns of every table -> docs/columns.md, so that the page says what the code writes.

    python -m analyzer.report.columns_page [--check] docs/columns.md

With --check it only says whether the page is current (status 1 if not).
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final

from analyzer.report import columns
from analyzer.report.columns import CAPTURES, CONNECTIONS, FINDINGS, Column

_TYPES: Final = {
    columns.STRING: "string", columns.INTEGER: "int64", columns.UNSIGNED: "uint64", columns.FLOAT: "double",
    columns.FLAG: "bool", columns.TIME: "timestamp[ns, UTC]", columns.STRINGS: "list of string",
    columns.INTEGERS: "list of int64", columns.UNSIGNEDS: "list of uint64", columns.FLAGS: "list of bool",
    columns.NOTES: "list of struct", columns.FIXES: "list of struct", columns.PLACES: "list of struct",
}
_CELLS: Final = {
    columns.TIME: "time in ISO 8601, UTC", columns.STRINGS: "values joined by `;`",
    columns.INTEGERS: "values joined by `;`", columns.INTEGER: "whole number", columns.FLOAT: "number",
    columns.STRING: "text",
}

# What NDJSON has under another name, or as a value of its own kind.
NDJSON: Final = (
    ("frames", "object", "`first`, `last`, `request`, `response`: the four frame numbers of the CSV"),
    ("findings", "list of objects",
     "one for each slug in `causes` and `warnings`, causes first; keys as in the findings table, from `rule` on"),
)
_FLAT: Final = frozenset({
    "first_frame", "last_frame", "request_frame", "response_frame", "severity", "summary", "fix", "frames",
    "display_filter",
})

_HEAD: Final = """\
# The columns of every table

<!-- made by: python -m analyzer.report.columns_page docs/columns.md -->

CSV, NDJSON and a single Parquet file (`-o FILE.csv`, `.ndjson`, `.parquet`) have one row for each TCP connection on
an SMB port. `-o NAME.parquet/` writes a folder with four tables, one file each, and `negdiag batch` the same four
tables with one file for each capture. Names are stable: columns are added, never renamed.

What a capture does not show is absent: null in Parquet, NDJSON and data frames, an empty cell in CSV. Times are UTC.
Frame and stream numbers are Wireshark's: the same number opens the same thing there.

```python
import pandas as pd
connections = pd.read_parquet("results/connections")      # a folder of a batch, or one file
```

```sql
select cause, count(*) from (select unnest(causes) as cause from 'results/connections/*.parquet') group by cause;
```

Text that a spreadsheet would run as a formula has an apostrophe in front in CSV, and only there; a control character
of a capture's text is an escape such as `\\x1b` in it. `-o FILE.csv` is UTF-8 with a byte order mark, CSV on
standard output has none.
"""


def page() -> str:
    """The whole page."""
    return "\n".join(_lines()) + "\n"


def _lines() -> Iterator[str]:
    yield _HEAD
    yield from _table(
        "Connections", "The rows of CSV and of `connections`.", ("column", "Parquet", "CSV", "what it is"),
        ((f"`{c.name}`", _TYPES[c.type], _CELLS[c.type], c.doc) for c in CONNECTIONS),
    )
    yield from _table(
        "NDJSON", "One object for each connection: the columns above without the last five and the four frame numbers, and",
        ("key", "JSON", "what it is"), ((f"`{name}`", kind, doc) for name, kind, doc in NDJSON),
    )
    yield from _table(
        "Captures", "The rows of `captures`: one for each capture given, also for one that cannot be read.",
        ("column", "Parquet", "what it is"), _rows(CAPTURES),
    )
    yield from _table(
        "Findings", "The rows of `findings`: one for each cause and warning of a connection.",
        ("column", "Parquet", "what it is"), _rows(FINDINGS),
    )
    yield from _table(
        "Messages",
        "The rows of `messages`: one for each NEGOTIATE message, under the names that Wireshark's display filters\n"
        "have for its fields (`negdiag fields` prints the same). A field that the message lacks is absent. What a\n"
        "message can have several times, once for each dialect or negotiate context, is a list.",
        ("column", "Parquet", "what it is"), _rows(columns.messages()),
    )


def _rows(wanted: Iterable[Column]) -> Iterator[tuple[str, ...]]:
    return ((f"`{column.name}`", _TYPES[column.type], column.doc) for column in wanted)


def _table(title: str, text: str, head: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    yield f"## {title}\n\n{text}\n"
    yield f"| {' | '.join(head)} |"
    yield f"|{' --- |' * len(head)}"
    for row in rows:
        yield f"| {' | '.join(row)} |".replace("  ", " ")
    yield ""


def ndjson_keys() -> tuple[str, ...]:
    """The keys of an NDJSON object."""
    return (*(c.name for c in CONNECTIONS if c.name not in _FLAT), *(name for name, _, _ in NDJSON))


def main(words: Sequence[str]) -> int:
    """Write the page, or check it; returns the exit status."""
    check = "--check" in words
    path, = (Path(word) for word in words if word != "--check")
    current = path.exists() and path.read_text("utf-8") == page()
    if check:
        return 0 if current else 1
    path.write_text(page(), encoding="utf-8", newline="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
