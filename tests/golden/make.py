"""Renews tests/golden/: `python -m tests.golden.make [--check]`.

One folder per sample capture: diagnosis.json (what was decided) and fields.json
(every NEGOTIATE message). Where tshark is installed the fields are compared with its answer, value by value, and the comparison is printed: how
often each field was compared, what was left out and why. --check writes nothing; --compare CAPTURE...
does the same with other captures. Ends with 1 where something differs from Wireshark, or with --check from
what is written. Read `git diff` before you commit.
"""

from __future__ import annotations

import argparse
import io
import json
import shutil
import sys
from contextlib import chdir, redirect_stderr, redirect_stdout
from itertools import pairwise
from pathlib import Path
from typing import Any

from analyzer.cli.main import main as main_of_negdiag
from tests.golden.wireshark import Comparison, answers

GOLDEN = Path(__file__).resolve().parent
SAMPLES = GOLDEN.parents[1] / "sample_pcaps"
# What is decided about a connection and a finding. The rest is drawn from it, or is the wording of a rule file.
DECIDED = (
    "tcp.stream", "client", "server", "transport", "outcome", "reached", "causes", "confidence", "candidates", "warnings",
    "dialect", "client_name", "server_name", "offered", "frames", "response_time", "findings",
)
FOUND = ("rule", "code", "severity", "frames", "display_filter")


def captures() -> list[Path]:
    """All samples, by name."""
    return sorted(SAMPLES.glob("*.pcap*"))


def options(capture: Path) -> list[str]:
    """The options that labels.json wants for a sample."""
    label = json.loads((SAMPLES / "labels.json").read_text("utf-8"))[capture.name]
    found: list[str] = label.get("with_options", {}).get("options", [])
    return found


def decode_as(capture: Path) -> list[str]:
    """The same for tshark."""
    found = options(capture)
    return [part for name, port in pairwise(found) if name == "--port"
            for part in ("-d", f"tcp.port=={port},nbss")]


def negdiag(*arguments: str) -> Any:
    """What a command of ours prints as JSON, run where the samples are."""
    out, errors = io.StringIO(), io.StringIO()
    with chdir(SAMPLES), redirect_stdout(out), redirect_stderr(errors):
        status = main_of_negdiag([*arguments, "--format", "json"])
    if status not in {0, 3}:
        raise RuntimeError(f"{arguments}: status {status}\n{errors.getvalue()}")
    return json.loads(out.getvalue())


def made(capture: Path) -> dict[str, Any]:
    """File name -> content of one capture's folder."""
    (record,) = negdiag(capture.name, *options(capture))["captures"]
    record["notes"] = [note["kind"] for note in record["notes"]]
    record["connections"] = [
        {key: connection[key] for key in DECIDED}
        | {"findings": [{key: finding[key] for key in FOUND} for finding in connection["findings"]]}
        for connection in record["connections"]]
    return {"diagnosis.json": record, "fields.json": negdiag("fields", capture.name, *options(capture))}


def text(value: Any) -> str:
    """JSON as it is written here."""
    return json.dumps(value, indent=1, ensure_ascii=False) + "\n"


def stale(capture: Path, files: dict[str, Any]) -> list[str]:
    """The files of one capture's folder that are not as written."""
    folder = GOLDEN / capture.name
    return [
        f"{capture.name}/{name}" for name, value in files.items()
        if not (folder / name).is_file() or (folder / name).read_text("utf-8") != text(value)]


def write(capture: Path, files: dict[str, Any]) -> None:
    """One capture's folder."""
    folder = GOLDEN / capture.name
    folder.mkdir(exist_ok=True)
    for name, value in files.items():
        (folder / name).write_bytes(text(value).encode())


def main() -> int:
    """Renew, check or compare; the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.golden.make", description="Renew the golden files.")
    parser.add_argument("--check", action="store_true", help="write nothing")
    parser.add_argument("--compare", type=Path, nargs="+", metavar="CAPTURE", help="only compare these with tshark")
    arguments = parser.parse_args()
    tshark, comparison, old = shutil.which("tshark"), Comparison(), []
    for capture in [] if arguments.compare else captures():
        files = made(capture)
        if arguments.check:
            old += stale(capture, files)
        else:
            write(capture, files)
        if tshark:
            comparison.add(capture.name, files["fields.json"], answers(tshark, capture, *decode_as(capture)))
    for capture in arguments.compare or []:
        comparison.add(
            str(capture), negdiag("fields", str(capture.resolve())), answers(tshark or "tshark", capture))
    print(comparison.report() if tshark else "tshark is not installed: nothing was compared")
    for name in old:
        print(f"not as written: {name}")
    return 1 if old or comparison.differences else 0


if __name__ == "__main__":
    sys.exit(main())
