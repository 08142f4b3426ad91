"""negdiag fields CAPTURE: every NEGOTIATE message under Wireshark's names."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from analyzer.cli import arguments, exits
from analyzer.errors import CaptureError, UsageError
from analyzer.pipeline import negotiates
from analyzer.reading import Settings, read
from analyzer.report.fieldlist import FORMATS
from analyzer.report.safe import clean


def run(words: Sequence[str]) -> int:
    """Run the command; returns the exit status."""
    parser = arguments.Parser(
        "negdiag fields",
        "Prints each SMB1 or SMB2 NEGOTIATE message of a capture, keyed by Wireshark's field names.",
    )
    parser.add_argument("paths", nargs="*", metavar="CAPTURE", help="a capture, or - for standard input")
    parser.add_argument("--format", choices=list(FORMATS), default="text", help="default: text")
    arguments.add_ports(parser)
    arguments.add_limits(parser)
    options = parser.parse(words)
    if len(options.paths) != 1:
        parser.error(f"takes one capture, not {len(options.paths)}")
    name = options.paths[0]
    if name != "-" and Path(name).is_dir():
        raise UsageError(f"{name}: a folder; `negdiag fields` takes one capture")
    chosen = Settings(
        arguments.wanted_ports(options.port),
        options.max_connections or Settings().max_connections,
        arguments.limits(options.max_decompressed),
    )
    try:
        reading = read(name, name, chosen)
    except CaptureError as error:
        print(clean(f"{name}: {error}"), file=sys.stderr)
        FORMATS[options.format]([], sys.stdout)
        return exits.status(captures=1, unread=1, cut=0, found=False)
    FORMATS[options.format](negotiates(reading), sys.stdout)
    cut = reading.contents.summary.cut
    if cut is not None:
        sys.stdout.flush()
        print(clean(f"{name}: offset {cut.offset}: {cut.reason}"), file=sys.stderr)
    return exits.status(captures=1, unread=0, cut=int(cut is not None), found=False)
