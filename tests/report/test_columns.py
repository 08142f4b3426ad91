"""docs/columns.md says what every table has."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from analyzer.report import columns, columns_page
from tests.cli.test_main import FAILED, Ran


def test_the_page_is_current(root: Path) -> None:
    assert columns_page.main(["--check", str(root / "docs" / "columns.md")]) == 0, (
        "run: python -m analyzer.report.columns_page docs/columns.md"
    )


def test_a_page_that_is_not_current_is_seen_and_renewed(tmp_path: Path) -> None:
    page = tmp_path / "columns.md"
    assert columns_page.main(["--check", str(page)]) == 1
    assert columns_page.main([str(page)]) == 0
    assert columns_page.main(["--check", str(page)]) == 0


def test_every_column_stands_on_the_page(root: Path) -> None:
    text = (root / "docs" / "columns.md").read_text("utf-8")
    for table in columns.TABLES:
        for column in columns.columns(table):
            assert f"| `{column.name}` |" in text


def test_ndjson_has_the_keys_that_the_page_says(samples: Path, capsys: pytest.CaptureFixture[str]) -> None:
    row, = map(json.loads, Ran(capsys, samples / FAILED, "--format", "ndjson").out.splitlines())
    assert set(row) == set(columns_page.ndjson_keys())


def test_every_column_but_those_of_messages_is_explained() -> None:
    for table in ("captures", "connections", "findings"):
        assert all(column.doc for column in columns.columns(table))
