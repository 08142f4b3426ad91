"""capture/netmon.py: frames by the table at the end, or one after the other where it cannot be reached."""

import gzip
import struct

import pytest

from analyzer.errors import CaptureError
from tests.capture.making import frames_of, read, same

BEGAN = struct.pack("<8H", 2026, 11, 0, 22, 10, 0, 1, 500)       # 2026-11-22T10:00:01.5
BEGAN_NS = 1_795_341_601_500_000_000
FILETIME = (11_644_473_600 + 1_795_341_700) * 10_000_000


def netmon(*frames: tuple[bytes, int], minor: int = 3, hole: int = 0, major: int = 2) -> bytes:
    """A capture of frames with their network types; `hole` bytes before each."""
    trailer = {(2, 1): "<H", (2, 2): "<H4x", (2, 3): "<H4xQx"}.get((major, minor), "")
    body, table = b"", b""
    for number, (frame, network) in enumerate(frames):
        body += b"\xaa" * hole
        table += struct.pack("<I", 128 + len(body))
        if major == 1:
            body += struct.pack("<IHH", number, len(frame) + 5, len(frame)) + frame
        else:
            body += struct.pack("<qII", number, len(frame) + 5, len(frame)) + frame
        if trailer:
            body += struct.pack(trailer, network, *([FILETIME + number] if minor == 3 else []))
    head = (b"GMBU" if major == 2 else b"RTSS") + struct.pack("<BBH", minor, major, 1) + BEGAN
    return (head + struct.pack("<II", 128 + len(body), len(table))).ljust(128, b"\0") + body + table


FRAMES = ((b"one", 1), (b"", 1), (b"three", 0xE071))


@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["sought", "compressed"])
@pytest.mark.parametrize(("major", "minor"), [(1, 1), (2, 0), (2, 1), (2, 2), (2, 3)])
def test_every_version(pack: type[bytes], major: int, minor: int) -> None:
    tables, summary = read(pack(netmon(*FRAMES, minor=minor, major=major)))
    assert frames_of(tables) == [b"one", b"", b"three"]
    table, = tables
    assert same(table.original, [8, 5, 10])
    step = 1_000_000 if major == 1 else 1000
    times = [BEGAN_NS + step * number for number in range(3)]
    assert same(table.time_ns, [1_795_341_700 * 10**9 + 100 * n for n in range(3)] if minor == 3 else times)
    assert same(table.link_type, [1, 1, 113] if (major, minor) >= (2, 1) else [1, 1, 1])
    assert (summary.format, summary.cut, summary.packets) == ("netmon", None, 3)


def test_the_frame_table_counts_where_it_can_be_read() -> None:
    tables, summary = read(netmon(*FRAMES, hole=13))
    assert frames_of(tables) == [b"one", b"", b"three"]
    assert summary.cut is None


def test_network_types() -> None:
    """Raw IP, 802.11, an unknown one; metadata is no frame and is not numbered."""
    tables, _ = read(netmon((b"a", 9), (b"b", 6), (b"meta", 0xFFFD), (b"c", 0xFFE0), (b"d", 0xE080)))
    assert frames_of(tables) == [b"a", b"b", b"c", b"d"]
    assert same(tables[0].link_type, [101, 0x10006, 0x1FFE0, 105])


def test_broken_tables_and_records() -> None:
    data = netmon(*FRAMES)
    with pytest.raises(CaptureError, match="the frame table of this Network Monitor capture is missing"):
        read(data[:-12])
    with pytest.raises(CaptureError, match="the frame table of this Network Monitor capture is not in order"):
        read(data[:-12] + data[-4:] + data[-8:-4] + data[-12:-8])
    large = bytearray(data)
    struct.pack_into("<I", large, 128 + 34 + 12, 300_000)
    tables, summary = read(bytes(large))
    assert frames_of(tables) == [b"one"]
    assert summary.cut is not None
    assert summary.cut == (128 + 34, "a record of 300000 bytes; the largest frame has 262144", "")
    with pytest.raises(CaptureError, match="Network Monitor version 3"):
        read(data[:5] + b"\3" + data[6:])
