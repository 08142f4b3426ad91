"""Survey -> summary.csv, captures.csv and summary.html."""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import os
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Final, NamedTuple

from analyzer.batch.overview import Group, Key, Line, Survey, span
from analyzer.diagnosis.engine import RuleSet
from analyzer.report.record import iso
from analyzer.report.safe import clean, defused
from analyzer.report.triage import plural

SHOWN: Final = 500           # rows of each table of the page; the CSV files have all
_POLICY: Final = "default-src 'none'; style-src 'sha256-{}'; base-uri 'none'; form-action 'none'"

SUMMARY: Final = (
    "cause", "title", "outcome", "server", "server_name", "client", "client_name", "connections", "likely",
    "captures", "first_time", "last_time", "capture", "tcp.stream",
)
CAPTURES: Final = (
    "capture", "error", "packets", "connections", "failed", "first_time", "last_time", "notes",
)


class Row(NamedTuple):
    """One cause, server or client of the page."""

    name: str
    title: str
    connections: int
    failed: int
    others: int                  # servers of a cause or client, clients of a server
    causes: str
    first_ns: int | None
    last_ns: int | None
    example: tuple[str, int]


def sentence(survey: Survey) -> str:
    """The batch in one line."""
    unread = sum(line.error is not None for line in survey.lines)
    connections = sum(group.connections for _, group in survey.groups)
    failed = sum(group.connections for key, group in survey.groups if key.broken)
    text = plural(len(survey.lines), "capture") + (f" ({unread:,} not readable)" if unread else "")
    text += f", {plural(connections, 'SMB connection')}: "
    if not failed:
        return text + "none failed"
    captures = sum(line.broken > 0 for line in survey.lines)
    return text + f"{failed:,} failed, in {plural(captures, 'capture')}"


def causes(survey: Survey, rules: RuleSet) -> list[Row]:
    """What broke connections, the most frequent first."""
    return _rows(survey, lambda key: key.cause or key.outcome, lambda key: key.server, rules, broken_only=True)


def summary_csv(survey: Survey, rules: RuleSet) -> bytes:
    """One row for each outcome, primary cause, server and client."""
    return _csv(SUMMARY, (
        (
            key.cause, _title(key.cause, rules), key.outcome, key.server, defused(group.server_name), key.client,
            defused(group.client_name), group.connections, group.likely, group.captures, _time(group.first_ns),
            _time(group.last_ns), defused(group.example[0]), group.example[1],
        )
        for key, group in survey.groups
    ))


def captures_csv(survey: Survey) -> bytes:
    """One row for each capture."""
    return _csv(CAPTURES, (
        (
            defused(line.capture), None if line.error is None else defused(line.error), line.packets,
            line.connections, line.broken, _time(line.first_ns), _time(line.last_ns), ";".join(line.notes),
        )
        for line in survey.lines
    ))


def summary_html(survey: Survey, rules: RuleSet) -> bytes:
    """One self-contained page without a script."""
    from jinja2 import Environment, PackageLoader, StrictUndefined
    from markupsafe import Markup

    environment = Environment(
        loader=PackageLoader("analyzer.batch"), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
        finalize=lambda value: clean(value) if type(value) is str else value,
    )
    folder = common_folder([line.capture for line in survey.lines])
    environment.globals |= {"second": _second}
    environment.filters["short"] = lambda name: name.removeprefix(folder)
    assert environment.loader is not None
    style = environment.loader.get_source(environment, "summary.css")[0].replace("\r\n", "\n")
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    unread = [line for line in survey.lines if line.error is not None]
    cut = [line for line in survey.lines if line.cut]
    limited = [line for line in survey.lines if line.limits]
    first, last = span(group for _, group in survey.groups)
    text = environment.get_template("summary.html").render(
        policy=_POLICY.format(digest), style=Markup(style),  # noqa: S704 - the program's own file
        sentence=sentence(survey), first=first, last=last, folder=folder,
        causes=_shown(causes(survey, rules)),
        servers=_shown(_rows(survey, lambda key: key.server, lambda key: key.client, rules)),
        clients=_shown(_rows(survey, lambda key: key.client, lambda key: key.server, rules)),
        unread=_shown(unread), cut=_shown(cut), limited=_shown(limited),
    )
    return text.encode("utf-8", "backslashreplace")


class Shown(NamedTuple):
    """The first rows of a table of the page, and how many more there are."""

    rows: Sequence[Row | Line]
    more: int


def _shown(rows: Sequence[Row | Line]) -> Shown:
    return Shown(rows[:SHOWN], max(len(rows) - SHOWN, 0))


def _rows(
    survey: Survey, name: Callable[[Key], str], other: Callable[[Key], str], rules: RuleSet, *,
    broken_only: bool = False,
) -> list[Row]:
    """Groups that have a name in common as one row, those with most failures first."""
    together: dict[str, list[tuple[Key, Group]]] = {}
    for key, group in survey.groups:
        if key.broken or not broken_only:
            together.setdefault(name(key), []).append((key, group))
    rows = [_row(title, groups, other, rules) for title, groups in together.items()]
    return sorted(rows, key=lambda row: (-row.failed, -row.connections, row.name))


def _row(name: str, groups: Sequence[tuple[Key, Group]], other: Callable[[Key], str], rules: RuleSet) -> Row:
    broken = [(key, group) for key, group in groups if key.broken]
    counted = Counter[str]()
    for key, group in broken:
        counted[key.cause or key.outcome] += group.connections
    first, last = span(group for _, group in broken or groups)
    ranked = sorted(counted.items(), key=lambda item: (-item[1], item[0]))
    return Row(
        name, _title(name, rules), sum(group.connections for _, group in groups), counted.total(),
        len({other(key) for key, _ in groups}), ", ".join(f"{cause} ({count:,})" for cause, count in ranked),
        first, last, min(group.example for _, group in broken or groups),
    )


def _title(slug: str, rules: RuleSet) -> str:
    rule = rules.by_slug.get(slug)
    return "" if rule is None else rule.title


def _time(time_ns: int | None) -> str:
    return "" if time_ns is None else iso(time_ns)


def _second(time_ns: int | None) -> str:
    """A time as people read it, cut to the second."""
    return _time(time_ns)[:19].replace("T", " ")


def common_folder(names: Sequence[str]) -> str:
    """The folder, with its slash, that all captures lie in; empty for one capture or without such a folder."""
    # Of a sorted list, what the first and the last have in common all have.
    common = os.path.commonprefix([names[0], names[-1]]) if len(names) > 1 else ""  # noqa: RUF071 - cut to a slash
    return common[: max(common.rfind("/"), common.rfind("\\")) + 1]


def _csv(head: Sequence[str], rows: Iterable[Sequence[object]]) -> bytes:
    """With a byte order mark, by which spreadsheets know UTF-8."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(head)
    writer.writerows(rows)
    return ("\ufeff" + out.getvalue()).encode("utf-8", "backslashreplace")
