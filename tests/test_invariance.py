"""The same conversation gets the same diagnosis and the same fields, however it is captured."""

from __future__ import annotations

import io
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from analyzer.diagnosis.engine import RuleSet
from analyzer.diagnosis.loader import load_rules
from analyzer.negotiation.pairing import is_negotiate
from analyzer.pipeline import run
from analyzer.reading import SMB_PORTS, Settings
from analyzer.smb.fields import fields
from analyzer.telling import Wanted
from tests.captures import FORMATS, Capture, pcap, read
from tests.conftest import SHARED
from tests.golden.make import captures as samples
from tests.packets import DoesNotApply
from tests.variants import RECUT, REFRAMED, RENAMED

LAB = sorted((SHARED / "lab").glob("*.pcap*"))
VARIANTS = {**REFRAMED, **RECUT, **RENAMED}
ALWAYS = (
    "transport", "outcome", "reached", "causes", "confidence", "candidates", "dialect", "offered")
# Where a variant says something else on the wire, and what is reported follows it.
TOLD = {
    ("smb-over-rdma.pcap", "in_one_byte_segments"): "SMB Direct is recognised packet by packet",
    ("fallback-139-refused.pcap", "on_port"): "44500 beside 139 is no race of 445 and 139",
    **{
        (name, variant): "the NTLM target name is an address of before"
        for name in ("encryption-required-server.pcap", "no-common-cipher.pcap")
        for variant in ("to_ipv6", "readdressed")
    },
}


@cache
def rules() -> RuleSet:
    return load_rules()


def seen(capture: bytes, variant: str, *more_ports: int) -> list[Any]:
    """What must be the same under a variant, of a capture."""
    settings = Settings(ports=SMB_PORTS | frozenset(more_ports))
    (analyzed,) = run([("capture", io.BytesIO(capture))], rules(), settings, Wanted())
    connections = []
    for place, diagnosed in enumerate(analyzed.connections):
        record = diagnosed.record
        assert diagnosed.story is not None
        found: dict[str, Any] = {key: getattr(record, key) for key in ALWAYS}
        found["warnings"] = [slug for slug in record.warnings if slug != "alternative-port"]
        found["findings"] = [
            (finding.rule, finding.severity) for finding in record.findings if finding.rule != "alternative-port"]
        # Copies come a microsecond later.
        found["response_time"] = None if record.response_time is None else round(record.response_time, 4)
        found["fields"] = [
            fields(placed.message) for placed in diagnosed.story.placed if is_negotiate(placed.message)]
        found["stream"] = place if variant in RENAMED else record.stream
        if variant not in RENAMED:
            found |= {key: getattr(record, key) for key in ("client", "server", "client_name", "server_name")}
        if variant in REFRAMED:
            found["frames"] = record.frames
            found["evidence"] = [(finding.frames, finding.summary, finding.display_filter) for finding in record.findings]
        connections.append(found)
    return [analyzed.record.error, sorted(note.kind for note in analyzed.record.notes), connections]


def ports_for(capture: Path) -> list[int]:
    return [4450] if capture.name.startswith("alternative-port") else []


@cache
def expected(capture: Path, variant: str) -> tuple[Capture, list[Any]]:
    """A capture, and what is seen in it when it is written plainly."""
    original = read(capture)
    return original, seen(pcap(original), variant, *ports_for(capture))


def difference(capture: Path, name: str) -> str | None:
    """Where a variant's diagnosis is another one; None where it is not."""
    kind = next(kind for kind in (REFRAMED, RECUT, RENAMED) if name in kind)
    original, wanted = expected(capture, next(iter(kind)))
    ports = [*ports_for(capture), *([44_500] if name == "on_port" else [])]
    found = seen(pcap(VARIANTS[name](original)), name, *ports)
    return None if found == wanted else first_difference(wanted, found)


def first_difference(expected: Any, found: Any, where: str = "") -> str:
    """The first place where two JSON values differ."""
    if isinstance(expected, dict) and isinstance(found, dict):
        for key in {**expected, **found}:
            if expected.get(key) != found.get(key):
                return first_difference(expected.get(key), found.get(key), f"{where}.{key}")
    if isinstance(expected, list | tuple) and isinstance(found, list | tuple) and len(expected) == len(found):
        for number, (one, other) in enumerate(zip(expected, found, strict=True)):
            if one != other:
                return first_difference(one, other, f"{where}[{number}]")
    return f"{where}: {expected!r} became {found!r}"


@pytest.mark.parametrize("capture", [*samples(), *LAB], ids=lambda path: path.name)
def test_a_capture_is_diagnosed_the_same_under_every_variant(capture: Path) -> None:
    found = {}
    for name in VARIANTS:
        with suppress(DoesNotApply):
            found[name] = difference(capture, name)
    assert len(found) > len(VARIANTS) / 2
    assert {
        name: change for name, change in found.items() if change is not None and (capture.name, name) not in TOLD
    } == {}


@pytest.mark.parametrize("capture", samples(), ids=lambda path: path.name)
def test_a_format_changes_nothing(capture: Path) -> None:
    original, wanted = expected(capture, "as_ethernet")
    for name, encode in FORMATS.items():
        assert seen(encode(original), "as_ethernet", *ports_for(capture)) == wanted, name
