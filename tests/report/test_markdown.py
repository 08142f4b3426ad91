from __future__ import annotations

import io

from analyzer.report.markdown import MarkdownWriter, escaped
from analyzer.report.record import CaptureRecord, ConnectionRecord
from analyzer.report.writer import Style
from tests.report.sample import HOSTILE, capture, failed, finding, fix, negotiated


def markdown(*connections: ConnectionRecord, record: CaptureRecord | None = None) -> str:
    out = io.StringIO()
    writer = MarkdownWriter(out, Style())
    writer.capture(record or capture(notes=()))
    for connection in connections:
        writer.connection(connection)
    writer.end()
    writer.finish()
    return out.getvalue()


def test_a_failure_is_a_section_with_its_commands_in_a_block() -> None:
    lines = markdown(failed(), negotiated(client_host="10.9.9.9")).splitlines()
    assert lines[0] == "## `ticket/a.pcap`"
    assert lines[2].startswith("**1 of 2 SMB connections failed: No common dialect")
    assert "### No common dialect" in lines
    begin = lines.index("  ```")
    assert lines[begin + 1:begin + 4] == ["  server max protocol = SMB3", "  testparm", "  ```"]
    assert "Wireshark: `tcp.stream eq 3 && (smb || smb2)`" in lines
    assert "### Warnings" in lines


def test_what_a_capture_says_is_never_markup() -> None:
    text = markdown(
        failed(
            server_name="[x](http://evil) <img src=x> **bold** `code` @all #1 ~~gone~~ | $x$",
            findings=(finding(summary=HOSTILE, fix=(fix()._replace(command="a```\nb"),)),),
        ),
        record=capture(capture="a`b.pcap", notes=()),
    )
    assert "## `` a`b.pcap ``" in text
    assert "<img" not in text.replace("\\<", "")
    assert "](http" not in text.replace("\\]", "")
    assert "\x1b" not in text
    assert "  ````\n  a```\n  b\n  ````" in text


def test_escaped_text_keeps_its_letters() -> None:
    assert escaped("SMB 3.1.1 & co") == "SMB 3.1.1 \\& co"
