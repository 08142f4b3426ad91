"""The fields of every NEGOTIATE are Wireshark's: same names, same values, none missing, none more."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest

from analyzer.pipeline import negotiates
from analyzer.reading import SMB_PORTS, Settings, read
from analyzer.smb.fields import LISTS, dos_time_text, fields, filetime_text, guid_text
from analyzer.smb.message import messages
from tests.smb.made import request
from tests.smb.record import segments, wireshark_fields
from tests.smb.samples import RECORDED, dissected, one

NEGOTIATES = {name: sample for name, sample in RECORDED.items() if sample.fields is not None}


def listed(values: dict[str, Any]) -> dict[str, list[Any]]:
    return {key: value if isinstance(value, list) else [value] for key, value in values.items()}


@pytest.mark.parametrize("name", NEGOTIATES)
def test_fields_are_those_that_tshark_shows(name: str) -> None:
    """recorded.json holds what tshark 4.0.17 printed for these bytes."""
    sample = NEGOTIATES[name]
    assert listed(fields(one(sample.data))) == sample.fields


@pytest.mark.parametrize(
    "name",
    [
        "smb2-request-every-context", "smb2-response-311", "smb2-error-not-supported", "smb2-response-async",
        "smb1-request-lanman", "smb1-response-samba", "smb1-response-nt-challenge", "smb1-response-lanman",
    ],
)  # fmt: skip
def test_a_cut_message_shows_what_tshark_shows(name: str, tshark: str, tmp_path: Path) -> None:
    """Every snap length that leaves the start of the message."""
    assert tshark
    data = NEGOTIATES[name].data
    cuts = list(range(8, len(data)))
    capture = tmp_path / "cut.pcap"
    capture.write_bytes(segments(data, cuts))
    shown = wireshark_fields(capture, "frame")
    for frame, cut in enumerate(cuts, 1):
        (message,) = messages([(0, data[:cut])], [0])
        got = listed(fields(message))
        assert ([got] if got else []) == shown.get(frame, []), cut


def test_the_recorded_messages_show_every_kind_of_field() -> None:
    """What no message shows would go unproven."""
    shown = {key for sample in NEGOTIATES.values() for key in sample.fields or ()}
    assert {
        "smb.challenge", "smb.primary_domain", "smb.server", "smb.server_guid", "smb.server_date_time",
        "smb.rm.read", "smb.error_class", "smb.extra_byte_parameters", "smb2.aid", "smb2.error.data",
        "smb2.negotiate_context.rdma_transform_id", "smb2.negotiate_context.comp_alg_flags.chained",
        "smb2.negotiate_context.transport_flags", "smb2.negotiate_context.posix_reserved", "smb2.unknown",
        "smb2.negotiate_context.netname", "spnego.hintName", "gss-api.OID", *LISTS,
    } <= shown  # fmt: skip


def test_other_messages_have_none() -> None:
    assert fields(one(RECORDED["smb2-tree-connect"].data)) == {}
    assert fields(one(RECORDED["nbss-negative"].data)) == {}


def test_lists_are_lists_even_of_one() -> None:
    shown = fields(dissected(request((0x0311,))))
    assert shown["smb2.dialect"] == [0x0311]
    assert shown["smb2.negotiate_context.hash_algorithm"] == [1]
    assert fields(one(RECORDED["smb2-response-311"].data))["smb2.dialect"] == 0x0311


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, None),
        (1, "1601-01-01T00:00:00.000000100Z"),
        (116444736000000000, "1970-01-01T00:00:00.000000000Z"),
        (125911584000000000, "2000-01-01T00:00:00.000000000Z"),
        (125963424000000000 - 1, "2000-02-29T23:59:59.999999900Z"),
        (125963424000000000, "2000-03-01T00:00:00.000000000Z"),
        (132223103999999999, "2019-12-31T23:59:59.999999900Z"),
        (0xFFFFFFFFFFFFFFFF, "60056-05-28T05:36:10.955161500Z"),
    ],
)
def test_times_count_from_1601(value: int, text: str | None) -> None:
    """[MS-DTYP] 2.3.3"""
    assert filetime_text(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, None), (0xFFFFFFFF, None), (0x5B766C32, "2025-11-22T13:33:36.000000000Z"),
        (0x00210000, "1980-01-01T00:00:00.000000000Z"), (0x285D0000, "2000-02-29T00:00:00.000000000Z"),
        (0x2A5D0000, None), (0x0021C000, None), (0x0021001E, None),
    ],
)  # fmt: skip
def test_dos_times(value: int, text: str | None) -> None:
    """[MS-CIFS] 2.2.1.4: date in the upper half, time in the lower"""
    assert dos_time_text(value) == text


def test_a_guid_is_written_as_windows_does() -> None:
    """[MS-DTYP] 2.3.4.2: three numbers, then bytes"""
    assert guid_text(bytes(range(16))) == "03020100-0504-0706-0809-0a0b0c0d0e0f"


def _compare(folder: Path) -> Any:  # Any: a module of its own beside the captures
    specification = importlib.util.spec_from_file_location("compare", folder.parent / "compare.py")
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def test_all_public_captures_agree_with_their_oracles(public: Path) -> None:
    """compare.py's verdict on every capture, message and field."""
    compare = _compare(public)
    index = json.loads((public / "index.json").read_text(encoding="utf-8"))
    total = compare.Result()
    for entry in index["captures"]:
        name = entry["file"]
        oracle = json.loads((public / f"{name}.oracle.json").read_text(encoding="utf-8"))
        rows = list(negotiates(read(name, str(public / name), Settings(SMB_PORTS))))
        total.add(compare.compare(rows, oracle, index, name))
    assert total.differences == []
    assert total.beyond_found == total.beyond


@pytest.mark.parametrize(
    "name",
    ["ok-smb311-get.pcapng", "ok-nt1.pcap", "ok-multi-protocol.pcapng", "ok-ipv6.pcap", "malformed-response-ssize.pcap"],
)
def test_whole_captures_agree_with_tshark(lab: Path, tshark: str, name: str) -> None:
    """Every field of every NEGOTIATE, in the frame where tshark has it."""
    assert tshark
    found: dict[int, list[dict[str, list[Any]]]] = {}
    for row in negotiates(read(name, str(lab / name), Settings(SMB_PORTS))):
        shown = listed({key: value for key, value in row.items() if key not in ("frame.number", "tcp.stream")})
        frame = row["frame.number"]
        assert isinstance(frame, int)
        found.setdefault(frame, []).append(shown)
    assert found == wireshark_fields(lab / name, "frame")
