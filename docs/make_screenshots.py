"""Remakes docs/report.png and docs/report-steps.png, the HTML report in the README, from the real program.

    python docs/make_screenshots.py [CAPTURE] [--chromium PATH]

Needs Playwright for Python and a chromium.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
CAPTURE = "sample_pcaps/no-common-dialect.pcap"
WIDTH, HEIGHT = 1100, 880


def main() -> None:
    """Take the pictures: the top of the page, and one connection step by step."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("capture", nargs="?", default=CAPTURE)
    parser.add_argument("--chromium", default="/usr/bin/chromium")
    options = parser.parse_args()
    from playwright.sync_api import sync_playwright

    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder, "report.html")
        command = [sys.executable, "-m", "analyzer", "-q", options.capture, "-o", str(report)]
        subprocess.run(command, check=True, cwd=ROOT, stdout=subprocess.DEVNULL)  # noqa: S603 - our own program
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=options.chromium, args=["--no-sandbox"])
            page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT}, color_scheme="light")
            page.goto(report.as_uri())
            page.screenshot(path=ROOT / "docs" / "report.png")
            page.locator("details.connection").first.screenshot(path=ROOT / "docs" / "report-steps.png")
            browser.close()


if __name__ == "__main__":
    main()
