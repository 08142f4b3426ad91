"""How fast a report of 10,000 connections opens in a browser, and how long sorting and filtering block it.

    python -m benchmarks.html_page [--connections N] [--runs N] [--chromium PATH]

Makes a capture of N connections out of sample_pcaps/ (other addresses, ports and times; the same bytes each
time), lets the negdiag command write its page, and opens that in chromium. What blocks is read from the
page's own long-task entries: the browser makes one for everything that takes over 50 ms.
Needs Playwright for Python and a chromium.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.many import make

ROOT = Path(__file__).resolve().parents[1]
FLAGS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]
SIZE, READY, BLOCKED = 15_000_000, 3.0, 200.0  # what the page must keep to: bytes, seconds, milliseconds

WATCH = """
window.longTasks = [];
new PerformanceObserver((list) => {
  for (const entry of list.getEntries()) window.longTasks.push(entry.duration);
}).observe({type: "longtask", buffered: true});
"""


def measure(page: Any, address: str) -> dict[str, float]:
    """Open the page and use it; seconds until ready, milliseconds of the longest task of each act."""
    page.add_init_script(WATCH)
    page.goto(address, wait_until="load")
    page.wait_for_selector("#table tbody tr.row")
    ready = page.evaluate("performance.timing.loadEventEnd - performance.timing.navigationStart") / 1000
    results = {"ready, s": ready}

    def act(name: str, what: Any) -> None:
        page.wait_for_timeout(150)
        page.evaluate("window.longTasks.length = 0")
        what()
        page.evaluate("() => new Promise((done) => requestAnimationFrame(() => setTimeout(done, 60)))")
        longest = page.evaluate("Math.max(0, ...window.longTasks)")
        results[f"{name}, ms"] = max(results.get(f"{name}, ms", 0.0), longest)

    for letter in "10.30.0.7 fail":
        act("filter keystroke", lambda letter=letter: page.locator("#filter").press_sequentially(letter))
    for _ in range(14):
        act("filter keystroke", lambda: page.locator("#filter").press("Backspace"))
    for title in page.locator("#table thead button").all_inner_texts():
        for _ in range(2):
            button = page.locator("#table thead button", has_text=title).first
            act("sort", button.click)
    act("next page", page.locator("#next").click)
    act("open a connection", page.locator("#table .open").first.click)
    act("outcome", lambda: page.locator("#outcome").select_option("negotiated"))
    return results


def main() -> int:
    """Run it; 1 if a bound is broken."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--connections", type=int, default=10_000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--chromium", default="/usr/bin/chromium")
    options = parser.parse_args()
    from playwright.sync_api import sync_playwright

    with tempfile.TemporaryDirectory() as folder:
        capture, report = Path(folder, "many.pcap"), Path(folder, "many.html")
        make(capture, options.connections)
        before = time.perf_counter()
        command = [sys.executable, "-m", "analyzer", "-q", str(capture), "-o", str(report)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd=ROOT)
        print(f"{options.connections:,} connections, capture of {capture.stat().st_size:,} bytes")
        print(f"negdiag -o many.html: {time.perf_counter() - before:.1f} s, page of {report.stat().st_size:,} bytes")
        runs = []
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=options.chromium, args=FLAGS)
            for _ in range(options.runs):
                page = browser.new_page(viewport={"width": 1400, "height": 900})
                runs.append(measure(page, report.as_uri()))
                page.close()
            browser.close()
        broken = report.stat().st_size > SIZE
        for name in runs[0]:
            worst = max(run[name] for run in runs)
            limit = READY if name.endswith(", s") else BLOCKED
            broken = broken or worst > limit
            print(f"{name:24} median {statistics.median(run[name] for run in runs):8.2f}  worst {worst:8.2f}  limit {limit:g}")
    return int(broken)


if __name__ == "__main__":
    raise SystemExit(main())
