"""capture/pcap.py: where the frames of a classic capture lie."""

import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzer.capture.pcap import MAX_FRAME, PcapWalker
from analyzer.errors import CaptureError
from tests.capture.making import frames_of, pcap, read, same

FRAMES = [b"first", b"", b"the third frame", b"4"]


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(("magic", "extra", "unit"), [
    (0xA1B2C3D4, b"", 1000), (0xA1B23C4D, b"", 1), (0xA1B2CD34, bytes(8), 1000),
])
def test_every_byte_order_and_resolution(order: str, magic: int, extra: bytes, unit: int) -> None:
    tables, summary = read(pcap([*FRAMES, (b"snapped", 1500)], order=order, magic=magic, extra=extra))
    assert frames_of(tables) == [*FRAMES, b"snapped"]
    table, = tables
    assert table.first_frame == 1
    assert same(table.original, [5, 0, 15, 1, 1500])
    assert same(table.time_ns, [second * 10**9 + 7 * unit for second in range(5)])
    assert same(table.link_type, [1] * 5)
    assert (summary.format, summary.packets, summary.cut, summary.snapped) == ("pcap", 5, None, 1)
    assert (summary.first_ns, summary.last_ns) == (7 * unit, 4 * 10**9 + 7 * unit)


def test_before_version_2_3_the_lengths_are_exchanged() -> None:
    data = bytearray(pcap([(b"snapped", 1500)]))
    struct.pack_into("<H", data, 6, 2)
    struct.pack_into("<II", data, 24 + 8, 1500, 7)
    tables, _ = read(bytes(data))
    assert frames_of(tables) == [b"snapped"]
    assert same(tables[0].original, [1500])


def test_the_upper_half_of_the_link_type_is_not_part_of_it() -> None:
    tables, _ = read(pcap([b"x"], link_type=0x5400_0001))
    assert same(tables[0].link_type, [1])


@pytest.mark.parametrize("cut", range(24, 24 + 3 * 16 + 20))
def test_a_cut_capture_keeps_its_whole_records(cut: int) -> None:
    data = pcap(FRAMES[:3])
    ends = [24, 24 + 21, 24 + 37, 24 + 68]
    whole = sum(end <= cut for end in ends) - 1
    if not whole and cut > 24:
        with pytest.raises(CaptureError, match=rf"offset 24: cut in the middle of a record: {cut - 24} of"):
            read(data[:cut])
        return
    tables, summary = read(data[:cut])
    assert frames_of(tables) == FRAMES[:whole]
    if cut in ends:
        assert summary.cut is None
    else:
        assert summary.cut is not None
        assert summary.cut.offset == ends[whole]
        assert summary.cut.reason.startswith("cut in the middle of a record: ")


def test_a_length_that_no_frame_has_ends_the_capture_there() -> None:
    good = pcap(FRAMES)
    data = good + struct.pack("<IIII", 9, 9, MAX_FRAME + 1, 60) + pcap(FRAMES)[24:] + bytes(MAX_FRAME)
    tables, summary = read(data)
    assert frames_of(tables) == FRAMES
    assert summary.cut is not None
    assert summary.cut.offset == len(good)
    assert summary.cut.reason == f"a record of {MAX_FRAME + 1} bytes; the largest frame has {MAX_FRAME}"


@pytest.mark.parametrize(("at", "value", "reason"), [
    (4, 1, "offset 4: pcap version 1.4 is not known"), (6, 9, "offset 4: pcap version 2.9 is not known"),
])
def test_other_versions_are_not_guessed(at: int, value: int, reason: str) -> None:
    data = bytearray(pcap(FRAMES))
    struct.pack_into("<H", data, at, value)
    with pytest.raises(CaptureError, match=reason):
        read(bytes(data))


@given(st.lists(st.binary(max_size=40), max_size=12), st.data())
def test_pieces_give_what_the_whole_gives(frames: list[bytes], data: st.DataObject) -> None:
    """A walk goes on at `consumed`, wherever the file was divided, and asks for no more than is missing."""
    records = pcap(frames)
    walker = PcapWalker(records[:24])
    found, begin, end = [], 24, 24
    while end < len(records) or begin < end:
        end = min(len(records), end + data.draw(st.integers(1, 60)))
        piece = np.frombuffer(records[begin:end], np.uint8)
        walked = walker.walk(piece)
        assert not walked.broken
        found += [
            piece[at:at + size].tobytes()
            for at, size in zip(walked.start.tolist(), walked.captured.tolist(), strict=True)
        ]
        begin += walked.consumed
        if begin < end:
            assert end - begin < walked.need <= len(records) - begin
    assert found == frames
