"""Many places of a chunk that may be records -> the one chain of records, walked side by side.

A record is found only by way of the one before it, so a walk waits for memory at each. Begun at
many places at once, every step is one array operation for all lanes. Where a lane begins is a
guess; it counts only if the chain from the first record arrives exactly there, so the result is
always that of a single walk.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analyzer.capture.gather import hits

STEPS = 152
"""Records that lanes walk before those that have not arrived are divided further."""
LATER_STEPS = 64
"""The same of those: most have little left."""
LEAST = 12
"""Bytes of a record; lanes that came less far for each are stuck and not divided."""
MAX_ROUNDS = 40
"""Times that this is done. What is too uneven then gains nothing by lanes."""
FEW = 12
"""Lanes that are walked one after the other: below, an array operation costs more than it saves."""

Chain = Callable[[NDArray[np.uint8], int, int], NDArray[np.int64]]
"""The records of a chunk from one place on that begin before another, walked one after the other."""

Guess = Callable[[int], int]
"""A place a little behind the one given where a record may begin, or -1."""


def walk_in_lanes(  # noqa: PLR0917 - what one format's records are like
    chunk: NDArray[np.uint8],
    starts: NDArray[np.int64],
    header: int,
    sizes: np.dtype[Any],
    chain: Chain,
    guess: Guess | None = None,
) -> NDArray[np.int64]:
    """Where the records of a chunk begin whose headers are whole, in order.

    starts: ascending; the first is a record, the others are guesses. header: bytes before each frame;
    sizes: a record with the field `size`, bytes of the frame, that reads no further than the header.
    guess: finds further starts where records turn out to be smaller than elsewhere.
    """
    if len(chunk) <= header:
        return chain(chunk, 0, len(chunk))
    every = np.ndarray((len(chunk) - sizes.itemsize + 1,), sizes, buffer=chunk, strides=(1,))["size"]
    last = len(chunk) - header + 1                   # no whole header begins here or later
    stop = min(last, len(every) - 1)                 # where a lane waits that led beyond the chunk
    found: list[NDArray[np.int64]] = []
    arrived: list[tuple[NDArray[np.int64], NDArray[np.int64]]] = []      # where, and where it should have
    at = starts[starts < stop]
    bound = np.append(at[1:], stop)
    steps = STEPS
    for _ in range(MAX_ROUNDS):
        if len(at) <= FEW:
            break
        lanes = _side_by_side(every, at, header, stop, steps)
        inside = lanes < bound
        count = np.add.reduce(inside.view(np.uint8), axis=0, dtype=np.uint8).astype(np.int64)     # STEPS + 1 at most
        going = count > steps
        inside[steps, going] = False                 # where they go on
        found.append(lanes.reshape(-1).take(hits(inside.reshape(-1))))
        done = hits(~going)
        final = lanes[count[done] - 1, done]
        arrived.append((final + every[final] + header, bound[done]))
        apart = (lanes[steps, going] - at[going]) * STEPS // steps
        at, bound = lanes[steps, going], bound[going]
        if guess is not None and len(at):
            at, bound = _divided(at, bound, apart, guess)
        steps = LATER_STEPS
    for begin, end in zip(at.tolist(), bound.tolist(), strict=True):
        alone = chain(chunk, begin, end)
        found.append(alone)
        arrived.append((alone[-1:] + every[alone[-1:]] + header, np.array([end])))
    places = np.sort(np.concatenate(found))
    arrival, due = (np.concatenate(columns) for columns in zip(*arrived, strict=True))
    wrong = hits((arrival != due) & (due != stop))
    if len(wrong):
        # A lane led past the next guess: what is before it is the chain, which goes on alone.
        first = wrong[np.argmin(due[wrong])]
        places, begin = places[: np.searchsorted(places, due[first])], int(arrival[first])
    else:
        begin = int(arrival[np.argmax(due)])
    return np.concatenate([places, chain(chunk, begin, last)]) if begin < last else places


def _side_by_side(
    every: NDArray[Any], at: NDArray[np.int64], header: int, stop: int, steps: int
) -> NDArray[np.int64]:
    """Where lanes are after 0 to `steps` records, (steps + 1, lanes); at `stop` once they led beyond it."""
    lanes = np.empty((steps + 1, len(at)), np.int64)
    lanes[0] = at
    # Arrays of one value: numpy adds them in half the time that it takes to look at a number.
    headers, stops = np.full(len(at), header), np.full(len(at), stop)
    done = 0
    with suppress(IndexError):           # a lane led beyond the chunk, which takes most of the way
        for before, after in pairwise(lanes):
            np.add(every[before], before, out=after)
            if header:
                np.add(after, headers, out=after)
            done += 1
    for before, after in pairwise(lanes[done:]):
        np.minimum(before, stops, out=before)
        np.add(every[before], before, out=after)
        np.add(after, headers, out=after)
    np.minimum(lanes[steps], stops, out=lanes[steps])
    return lanes


def _divided(
    at: NDArray[np.int64], bound: NDArray[np.int64], apart: NDArray[np.int64], guess: Guess
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The same lanes with guesses in between, as far apart as each has come in one round."""
    starts: list[int] = []
    bounds: list[int] = []
    for begin, end, step in zip(at.tolist(), bound.tolist(), apart.tolist(), strict=True):
        starts.append(begin)
        for target in range(begin + step, end - step // 2, step) if step >= LEAST * STEPS else ():
            place = guess(target)
            if starts[-1] < place < end:
                bounds.append(place)
                starts.append(place)
        bounds.append(end)
    return np.array(starts, np.int64), np.array(bounds, np.int64)
