"""negdiag PATH...: captures -> reports."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Sequence
from typing import Any

from analyzer.capture.finder import Found
from analyzer.cli import arguments, exits
from analyzer.cli.inputs import captures_of
from analyzer.cli.outputs import Outputs
from analyzer.cli.progress import Reading, watch_of
from analyzer.diagnosis.engine import Missing
from analyzer.errors import UsageError
from analyzer.pipeline import Analyzed, joined_of
from analyzer.reading import Settings
from analyzer.report.record import SEVERITIES, ConnectionRecord
from analyzer.report.safe import clean
from analyzer.report.writer import FORMATS, Style
from analyzer.shares import Rules, analyze
from analyzer.telling import Wanted

FAIL_ON = ("error", "warning", "never")


def run(words: Sequence[str]) -> int:
    """Run the main command; returns the exit status."""
    options = _parser().parse(words)
    if not options.paths and options.files_from is None:
        raise UsageError("no capture given; `negdiag --help` shows the usage")
    found = captures_of(options.paths, options.files_from)
    rules = Rules(tuple(options.rules), tuple(options.select), tuple(options.ignore))
    captures = [joined_of(found.captures)] if options.join and found.captures else found.captures
    tally = _Tally(options)
    if not gc.isenabled():           # it rests while a process starts
        gc.freeze()
        gc.set_threshold(500_000, 20, 20)    # records and stories hold no cycles; looking for some costs a fifth
        gc.enable()
    with Outputs(options.format, options.output, [path for _, path in found.captures], _style(options, len(captures))) as out:
        tally.folders(found)
        reading = Reading.where_seen(quiet=options.quiet)
        results = analyze(
            captures, rules, _settings(options), _wanted(options, detailed=out.detailed, messages=out.messages),
            options.jobs, watch=watch_of(reading),
        )
        for analyzed in results:
            if reading is not None:
                reading.end()
            tally.capture(analyzed)
            out.capture(analyzed.record)
            for diagnosed in analyzed.connections:
                tally.connection(analyzed, diagnosed.record, diagnosed.verdict.missing)
                out.connection(diagnosed.record)
            out.end()
        out.finish()
        sys.stdout.flush()
    return exits.status(
        captures=len(captures) + len(found.unlisted), unread=tally.unread, cut=tally.cut, found=tally.found
    )


def _settings(options: Any) -> Settings:
    return Settings(
        arguments.wanted_ports(options.port),
        options.max_connections or Settings().max_connections,
        arguments.limits(options.max_decompressed),
        arguments.key(options),
        options.jobs,
    )


def _wanted(options: Any, *, detailed: bool, messages: bool) -> Wanted:
    return Wanted(frozenset(options.host), frozenset(options.stream), detailed, messages, records_only=True)


class _Tally:
    """What decides the exit status, and the lines on standard error that go with it."""

    def __init__(self, options: Any) -> None:      # argparse.Namespace, whose attributes are Any
        self._verbose: bool = options.verbose
        self._severities = (
            () if options.fail_on == "never" else SEVERITIES[SEVERITIES.index(options.fail_on):]
        )
        self.unread = self.cut = 0
        self.found = False

    def folders(self, found: Found) -> None:
        """What was met in folders and is no capture."""
        for name, problem in found.unlisted:
            self.unread += 1
            _say(f"{name}: offset 0: {problem}")
        if self._verbose:
            for name in found.passed:
                _say(f"{name}: passed over, not a capture")
        if not found.captures and not found.unlisted:
            _say("no capture in what was given")

    def capture(self, analyzed: Analyzed) -> None:
        """One line for a capture that cannot be read, or not to its end."""
        name = analyzed.record.capture
        if analyzed.record.error is not None:
            self.unread += 1
            _say(f"{name}: {analyzed.record.error}")
        elif analyzed.record.parts:
            for part in analyzed.record.parts:
                self.cut += part.error is not None or part.cut is not None
                if part.error is not None:
                    _say(f"{part.file}: {part.error}")
                elif part.cut is not None:
                    _say(f"{part.file}: offset {part.cut.offset}: {part.cut.reason}")
        elif analyzed.cut is not None:
            self.cut += 1
            _say(f"{name}: offset {analyzed.cut.offset}: {analyzed.cut.reason}")

    def connection(self, analyzed: Analyzed, record: ConnectionRecord, missing: Sequence[Missing]) -> None:
        """One connection: does it decide the status, and which rules could not judge it for want of what."""
        self.found = self.found or any(finding.severity in self._severities for finding in record.findings)
        if self._verbose:
            silent: dict[str, dict[str, None]] = {}
            for one in missing:
                if one.fact.startswith("capture."):      # rules on captures as a whole are not asked here
                    continue
                why = f"{one.fact} is not captured" if one.fact else one.defect
                silent.setdefault(why, {})[one.rule] = None
            for why, slugs in silent.items():
                _say(f"{analyzed.record.capture}: tcp.stream {record.stream}: {why}: {', '.join(slugs)}")


def _say(line: str) -> None:
    print(clean(line), file=sys.stderr)


def _style(options: Any, captures: int) -> Style:
    terminal = sys.stdout.isatty() and os.environ.get("TERM") != "dumb"
    return Style(
        several=captures > 1,
        chosen=bool(options.host or options.stream),
        verbose=options.verbose,
        quiet=options.quiet,
        terminal=terminal,
        color=terminal and not options.no_color and not os.environ.get("NO_COLOR"),
    )


def _parser() -> arguments.Parser:
    parser = arguments.Parser(
        "negdiag",
        "Says why SMB negotiations in captures failed: the cause, the proof, the fix.",
        usage="negdiag [OPTION]... PATH...",
    )
    parser.epilog = (
        "Other commands: fields, rules, explain, extract, annotate, batch (negdiag COMMAND --help). "
        "Exit status: 0 it ran, 1 --fail-on found something, 2 it could not run or read any capture, "
        "3 some captures could not be read to their end."
    )
    add = parser.add_argument
    add("paths", nargs="*", metavar="PATH", help="captures, folders with captures, or - for standard input")
    add("--format", choices=list(FORMATS), default="text", help="what goes to standard output (default: text)")
    add("-o", dest="output", action="append", default=[], metavar="FILE",
        help="also write a report to FILE (repeatable): .html, .json, .csv, .ndjson, .md or .parquet; NAME.parquet/ for a folder with all tables")
    add("--files-from", metavar="FILE", help="read paths from FILE, or from - for standard input")
    arguments.add_rules(parser)
    arguments.add_ports(parser)
    add("--host", type=arguments.host, action="append", default=[], metavar="ADDRESS",
        help="report only connections with this endpoint (repeatable)")
    add("--stream", type=arguments.stream, action="append", default=[], metavar="N",
        help="report only the connection with this tcp.stream number (repeatable)")
    add("--join", action="store_true",
        help="the captures given are one, cut in files: connections, frame and stream numbers go on across them")
    add("--jobs", type=arguments.count, default=arguments.processors(), metavar="N",
        help="processes to use (default: the processors there are)")
    arguments.add_limits(parser)
    arguments.add_anonymize(parser)
    add("--fail-on", choices=FAIL_ON, default="never", help="exit with 1 if something at least as severe is found")
    add("-q", "--quiet", action="store_true", help="only the verdicts")
    add("-v", "--verbose", action="store_true",
        help="also files passed over, and the fact that a rule lacked where it could not judge")
    add("--no-color", action="store_true", help="no colours (NO_COLOR is honoured too)")
    return parser


