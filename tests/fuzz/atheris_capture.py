"""python -m tests.fuzz.atheris_capture: coverage-guided, on whole captures; the changes are the fuzzer's own."""

from __future__ import annotations

import random
import sys

import atheris

with atheris.instrument_imports(include=["analyzer"]):
    from tests.fuzz.check import check, rules

from tests.fuzz.corpus import seeds
from tests.fuzz.mutate import LARGEST, random_mutants


def one(data: bytes) -> None:
    """Anything that breaks a promise is raised."""
    broken = check(data)
    if broken is not None:
        raise AssertionError(f"{broken.place}\n{broken.detail}")


def changed(data: bytes, largest: int, seed: int) -> bytes:
    """A change that knows the formats, or one of libFuzzer's."""
    if seed % 4 == 0 or not data:
        known = seeds()
        return next(random_mutants(known, random.Random(seed))).data[: min(largest, LARGEST)]
    mutated: bytes = atheris.Mutate(data, largest)
    return mutated


if __name__ == "__main__":
    rules()
    atheris.Setup(sys.argv, one, custom_mutator=changed)
    atheris.Fuzz()
