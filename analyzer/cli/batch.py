"""negdiag batch SOURCE... --out DIR: many captures -> a folder of results, which a later run goes on with."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from analyzer.cli import arguments, exits
from analyzer.cli.inputs import words_of
from analyzer.errors import MissingExtra, UsageError
from analyzer.reading import Settings
from analyzer.report.record import SEVERITIES
from analyzer.report.safe import clean

if TYPE_CHECKING:
    from analyzer.batch.overview import Survey
    from analyzer.batch.run import Execute, Step
    from analyzer.batch.sources import Source, Sources
    from analyzer.batch.store import Store
    from analyzer.batch.work import Part, Recipe
    from analyzer.diagnosis.engine import RuleSet

TOP = 20                 # causes named on standard output


def run(words: Sequence[str]) -> int:
    """Run the command; returns the exit status."""
    options = _parser().parse(words)
    if options.anonymize and options.anonymize_key is None:
        raise UsageError("--anonymize: a batch that is resumed needs the same pseudonyms: give --anonymize-key FILE")
    if not options.paths and options.files_from is None:
        raise UsageError("no source given; `negdiag batch --help` shows the usage")
    try:
        import pyarrow as _  # noqa: F401, ICN001 - asked for before any work is done
    except ImportError as error:
        raise MissingExtra("batch", "parquet") from error
    from analyzer.batch.overview import survey
    from analyzer.batch.run import fill, missing
    from analyzer.batch.sources import sources_of
    from analyzer.batch.store import Store
    from analyzer.batch.work import rules_of

    gc.enable()                      # it rests while a process starts
    recipe = _recipe(options)
    rules = rules_of(recipe)
    sources = sources_of(words_of(options.paths, options.files_from))
    with Store(options.out, recipe.described()) as store:
        todo = missing(sources.captures, store, retry_errors=options.retry_errors)
        if todo:
            with _executed(options, recipe, len(todo)) as execute, _progress(options, len(todo)) as told:
                for step in fill(todo, store, execute):
                    told(step)
        found = survey(store)
        _write(store, found, rules)
        _print(options, store, found, rules, len(sources.captures) - len(todo))
        return _status(options, sources, found, store)


def _recipe(options: Any) -> Recipe:
    from analyzer.batch.work import Recipe, folder_of

    try:
        folders = tuple(folder_of(folder) for folder in options.rules)
    except OSError as error:
        raise UsageError(f"--rules: {error.filename}: {error.strerror or error}") from error
    return Recipe(
        folders, tuple(options.select), tuple(options.ignore),
        Settings(
            arguments.wanted_ports(options.port),
            options.max_connections or Settings().max_connections,
            arguments.limits(options.max_decompressed),
            arguments.key(options),
        ),
        frozenset(options.host),
    )


@contextmanager
def _executed(options: Any, recipe: Recipe, todo: int) -> Iterator[Execute]:
    """Who does the work: processes of this machine, or a cluster."""
    from analyzer.batch.work import Work
    from analyzer.workers import Workers

    work = Work(recipe)
    if options.scheduler is not None:
        from analyzer.batch.cluster import Cluster

        cluster: Cluster[Source, Part]
        with Cluster(work, options.scheduler) as cluster:
            yield cluster.results
    else:
        workers: Workers[Source, Part]
        with Workers(work, min(options.jobs, todo)) as workers:
            yield workers.results


@contextmanager
def _progress(options: Any, total: int) -> Iterator[Callable[[Step], None]]:
    """What is told of each step: a bar on a terminal, nothing elsewhere."""
    if options.quiet or not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=total)

        def told(step: Step) -> None:
            bar.update(task, completed=step.done)
            if step.failed:
                bar.console.print(clean(f"{step.source.name}: given up"), markup=False, highlight=False)

        yield told


def _write(store: Store, found: Survey, rules: RuleSet) -> None:
    from analyzer.batch.summary import captures_csv, summary_csv, summary_html

    store.write("summary.csv", summary_csv(found, rules))
    store.write("captures.csv", captures_csv(found))
    store.write("summary.html", summary_html(found, rules))


def _print(options: Any, store: Store, found: Survey, rules: RuleSet, before: int) -> None:
    from analyzer.batch.summary import causes, sentence

    print(sentence(found))
    if options.quiet:
        return
    rows = causes(found, rules)
    for row in rows[:TOP]:
        print(clean(f"  {row.failed:>7,}  {row.name}: {row.title}" if row.title else f"  {row.failed:>7,}  {row.name}"))
    if len(rows) > TOP:
        print(f"  and {len(rows) - TOP} more causes")
    print(clean(f"Tables and summary.html are in {store.folder}"))
    if before and options.verbose:
        print(f"negdiag: {before} captures were done before", file=sys.stderr)


def _status(options: Any, sources: Sources, found: Survey, store: Store) -> int:
    """One line for each capture that cannot be read, or not to its end; the exit status."""
    unread = len(sources.unlisted)
    cut = 0
    for name, problem in sources.unlisted:
        _say(f"{name}: offset 0: {problem}")
    if options.verbose:
        for name in sources.passed:
            _say(f"{name}: passed over, not a capture")
    for source in sources.captures:
        line = found.by_key[source.key]
        if line.error is not None:
            unread += 1
            _say(f"{line.capture}: {line.error}")
            continue
        cut += line.unfinished
        if line.cut:
            _say(f"{line.capture}: ends in the middle")
        for text in line.limits:
            _say(f"{line.capture}: {text}")
    total = len(sources.captures) + len(sources.unlisted)
    if not total:
        _say("no capture in what was given")
    return exits.status(captures=total, unread=unread, cut=cut, found=_found(options, sources.captures, store))


def _found(options: Any, sources: Sequence[Source], store: Store) -> bool:
    if options.fail_on == "never":
        return False
    grave = set(SEVERITIES[SEVERITIES.index(options.fail_on):])
    tables = (store.table("findings", source.key, ["severity"]) for source in sources)
    return any(not grave.isdisjoint(table.column("severity").to_pylist()) for table in tables if table is not None)


def _say(line: str) -> None:
    print(clean(line), file=sys.stderr)


def _parser() -> arguments.Parser:
    parser = arguments.Parser(
        "negdiag batch",
        "Diagnoses many captures into a folder of tables. Started again it does only what is missing.",
        usage="negdiag batch [OPTION]... SOURCE... --out DIR",
    )
    parser.epilog = (
        "DIR gets the tables captures, connections, findings and messages, a Parquet file in each for every "
        "capture, and over everything summary.csv, captures.csv and summary.html."
    )
    add = parser.add_argument
    add("paths", nargs="*", metavar="SOURCE",
        help="captures, folders, patterns such as 'in/**/*.pcap', or URLs such as s3://bucket/captures/")
    add("--out", required=True, metavar="DIR", help="the folder of results; made if it is not there")
    add("--files-from", metavar="FILE", help="read sources from FILE, or from - for standard input")
    add("--jobs", type=arguments.count, default=arguments.processors(), metavar="N",
        help="processes to use (default: the processors there are)")
    add("--scheduler", metavar="ADDRESS", help="use a Dask cluster instead, such as tcp://10.0.0.1:8786")
    add("--retry-errors", action="store_true", help="do the captures again that could not be read")
    arguments.add_rules(parser)
    arguments.add_ports(parser)
    add("--host", type=arguments.host, action="append", default=[], metavar="ADDRESS",
        help="report only connections with this endpoint (repeatable)")
    arguments.add_limits(parser)
    arguments.add_anonymize(parser)
    add("--fail-on", choices=("error", "warning", "never"), default="never",
        help="exit with 1 if something at least as severe is found")
    add("-q", "--quiet", action="store_true", help="only the counts, and no progress")
    add("-v", "--verbose", action="store_true", help="also files passed over")
    return parser
