"""Makes the captures that no recording shows, and labels.json: `python -m sample_pcaps.make [FOLDER]`.

Each function of causes.py and forms.py is one capture: its docstring is the label's note and the row of
README.md, what it returns are the frames and what is true of every connection on an SMB port. That is
written from the protocol and the catalogue of causes, never from what negdiag says.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from sample_pcaps import causes, forms, messages
from sample_pcaps.peers import Label, Made

HERE = Path(__file__).resolve().parent


def captures() -> dict[str, tuple[str, Made]]:
    """File name -> note and capture, by name."""
    found = {}
    for scenario in (*causes.ALL, *forms.ALL):
        messages.occasion = scenario.__name__
        made = scenario()
        note = (scenario.__doc__ or "").strip().removesuffix(".")
        found[scenario.__name__.replace("_", "-") + made.suffix] = (note, made)
    return dict(sorted(found.items()))


def entry(note: str, made: Made) -> dict[str, Any]:
    """The record of one made capture in labels.json."""
    record: dict[str, Any] = {
        "note": note, "client": "made", "server": "made",
        "connections": [_plain(label) for label in made.labels],
    }
    if made.notes:
        record["notes"] = made.notes
    if made.options:
        record["with_options"] = {
            "options": made.options, "connections": [_plain(label) for label in made.with_options]}
    return record


def _plain(label: Label) -> dict[str, Any]:
    """A label as JSON; what may be left out is, where it is empty."""
    record = asdict(label)
    return {key: value for key, value in record.items() if value or key not in {"candidates", "allowed"}}


def table(labels: dict[str, Any]) -> str:
    """The table of README.md: what each capture shows and between whom."""
    rows = ["| capture | shows | outcome and cause | made with |", "| --- | --- | --- | --- |"]
    for name, label in labels.items():
        seen = dict.fromkeys(
            ", ".join([found["outcome"], *(f"`{slug}`" for slug in (*found["causes"], *found["warnings"]))])
            for found in label["connections"])
        by = "made" if label["client"] == "made" else f"{label['client']}; {label['server']}"
        rows.append(f"| `{name}` | {label['note']} | {'; '.join(seen) or 'no connection on an SMB port'} | {by} |")
    return "\n".join(rows)


def with_table(text: str, labels: dict[str, Any]) -> str:
    """README.md with its table made new."""
    begin, end = "<!-- table: python -m sample_pcaps.make -->\n", "<!-- end of table -->"
    before, rest = text.split(begin)
    return before + begin + table(labels) + "\n" + end + rest.split(end)[1]


def main() -> None:
    """Write every made capture, put its record into labels.json beside those of the recordings, and renew README.md."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, nargs="?", default=HERE)
    folder: Path = parser.parse_args().folder
    labels = json.loads((HERE / "labels.json").read_text("utf-8"))
    labels = {name: label for name, label in labels.items() if label["client"] != "made"}
    for name, (note, made) in captures().items():
        made.write(folder / name, made.frames)
        labels[name] = entry(note, made)
    labels = dict(sorted(labels.items()))
    text = json.dumps(labels, indent=1, ensure_ascii=False) + "\n"
    (folder / "labels.json").write_bytes(text.encode())
    readme = with_table((HERE / "README.md").read_text("utf-8"), labels)
    (folder / "README.md").write_bytes(readme.encode())


if __name__ == "__main__":
    main()
