"""The main command and its companions open no network connection, whatever they read and write."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

# Every event by which Python announces a socket, a name looked up or a browser; socketpair() is not among them.
FORBIDDING = """
import sys

def refuse(event, arguments):
    if event.split(".")[0] in {"socket", "urllib", "http", "ftplib", "smtplib", "poplib", "imaplib", "webbrowser"}:
        print(f"network: {event} {arguments}", file=sys.stderr, flush=True)
        sys.stdout.flush()
        import os
        os._exit(99)

sys.addaudithook(refuse)
from analyzer.cli.main import main
sys.exit(main(sys.argv[1:]))
"""


def forbidden(*words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", FORBIDDING, *words], cwd=cwd, capture_output=True, text=True, timeout=300, check=False)


@pytest.mark.parametrize("words", [
    ["--format", "text"],
    ["--format", "json", "-o", "report.html", "-o", "report.csv", "-o", "report.md", "-o", "report.ndjson"],
    ["--anonymize", "--port", "any", "-v"],
    ["--jobs", "2", "--format", "csv"],
])
def test_no_report_needs_a_network(root: Path, samples: Path, tmp_path: Path, words: list[str]) -> None:
    done = forbidden(str(samples), *words, cwd=tmp_path)
    assert (done.returncode, done.stderr.count("network:")) == (3, 0) or done.returncode == 0, done.stderr


@pytest.mark.parametrize("words", [
    ["fields", "ok-all-contexts.pcap"], ["rules"], ["rules", "test"], ["explain", "no-common-dialect"],
    ["extract", "no-common-dialect.pcap", "-o", "{}"], ["annotate", "no-common-dialect.pcap", "-o", "{}/annotated.pcapng"],
], ids=lambda words: words[0])
def test_no_other_command_does(samples: Path, tmp_path: Path, words: list[str]) -> None:
    done = forbidden(*(word.format(tmp_path) for word in words), cwd=samples)
    assert done.returncode == 0, done.stderr


def test_the_check_itself_notices(tmp_path: Path) -> None:
    script = FORBIDDING.replace("from analyzer.cli.main import main", "import socket; socket.socket()")
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, check=False)
    assert done.returncode == 99
