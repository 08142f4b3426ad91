"""Rules x the facts of one connection -> a Verdict: what broke it, what is wrong beside, what proves it.

How rules combine stands in the rules: `explains` and `instead_of`, both transitive; whatever they leave
open goes by code. Connections with equal facts are judged once.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from analyzer.diagnosis.expression import Defect, Program, Unknown
from analyzer.diagnosis.filters import evidence_filter
from analyzer.diagnosis.summary import Template
from analyzer.errors import UsageError

if TYPE_CHECKING:
    from analyzer.diagnosis.expression import Language
    from analyzer.diagnosis.rule import Condition, Fix, Hint, Rule

OUTCOME = "connection.outcome"

# One judgement with its key is about 2 KB. Captures of real networks show tens of kinds of connection;
# a hostile one may show as many as it likes, and then only time is lost.
MAX_JUDGEMENTS = 8192


class Missing(NamedTuple):
    """A condition that could not be decided: for lack of a fact, or (fact empty) by a defect of the rule."""

    rule: str
    condition: str
    fact: str
    defect: str


class Finding(NamedTuple):
    """One slug on one connection. severity: at most `warning` unless the slug is a cause.

    frames: numbers of the frames that prove it, ascending; display_filter: selects exactly these.
    """

    rule: str
    code: str
    severity: str
    summary: str
    fix: tuple[Fix, ...]
    frames: tuple[int, ...]
    display_filter: str
    reference: str


class Verdict(NamedTuple):
    """What the rules say of one connection; the words are those of the JSON report.

    confidence: of the primary cause, None without one. missing: the conditions that no fact decided.
    """

    outcome: str
    causes: tuple[str, ...]
    confidence: str | None
    candidates: tuple[str, ...]
    warnings: tuple[str, ...]
    findings: tuple[Finding, ...]
    missing: tuple[Missing, ...]


class Hit(NamedTuple):
    """A rule that stands in the causes or warnings, with its severity there and the hints that apply."""

    rule: Rule
    severity: str
    hints: tuple[Hint, ...]


class Judgement(NamedTuple):
    """A verdict before it is told of one connection: all connections with equal facts share it."""

    outcome: str
    causes: tuple[str, ...]
    confidence: str | None
    candidates: tuple[str, ...]
    warnings: tuple[str, ...]
    hits: tuple[Hit, ...]
    missing: tuple[Missing, ...]


class RuleSet:
    """The rules in force, compiled as they are needed. Equal where the rules are; pickles by its rules.

    reads: the facts that the conditions read, where that is known already.
    """

    def __init__(
        self,
        rules: Iterable[Rule],
        language: Language,
        hidden: Collection[str] = (),
        *,
        reads: Iterable[str] | None = None,
    ) -> None:
        self.rules: tuple[Rule, ...] = tuple(rules)
        self.language = language
        self.hidden = frozenset(hidden)
        self.by_slug: Mapping[str, Rule] = {rule.slug: rule for rule in self.rules}
        self._after = _closure({rule.slug: rule.explains for rule in self.rules})
        self._dropped = _closure({rule.slug: rule.instead_of for rule in self.rules})
        self._judgements: dict[object, Judgement] = {}
        self._templates: dict[str, Template] = {}             # by their text
        self._reads = frozenset(self._names() if reads is None else reads) | {OUTCOME}

    @property
    def reads(self) -> frozenset[str]:
        """The facts that the conditions read."""
        return self._reads

    def _names(self) -> Iterable[str]:
        for rule in self.rules:
            for _, condition in rule.conditions():
                yield from self.language.names(condition.text)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, RuleSet):
            return NotImplemented
        return self.rules == other.rules and self.hidden == other.hidden

    __hash__ = None  # type: ignore[assignment]     # holds a growing cache

    def __reduce__(self) -> tuple[type[RuleSet], tuple[object, ...]]:
        return RuleSet, (self.rules, self.language, self.hidden)

    def find(self, name: str) -> Rule:
        """The rule with this slug or code. Raises UsageError, with the nearest one."""
        rule = self.by_slug.get(name)
        if rule is None:
            rule = next((rule for rule in self.rules if rule.code == name.upper()), None)
        if rule is None:
            from analyzer.diagnosis.words import nearest

            hint = nearest(name, self.by_slug)
            raise UsageError(f"no rule {name!r}" + (f" (did you mean {hint!r}?)" if hint else ""))
        return rule

    def reporting(self, select: Iterable[str] = (), ignore: Iterable[str] = ()) -> RuleSet:
        """The same rules, of which only the selected and not ignored ones are reported.

        All are evaluated all the same: a rule that is not to be seen must not uncover a wrong one that
        it stands instead of. Raises UsageError for an unknown slug or code.
        """
        chosen = {self.find(name).slug for name in select}
        hidden = {self.find(name).slug for name in ignore} | self.hidden
        if chosen:
            hidden |= self.by_slug.keys() - chosen
        return RuleSet(self.rules, self.language, hidden, reads=self._reads)

    def judge(self, facts: Mapping[str, object]) -> Judgement:
        """What the rules say of these facts; absent facts are left out."""
        # What is absent, which no fact says by itself, is None.
        key = tuple([
            tuple(value) if isinstance(value, list) else value for value in map(facts.get, self._reads)
        ])
        found = self._judgements.get(key)
        if found is None:
            if len(self._judgements) >= MAX_JUDGEMENTS:
                self._judgements.clear()
            found = self._judgements[key] = self._evaluate(facts)
        return found

    def template(self, text: str) -> Template:
        """The template of a summary or hint, read once."""
        found = self._templates.get(text)
        if found is None:
            found = self._templates[text] = Template(text)
        return found

    def _evaluate(self, facts: Mapping[str, object]) -> Judgement:
        case = _Case(self.language, facts)
        causes: list[Rule] = []
        warnings: list[Rule] = []
        candidates: list[Rule] = []
        for rule in self.rules:
            if case.holds(rule, "when"):
                is_cause = rule.role == "cause" and rule.cause_when is None
                is_cause = is_cause or case.holds(rule, "cause_when")
                (causes if is_cause else warnings).append(rule)
            elif case.holds(rule, "candidate_when"):
                candidates.append(rule)
        gone = self._drops(causes)
        causes = [rule for rule in causes if rule.slug not in gone]
        # What did not break the connection never speaks against what did.
        gone |= self._drops(rule for rule in warnings if rule.slug not in gone)
        warnings = self._ordered(rule for rule in warnings if rule.slug not in gone)
        candidates = [rule for rule in candidates if rule.slug not in gone]
        causes = self._ordered(causes)
        if causes:
            # Warnings speak of connections that came up; beside what broke one they only distract.
            warnings = [rule for rule in warnings if rule.beside_cause]
        base = facts.get(OUTCOME)
        outcome = str(base) if base is not None else "incomplete"
        forced = [rule.outcome for rule in (*causes, *_forcing(warnings)) if rule.outcome is not None]
        causes, warnings, candidates = map(self._reported, (causes, warnings, candidates))
        confidence = None
        if causes:
            primary = causes[0]
            confidence = "likely" if case.holds(primary, "likely_when") else primary.confidence
        hits = [Hit(rule, case.severity(rule), case.hints(rule)) for rule in causes]
        hits += [Hit(rule, case.severity(rule, "warning"), case.hints(rule)) for rule in warnings]
        return Judgement(
            outcome=forced[0] if forced else outcome,
            causes=tuple(rule.slug for rule in causes),
            confidence=confidence,
            candidates=tuple(rule.slug for rule in candidates),
            warnings=tuple(rule.slug for rule in warnings),
            hits=tuple(hits),
            missing=tuple(case.missing),
        )

    def _drops(self, rules: Iterable[Rule]) -> set[str]:
        return {slug for rule in rules for slug in self._dropped[rule.slug]}

    def _ordered(self, rules: Iterable[Rule]) -> list[Rule]:
        """Whatever explains another first, else by code."""
        pending = sorted(rules, key=lambda rule: rule.code)
        found: list[Rule] = []
        while pending:
            for rule in pending:
                if not any(rule.slug in self._after[other.slug] for other in pending if other is not rule):
                    break
            pending.remove(rule)
            found.append(rule)
        return found

    def _reported(self, rules: list[Rule]) -> list[Rule]:
        return [rule for rule in rules if rule.slug not in self.hidden]


def diagnose(
    facts: Mapping[str, object],
    frames: Mapping[str, tuple[int, ...]],
    rules: RuleSet,
    stream: int | None = None,
) -> Verdict:
    """The verdict on one connection.

    facts: values by name, absent ones left out. frames: the frames of the story by the names that
    evidence uses. stream: the connection's tcp.stream, for the display filters.
    """
    judgement = rules.judge(facts)
    return Verdict(
        outcome=judgement.outcome,
        causes=judgement.causes,
        confidence=judgement.confidence,
        candidates=judgement.candidates,
        warnings=judgement.warnings,
        findings=tuple(_finding(hit, facts, frames, rules, stream) for hit in judgement.hits),
        missing=judgement.missing,
    )


def _finding(
    hit: Hit,
    facts: Mapping[str, object],
    frames: Mapping[str, tuple[int, ...]],
    rules: RuleSet,
    stream: int | None,
) -> Finding:
    rule = hit.rule
    proof: set[int] = set()
    for name in rule.evidence:
        proof.update(frames.get(name, ()))
    numbers = tuple(sorted(proof))
    quoted = "icmp" in rule.evidence and bool(frames.get("icmp"))
    return Finding(
        rule=rule.slug,
        code=rule.code,
        severity=hit.severity,
        summary=_summary(hit, facts, rules),
        fix=rule.fix,
        frames=numbers,
        display_filter=evidence_filter(stream, numbers, quoted=quoted),
        reference=rule.reference,
    )


def _summary(hit: Hit, facts: Mapping[str, object], rules: RuleSet) -> str:
    texts = (hit.rule.summary, *(hint.text for hint in hit.hints))
    return "; ".join(rules.template(text).fill(facts) for text in texts)


class _Case:
    """The facts of one connection, bound for the conditions of all rules."""

    def __init__(self, language: Language, facts: Mapping[str, object]) -> None:
        self._language = language
        self._data = language.bind(facts)
        self.missing: list[Missing] = []

    def holds(self, rule: Rule, key: str) -> bool:
        """Whether the rule has this condition and it is true."""
        return self._true(rule, key, getattr(rule, key))

    def hints(self, rule: Rule) -> tuple[Hint, ...]:
        """The hints of the rule that apply."""
        return tuple(hint for hint in rule.hints if self._true(rule, f"hints.{hint.name}", hint.when))

    def _true(self, rule: Rule, key: str, condition: Condition | None) -> bool:
        if condition is None:
            return False
        program: Program = self._language.compile(condition.text)
        result = program.evaluate(self._data)
        if isinstance(result, Unknown):
            self.missing.append(Missing(rule.slug, key, result.fact, ""))
        elif isinstance(result, Defect):
            self.missing.append(Missing(rule.slug, key, "", result.problem))
        return result is True

    def severity(self, rule: Rule, at_most: str = "error") -> str:
        if self.holds(rule, "info_when"):
            return "info"
        if self.holds(rule, "warning_when"):
            return "warning"
        return at_most if rule.severity == "error" else rule.severity


def _forcing(warnings: Iterable[Rule]) -> Iterable[Rule]:
    """The warnings that say what a connection is: rules that are never a cause."""
    return (rule for rule in warnings if not rule.can_be_cause)


def _closure(graph: Mapping[str, Sequence[str]]) -> dict[str, frozenset[str]]:
    """Each node with all nodes that can be reached from it, itself aside."""
    found = {}
    for start in graph:
        reached: set[str] = set()
        pending = list(graph[start])
        while pending:
            node = pending.pop()
            if node not in reached:
                reached.add(node)
                pending.extend(graph.get(node, ()))
        found[start] = frozenset(reached - {start})
    return found
