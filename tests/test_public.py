"""What is said about captures of public test suites, nearly all healthy."""

from __future__ import annotations

from pathlib import Path

import pytest

from analyzer.diagnosis.loader import load_rules
from analyzer.pipeline import run
from analyzer.reading import Settings
from analyzer.telling import Wanted
from tests.public import PUBLIC, names, reasons, renewed

# The captures in which something did fail, and the rows of the page that say what.
BROKEN = {
    "ndpi-fuzz-2006-06-26-2594.pcap": {"tcp-unanswered"},
    "suricata-sip-method.pcap": {"tcp-unanswered"},
    "suricata-smb2-09-trunc-file-logging.pcap": {"not-smb"},
}


@pytest.mark.usefixtures("public")
def test_the_page_is_current_and_gives_a_reason_for_each(root: Path) -> None:
    """Run `python -m tests.public docs/public-captures.md` where this fails."""
    page = (root / "docs" / "public-captures.md").read_text("utf-8")
    assert all(reasons(page).get(name) for name in names())
    assert renewed(page) == page


@pytest.mark.usefixtures("public")
def test_no_healthy_connection_has_an_error() -> None:
    for name in names():
        (analyzed,) = run([(name, PUBLIC / name)], load_rules(()), Settings(), Wanted())
        found = {f.rule for one in analyzed.connections for f in one.record.findings if f.severity == "error"}
        assert found == BROKEN.get(name, set()), name
