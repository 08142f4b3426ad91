"""The bounded, seeded part of the fuzzer, and that it finds what is put into a dissector on purpose."""

from __future__ import annotations

import struct
from itertools import islice
from typing import Any

import pytest

from analyzer.smb import contexts, ntlmssp, smb2, spnego
from tests.fuzz import check as checking
from tests.fuzz.__main__ import fuzz, mutants
from tests.fuzz.check import check
from tests.fuzz.corpus import seeds
from tests.fuzz.places import places


def test_nothing_breaks_on_the_first_inputs_of_a_seed() -> None:
    assert fuzz(islice(mutants(20_261_122, lab=False), 300), seconds=30) == {}


def test_the_seeds_themselves_hold() -> None:
    assert [seed.name for seed in seeds(lab=False) if check(seed.data) is not None] == []


@pytest.mark.parametrize("kind", [
    "pcap.snap", "record.captured", "pcapng.enhanced.length", "pcapng.interface.option.length", "ethernet.type", "ip.length",
    "ip6.extension.length", "tcp.offset", "tcp.option.length", "nbss.length", "smb2.next", "smb1.words", "smb1.dialect.format", "nbss.name.37",
    "negotiate.request.dialects", "negotiate.answer.buffer-offset", "context1.count", "context2.length", "der06.length",
    "ntlmssp03.length3", "wrap.gre.0", "wrap.127", "ntlmssp.pair.length", "icmp.words", "snoop.record.length", "netmon.entry", "zstd.block", "lz4.block",
    "gzip.size",
])
def test_the_fields_that_lie_are_known(kind: str) -> None:
    assert any(place.kind == kind for seed in seeds() for place in places(seed.data))


def _unchecked_buffer(data: bytes, _size: int, offset: int | None, length: int | None, _faults: Any) -> bytes | None:
    if not offset or not length:
        return None
    found: bytes = struct.unpack_from(f"{length}s", data, offset)[0]
    return found


_DECODE = contexts.decode


def _unchecked_count(
    data: bytes, at: int, head: tuple[int, int], end: int, *, keep: bool = True
) -> contexts.Context:
    context = _DECODE(data, at, head, end, keep=keep)
    if context.id_count:
        data[at + 8 + 2 * context.id_count]
    return context


def _unchecked_element(data: bytes, at: int, end: int) -> Any:
    if at >= end:
        return None
    tag, length, start = data[at], data[at + 1], at + 2
    if length >= 0x80:
        size = length & 0x7F
        length = struct.unpack(">I", data[start : start + size].rjust(4, b"\0"))[0]
        start += size
    return spnego._Piece(tag, start, start + length)


def _unchecked_progress(data: bytes) -> dict[int, str]:
    names: dict[int, str] = {}
    at = 0
    while at + 4 <= len(data):
        kind, length = struct.unpack_from("<HH", data, at)
        if kind == 0:
            break
        names[kind] = data[at + 4 : at + 4 + length].decode("utf-16-le", "replace")
        at += length and 4 + length
    return names


@pytest.mark.parametrize(("module", "name", "faulty"), [
    (smb2, "_security_buffer", _unchecked_buffer),
    (contexts, "decode", _unchecked_count),
    (spnego, "_piece", _unchecked_element),
    (ntlmssp, "_pairs", _unchecked_progress),
], ids=["offset", "count", "der", "no-progress"])
def test_a_fault_put_into_a_dissector_is_found_within_a_minute(
    monkeypatch: pytest.MonkeyPatch, module: Any, name: str, faulty: Any
) -> None:
    """Each leaves out one check. A minute is what a contributor has; it takes a few seconds."""
    monkeypatch.setattr(module, name, faulty)
    monkeypatch.setattr(checking, "SECONDS", 2.0)
    assert fuzz(mutants(3), seconds=60, stop=1)
