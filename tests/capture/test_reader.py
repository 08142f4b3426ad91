"""capture/reader.py: every format to the same tables, and what is no capture."""

import gzip
import io
import random
import struct
from pathlib import Path

import numpy as np
import pytest

from analyzer.capture import reader
from analyzer.capture.reader import CaptureReader
from analyzer.capture.source import Limits, open_source
from analyzer.errors import CaptureError
from tests.capture.making import enhanced, frames_of, interface, pcap, read, section

FRAMES = [random.Random(size).randbytes(size) for size in (0, 60, 1514, 9000, 3, 60, 700)]


@pytest.mark.parametrize("chunk", [64, 100, 1000, 1 << 16])
def test_chunks_of_any_size_give_the_same(monkeypatch: pytest.MonkeyPatch, chunk: int) -> None:
    """A record larger than the chunk makes it grow; frame numbers go on from one chunk to the next."""
    ng = section() + interface() + b"".join(enhanced(frame, 5) for frame in FRAMES)
    for data in (pcap(FRAMES), ng):
        whole = frames_of(read(data)[0])
        monkeypatch.setattr(reader, "CHUNK", chunk)
        tables, summary = read(data)
        monkeypatch.undo()
        assert whole == FRAMES
        assert frames_of(tables) == FRAMES
        assert [table.first_frame for table in tables] == (
            1 + np.cumsum([0, *(table.rows for table in tables)])[:-1]
        ).tolist()
        assert (summary.packets, summary.cut) == (len(FRAMES), None)


def test_fewer_bytes_are_read_at_a_time_where_frames_are_small(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first chunk tells how large they are; the rest is the same, whatever is read at a time."""
    frames = [bytes([number % 256]) * 60 for number in range(2000)] + FRAMES
    monkeypatch.setattr(reader, "CHUNK", 50_000)
    monkeypatch.setattr(reader, "LEAST", 5_000)
    monkeypatch.setattr(reader, "_FRAMES", 100)
    tables, summary = read(pcap(frames))
    assert frames_of(tables) == frames
    assert summary.packets == len(frames)
    rows = [table.rows for table in tables]
    assert rows[0] == 657
    assert set(rows[1:12]) <= {100, 101}


@pytest.mark.parametrize(("data", "reason"), [
    (b"", "offset 0: empty file (0 bytes)"),
    (b"hello world, this is text", "offset 0: not a capture: it begins with 68 65 6c 6c 6f 20 77 6f"),
    (b"\xd4\xc3\xb2\xa1\x02\x00", "offset 0: pcap header is cut short: 6 of 24 bytes"),
    (b"\xd4", "offset 0: not a capture: it begins with d4"),
    (section()[:20], "offset 0: cut in the middle of a record: 20 of 28 bytes"),
    (b"snoop\0\0\0\0\0\0\2", "offset 0: snoop header is cut short: 12 of 16 bytes"),
    (b"snoop\0\0\0\0\0\0\3\0\0\0\4", "offset 8: snoop version 3 is not known"),
    (b"GMBU\0\2", "offset 0: Network Monitor header is cut short: 6 of 128 bytes"),
    (struct.pack("<I", 65536) + bytes(70) + b"\2\xc0" + bytes(60),
     "offset 0: a Windows event trace (.etl): convert it with etl2pcapng, then read the result"),
    (gzip.compress(b""), "offset 0: empty file (0 bytes)"),
    (gzip.compress(b"text that is no capture"), "offset 0: not a capture: it begins with 74 65 78 74 20 74 68 61"),
    (gzip.compress(pcap([b"x"]))[:11], "offset 0: gzip data end in the middle (byte 11 of the compressed file)"),
])
def test_what_is_no_capture_is_named_with_its_place(data: bytes, reason: str) -> None:
    with pytest.raises(CaptureError) as error:
        read(data)
    assert str(error.value) == reason


def test_an_event_trace_is_also_known_by_its_name(tmp_path: Path) -> None:
    path = tmp_path / "Trace.ETL"
    path.write_bytes(bytes(100))
    with open_source(path) as source, pytest.raises(CaptureError, match="convert it with etl2pcapng"):
        list(CaptureReader(source).tables())


def test_a_cut_compressed_capture_keeps_its_whole_records() -> None:
    data = gzip.compress(pcap(FRAMES))
    tables, summary = read(data[:-3000])
    found = frames_of(tables)
    assert 2 < len(found) < len(FRAMES)
    assert found == FRAMES[:len(found)]
    assert summary.cut is not None
    assert summary.cut.offset == 24 + sum(16 + len(frame) for frame in found)
    assert summary.cut.reason == f"gzip data end in the middle (byte {len(data) - 3000} of the compressed file)"
    assert (summary.compression, summary.packets) == ("gzip", len(found))


def test_a_wrong_checksum_leaves_every_frame() -> None:
    data = bytearray(gzip.compress(pcap(FRAMES)))
    data[-8] ^= 1
    tables, summary = read(bytes(data))
    assert frames_of(tables) == FRAMES
    assert summary.cut is not None
    assert summary.cut.offset == len(pcap(FRAMES))
    assert summary.cut.reason.startswith("gzip data have a wrong checksum")


def test_the_option_that_lifts_a_limit_is_named() -> None:
    tables, summary = read(gzip.compress(pcap(FRAMES)), Limits(max_decompressed=2000))
    assert frames_of(tables) == FRAMES[:3]
    assert summary.cut is not None
    assert summary.cut.option == "--max-decompressed"


def test_records_without_bytes_are_walked_in_bounded_memory() -> None:
    data = pcap([]) + bytes(16) * 100_000
    tables, summary = read(data)
    assert summary.packets == 100_000
    assert sum(table.rows for table in tables) == 100_000


def test_any_mutation_ends_in_a_summary_or_a_capture_error() -> None:
    """Bytes changed, cut and doubled: never another exception, and frames always lie in the data."""
    chance = random.Random(3)
    seeds = [
        pcap(FRAMES), pcap(FRAMES, order=">"), gzip.compress(pcap(FRAMES)),
        section() + interface() + b"".join(enhanced(frame, 5) for frame in FRAMES[:3]),
    ]
    for turn in range(1500):
        data = bytearray(seeds[turn % len(seeds)])
        for _ in range(chance.randrange(1, 5)):
            at = chance.randrange(min(len(data), chance.choice((60, len(data)))))
            data[at:at + chance.choice((1, 4))] = chance.choice((b"\0\0\0\0", b"\xff\xff\xff\xff", b"\x80", b"\1\0\0\0", b""))
        capture = CaptureReader(open_source(io.BytesIO(bytes(data[:chance.randrange(1, len(data) + 1)]))))
        try:
            for table in capture.tables():
                assert (table.start >= 0).all()
                assert (table.captured >= 0).all()
                assert (table.start + table.captured <= len(table.data)).all()
        except CaptureError:
            pass
        else:
            assert capture.summary is not None
