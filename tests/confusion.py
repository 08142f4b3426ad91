"""Labelled captures -> what was found where what was true: the confusion matrix, and every difference.

    python -m tests.confusion [FOLDER...]

A FOLDER holds captures and a labels.json; by default sample_pcaps/ and, where it is beside the repository,
the collection of recorded captures. Outcome, the whole list of causes in its order, candidates, confidence,
dialect and warnings must be the label's: what is missing and what no label has are both differences, except
what ALLOWED gives a reason for. Every rule must fire on at least one capture. Status 1 if anything differs.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

from analyzer.diagnosis.loader import load_rules
from analyzer.pipeline import run
from analyzer.reading import SMB_PORTS, Settings
from analyzer.telling import Wanted

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = (ROOT / "sample_pcaps", ROOT.parent / "shared" / "captures" / "lab")
DIALECTS = {
    "0x0202": "SMB 2.0.2", "0x0210": "SMB 2.1", "0x0300": "SMB 3.0", "0x0302": "SMB 3.0.2", "0x0311": "SMB 3.1.1",
}  # fmt: skip


class Allowed(NamedTuple):
    """A warning or candidate beyond the label that is right wherever another slug stands on the connection."""

    slug: str
    beside: str
    reason: str


ALLOWED = (
    Allowed("session-setup-failed", "name-hardening", "the status is the reason; the name check only explains it"),
    Allowed("session-setup-failed", "ntlm-blocked", "the status is the reason; the block only explains it"),
    Allowed("signature-rejected", "preauth-integrity-failure", "the client may have signed wrongly all the same"),
    Allowed("preauth-integrity-failure", "signature-rejected",
            "from one capture point a changed NEGOTIATE is a candidate beside the wrong signature"),
)  # fmt: skip


class Found(NamedTuple):
    """One connection: its label, and what was said of it."""

    where: str
    label: Mapping[str, Any]
    outcome: str
    causes: tuple[str, ...]
    confidence: str | None
    candidates: tuple[str, ...]
    warnings: tuple[str, ...]
    dialect: str | None


class Judged(NamedTuple):
    """All connections of the labelled captures, what is missing altogether, and every slug that was seen."""

    found: tuple[Found, ...]
    missing: tuple[str, ...]
    slugs: frozenset[str]


def judge(folders: Sequence[Path]) -> Judged:
    """Diagnose every labelled capture of the folders."""
    found: list[Found] = []
    missing: list[str] = []
    slugs: set[str] = set()
    rules = load_rules(())
    for folder in folders:
        labels: dict[str, Any] = json.loads((folder / "labels.json").read_text("utf-8"))
        for name, label in labels.items():
            for ports, connections in _cases(label):
                (analyzed,) = run([(name, folder / name)], rules, Settings(ports=SMB_PORTS | ports), Wanted())
                slugs.update(note.kind for note in analyzed.record.notes)
                wanted = {one["tcp_stream"]: one for one in connections}
                for diagnosed in analyzed.connections:
                    record = diagnosed.record
                    slugs.update(record.causes, record.warnings)
                    where = f"{folder.name}/{name} tcp.stream {record.stream}"
                    one = wanted.pop(record.stream, None)
                    if one is None:
                        missing.append(f"{where}: reported, but no label has it")
                        continue
                    found.append(Found(
                        where, one, record.outcome, record.causes, record.confidence, record.candidates,
                        record.warnings, record.dialect,
                    ))  # fmt: skip
                missing += [f"{folder.name}/{name} tcp.stream {stream}: not reported" for stream in wanted]
    return Judged(tuple(found), tuple(missing), frozenset(slugs))


def _cases(label: Mapping[str, Any]) -> Iterator[tuple[frozenset[int], list[dict[str, Any]]]]:
    yield frozenset(), label["connections"]
    beside = label.get("with_options")
    if beside is not None:
        options = beside["options"]
        ports = {int(value) for option, value in pairwise(options) if option == "--port"}
        yield frozenset(ports), beside["connections"]


def differences(one: Found) -> Iterator[str]:
    """What is not as the label says."""
    label = one.label
    dialect = label.get("dialect") or one.dialect
    for what, is_so, should in (
        ("outcome", one.outcome, label["outcome"]),
        ("causes", list(one.causes), label["causes"]),
        ("confidence", one.confidence, label.get("confidence", one.confidence)),
        ("dialect", one.dialect, None if dialect is None else DIALECTS.get(dialect, dialect)),
    ):
        if is_so != should:
            yield f"{one.where}: {what} {is_so}, the label says {should}"
    for what, are, expected in (
        ("warning", one.warnings, label.get("warnings", [])),
        ("candidate", one.candidates, label.get("candidates", [])),
    ):
        yield from (f"{one.where}: {what} {slug} is missing" for slug in expected if slug not in are)
        for slug in are:
            if slug not in expected and not _allowed(slug, one):
                yield f"{one.where}: {what} {slug}, which no label has"


def _allowed(slug: str, one: Found) -> bool:
    here = {*one.causes, *one.warnings}
    return any(slug == allowed.slug and allowed.beside in here for allowed in ALLOWED)


def matrix(found: Sequence[Found]) -> Iterator[str]:
    """Rows: the label's primary cause, or its outcome; columns: what was found instead, where it was not that."""
    cells: dict[str, Counter[str]] = {}
    for one in found:
        true = (one.label["causes"] or [one.label["outcome"]])[0]
        said = one.causes[0] if one.causes else one.outcome
        cells.setdefault(true, Counter())[said] += 1
    width = max(map(len, ["true", *cells]))
    yield f"{'true':{width}}  {'found':>5}  else"
    for true in sorted(cells):
        row = cells[true]
        wrong = ", ".join(f"{said}: {count}" for said, count in row.most_common() if said != true)
        yield f"{true:{width}}  {row[true]:>5}  {wrong}".rstrip()


def main(arguments: Sequence[str]) -> int:
    folders = [Path(argument) for argument in arguments] or [f for f in FOLDERS if (f / "labels.json").is_file()]
    judged = judge(folders)
    print(*matrix(judged.found), sep="\n")
    wrong = [*judged.missing, *(line for one in judged.found for line in differences(one))]
    if not arguments:
        wrong += [f"{slug}: fires on no capture" for slug in sorted(silent(judged))]
    print(*wrong, sep="\n")
    print(f"{len(judged.found)} connections, {len(wrong)} differences")
    return 1 if wrong else 0


def silent(judged: Judged) -> set[str]:
    """The rules that fire on no capture."""
    return set(load_rules(()).by_slug) - judged.slugs


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
