"""The committed captures are the ones the script makes, and another program finds no fault in them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

MADE = sorted(
    name for name, label in json.loads(
        (Path(__file__).resolve().parents[2] / "sample_pcaps" / "labels.json").read_text("utf-8")).items()
    if label["client"] == "made")


@pytest.fixture(scope="session")
def remade(tmp_path_factory: pytest.TempPathFactory, root: Path) -> Path:
    pytest.importorskip("scapy", reason="the captures are made with scapy")
    folder = tmp_path_factory.mktemp("samples")
    subprocess.run([sys.executable, "-m", "sample_pcaps.make", str(folder)], check=True, cwd=root)
    return folder


@pytest.mark.parametrize("name", [*MADE, "labels.json", "README.md"])
def test_the_script_makes_the_committed_bytes(name: str, remade: Path, samples: Path) -> None:
    assert (remade / name).read_bytes() == (samples / name).read_bytes()


def test_every_capture_is_labelled_and_every_label_has_its_capture(samples: Path) -> None:
    labels = json.loads((samples / "labels.json").read_text("utf-8"))
    assert sorted(labels) == sorted(path.name for path in samples.glob("*.pcap*"))


def test_every_slug_of_a_label_is_a_rule(samples: Path, root: Path) -> None:
    rules = {path.stem for path in (root / "rules").glob("*.yaml")}
    labels = json.loads((samples / "labels.json").read_text("utf-8"))
    slugs = {
        slug
        for label in labels.values()
        for found in (*label["connections"], *label.get("with_options", {}).get("connections", []))
        for kind in ("causes", "warnings", "candidates", "allowed")
        for slug in found.get(kind, [])
    }
    assert slugs <= rules


@pytest.mark.parametrize("name", MADE)
def test_wireshark_finds_no_wrong_checksum_and_nothing_malformed(name: str, samples: Path, tshark: str) -> None:
    # Port 4450 is left out of the second part: Wireshark takes a server's NegTokenInit2 for a NegTokenInit
    # where the sender's port is 1024 or above.
    found = subprocess.run(
        [tshark, "-r", str(samples / name), "-o", "tcp.check_checksum:TRUE", "-o", "ip.check_checksum:TRUE",
         "-o", "udp.check_checksum:TRUE", "-d", "tcp.port==4450,nbss", "--disable-protocol", "artemis",
         "-Y", "tcp.checksum.status==0 || ip.checksum.status==0 || (_ws.malformed && tcp.port!=4450)", "-T", "fields", "-e", "frame.number"],
        check=True, capture_output=True, text=True).stdout
    assert found.split() == []
