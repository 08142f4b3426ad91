"""NEGOTIATE messages under Wireshark's names -> text, JSON, NDJSON or CSV: what `negdiag fields` prints."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Final, TextIO

from analyzer.report.safe import clean, defused, joined

Value = int | bool | str | Sequence[int | str | None] | None
Row = Mapping[str, Value]

WIDTH = 100


def write_text(rows: Iterable[Row], out: TextIO) -> None:
    """A block for each message: a heading, then name and value."""
    for row in rows:
        width = max(len(name) for name in row)
        out.write(f"frame {row['frame.number']}, tcp.stream {row['tcp.stream']}: {_kind(row)}\n")
        for name, value in row.items():
            if name in ("frame.number", "tcp.stream"):
                continue
            lines = textwrap.wrap(_shown(name, value), max(20, WIDTH - width - 4)) or [""]
            out.write(f"  {name:<{width}}  {lines[0]}\n")
            out.writelines(f"  {'':<{width}}  {line}\n" for line in lines[1:])
        out.write("\n")


def write_json(rows: Iterable[Row], out: TextIO) -> None:
    """One list of objects, one on a line."""
    import json

    separator = "["
    for row in rows:
        out.write(f"{separator}{json.dumps(row)}")
        separator = ",\n "
    out.write("]\n" if separator != "[" else "[]\n")


def write_ndjson(rows: Iterable[Row], out: TextIO) -> None:
    """One object on a line."""
    import json

    out.writelines(json.dumps(row) + "\n" for row in rows)


def write_csv(rows: Iterable[Row], out: TextIO) -> None:
    """One column for each name that occurs, lists joined by `;`, flags as 1 and 0."""
    import csv

    kept = list(rows)
    names = list(dict.fromkeys(["frame.number", "tcp.stream", *(name for row in kept for name in row)]))
    table = csv.writer(out, lineterminator="\n")
    table.writerow(names)
    table.writerows([_cell(row.get(name)) for name in names] for row in kept)


FORMATS: Final[Mapping[str, Callable[[Iterable[Row], TextIO], None]]] = {
    "text": write_text,
    "json": write_json,
    "ndjson": write_ndjson,
    "csv": write_csv,
}


def _kind(row: Row) -> str:
    protocol = "SMB2" if "smb2.cmd" in row else "SMB1"
    answer = row.get("smb2.flags.response", row.get("smb.flags.response"))
    return f"{protocol} NEGOTIATE {'response' if answer else 'request'}"


def _shown(name: str, value: Value) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"0x{value:08x}" if name.endswith("status") else f"{value} (0x{value:x})" if value > 9 else str(value)
    if value is None:
        return "none"
    if isinstance(value, str):
        return clean(value)
    return ", ".join(_listed(item) for item in value)


def _listed(item: int | str | None) -> str:
    return f"0x{item:04x}" if isinstance(item, int) else clean(str(item))


def _cell(value: Value) -> str | int | None:
    if isinstance(value, bool):
        return int(value)
    if value is None or isinstance(value, int):
        return value
    if isinstance(value, str):
        return defused(value)
    return joined([str(item) for item in value])


def by_frame(rows: Iterable[tuple[int, int, Row]]) -> Iterator[Row]:
    """Rows in the order of the capture. Each comes with its frame.number and its offset in the stream."""
    for _, _, row in sorted(rows, key=lambda item: item[:2]):
        yield row
