"""What is left of a capture when packets, directions or bytes are lost: is the verdict on it still right?

    python -m tests.lost [--seed N] [--count N] [--jobs N] [WORD...]

Removes frames of labelled captures at random (WORDs choose captures by name) and diagnoses the rest. A
connection that came up must never be accused; one that failed must have its own primary cause, none, or a
more general one with its own among the candidates. Prints each variant of which this is not true.

A remainder may hold the whole wire signature of another cause; then saying so is right, and `excused`
says which, from what is left and never from which capture it was.
"""

from __future__ import annotations

import argparse
import io
import json
import random
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from analyzer.alike import Diagnosed
from analyzer.diagnosis.engine import RuleSet
from analyzer.diagnosis.loader import load_rules
from analyzer.errors import CaptureError
from analyzer.negotiation.others import SCAN_CONNECTIONS
from analyzer.pipeline import run
from analyzer.reading import SMB_PORTS, Settings
from analyzer.telling import Wanted
from tests.captures import Capture, pcap, read
from tests.packets import split, tcp

ROOT = Path(__file__).resolve().parents[1]
LAB = ROOT.parent / "shared" / "captures" / "lab"
SAMPLES = ROOT / "sample_pcaps"
LIMITS = frozenset({"capture-truncated", "capture-gap", "one-sided", "mid-stream"})
PORTS = SMB_PORTS | {4450}
SETTINGS = Settings(ports=PORTS)

Ends = frozenset[str]


class Labelled(NamedTuple):
    """A capture, the primary cause of each of its connections (None for one that came up), its warnings."""

    capture: Capture
    causes: Mapping[Ends, str | None]
    warnings: Mapping[Ends, frozenset[str]]


class Variant(NamedTuple):
    """What was done to a capture. kept: numbers of the frames that are left, from 1."""

    name: str
    how: str
    kept: tuple[int, ...]
    snap: int | None


class Miss(NamedTuple):
    """A verdict that is wrong."""

    variant: Variant
    expected: str | None
    found: tuple[str, ...]
    candidates: tuple[str, ...]


def folders() -> list[Path]:
    """Where labelled captures are."""
    return [folder for folder in (LAB, SAMPLES) if (folder / "labels.json").is_file()]


@cache
def labelled() -> dict[str, Labelled]:
    """Every labelled capture whose frames this package's own small reader can read."""
    found: dict[str, Labelled] = {}
    for folder in folders():
        labels: dict[str, Any] = json.loads((folder / "labels.json").read_text("utf-8"))
        for name, label in labels.items():
            connections = [*label["connections"], *label.get("with_options", {}).get("connections", [])]
            causes = {frozenset((c["client"], c["server"])): (c["causes"] or [None])[0] for c in connections}
            try:
                capture = read(folder / name)
            except ValueError:          # several link types in one file
                continue
            whole = {
                frozenset((one.record.client, one.record.server)): frozenset(one.record.warnings)
                for one in diagnosed(pcap(capture))
            }
            found[f"{folder.name}/{name}"] = Labelled(capture, causes, whole)
    return found


def diagnosed(capture: bytes) -> list[Diagnosed]:
    """The verdicts on a capture, SMB on port 4450 included."""
    (analyzed,) = run([("lost", io.BytesIO(capture))], rules(), SETTINGS, Wanted())
    if analyzed.record.error is not None:
        raise CaptureError(analyzed.record.error)
    return list(analyzed.connections)


@cache
def rules() -> RuleSet:
    """The built-in rules."""
    return load_rules(())


def sides(capture: Capture) -> Iterator[bool | None]:
    """Of each frame: whether the server sent it, None where it is no TCP."""
    for frame in capture.frames:
        parts = split(frame, capture.link_type)
        segment = None if parts is None else tcp(parts[1])
        yield None if segment is None else segment.source_port in PORTS




def variant(name: str, capture: Capture, rng: random.Random) -> Variant:
    """One way to lose something of a capture."""
    numbers = range(1, len(capture.frames) + 1)
    how = rng.choices(
        ("packets", "head", "tail", "direction", "bytes", "direction-packets"), (12, 1, 1, 1, 1, 1)
    )[0]
    kept = list(numbers)
    snap = None
    if how == "head":
        kept = kept[rng.randint(1, max(1, len(kept) - 1)):]
    elif how == "tail":
        kept = kept[: rng.randint(1, max(1, len(kept) - 1))]
    elif how == "bytes":
        snap = rng.randint(40, 300)
    if how.startswith("direction"):
        lost = rng.random() < 0.5
        begin = rng.choice(kept)
        kept = [n for n, side in zip(numbers, sides(capture), strict=True) if side is not lost or n < begin]
    if how.endswith("packets") and kept:
        lost_ones = set(rng.sample(kept, rng.randint(1, max(1, len(kept) // 3))))
        kept = [n for n in kept if n not in lost_ones]
    return Variant(name, how, tuple(kept), snap)


def made(one: Variant, capture: Capture) -> bytes:
    """The capture that is left."""
    frames = [capture.frames[n - 1] for n in one.kept]
    if one.snap is not None:
        frames = [f._replace(data=f.data[: one.snap]) for f in frames]
    return pcap(capture.with_frames(frames))


def misses(one: Variant, label: Labelled) -> Iterator[Miss]:
    """What is wrong in the verdicts on a variant."""
    verdicts = diagnosed(made(one, label.capture))
    pairs = Counter((d.record.client_host, d.record.server_host) for d in verdicts if d.story and d.story.exchanges)
    for found in verdicts:
        record = found.record
        ends = frozenset((record.client, record.server))
        expected = label.causes.get(ends)
        new = set(record.warnings) - label.warnings.get(ends, frozenset()) - LIMITS
        if new and expected is None and not record.causes:
            yield Miss(one, expected, tuple(sorted(new)), record.candidates)
        if not record.causes or record.causes[0] == expected or expected in record.candidates:
            continue
        if not excused(found, pairs[record.client_host, record.server_host]):
            yield Miss(one, expected, record.causes, record.candidates)


def excused(found: Diagnosed, beside: int) -> bool:
    """Whether what is left holds the whole wire signature of the cause that was found.

    beside: connections with a NEGOTIATE left between the same two hosts, this one included.
    """
    cause, story = found.record.causes[0], found.story
    if cause == "client-rejected-response" and story is not None:
        # A probe is known by its siblings: two connections are no scanner yet.
        last = story.exchanges[-1]
        both = last.request is not None and last.response is not None
        left = story.ending is not None and story.ending.by_client and story.stage == "answer"
        return beside < SCAN_CONNECTIONS and both and left and story.coverage.whole and story.coverage.start_seen
    return False


def _work(job: tuple[int, int, Sequence[str]]) -> list[Miss]:
    seed, count, words = job
    rng = random.Random(seed)
    captures = labelled()
    names = [name for name in captures if not words or any(word in name for word in words)]
    found: list[Miss] = []
    for _ in range(count):
        name = rng.choice(names)
        found += misses(variant(name, captures[name].capture, rng), captures[name])
    return found


def search(seed: int, count: int, words: Sequence[str] = (), jobs: int = 1) -> list[Miss]:
    """The wrong verdicts among `count` variants; the same for the same seed and count."""
    share = 500
    work = [(seed * 1000 + n, min(share, count - n * share), words) for n in range(-(-count // share))]
    if jobs == 1:
        return [miss for job in work for miss in _work(job)]
    with ProcessPoolExecutor(jobs) as pool:
        return [miss for found in pool.map(_work, work) for miss in found]


def shown(found: Iterable[Miss]) -> Iterator[str]:
    """The wrong verdicts, one line for each kind, with the smallest loss that shows it."""
    kinds: dict[tuple[str, str | None, str], list[Miss]] = {}
    for miss in found:
        kinds.setdefault((miss.variant.name, miss.expected, miss.found[0]), []).append(miss)
    for (name, expected, cause), same in sorted(kinds.items(), key=lambda item: -len(item[1])):
        least = max(same, key=lambda miss: (len(miss.variant.kept), miss.variant.snap or 0))
        frames = ",".join(map(str, least.variant.kept))
        yield (
            f"{len(same)} x {name}: {cause} instead of {expected}; {least.variant.how}, "
            f"snap {least.variant.snap}, frames left: {frames}; candidates {list(least.candidates)}"
        )


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description="diagnoses what is left of labelled captures")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("words", nargs="*")
    chosen = parser.parse_args(arguments)
    found = search(chosen.seed, chosen.count, chosen.words, chosen.jobs)
    for line in shown(found):
        print(line)
    print(f"{len(found)} wrong verdicts on {chosen.count} variants")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
