"""A chromium with a page in it; each absent part skips with its reason."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from analyzer.cli.main import main

# A cold start, or a machine that does something else too, is no fault of the page.
PATIENCE_MS = 180_000
FLAGS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-sync"]


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    api = pytest.importorskip("playwright.sync_api", reason="needs Playwright for Python")
    path = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    if path is None:
        pytest.skip("needs a chromium; the variable CHROMIUM may name it")
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS, timeout=PATIENCE_MS)
        yield browser
        browser.close()


@pytest.fixture
def show(chromium: Any, tmp_path: Path) -> Iterator[Callable[..., Any]]:
    """Opens the report of a capture, from disk. Whatever the page complains of fails the test."""
    contexts = []
    complaints: list[str] = []

    def opened(path: Path, *options: str, **context: Any) -> Any:
        main(["-q", str(path), *options, "-o", str(tmp_path / "r.html")])
        made = chromium.new_context(**({"viewport": {"width": 1400, "height": 900}} | context))
        contexts.append(made)
        made.set_default_timeout(PATIENCE_MS)
        made.set_default_navigation_timeout(PATIENCE_MS)
        page = made.new_page()
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda request: None if request.url.endswith("r.html") else complaints.append(request.url))
        page.goto((tmp_path / "r.html").as_uri())
        return page

    yield opened
    for made in contexts:
        made.close()
    assert complaints == []
