from __future__ import annotations

import importlib.util
import json
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzer.diagnosis import loader
from analyzer.diagnosis.compile import INDEX as WRITTEN_INDEX
from analyzer.diagnosis.compile import SCHEMA, write_index
from analyzer.diagnosis.engine import RuleSet
from analyzer.diagnosis.loader import INDEX, INDEX_SCHEMA, cycles, language_of, load_rules, read_folders
from analyzer.errors import Error, RulesError, UsageError
from tests.diagnosis.toy import EVIDENCE, FACTS, RULES, read, rule_set, write

TYPES = {name: fact.type for name, fact in FACTS.items()}


def _problems(caught: pytest.ExceptionInfo[RulesError]) -> list[str]:
    return [f"{Path(e.file).stem}:{e.line}: {e.problem}" for e in caught.value.errors]


def test_rules_come_by_code() -> None:
    assert [rule.code for rule in rule_set().rules] == ["TOY101", "TOY301", "TOY511"]


def test_a_folder_adds_rules_and_replaces_known_slugs(tmp_path: Path) -> None:
    write(tmp_path, "mine", "TOY700")
    write(tmp_path, "refused", "TOY101", title="Mine instead")
    loaded = read(tmp_path)
    assert [rule.slug for rule in loaded.rules] == ["refused", "no-common-dialect", "server-error", "mine"]
    assert [rule.builtin for rule in loaded.rules] == [False, True, True, False]
    assert loaded.rules[0].title == "Mine instead"


def test_the_last_folder_wins(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        write(tmp_path / name, "mine", "TOY700", title=name)
    assert read(tmp_path / "one", tmp_path / "two").rules[-1].title == "two"


def test_a_code_has_one_slug(tmp_path: Path) -> None:
    write(tmp_path, "mine", "TOY301")
    with pytest.raises(RulesError) as caught:
        read(tmp_path)
    assert _problems(caught) == [
        f"mine:2: the code TOY301 is that of no-common-dialect ({RULES / 'no-common-dialect.yaml'})"
    ]


def test_an_unknown_slug_is_refused_with_the_one_that_was_meant(tmp_path: Path) -> None:
    write(tmp_path, "mine", "TOY700", explains="[server-eror]", instead_of="[nothing-like-it-at-all]")
    with pytest.raises(RulesError) as caught:
        read(tmp_path)
    assert _problems(caught) == [
        "mine:10: unknown slug 'server-eror' in explains",
        "mine:11: unknown slug 'nothing-like-it-at-all' in instead_of",
    ]
    assert caught.value.errors[0].hint == "server-error"


def test_a_slug_whose_file_does_not_load_is_known_all_the_same(tmp_path: Path) -> None:
    write(tmp_path, "mine", "TOY700", explains="[broken]")
    write(tmp_path, "broken", "TOY701", severity="bad")
    with pytest.raises(RulesError) as caught:
        read(tmp_path)
    assert len(caught.value.errors) == 1


def test_cycles_are_refused_and_named(tmp_path: Path) -> None:
    write(tmp_path, "one", "TOY701", explains="[two]")
    write(tmp_path, "two", "TOY702", explains="[three]")
    write(tmp_path, "three", "TOY703", explains="[one]", instead_of="[three]")
    with pytest.raises(RulesError) as caught:
        read(tmp_path)
    assert _problems(caught) == [
        "two:10: a cycle in explains: one > two > three > one",
        "three:11: a cycle in instead_of: three > three",
    ]


def test_a_slug_stays_or_is_dropped(tmp_path: Path) -> None:
    write(tmp_path, "mine", "TOY701", explains="[refused]", instead_of="[refused]")
    with pytest.raises(RulesError) as caught:
        read(tmp_path)
    assert _problems(caught) == ["mine:11: 'refused' stands in explains too: it stays or it is dropped"]


@given(st.dictionaries(st.integers(0, 7), st.lists(st.integers(0, 8), max_size=4), max_size=8))
def test_a_graph_has_a_cycle_exactly_if_it_cannot_be_peeled(numbers: dict[int, list[int]]) -> None:
    graph = {str(node): [str(target) for target in targets] for node, targets in numbers.items()}
    found = cycles(graph)
    for cycle in found:
        for node, target in zip(cycle, (*cycle[1:], cycle[0]), strict=True):
            assert target in graph[node]
    left = dict(graph)
    while leaves := [node for node, targets in left.items() if not any(t in left for t in targets)]:
        for node in leaves:
            del left[node]
    assert bool(found) == bool(left)


def test_a_folder_that_is_none_is_wrong_usage(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="nowhere"):
        read(tmp_path / "nowhere")
    with pytest.raises(UsageError, match="no rule file"):
        read(tmp_path)


def test_a_folder_of_something_else_is_wrong_usage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loader, "MAX_FILES", 1)
    write(tmp_path, "one", "TOY701")
    write(tmp_path, "two", "TOY702")
    with pytest.raises(UsageError, match="2 rule files; a folder may have 1"):
        read(builtin=tmp_path)


def test_a_rule_that_cannot_be_read_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "folder.yaml").mkdir()
    with pytest.raises(RulesError) as caught:
        read(tmp_path)
    assert len(str(caught.value).splitlines()) == 1
    assert str(caught.value) == f"{tmp_path / 'folder.yaml'}:1:1: not a file"


def _copy(folder: Path) -> Path:
    for path in RULES.glob("*.yaml"):
        (folder / path.name).write_bytes(path.read_bytes())
    return folder


def test_the_index_gives_the_same_rules_as_the_files(tmp_path: Path) -> None:
    """What a wheel starts with is what a checkout starts with."""
    folder = _copy(tmp_path)
    from_files = load_rules(builtin=folder, vocabulary=FACTS, evidence=EVIDENCE)
    write_index(folder, folder / INDEX, TYPES)
    from_index = load_rules(builtin=folder, vocabulary=FACTS, evidence=EVIDENCE)
    assert from_index == from_files
    assert from_index.rules[1].places == from_files.rules[1].places


class _NoCompiler:
    """The environment of a language in which nothing can be compiled."""

    def __init__(self, env: Any) -> None:
        self.Activation = env.Activation
        self.deserialize = env.deserialize


def test_what_the_index_holds_is_not_compiled_again(tmp_path: Path) -> None:
    folder = _copy(tmp_path)
    write_index(folder, folder / INDEX, TYPES)
    rules = load_rules(builtin=folder, vocabulary=FACTS, evidence=EVIDENCE)
    rules.language._env = _NoCompiler(rules.language._env)
    facts = {"response.smb2.nt_status": 0xC00000BB, "request.smb2.dialect": [1], "connection.broke": True}
    assert rules.judge(facts) == rule_set(builtin=folder).judge(facts)
    assert rules.judge(facts).confidence == "likely"


def test_a_stored_program_that_this_library_does_not_read_is_compiled(tmp_path: Path) -> None:
    folder = _copy(tmp_path)
    write_index(folder, folder / INDEX, TYPES)
    index = json.loads((folder / INDEX).read_text(encoding="utf-8"))
    index["programs"] = dict.fromkeys(index["programs"], "/////w==")
    (folder / INDEX).write_text(json.dumps(index), encoding="utf-8")
    rules = load_rules(builtin=folder, vocabulary=FACTS, evidence=EVIDENCE)
    assert rules.judge({"response.smb2.nt_status": 5}).causes == ("server-error",)


def test_an_index_without_programs_will_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a wheel is built without the CEL library, its conditions are compiled at each start."""
    folder = _copy(tmp_path)
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    write_index(folder, folder / INDEX, TYPES)
    assert "programs" not in json.loads((folder / INDEX).read_text(encoding="utf-8"))
    indexed = load_rules(builtin=folder, vocabulary=FACTS, evidence=EVIDENCE)
    assert indexed == rule_set(builtin=folder)
    assert indexed.judge({"response.smb2.nt_status": 5}).causes == ("server-error",)


def test_the_index_of_the_built_in_rules_gives_the_same_rules(tmp_path: Path) -> None:
    write_index(Path(loader.builtin_folder()), tmp_path / INDEX)
    indexed = loader.read_index(tmp_path, language_of())
    assert indexed is not None
    files = RuleSet(read_folders([]).rules, language_of())
    assert [rule.slug for rule in indexed.rules] == [rule.slug for rule in files.rules]
    assert indexed._reads == files._reads
    for ours, theirs in zip(indexed.rules, files.rules, strict=True):
        assert ours.conditions() == theirs.conditions()
        assert (ours.summary, ours.fix, ours.explains) == (theirs.summary, theirs.fix, theirs.explains)


def test_writer_and_reader_of_the_index_agree_on_its_name_and_version(tmp_path: Path) -> None:
    assert (WRITTEN_INDEX, SCHEMA) == (INDEX, INDEX_SCHEMA)
    (tmp_path / INDEX).write_text('{"schema": 999}')
    assert loader.read_index(tmp_path, language_of()) is None


def test_reading_the_index_needs_no_yaml(tmp_path: Path) -> None:
    (tmp_path / "refused.yaml").write_bytes((RULES / "refused.yaml").read_bytes())
    write_index(tmp_path, tmp_path / INDEX)
    program = (
        "import sys; from pathlib import Path; from analyzer.diagnosis import loader\n"
        "rules = loader.read_index(Path(sys.argv[1]), loader.language_of()).rules; assert len(rules) == 1\n"
        "print(sorted({'yaml', 'difflib', 'numpy', 'pandas'} & set(sys.modules)))"
    )
    run = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True, check=True
    )
    assert run.stdout.strip() == "[]"


def test_extra_folders_are_read_beside_an_indexed_one(tmp_path: Path) -> None:
    base, extra = tmp_path / "base", tmp_path / "extra"
    base.mkdir()
    extra.mkdir()
    _copy(base)
    write_index(base, base / INDEX, TYPES)
    write(extra, "mine", "TOY700", explains="[refused]")
    write(extra, "server-error", "TOY511", title="Mine instead")
    rules = load_rules([extra], builtin=base, vocabulary=FACTS, evidence=EVIDENCE)
    assert [rule.slug for rule in rules.rules] == ["refused", "no-common-dialect", "server-error", "mine"]
    (base / INDEX).unlink()
    assert rules == load_rules([extra], builtin=base, vocabulary=FACTS, evidence=EVIDENCE)


def test_a_missing_folder_of_built_in_rules_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(loader, "__file__", str(tmp_path / "a" / "b" / "c.py"))
    with pytest.raises(Error, match="reinstall"):
        loader.builtin_folder()


def test_rule_sets_pickle_by_their_rules() -> None:
    rules = rule_set().reporting(ignore=["refused"])
    again = pickle.loads(pickle.dumps(rules))
    assert again == rules
    assert again != rule_set()
    facts = {"response.smb2.nt_status": 5}
    assert again.judge(facts) == rules.judge(facts)
