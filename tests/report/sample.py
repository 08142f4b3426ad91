"""Records for the tests of reports."""

from __future__ import annotations

from typing import Any

from analyzer.diagnosis.rule import Fix
from analyzer.report.record import (
    CaptureRecord,
    ConnectionRecord,
    FindingRecord,
    Frames,
    Note,
    PortCount,
    Traffic,
)

START = 1_795_341_600_000_001_000                      # 2026-11-22T10:00:00.000001Z
HOSTILE = "\x1b[31mred\u202e<script>\x07\n=cmd|'/c calc'!A1\x9b"


def fix() -> Fix:
    """A fix with a command of two lines."""
    return Fix("server", "samba", "Raise the maximum dialect", "server max protocol = SMB3\ntestparm")


def finding(**changes: Any) -> FindingRecord:
    """A proven cause."""
    values: dict[str, Any] = {
        "rule": "no-common-dialect", "code": "NEG301", "severity": "error", "title": "No common dialect",
        "summary": "10.1.2.9:445 accepts none of the dialects offered (SMB 2.0.2, SMB 2.1)",
        "fix": (fix(),), "frames": (13, 15), "display_filter": "tcp.stream eq 3 && (smb || smb2)",
        "reference": "MS-SMB2 3.3.5.4",
    }
    return FindingRecord(**(values | changes))


def warning(**changes: Any) -> FindingRecord:
    """A finding that did not stop the connection."""
    values: dict[str, Any] = {
        "rule": "signing-not-required", "code": "NEG706", "severity": "warning", "title": "Signing not required",
        "summary": "neither side requires signing", "fix": (), "frames": (5,), "reference": None,
    }
    return finding(**(values | changes))


def failed(**changes: Any) -> ConnectionRecord:
    """A connection that failed."""
    values: dict[str, Any] = {
        "stream": 3, "client": "10.1.2.3:50122", "client_host": "10.1.2.3", "server": "10.1.2.9:445",
        "server_host": "10.1.2.9", "transport": "direct-tcp", "outcome": "failed", "reached": "tcp",
        "causes": ("no-common-dialect",), "confidence": "proven", "candidates": (), "warnings": (),
        "dialect": None, "client_name": None, "server_name": "FILER",
        "offered": ("SMB 2.0.2", "SMB 2.1"), "frames": Frames(10, 17, 13, 15), "response_time": 0.000812,
        "first_ns": START, "last_ns": START + 5_000_000, "findings": (finding(),),
    }
    return ConnectionRecord(**(values | changes))


def negotiated(**changes: Any) -> ConnectionRecord:
    """A connection that came up, with a warning."""
    values: dict[str, Any] = {
        "stream": 4, "outcome": "negotiated", "reached": "tree", "causes": (), "confidence": None,
        "warnings": ("signing-not-required",), "dialect": "SMB 3.1.1", "findings": (warning(),),
    }
    return failed(**(values | changes))


def capture(**changes: Any) -> CaptureRecord:
    """A capture that was read to its end."""
    values: dict[str, Any] = {
        "capture": "ticket/a.pcap", "format": "pcap", "packets": 120, "first_ns": START,
        "last_ns": START + 1_000_000_000, "error": None, "notes": (Note("one-sided", "one side only"),),
        "traffic": Traffic(("Ethernet",), 120, (PortCount(445, 100), PortCount(80, 20)), ()),
    }
    return CaptureRecord(**(values | changes))
