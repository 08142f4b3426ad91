"""python -m tests.fuzz --seconds N: mutated captures until time is up; what breaks is kept, made small.

First every length, count and type field of every format at its extremes, each kind of field in turn,
then random changes. Status 0: nothing broke, 1: something did (the inputs are in --out).
"""

from __future__ import annotations

import argparse
import faulthandler
import hashlib
import itertools
import random
import sys
import time
from collections.abc import Iterable, Sequence
from itertools import islice
from pathlib import Path

from tests.fuzz.check import LIMIT_KB, Broken, check, check_command
from tests.fuzz.corpus import seeds
from tests.fuzz.hostile import CASES, UNITS, packed
from tests.fuzz.mutate import Mutant, random_mutants, sweep
from tests.fuzz.shrink import shrunk

_COMMAND_EVERY = 4000                # inputs tried in this process for one in its own
_SHORT, _SLOW_EVERY = 70_000, 6      # bytes of a capture made to be slow; inputs swept for one of them
_EVERY_FORMAT = 50                   # inputs reported as JSON for one in all formats: HTML takes ten times as long


def mutants(seed: int, *, lab: bool = True) -> Iterable[Mutant]:
    """The inputs of a seed, without end: the sweep, with random ones between, and the slow ones, made short."""
    rng = random.Random(seed)
    known = seeds(lab=lab)
    swept, others = sweep(known, rng), random_mutants(known, random.Random(seed + 1))
    slow = (Mutant(f"hostile: {name}", make(_SHORT)) for name, make in CASES.items())
    for number, mutant in enumerate(swept):
        yield mutant
        if number % 2:
            yield next(others)
        if number % _SLOW_EVERY == 0:
            yield from islice(slow, 1)
    yield from others


def fuzz(
    inputs: Iterable[Mutant], *, seconds: float, out: Path | None = None, words: Sequence[str] = (), stop: int = 10
) -> dict[str, Broken]:
    """What broke, by its place. Ends after so many seconds or places, whichever comes first."""
    found: dict[str, Broken] = {}
    until = time.monotonic() + seconds
    count = 0
    for count, mutant in enumerate(inputs, 1):
        broken = check(mutant.data, every=count % _EVERY_FORMAT == 0)
        if broken is None and count % _COMMAND_EVERY == 0:
            broken = check_command(mutant.data, *words)
        if broken is not None and broken.place not in found:
            found[broken.place] = broken
            print(f"{broken.place}\n  {mutant.what}\n{broken.detail}", file=sys.stderr)
            if out is not None:
                _keep(out, mutant.data, broken)
            if len(found) >= stop:
                break
        if time.monotonic() >= until:
            break
    print(f"{count} inputs, {len(found)} broke something", file=sys.stderr)
    return found


def _keep(out: Path, data: bytes, broken: Broken) -> None:
    small = data
    if not broken.place.startswith(("slow", "command")):
        small = shrunk(data, lambda one: (again := check(one, every=True)) is not None and again.place == broken.place)
    out.mkdir(parents=True, exist_ok=True)
    name = "".join(letter if letter.isalnum() else "-" for letter in broken.place.lower())
    path = out / f"{name}-{hashlib.sha256(small).hexdigest()[:8]}.pcap"
    path.write_bytes(small)
    print(f"  kept as {path} ({len(small)} bytes)", file=sys.stderr)


def _hostile(size: int) -> int:
    """Time and result of each hostile capture, in its own process; of `size` bytes after decompression, or of 1 MB."""
    failed = 0
    made = [(name, make(1_000_000)) for name, make in CASES.items()] if not size else (
        (name, packed(name, size)) for name in UNITS)
    for name, data in made:
        began = time.monotonic()
        broken = check_command(data)
        print(f"{name:24s} {len(data):9,} bytes {time.monotonic() - began:6.1f} s {'' if broken is None else broken}", flush=True)
        failed += broken is not None
    return int(bool(failed))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the fuzzer."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=None, help="default: another one each time")
    parser.add_argument("--out", type=Path, default=Path("fuzz-found"), help="folder for what breaks something")
    parser.add_argument("--command", action="store_true", help="each input in its own process, as users run it")
    parser.add_argument("--hostile", action="store_true", help="check the captures of hostile.py, of 1 MB each")
    parser.add_argument("--packed", type=int, default=0, metavar="BYTES", help="check compressed ones that become so large")
    parser.add_argument("files", nargs="*", type=Path, help="check these files instead")
    options = parser.parse_args(arguments)
    faulthandler.enable()
    if sys.platform != "win32":
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (LIMIT_KB * 1024, resource.getrlimit(resource.RLIMIT_AS)[1]))
    if options.hostile or options.packed:
        return _hostile(options.packed)
    if options.files:
        results = [(path, check(path.read_bytes(), every=True) or check_command(path.read_bytes())) for path in options.files]
        for path, broken in results:
            print(f"{path}: {'holds' if broken is None else f'{broken.place}: {broken.detail}'}")
        return int(any(broken for _, broken in results))
    seed = random.SystemRandom().getrandbits(32) if options.seed is None else options.seed
    print(f"seed {seed}", file=sys.stderr)
    inputs = mutants(seed)
    if options.command:
        until = time.monotonic() + options.seconds
        for count, mutant in enumerate(itertools.islice(inputs, 0, None, 7), 1):
            broken = check_command(mutant.data)
            if broken is not None:
                print(f"{broken.place}\n  {mutant.what}\n{broken.detail}", file=sys.stderr)
                _keep(options.out, mutant.data, broken)
                return 1
            if time.monotonic() >= until:
                print(f"{count} inputs, none broke anything", file=sys.stderr)
                return 0
    return int(bool(fuzz(inputs, seconds=options.seconds, out=options.out)))


if __name__ == "__main__":
    sys.exit(main())
