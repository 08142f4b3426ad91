"""Rule files on disk -> the RuleSet in force, or everything that is wrong with them at once.

The built-in rules stand in the package, where an index beside them spares reading YAML, or in the
folder `rules` beside it (a checkout, an editable install).
"""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, NamedTuple

from analyzer.diagnosis.engine import RuleSet
from analyzer.diagnosis.expression import Language
from analyzer.diagnosis.rule import Rule, build_rule
from analyzer.errors import Error, RuleError, RulesError, UsageError
from analyzer.negotiation.vocabulary import EVIDENCE, VOCABULARY

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence
    from pathlib import Path

    from analyzer.diagnosis.rule import Example
    from analyzer.diagnosis.words import Vocabulary
    from analyzer.negotiation.vocabulary import Fact

MAX_FILES = 2000  # a folder of anything else is named by mistake
INDEX = "index.json"
INDEX_SCHEMA = 2


class Loaded(NamedTuple):
    """Rules as read from files, with the examples that stand in them, by slug."""

    rules: tuple[Rule, ...]
    examples: Mapping[str, tuple[Example, ...]]


def builtin_folder() -> str:
    """Where the built-in rules are.

    Raises Error where they are in neither place: the installation is not whole.
    """
    # No pathlib on the way to the index: its import is 5 ms of the start.
    package = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))  # noqa: PTH120
    for folder in (os.path.join(package, "rules"), os.path.join(os.path.dirname(package), "rules")):  # noqa: PTH118, PTH120
        if os.path.isdir(folder):  # noqa: PTH112
            return folder
    raise Error("the built-in rules are missing: reinstall negdiag")


def load_rules(
    folders: Iterable[str | os.PathLike[str]] = (),
    *,
    builtin: Path | None = None,
    vocabulary: Mapping[str, Fact] = VOCABULARY,
    evidence: Collection[str] = EVIDENCE,
) -> RuleSet:
    """The rules in force: the built-in ones, then those of each folder in turn.

    A rule whose slug is known replaces the one before. builtin: another folder instead of the built-in
    one. Raises RulesError with all that is wrong in all files; UsageError for a folder that is none.
    """
    language = language_of(vocabulary)
    folder = builtin if builtin is not None else builtin_folder()
    indexed = read_index(folder, language)
    if indexed is not None and not (folders := tuple(folders)):
        return indexed
    from pathlib import Path

    base = Path(folder)
    extra = [Path(folder) for folder in folders]
    if indexed is None:
        loaded = read_folders(
            extra, builtin=base, vocabulary=vocabulary, evidence=evidence, language=language
        )
    else:
        loaded = _read_over(indexed.rules, extra, vocabulary=vocabulary, evidence=evidence, language=language)
    return RuleSet(loaded.rules, language)


def language_of(vocabulary: Mapping[str, Fact] = VOCABULARY) -> Language:
    """The language of conditions over a vocabulary."""
    return Language({name: fact.type for name, fact in vocabulary.items()})


def read_index(folder: str | os.PathLike[str], language: Language) -> RuleSet | None:
    """The rules of a folder from its index; None where it has none of this version.

    The index is made from rules that are checked; nothing in it is checked again.
    """
    try:
        with open(os.path.join(folder, INDEX), "rb") as file:  # noqa: PTH118, PTH123 (as in builtin_folder)
            text = file.read()
    except OSError:
        return None
    index = json.loads(text)
    if index["schema"] != INDEX_SCHEMA:
        return None
    rules = [
        build_rule(item["rule"], item["places"], os.path.join(folder, item["file"]), builtin=True)  # noqa: PTH118
        for item in index["rules"]
    ]
    for text, serialized in index.get("programs", {}).items():
        language.store(text, serialized)
    return RuleSet(sorted(rules, key=lambda rule: rule.code), language, reads=index.get("reads"))


def read_folders(
    folders: Sequence[Path],
    *,
    builtin: Path | None = None,
    vocabulary: Mapping[str, Fact] = VOCABULARY,
    evidence: Collection[str] = EVIDENCE,
    language: Language | None = None,
) -> Loaded:
    """The built-in rules and those of `folders`, from their YAML files, by code, with their examples.

    Raises RulesError, UsageError as `load_rules`.
    """
    from pathlib import Path

    return _read_over(
        (),
        folders,
        builtin if builtin is not None else Path(builtin_folder()),
        vocabulary=vocabulary,
        evidence=evidence,
        language=language or language_of(vocabulary),
    )


def _read_over(
    known: Sequence[Rule],
    folders: Sequence[Path],
    base: Path | None = None,
    *,
    vocabulary: Mapping[str, Fact],
    evidence: Collection[str],
    language: Language,
) -> Loaded:
    """The rules of the files in `base`, which are built in, and in `folders`, over those known already."""
    from analyzer.diagnosis.words import Vocabulary

    words = Vocabulary(vocabulary, evidence, language)
    rules = {rule.slug: rule for rule in known}
    examples: dict[str, tuple[Example, ...]] = {}
    stems = set(rules)
    errors: list[RuleError] = []
    for folder in folders if base is None else (base, *folders):
        for path in _files(folder, may_be_empty=folder == base):
            stems.add(path.stem)
            found = _read(path, words, errors, builtin=folder == base)
            if found is not None:
                rule, cases = found
                rules[rule.slug], examples[rule.slug] = rule, cases
    errors += clashes(rules.values(), stems)
    if errors:
        raise RulesError(errors)
    return Loaded(tuple(sorted(rules.values(), key=lambda rule: rule.code)), examples)


def clashes(rules: Iterable[Rule], known: Collection[str]) -> list[RuleError]:
    """What is wrong between rules: a code twice, unknown slugs and cycles in explains and instead_of.

    known: all slugs, those of files that do not load included.
    """
    from analyzer.diagnosis.words import nearest

    errors = []
    by_slug = {rule.slug: rule for rule in rules}
    codes: dict[str, Rule] = {}
    # Of two files that clash, the later one is the newcomer: a built-in rule was there before.
    for rule in sorted(by_slug.values(), key=lambda rule: (not rule.builtin, rule.source)):
        first = codes.setdefault(rule.code, rule)
        if first is not rule:
            errors.append(
                _error(rule, "code", f"the code {rule.code} is that of {first.slug} ({first.source})")
            )
        for key, slugs in (("explains", rule.explains), ("instead_of", rule.instead_of)):
            errors += [
                _error(rule, key, f"unknown slug {slug!r} in {key}", nearest(slug, known))
                for slug in slugs
                if slug not in known
            ]
        both = set(rule.explains) & set(rule.instead_of)
        errors += [
            _error(rule, "instead_of", f"{slug!r} stands in explains too: it stays or it is dropped")
            for slug in sorted(both)
        ]
    for key in ("explains", "instead_of"):
        graph = {slug: tuple(getattr(rule, key)) for slug, rule in by_slug.items()}
        for cycle in cycles(graph):
            owner = max((by_slug[slug] for slug in cycle), key=lambda rule: (not rule.builtin, rule.source))
            errors.append(_error(owner, key, f"a cycle in {key}: {' > '.join((*cycle, cycle[0]))}"))
    return errors


def cycles(graph: Mapping[str, Sequence[str]]) -> list[tuple[str, ...]]:
    """The cycles of a graph, one for each way back that a walk in order of names meets."""
    found = []
    done: set[str] = set()
    for start in sorted(graph):
        path: list[str] = []
        pending = [iter((start,))]
        while pending:
            node = next(pending[-1], None)
            if node is None:
                pending.pop()
                if path:
                    done.add(path.pop())
            elif node in path:
                found.append(tuple(path[path.index(node) :]))
            elif node not in done and node in graph:
                path.append(node)
                pending.append(iter(graph[node]))
    return found


def _files(folder: Path, *, may_be_empty: bool) -> list[Path]:
    from analyzer.diagnosis.compile import rule_files

    try:
        paths = rule_files(folder)
    except OSError as error:
        raise UsageError(f"{folder}: {error.strerror or error}") from None
    if not paths and not may_be_empty:
        raise UsageError(f"{folder}: no rule file (*.yaml) in this folder")
    if len(paths) > MAX_FILES:
        raise UsageError(f"{folder}: {len(paths)} rule files; a folder may have {MAX_FILES}")
    return paths


def _read(
    path: Path, words: Vocabulary, errors: list[RuleError], *, builtin: bool
) -> tuple[Rule, tuple[Example, ...]] | None:
    """One file; what is wrong is added to `errors`."""
    from analyzer.diagnosis.compile import MAX_BYTES, DocumentError, read_document
    from analyzer.diagnosis.schema import check

    if not path.is_file():
        errors.append(RuleError(str(path), "not a file"))
        return None
    try:
        with path.open("rb") as file:
            document = read_document(file.read(MAX_BYTES + 1))
    except OSError as error:
        errors.append(RuleError(str(path), f"cannot be read: {error.strerror or error}"))
        return None
    except DocumentError as error:
        errors.append(RuleError(str(path), error.problem, line=error.line, column=error.column))
        return None
    checked = check(document, str(path), path.stem, words, builtin=builtin)
    errors += checked.errors
    return (checked.rule, checked.examples) if checked.rule is not None else None


def _error(rule: Rule, key: str, problem: str, hint: str | None = None) -> RuleError:
    line, column = rule.place(key)
    return RuleError(rule.source, problem, line=line, column=column, hint=hint)
