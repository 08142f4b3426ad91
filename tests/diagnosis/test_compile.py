from __future__ import annotations

import contextlib
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzer.diagnosis.compile import (
    MAX_BYTES,
    DocumentError,
    Node,
    plain,
    read_document,
    rule_files,
    write_index,
)
from tests.diagnosis.toy import FACTS, RULES

HOSTILE = [
    (b"", 1, 1, "empty"),
    (b"# only a comment\n", 1, 1, "empty"),
    (b"- a list\n", 1, 1, "mapping"),
    (b"a: 1\nb: \xff\n", 2, 4, "not UTF-8: byte 0xff"),
    (b"a: 1\nb: \x01\n", 2, 4, "control character"),
    (b"a: {\n", 2, 1, "not YAML"),
    (b"a: 1\na: 2\n", 2, 1, "stands twice"),
    (b"a: 1\n---\nb: 2\n", 2, 1, "second document"),
    (b"? [a]\n: 1\n", 1, 3, "a key is a word"),
    (b"when: !connection.up\n", 1, 7, "'!' needs quotes or a block"),
    (b"a: !!python/object:os.system x\n", 1, 4, "YAML tag"),
    (b"a: " + b"[" * 9 + b"]" * 9, 1, 11, "nested deeper than 8"),
    (b"[" * 500, 1, 9, "nested deeper than 8"),
    (b"a: *nothing\n", 1, 4, "no anchor &nothing"),
    (b"a: &a [*a]\n", 1, 8, "no anchor &a"),
    (b"a: {<<: 1}\n", 1, 9, "<< merges"),
    (b"a: '" + b"x" * MAX_BYTES + b"'", 1, 1, "larger than"),
    (b"a: [" + b"1," * 30_000 + b"]", 1, 39_999, "more than 20000 values"),
    (
        b"a: &a [1]\n" + b"".join(b"%c: &%c [%s]\n" % (c, c, b",".join([b"*%c" % (c - 1)] * 9)) for c in b"bcdefg"),
        6, 8, "aliases counted",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("data", "line", "column", "problem"), HOSTILE)
def test_a_hostile_file_is_refused_with_its_place(data: bytes, line: int, column: int, problem: str) -> None:
    with pytest.raises(DocumentError) as caught:
        read_document(data)
    assert problem in caught.value.problem
    assert "\n" not in caught.value.problem
    assert (caught.value.line, caught.value.column) == (line, column)


def test_nesting_without_end_is_refused() -> None:
    """By us, or by a libyaml with a limit of its own, which then names another place."""
    with pytest.raises(DocumentError, match=r"nested deeper than 8|maximum nesting depth"):
        read_document(b"[" * 100_000)


@given(st.one_of(st.binary(max_size=200), st.text("a:{}[]&*!|>'\" \n-x<", max_size=60).map(str.encode)))
def test_no_bytes_raise_anything_else(data: bytes) -> None:
    with contextlib.suppress(DocumentError):
        read_document(data)


SCALARS = [
    ("no", "no"), ("on", "on"), ("true", True), ("False", False), ("~", None), ("", None),
    ("12", 12), ("-3", -3), ("0x0311", 0x311), ("0xC00000BB", 0xC00000BB), ("010", 10), ("1_0", "1_0"),
    ("1:30", "1:30"), ("1.5", 1.5), ("1e3", 1000.0), ("'5'", "5"), ('"true"', "true"), ("9" * 50, "9" * 50),
]  # fmt: skip


@pytest.mark.parametrize(("text", "value"), SCALARS)
def test_scalars_follow_yaml_1_2(text: str, value: object) -> None:
    """`no` is a word and not false: a rule is about text as often as about truth."""
    found = read_document(f"a: {text}\n".encode())["a"].value
    assert found == value
    assert type(found) is type(value)


PLACES = [
    (b"a: |\n  x ==\n    1\n", "x ==\n  1\n", (2, 3)),
    (b"a: |\n\n  x\n", "\nx\n", (2, 3)),
    (b"a: |2\n   x\n  y\n", " x\ny\n", (2, 3)),
    (b"a: |-\r\n      x\r\n      y\r\n", "x\ny", (2, 7)),
    (b"a:   x\n", "x", (1, 6)),
    (b"a: 'x'\n", "x", (1, 5)),
    ("ä: 1\na: |\n   ü\n".encode(), "ü\n", (3, 4)),
]


@pytest.mark.parametrize(("data", "text", "place"), PLACES)
def test_a_text_knows_where_its_first_character_stands(
    data: bytes, text: str, place: tuple[int, int]
) -> None:
    node = read_document(data)["a"]
    assert node.text == text
    assert (node.line, node.column) == place
    assert node.verbatim


@pytest.mark.parametrize("data", [b"a: >\n  x\n  y\n", b"a: x\n  y\n", b"a: 'x\n  y'\n"])
def test_folded_text_has_no_lines_of_its_own(data: bytes) -> None:
    assert not read_document(data)["a"].verbatim


def test_aliases_and_merge_keys_shorten_examples() -> None:
    document = read_document(b"a: &base {p: 1, q: 2}\nb: {<<: *base, q: 3}\nc: *base\n")
    assert plain(document["b"]) == {"p": 1, "q": 3}
    assert plain(document["c"]) == {"p": 1, "q": 2}


def test_an_index_holds_every_rule_without_its_examples(tmp_path: Path) -> None:
    target = tmp_path / "index.json"
    write_index(RULES, target, {name: fact.type for name, fact in FACTS.items()})
    index = json.loads(target.read_text(encoding="utf-8"))
    assert [item["file"] for item in index["rules"]] == [path.name for path in rule_files(RULES)]
    assert all("examples" not in item["rule"] for item in index["rules"])
    refused = next(item for item in index["rules"] if item["file"] == "refused.yaml")
    assert refused["rule"]["when"] == "connection.refused && !connection.up\n"
    assert refused["places"]["when"] == [7, 3]


def test_an_index_of_a_bad_file_names_it(tmp_path: Path) -> None:
    (tmp_path / "bad.yaml").write_bytes(b"a: {")
    with pytest.raises(DocumentError, match=r"bad\.yaml"):
        write_index(tmp_path, tmp_path / "index.json")


def test_a_node_is_plain_all_the_way_down() -> None:
    node = Node([Node({"a": Node(1, "1", 1, 1, 1, 1, True)}, "", 1, 1, 1, 1, False)], "", 1, 1, 1, 1, False)
    assert plain(node) == [{"a": 1}]
