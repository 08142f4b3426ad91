"""negdiag extract CAPTURE -o DIR: one small pcapng for each connection with a finding."""

from __future__ import annotations

import io
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from analyzer.capture.reader import CaptureReader
from analyzer.capture.source import open_source
from analyzer.cli import arguments, exits
from analyzer.cli.annotate import Unread, mask_of, settings_of
from analyzer.cli.repeatable import NewFile, Repeatable, refuse_same
from analyzer.diagnosis.engine import RuleSet
from analyzer.diagnosis.loader import load_rules
from analyzer.errors import CaptureError, OutputError, UsageError
from analyzer.pipeline import run as analyze
from analyzer.reading import Settings
from analyzer.report.record import ConnectionRecord
from analyzer.report.safe import clean
from analyzer.rewrite.choice import Choice, choice_of
from analyzer.rewrite.fragments import FragmentPlan
from analyzer.rewrite.spool import FrameSpool
from analyzer.telling import Wanted

SUFFIXES = (".pcapng", ".pcap", ".ntar", ".cap", ".dmp", ".snoop")
NEIGHBOURS = 100_000     # connections kept in mind because another one's verdict may rest on them


class Extract(NamedTuple):
    """What one file is to hold: a connection, and what negdiag says of it."""

    choice: Choice
    verdict: tuple[object, ...]


class _Reading(NamedTuple):
    """How captures are diagnosed: under the true names, for what is compared is said under these."""

    rules: RuleSet
    settings: Settings


class _Plan(NamedTuple):
    """All files of a run; the negotiations of all connections, by pair and by server; frames by tcp.stream."""

    extracts: list[Extract]
    by_pair: Mapping[tuple[bytes, bytes], list[Choice]]
    by_server: Mapping[bytes, list[Choice]]
    fragments: Mapping[int, list[int]]


def run(words: Sequence[str]) -> int:
    """Run the command; returns the exit status."""
    parser = arguments.Parser(
        "negdiag extract",
        "Writes one small pcapng for each connection with a finding: its TCP handshake, negotiation and teardown.",
    )
    parser.add_argument("paths", nargs="*", metavar="CAPTURE", help="a capture, or - for standard input")
    parser.add_argument("-o", dest="output", metavar="DIR", required=True, help="the folder to write to")
    parser.add_argument("--host", type=arguments.host, action="append", default=[], metavar="ADDRESS",
                        help="only connections with this endpoint (repeatable)")
    parser.add_argument("--stream", type=arguments.stream, action="append", default=[], metavar="N",
                        help="only the connection with this tcp.stream number (repeatable)")
    arguments.add_rules(parser)
    arguments.add_ports(parser)
    arguments.add_limits(parser)
    arguments.add_anonymize(parser)
    options = parser.parse(words)
    if len(options.paths) != 1:
        parser.error(f"takes one capture, not {len(options.paths)}")
    name = options.paths[0]
    rules = load_rules(options.rules).reporting(options.select, options.ignore)
    folder = _folder(options.output)
    try:
        with Repeatable(name) as capture:
            cut = _extract(capture, _base(name), folder, rules, options)
    except (CaptureError, Unread) as error:
        print(clean(f"{name}: {error}"), file=sys.stderr)
        return exits.status(captures=1, unread=1, cut=0, found=False)
    if cut is not None:
        print(clean(f"{name}: {cut}"), file=sys.stderr)
    return exits.status(captures=1, unread=0, cut=int(cut is not None), found=False)


def _folder(output: str) -> Path:
    folder = Path(output)
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"-o {output}: not a folder")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{output}: cannot be made: {error.strerror or error}") from error
    return folder


def _base(name: str) -> str:
    """What files are called after: the capture's name without what says that it is one."""
    base = "stdin" if name == "-" else Path(name).name
    for ending in (".gz", ".zst", ".lz4", *SUFFIXES):
        if base.lower().endswith(ending) and len(base) > len(ending):
            base = base[: -len(ending)]
    return base


def _extract(capture: Repeatable, base: str, folder: Path, rules: RuleSet, options: Any) -> str | None:
    """Write all files. Returns where and why the capture ends in the middle."""
    settings = settings_of(options)
    reading = _Reading(rules, settings._replace(key=None))
    plan = _plan(capture, reading, Wanted(frozenset(options.host), frozenset(options.stream)))
    mask = mask_of(capture, settings)
    with open_source(capture.source(), settings.limits) as source, FrameSpool(_frames(plan), mask) as spool:
        summary = spool.collect(CaptureReader(source))
        for extract in plan.extracts:
            told = {end: summary.names[end] for end in extract.choice.pair if end in summary.names}
            if mask is not None:
                told = mask.names.hosts(told)
            data = _smallest(extract, plan, spool, told, reading)
            path = folder / f"{base}.stream{extract.choice.stream}.pcapng"
            if capture.name != "-":
                refuse_same(capture.name, str(path))
            with NewFile(str(path)) as out:
                out.write(data)
            print(path)
    return None if summary.cut is None else f"offset {summary.cut.offset}: {summary.cut.reason}"


def _frames(plan: _Plan) -> NDArray[np.int64]:
    """All frames that may stand in one of the files."""
    frames = {frame for choices in plan.by_server.values() for choice in choices for frame in choice.negotiation}
    for extract in plan.extracts:
        frames.update(extract.choice.kept)
        frames.update(plan.fragments.get(extract.choice.stream, ()))
    return np.array(sorted(frames), np.int64)


def _plan(capture: Repeatable, reading: _Reading, wanted: Wanted) -> _Plan:
    extracts: list[Extract] = []
    by_pair: dict[tuple[bytes, bytes], list[Choice]] = defaultdict(list)
    by_server: dict[bytes, list[Choice]] = defaultdict(list)
    neighbours = 0
    for analyzed in analyze([("", capture.source())], *reading, Wanted()):
        if analyzed.record.error is not None:
            raise Unread(analyzed.record.error)
        for diagnosed in analyzed.connections:
            record = diagnosed.record
            assert diagnosed.story is not None       # not only records were wanted
            choice = choice_of(diagnosed.story, (frame for finding in record.findings for frame in finding.frames))
            if record.findings and wanted.takes(diagnosed.story.connection):
                extracts.append(Extract(choice, _verdict(record)))
            if neighbours < NEIGHBOURS:
                neighbours += 1
                by_pair[choice.pair].append(choice)
                by_server[choice.pair[1]].append(choice)
    return _Plan(extracts, by_pair, by_server, _fragments(capture, reading.settings))


def _verdict(record: ConnectionRecord) -> tuple[object, ...]:
    """What is said of a connection, apart from numbers of frames and streams and who it is between."""
    return (
        record.first_ns, record.outcome, record.reached, record.causes, record.confidence, record.candidates,
        record.warnings, record.dialect, record.offered,
        tuple((finding.rule, finding.severity) for finding in record.findings),
    )


def _fragments(capture: Repeatable, settings: Settings) -> dict[int, list[int]]:
    """The frames that hold parts of a connection's segments, by tcp.stream."""
    plan = FragmentPlan()
    with open_source(capture.source(), settings.limits) as source:
        plan.read(CaptureReader(source))
    return plan.by_stream()


def _smallest(extract: Extract, plan: _Plan, spool: FrameSpool, told: Mapping[bytes, str], reading: _Reading) -> bytes:
    """The smallest capture of which negdiag says the same; the last tried where it never does."""
    data = b""
    for frames, headers_only in _attempts(extract.choice, plan, spool.latest):
        whole = sorted({*frames, *plan.fragments.get(extract.choice.stream, ())})
        data = spool.pcapng(whole, told, headers_only)
        if _same(data, extract, reading):
            return data
    print(
        f"tcp.stream {extract.choice.stream}: its extract alone does not show all of what was found", file=sys.stderr
    )
    return data


def _attempts(choice: Choice, plan: _Plan, latest: int) -> Iterator[tuple[set[int], int | None]]:
    """Frames to try, few first, and the one of them of which only the headers are wanted."""
    negotiation, kept = set(choice.negotiation), set(choice.kept)
    # How long an answer was waited for shows in the capture's last frame, whoever sent it.
    waited = None if latest in kept else latest
    pair = {frame for other in plan.by_pair[choice.pair] for frame in other.negotiation}
    server = {frame for other in plan.by_server[choice.pair[1]] for frame in other.negotiation}
    for base in (negotiation, kept):
        for beside in (set[int](), pair, server):
            yield base | beside, None
            yield base | beside | {latest}, waited if waited not in beside else None


def _same(data: bytes, extract: Extract, reading: _Reading) -> bool:
    """Whether negdiag says the same of the connection in an extract."""
    for analyzed in analyze([("", io.BytesIO(data))], reading.rules, reading.settings, Wanted()):
        return any(_verdict(diagnosed.record) == extract.verdict for diagnosed in analyzed.connections)
    return False
