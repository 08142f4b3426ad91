from __future__ import annotations

import re
from pathlib import Path

import pytest

from analyzer.diagnosis.docs import BEGIN, END, main, renewed
from analyzer.diagnosis.loader import language_of, read_folders
from analyzer.diagnosis.schema import _KEYS
from analyzer.diagnosis.selftest import run_examples
from analyzer.negotiation.vocabulary import EVIDENCE, VOCABULARY


@pytest.fixture
def page(root: Path) -> Path:
    return root / "docs" / "rules.md"


def test_the_page_lists_every_fact_and_frame(page: Path) -> None:
    """Run `python -m analyzer.diagnosis.docs docs/rules.md` where this fails."""
    assert main(["--check", str(page)]) == 0
    text = page.read_text(encoding="utf-8")
    assert all(f"| `{fact.name}` | {fact.type} |" in text for fact in VOCABULARY.values())
    assert all(f"`{name}`" in text for name in EVIDENCE)


def test_the_page_explains_every_key(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert set(re.findall(r"^\| `(\w+)` \| ", text, re.MULTILINE)) == _KEYS


def test_the_rule_on_the_page_loads_and_its_examples_hold(page: Path, tmp_path: Path) -> None:
    text = page.read_text(encoding="utf-8")
    shown = re.search(r"```yaml\n(slug: (\S+)\n.*?)```", text, re.DOTALL)
    assert shown is not None
    (tmp_path / f"{shown[2]}.yaml").write_text(shown[1], encoding="utf-8")
    language = language_of()
    loaded = read_folders([], builtin=tmp_path, language=language)
    outcome = run_examples(loaded.rules, loaded.examples, language)
    assert (outcome.passed, outcome.failures) == (4, ())


def test_a_page_is_renewed_between_its_marks(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = tmp_path / "rules.md"
    page.write_text(f"before\n{BEGIN}\nOUTDATED\n{END}\nafter\n", encoding="utf-8")
    assert main(["--check", str(page)]) == 1
    assert "not current" in capsys.readouterr().err
    assert main([str(page)]) == 0
    assert main(["--check", str(page)]) == 0
    text = page.read_text(encoding="utf-8")
    assert text.startswith(f"before\n{BEGIN}\n")
    assert text.endswith(f"{END}\nafter\n")
    assert "OUTDATED" not in text
    with pytest.raises(ValueError, match="has no"):
        renewed("no marks")
    assert main([]) == 2
