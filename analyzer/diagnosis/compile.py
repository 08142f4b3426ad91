"""Rule files as written -> documents with places -> the index that a wheel carries.

YAML text becomes a tree of nodes, each with its line and column; a folder of rule files becomes one
JSON file, which a start of negdiag reads instead of sixty YAML files (1 ms instead of 40).

This module stands alone: the build hook loads it by its path, where nothing but PyYAML is installed.
It checks the form of a file; what the values mean is checked by `analyzer.diagnosis.schema`.

    python -m analyzer.diagnosis.compile rules index.json
"""

from __future__ import annotations

import importlib.util
import json
import re
import sys
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

SCHEMA = 2
"""Version of the index; another one is not read."""

INDEX = "index.json"

# A full rule with its examples is 6 KB; the limits only keep a hostile file from costing anything.
MAX_BYTES = 256 * 1024
MAX_DEPTH = 8
MAX_NODES = 20_000  # with every alias counted as what it stands for

NOT_INDEXED = frozenset({"examples"})
"""Keys that only `negdiag rules test` reads, from the file itself."""

Plain: TypeAlias = "bool | int | float | str | list[Plain] | dict[str, Plain] | None"


class DocumentError(Exception):
    """A rule file has no readable form. Lines and columns count from 1."""

    def __init__(self, problem: str, line: int = 1, column: int = 1) -> None:
        super().__init__(f"line {line}, column {column}: {problem}")
        self.problem = problem
        self.line = line
        self.column = column


class Node(NamedTuple):
    """One value of a rule file and where it begins.

    value: a scalar by the rules of YAML 1.2 (`no` is text, 0x10 a number), a list, or a dict of nodes.
    text: a scalar as it stands, before it became a number; "" for lists and dicts.
    line, column: of the first character of the value, from 1; of a literal block, of its content.
    key_line, key_column: of the key that holds it, or the value's own place.
    verbatim: the lines of `text` are lines of the file (a literal block, or a scalar on one line).
    """

    value: bool | int | float | str | list[Node] | dict[str, Node] | None
    text: str
    line: int
    column: int
    key_line: int
    key_column: int
    verbatim: bool


def rule_files(folder: Path) -> list[Path]:
    """The rule files of a folder, by name; folders in it are not searched.

    Raises OSError where the folder cannot be listed.
    """
    return sorted(path for path in folder.iterdir() if path.suffix in (".yaml", ".yml"))


def read_document(data: bytes) -> dict[str, Node]:
    """The mapping that is a rule file, each value with its place.

    Tags, repeated keys, several documents, more than 256 KiB and more than eight levels are refused, and
    so are aliases that make a small file a large one. A key `<<` merges mappings, as in YAML 1.1.
    Raises DocumentError.
    """
    if len(data) > MAX_BYTES:
        raise DocumentError(f"larger than the {MAX_BYTES} bytes that a rule file may have")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line, column = _place(data, error.start)
        raise DocumentError(f"not UTF-8: byte 0x{data[error.start]:02x}", line, column) from None
    root = _Reader(text).document()
    if not isinstance(root.value, dict):
        raise DocumentError("a rule file is a mapping of keys to values", root.line, root.column)
    return root.value


def plain(node: Node) -> Plain:
    """The value without its places."""
    if isinstance(node.value, list):
        return [plain(item) for item in node.value]
    if isinstance(node.value, dict):
        return {key: plain(item) for key, item in node.value.items()}
    return node.value


def entry(name: str, document: Mapping[str, Node]) -> dict[str, Plain]:
    """One rule as the index holds it: its file's name, its values, and the place of each.

    A key that ends in `when` is a condition: its value is kept as text, whatever YAML makes of it.
    """
    kept = {key: node for key, node in document.items() if key not in NOT_INDEXED}
    places: dict[str, Plain] = {key: [node.line, node.column] for key, node in kept.items()}
    hints = kept.get("hints")
    for hint in hints.value if hints is not None and isinstance(hints.value, list) else ():
        if isinstance(hint.value, dict) and {"name", "when"} <= hint.value.keys():
            places[f"hints.{hint.value['name'].text}"] = [hint.value["when"].line, hint.value["when"].column]
    return {"file": name, "rule": _values(kept), "places": places}


def _values(keys: Mapping[str, Node]) -> dict[str, Plain]:
    return {
        key: node.text
        if key.endswith("when")
        else [_values(item.value) if isinstance(item.value, dict) else plain(item) for item in node.value]
        if key == "hints" and isinstance(node.value, list)
        else plain(node)
        for key, node in keys.items()
    }


def _conditions(values: Mapping[str, Plain]) -> Iterator[str]:
    for key, value in values.items():
        if key.endswith("when"):
            yield str(value)
        for hint in value if key == "hints" and isinstance(value, list) else ():
            if isinstance(hint, dict):
                yield str(hint["when"])


def write_index(folder: Path, target: Path, types: Mapping[str, str] | None = None) -> None:
    """Writes the index of all rule files in `folder`, their conditions compiled where CEL is installed.

    types: the vocabulary, fact name -> type name; by default that of the package.
    Raises DocumentError, with the file in its text, where one of them has no readable form, and
    ExpressionErrors (of expression.py) where a condition does not compile.
    """
    entries = []
    for path in rule_files(folder):
        try:
            entries.append(entry(path.name, read_document(path.read_bytes())))
        except DocumentError as error:
            raise DocumentError(f"{path}: {error.problem}", error.line, error.column) from None
    index = {"schema": SCHEMA, "rules": entries, **_compiled(entries, types)}
    target.write_text(json.dumps(index, ensure_ascii=False, separators=(",", ":")), encoding="utf-8")


def _compiled(entries: Sequence[dict[str, Plain]], types: Mapping[str, str] | None) -> dict[str, Plain]:
    """The conditions of all rules: serialized by their text, and the facts that they read."""
    if importlib.util.find_spec("cel_expr_python") is None:
        return {}
    here = Path(__file__).parent
    if types is None:
        vocabulary = _module(here.parent / "negotiation" / "vocabulary.py").VOCABULARY
        types = {name: fact.type for name, fact in vocabulary.items()}
    language = _module(here / "expression.py").Language(types)
    texts = {text for item in entries if isinstance(rule := item["rule"], dict) for text in _conditions(rule)}
    programs: Plain = {text: language.compile(text).serialize() for text in sorted(texts)}
    return {"programs": programs, "reads": sorted(set().union(*map(language.names, texts)))}


def _module(path: Path) -> ModuleType:
    """A module by its path: what is installed where a wheel is built does not let its package be imported."""
    name = f"_index_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # typing looks a class's module up by its name.
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def _place(data: bytes, offset: int) -> tuple[int, int]:
    """Line and column (in bytes) of an offset."""
    before = data[:offset]
    return before.count(b"\n") + 1, offset - (before.rfind(b"\n") + 1) + 1


_BREAK = re.compile("\r\n|[\n\r\x85\u2028\u2029]")  # what YAML 1.1's parser counts as a line
_INT = re.compile(r"[-+]?[0-9]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_WORDS: dict[str, bool | None] = {
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **dict.fromkeys(("null", "Null", "NULL", "~", ""), None),
}
_MAX_DIGITS = 40


def _scalar(text: str) -> bool | int | float | str | None:
    """A plain scalar by the core schema of YAML 1.2."""
    if text in _WORDS:
        return _WORDS[text]
    if len(text) <= _MAX_DIGITS:
        if _INT.fullmatch(text):
            return int(text, 16) if text.startswith("0x") else int(text)
        if _FLOAT.fullmatch(text):
            return float(text)
    return text


class _Reader:
    """Events of the YAML parser -> nodes."""

    def __init__(self, text: str) -> None:
        import yaml

        self._yaml = yaml
        # libyaml where PyYAML was built with it: ten times as fast.
        loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
        self._lines = _BREAK.split(text)
        self._anchors: dict[str, tuple[Node, int]] = {}
        self._nodes = 0
        self._events: Iterator[Any] = self._parse(text, loader)

    def _parse(self, text: str, loader: Any) -> Iterator[Any]:
        try:
            yield from self._yaml.parse(text, Loader=loader)
        except self._yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
            raise DocumentError(f"not YAML: {error.problem or error.context}", line, column) from None
        except self._yaml.reader.ReaderError as error:
            before = text[: error.position] if isinstance(error.position, int) else ""
            line, column = before.count("\n") + 1, len(before) - (before.rfind("\n") + 1) + 1
            raise DocumentError("not YAML: a control character", line, column) from None

    def document(self) -> Node:
        yaml = self._yaml
        root: Node | None = None
        for event in self._events:
            if isinstance(event, yaml.DocumentStartEvent) and root is not None:
                raise DocumentError("a second document; a file holds one rule", event.start_mark.line + 1)
            if isinstance(event, yaml.NodeEvent):
                root = self._node(event, 1)
        if root is None:
            raise DocumentError("the file is empty")
        return root

    def _node(self, event: Any, depth: int) -> Node:
        line, column = event.start_mark.line + 1, event.start_mark.column + 1
        if isinstance(event, self._yaml.AliasEvent):
            if event.anchor not in self._anchors:
                raise DocumentError(f"no anchor &{event.anchor} before this", line, column)
            node, size = self._anchors[event.anchor]
            self._count(size, line, column)
            return node
        before = self._nodes
        self._count(1, line, column)
        node = self._own_node(event, depth, line, column)
        if event.anchor is not None:
            self._anchors[event.anchor] = node, self._nodes - before
        return node

    def _count(self, size: int, line: int, column: int) -> None:
        self._nodes += size
        if self._nodes > MAX_NODES:
            raise DocumentError(f"more than {MAX_NODES} values, aliases counted", line, column)

    def _own_node(self, event: Any, depth: int, line: int, column: int) -> Node:
        yaml = self._yaml
        if event.tag is not None:
            problem = f"{event.tag!r} is a YAML tag: text that begins with '!' needs quotes or a block (|)"
            raise DocumentError(problem, line, column)
        if depth > MAX_DEPTH:
            raise DocumentError(f"nested deeper than {MAX_DEPTH} levels", line, column)
        if isinstance(event, yaml.ScalarEvent):
            return self._scalar_node(event, line, column)
        if isinstance(event, yaml.SequenceStartEvent):
            items = []
            while not isinstance(event := next(self._events), yaml.SequenceEndEvent):
                items.append(self._node(event, depth + 1))
            return Node(items, "", line, column, line, column, False)
        return Node(self._mapping(depth), "", line, column, line, column, False)

    def _mapping(self, depth: int) -> dict[str, Node]:
        found: dict[str, Node] = {}
        merged: dict[str, Node] = {}
        while not isinstance(event := next(self._events), self._yaml.MappingEndEvent):
            key = self._node(event, depth + 1)
            if isinstance(key.value, list | dict):
                raise DocumentError("a key is a word, not a list or a mapping", key.line, key.column)
            if key.text in found:
                raise DocumentError(f"the key {key.text!r} stands twice", key.line, key.column)
            value = self._node(next(self._events), depth + 1)
            if key.text == "<<":
                _merge(merged, value)
                continue
            found[key.text] = value._replace(key_line=key.line, key_column=key.column)
        return merged | found if merged else found

    def _scalar_node(self, event: Any, line: int, column: int) -> Node:
        text: str = event.value
        if event.style == "|":
            return self._block(text, line, column)
        value = text if event.style else _scalar(text)
        begins = column + (event.style in ("'", '"'))
        one_line = event.start_mark.line == event.end_mark.line
        return Node(value, text, line, begins, line, column, one_line)

    def _block(self, text: str, line: int, column: int) -> Node:
        """A literal block: its content starts on the line below, at the indentation of that line."""
        content = text.split("\n")
        for ahead, shown in enumerate(content):
            if shown.strip():
                source = self._lines[line + ahead] if line + ahead < len(self._lines) else ""
                indent = (len(source) - len(source.lstrip(" "))) - (len(shown) - len(shown.lstrip(" ")))
                return Node(text, text, line + 1, indent + 1, line, column, True)
        return Node(text, text, line, column, line, column, True)


def _merge(into: dict[str, Node], value: Node) -> None:
    """Adds the keys of a merged mapping, or of a list of them, of which the first one counts."""
    for source in value.value if isinstance(value.value, list) else [value]:
        if not isinstance(source.value, dict):
            raise DocumentError("<< merges a mapping, or a list of mappings", source.line, source.column)
        for key, node in source.value.items():
            into.setdefault(key, node)


def _main(arguments: Sequence[str]) -> int:
    if len(arguments) != 2:
        print("usage: python -m analyzer.diagnosis.compile RULES_FOLDER INDEX.json", file=sys.stderr)
        return 2
    try:
        write_index(Path(arguments[0]), Path(arguments[1]))
    except (DocumentError, OSError) as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(_main(sys.argv[1:]))
