from __future__ import annotations

import io
import re

from analyzer.report.record import CaptureRecord, ConnectionRecord, Note, PortCount, Traffic
from analyzer.report.text import TextWriter
from analyzer.report.writer import Style
from tests.report.sample import HOSTILE, START, capture, failed, finding, negotiated


def text(
    *connections: ConnectionRecord, record: CaptureRecord | None = None, style: Style | None = None
) -> list[str]:
    out = io.StringIO()
    writer = TextWriter(out, style or Style())
    writer.start()
    writer.capture(record or capture(notes=()))
    for connection in connections:
        writer.connection(connection)
    writer.end()
    writer.finish()
    return out.getvalue().splitlines()


def test_the_first_line_names_cause_and_fix() -> None:
    assert text(failed())[0] == (
        "ticket/a.pcap: the SMB negotiation failed: No common dialect. 10.1.2.9:445 accepts none of the "
        "dialects offered (SMB 2.0.2, SMB 2.1). Fix: Raise the maximum dialect."
    )


def test_one_failure_is_told_in_full() -> None:
    assert text(failed())[1:] == [
        "",
        "ERROR NEG301 no-common-dialect: No common dialect",
        "  10.1.2.9:445 (FILER) <- 10.1.2.3: tcp.stream 3, frames 13, 15",
        "    10.1.2.9:445 accepts none of the dialects offered (SMB 2.0.2, SMB 2.1)",
        "  Fix (server, samba): Raise the maximum dialect",
        "      server max protocol = SMB3",
        "      testparm",
        "  Wireshark: tcp.stream eq 3 && (smb || smb2)",
        "  Reference: MS-SMB2 3.3.5.4",
        "  More: negdiag explain no-common-dialect",
        "",
    ]


def test_a_healthy_capture_says_so_and_what_to_mend() -> None:
    assert text(negotiated()) == [
        "ticket/a.pcap: healthy: the SMB negotiation succeeded (SMB 3.1.1); warnings: Signing not required",
        "",
        "Warnings",
        "  warning NEG706 signing-not-required",
        "    neither side requires signing (frame 5)",
        "",
    ]


def test_ten_thousand_connections_read_like_ten() -> None:
    lines = text(
        *(
            failed(
                stream=number, client=f"10.2.{number // 250}.{number % 250}:50000",
                client_host=f"10.2.{number // 250}.{number % 250}", server_name=None,
            )
            for number in range(9_000)
        ),
        *(negotiated(stream=9_000 + number, client_host="10.9.9.9") for number in range(1_000)),
    )
    assert lines[0].startswith("ticket/a.pcap: 9,000 of 10,000 SMB connections failed: No common dialect. ")
    assert len(lines) < 40
    assert "  and 8,992 connections more like these" in lines
    assert "Healthy: 1,000 of 10,000 SMB connections (SMB 3.1.1), 1 client, 1 server" in lines


def test_a_failure_made_good_later_is_an_attempt() -> None:
    lines = text(failed(), negotiated(last_ns=START + 9_000_000))
    assert lines[0] == (
        "ticket/a.pcap: every client got through: 1 of 2 SMB connections negotiated (SMB 3.1.1); "
        "1 earlier or parallel attempt failed (No common dialect)"
    )


def test_a_failure_after_a_success_is_a_failure() -> None:
    lines = text(negotiated(stream=2, last_ns=START - 1), failed())
    assert lines[0].startswith("ticket/a.pcap: 1 of 2 SMB connections failed: No common dialect. ")


def test_several_causes_are_named_with_their_counts() -> None:
    other = finding(rule="server-reset", title="RST instead of an answer", summary="reset", fix=())
    lines = text(
        failed(), failed(stream=5),
        failed(stream=6, causes=("server-reset",), findings=(other,), confidence="likely", candidates=("x", "y")),
    )
    assert lines[0].startswith(
        "ticket/a.pcap: 3 of 3 SMB connections failed: No common dialect (2), RST instead of an answer (1). "
    )
    assert "  May be behind it: x, y" in lines


def test_a_capture_without_smb_says_what_is_there() -> None:
    record = capture(
        packets=140, notes=(Note("smb-over-quic", "QUIC on UDP 443"),),
        traffic=Traffic(("Ethernet",), 140, (PortCount(80, 100), PortCount(4455, 40)), (4455,)),
    )
    assert text(record=record)[0] == (
        "ticket/a.pcap: nothing to diagnose: no SMB connection in 140 packets, Ethernet; busiest TCP ports: "
        "80 (100 packets), 4455 (40 packets); SMB-like bytes on port 4455: try --port 4455; QUIC on UDP 443"
    )


def test_an_unreadable_capture_is_told_in_one_line() -> None:
    record = capture(error="offset 0: empty file (0 bytes)", notes=())
    assert text(record=record) == ["ticket/a.pcap: not analysed: offset 0: empty file (0 bytes)"]


def test_undecided_is_no_accusation() -> None:
    limit = finding(rule="capture-gap", code="NEG602", severity="info", title="Gap", summary="the answer is missing")
    lines = text(
        failed(
            outcome="incomplete", causes=(), confidence=None, warnings=("capture-gap",),
            candidates=("negotiate-unanswered",), findings=(limit,),
        )
    )
    assert lines[0] == (
        "ticket/a.pcap: undecided: the capture does not show enough of 1 SMB connection; "
        "may be: negotiate-unanswered. the answer is missing"
    )


def test_no_line_of_prose_is_wider_than_a_terminal_and_none_is_hostile() -> None:
    lines = text(
        failed(
            server_name=HOSTILE, client_name=HOSTILE,
            findings=(finding(summary=f"{HOSTILE} " + "word " * 60, fix=()),),
        ),
        negotiated(), record=capture(capture=HOSTILE),
    )
    assert not re.search("[\x00-\x1f\x7f-\x9f\u202e]", "".join(lines))
    assert all(len(line) <= 80 for line in lines[1:] if "Wireshark:" not in line)


def test_of_several_captures_healthy_ones_take_one_line_each() -> None:
    out = io.StringIO()
    writer = TextWriter(out, Style(several=True))
    for record, connections in (
        (capture(notes=()), [negotiated()]), (capture(capture="b", error="offset 0: x"), []),
        (capture(capture="c", notes=()), [failed()]),
    ):
        writer.capture(record)
        for connection in connections:
            writer.connection(connection)
        writer.end()
    writer.finish()
    lines = out.getvalue().splitlines()
    assert lines[0].startswith("ticket/a.pcap: healthy: ")
    assert lines[1] == "b: not analysed: offset 0: x"
    assert lines[2].startswith("c: the SMB negotiation failed: ")
    assert lines[-1] == "3 captures (1 not readable), 2 SMB connections: 1 failed, in 1 capture"


def test_quiet_is_the_verdict_alone() -> None:
    assert len(text(failed(), style=Style(quiet=True))) == 1
