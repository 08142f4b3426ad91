"""HtmlWriter: records, one by one -> the page, written at the end of the run."""

from __future__ import annotations

import base64
import hashlib
import os
from importlib import resources
from typing import TYPE_CHECKING, NamedTuple, TextIO

from analyzer.report.html.charts import OUTCOMES, SYMBOLS, Pairs, Times, duration
from analyzer.report.html.data import ConnectionData, Line, lines_of
from analyzer.report.html.ladder import HEAD, LEFT, MIDDLE, RIGHT, WIDTH, Ladder, ladder_of
from analyzer.report.html.view import CARDS, Cards
from analyzer.report.record import CaptureRecord, ConnectionRecord, iso
from analyzer.report.safe import clean
from analyzer.report.text import TriageWriter, frames_text
from analyzer.report.triage import Triage, dialects, plural, sentence, verdict
from analyzer.report.writer import Style
from analyzer.version import __version__

if TYPE_CHECKING:
    from jinja2 import Environment

CAPTURES = 500           # captures with a line of their own

# The page asks nobody for anything; what may run and what may style it is named by its hash.
POLICY = (
    "default-src 'none'; script-src 'sha256-{script}'; style-src 'sha256-{style}'; "
    "base-uri 'none'; form-action 'none'"
)


class CaptureLine(NamedTuple):
    """One capture in the page. tone: bad, warn, unsure, good or none."""

    record: CaptureRecord
    verdict: str
    tone: str
    connections: int
    broken: int


class HtmlWriter(TriageWriter):
    """The page. Cards, counts and table are gathered while connections pass by."""

    def __init__(self, out: TextIO, style: Style) -> None:
        super().__init__(out, style)
        self._environment = _environment()
        self._captures: list[CaptureLine] = []
        self._more_captures = 0
        self._tones: set[str] = set()
        self._cards = Cards()
        self._data = ConnectionData()
        self._pairs = Pairs()
        self._times = Times()
        self._outcomes: dict[str, int] = dict.fromkeys(OUTCOMES, 0)
        self._dialects: dict[str, int] = {}
        self._name = ""

    def capture(self, record: CaptureRecord) -> None:
        super().capture(record)
        self._name = record.capture
        self._data.capture(record.capture)

    def connection(self, record: ConnectionRecord) -> None:
        super().connection(record)
        detail = record.detail
        ladder: Ladder | None = None
        lines: tuple[Line, ...] = ()
        if detail is not None:
            causes = record.findings[: len(record.causes)] or record.findings
            proof = frozenset(frame for finding in causes for frame in finding.frames)
            ladder = ladder_of(detail.events, record.first_ns, proof)
            lines = lines_of(detail.comparison)
        self._cards.add(self._name, record, ladder, lines)
        self._data.add(record, ladder, lines)
        self._pairs.add(record)
        self._times.add(record)
        self._outcomes[record.outcome] += 1

    def show(self, triage: Triage) -> None:
        self._cards.finish(triage)
        for dialect, count in triage.dialects.items():
            self._dialects[dialect] = self._dialects.get(dialect, 0) + count
        line = CaptureLine(triage.capture, verdict(triage), _tone(triage), triage.connections, triage.broken)
        self._tones.add(line.tone)
        if len(self._captures) < CAPTURES:
            self._captures.append(line)
        else:
            self._more_captures += 1

    def finish(self) -> None:
        folder = _folder([line.record.capture for line in self._captures])
        self._environment.filters["short"] = lambda name: name.removeprefix(folder)
        one = self._captures[0] if len(self._captures) == 1 else None
        sentence_, tone = (one.verdict, one.tone) if one else (self.totals.sentence(), _worst(self._tones))
        head, _, rest = sentence_.partition(". ")
        matrix = self._pairs.matrix()
        cards = self._cards.ranked()
        style, script = _file("page.css"), _file("page.js")
        document = self._data.document(folder)
        self.out.write(
            self._environment.get_template("page.html").render(
                version=__version__,
                policy=POLICY.format(script=_hash(script), style=_hash(style)),
                style=_markup(style),
                script=_markup(script),
                data=_markup(document),
                title=one.record.capture if one else _title(self.totals.captures, folder),
                one=one,
                captures=self._captures,
                more_captures=self._more_captures,
                tone=tone,
                head=head[:1].upper() + head[1:] + ("" if head.endswith((".", "!", "?")) else "."),
                rest=sentence(rest) if rest else "",
                total=self.totals.connections,
                outcomes=[(name, SYMBOLS[name], count) for name, count in self._outcomes.items() if count],
                dialects=sorted(self._dialects.items(), key=lambda pair: -pair[1]),
                cards=cards[:CARDS],
                more_cards=len(cards) - CARDS,
                warnings=self._cards.ranked_warnings(),
                matrix=matrix,
                timeline=self._times.timeline(),
                listed=self._data.listed,
                shapes=list(self._data.shapes),
                several=len(self._captures) > 1,
            )
        )


def _environment() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("analyzer.report.html"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        # Every text passes here on its way into the page, whatever the template does with it.
        finalize=_harmless,
    )
    environment.globals |= {
        "symbols": SYMBOLS, "frames_text": frames_text, "iso": iso, "plural": plural, "duration": duration,
        "dialects": dialects,
        "geometry": {"width": WIDTH, "left": LEFT, "right": RIGHT, "middle": MIDDLE, "head": HEAD},
    }
    environment.filters |= {"seconds": _seconds, "number": "{:,}".format}
    return environment


def _harmless(value: object) -> object:
    return clean(value) if type(value) is str else value


def _seconds(microseconds: int) -> str:
    return f"+{microseconds / 1e6:.6f}"


def _markup(text: str) -> object:
    from markupsafe import Markup

    return Markup(text)      # noqa: S704 - the program's own files, and JSON escaped by in_script()


def _file(name: str) -> str:
    return (resources.files("analyzer.report.html") / "templates" / name).read_text("utf-8").replace("\r\n", "\n")


def _hash(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _tone(triage: Triage) -> str:
    if triage.capture.error is not None:
        return "unsure"
    if any(not cause.recovered for cause in triage.causes.values()):
        return "bad"
    if triage.undecided:
        return "unsure"
    if not triage.outcomes["negotiated"]:
        return "none"
    grave = any(remark.finding.severity != "info" for remark in triage.remarks.values())
    return "warn" if grave or triage.broken else "good"


def _folder(names: list[str]) -> str:
    """The folder, with its slash, that all captures lie in; empty for one capture or without such a folder."""
    common = os.path.commonprefix(names) if len(names) > 1 else ""  # noqa: RUF071 - cut back to a slash below
    return common[: max(common.rfind("/"), common.rfind("\\")) + 1]


def _title(captures: int, folder: str) -> str:
    return plural(captures, "capture") + (f" in {folder}" if folder else "")


def _worst(tones: set[str]) -> str:
    return next((tone for tone in ("bad", "unsure", "warn", "good") if tone in tones), "none")
