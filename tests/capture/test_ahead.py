"""capture/ahead.py: what a thread decompresses is what the caller would have, to the byte and to the error."""

import random
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from analyzer.capture import source as sources
from analyzer.capture.ahead import Ahead, ahead
from analyzer.capture.compression import Broken, Piece
from analyzer.capture.source import Limits, open_source
from tests.capture.test_source import PACK, everything

PLAIN = b"".join(random.Random(3).randbytes(50_000) + bytes(random.Random(n).randrange(90_000)) for n in range(60))


def threads() -> list[str]:
    """Those of this module that are alive."""
    return [thread.name for thread in threading.enumerate() if thread.name == "decompression"]


def numbered(count: int, size: int = 10) -> Iterator[Piece]:
    for number in range(count):
        yield Piece(bytes([number % 256]) * size, number)


def test_the_same_pieces_in_the_same_order() -> None:
    running = Ahead(numbered(1000), lambda: None, room=50)
    assert list(running) == list(numbered(1000))
    assert next(running, None) is None
    running.close()
    assert not threads()


def test_an_error_comes_where_it_would_have_come() -> None:
    def broken() -> Iterator[Piece]:
        yield from numbered(5)
        raise Broken("here", 5)

    running = Ahead(broken(), lambda: None)
    taken: list[Piece] = []
    with pytest.raises(Broken, match="here"):
        taken.extend(piece for piece in running)
    running.close()
    assert next(running, None) is None


def test_no_more_waits_than_there_is_room_for() -> None:
    made = 0
    full = threading.Event()

    def counted() -> Iterator[Piece]:
        nonlocal made
        for piece in numbered(1000):
            made += 1
            if made == 11:           # the eleventh is asked for only when there is room again
                full.set()
            yield piece

    running = Ahead(counted(), lambda: None, room=100)
    assert not full.wait(0.05)
    assert next(running).read == 0
    running.close()
    assert made <= 11
    assert not threads()


def test_two_run_at_a_time_and_a_closed_one_makes_room() -> None:
    first, second = ahead(numbered(1)), ahead(numbered(10**9))
    assert first is not None
    assert second is not None
    third = ahead(numbered(1))
    first.close()
    fourth = ahead(numbered(1))
    for one in (second, fourth):
        assert one is not None
        one.close()
    assert third is None or list(third) == list(numbered(1))       # the first may have ended by itself
    assert not threads()


@pytest.fixture(params=["inline", "thread"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Both ways to decompress."""
    monkeypatch.setattr(sources, "AHEAD_AFTER", 1 if request.param == "thread" else 1 << 60)
    return str(request.param)


@pytest.mark.parametrize("kind", PACK)
def test_both_ways_deliver_the_same(kind: str, way: str, tmp_path: Path) -> None:
    path = tmp_path / "packed"
    path.write_bytes(PACK[kind](PLAIN) + PACK[kind](b"second"))
    with open_source(path) as source:
        assert everything(source, 1 << 20) == PLAIN + b"second"
        assert source.cut is None
        assert (source._ahead is not None) == (way == "thread")
        assert source.read == path.stat().st_size
    assert not threads()


@pytest.mark.parametrize("kind", PACK)
@pytest.mark.parametrize("piece", [40_000, 1 << 22])
def test_all_before_a_damage_is_delivered_in_both_ways(kind: str, piece: int, tmp_path: Path) -> None:
    """Blocks of noise are stored as they are, so that a damage is noticed only where a length is wrong, or never."""
    path = tmp_path / "packed"
    chance = random.Random(11)
    packed = PACK[kind](PLAIN)
    for turn in range(12):
        broken = bytearray(packed)
        at = chance.randrange(20, len(broken))
        broken[at:at + 40] = chance.randbytes(40)
        path.write_bytes(broken[:chance.randrange(at, len(broken))] if turn % 2 else broken)
        found = []
        for after in (1, 1 << 60):
            with pytest.MonkeyPatch.context() as patch, open_source(path) as source:
                patch.setattr(sources, "AHEAD_AFTER", after)
                found.append((everything(source, piece), source.cut))
        assert found[0] == found[1]
        cut = found[0][1]
        assert cut is None or cut.offset == len(found[0][0])
    assert not threads()


def test_a_damage_costs_a_block_and_not_a_piece(tmp_path: Path) -> None:
    """The fifth block of text says that it goes on where nothing can be."""
    text = b"".join(b"%d said %d\n" % (number, number * number) for number in range(100_000))
    for kind, block in (("zstd", 128 << 10), ("lz4", 64 << 10)):
        packed = bytearray(PACK[kind](text))
        if kind == "zstd":
            at, size = 4 + 1 + (4 if packed[4] >> 6 else 0) + (0 if packed[4] & 0x20 else 1), 3
        else:
            at, size = 7 + (8 if packed[4] & 8 else 0), 4
        for _ in range(4):
            value = int.from_bytes(packed[at:at + size], "little")
            at += size + (value >> 3 if kind == "zstd" else value & 0x7FFFFFFF)
        value = int.from_bytes(packed[at:at + size], "little")
        length = value >> 3 if kind == "zstd" else value & 0x7FFFFFFF
        packed[at + size:at + size + length] = b"\xff" * length
        path = tmp_path / kind
        path.write_bytes(packed)
        with open_source(path) as source:
            found = everything(source)
            assert source.cut is not None
        assert len(found) == 4 * block
        assert found == text[:4 * block]


@pytest.mark.parametrize("kind", PACK)
def test_a_source_closed_early_leaves_no_thread(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "AHEAD_AFTER", 1)
    path = tmp_path / "packed"
    path.write_bytes(PACK[kind](bytes(40_000_000)))
    with open_source(path, Limits(ratio_after=1 << 40)) as source:
        assert source.readinto(memoryview(bytearray(1000))) == 1000
        assert threads()
    assert not threads()

    def interrupted() -> None:
        with open_source(path, Limits(ratio_after=1 << 40)) as source:
            source.readinto(memoryview(bytearray(1000)))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert not threads()


@pytest.mark.parametrize("kind", PACK)
def test_limits_end_at_the_same_byte_in_both_ways(kind: str, way: str, tmp_path: Path) -> None:
    path = tmp_path / way
    path.write_bytes(PACK[kind](bytes(30_000_000)))
    with open_source(path, Limits(max_ratio=100, ratio_after=1 << 20)) as source:
        found = everything(source, 3_000_000)
    expected = {"gzip": 1 << 20, "zstd": 1 << 20, "lz4": None}[kind]
    assert source.cut is not None
    assert source.cut.offset == len(found)
    if expected is not None:
        assert expected <= len(found) <= expected + (2 << 20)
