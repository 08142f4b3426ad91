"""Many places of a chunk that may be records -> the one chain of records, walked side by side.

A record is found only by way of the one before it, so a walk waits for memory at each. Begun at
many places at once, every step is one array operation for all lanes. Where a lane begins is a
guess; it counts only if the chain from the first record arrives exactly there, so the result is
always that of a single walk.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

MAX_STEPS = 1000
"""Records of the longest lane."""

Chain = Callable[[NDArray[np.uint8], int], NDArray[np.int64]]
"""Records from one place on, walked one after the other."""


def walk_in_lanes(
    chunk: NDArray[np.uint8], starts: NDArray[np.int64], header: int, sizes: np.dtype[Any], chain: Chain
) -> NDArray[np.int64]:
    """Where the records of a chunk begin whose headers are whole, in order.

    starts: ascending; the first is a record, the others are guesses. header: bytes before each frame;
    sizes: a record with the field `size`, bytes of the frame, that reads no further than the header.
    """
    every = np.ndarray((len(chunk) - sizes.itemsize + 1,), sizes, buffer=chunk, strides=(1,))["size"]
    last = len(chunk) - header + 1                   # no whole header begins here or later
    bound = np.append(starts[1:], last)
    limit = np.minimum(bound, len(every) - 1)
    at = starts
    steps = [at]
    # A lane that has arrived stays at its bound, because the next step only leads beyond it.
    for step in range(MAX_STEPS):
        at = np.minimum(at + every[np.minimum(at, limit)] + header, bound)
        steps.append(at)
        if not step & 7 and (at == bound).all():
            break
    else:
        return chain(chunk, 0)                       # too uneven to gain anything
    lanes = np.stack(steps, axis=1)
    inside = lanes < bound[:, None]
    final = lanes[np.arange(len(starts)), np.count_nonzero(inside, axis=1) - 1]
    arrival = final + every[final] + header
    wrong = arrival[:-1] != starts[1:]
    if not wrong.any():
        return lanes[inside]
    # One lane led past the next guess: what is before it is the chain, which goes on alone.
    good = int(np.argmax(wrong)) + 1
    found = lanes[:good][inside[:good]]
    begin = int(arrival[good - 1])
    return np.concatenate([found, chain(chunk, begin)]) if begin < last else found
