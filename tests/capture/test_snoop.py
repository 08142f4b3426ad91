"""capture/snoop.py: records of RFC 1761."""

import struct

import pytest

from analyzer.errors import CaptureError
from tests.capture.making import frames_of, read, same


def snoop(*frames: bytes, link_type: int = 4) -> bytes:
    """A snoop capture; each record is padded by its length modulo four, and counts three losses more."""
    data = b"snoop\0\0\0" + struct.pack(">II", 2, link_type)
    for number, frame in enumerate(frames):
        pad = bytes(-len(frame) % 4)
        data += struct.pack(">6I", len(frame) + 9, len(frame), 24 + len(frame) + len(pad), 3 * number, number, 7)
        data += frame + pad
    return data


def test_frames_times_and_losses() -> None:
    tables, summary = read(snoop(b"one", b"", b"three"))
    assert frames_of(tables) == [b"one", b"", b"three"]
    assert same(tables[0].original, [12, 9, 14])
    assert same(tables[0].time_ns, [7000, 10**9 + 7000, 2 * 10**9 + 7000])
    assert same(tables[0].link_type, [1, 1, 1])
    assert (summary.format, summary.drops, summary.cut) == ("snoop", 6, None)


def test_a_datalink_without_a_linktype_is_said_to_be_another() -> None:
    tables, _ = read(snoop(b"x", link_type=7))
    assert same(tables[0].link_type, [0x20007])


@pytest.mark.parametrize("cut", range(17, 16 + 28 + 32))
def test_a_cut_capture_keeps_its_whole_records(cut: int) -> None:
    data = snoop(b"one", b"three 78")
    if cut < 44:
        with pytest.raises(CaptureError, match="offset 16: cut in the middle of a record"):
            read(data[:cut])
        return
    tables, summary = read(data[:cut])
    assert frames_of(tables) == [b"one"]
    assert (summary.cut is None) == (cut == 44)
    if summary.cut is not None:
        assert summary.cut.offset == 44


@pytest.mark.parametrize(("size", "captured"), [(0, 3), (23, 0), (26, 3), (400_000, 300_000)])
def test_a_broken_record_ends_the_capture(size: int, captured: int) -> None:
    tables, summary = read(snoop(b"good") + struct.pack(">6I", 9, captured, size, 0, 0, 0) + bytes(500_000))
    assert frames_of(tables) == [b"good"]
    assert summary.cut is not None
    assert summary.cut == (44, f"a record of {size} bytes that claims {captured} bytes of frame", "")
