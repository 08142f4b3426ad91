"""The TCP columns against tshark: every capture of the collections, every encapsulation made here."""

import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import pytest

from analyzer.capture.headers import Decoder
from analyzer.capture.reader import CaptureReader
from analyzer.capture.source import open_source
from tests.capture.encapsulations import AGGREGATE, ENCAPSULATIONS, NOT_IN_TSHARK
from tests.capture.making import address, pcap
from tests.capture.test_fragments import FOUR, SIX

FIELDS = (
    "frame.number", "frame.time_epoch", "tcp.srcport", "tcp.dstport", "tcp.seq_raw", "tcp.ack_raw", "tcp.len",
    "ip.src", "ip.dst", "ip.ttl", "ipv6.src", "ipv6.dst", "ipv6.hlim",
)


class Row(NamedTuple):
    """One TCP segment. network: source, destination and TTL."""

    frame: int
    time_ns: int
    ports: tuple[int, int]
    seq: int
    ack: int
    length: int
    network: tuple[str, str, int]


def ours(path: Path) -> tuple[int, list[Row]]:
    """Frames, and segments that are not quotations, as negdiag reads them."""
    rows: list[Row] = []
    decoder = Decoder()
    with open_source(path) as source:
        reader = CaptureReader(source)
        for packets in reader.tables():
            table = decoder.decode(packets)
            unsized = set(table.unsized.tolist())
            rows.extend(
                Row(
                    int(table.frame[row]), int(table.time_ns[row]),
                    (int(table.src_port[row]), int(table.dst_port[row])), int(table.seq[row]),
                    int(table.ack[row]), int(table.length[row]),
                    (address(table, row, "src"), address(table, row, "dst"), int(table.ttl[row])),
                )
                for row in range(table.rows) if not table.icmp[row] and row not in unsized
            )
        assert reader.summary is not None
        return reader.summary.packets, rows


def wiresharks(tshark: str, path: Path) -> Iterator[tuple[Row, set[tuple[str, str, int]]]]:
    """The same of tshark, and all address pairs of the frame: which is the innermost it does not say."""
    shown = [word for field in FIELDS for word in ("-e", field)]
    printed = subprocess.run(
        [tshark, "-r", path, "-Y", "tcp.len && !icmp && !icmpv6", "-T", "fields", "-E", "separator=;", *shown],
        capture_output=True, text=True, check=False,
    ).stdout
    for line in printed.splitlines():
        value = dict(zip(FIELDS, (field.split(",") for field in line.split(";")), strict=True))
        seconds, fraction = value["frame.time_epoch"][0].split(".")
        networks = {
            (src, dst, int(ttl, 0))
            for names in (("ip.src", "ip.dst", "ip.ttl"), ("ipv6.src", "ipv6.dst", "ipv6.hlim"))
            for src, dst, ttl in zip(*(value[name] for name in names), strict=True) if src
        }
        for at in range(len(value["tcp.srcport"])):
            yield Row(
                int(value["frame.number"][0]), int(seconds) * 10**9 + int(fraction),
                (int(value["tcp.srcport"][at]), int(value["tcp.dstport"][at])), int(value["tcp.seq_raw"][at]),
                int(value["tcp.ack_raw"][at]), int(value["tcp.len"][at]), ("", "", 0),
            ), networks


def agree(tshark: str, path: Path) -> None:
    """Every segment of one is the other's."""
    _, mine = ours(path)
    theirs = list(wiresharks(tshark, path))
    assert [row._replace(network=("", "", 0)) for row in mine] == [row for row, _ in theirs], path.name
    assert all(row.network in networks for row, (_, networks) in zip(mine, theirs, strict=True)), path.name


def frames_in(capinfos_line: str) -> int:
    """The count that capinfos prints in machine-readable form."""
    return int(capinfos_line.strip().rsplit("\t", 1)[1])


@pytest.mark.parametrize("folder", ["lab", "public"])
def test_captures(folder: str, tshark: str, request: pytest.FixtureRequest) -> None:
    found: Path = request.getfixturevalue(folder)
    paths = [path for path in sorted(found.iterdir()) if path.suffix in {".pcap", ".pcapng", ".cap", ".gz"}]
    assert len(paths) > 50
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda path: agree(tshark, path), paths))
    counted = subprocess.run(
        [str(Path(tshark).with_name("capinfos")), "-TcMr", *paths], capture_output=True, text=True, check=True
    ).stdout.splitlines()
    assert [frames_in(line) for line in counted] == [ours(path)[0] for path in paths]


def test_encapsulations(tshark: str, tmp_path: Path) -> None:
    links = sorted({link_type for link_type, _, _ in ENCAPSULATIONS.values()})
    for link_type in links:
        path = tmp_path / f"{link_type}.pcap"
        path.write_bytes(pcap([
            frame for name, (kind, frame, _) in ENCAPSULATIONS.items() if kind == link_type and name not in NOT_IN_TSHARK
        ] + ([AGGREGATE] if link_type == 105 else []) + (FOUR + SIX[::-1] if link_type == 1 else []),
            link_type=link_type))
        agree(tshark, path)
