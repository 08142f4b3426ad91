"""What negdiag says of a capture apart from names and addresses, and captures under pseudonyms."""

from __future__ import annotations

import io
from pathlib import Path
from typing import BinaryIO

from analyzer.capture.reader import CaptureReader
from analyzer.capture.source import open_source
from analyzer.diagnosis.loader import load_rules
from analyzer.pipeline import run
from analyzer.reading import SMB_PORTS, Capture, Settings
from analyzer.report.record import ConnectionRecord
from analyzer.rewrite.copy import copy_capture
from analyzer.rewrite.mask import FrameMask
from analyzer.rewrite.notes import FrameNotes
from analyzer.rewrite.pseudonym import pseudonyms_of
from analyzer.telling import Wanted

KEY = b"a key for tests, of some length"
RULES = load_rules(())

Said = list[tuple[object, ...]]


def said(capture: Capture, *, key: bytes | None = None, ports: frozenset[int] | None = SMB_PORTS) -> Said:
    """One entry for each connection, and one for the capture."""
    found: Said = []
    for analyzed in run([("capture", capture)], RULES, Settings(ports, key=key), Wanted()):
        found.append((analyzed.record.packets, *(note.kind for note in analyzed.record.notes)))
        found += (of_record(diagnosed.record) for diagnosed in analyzed.connections)
    return found


def of_record(record: ConnectionRecord) -> tuple[object, ...]:
    """Everything about a connection that names nobody."""
    findings = tuple((finding.rule, finding.severity, finding.frames) for finding in record.findings)
    return (
        record.stream, record.transport, record.outcome, record.reached, record.causes, record.confidence,
        record.candidates, record.warnings, record.dialect, record.offered, record.frames, record.response_time,
        findings, len(record.client_name or ""), len(record.server_name or ""),
    )


def masked(capture: Path | BinaryIO, *, ports: frozenset[int] | None = SMB_PORTS) -> bytes:
    """The capture under the pseudonyms of KEY."""
    def source() -> str | BinaryIO:
        if isinstance(capture, Path):
            return str(capture)
        capture.seek(0)
        return capture

    mask = FrameMask(pseudonyms_of(KEY), ports)
    with open_source(source()) as first:
        mask.learn(CaptureReader(first))
    out = io.BytesIO()
    with open_source(source()) as second, FrameNotes() as notes:
        copy_capture(CaptureReader(second), out, notes, mask)
    return out.getvalue()
