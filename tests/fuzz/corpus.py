"""What the fuzzer begins with: the samples and lab captures, one in every format, old crashes, and what no sample has."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path

import lz4.frame
import zstandard

from tests.captures import FORMATS, Capture, read
from tests.conftest import ROOT, SHARED
from tests.fuzz.forms import forms
from tests.fuzz.mutate import Seed

REGRESSIONS = ROOT / "tests" / "regressions"
LARGEST = 12 << 10                    # a larger capture has the same fields, only more of them
_IN_EVERY_FORMAT = "ok-all-contexts.pcap"


def snoop(capture: Capture) -> bytes:
    """RFC 1761, Ethernet."""
    out = [b"snoop\0\0\0" + struct.pack(">II", 2, 4)]
    for time_ns, data, original in capture.frames:
        seconds, rest = divmod(time_ns, 10**9)
        padded = data + bytes(-len(data) % 4)
        out.append(struct.pack(">IIIIII", original, len(data), 24 + len(padded), 0, seconds, rest // 1000) + padded)
    return b"".join(out)


def netmon(capture: Capture) -> bytes:
    """Network Monitor 2.3."""
    body, table = b"", b""
    for number, (_, data, original) in enumerate(capture.frames):
        table += struct.pack("<I", 128 + len(body))
        body += struct.pack("<qII", number, original, len(data)) + data + struct.pack("<H4xQx", 1, 134_000_000_000_000_000)
    head = b"GMBU" + struct.pack("<BBH8H", 3, 2, 1, 2026, 11, 0, 22, 10, 0, 1, 500)
    return (head + struct.pack("<II", 128 + len(body), len(table))).ljust(128, b"\0") + body + table


def regressions() -> list[Path]:
    """Inputs that once broke something, by name."""
    return sorted(path for path in REGRESSIONS.iterdir() if path.suffix not in {".py", ".md"} and path.is_file())


def seeds(*, lab: bool = True) -> list[Seed]:
    """All seeds, in a fixed order. lab: with the captures beside the repository, where they are."""
    paths = sorted((ROOT / "sample_pcaps").glob("*.pcap*"))
    if lab and SHARED.is_dir():
        paths += sorted((SHARED / "lab").glob("*.pcap*"))
    found = [Seed(path.name, path.read_bytes()) for path in [*paths, *regressions()]]
    sample = read(ROOT / "sample_pcaps" / _IN_EVERY_FORMAT)
    found += [Seed(name, encode(sample)) for name, encode in FORMATS.items()]
    plain = FORMATS["pcap-us-le"](sample)
    found += [
        Seed("snoop", snoop(sample)),
        Seed("netmon", netmon(sample)),
        Seed("gzip", gzip.compress(plain, mtime=0)),
        Seed("zstd", zstandard.compress(plain)),
        Seed("lz4", lz4.frame.compress(plain)),
    ]
    return [seed for seed in (*found, *forms()) if len(seed.data) <= LARGEST]
