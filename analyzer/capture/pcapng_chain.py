"""A chunk of pcapng -> where its blocks begin, in order: one after the other, or many side by side.

Where a block begins is told by the one before it, in the byte order of the section header before that.
So the walk has a state: a place and a byte order. Places are counted in words of four bytes, to which
all blocks are padded. Nothing is checked here: a length too small for any block leads 12 bytes on, one
too large out of the chunk, and whoever looks at the blocks finds the first that is wrong.
"""

from __future__ import annotations

import re
import struct
from collections import Counter
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from analyzer.capture.gather import gather
from analyzer.capture.lanes import Guess, walk_in_lanes

SECTION_HEADER = 0x0A0D0D0A
MAGIC = 0x1A2B3C4D
OTHER_MAGIC = 0x4D3C2B1A                 # the same in the other byte order than one reads it

_LANED = 1 << 20                         # chunks from this size on may be walked in lanes
_FEWEST_LANES = 24                       # below, an array operation costs more than it saves
_SMALL = 160                             # bytes of a block; where the order turns, lanes of larger ones cost more than they save
_LANE_BLOCKS = 140
_LEAST_APART = 10_300                    # bytes; lanes a power of two apart would share cache sets
_MAX_STEPS = 1300                        # blocks of the longest lane
_SAMPLE = 1 << 15
_SEARCHED = 4096                         # bytes in which a lane's first block is looked for
_TRIES = 64                              # places in them that look like one at first sight

_MAGIC = {b"\x4d\x3c\x2b\x1a": False, b"\x1a\x2b\x3c\x4d": True}
_SIZES = tuple(                          # of a block in each byte order, of which the least has 12 bytes
    np.dtype({"names": ["size"], "formats": [f"{order}u4"], "offsets": [4], "itemsize": 12}) for order in "<>"
)
HEAD = np.dtype([(name, "<u4") for name in ("before", "type", "total", "third", "high", "low", "captured", "original")])
"""The last word of the block before, and the first 28 bytes of a block."""
_ORDERED = (HEAD, HEAD.newbyteorder(">"))
_HEADS = (struct.Struct("<II").unpack_from, struct.Struct(">II").unpack_from)
_LENGTHS = (struct.Struct("<4xI").unpack_from, struct.Struct(">4xI").unpack_from)


class Blocks(NamedTuple):
    """Blocks of which at least 12 bytes are in the chunk, in order.

    at: where each begins, in bytes; big: whether it is read as big-endian. Up to the first block that is
    wrong this is the chain; what comes after it is not. head: HEAD of each, as it is written, where it was fetched.
    """

    at: NDArray[np.int64]
    big: NDArray[np.bool_]
    head: NDArray[Any] | None = None


class _Lanes(NamedTuple):
    """Where lanes begin, in words, and in which byte order; the first is a block, the others are guesses.

    mark: how the type of most blocks is written.
    """

    start: NDArray[np.int64]
    big: NDArray[np.bool_]
    mark: bytes


def blocks(chunk: NDArray[np.uint8], *, big: bool, turns: bool) -> Blocks:
    """The blocks of a chunk that begins at one.

    big: the byte order there, unless it is a section header. turns: whether sections of both byte orders
    are to be expected; it only makes them faster.
    """
    sample = _one_by_one(chunk[:_SAMPLE], 0, big=big) if len(chunk) >= _LANED else None
    if sample is not None and len(sample.at):
        lanes = _lane_starts(chunk, sample, big=big)
        found = None
        if not turns and lanes.big.any() == lanes.big.all():
            found = _in_one_order(chunk, lanes)
        if found is None and len(sample.at) * _SMALL > _SAMPLE:
            found = _side_by_side(chunk, lanes)
        if found is not None:
            return found
    return _one_by_one(chunk, 0, big=big)


def _one_by_one(chunk: NDArray[np.uint8], begin: int, *, big: bool) -> Blocks:
    """The same from one block on."""
    places: list[int] = []
    append = places.append
    data = chunk.data
    heads = data[:max(len(data) - 4, 0)]             # so that the last 12 bytes are a block and 11 are none
    turns: list[tuple[int, bool]] = [(0, big)]
    head = _HEADS[big]
    at = begin
    try:
        while True:
            kind, total = head(heads, at)
            if kind == SECTION_HEADER:
                order = _MAGIC.get(bytes(data[at + 8:at + 12]))
                if order is not None and order is not big:
                    big = order
                    head = _HEADS[big]
                    turns.append((len(places), big))
                    total = head(heads, at)[1]
            append(at)
            at += total + 3 & ~3 if total > 12 else 12
    except struct.error:
        pass
    orders = np.empty(len(places), np.bool_)
    for (first, order), (last, _) in zip(turns, [*turns[1:], (len(places), False)], strict=True):
        orders[first:last] = order
    return Blocks(np.fromiter(places, np.int64, len(places)), orders)


def _in_one_order(chunk: NDArray[np.uint8], lanes: _Lanes) -> Blocks | None:
    """The blocks, in nearly all files. None where a section header turns the byte order, or a length is no block's."""
    big, starts = bool(lanes.big[0]), lanes.start << 2
    if len(starts) < _FEWEST_LANES:
        return None

    def chain(chunk: NDArray[np.uint8], begin: int, end: int) -> NDArray[np.int64]:
        places: list[int] = []
        append = places.append
        at = begin
        data = chunk.data[:max(min(end + 7, len(chunk) - 4), 0)]
        try:
            while True:
                total, = length(data, at)
                append(at)
                at += max(12, total)
        except struct.error:
            pass
        return np.fromiter(places, np.int64, len(places))

    length = _LENGTHS[big]
    at = walk_in_lanes(chunk, starts, 0, _SIZES[big], chain, _guess(chunk, lanes.mark, big=big))
    head = heads(chunk, at)
    known = head.view(_ORDERED[big])
    # Such a block leads elsewhere than its length says, here or in _one_by_one().
    if ((known["total"] < 12) | (known["total"] & 3 != 0)).any():
        return None
    if ((known["type"] == SECTION_HEADER) & (known["third"] == OTHER_MAGIC)).any():
        return None
    return Blocks(at, np.full(len(at), big), head)


def heads(chunk: NDArray[np.uint8], at: NDArray[np.int64]) -> NDArray[Any]:
    """HEAD of blocks, of which the first one begins the chunk; zero for what is not there."""
    found = gather(chunk, np.maximum(at - 4, 0), HEAD)
    if len(at):
        first = chunk[: HEAD.itemsize - 4]
        row = found[:1].view(np.uint8)
        row[:4], row[4 : 4 + len(first)], row[4 + len(first) :] = 0, first, 0
    return found


def _side_by_side(chunk: NDArray[np.uint8], lanes: _Lanes) -> Blocks | None:
    """The same where the byte order turns; None where lanes are too uneven to gain anything."""
    words = chunk[:len(chunk) & ~3].view("<u4")
    last = (len(chunk) - 12 >> 2) + 1                # no block begins at this word or later
    bound = np.append(lanes.start[1:], last)
    inside = bound - 1
    at, big = lanes.start, lanes.big
    arrival = at
    steps, orders = [], []
    for step in range(_MAX_STEPS):
        # A lane that has arrived stays at its bound; what it reads there leads nowhere.
        under_way = at < bound
        here = np.minimum(at, inside)
        total = words[here + 1]
        header = under_way & (words[here] == SECTION_HEADER)
        if header.any():
            magic = words[np.minimum(here + 2, len(words) - 1)]
            big = np.where(header & (magic == MAGIC), False, np.where(header & (magic == OTHER_MAGIC), True, big))
        total = np.where(big, total.byteswap(), total)
        orders.append(big)
        steps.append(at)
        leads = here + np.maximum((total >> np.uint32(2)) + (total & np.uint32(3) != 0), np.uint32(3))
        arrival = np.where(under_way, leads, arrival)
        at = np.minimum(arrival, bound)
        if not step & 7 and (at == bound).all():
            break
    else:
        return None
    walked = np.stack(steps, axis=1)
    mine = walked < bound[:, None]
    order = np.stack(orders, axis=1)
    # Which byte order a section header is read in is told by itself.
    free = words[lanes.start[1:]] == SECTION_HEADER
    wrong = (arrival[:-1] != lanes.start[1:]) | (big[:-1] != lanes.big[1:]) & ~free
    good = int(np.argmax(wrong)) + 1 if wrong.any() else len(bound)
    found = Blocks(walked[:good][mine[:good]] << 2, order[:good][mine[:good]])
    begin = int(arrival[good - 1])
    if good == len(bound) or begin >= last:
        return found
    # One lane led past the next guess: what is before it is the chain, which goes on alone.
    rest = _one_by_one(chunk, begin << 2, big=bool(big[good - 1]))
    return Blocks(np.concatenate([found.at, rest.at]), np.concatenate([found.big, rest.big]))


def _lane_starts(chunk: NDArray[np.uint8], sample: Blocks, *, big: bool) -> _Lanes:
    """The first block, and places further on that look like blocks, some hundred blocks apart.

    sample: the blocks of its beginning.
    """
    words = chunk[:min(_SAMPLE, len(chunk) & ~3)].view("<u4")
    apart = max(_LANE_BLOCKS * _SAMPLE // max(len(sample.at), 1), _LEAST_APART) & ~3
    alike = Counter(zip(words[sample.at >> 2].tolist(), sample.big.tolist(), strict=True))
    (kind, order), _ = alike.most_common(1)[0]
    mark = struct.pack("<I", kind)
    starts, orders = [0], [big]
    near = _guess(chunk, mark, big=order)
    for target in range(apart, len(chunk) - _SEARCHED, apart):
        found = near(target)
        if found > starts[-1]:
            starts.append(found)
            orders.append(order)
    return _Lanes(np.array(starts, np.int64) >> 2, np.array(orders, np.bool_), mark)


def _guess(chunk: NDArray[np.uint8], mark: bytes, *, big: bool) -> Guess:
    """Finds places where a block may begin: of this kind, its length the same at its end."""
    word = struct.Struct(">I" if big else "<I").unpack_from
    # Behind the type a length of less than 16 MB.
    search = re.compile(re.escape(mark) + (rb"\0..." if big else rb"...\0"), re.DOTALL).search
    data = chunk.data

    def near(target: int) -> int:
        found = search(data, target, target + _SEARCHED)
        for _ in range(_TRIES):
            if found is None:
                break
            place = found.start()
            if not place & 3:
                total, = word(data, place + 4)
                end = place + (total + 3 & ~3)
                if total >= 12 and end <= len(data) and word(data, end - 4)[0] == total:
                    return place
            found = search(data, place + 1, target + _SEARCHED)
        return -1

    return near
