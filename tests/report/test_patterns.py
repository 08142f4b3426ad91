"""What connections show together: which servers serve some only, which clients fail everywhere."""

from __future__ import annotations

import pytest

from analyzer.report.patterns import patterns
from analyzer.report.triage import Triage
from tests.report import sample


def told(*connections: tuple[str, str, bool]) -> list[str]:
    """Connections as (client, server, came up), one after the other."""
    triage = Triage(sample.capture())
    for i, (client, server, up) in enumerate(connections):
        made = sample.negotiated() if up else sample.failed()
        triage.add(made._replace(
            stream=i, client=f"{client}:50000", client_host=client, server=f"{server}:445", server_host=server,
            first_ns=i * 1000, last_ns=i * 1000 + 1))
    triage.finish()
    return list(patterns(triage))


@pytest.mark.parametrize(
    ("connections", "says"),
    [
        ((("c1", "s1", False),), []),
        ((("c1", "s1", False), ("c1", "s1", True)), []),
        ((("c1", "s1", False), ("c1", "s2", False)), []),
        ((("c1", "s1", False), ("c2", "s1", True)), ["s1 serves 1 other client (c2) and not c1: look at"]),
        (
            (("c1", "s1", False), ("c1", "s2", False), ("c2", "s1", True)),
            ["s1 serves 1 other client (c2) and not c1: look at", "c1 fails with every server it tried (s1, s2): look"],
        ),
        (
            (("c1", "s1", False), ("c1", "s2", False), ("c1", "s3", True), ("c2", "s1", True)),
            ["s1 serves 1 other client (c2) and not c1: look at"],
        ),
    ],
)
def test_patterns(connections: tuple[tuple[str, str, bool], ...], says: list[str]) -> None:
    found = told(*connections)
    assert len(found) == len(says)
    assert all(line.startswith(start) for line, start in zip(found, says, strict=True))
