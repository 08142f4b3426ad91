"""What README.md shows of the program, made by the program: `python -m tests.readme` renews it.

Each ```console block that begins with `$ negdiag ...` gets that command's output, and the table of causes
is made from `negdiag rules`.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
BEGIN, END = "<!-- causes: python -m tests.readme -->\n", "<!-- end of causes -->"
SESSION = re.compile(r"```console\n\$ negdiag (.*)\n(?:.*\n)*?```")


def output(arguments: str) -> str:
    """What a command prints when its output is not a terminal."""
    command = [sys.executable, "-m", "analyzer", *shlex.split(arguments)]
    environment = {**os.environ, "NO_COLOR": "1", "COLUMNS": "80", "PYTHONUTF8": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
    return done.stdout


def causes() -> str:
    """The table of rules."""
    rows = ["| code | rule | severity | what it is |", "| --- | --- | --- | --- |"]
    rows += [
        f"| {rule['code']} | `{rule['slug']}` | {rule['severity']} | {rule['title']} |"
        for rule in sorted(json.loads(output("rules --format json")), key=lambda rule: rule["code"])
    ]
    return "\n".join(rows) + "\n"


def renewed(text: str) -> str:
    """README.md with its sessions and its table made anew."""
    text = SESSION.sub(lambda found: f"```console\n$ negdiag {found[1]}\n{output(found[1]).rstrip()}\n```", text)
    before, rest = text.split(BEGIN)
    return before + BEGIN + causes() + END + rest.split(END)[1]


if __name__ == "__main__":
    path = ROOT / "README.md"
    path.write_bytes(renewed(path.read_text("utf-8")).encode())
