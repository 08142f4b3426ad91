"""capture/pcapng_chain.py and pcapng.py: blocks in columns and lanes are those of a walk from block to block."""

from __future__ import annotations

import io
import random
import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analyzer.capture import lanes
from analyzer.capture import pcapng_chain as chains
from analyzer.capture.reader import CaptureReader
from analyzer.capture.source import open_source
from analyzer.errors import CaptureError
from tests.capture import plain_pcapng
from tests.capture.making import block, enhanced, interface, option, section

ORDERS = st.sampled_from("<>")
SIZES = st.integers(0, 60) | st.sampled_from([0, 1, 4, 100, 400])
COUNTS = st.sampled_from([0, 1, 3, 1 << 31, (1 << 63) - 1, 1 << 63, (1 << 64) - 1])


def _options(draw: st.DrawFn, order: str) -> bytes:
    parts = [
        draw(st.sampled_from([
            option(9, bytes([draw(st.sampled_from([0, 3, 6, 9, 12, 0x80 | 10, 0x80 | 34]))]), order=order),
            option(14, struct.pack(order + "q", draw(st.sampled_from([0, -5, 3600, 2**62]))), order=order),
            option(5, struct.pack(order + "Q", draw(COUNTS)), order=order),
            option(7, struct.pack(order + "Q", draw(COUNTS)), order=order),
            option(1, b"remark", order=order), option(9, b"", order=order), option(0, b"", order=order),
            struct.pack(order + "HH", 9, 60_000),
        ]))
        for _ in range(draw(st.integers(0, 3)))
    ]
    return b"".join(parts)


@st.composite
def files(draw: st.DrawFn) -> bytes:
    """Sections of either byte order with blocks of every kind, some lengths of which are wrong."""
    out: list[bytes] = []
    for _ in range(draw(st.integers(1, 4))):
        order = draw(ORDERS)
        kinds = draw(st.lists(st.sampled_from([1, 2, 3, 4, 5, 6, 6, 6, 6, 0x123, 0x0A0D0D0A]), min_size=1, max_size=30))
        out.append(section(order))
        if draw(st.booleans()):
            out.append(interface(draw(st.sampled_from([1, 101, 113])), snap=draw(st.sampled_from([0, 20])), order=order))
        for kind in kinds:
            data = random.Random(draw(st.integers(0, 9))).randbytes(draw(SIZES))
            number = draw(st.sampled_from([0, 0, 0, 1, 2, 70_000]))
            if kind == 0x0A0D0D0A:
                out.append(section(order))
            elif kind == 1:
                out.append(interface(draw(st.sampled_from([1, 101, 249])), snap=draw(st.sampled_from([0, 20])),
                                     order=order, options=_options(draw, order)))
            elif kind == 6:
                remarks = _options(draw, order) if draw(st.booleans()) else b""
                body = struct.pack(order + "IIIII", number, 0x5_0000 + number, 77, len(data), len(data) + 3)
                out.append(block(6, body + data + bytes(-len(data) % 4) + remarks, order=order))
            elif kind == 2:
                body = struct.pack(order + "HHIIII", number & 0xFFFF, 9, 0, 5, len(data), len(data))
                out.append(block(2, body + data + bytes(-len(data) % 4), order=order))
            elif kind == 3:
                out.append(block(3, struct.pack(order + "I", len(data)) + data, order=order))
            elif kind == 4:
                record = struct.pack(order + "HH", 1, 4 + 4) + bytes([10, 0, 0, number & 3]) + b"ab" + data[:1] + b"\0"
                out.append(block(4, record * draw(st.integers(0, 3)) + _options(draw, order), order=order))
            elif kind == 5:
                out.append(block(5, struct.pack(order + "III", number, 0, 0) + _options(draw, order), order=order))
            else:
                out.append(block(kind, data, order=order))
    whole = bytearray(b"".join(out))
    for _ in range(draw(st.integers(0, 2))):
        at = draw(st.integers(3, len(whole) // 4 - 1)) * 4        # it is to remain a pcapng
        value = draw(st.sampled_from([0, 1, 11, 12, 13, 16, 30, 31, 32, 33, 100, 2**31, 2**32 - 4, 2**32 - 1]))
        whole[at:at + 4] = struct.pack(draw(ORDERS) + "I", value)
    return bytes(whole[:draw(st.integers(12, len(whole)))] if draw(st.booleans()) else whole)


def read(data: bytes, chunk: int) -> plain_pcapng.Plain:
    """The same by the package."""
    reader = CaptureReader(open_source(io.BytesIO(data)), chunk)
    frames: list[plain_pcapng.Frame] = []
    try:
        for table in reader.tables():
            for begin, size, original, time, link in zip(
                    table.start, table.captured, table.original, table.time_ns, table.link_type, strict=True):
                frames.append(plain_pcapng.Frame(
                    table.data[begin:begin + size].tobytes(), int(original), int(time), int(link)))
    except CaptureError as error:
        return plain_pcapng.Plain([], {}, 0, (error.offset, error.reason))
    summary = reader.summary
    assert summary is not None
    cut = None if summary.cut is None else (summary.cut.offset, summary.cut.reason)
    return plain_pcapng.Plain(frames, summary.names, summary.drops, cut)


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lanes in chunks of any size."""
    monkeypatch.setattr(chains, "_LANED", 1)
    monkeypatch.setattr(chains, "_SMALL", 1 << 20)
    monkeypatch.setattr(chains, "_SAMPLE", 128)
    monkeypatch.setattr(chains, "_SEARCHED", 80)
    monkeypatch.setattr(chains, "_LANE_BLOCKS", 3)
    monkeypatch.setattr(chains, "_LEAST_APART", 48)
    monkeypatch.setattr(chains, "_FEWEST_LANES", 1)
    monkeypatch.setattr(lanes, "FEW", 0)
    monkeypatch.setattr(lanes, "STEPS", 4)
    monkeypatch.setattr(lanes, "LATER_STEPS", 3)


@settings(max_examples=300, deadline=None)
@given(files(), st.sampled_from([64, 100, 1000, 1 << 20]))
def test_all_at_once_is_what_one_after_the_other_is(data: bytes, chunk: int) -> None:
    expected = plain_pcapng.walk(data)
    found = read(data, chunk)
    if not expected.frames and expected.cut is not None:     # not a single frame: nothing else is told
        assert found.cut == expected.cut
    else:
        assert found == expected


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("turns", [False, True])
def test_lanes_never_change_the_chain(*, turns: bool) -> None:
    """Sections of one or both byte orders, cut, damaged, and frames full of blocks."""
    chance = random.Random(8)
    for turn in range(300):
        parts = []
        for _ in range(chance.randrange(1, 6)):
            order = chance.choice("<>") if turn % 2 else "<"
            inner = enhanced(b"inner", 3, order=chance.choice("<>"))
            parts.append(section(order) + interface(1, order=order))
            parts += [
                chance.choice((block(0x77, b"", order=order), enhanced(inner * chance.randrange(4), 5, order=order),
                               enhanced(chance.randbytes(chance.randrange(40)), 5, order=order)))
                for _ in range(chance.randrange(60))
            ]
        body = bytearray(b"".join(parts))
        if turn % 3 == 1:
            del body[chance.randrange(len(body)):]
        elif turn % 3 == 2:
            for at in chance.sample(range(len(body)), 4):
                body[at] = chance.randrange(256)
            at = chance.randrange(len(body) // 4) * 4
            body[at : at + 4] = struct.pack("<I", chance.choice((0, 0, 4, 13, 30, len(body), 2**32 - 4)))
        chunk = np.frombuffer(body, np.uint8)
        found, plain = chains.blocks(chunk, big=False, turns=turns), chains._one_by_one(chunk, 0, big=False)
        assert np.array_equal(found.at, plain.at)
        assert np.array_equal(found.big, plain.big)


@pytest.mark.parametrize("unit", [
    block(0x123, b""), section() + section(">"), section(">") + interface(order=">") + enhanced(b"", 1, order=">"),
    block(0x123, b"") * 50 + block(0x124, bytes(90_000)),
])
def test_long_ones_are_walked_in_lanes_and_the_same(unit: bytes) -> None:
    chunk = np.frombuffer(section() + unit * (3_000_000 // len(unit)), np.uint8)
    plain = chains._one_by_one(chunk, 0, big=False)
    found = chains.blocks(chunk, big=False, turns=False)
    assert np.array_equal(found.at, plain.at)
    assert np.array_equal(found.big, plain.big)
    if len(unit) < 1000:
        sample = chains._one_by_one(chunk[:chains._SAMPLE], 0, big=False)
        starts = chains._lane_starts(chunk, sample, big=False)
        assert np.isin(starts.start << 2, plain.at).all()
        assert chains._side_by_side(chunk, starts) is not None


@pytest.mark.parametrize("total", [0, 4, 13, 31, 2**32 - 1])
def test_a_length_that_no_block_has_holds_nobody_up(total: int) -> None:
    """Lanes that come to it, in three places of a large chunk."""
    unit = block(0x123, bytes(60))
    body = bytearray(section() + unit * 40_000)
    for place in (5_000, 20_000, 39_000):
        at = len(section()) + place * len(unit)
        body[at + 4 : at + 8] = struct.pack("<I", total)
    chunk = np.frombuffer(body, np.uint8)
    found, plain = chains.blocks(chunk, big=False, turns=False), chains._one_by_one(chunk, 0, big=False)
    assert np.array_equal(found.at, plain.at)


def test_sound_blocks_in_one_order_are_walked_in_lanes() -> None:
    """Of either order, and sizes that differ."""
    for order in "<>":
        units = b"".join(enhanced(bytes(size), 5, order=order) for size in (1400, 0, 60, 700))
        chunk = np.frombuffer(section(order) + interface(order=order) + units * 1500, np.uint8)
        big = order == ">"
        sample = chains._one_by_one(chunk[:chains._SAMPLE], 0, big=big)
        found = chains._in_one_order(chunk, chains._lane_starts(chunk, sample, big=big))
        assert found is not None
        plain = chains._one_by_one(chunk, 0, big=big)
        assert np.array_equal(found.at, plain.at)
        assert np.array_equal(found.big, plain.big)
