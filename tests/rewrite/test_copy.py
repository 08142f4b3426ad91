"""Copies of captures: the same packets and everything beside them, with comments."""

from __future__ import annotations

import io
import subprocess
from pathlib import Path

import pytest

from analyzer.capture.reader import CaptureReader
from analyzer.capture.source import open_source
from analyzer.rewrite.copy import copy_capture
from analyzer.rewrite.notes import FrameNotes
from tests.captures import FORMATS, every_capture, pcapng, read


def copied(capture: bytes, comments: dict[int, str]) -> bytes:
    out = io.BytesIO()
    with FrameNotes() as notes, open_source(io.BytesIO(capture)) as source:
        for frame, text in comments.items():
            notes.add(text, (frame,))
        copy_capture(CaptureReader(source), out, notes)
    return out.getvalue()


def shown(tshark: str, path: Path, *fields: str) -> list[str]:
    command = [tshark, "-r", str(path), "-T", "fields"]
    for field in fields:
        command += ["-e", field]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_keeps_bytes_and_times(name: str, samples: Path, tshark: str, tmp_path: Path) -> None:
    before, after = tmp_path / "before", tmp_path / "after.pcapng"
    before.write_bytes(FORMATS[name](read(samples / "ok-multi-protocol.pcapng")))
    after.write_bytes(copied(before.read_bytes(), {1: "first", 3: "two\nlines, ünïcode"}))
    fields = ["frame.time_epoch", "frame.len", "frame.cap_len", "tcp.payload", "tcp.stream"]
    if not name.startswith("pcap-"):     # a pcap has no interfaces to number
        fields.append("frame.interface_id")
    assert shown(tshark, after, *fields) == shown(tshark, before, *fields)
    comments = shown(tshark, after, "frame.comment")
    assert comments[0] == "first"
    assert [number for number, text in enumerate(comments, 1) if text] == [1, 3]


def test_a_comment_is_expert_information(samples: Path, tshark: str, tmp_path: Path) -> None:
    path = tmp_path / "after.pcapng"
    path.write_bytes(copied((samples / "no-common-dialect.pcap").read_bytes(), {4: "look here"}))
    found = subprocess.run(
        [tshark, "-r", str(path), "-Y", 'frame.comment == "look here" && _ws.expert', "-T", "fields", "-e", "frame.number"],
        capture_output=True, text=True, check=True,
    ).stdout
    assert found.split() == ["4"]


@pytest.mark.parametrize("folder", ["samples", "lab"])
def test_without_comments_a_pcapng_is_what_it_was(folder: str, request: pytest.FixtureRequest) -> None:
    for path in every_capture(request.getfixturevalue(folder)):
        if path.suffix == ".pcapng":
            assert copied(path.read_bytes(), {}) == without_length(path.read_bytes()), path.name


def without_length(data: bytes) -> bytes:
    """The first section header does not tell its length."""
    return data[:16] + b"\xff" * 8 + data[24:]


def test_comments_and_names_that_were_there_stay(samples: Path, tshark: str, tmp_path: Path) -> None:
    once = copied((samples / "ok-nanoseconds-and-names.pcapng").read_bytes(), {2: "mine"})
    path = tmp_path / "twice.pcapng"
    path.write_bytes(copied(once, {2: "yours"}))
    assert shown(tshark, path, "frame.comment")[1] == "mine,yours"
    names = [shown(tshark, place, "ip.src_host", "ip.dst_host") for place in (path, samples / "ok-nanoseconds-and-names.pcapng")]
    assert names[0] == names[1]


def test_a_packet_without_room_for_options_gets_some(samples: Path, tshark: str, tmp_path: Path) -> None:
    """Simple packet blocks."""
    capture = read(samples / "tcp-refused.pcap")
    head = pcapng(capture.with_frames([]))
    body = b"".join(
        b"\3\0\0\0" + size + len(frame.data).to_bytes(4, "little") + frame.data + bytes(-len(frame.data) % 4) + size
        for frame in capture.frames
        for size in [(16 + len(frame.data) + -len(frame.data) % 4).to_bytes(4, "little")]
    )
    path = tmp_path / "after.pcapng"
    path.write_bytes(copied(head + body, {1: "simple"}))
    assert shown(tshark, path, "frame.comment", "tcp.flags")[0].split("\t")[0] == "simple"
    assert len(shown(tshark, path, "frame.number")) == len(capture.frames)


def test_what_precedes_a_cut_is_copied(samples: Path) -> None:
    whole = (samples / "ok-multi-protocol.pcapng").read_bytes()
    for cut in range(600, 1400, 37):
        assert without_length(whole).startswith(copied(whole[:cut], {}))
