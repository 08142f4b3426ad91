"""tcp.stream: every rule of Wireshark's numbering by hand, then against Wireshark itself."""

from __future__ import annotations

import subprocess
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from analyzer.capture.headers import Decoder
from analyzer.capture.reader import CaptureReader
from analyzer.capture.source import Limits, open_source
from analyzer.tcp.flows import Assignment, FlowTable
from analyzer.tcp.limit import LimitReached
from tests.tcp.build import (
    ACK,
    CLIENT,
    FIN,
    RST,
    SERVER,
    SYN,
    UNREACHABLE,
    Packet,
    chunks,
    down,
    pcap,
    trace,
    up,
)

TOP = 2**32


def assign(packets: list[Packet], size: int = 1 << 30, max_flows: int = 1 << 20) -> list[tuple[int, ...]]:
    """(stream, side, base, peer base) of each packet."""
    flows = FlowTable(max_flows)
    rows: list[tuple[int, ...]] = []
    for chunk in chunks(packets, size):
        rows += zip(*(column.tolist() for column in flows.assign(chunk)[:4]), strict=True)
    return rows


def streams(packets: list[Packet]) -> list[int]:
    found = [row[0] for row in assign(packets)]
    for size in (1, 2, 3):
        assert [row[0] for row in assign(packets, size)] == found
    return found


def quoted(packet: Packet, size: int = 20) -> Packet:
    """The packet's header, quoted in an ICMP error."""
    return packet._replace(icmp=UNREACHABLE, quoted=size)


@pytest.mark.parametrize(
    ("packets", "expected"),
    [
        pytest.param([up(1, flags=SYN), down(9, 2, SYN | ACK), up(2, 10)], [0, 0, 0], id="handshake"),
        pytest.param([up(1, flags=SYN), up(1, flags=SYN)], [0, 0], id="SYN again"),
        pytest.param([up(1, flags=SYN), up(7, flags=SYN)], [0, 1], id="SYN with another number"),
        pytest.param([up(1, flags=SYN), up(1, port=50001)], [0, 1], id="another port"),
        pytest.param(
            [up(1, flags=SYN), up(7, flags=SYN), up(1, flags=SYN), up(2)], [0, 1, 2, 2], id="no way back"
        ),
        pytest.param(
            [up(1, flags=SYN), down(0, 2, RST | ACK), up(1, flags=SYN)], [0, 0, 0], id="same SYN after RST"
        ),
        pytest.param([up(5, 9), up(4, flags=SYN)], [0, 0], id="first packet is no SYN: base is one less"),
        pytest.param([up(5, 9), up(5, flags=SYN)], [0, 1], id="first packet is no SYN: its own number"),
        pytest.param([down(9, 5), up(4, flags=SYN)], [0, 0], id="base by the other side's ACK"),
        pytest.param([down(9, 5), up(5, flags=SYN)], [0, 1], id="not the base by the other side's ACK"),
        pytest.param([down(9, 0, 0), up(5, flags=SYN)], [0, 0], id="no ACK flag, no base"),
        pytest.param(
            [up(1, flags=SYN), down(9, 2, SYN | ACK), down(30, 2, SYN | ACK)], [0, 0, 0], id="SYN/ACK: same"
        ),
        pytest.param(
            [down(9, 2, SYN | ACK), down(30, 2, SYN | ACK), down(30, flags=SYN), down(9, flags=SYN)],
            [0, 0, 0, 1],
            id="SYN/ACK moves the base",
        ),
        pytest.param([up(1, flags=SYN), down(9, flags=SYN)], [0, 0], id="simultaneous open"),
        pytest.param([up(1, flags=SYN), up(1, flags=SYN | RST), up(3, flags=SYN | FIN)], [0, 0, 1], id="odd SYNs"),
        pytest.param([up(0, TOP - 1), up(TOP - 1, flags=SYN)], [0, 0], id="base before the wrap"),
        pytest.param([quoted(up(1)), up(1, flags=SYN), up(1, flags=SYN)], [0, 0, 0], id="quoted: numbered, no base"),
        pytest.param([quoted(up(1), 15), up(1, flags=SYN)], [-1, 0], id="quoted short: nothing there"),
        pytest.param([up(1, flags=SYN), quoted(up(1), 8), up(1)], [0, 0, 0], id="quoted short: given to the stream"),
        pytest.param(
            [up(1, flags=SYN), quoted(up(5, flags=SYN), 8), up(1)], [0, 0, 0], id="quoted short: no SYN is seen"
        ),
    ],
)
def test_numbers(packets: list[Packet], expected: list[int]) -> None:
    """One rule each."""
    assert streams(packets) == expected


def test_addresses_of_both_families_are_apart() -> None:
    """10.0.0.1 and ::a00:1 are different hosts, and so are addresses that differ in one half."""
    six = bytes(12)
    high = b"\x01" + bytes(11)
    hosts = [(CLIENT, SERVER), (six + CLIENT, six + SERVER), (high + CLIENT, six + SERVER), (six + CLIENT, high + SERVER)]
    packets = [Packet(a, 1, b, 2) for a, b in hosts] + [Packet(b, 2, a, 1) for a, b in hosts]
    assert streams(packets) == [0, 1, 2, 3, 0, 1, 2, 3]


def test_sides_and_bases() -> None:
    """Side 0 sent the first row of the stream; bases are the numbers before the first byte."""
    packets = [down(900, 101), up(101, 900), up(500, flags=SYN), down(7, 501, SYN | ACK), up(501, 8)]
    expected = [(0, 0, 899, 100), (0, 1, 100, 899), (1, 0, 500, 0), (1, 1, 7, 500), (1, 0, 500, 7)]
    for size in (1, 2, 99):
        assert assign(packets, size) == expected


def test_beyond_the_limit_new_flows_have_no_number() -> None:
    """Old flows go on; the rows of new ones are counted."""
    packets = [up(1, port=port) for port in (1, 2, 3, 1, 4, 3, 2)]
    for size in (1, 2, 99):
        assert [row[0] for row in assign(packets, size, max_flows=2)] == [0, 1, -1, 0, -1, -1, 1]
    flows = FlowTable(2)
    for chunk in chunks(packets, 99):
        flows.assign(chunk)
    assert (flows.streams, flows.limits) == (2, (LimitReached("flows", 2, 3, 3),))


def wireshark(tshark: str, path: Path) -> dict[int, list[int]]:
    """tcp.stream of each frame that has one."""
    command = [tshark, "-r", str(path), "-T", "fields", "-e", "frame.number", "-e", "tcp.stream"]
    output = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    rows = (line.split("\t") for line in output.splitlines())
    return {int(frame): [int(n) for n in numbers.split(",")] for frame, numbers in rows if numbers}


@pytest.mark.parametrize("seed", range(6))
def test_random_traces_as_wireshark_numbers_them(seed: int, tshark: str, tmp_path: Path) -> None:
    """Thousands of packets of every kind on the same few ports."""
    packets = trace(seed, 3000)
    path = tmp_path / "trace.pcap"
    path.write_bytes(pcap(packets))
    expected = wireshark(tshark, path)
    found = assign(packets)
    shown = [
        [] if packet.icmp and packet.quoted < 16 else [row[0]] for packet, row in zip(packets, found, strict=True)
    ]
    assert shown == [expected.get(i + 1, []) for i in range(len(packets))]
    for size in (3, 700):
        assert assign(packets, size) == found
    assert assign(packets[:500], 1) == found[:500]


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("size", [1, 40, 1500])
def test_places_of_some_rows_are_those_among_all(seed: int, size: int) -> None:
    """Which rows are asked for changes nothing, not even where addresses and ports are used again."""
    every, some = FlowTable(), FlowTable()
    rng = np.random.default_rng(seed)
    told = 0
    for chunk in chunks(trace(seed, 1500), size):
        which = np.flatnonzero(rng.random(chunk.rows) < 0.3)
        expected, found = every.assign(chunk), some.assign(chunk, which)
        among = expected.take(which)
        assert [column.tolist() for column in found[:4]] == [column.tolist() for column in among[:4]]
        assert found.steady == expected.steady
        told += len(which)
    assert told > 300
    assert some.streams == every.streams > 1


@pytest.mark.parametrize("folder", ["lab", "public"])
def test_captures_as_wireshark_numbers_them(
    folder: str, tshark: str, request: pytest.FixtureRequest
) -> None:
    """Every TCP row of the collection."""
    captures: Path = request.getfixturevalue(folder)
    paths = [path for path in sorted(captures.glob("*.pcap*")) if path.suffix != ".json"]
    with ThreadPoolExecutor() as pool:
        answers = list(pool.map(partial(wireshark, tshark), paths))
    for path, expected in zip(paths, answers, strict=True):
        found: dict[int, list[int]] = defaultdict(list)
        decoder, flows = Decoder(), FlowTable()
        with open_source(path, Limits()) as source:
            for packets in CaptureReader(source).tables():
                segments = decoder.decode(packets)
                assigned: Assignment = flows.assign(segments)
                hidden = set(segments.unnumbered.tolist())
                rows = zip(segments.frame.tolist(), assigned.stream.tolist(), strict=True)
                for i, (frame, stream) in enumerate(rows):
                    if i not in hidden:
                        found[frame].append(stream)
        assert found == expected, path.name
