"""python -m tests.fuzz.atheris_smb: coverage-guided, on the bytes of one side of a connection."""

from __future__ import annotations

import sys

import atheris

with atheris.instrument_imports(include=["analyzer.smb"]):
    from analyzer.smb.fields import fields
    from analyzer.smb.message import messages


def one(data: bytes) -> None:
    """Half of the inputs have a hole in the middle."""
    if len(data) > 1 and data[0] & 1:
        middle = len(data) // 2
        runs, starts = [(0, data[1:middle]), (middle + 7, data[middle:])], [0, middle + 7]
    else:
        runs, starts = [(0, data[1:])], [0]
    for message in messages(runs, starts):
        fields(message)


if __name__ == "__main__":
    atheris.Setup(sys.argv, one)
    atheris.Fuzz()
