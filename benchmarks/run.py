"""negdiag beside other programs on captures made for it: prints the table that stands in README.md.

    python -m benchmarks.run [--folder DIR] [--negdiag COMMAND] [--runs N] [--only NAME]... [--quick] [CAPTURE...]

Makes its captures (about 6 GB, taken away again), runs everything in turn, and prints one line for each
pair of programs: time, CPU time, peak memory, and the ratio to tshark. --quick: everything ten times smaller.
CAPTURE: measure these instead.
"""

from __future__ import annotations

import argparse
import gzip
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from benchmarks import inputs
from benchmarks.measure import Measured, measure
from benchmarks.shapes import SHAPES

PARTS = ("start", "large", "shapes", "many", "small", "compressed")
TSHARK = ("-Y", "smb2.cmd==0||smb.cmd==0x72", "-T", "fields", "-e", "frame.number", "-e", "tcp.stream")


class Line(NamedTuple):
    """One program on one input. base: the line that its time is held against."""

    input: str
    program: str
    measured: Measured


class Bench:
    """One run of everything."""

    def __init__(self, folder: Path, negdiag: Sequence[str], runs: int, scale: int) -> None:
        self.folder = folder
        self.negdiag = list(negdiag)
        self.runs = runs
        self.scale = scale

    def turns(self, name: str, programs: dict[str, list[str]], runs: int | None = None) -> Iterator[Line]:
        """The programs one after the other, so many times; the medians."""
        found: dict[str, list[Measured]] = {program: [] for program in programs}
        for _ in range(runs or self.runs):
            for program, command in programs.items():
                found[program].append(measure(command))
        for program, several in found.items():
            yield Line(name, program, Measured(
                statistics.median(one.seconds for one in several), statistics.median(one.cpu for one in several),
                max(one.peak for one in several), several[0].status,
            ))

    def start(self) -> Iterator[Line]:
        """A capture of 8 KB: what a start costs."""
        path = str(inputs.SAMPLES / "ok-signing-mandatory.pcap")
        yield from self.turns("start", {
            "tshark": ["tshark", "-r", path, "-Y", "smb2"], "negdiag": [*self.negdiag, path],
        }, 21)  # fmt: skip

    def large(self) -> Iterator[Line]:
        """Mixed captures of 100 MB, 1 GB and 4 GB with the same SMB connections."""
        for size in (100, 1000, 4000):
            path = self.folder / "mixed.pcap"
            _make("mixed", path, "--megabytes", size // self.scale)
            name = f"mixed {size} MB"
            programs = {"negdiag --jobs 1": [*self.negdiag, "--jobs", "1", str(path)],
                        "negdiag": [*self.negdiag, str(path)], "capinfos": ["capinfos", "-c", str(path)]}
            if size == 1000:
                programs["tshark"] = ["tshark", "-r", str(path), *TSHARK]
            yield from self.turns(name, programs)
            if size == 100:
                loops = {kind: [sys.executable, "-m", "benchmarks.loops", kind, str(path)] for kind in ("dpkt", "scapy")}
                yield from self.turns(name, {"tshark": ["tshark", "-r", str(path), *TSHARK], **loops}, 1)
            path.unlink()

    def shapes(self) -> Iterator[Line]:
        """The capture of 1 GB in other shapes; a snapped one of 2 GB."""
        for shape in SHAPES:
            plain, path = self.folder / "mixed.pcap", self.folder / f"mixed.{shape}"
            size = 2000 if shape == "snapped" else 1000
            _make("mixed", plain, "--megabytes", size // self.scale)
            subprocess.run([sys.executable, "-m", "benchmarks.shapes", shape, str(plain), str(path)], check=True)
            plain.unlink()
            yield from self.given(path, f"mixed {size} MB, {shape}")
            path.unlink()

    def given(self, path: Path, name: str) -> Iterator[Line]:
        """Any capture."""
        yield from self.turns(name, {
            "tshark": ["tshark", "-r", str(path), *TSHARK],
            "negdiag --jobs 1": [*self.negdiag, "--jobs", "1", str(path)],
            "negdiag": [*self.negdiag, str(path)],
            "capinfos": ["capinfos", "-c", str(path)],
        })  # fmt: skip

    def many(self) -> Iterator[Line]:
        """Many connections: a million that did not come up, a hundred thousand that did."""
        million = 1_000_000 // self.scale
        kinds: dict[str, tuple[str | int, ...]] = {
            "1,000,000 unanswered": ("syns", "--count", million),
            "1,000,000 refused": ("syns", "--refused", "--count", million),
            "100,000 negotiations": ("negotiations", "--count", million // 10),
        }
        for name, (kind, *words) in kinds.items():
            path = self.folder / "many.pcap"
            _make(str(kind), path, *words)
            lines = self.folder / "many.ndjson"
            yield from self.turns(name, {
                "tshark": ["tshark", "-r", str(path), *TSHARK],
                "negdiag": [*self.negdiag, str(path)],
                "negdiag -o x.ndjson": [*self.negdiag, str(path), "-o", str(lines)],
            }, 1)  # fmt: skip
            path.unlink()
            lines.unlink(missing_ok=True)

    def small(self) -> Iterator[Line]:
        """A thousand small captures in one call."""
        folder = self.folder / "small"
        _make("folder", folder, "--count", 1000 // self.scale)
        yield from self.turns("1,000 captures", {
            "negdiag": [*self.negdiag, str(folder)], "negdiag --jobs 1": [*self.negdiag, "--jobs", "1", str(folder)],
        })  # fmt: skip
        shutil.rmtree(folder)

    def compressed(self) -> Iterator[Line]:
        """Compressed captures beside a plain loop over what the same library makes of them."""
        plain = self.folder / "mixed.pcap"
        _make("mixed", plain, "--filled", "--megabytes", 1000 // self.scale)
        for ending, pack in (("gz", _gzip), ("zst", _zstd), ("lz4", _lz4)):
            path = self.folder / f"mixed.pcap.{ending}"
            pack(plain, path)
            yield from self.turns(f"mixed 1000 MB, .{ending}", {
                "decompressor": [sys.executable, "-m", "benchmarks.loops", ending, str(path)],
                "negdiag --jobs 1": [*self.negdiag, "--jobs", "1", str(path)],
            })  # fmt: skip
            path.unlink()
        plain.unlink()


def _make(kind: str, path: Path, *words: str | int) -> None:
    """Make an input, in a process of its own: what this one holds counts as the peak of all that it starts."""
    subprocess.run([sys.executable, "-m", "benchmarks.inputs", kind, str(path), *map(str, words)], check=True)


def _gzip(source: Path, target: Path) -> None:
    with source.open("rb") as file, gzip.open(target, "wb", compresslevel=1) as out:
        shutil.copyfileobj(file, out, 1 << 20)


def _zstd(source: Path, target: Path) -> None:
    import zstandard

    with source.open("rb") as file, target.open("wb") as out:
        zstandard.ZstdCompressor(level=1).copy_stream(file, out)


def _lz4(source: Path, target: Path) -> None:
    import lz4.frame

    with source.open("rb") as file, lz4.frame.open(target, "wb") as out:
        shutil.copyfileobj(file, out, 1 << 20)


def table(lines: Sequence[Line]) -> Iterator[str]:
    """Markdown. The last column: how often the time goes into that of tshark (or the decompressor)."""
    yield "| input | program | seconds | CPU s | peak MB | reference / this |"
    yield "| --- | --- | ---: | ---: | ---: | ---: |"
    for line in lines:
        base = next(
            (one for one in lines if one.input == line.input and one.program in ("tshark", "decompressor")), None
        )
        ratio = "" if base is None or base is line else f"{base.measured.seconds / line.measured.seconds:.2f}"
        seconds, cpu, peak, status = line.measured
        note = f" (status {status})" if status else ""
        yield f"| {line.input} | {line.program}{note} | {seconds:.2f} | {cpu:.2f} | {peak / 1e6:.0f} | {ratio} |"


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, help="where the captures go (default: a temporary folder)")
    parser.add_argument("--negdiag", default=f"{sys.executable} -m analyzer", help="the command that is measured")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--only", action="append", choices=PARTS)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("captures", nargs="*", type=Path, metavar="CAPTURE")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        bench = Bench(Path(folder), options.negdiag.split(), options.runs, 10 if options.quick else 1)
        lines: list[Line] = []
        given = [bench.given(path, path.name) for path in options.captures]
        for part in given or [getattr(bench, name)() for name in options.only or PARTS]:
            for line in part:
                lines.append(line)
                print(*line[:2], *(round(value, 2) for value in line.measured), sep="\t", file=sys.stderr)
    when = datetime.now(UTC)
    print(f"{when:%Y-%m-%d}, {platform.system()} {platform.machine()}, {os.cpu_count()} processors, "
          f"Python {platform.python_version()}{', everything ten times smaller' if options.quick else ''}\n")
    print("\n".join(table(lines)))


if __name__ == "__main__":
    main()
