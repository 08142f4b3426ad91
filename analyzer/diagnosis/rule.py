"""What a rule says, as values: one Rule per file, checked by schema.py, evaluated by engine.py."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import TypedDict

    class FixValues(TypedDict, total=False):
        """One item under `fix` in a rule file."""

        side: str
        platform: str
        text: str
        command: str

    class HintValues(TypedDict):
        """One item under `hints` in a rule file."""

        name: str
        when: str
        text: str

    class Values(TypedDict, total=False):
        """The keys of a rule file, the examples aside, as they stand in the index."""

        slug: str
        code: str
        severity: str
        title: str
        role: str
        outcome: str
        confidence: str
        when: str
        cause_when: str
        candidate_when: str
        likely_when: str
        info_when: str
        warning_when: str
        beside_cause: bool
        hints: list[HintValues]
        explains: list[str]
        instead_of: list[str]
        evidence: list[str]
        summary: str
        why: str
        sees: dict[str, str]
        fix: list[FixValues]
        reference: str
        blind_to: str


SEVERITIES = ("error", "warning", "info")
ROLES = ("cause", "warning", "limit")
CONFIDENCES = ("proven", "likely")
CAUSE_OUTCOMES = ("failed", "no-connection", "not-smb")
WARNING_OUTCOMES = ("unused",)
CONDITIONS = ("when", "cause_when", "candidate_when", "likely_when", "warning_when", "info_when")


class Condition(NamedTuple):
    """A condition in CEL and where its first character stands in the file (from 1).

    All its lines begin in the same column, because it is a literal block.
    """

    text: str
    line: int
    column: int


class Fix(NamedTuple):
    """One remedy. side: who acts (client, server, network, capture); command: to be pasted, or None."""

    side: str
    platform: str
    text: str
    command: str | None


class Hint(NamedTuple):
    """What the summary says further where `when` holds. text: a template as the summary is."""

    name: str
    when: Condition
    text: str


class Rule(NamedTuple):
    """One rule file. The conditions that are absent are None; lists that are absent are empty.

    role: what the slug is when `when` holds: a cause of the failure, a warning, or a limit of the
    capture (also among the warnings, and never a verdict on the peers). `cause_when` makes a cause of a
    rule that is otherwise a warning.
    outcome: of a connection whose primary cause this is; of a warning only `unused`; else None.
    beside_cause: it stands in the warnings also where a cause was found; a limit of the capture always does.
    explains: slugs that this one goes before; instead_of: slugs that it drops.
    evidence: names of the frames that prove it. source: the file; places: key -> line and column of its
    value.
    """

    slug: str
    code: str
    severity: str
    title: str
    role: str
    outcome: str | None
    confidence: str
    when: Condition
    cause_when: Condition | None
    candidate_when: Condition | None
    likely_when: Condition | None
    info_when: Condition | None
    warning_when: Condition | None
    beside_cause: bool
    hints: tuple[Hint, ...]
    explains: tuple[str, ...]
    instead_of: tuple[str, ...]
    evidence: tuple[str, ...]
    summary: str
    why: str
    sees: tuple[tuple[str, str], ...]
    fix: tuple[Fix, ...]
    reference: str
    blind_to: str
    source: str
    builtin: bool
    places: Mapping[str, tuple[int, int]]

    @property
    def can_be_cause(self) -> bool:
        """Whether the slug may ever stand in `causes`."""
        return self.role == "cause" or self.cause_when is not None

    def conditions(self) -> tuple[tuple[str, Condition], ...]:
        """The conditions that the rule has, by key; that of a hint by `hints.` and its name."""
        pairs = ((name, getattr(self, name)) for name in CONDITIONS)
        hints = ((f"hints.{hint.name}", hint.when) for hint in self.hints)
        return (*((name, condition) for name, condition in pairs if condition is not None), *hints)

    def place(self, key: str) -> tuple[int, int]:
        """Line and column of a key's value; of the file's beginning where the key is absent."""
        return self.places.get(key, (1, 1))


def build_rule(
    values: Values, places: Mapping[str, Sequence[int]], source: str, *, builtin: bool = False
) -> Rule:
    """The rule of checked values. places: key -> line and column of its value in `source`."""

    def condition(text: str | None, key: str) -> Condition | None:
        return None if text is None else Condition(text, *places[key])

    role = values.get("role", "cause")
    may_break = role == "cause" or "cause_when" in values
    return Rule(
        slug=values["slug"],
        code=values["code"],
        severity=values["severity"],
        title=values["title"].strip(),
        role=role,
        outcome=values.get("outcome", "failed" if may_break else None),
        confidence=values.get("confidence", "proven"),
        when=Condition(values["when"], *places["when"]),
        cause_when=condition(values.get("cause_when"), "cause_when"),
        candidate_when=condition(values.get("candidate_when"), "candidate_when"),
        likely_when=condition(values.get("likely_when"), "likely_when"),
        info_when=condition(values.get("info_when"), "info_when"),
        warning_when=condition(values.get("warning_when"), "warning_when"),
        beside_cause=role == "limit" or values.get("beside_cause", False),
        hints=tuple(
            Hint(hint["name"], Condition(hint["when"], *places[f"hints.{hint['name']}"]), hint["text"].strip())
            for hint in values.get("hints", ())
        ),
        explains=tuple(values.get("explains", ())),
        instead_of=tuple(values.get("instead_of", ())),
        evidence=tuple(values.get("evidence", ())),
        summary=values["summary"].strip(),
        why=values["why"].strip(),
        sees=tuple((who, text.strip()) for who, text in values.get("sees", {}).items()),
        fix=tuple(
            Fix(fix["side"], fix.get("platform", "any"), fix["text"].strip(), _stripped(fix.get("command")))
            for fix in values.get("fix", ())
        ),
        reference=values.get("reference", "").strip(),
        blind_to=values.get("blind_to", "").strip(),
        source=source,
        builtin=builtin,
        places={key: (place[0], place[1]) for key, place in places.items()},
    )


def _stripped(text: str | None) -> str | None:
    return None if text is None else text.strip()


class Example(NamedTuple):
    """One case that stands in a rule file.

    expects: fires, silent, warns, candidate or capture. facts: for all but `capture`.
    capture, frames, stream: a capture, the frames the finding must have (empty: any), and its stream.
    confidence, severity: what the case must give beside, None where the rule's own is meant.
    hints: names of the hints that it must give, and no others. ports: further SMB ports of the capture.
    line: where it stands.
    """

    expects: str
    facts: Mapping[str, object]
    capture: str
    frames: tuple[int, ...]
    stream: int | None
    confidence: str | None
    severity: str | None
    line: int
    hints: tuple[str, ...] = ()
    ports: tuple[int, ...] = ()
