"""Captures read as one are frame by frame the file that mergecap makes of them."""

from __future__ import annotations

import gzip
import random
import shutil
import struct
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from analyzer.capture import join
from analyzer.capture.join import JoinedReader, Place
from analyzer.capture.reader import CaptureReader
from analyzer.capture.source import Limits, open_source
from analyzer.errors import CaptureError
from analyzer.pipeline import analyze
from analyzer.reading import Joined, Settings, read
from tests.capture.making import ethernet, ip4, tcp
from tests.cli.test_main import Ran

Frame = tuple[int, bytes]


@pytest.fixture(scope="session")
def mergecap() -> str:
    path = shutil.which("mergecap")
    if path is None:
        pytest.skip("needs mergecap")
    return path


def written(path: Path, times: Sequence[tuple[int, int]], mark: int) -> Path:
    """A pcap of frames at these seconds and microseconds; each says which file and frame it is."""
    data = struct.pack("<IHHIIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1)
    for number, (seconds, micro) in enumerate(times, 1):
        payload = struct.pack(">HI", mark, number) * (1 + number % 7)
        frame = ethernet(ip4(tcp(payload, sport=1024 + mark, seq=number)))
        data += struct.pack("<IIII", seconds, micro, len(frame), len(frame)) + frame
    path.write_bytes(data)
    return path


def frames(reader: JoinedReader | CaptureReader) -> list[Frame]:
    """Time and bytes of every frame; checks that frames are numbered through."""
    found: list[Frame] = []
    for table in reader.tables():
        assert table.first_frame == len(found) + 1
        for start, captured, time in zip(
            table.start.tolist(), table.captured.tolist(), table.time_ns.tolist(), strict=True
        ):
            found.append((time, table.data[start : start + captured].tobytes()))
    return found


def merged(mergecap: str, files: Sequence[Path], out: Path) -> list[Frame]:
    subprocess.run([mergecap, "-w", str(out), *map(str, files)], check=True)
    with open_source(out) as source:
        return frames(CaptureReader(source))


@pytest.mark.parametrize("seed", range(12))
def test_any_files_are_merged_as_mergecap_does(
    seed: int, mergecap: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Interleaved, one after the other, with equal times and with times that go back."""
    draw = random.Random(seed)
    monkeypatch.setattr(join, "LEAST_CHUNK", 256)
    monkeypatch.setattr(join, "TOGETHER", draw.choice([512, 4096, 1 << 20]))
    files = []
    for number in range(draw.randint(1, 6)):
        begin = draw.choice([100, 100, 103, 200])
        times = [(begin + draw.randint(0, 3), draw.randint(0, 2)) for _ in range(draw.randint(0, 120))]
        if draw.random() < 0.7:
            times.sort()
        files.append(written(tmp_path / f"{number}.pcap", times, number))
    draw.shuffle(files)
    reader = JoinedReader([str(path) for path in files], Limits())
    ours = frames(reader)
    assert ours == merged(mergecap, files, tmp_path / "whole.pcapng")
    for number, (_, data) in enumerate(ours, 1):
        mark, frame = struct.unpack_from(">HI", data, 54)
        assert reader.place(number) == Place(str(tmp_path / f"{mark}.pcap"), frame)
    assert [part.packets for part in reader.parts] == [of_one(path) for path in files]
    assert reader.summary is not None
    assert reader.summary.packets == len(ours)


def of_one(path: Path) -> int:
    with open_source(path) as source:
        return len(frames(CaptureReader(source)))


def test_of_equal_times_the_file_given_last_comes_first(tmp_path: Path) -> None:
    """wiretap/merge.c of Wireshark 4.0, is_earlier()"""
    files = [written(tmp_path / f"{number}.pcap", [(5, 0), (5, 0)], number) for number in (0, 1)]
    reader = JoinedReader([str(path) for path in files], Limits())
    assert len(frames(reader)) == 4
    assert [reader.place(number).file[-6] for number in (1, 2, 3, 4)] == ["1", "1", "0", "0"]


def test_few_files_of_a_long_ring_are_open_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = [written(tmp_path / f"{n:03d}.pcap", [(n, 0), (n, 5)], n) for n in range(300)]
    opened: list[join._Lane] = []
    most = 0
    ready = join._Lane.ready

    def counted(lane: join._Lane, chunk: int) -> bool:
        nonlocal most
        found = ready(lane, chunk)
        opened.append(lane)
        most = max(most, len({each.number for each in opened if each._source is not None}))
        return found

    monkeypatch.setattr(join._Lane, "ready", counted)
    assert len(frames(JoinedReader([str(path) for path in files], Limits()))) == 600
    assert most <= 2


def test_a_file_that_cannot_be_read_is_left_out_and_said(tmp_path: Path) -> None:
    good = written(tmp_path / "good.pcap", [(1, 0), (2, 0)], 1)
    cut = tmp_path / "cut.pcap"
    cut.write_bytes(written(cut, [(3, 0), (4, 0)], 2).read_bytes()[:-1])
    bad = tmp_path / "bad.pcap"
    bad.write_bytes(b"no capture")
    reader = JoinedReader([str(bad), str(good), str(cut), str(tmp_path / "gone")], Limits())
    assert len(frames(reader)) == 3
    assert [(part.packets, part.cut is not None, part.error is not None) for part in reader.parts] == [
        (0, False, True), (2, False, False), (1, True, False), (0, False, True),
    ]


def test_without_a_readable_file_there_is_no_capture(tmp_path: Path) -> None:
    (tmp_path / "bad.pcap").write_bytes(b"no capture")
    with pytest.raises(CaptureError, match=r"bad.pcap.*not a capture.*gone.*No such file"):
        read("x", Joined((str(tmp_path / "bad.pcap"), str(tmp_path / "gone"))), Settings())


def _ring(whole: Path, folder: Path, each: int) -> list[str]:
    editcap = shutil.which("editcap")
    if editcap is None:
        pytest.skip("needs editcap")
    subprocess.run([editcap, "-F", "pcap", "-c", str(each), str(whole), str(folder / "ring.pcap")], check=True)
    return sorted(str(path) for path in folder.glob("ring_*.pcap"))


@pytest.mark.parametrize("sample", ["context-intolerance.pcap", "preauth-integrity-failure.pcap"])
def test_a_ring_is_diagnosed_as_the_whole(
    sample: str, samples: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """And each frame of a finding is named in the file it stands in."""
    files = _ring(samples / sample, tmp_path, 3)
    whole, joined = analyze(samples / sample), analyze(files, join=True)
    same = ["tcp.stream", "client", "server", "causes", "warnings", "request_frame", "response_frame", "first_time"]
    assert joined.connections[same].to_dict() == whole.connections[same].to_dict()
    assert len(joined.captures) == 1
    done = Ran(capsys, "--join", *files, "--format", "json")
    capture, = done.captures
    assert capture["files"] == files
    for connection in capture["connections"]:
        for finding in connection["findings"]:
            assert [(files.index(place["file"]) * 3 + place["frame"]) for place in finding["places"]] == (
                finding["frames"]
            )


def test_stream_and_frame_numbers_are_those_of_the_merged_file(
    tshark: str, mergecap: str, lab: Path, tmp_path: Path
) -> None:
    """Captures of several interfaces, whose times overlap."""
    captures = [str(path) for path in sorted(lab.glob("*.pcap*"))[:12]]
    whole = tmp_path / "whole.pcapng"
    subprocess.run([mergecap, "-w", str(whole), *captures], check=True)
    columns = subprocess.run(
        [tshark, "-r", str(whole), "-Y", "smb2.cmd == 0 || smb.cmd == 0x72", "-T", "fields",
         "-e", "frame.number", "-e", "tcp.stream"], check=True, capture_output=True, text=True,
    ).stdout.split()
    theirs = sorted({(int(frame), int(stream)) for frame, stream in zip(columns[::2], columns[1::2], strict=True)})
    messages = analyze(captures, join=True).messages
    ours = sorted(set(zip(messages["frame.number"].tolist(), messages["tcp.stream"].tolist(), strict=True)))
    assert len(ours) > 10
    assert ours == theirs


def test_a_cut_file_among_them_is_said_with_its_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    good = written(tmp_path / "good.pcap", [(1, 0), (2, 0)], 1)
    cut = tmp_path / "cut.pcap"
    cut.write_bytes(written(cut, [(3, 0), (4, 0)], 2).read_bytes()[:-1])
    done = Ran(capsys, "--join", str(good), str(cut), "--format", "json")
    assert done.status == 3
    assert done.err.startswith(f"{cut}: offset ")
    notes = done.captures[0]["notes"]
    assert notes[0]["kind"] == "cut-short"
    assert str(cut) in notes[0]["text"]


def test_the_limit_of_a_compressed_file_among_them_names_its_option(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good = written(tmp_path / "good.pcap", [(1, 0), (2, 0)], 1)
    packed = tmp_path / "packed.pcap.gz"
    data = written(tmp_path / "packed.pcap", [(3, 0), (4, 0)], 2).read_bytes()
    packed.write_bytes(gzip.compress(data))
    done = Ran(capsys, "--join", str(good), str(packed), "--format", "json", "--max-decompressed", str(len(data) - 1))
    note = done.captures[0]["notes"][0]
    assert note["kind"] == "limit-reached"
    assert note["text"].startswith(f"{packed}: not read beyond offset ")
    assert note["text"].endswith("; --max-decompressed lifts it")
