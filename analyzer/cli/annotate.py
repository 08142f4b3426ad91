"""negdiag annotate CAPTURE -o FILE.pcapng: the same packets, with a comment on each that a finding names."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

from analyzer.capture.reader import CaptureReader
from analyzer.capture.source import open_source
from analyzer.cli import arguments, exits
from analyzer.cli.repeatable import NewFile, Repeatable, refuse_same
from analyzer.diagnosis.engine import RuleSet
from analyzer.diagnosis.loader import load_rules
from analyzer.errors import CaptureError, UsageError
from analyzer.pipeline import run as analyze
from analyzer.reading import Settings, pseudonyms
from analyzer.report.record import FindingRecord
from analyzer.report.safe import clean
from analyzer.rewrite.copy import Mask, copy_capture
from analyzer.rewrite.notes import FrameNotes
from analyzer.telling import Wanted


def run(words: Sequence[str]) -> int:
    """Run the command; returns the exit status."""
    parser = arguments.Parser(
        "negdiag annotate",
        "Writes the packets of a capture as pcapng, with a comment on each frame that a finding names.",
    )
    parser.add_argument("paths", nargs="*", metavar="CAPTURE", help="a capture, or - for standard input")
    parser.add_argument("-o", dest="output", metavar="FILE.pcapng", required=True, help="the file to write")
    arguments.add_rules(parser)
    arguments.add_ports(parser)
    arguments.add_limits(parser)
    arguments.add_anonymize(parser)
    options = parser.parse(words)
    if len(options.paths) != 1:
        parser.error(f"takes one capture, not {len(options.paths)}")
    name, output = options.paths[0], options.output
    if not output.lower().endswith((".pcapng", ".ntar")):
        raise UsageError(f"-o {output}: what is written is pcapng; the name must end with .pcapng")
    refuse_same(name, output)
    rules = load_rules(options.rules).reporting(options.select, options.ignore)
    settings = settings_of(options)
    try:
        with Repeatable(name) as capture:
            cut = _annotate(capture, output, rules, settings)
    except (CaptureError, Unread) as error:
        print(clean(f"{name}: {error}"), file=sys.stderr)
        return exits.status(captures=1, unread=1, cut=0, found=False)
    if cut is not None:
        print(clean(f"{name}: {cut}"), file=sys.stderr)
    return exits.status(captures=1, unread=0, cut=int(cut is not None), found=False)


def settings_of(options: Any) -> Settings:
    """How the capture is to be read."""
    return Settings(
        arguments.wanted_ports(options.port),
        options.max_connections or Settings().max_connections,
        arguments.limits(options.max_decompressed),
        arguments.key(options),
    )


class Unread(Exception):
    """Not a single packet of a capture can be analysed; the text says where and why."""


def _annotate(capture: Repeatable, output: str, rules: RuleSet, settings: Settings) -> str | None:
    """Write the file. Returns where and why the capture ends in the middle."""
    with FrameNotes() as notes:
        for analyzed in analyze([("", capture.source())], rules, settings, Wanted()):
            if analyzed.record.error is not None:
                raise Unread(analyzed.record.error)
            for diagnosed in analyzed.connections:
                for finding in diagnosed.record.findings:
                    notes.add(_text(finding), finding.frames)
        mask = mask_of(capture, settings)
        with open_source(capture.source(), settings.limits) as source, NewFile(output) as out:
            summary = copy_capture(CaptureReader(source), out, notes, mask)
    return None if summary.cut is None else f"offset {summary.cut.offset}: {summary.cut.reason}"


def _text(finding: FindingRecord) -> str:
    return clean(f"negdiag {finding.severity} {finding.code} {finding.rule}: {finding.summary}")


def mask_of(capture: Repeatable, settings: Settings) -> Mask | None:
    """What makes the capture's frames nobody's, None where the true names are wanted."""
    names = pseudonyms(settings)
    if names is None:
        return None
    from analyzer.rewrite.mask import FrameMask

    mask = FrameMask(names, settings.ports)
    with open_source(capture.source(), settings.limits) as source:
        mask.learn(CaptureReader(source))
    return mask
