"""Rules x the examples that stand in their files -> the examples that do not come out as they say.

An example of facts is judged with its rule alone: what precedence makes of several rules is shown by
captures. Captures are read by a function that is handed in, since reading them is for higher layers.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Protocol

from analyzer.diagnosis.engine import Judgement, RuleSet
from analyzer.errors import CaptureError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from analyzer.diagnosis.engine import Finding
    from analyzer.diagnosis.expression import Language
    from analyzer.diagnosis.rule import Example, Rule


class Diagnosed(NamedTuple):
    """One connection of a capture, as an example looks at it."""

    stream: int
    findings: Sequence[Finding]


class DiagnoseCapture(Protocol):
    """Reads a capture with the rules in force; ports: further SMB ports. Raises analyzer.errors.CaptureError where it cannot."""

    def __call__(self, path: Path, ports: tuple[int, ...], /) -> Iterable[Diagnosed]: ...


class Failure(NamedTuple):
    """An example that came out otherwise. line: of the example in the rule's file."""

    rule: Rule
    line: int
    problem: str


class Outcome(NamedTuple):
    """What the examples gave. skipped: those whose capture is not there."""

    passed: int
    failures: tuple[Failure, ...]
    skipped: tuple[Failure, ...]


def run_examples(
    rules: Iterable[Rule],
    examples: Mapping[str, Sequence[Example]],
    language: Language,
    diagnose_capture: DiagnoseCapture | None = None,
) -> Outcome:
    """Runs the examples of each rule. Without `diagnose_capture`, those of captures are skipped."""
    passed = 0
    failures: list[Failure] = []
    skipped: list[Failure] = []
    for rule in rules:
        alone = RuleSet((rule,), language)
        for example in examples[rule.slug]:
            if example.expects == "capture":
                missing = _missing(rule, example, diagnose_capture)
                if missing is not None:
                    (skipped if missing.skipped else failures).append(
                        Failure(rule, example.line, missing.why)
                    )
                    continue
                assert diagnose_capture is not None
                problem = _check_capture(rule, example, diagnose_capture)
            else:
                problem = check_facts(rule, example, alone)
            if problem is None:
                passed += 1
            else:
                failures.append(Failure(rule, example.line, problem))
    return Outcome(passed, tuple(failures), tuple(skipped))


def check_facts(rule: Rule, example: Example, alone: RuleSet) -> str | None:
    """What is wrong with an example of facts, or None. alone: a rule set of this rule only."""
    judgement = alone.judge(example.facts)
    defects = [missing for missing in judgement.missing if missing.defect]
    if defects:
        return f"{defects[0].condition} cannot be evaluated: {defects[0].defect}"
    expected, found = _expected(rule, example.expects), _found(judgement)
    if expected != found:
        why = _why(judgement)
        return f"expected {_PHRASES[expected]}, but it {_PHRASES[found]}" + (f" ({why})" if why else "")
    if found == "cause":
        confidence = example.confidence or rule.confidence
        if judgement.confidence != confidence:
            return f"expected confidence {confidence}, but it is {judgement.confidence}"
    if judgement.hits:
        severity = example.severity or _severity(rule, found)
        if judgement.hits[0].severity != severity:
            return f"expected severity {severity}, but it is {judgement.hits[0].severity}"
    hints = tuple(hint.name for hit in judgement.hits for hint in hit.hints)
    if hints != example.hints:
        return f"expected the hints [{', '.join(example.hints)}], but it gives [{', '.join(hints)}]"
    return None


_PHRASES = {
    "cause": "is a cause",
    "warning": "is a warning",
    "candidate": "is a candidate",
    "silent": "is silent",
}


def _expected(rule: Rule, expects: str) -> str:
    if expects == "fires":
        return "cause" if rule.can_be_cause else "warning"
    return "warning" if expects == "warns" else expects


def _found(judgement: Judgement) -> str:
    if judgement.causes:
        return "cause"
    if judgement.warnings:
        return "warning"
    return "candidate" if judgement.candidates else "silent"


def _severity(rule: Rule, found: str) -> str:
    return "warning" if found == "warning" and rule.severity == "error" else rule.severity


def _why(judgement: Judgement) -> str:
    """Which facts left a condition undecided."""
    unknown = [missing for missing in judgement.missing if missing.fact]
    return "; ".join(f"{missing.condition}: {missing.fact} is unknown" for missing in unknown)


class _Missing(NamedTuple):
    why: str
    skipped: bool


def _missing(rule: Rule, example: Example, diagnose_capture: DiagnoseCapture | None) -> _Missing | None:
    """Why a capture cannot be looked at, or None. Where no captures are shipped it is no failure."""
    if diagnose_capture is None:
        return _Missing(f"{example.capture} is not read here", skipped=True)
    if capture_path(rule, example) is not None:
        return None
    return _Missing(f"no capture {example.capture}", skipped=not _samples(rule).is_dir())


def capture_path(rule: Rule, example: Example) -> Path | None:
    """The capture of an example: beside the rule file, or in sample_pcaps/ beside the rules' folder."""
    for folder in (Path(rule.source).parent, _samples(rule)):
        path = folder / example.capture
        if path.is_file():
            return path
    return None


def _samples(rule: Rule) -> Path:
    return Path(rule.source).resolve().parent.parent / "sample_pcaps"


def _check_capture(rule: Rule, example: Example, diagnose_capture: DiagnoseCapture) -> str | None:
    path = capture_path(rule, example)
    assert path is not None
    seen: list[str] = []
    try:
        connections = list(diagnose_capture(path, example.ports))
    except CaptureError as error:
        return f"{example.capture} cannot be read: {error}"
    for connection in connections:
        if example.stream is not None and connection.stream != example.stream:
            continue
        for finding in connection.findings:
            if finding.rule != rule.slug:
                continue
            if not example.frames or finding.frames == tuple(sorted(example.frames)):
                return None
            seen.append(f"stream {connection.stream} has it with frames {list(finding.frames)}")
    where = f"{example.capture}: " + ("" if example.stream is None else f"stream {example.stream}: ")
    if seen:
        return f"{where}expected frames {list(example.frames)}, but {'; '.join(seen)}"
    return f"{where}no such finding"
