"""A capture and a random generator -> captures that are nearly that one. Nothing here knows the package."""

from __future__ import annotations

import gzip
import random
import struct
from collections.abc import Callable, Iterator, Sequence
from itertools import islice, pairwise, zip_longest
from typing import NamedTuple

from tests.fuzz.places import Place, places

LARGEST = 1 << 20                    # bytes of one input
HEAD = 40                            # bytes at the beginning of a file, any of which may be the last
SMALL = 4096                         # bytes of a capture that is tried first, and beside others
CROWD, TRIED = 32, 4                 # conversations tried at once; values of a kind in one round, half where it is alone
# Kinds of what is said inside TCP, or stands in a tunnel's header: they break nothing beside them.
SPOKEN = ("nbss", "smb", "negotiate", "context", "transform", "der", "ntlmssp", "wrap")
_PLAIN = b"\xd4\xc3\xb2\xa1"         # classic pcap, little-endian


class Seed(NamedTuple):
    """A capture to begin with."""

    name: str
    data: bytes


class Mutant(NamedTuple):
    """An input, and what was done to get it."""

    what: str
    data: bytes


def extremes(value: int, size: int) -> list[int]:
    """What a field of `size` bytes that holds `value` is driven to."""
    most = (1 << 8 * size) - 1
    wanted = (
        most, 0, value + 1, 1, value - 1, 0x20, 0x40, most - 1, 2, value * 2, most >> 1, (most >> 1) + 1, most - 3, value + 8, value // 2,
        4, 16, value ^ 1, value ^ 0x80, 0xFFFF, 0x10000, 0x7F,
    )
    return list(dict.fromkeys(one & most for one in wanted if one & most != value))


def written(data: bytes, place: Place, value: int) -> bytes:
    """The capture with another value in a place."""
    return data[: place.at] + value.to_bytes(place.size, place.order) + data[place.at + place.size :]


def sweep(seeds: Sequence[Seed], rng: random.Random) -> Iterator[Mutant]:
    """Every kind of field of all seeds at its extremes: first each kind once, then each again elsewhere.

    What is said inside TCP breaks nothing around it, so many such fields are tried at once. Ends when every
    place has had every value.
    """
    kinds: dict[str, list[tuple[Seed, Place]]] = {}
    for seed in seeds:
        for place in places(seed.data):
            kinds.setdefault(place.kind, []).append((seed, place))

    def one_kind(found: list[tuple[Seed, Place]]) -> Iterator[_Turn]:
        rng.shuffle(found)
        # A few of many equal places stand for them in the first rounds: each value, other places.
        quick = [(seed, place) for seed, place in found if _crowds(seed, place)]
        few = [(seed, place) for seed, place in quick if len(seed.data) <= SMALL] or quick or found
        values = len(extremes(0, found[0][1].size))
        turns = [(*few[(turn + turn // values) % len(few)], turn % values) for turn in range(3 * values)]
        done = set()
        rest = ((seed, place, turn) for turn in range(24) for seed, place in found)
        for seed, place, turn in (*turns, *rest):
            driven = extremes(int.from_bytes(seed.data[place.at : place.at + place.size], place.order), place.size)
            if turn >= len(driven) or (seed.name, place.at, turn) in done:
                continue
            done.add((seed.name, place.at, turn))
            yield _Turn(
                Mutant(
                    f"{seed.name}: {place.kind} at {place.at} = {driven[turn]:#x}", written(seed.data, place, driven[turn])
                ),
                _crowds(seed, place),
            )

    def rounds(kind: str, found: list[tuple[Seed, Place]]) -> Iterator[list[_Turn]]:
        share = TRIED if kind.startswith(SPOKEN) else TRIED // 2
        turns = one_kind(found)
        while turn := list(islice(turns, share)):
            yield turn

    for row in zip_longest(_snaps(seeds, rng), _heads(seeds, rng), *(rounds(kind, found) for kind, found in kinds.items()), fillvalue=[]):
        turns = [turn for several in row for turn in several]
        alone = (turn.mutant for turn in turns if not turn.crowds)
        together = [turn for turn in turns if turn.crowds]
        crowds = (crowd(together[at : at + CROWD]) for at in range(0, len(together), CROWD))
        for pair in zip_longest(alone, crowds):
            yield from (mutant for mutant in pair if mutant is not None)


class _Turn(NamedTuple):
    """One value in one place. crowds: whether it can be tried beside others, in one capture."""

    mutant: Mutant
    crowds: bool


def _snaps(seeds: Sequence[Seed], rng: random.Random) -> Iterator[list[_Turn]]:
    """Small captures cut to frames of every length, some of them in each round."""
    known = [
        (seed, size) for seed in seeds if seed.data.startswith(_PLAIN) and len(seed.data) <= SMALL for size in range(54, 400)
    ]
    rng.shuffle(known)
    for at in range(0, len(known), 2 * CROWD):
        yield [
            _Turn(Mutant(f"{seed.name}: frames of {size} bytes", snapped(seed.data, size)), crowds=seed.data[20] == 1)
            for seed, size in known[at : at + 2 * CROWD]
        ]


def _heads(seeds: Sequence[Seed], rng: random.Random) -> Iterator[list[_Turn]]:
    """The first bytes of a capture of each format, cut everywhere."""
    formats = {seed.data[:4]: seed for seed in seeds}
    known = [(seed, size) for seed in formats.values() for size in range(HEAD)]
    rng.shuffle(known)
    for at in range(0, len(known), CROWD):
        yield [
            _Turn(Mutant(f"{seed.name}: its first {size} bytes", seed.data[:size]), crowds=False)
            for seed, size in known[at : at + CROWD]
        ]


def snapped(data: bytes, size: int) -> bytes:
    """A classic capture whose frames were cut to so many bytes."""
    out = [data[:24]]
    for begin, end in pairwise(_records(data)):
        frame = data[begin + 16 : min(end, begin + 16 + size)]
        out.append(data[begin : begin + 8] + struct.pack("<I", len(frame)) + data[begin + 12 : begin + 16] + frame)
    return b"".join(out)


def _crowds(seed: Seed, place: Place) -> bool:
    return place.kind.startswith(SPOKEN) and seed.data.startswith(_PLAIN) and seed.data[20:24] == b"\1\0\0\0"


def crowd(turns: Sequence[_Turn]) -> Mutant:
    """Many broken conversations in one capture, each between addresses of its own: quicker than one by one."""
    data = [turns[0].mutant.data[:24]]
    for number, turn in enumerate(turns):
        for begin, end in pairwise(_records(turn.mutant.data)):
            data.append(_elsewhere(turn.mutant.data[begin:end], number))
    return Mutant("; ".join(turn.mutant.what for turn in turns), b"".join(data))


def _elsewhere(record: bytes, number: int) -> bytes:
    """A record of Ethernet with other addresses, the same for both directions, where it is plain IP."""
    out = bytearray(record)
    for at in {b"\x08\x00": (43, 47), b"\x86\xdd": (39, 55)}.get(record[28:30], ()):
        if at < len(out):
            out[at] ^= number
    return bytes(out)


def random_mutants(seeds: Sequence[Seed], rng: random.Random) -> Iterator[Mutant]:
    """Mutants without end: one to four random changes each."""
    known: dict[str, list[Place]] = {}
    while True:
        seed = rng.choice(seeds)
        if seed.name not in known:
            known[seed.name] = places(seed.data)
        data, told = seed.data, []
        for _ in range(rng.choice((1, 1, 1, 2, 3, 4))):
            change = rng.choice(CHANGES)
            data = change(data, known[seed.name], seeds, rng)[:LARGEST]
            told.append(change.__name__.strip("_"))
        yield Mutant(f"{seed.name}: {', '.join(told)}", data)


Change = Callable[[bytes, list[Place], Sequence[Seed], random.Random], bytes]


def _field(data: bytes, known: list[Place], _: Sequence[Seed], rng: random.Random) -> bytes:
    """An extreme value in a field, or in several fields of its kind."""
    if not known:
        return _bytes(data, known, (), rng)
    place = rng.choice(known)
    same = [other for other in known if other.kind == place.kind]
    for one in rng.sample(same, min(len(same), rng.choice((1, 1, 1, 2, len(same))))):
        if one.at + one.size <= len(data):
            value = int.from_bytes(data[one.at : one.at + one.size], one.order)
            data = written(data, one, rng.choice([*extremes(value, one.size), rng.getrandbits(8 * one.size)]))
    return data


def _bytes(data: bytes, _known: list[Place], _seeds: Sequence[Seed], rng: random.Random) -> bytes:
    out = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 5, 20))):
        if out:
            out[rng.randrange(len(out))] = rng.choice((0, 0xFF, 0x80, 0x7F, rng.getrandbits(8)))
    return bytes(out)


def _bits(data: bytes, _known: list[Place], _: Sequence[Seed], rng: random.Random) -> bytes:
    out = bytearray(data)
    if out:
        out[rng.randrange(len(out))] ^= 1 << rng.randrange(8)
    return bytes(out)


def _cut(data: bytes, _known: list[Place], _: Sequence[Seed], rng: random.Random) -> bytes:
    return data[: rng.randrange(len(data) + 1)]


def _without(data: bytes, _known: list[Place], _: Sequence[Seed], rng: random.Random) -> bytes:
    at = rng.randrange(len(data) + 1)
    return data[:at] + data[at + rng.choice((1, 2, 4, 16, 60, 200)) :]


def _with(data: bytes, _known: list[Place], _: Sequence[Seed], rng: random.Random) -> bytes:
    at = rng.randrange(len(data) + 1)
    more = rng.choice((b"\0", b"\xff", b"\xfeSMB", b"\xffSMB", b"\x85\0\0\0", rng.randbytes(8)))
    return data[:at] + more * rng.choice((1, 1, 4, 100)) + data[at:]


def _twice(data: bytes, _known: list[Place], _: Sequence[Seed], rng: random.Random) -> bytes:
    at = rng.randrange(len(data) + 1)
    size = rng.choice((1, 8, 64, 500, 5000))
    return data[: at + size] + data[at : at + size] * rng.choice((1, 1, 2, 30)) + data[at + size :]


def _spliced(data: bytes, _known: list[Place], seeds: Sequence[Seed], rng: random.Random) -> bytes:
    """The beginning of this one and the end of another, cut where both have a record, or anywhere."""
    other = rng.choice(seeds).data if seeds else data
    if rng.random() < 0.7 and data[:4] == other[:4] and data[:4] == _PLAIN:
        return data[: rng.choice(_records(data))] + other[rng.choice(_records(other)) :]
    return data[: rng.randrange(len(data) + 1)] + other[rng.randrange(len(other) + 1) :]


def _moved(data: bytes, _known: list[Place], _: Sequence[Seed], rng: random.Random) -> bytes:
    """Records of a classic capture in another order, some left out, some twice."""
    if data[:4] != _PLAIN:
        return _twice(data, _known, (), rng)
    at = _records(data)
    records = [data[begin:end] for begin, end in pairwise(at)]
    sort = rng.randrange(3)
    if sort == 0:
        rng.shuffle(records)
    elif sort == 1:
        records = [record for record in records if rng.random() < 0.7]
    else:
        records = [record for record in records for _ in range(rng.choice((1, 1, 1, 2, 3)))]
    return data[:24] + b"".join(records)


def _packed(data: bytes, _known: list[Place], _: Sequence[Seed], rng: random.Random) -> bytes:
    return gzip.compress(data, 1, mtime=0) if rng.random() < 0.5 else gzip.compress(data, 1, mtime=0)[:-9]


def _records(data: bytes) -> list[int]:
    at, found = 24, [24]
    while at + 16 <= len(data):
        at += 16 + struct.unpack_from("<8xI", data, at)[0]
        if at > len(data):
            break
        found.append(at)
    return found


CHANGES: tuple[Change, ...] = (
    _field, _field, _field, _field, _field, _field, _bytes, _bytes, _bits, _bits, _cut, _without, _with, _twice, _spliced,
    _spliced, _moved, _moved, _packed,
)
