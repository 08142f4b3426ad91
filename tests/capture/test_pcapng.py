"""capture/pcapng.py: frames, names and losses, whatever the sections and interfaces."""

import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzer.capture.pcapng import MAX_BLOCK, PcapngWalker
from analyzer.errors import CaptureError
from tests.capture.making import block, enhanced, frames_of, interface, option, read, same, section


def test_sections_of_both_byte_orders_and_several_interfaces() -> None:
    data = b"".join([
        section(), interface(1), interface(113, snap=96), enhanced(b"one", 1_000_001), enhanced(b"two", 5, number=1),
        section(">"), interface(101, order=">"), enhanced(b"three", 7, order=">", original=1500),
        section(), interface(276), enhanced(b"four", 9),
    ])
    tables, summary = read(data)
    assert frames_of(tables) == [b"one", b"two", b"three", b"four"]
    table, = tables
    assert same(table.link_type, [1, 113, 101, 276])
    assert same(table.time_ns, [1_000_001_000, 5_000, 7_000, 9_000])
    assert same(table.original, [3, 3, 1500, 4])
    assert (summary.format, summary.packets, summary.cut) == ("pcapng", 4, None)
    assert summary.link_types == (1, 101, 113, 276)


@pytest.mark.parametrize(("resolution", "ticks", "nanoseconds"), [
    (6, 1_500_000_123_456, 1_500_000_123_456_000), (9, 1_500_000_123_456_789, 1_500_000_123_456_789),
    (0, 1_700_000_000, 1_700_000_000 * 10**9), (3, 1_700_000_000_123, 1_700_000_000_123 * 10**6),
    (12, 1_500_000_123_456_789, 1_500_000_123_456), (19, 10**19 + 10**10, 10**9 + 1), (127, 2**60, 0),
    (0x80 | 0, 5, 5 * 10**9), (0x80 | 10, (7 << 10) + 512, 7_500_000_000),
    (0x80 | 32, (1_700_000_000 << 32) + (1 << 31), 1_700_000_000_500_000_000),
    (0x80 | 33, (1_700_000_000 << 33) + 1, 1_700_000_000_000_000_000), (0x80 | 63, 3 << 61, 750_000_000),
    (0x80 | 64, 1 << 63, 500_000_000),
])
def test_every_time_resolution(resolution: int, ticks: int, nanoseconds: int) -> None:
    """if_tsresol: a power of ten, or of two where the high bit is set."""
    options = option(9, bytes([resolution])) + option(0, b"")
    tables, _ = read(section() + interface(options=options) + enhanced(b"x", ticks))
    assert same(tables[0].time_ns, [nanoseconds])


def test_an_offset_in_seconds_is_added() -> None:
    options = option(14, struct.pack("<q", -30)) + option(1, b"comment")
    tables, _ = read(section() + interface(options=options) + enhanced(b"x", 90_000_000))
    assert same(tables[0].time_ns, [60 * 10**9])


def test_simple_and_obsolete_packet_blocks() -> None:
    """A simple block has no time and ends at the snap length; the first interface is its own."""
    simple = block(3, struct.pack("<I", 9) + b"123456")
    old = block(2, struct.pack("<HHIIII", 1, 0xFFFF, 0, 77, 3, 60) + b"old\0")
    data = section() + interface(101, snap=6) + interface(1) + simple + old + enhanced(b"new", 80)
    tables, summary = read(data)
    assert frames_of(tables) == [b"123456", b"old", b"new"]
    assert same(tables[0].original, [9, 60, 3])
    assert same(tables[0].time_ns, [0, 77_000, 80_000])
    assert same(tables[0].link_type, [101, 1, 101])
    assert (summary.first_ns, summary.last_ns, summary.snapped) == (77_000, 80_000, 2)


def test_names_losses_comments_and_blocks_nobody_knows() -> None:
    names = block(4, option(1, bytes([10, 0, 0, 9]) + b"filer\0filer.example\0")
                  + option(2, bytes(15) + b"\x01one\0") + option(9, b"unknown") + option(0, b""))
    def lost(number: int, dropped: int, system: int) -> bytes:
        return block(5, struct.pack("<III", number, 0, 0) + option(1, b"comment")
                     + option(5, struct.pack("<Q", dropped)) + option(7, struct.pack("<Q", system)))
    data = b"".join([
        section(), interface(), interface(), names, block(0x0BAD, b"a vendor's own"), block(0x80001234, b""),
        lost(0, 1, 1), lost(0, 5, 2), lost(1, 10, 2**64 - 1),
        enhanced(b"frame", options=option(1, b"a comment") + option(0, b"")),
    ])
    tables, summary = read(data)
    assert frames_of(tables) == [b"frame"]
    assert summary.names == {bytes([10, 0, 0, 9]): "filer", bytes(15) + b"\x01": "one"}
    assert summary.drops == 5 + 2 + 10


def test_a_frame_of_an_undeclared_interface_has_no_link_type() -> None:
    tables, _ = read(section() + interface() + enhanced(b"known") + enhanced(b"lost", number=7))
    assert same(tables[0].link_type, [1, -1])


def test_a_total_length_is_rounded_up_as_wireshark_does() -> None:
    odd = bytearray(enhanced(b"12345", options=b""))
    struct.pack_into("<I", odd, 4, len(odd) - 3)
    struct.pack_into("<I", odd, len(odd) - 4, len(odd) - 3)
    tables, summary = read(section() + interface() + enhanced(b"a") + bytes(odd) + enhanced(b"b"))
    assert frames_of(tables) == [b"a", b"12345", b"b"]
    assert summary.cut is None


@pytest.mark.parametrize(("bad", "reason"), [
    (struct.pack("<II", 6, 0) + bytes(24), "a block (type 0x6) of 0 bytes"),
    (struct.pack("<II", 6, 28) + bytes(24), "a block (type 0x6) of 28 bytes"),
    (struct.pack("<II", 0x99, 8) + bytes(24), "a block (type 0x99) of 8 bytes"),
    (struct.pack("<II", 0x99, 0xFFFFFFFC) + bytes(24), "a block (type 0x99) of 4294967292 bytes"),
    (struct.pack("<II", 6, MAX_BLOCK + 4) + bytes(24), f"a block (type 0x6) of {MAX_BLOCK + 4} bytes"),
    (struct.pack("<III", 0x0A0D0D0A, 28, 7) + bytes(24), "a section header without a byte-order magic"),
    (enhanced(b"x")[:-4] + bytes(4), "a block whose lengths differ: 36 before, 0 after"),
    (block(0x99, b"1234")[:-4] + bytes(4), "a block whose lengths differ: 16 before, 0 after"),
    (block(6, struct.pack("<IIIII", 0, 0, 0, 5, 5) + b"1234"), "a packet block of 36 bytes that claims 5 bytes of frame"),
    (block(6, struct.pack("<IIIII", 0, 0, 0, 2**32 - 1, 5) + b"1234"),
     "a packet block of 36 bytes that claims 4294967295 bytes of frame"),
])
def test_a_broken_block_ends_the_capture_there(bad: bytes, reason: str) -> None:
    good = section() + interface() + enhanced(b"good")
    tables, summary = read(good + bad + enhanced(b"never seen"))
    assert frames_of(tables) == [b"good"]
    assert summary.cut is not None
    assert summary.cut == (len(good), reason, "")
    with pytest.raises(CaptureError, match="offset 48: "):
        read(section() + interface() + bad)


def test_a_capture_without_frames_is_sound_and_a_cut_one_is_not() -> None:
    tables, summary = read(section() + interface())
    assert (tables, summary.packets, summary.cut, summary.first_ns) == ([], 0, None, None)
    with pytest.raises(CaptureError, match="offset 48: cut in the middle of a record: 20 of 36 bytes"):
        read((section() + interface() + enhanced(b"x"))[:68])


PIECES = st.sampled_from([
    section(), section(">"), interface(), interface(order=">"), interface(113, snap=3, options=option(9, b"\x09")),
    enhanced(b"frame"), enhanced(b"other", 77, number=1), enhanced(b"big", order=">"), block(3, struct.pack("<I", 2) + b"ab"),
    block(2, struct.pack("<HHIIII", 0, 0, 0, 77, 3, 60) + b"old\0"), block(5, bytes(12)), block(4, b""), block(0xBAD, b"x" * 9),
])


@given(st.lists(PIECES, max_size=12), st.data())
def test_pieces_give_what_the_whole_gives(blocks: list[bytes], data: st.DataObject) -> None:
    """However a file is divided into chunks, its frames are the same, and so is where it breaks."""
    records = section() + b"".join(blocks)
    whole = PcapngWalker().walk(np.frombuffer(records, np.uint8))
    walker, begin, end = PcapngWalker(), 0, 0
    starts: list[int] = []
    times: list[int] = []
    broken = ""
    while end < len(records) and not broken:
        end = min(len(records), end + data.draw(st.integers(1, 80)))
        walked = walker.walk(np.frombuffer(records[begin:end], np.uint8))
        starts += (walked.start + begin).tolist()
        times += walked.time_ns.tolist()
        begin += walked.consumed
        broken = walked.broken
    assert starts == whole.start.tolist()
    assert times == whole.time_ns.tolist()
    assert (begin, broken) == (whole.consumed, whole.broken)
