"""Segments -> byte stream: by hand, against a byte-by-byte model, and any cut of a text back to it."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzer.tcp.connection import ByteStream, Gap, Run
from analyzer.tcp.reassembly import Piece, _paint, _Part, _sorted, _walk, reassemble


def pieces(*given: tuple[int, bytes] | tuple[int, bytes, int]) -> list[Piece]:
    """(offset, data captured, bytes cut off by the capture), frames 1, 2, ... and times ten times that."""
    return [
        Piece(item[0], len(item[1]) + (item[2] if len(item) > 2 else 0), i, 10 * i, item[1])
        for i, item in enumerate(given, 1)
    ]


def holes(stream: ByteStream) -> list[tuple[int, int, bool]]:
    return [(gap.start, gap.end, gap.snapped) for gap in stream.gaps]


def runs(stream: ByteStream) -> list[tuple[int, bytes]]:
    return [(run.start, run.data) for run in stream.runs]


@pytest.mark.parametrize(
    ("given", "end", "expected", "gaps", "disagreeing"),
    [
        pytest.param([(0, b"ab"), (2, b"cd")], 0, [(0, b"abcd")], [], (), id="in order"),
        pytest.param([(2, b"cd"), (0, b"ab")], 0, [(0, b"abcd")], [], (), id="out of order"),
        pytest.param([(0, b"ab"), (0, b"ab"), (2, b"c")], 0, [(0, b"abc")], [], (), id="retransmitted"),
        pytest.param([(0, b"ab"), (0, b"abcd")], 0, [(0, b"abcd")], [], (), id="retransmitted with more"),
        pytest.param([(0, b"abc"), (1, b"XYZ")], 0, [(0, b"abcZ")], [], (2,), id="the first copy wins"),
        pytest.param([(2, b"cd"), (0, b"abX")], 0, [(0, b"abcd")], [], (2,), id="the first copy wins, behind too"),
        pytest.param([(0, b"a"), (3, b"d"), (1, b"bc")], 0, [(0, b"abcd")], [], (), id="a hole is filled"),
        pytest.param([(0, b"a"), (3, b"d")], 0, [(0, b"a"), (3, b"d")], [(1, 3, False)], (), id="a hole stays"),
        pytest.param([(2, b"c")], 0, [(2, b"c")], [(0, 2, False)], (), id="the beginning is missing"),
        pytest.param([(0, b"a")], 4, [(0, b"a")], [(1, 4, False)], (), id="the end is missing"),
        pytest.param([], 4, [], [(0, 4, False)], (), id="everything is missing"),
        pytest.param([], 0, [], [], (), id="nothing was sent"),
        pytest.param([(0, b"a", 3)], 0, [(0, b"a")], [(1, 4, True)], (), id="snapped"),
        pytest.param([(0, b"a", 3), (4, b"e")], 9, [(0, b"a"), (4, b"e")], [(1, 4, True), (5, 9, False)], (),
                     id="snapped, then missing"),
        pytest.param([(0, b"", 2), (0, b"ab")], 0, [(0, b"ab")], [], (), id="snapped away, then sent again whole"),
        pytest.param([(-2, b"xyab")], 0, [(0, b"ab")], [], (), id="bytes before the stream"),
        pytest.param([(-9, b"xy"), (0, b"a")], 0, [(0, b"a")], [], (), id="a segment before the stream"),
        pytest.param([(0, b"ab"), (1, b"\0"), (2, b"c")], 0, [(0, b"abc")], [], (), id="keep-alive"),
        pytest.param([(0, b"a"), (1, b"b"), (1, b"bcd")], 0, [(0, b"abcd")], [], (), id="zero-window probe"),
    ],
)
def test_streams(
    given: list[tuple[int, bytes] | tuple[int, bytes, int]],
    end: int,
    expected: list[tuple[int, bytes]],
    gaps: list[tuple[int, int, bool]],
    disagreeing: tuple[int, ...],
) -> None:
    """One situation each."""
    stream = reassemble(pieces(*given), end)
    assert runs(stream) == expected
    assert holes(stream) == gaps
    assert stream.disagreeing == disagreeing


def test_every_byte_names_its_frame() -> None:
    """Also where later copies came, and where a segment fills in between."""
    stream = reassemble(pieces((0, b"ab"), (4, b"ef"), (1, b"bcdef"), (6, b"g")))
    assert stream.runs == (Run(0, b"abcdefg", (2, 4, 6, 7), (1, 3, 2, 4), (10, 30, 20, 40)),)
    assert [stream.frame_at(i) for i in range(8)] == [1, 1, 3, 3, 2, 2, 4, None]
    assert stream.completed_at(0, 6) == (3, 30)
    assert stream.completed_at(0, 7) == (4, 40)


def test_behind_the_horizon_nothing_is_missing() -> None:
    """What was passed over on purpose is no gap; what the capture cut off is one anywhere."""
    stream = reassemble(pieces((0, b"ab"), (9, b"j"), (20, b"u", 2)), end=40, horizon=5)
    assert stream.gaps == (Gap(2, 5, snapped=False), Gap(21, 23, snapped=True))


def test_many_cut_segments_cost_no_square() -> None:
    """Sixty thousand holes, each beside a snapped segment."""
    stream = reassemble([Piece(4 * i, 2, i, i, b"x") for i in range(30_000)])
    assert len(stream.runs) == 30_000
    assert len(stream.gaps) == 59_999


SPANS = st.lists(st.tuples(st.integers(0, 30), st.integers(0, 12)), max_size=12)


@given(st.data(), SPANS, st.integers(0, 1))
def test_completions_are_those_asked_for_one_by_one(
    data: st.DataObject, spans: list[tuple[int, int]], missing: int
) -> None:
    """Of one run, its pieces in any order of frames, and of two with a hole between them."""
    frames = data.draw(st.permutations(range(1, 7)))
    rows = [Piece(4 * i + missing * (i > 3), 4, frame, 10 * frame, b"abcd") for i, frame in enumerate(frames)]
    stream = reassemble(sorted(rows, key=lambda piece: piece.frame))
    asked = sorted((start, start + size) for start, size in spans)
    found = stream.completions(asked)
    assert found == [stream.completed_at(*span) for span in asked]
    for (start, end), done in zip(asked, found, strict=True):
        touched = [p for p in rows if p.offset < end and p.offset + 4 > start]
        if start < end and touched:
            assert done == max((p.frame, p.time_ns) for p in touched)


PARTS = st.lists(
    st.builds(
        lambda offset, data, cut: (offset, data, cut),
        st.integers(-4, 24),
        st.binary(max_size=8),
        st.integers(0, 3),
    ),
    max_size=14,
)


def model(given: list[Piece], end: int) -> tuple[dict[int, tuple[int, int]], set[int], set[int], tuple[int, ...]]:
    """Byte by byte: (value, frame) by offset, offsets cut off, offsets missing, frames that disagree."""
    taken: dict[int, tuple[int, int]] = {}
    cut: set[int] = set()
    disagreeing = []
    highest: int | None = None
    for piece in given:
        after = piece.offset + piece.length
        if piece.length == 0 or after <= 0 or (piece.length == 1 and after == highest):
            continue
        highest = after if highest is None else max(highest, after)
        differs = False
        for i in range(piece.length):
            at = piece.offset + i
            if at < 0:
                continue
            if i >= len(piece.data):
                cut.add(at)
            elif at in taken:
                differs |= taken[at][0] != piece.data[i]
            else:
                taken[at] = piece.data[i], piece.frame
        if differs:
            disagreeing.append(piece.frame)
    cut -= set(taken)
    top = max([end - 1, *taken, *cut], default=-1)
    return taken, cut, set(range(top + 1)) - set(taken) - cut, tuple(disagreeing)


@given(PARTS, st.integers(0, 40))
def test_agrees_with_a_byte_by_byte_model(given: list[tuple[int, bytes, int]], end: int) -> None:
    """Values, frames, gaps and disagreements; runs and gaps are ordered and cover everything once."""
    rows = pieces(*given)
    stream = reassemble(rows, end)
    taken, cut, missing, disagreeing = model(rows, end)
    assert {run.start + i: byte for run in stream.runs for i, byte in enumerate(run.data)} == {
        at: value for at, (value, _) in taken.items()
    }
    assert {at: stream.frame_at(at) for at in taken} == {at: frame for at, (_, frame) in taken.items()}
    assert {at for gap in stream.gaps if gap.snapped for at in range(gap.start, gap.end)} == cut
    assert {at for gap in stream.gaps if not gap.snapped for at in range(gap.start, gap.end)} == missing
    assert stream.disagreeing == disagreeing
    spans = sorted([(run.start, run.end) for run in stream.runs] + [(gap.start, gap.end) for gap in stream.gaps])
    assert all(before[1] == after[0] for before, after in pairwise(spans))
    for run in stream.runs:
        assert run.ends[-1] == run.end
        assert all(before < after for before, after in pairwise(run.ends))
    assert all(before.end < after.start for before, after in pairwise(stream.runs))


@given(st.lists(st.tuples(st.integers(0, 24), st.binary(min_size=1, max_size=8)), max_size=14))
def test_all_ways_agree(given: list[tuple[int, bytes]]) -> None:
    """Where the walk or sorting gets through, painting gives the same."""
    parts = [_Part(offset, data, i, i) for i, (offset, data) in enumerate(given, 1)]
    painted = _paint(parts)
    assert _walk(parts) in (None, painted)
    assert _sorted(parts) in (None, painted)


@given(st.data())
def test_pieces_out_of_order_and_whole_repeats_are_sorted(data: st.DataObject) -> None:
    """Some pieces of a text, repeated and in any order, holes between them: sorting gets through, and painting agrees."""
    text = data.draw(st.binary(min_size=1, max_size=60))
    cuts = data.draw(st.sets(st.integers(1, len(text)))) | {0, len(text)}
    spans = data.draw(st.lists(st.sampled_from(list(pairwise(sorted(cuts)))), max_size=12))
    parts = [_Part(start, text[start:end], i, i) for i, (start, end) in enumerate(spans, 1)]
    assert _sorted(parts) == _paint(parts)


@given(st.data())
def test_any_cut_order_and_duplication_gives_the_text_back(data: st.DataObject) -> None:
    """The text is cut anywhere, pieces are repeated and overlap, and come in any order."""
    text = data.draw(st.binary(min_size=1, max_size=60))
    cuts = data.draw(st.sets(st.integers(1, len(text)))) | {0, len(text)}
    spans = list(pairwise(sorted(cuts)))
    place = st.integers(0, len(text) - 1)
    extra = data.draw(st.lists(st.tuples(place, st.integers(1, 20)), max_size=8))
    spans += [(start, min(start + size, len(text))) for start, size in extra]
    order = data.draw(st.permutations(spans))
    stream = reassemble(pieces(*((start, text[start:end]) for start, end in order)), len(text))
    assert runs(stream) == [(0, text)]
    assert stream.gaps == ()
    assert stream.disagreeing == ()
