"""capture/lanes.py: side by side gives what one after the other gives, whatever the guesses."""

import random
import struct

import numpy as np
import pytest

from analyzer.capture import lanes, pcap
from analyzer.capture.pcap import PcapWalker
from tests.capture import making


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lanes in chunks of any size."""
    monkeypatch.setattr(pcap, "_LANED", 1)
    monkeypatch.setattr(pcap, "_FEWEST_LANES", 1)
    monkeypatch.setattr(pcap, "_LANE_RECORDS", 3)
    monkeypatch.setattr(lanes, "STEPS", 5)
    monkeypatch.setattr(lanes, "FEW", 0)


def records(chance: random.Random, count: int, order: str) -> bytes:
    """A capture body whose frames are full of what looks like records."""
    stamp = struct.pack(f"{order}IIII", 1_700_000_123, 7, 20, 20)
    return b"".join(
        struct.pack(f"{order}IIII", 1_700_000_000 + number, 7, len(frame), len(frame)) + frame
        for number in range(count)
        for frame in [chance.choice((stamp * chance.randrange(80), chance.randbytes(chance.randrange(1500)), b""))]
    )


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("extra", [0, 8])
def test_guesses_never_change_the_chain(order: str, extra: int) -> None:
    """Sound captures, cut ones, damaged ones, frames that hold records themselves."""
    chance = random.Random(4)
    walker = PcapWalker(making.pcap([], order=order, magic=0xA1B2CD34 if extra else 0xA1B2C3D4))
    for turn in range(60):
        body = bytearray(records(chance, 250, order))
        if turn % 3 == 1:
            del body[chance.randrange(len(body)):]
        elif turn % 3 == 2:
            for at in chance.sample(range(len(body)), 5):
                body[at] = chance.randrange(256)
        chunk = np.frombuffer(body, np.uint8)
        assert np.array_equal(walker._places(chunk), walker._chain(chunk, 0, len(chunk)))


@pytest.mark.usefixtures("small")
def test_lanes_are_found_in_a_sound_capture() -> None:
    chance = random.Random(5)
    frames = [chance.randbytes(chance.randrange(60, 1514)) for _ in range(2000)]
    data = making.pcap(frames)
    walker = PcapWalker(data[:24])
    chunk = np.frombuffer(data[24:], np.uint8)
    starts = walker._lane_starts(chunk, walker._guess(chunk))
    chain = walker._chain(chunk, 0, len(chunk))
    assert len(starts) > 50
    assert np.isin(starts, chain).mean() > 0.9
    assert np.array_equal(walker._places(chunk), chain)


@pytest.mark.parametrize("starts", [[0], [0, 1], [0, 20], [0, 16, 32, 4000], [0, 3999]])
def test_any_guess_will_do(starts: list[int]) -> None:
    walker = PcapWalker(making.pcap([]))
    chunk = np.frombuffer(bytes(4016), np.uint8)
    found = lanes.walk_in_lanes(chunk, np.array(starts, np.int64), 16, walker._word, walker._chain)
    assert np.array_equal(found, walker._chain(chunk, 0, len(chunk)))


@pytest.mark.parametrize("rounds", [0, 2, 40])
def test_an_uneven_division_is_walked_to_its_end(monkeypatch: pytest.MonkeyPatch, rounds: int) -> None:
    monkeypatch.setattr(lanes, "MAX_ROUNDS", rounds)
    monkeypatch.setattr(lanes, "FEW", 0)
    walker = PcapWalker(making.pcap([]))
    chunk = np.frombuffer(bytes(4016), np.uint8)
    found = lanes.walk_in_lanes(chunk, np.array([0, 4000], np.int64), 16, walker._word, walker._chain)
    assert len(found) == 251


def test_lanes_are_divided_where_records_are_small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lanes, "STEPS", 4)
    monkeypatch.setattr(lanes, "FEW", 0)
    walker = PcapWalker(making.pcap([]))
    chunk = np.frombuffer(bytes(4016), np.uint8)
    asked: list[int] = []

    def guess(target: int) -> int:
        asked.append(target)
        return target + 5 if len(asked) == 9 else target      # the ninth leads astray

    found = lanes.walk_in_lanes(chunk, np.array([0, 1600], np.int64), 16, walker._word, walker._chain, guess)
    assert np.array_equal(found, walker._chain(chunk, 0, len(chunk)))
    assert len(asked) > 20
