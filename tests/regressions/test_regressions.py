"""Every input that ever broke something holds; README.md says what each was."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fuzz.check import check, check_command
from tests.fuzz.corpus import REGRESSIONS, regressions


@pytest.mark.parametrize("path", regressions(), ids=lambda path: path.name)
def test_it_holds(path: Path) -> None:
    assert check(path.read_bytes(), every=True) is None
    assert check_command(path.read_bytes()) is None


def test_each_has_its_story() -> None:
    told = (REGRESSIONS / "README.md").read_text(encoding="utf-8")
    assert [path.name for path in regressions() if f"`{path.name}`" not in told] == []
