"""analyzer/divided.py: a file read in ranges gives what one pass gives, wherever it is divided."""

from __future__ import annotations

import random
import struct
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple, Self

import pytest

from analyzer import divided, reading
from analyzer.capture import pcap, ranges, reader
from analyzer.errors import CaptureError
from analyzer.reading import Settings
from analyzer.workers import Died
from tests.capture.encapsulations import PAYLOAD
from tests.capture.making import ethernet, ip4, ip6, tcp, udp
from tests.capture.making import pcap as capture

FRAGMENTED = ip4(tcp(PAYLOAD * 4, sport=7777, seq=9))


class _Here:
    """Workers without processes; results come in another order."""

    def __init__(self, work: Any, count: int) -> None:
        assert count == ranges.FEWEST
        self._work = work

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def results(self, tasks: Iterable[Any]) -> Iterator[tuple[Any, Any]]:
        done = [(task, self._work(task)) for task in tasks]
        random.Random(len(done)).shuffle(done)
        yield from done


class _Lost(_Here):
    def results(self, tasks: Iterable[Any]) -> Iterator[tuple[Any, Any]]:
        for task in tasks:
            yield task, Died(3, "SIGKILL") if task.begin > divided.FIRST else self._work(task)


class Seen(NamedTuple):
    """Everything that reading a capture leaves."""

    contents: object
    connections: list[object]
    columns: list[object]


def _seen(path: Path, jobs: int) -> Seen | str:
    try:
        found = reading.read("x", str(path), Settings(jobs=jobs))
    except CaptureError as error:
        return str(error)
    ends, count = found.store.ends, found.store.ends.count
    columns = [getattr(ends, name)[:count].tolist() for name in ("stream", "packets", "volume", "flags", "frames", "times")]
    return Seen(found.contents, list(found.store.connections()), columns)


def _compare(path: Path, monkeypatch: pytest.MonkeyPatch, size: int, *, certainly: bool = True) -> None:
    once = _seen(path, 1)
    took: list[object] = []
    real = divided.read_divided

    def watched(*args: Any) -> divided.Divided | None:
        took.append(real(*args))
        return took[0]                                   # type: ignore[return-value]

    with monkeypatch.context() as patch:
        patch.setattr(ranges, "LARGE", 0)
        patch.setattr(divided, "RANGE", size)
        patch.setattr(divided, "Workers", _Here)
        patch.setattr(divided, "read_divided", watched)
        assert _seen(path, ranges.FEWEST) == once
    assert not certainly or took[0] is not None


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Chunks within ranges too, and guesses that are sometimes wrong."""
    monkeypatch.setattr(reader, "CHUNK", 2000)
    monkeypatch.setattr(ranges, "CHUNK", 700)
    monkeypatch.setattr(ranges, "_LEAST", 60)
    monkeypatch.setattr(divided, "BUFFER", 900)
    monkeypatch.setattr(pcap, "_FOLLOWING", 2)


@pytest.mark.parametrize("size", [150, 1000, 4096])
def test_samples(samples: Path, monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    for path in sorted(samples.glob("*.pcap")):
        _compare(path, monkeypatch, size, certainly=False)


def _frames(chance: random.Random) -> Iterator[bytes]:
    """Conversations that open again on the same ports, answers out of order, fragments, errors, other traffic."""
    for _ in range(chance.randrange(20, 120)):
        port, smb = chance.choice((50000, 50001)), chance.choice((445, 445, 80))
        seq = chance.choice((1000, 1001, 1164, 5000, 70000))
        flags = chance.choice((2, 0x12, 0x10, 0x18, 0x18, 0x18, 0x11, 4))
        source, target = (port, smb) if chance.random() < 0.6 else (smb, port)
        segment = tcp(
            chance.choice((b"", PAYLOAD, bytes(3))), sport=source, dport=target, seq=seq,
            ack=chance.choice((77, 1001)), flags=flags,
        )
        yield chance.choice((
            ethernet(ip4(segment)),
            ethernet(ip4(segment)),
            ethernet(ip4(segment, src="10.1.2.9", dst="10.1.2.3")),
            ethernet(ip6(segment), 0x86DD),
            ethernet(ip4(b"\3\1" + bytes(6) + ip4(segment)[:chance.choice((28, 40))], protocol=1)),
            ethernet(ip4(udp(b"\xc3\0\0\0\1" + bytes(chance.randrange(30)), dport=443), protocol=17)),
            ethernet(ip4(segment, total=0)),
            ethernet(ip4(segment)[:30]),
        ))


def _fragments(chance: random.Random, ident: int) -> list[bytes]:
    data, step = FRAGMENTED[20:], chance.choice((64, 104))
    parts = [
        ethernet(ip4(data[at : at + step], ident=ident, fragment=at // 8 | (0x2000 if at + step < len(data) else 0)))
        for at in range(0, len(data), step)
    ]
    chance.shuffle(parts)
    return parts[: chance.choice((len(parts), len(parts), 1))]


@pytest.mark.parametrize("seed", range(40))
def test_made_captures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    chance = random.Random(seed)
    frames = list(_frames(chance))
    for ident in range(chance.choice((0, 0, 3))):
        for part in _fragments(chance, ident):
            frames.insert(chance.randrange(len(frames)), part)
    body = bytearray(capture(frames))
    if seed % 4 == 1:
        del body[chance.randrange(24, len(body)) :]
    elif seed % 4 == 2:
        at = chance.randrange(24, len(body) - 4)
        body[at : at + 4] = chance.randbytes(4)
    path = tmp_path / "made.pcap"
    path.write_bytes(body)
    _compare(path, monkeypatch, chance.choice((90, 200, 1000, 3000)), certainly=False)


def test_frames_that_hold_records(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A capture that is sent over the network: guesses are wrong, and do no harm."""
    inner = capture([ethernet(ip4(tcp(PAYLOAD, seq=number)))[:90] for number in range(40)])
    frames = [ethernet(ip4(tcp(inner[at : at + 1400], seq=at))) for at in range(24, len(inner), 1400)]
    path = tmp_path / "sent.pcap"
    path.write_bytes(capture(frames * 4))
    _compare(path, monkeypatch, 700)


def test_it_is_really_divided(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    frames = [ethernet(ip4(tcp(PAYLOAD, seq=number * len(PAYLOAD)))) for number in range(2000)]
    path = tmp_path / "long.pcap"
    path.write_bytes(capture(frames))
    asked: list[divided.Task] = []
    work = divided._Work.__call__

    def noted(self: divided._Work, task: divided.Task) -> divided.Part:
        asked.append(task)
        return work(self, task)

    monkeypatch.setattr(divided._Work, "__call__", noted)
    monkeypatch.setattr(pcap, "_FOLLOWING", 8)
    _compare(path, monkeypatch, 20_000)
    assert len(asked) == -(-(path.stat().st_size - divided.FIRST) // 20_000)     # no range was read twice


def test_processes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "long.pcap"
    path.write_bytes(capture([ethernet(ip4(tcp(PAYLOAD, seq=number * 68))) for number in range(500)]))
    once = _seen(path, 1)
    monkeypatch.setattr(ranges, "LARGE", 0)
    monkeypatch.setattr(divided, "RANGE", 9000)
    told: list[tuple[str, int, int]] = []
    found = reading.read("x", str(path), Settings(jobs=ranges.FEWEST), lambda *args: told.append(args))
    assert isinstance(once, Seen)
    assert found.contents == once.contents
    assert list(found.store.connections()) == once.connections
    assert told[-1] == ("x", path.stat().st_size, path.stat().st_size)


def test_a_process_that_dies_costs_time_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "long.pcap"
    path.write_bytes(capture([ethernet(ip4(tcp(PAYLOAD, seq=number * 68))) for number in range(50)]))
    once = _seen(path, 1)
    monkeypatch.setattr(ranges, "LARGE", 0)
    monkeypatch.setattr(divided, "RANGE", 1000)
    monkeypatch.setattr(divided, "Workers", _Lost)
    assert _seen(path, ranges.FEWEST) == once


@pytest.mark.parametrize("head", [b"", struct.pack("<I", 0x0A0D0D0A), struct.pack("<IHH", 0xA1B2C3D4, 9, 9)])
def test_what_is_no_pcap_is_not_divided(tmp_path: Path, head: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ranges, "LARGE", 0)
    path = tmp_path / "x"
    path.write_bytes(head.ljust(100, b"\0") if head else b"")
    assert ranges.divisible(str(path), ranges.MOST) is None


def test_two_processes_or_a_small_file_are_one_pass(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x.pcap"
    path.write_bytes(capture([ethernet(ip4(tcp(PAYLOAD)))]))
    assert ranges.divisible(str(path), ranges.MOST) is None
    monkeypatch.setattr(ranges, "LARGE", 0)
    assert ranges.divisible(str(path), ranges.FEWEST) == (str(path), path.stat().st_size)
    assert ranges.divisible(str(path), ranges.FEWEST - 1) is None
