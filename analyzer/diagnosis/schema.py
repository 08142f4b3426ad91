"""A rule file's document -> a Rule and its examples, or all that is wrong with it, each with its place."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from typing import TYPE_CHECKING, NamedTuple, cast

from analyzer.diagnosis.compile import Node, entry
from analyzer.diagnosis.expression import ExpressionErrors
from analyzer.diagnosis.rule import (
    CAUSE_OUTCOMES,
    CONDITIONS,
    CONFIDENCES,
    ROLES,
    SEVERITIES,
    WARNING_OUTCOMES,
    Example,
    Rule,
    build_rule,
)
from analyzer.diagnosis.summary import SummaryError, Template
from analyzer.diagnosis.words import Vocabulary, nearest
from analyzer.errors import RuleError

if TYPE_CHECKING:
    from analyzer.diagnosis.rule import Values

SIDES = ("client", "server", "network", "capture")
_CASES = ("fires", "silent", "warns", "candidate")
_REQUIRED = ("slug", "code", "severity", "title", "when", "summary", "why", "examples")
_CHOICES = {"severity": SEVERITIES, "role": ROLES, "confidence": CONFIDENCES}
_LISTS = ("explains", "instead_of", "evidence")
_TEXTS = ("slug", "code", "title", "summary", "why", "reference", "blind_to", "outcome")
_KEYS = frozenset((*_TEXTS, *_CHOICES, *_LISTS, *CONDITIONS, "sees", "fix", "hints", "beside_cause", "examples"))
_FIX_KEYS = ("side", "platform", "text", "command")
_HINT_KEYS = ("name", "when", "text")
_CASE_KEYS = ("confidence", "severity", "hints", "note")
_CAPTURE_KEYS = ("frames", "stream", "ports", "note")
_SLUG = re.compile(r"[a-z][a-z0-9]{0,30}(-[a-z0-9]{1,30}){0,6}")
_CODE = re.compile(r"[A-Z]{2,8}[0-9]{3,4}")
_SCALARS: Mapping[str, tuple[type, ...]] = {
    "bool": (bool,),
    "int": (int,),
    "double": (float, int),
    "string": (str,),
}


class Checked(NamedTuple):
    """What a document holds. rule: None where something in it is wrong, and then errors say what."""

    rule: Rule | None
    examples: tuple[Example, ...]
    errors: tuple[RuleError, ...]


def check(
    document: Mapping[str, Node], source: str, stem: str, vocabulary: Vocabulary, *, builtin: bool = False
) -> Checked:
    """One rule file. source: its path for messages; stem: its name without ending, which is the slug."""
    checker = _Checker(document, source, vocabulary)
    checker.keys()
    checker.identity(stem)
    checker.values()
    checker.roles()
    checker.conditions()
    checker.summary()
    checker.hints()
    checker.remedies()
    examples = checker.examples()
    if checker.errors:
        errors = sorted(checker.errors, key=lambda error: (error.line, error.column))
        return Checked(None, (), tuple(errors))
    parts = entry(source, document)
    # What the checks above have established: these are the values of a rule.
    rule = build_rule(
        cast("Values", parts["rule"]),
        cast("dict[str, list[int]]", parts["places"]),
        source,
        builtin=builtin,
    )
    return Checked(rule, examples, ())


class _Checker:
    """The checks of one file; each adds what it finds to `errors` and goes on."""

    def __init__(self, document: Mapping[str, Node], source: str, vocabulary: Vocabulary) -> None:
        self._document = document
        self._source = source
        self._vocabulary = vocabulary
        self.errors: list[RuleError] = []

    def _add(self, node: Node, problem: str, hint: str | None = None) -> None:
        self._at(node.line, node.column, problem, hint)

    def _at(self, line: int, column: int, problem: str, hint: str | None = None) -> None:
        self.errors.append(RuleError(self._source, problem, line=line, column=column, hint=hint))

    def _key(self, node: Node, problem: str, hint: str | None = None) -> None:
        self._at(node.key_line, node.key_column, problem, hint)

    def keys(self) -> None:
        for key, node in self._document.items():
            if key not in _KEYS:
                self._key(node, f"unknown key {key!r}", nearest(key, _KEYS))
        for key in _REQUIRED:
            if key not in self._document:
                self._at(1, 1, f"the key {key!r} is missing")

    def identity(self, stem: str) -> None:
        slug, code = self._text("slug"), self._text("code")
        if slug is not None and not _SLUG.fullmatch(slug):
            self._add(self._document["slug"], f"{slug!r} is no slug: lower-case words joined by hyphens")
        elif slug is not None and slug != stem:
            self._add(self._document["slug"], f"the slug {slug!r} is not the file's name {stem!r}")
        if code is not None and not _CODE.fullmatch(code):
            self._add(self._document["code"], f"{code!r} is no code such as 'NEG301'")

    def values(self) -> None:
        for key in ("title", "why", "reference", "blind_to"):
            self._text(key)
        for key, choices in _CHOICES.items():
            self._choice(self._document.get(key), choices)
        for key in _LISTS:
            for node in self._items(key):
                if not isinstance(node.value, str):
                    self._add(node, f"{key} is a list of words")
                elif key == "evidence" and node.value not in self._vocabulary.evidence:
                    self._unknown(node, "frame", node.value, self._vocabulary.evidence)

    def roles(self) -> None:
        """What the role allows: outcome, cause_when, likely_when, warning_when, beside_cause."""
        role = self._word("role", "cause")
        may_break = role == "cause" or "cause_when" in self._document
        outcomes = CAUSE_OUTCOMES if may_break else WARNING_OUTCOMES
        self._choice(self._document.get("outcome"), outcomes, f"the outcome of a {role}")
        if role == "limit" and "cause_when" in self._document:
            self._key(self._document["cause_when"], "a limit of the capture is never a cause")
        if self._word("confidence", "proven") == "likely" and "likely_when" in self._document:
            self._key(self._document["likely_when"], "confidence is 'likely' already")
        if "warning_when" in self._document and (self._word("severity", "error") != "error" or not may_break):
            self._key(self._document["warning_when"], "only the error of a cause becomes a warning")
        beside = self._document.get("beside_cause")
        if beside is not None and not isinstance(beside.value, bool):
            self._add(beside, "beside_cause is true or false")
        if beside is not None and role != "warning":
            self._key(beside, "only a warning stands beside a cause or does not")

    def conditions(self) -> None:
        for key in CONDITIONS:
            node = self._document.get(key)
            if node is not None:
                self._checked_condition(node, key)

    def hints(self) -> None:
        """Name, condition and text of each; the text is a template as the summary is."""
        names: set[str] = set()
        for node in self._items("hints"):
            if not isinstance(node.value, dict):
                self._add(node, "a hint is a mapping of name, when and text")
                continue
            hint = node.value
            self._only(hint, _HINT_KEYS)
            for key in _HINT_KEYS:
                if key not in hint:
                    self._add(node, f"the hint has no {key!r}")
            if "name" in hint and self._is_text(hint["name"], "name"):
                name = hint["name"].text
                if not _SLUG.fullmatch(name) or name in names:
                    self._add(hint["name"], f"{name!r} is no name of its own: lower-case words joined by hyphens")
                names.add(name)
            if "when" in hint:
                self._checked_condition(hint["when"], "when")
            if "text" in hint and self._is_text(hint["text"], "text"):
                self._template(hint["text"])

    def _checked_condition(self, node: Node, key: str) -> None:
        if isinstance(node.value, list | dict):
            self._add(node, f"{key} is a condition in CEL")
        elif not node.verbatim:
            self._add(node, f"{key} must be a literal block (|), which keeps its lines")
        else:
            self._condition(node)

    def _condition(self, node: Node) -> None:
        try:
            self._vocabulary.language.compile(node.text)
        except ExpressionErrors as found:
            for error in found.errors:
                hint = nearest(error.name, self._vocabulary.facts) if error.name else None
                self._at(node.line + error.line - 1, node.column + error.column - 1, error.problem, hint)
            return
        for name in sorted(self._vocabulary.language.names(node.text)):
            if self._vocabulary.facts[name].summary_only:
                self._add(node, f"{name!r} is for summaries only: it differs from connection to connection")

    def summary(self) -> None:
        if self._text("summary") is not None:
            self._template(self._document["summary"])

    def _template(self, node: Node) -> None:
        # In a folded or quoted text an offset says nothing about the file's lines.
        try:
            template = Template(node.text)
        except SummaryError as error:
            self._at(*_inside(node, error.offset), error.problem)
            return
        for name, offset in template.placeholders:
            if name not in self._vocabulary.facts:
                hint = nearest(name, self._vocabulary.facts)
                self._at(*_inside(node, offset), f"unknown fact {name!r} in the text", hint)

    def remedies(self) -> None:
        """`sees` and `fix`."""
        sees = self._document.get("sees")
        if sees is not None and not isinstance(sees.value, dict):
            self._add(sees, "sees is a mapping of platforms to texts")
        elif sees is not None and isinstance(sees.value, dict):
            for who, node in sees.value.items():
                self._is_text(node, f"sees.{who}")
                self._platform(who, node.key_line, node.key_column)
        for node in self._items("fix"):
            if not isinstance(node.value, dict):
                self._add(node, "a fix is a mapping of side, platform, text and command")
                continue
            self._only(node.value, _FIX_KEYS)
            for key in ("side", "text"):
                if key not in node.value:
                    self._add(node, f"the fix has no {key!r}")
            for key, part in node.value.items():
                if self._is_text(part, key) and key == "side":
                    self._choice(part, SIDES)
                elif key == "platform":
                    self._platform(part.text, part.line, part.column)

    def _platform(self, word: str, line: int, column: int) -> None:
        if not _SLUG.fullmatch(word):
            self._at(line, column, f"{word!r} is no platform: lower-case words joined by hyphens")

    def examples(self) -> tuple[Example, ...]:
        items = self._items("examples")
        found = [example for node in items if (example := self._example(node))]
        node = self._document.get("examples")
        if node is not None and isinstance(node.value, list) and len(found) == len(items):
            expects = {example.expects for example in found}
            if not expects - {"silent"}:
                self._key(node, "no example in which the rule fires")
            if "silent" not in expects:
                self._key(node, "no 'silent' example: what looks alike and must not be reported")
        return tuple(found)

    def _example(self, node: Node) -> Example | None:
        value = node.value if isinstance(node.value, dict) else {}
        cases = [key for key in (*_CASES, "capture") if key in value]
        if len(cases) != 1:
            self._add(node, f"an example has one of the keys {', '.join(_CASES)}, capture")
            return None
        case = cases[0]
        if case == "capture":
            return self._capture_example(node, value)
        self._only(value, (case, *_CASE_KEYS))
        for key, choices in (("confidence", CONFIDENCES), ("severity", SEVERITIES)):
            self._choice(value.get(key), choices)
        facts = value[case]
        if not isinstance(facts.value, dict):
            self._add(facts, f"{case} is a mapping of facts to values")
            return None
        return Example(
            expects=case,
            facts={name: self._fact(name, part) for name, part in facts.value.items()},
            capture="",
            frames=(),
            stream=None,
            confidence=value["confidence"].text if "confidence" in value else None,
            severity=value["severity"].text if "severity" in value else None,
            line=node.line,
            hints=tuple(self._named_hints(value["hints"])) if "hints" in value else (),
        )

    def _named_hints(self, node: Node) -> Iterator[str]:
        known = [
            hint.value["name"].text
            for hint in self._items("hints")
            if isinstance(hint.value, dict) and "name" in hint.value
        ]
        for item in node.value if isinstance(node.value, list) else [node]:
            if item.text not in known:
                self._unknown(item, "hint", item.text, known)
            yield item.text

    def _capture_example(self, node: Node, value: dict[str, Node]) -> Example:
        self._only(value, ("capture", *_CAPTURE_KEYS))
        self._is_text(value["capture"], "capture")
        stream = value["stream"].value if "stream" in value else None
        if stream is not None and not _is(stream, "int"):
            self._add(value["stream"], "stream is a number")
        return Example(
            expects="capture",
            facts={},
            capture=value["capture"].text,
            frames=self._numbers(value.get("frames"), "frames is a list of frame numbers"),
            ports=self._numbers(value.get("ports"), "ports is a list of TCP ports"),
            stream=stream if isinstance(stream, int) else None,
            confidence=None,
            severity=None,
            line=node.line,
        )

    def _numbers(self, node: Node | None, what: str) -> tuple[int, ...]:
        if node is None:
            return ()
        items = node.value if isinstance(node.value, list) else [node]
        numbers = [item.value for item in items if _is(item.value, "int") and isinstance(item.value, int)]
        if len(numbers) < len(items) or any(number < 1 for number in numbers):
            self._add(node, what)
        return tuple(numbers)

    def _fact(self, name: str, node: Node) -> object:
        """The value of a fact in an example."""
        fact = self._vocabulary.facts.get(name)
        if fact is None:
            hint = nearest(name, self._vocabulary.facts)
            self._key(node, f"unknown fact {name!r}", hint)
            return None
        if fact.type.startswith("list<"):
            items = node.value if isinstance(node.value, list) else []
            if isinstance(node.value, list) and all(_is(item.value, fact.type[5:-1]) for item in items):
                return [item.value for item in items]
        elif _is(node.value, fact.type):
            return node.value
        self._add(node, f"{name} is {fact.type}")
        return None

    # Shapes of values

    def _text(self, key: str) -> str | None:
        node = self._document.get(key)
        return node.text if node is not None and self._is_text(node, key) else None

    def _is_text(self, node: Node, key: str) -> bool:
        if isinstance(node.value, str) and node.value.strip():
            return True
        quote = isinstance(node.value, bool | int | float)
        self._add(
            node, f"{key} is text" + (f": write '{node.text}' in quotes" if quote else ", and not empty")
        )
        return False

    def _word(self, key: str, default: str) -> str:
        node = self._document.get(key)
        return node.text if node is not None else default

    def _choice(self, node: Node | None, choices: Collection[str], what: str | None = None) -> None:
        if node is not None and node.value not in choices:
            given = node.text or "that"
            problem = f"{given!r} is none of {', '.join(choices)}"
            self._add(node, f"{problem}, {what}" if what else problem, nearest(given, choices))

    def _items(self, key: str) -> list[Node]:
        node = self._document.get(key)
        if node is None:
            return []
        if isinstance(node.value, list):
            return node.value
        self._add(node, f"{key} is a list")
        return []

    def _only(self, value: Mapping[str, Node], keys: Collection[str]) -> None:
        for key, node in value.items():
            if key not in keys:
                self._key(node, f"unknown key {key!r}", nearest(key, keys))

    def _unknown(self, node: Node, kind: str, word: str, known: Collection[str]) -> None:
        self._add(node, f"unknown {kind} {word!r}", nearest(word, known))


def _is(value: object, kind: str) -> bool:
    """Whether a value has the type of a fact; true is no number, and numbers have 64 bits."""
    if not isinstance(value, _SCALARS[kind]) or (isinstance(value, bool) and kind != "bool"):
        return False
    return not isinstance(value, int) or -(1 << 63) <= value < 1 << 63


def _inside(node: Node, offset: int) -> tuple[int, int]:
    """Line and column of an offset in a text; the text's beginning where its lines are not the file's."""
    if not node.verbatim:
        return node.line, node.column
    before = node.text[:offset]
    last = before.rfind("\n") + 1
    return node.line + before.count("\n"), node.column + len(before) - last
