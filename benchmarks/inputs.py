"""The captures that are measured: made from sample_pcaps/, the same bytes each time, gigabytes in seconds.

python -m benchmarks.inputs mixed FILE --megabytes N [--filled] | syns FILE --count N [--refused]
| negotiations FILE --count N | folder DIR --count N
"""

from __future__ import annotations

import argparse
import mmap
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmarks.frames import FILE_HEADER, Frame, Pairs, Shift, numbers, recorded, sent, stamp, tcp, udp

SAMPLES = Path(__file__).resolve().parents[1] / "sample_pcaps"
SMB_CONNECTIONS = 400        # of a mixed capture, whatever its size
SLOT = 1_000_000             # microseconds
HEALTHY = ("ok-signing-mandatory.pcap", "ok-all-contexts.pcap", "ok-nt1.pcap")
BROKEN = ("no-common-dialect.pcap", "signing-mismatch-nt1.pcap", "server-reset.pcap", "smb1-only-client.pcap",
          "silent-server.pcap", "tcp-refused.pcap")  # fmt: skip
MSS = 1460
LARGE = 1000                 # bytes of a packet from which on it carries bulk data
_HEADERS = 122               # bytes of a packet that stay: Ethernet, IP, TCP, NetBIOS, SMB2


class Talk(NamedTuple):
    """A healthy connection: until its files are open, and how it ends."""

    head: list[Frame]
    tail: list[Frame]


def mixed(path: Path, size: int) -> None:
    """A capture of about `size` bytes: SMB_CONNECTIONS with bulk reads and writes among other TCP and UDP.

    A third of the packets is SMB, 1 KB a packet on average. With another size the same connections
    read and write more or less.
    """
    noise = np.random.default_rng(6).integers(0, 256, 1 << 17, np.uint8).tobytes()
    talks = [_divided(recorded(SAMPLES / name)) for name in HEALTHY[:2]]
    failures = [recorded(SAMPLES / name) for name in BROKEN]
    slots = max(4, round(size / 4_350_000))
    number = np.arange(SMB_CONNECTIONS)
    opened = number * slots // SMB_CONNECTIONS
    life = max(1, slots * 30 // SMB_CONNECTIONS)
    rounds = [_rounds(talk, noise) for talk in talks]
    moved = np.zeros((SMB_CONNECTIONS, 2), np.int64)
    fails = number % 10 == 9
    with path.open("wb") as file:
        file.write(FILE_HEADER)
        for slot in range(slots):
            parts: list[Iterator[NDArray[np.uint8]]] = []
            for kind, talk in enumerate(talks):
                mine = ~fails & (number % 2 == kind)
                active = np.flatnonzero(mine & (opened <= slot) & (slot <= opened + life))
                # Late ones share what is left of the capture: as many bytes in every slot.
                busy = np.resize(active, 10) if len(active) else active
                parts.append(_stamped(talk.head, _pairs(np.flatnonzero(mine & (opened == slot)), slot)))
                for turn in range(-(-len(busy) // max(1, len(active)))):
                    which = busy[turn * len(active) : (turn + 1) * len(active)]
                    reads = rounds[kind][(slot + turn) % 2]
                    shift = Shift(moved[which, 0].copy(), moved[which, 1].copy())
                    parts.append(_stamped(reads, _pairs(which, slot), shift, turn))
                    moved[which] += sent(reads)
                done = np.flatnonzero(mine & (opened + life == slot))
                parts.append(_stamped(talk.tail, _pairs(done, slot), Shift(moved[done, 0], moved[done, 1]), 99))
            for kind, failure in enumerate(failures):
                parts.append(_stamped(failure, _pairs(np.flatnonzero(fails & (opened == slot) & (number // 10 % 6 == kind)), slot)))
            parts += _others(slot, noise)
            for part in _in_turn(parts):
                file.write(part.tobytes())


def _pairs(which: NDArray[np.int64], slot: int) -> Pairs:
    which = np.asarray(which, np.int64)
    return Pairs(
        (0x0A140000 + 256 + which % 150).astype(np.uint32),
        (0x0A140001 + which % 7).astype(np.uint32),
        (40000 + which).astype(np.uint16),
        np.int64(slot) * SLOT + which % 97,
    )


def _divided(frames: list[Frame]) -> Talk:
    """Cut before the last request that closes something."""
    cut = max(i for i, frame in enumerate(frames) if (frame.data[70:71] in (b"\x04", b"\x02") and frame.from_client and frame.data[58:62] == b"\xfeSMB") or _closes(frame))
    return Talk(frames[:cut], [frame._replace(offset=500_000 + i) for i, frame in enumerate(frames[cut:])])


def _closes(frame: Frame) -> bool:
    payload = frame.data[34 + (frame.data[46] >> 4) * 4 :]
    return frame.from_client and payload[4:8] == b"\xfeSMB" and payload[16:17] in (b"\x04", b"\x02")


def _rounds(talk: Talk, noise: bytes) -> tuple[list[Frame], list[Frame]]:
    """A read of 64 KB and a write of 64 KB, as they follow the head."""
    seq, ack = numbers(talk.head)

    def smb2(command: int, *, answer: bool, size: int) -> bytes:
        header = struct.pack("<4sHHIHHIIQIIQ16s", b"\xfeSMB", 64, 1, 0, command, 1, int(answer), 0, 77, 0, 1, 1, b"")
        return struct.pack(">I", 64 + size) + header

    read = smb2(8, answer=False, size=49) + noise[:49]
    data = smb2(8, answer=True, size=65552) + noise[:65552]
    write = smb2(9, answer=False, size=65584) + noise[1000:66584]
    done = smb2(9, answer=True, size=17) + noise[:17]
    return (
        _bulk(read, data, seq, ack, 445), _bulk(write, done, seq, ack, 445),
    )


def _bulk(request: bytes, answer: bytes, seq: int, ack: int, port: int) -> list[Frame]:
    """A request and its answer in full segments, every second one acknowledged."""
    found: list[Frame] = []
    clock = 1000
    at = {True: seq, False: ack}
    for own, text in ((True, request), (False, answer)):
        for begin in range(0, len(text), MSS):
            piece = text[begin : begin + MSS]
            found.append(tcp(clock, piece, from_client=own, port=port, seq=at[own], ack=at[not own], flags=0x18))
            at[own] += len(piece)
            clock += 12
            if begin // MSS % 2:
                found.append(tcp(clock, b"", from_client=not own, port=port, seq=at[not own], ack=at[own]))
                clock += 3
    return found


def _others(slot: int, noise: bytes) -> list[Iterator[NDArray[np.uint8]]]:
    """What is not SMB: web pages over TCP, downloads over QUIC, names and voice over UDP."""
    web = [
        tcp(0, b"", from_client=True, port=443, seq=0, ack=0, flags=2),
        tcp(300, b"", from_client=False, port=443, seq=0, ack=1, flags=0x12),
        tcp(400, b"", from_client=True, port=443, seq=1, ack=1),
        *_bulk(b"\x16\x03\x01" + noise[:500], b"\x16\x03\x03" + noise[:60000], 1, 1, 443),
    ]
    quic = [udp(1000 + 15 * i, b"\x40" + noise[i : i + 1250], from_client=i % 8 == 0, port=443) for i in range(60)]
    voice = [udp(500 + 20 * i, noise[i : i + 172], from_client=bool(i % 2), port=7078) for i in range(40)]
    names = [udp(0, noise[:40], from_client=True, port=53), udp(900, noise[:120], from_client=False, port=53)]
    found = []
    for kind, (frames, count) in enumerate(((web, 24), (quic, 16), (voice, 12), (names, 60))):
        which = np.arange(count) + slot * count
        pairs = Pairs(
            (0x0A150000 + (which * 7 + kind) % 4000).astype(np.uint32),
            (0xC6336400 + which % 200).astype(np.uint32),
            (20000 + which % 40000).astype(np.uint16),
            np.int64(slot) * SLOT + which % 89,
        )
        found.append(_stamped(frames, pairs))
    return found


def _stamped(
    frames: list[Frame], pairs: Pairs, shift: Shift | None = None, turn: int = 0
) -> Iterator[NDArray[np.uint8]]:
    if len(pairs.client):
        pairs = pairs._replace(start=pairs.start + turn * 4000)
        for frame in frames:
            yield stamp(frame, pairs, shift)


def _in_turn(parts: list[Iterator[NDArray[np.uint8]]]) -> Iterator[NDArray[np.uint8]]:
    """One step of each in turn, until all are through; what continues a connection stays behind what it continues."""
    while parts:
        left = []
        for part in parts:
            step = next(part, None)
            if step is not None:
                yield step
                left.append(part)
        parts = left


def filled(path: Path) -> None:
    """Give the large packets of a pcap contents that compress like real ones: to about half.

    Copies of a template are all alike, so that a compressed capture of them says nothing of decompression.
    """
    contents = np.frombuffer(_contents(1 << 24), np.uint8)
    following: dict[bytes, int] = {}
    with path.open("r+b") as file, mmap.mmap(file.fileno(), 0) as data:
        view = np.frombuffer(data, np.uint8)
        at = len(FILE_HEADER)
        while at + 16 <= len(data):
            size, = struct.unpack_from("<I", data, at + 8)
            begin, end = at + 16 + _HEADERS, at + 16 + size
            if size > LARGE:
                ends = data[at + 16 + 26 : at + 16 + 38]
                place = following.get(ends, zlib.crc32(ends))
                wrapped = place % (len(contents) - size)
                view[begin:end] = contents[wrapped : wrapped + end - begin]
                following[ends] = place + end - begin
            at = end
        del view


def _contents(size: int) -> bytes:
    """Text, tables, noise and zeros in turn, as files are."""
    chance = np.random.default_rng(7)
    words = [chance.integers(97, 123, int(length), np.uint8).tobytes() for length in chance.integers(2, 10, 4000)]
    table = np.zeros(1024, [("key", "<u4"), ("value", "<u2"), ("kind", "u1"), ("rest", "V5"), ("hash", "<u4")])
    parts: list[bytes] = []
    while sum(map(len, parts)) < size:
        table["key"] = np.cumsum(chance.integers(0, 50, 1024))
        table["value"], table["kind"] = chance.integers(0, 3000, 1024), chance.integers(0, 4, 1024)
        table["hash"] = chance.integers(0, 1 << 30, 1024)
        text = [b" ".join(words[i] for i in np.minimum(chance.zipf(1.3, 3000) - 1, 3999).tolist()) for _ in range(4)]
        noise = [chance.integers(0, 256, 16384, np.uint8).tobytes() for _ in range(3)]
        parts += [*text, table.tobytes(), *noise, bytes(4096)]
    return b"".join(parts)[:size]


def syns(path: Path, count: int, *, refused: bool) -> None:
    """`count` connections that never came up: one unanswered SYN each, or a SYN and its refusal."""
    frames = recorded(SAMPLES / "tcp-refused.pcap")[: 2 if refused else 1]
    _many(path, frames, count, block=5000)


def negotiations(path: Path, count: int) -> None:
    """`count` complete negotiations with logon, tree connect and end."""
    _many(path, recorded(SAMPLES / "ok-all-contexts.pcap"), count, block=1000)


def _many(path: Path, frames: list[Frame], count: int, block: int) -> None:
    with path.open("wb") as file:
        file.write(FILE_HEADER)
        for first in range(0, count, block):
            which = np.arange(first, min(count, first + block))
            pairs = Pairs(
                (0x0A140000 + which // 20000).astype(np.uint32),
                (0x0A300000 + which % 20000).astype(np.uint32),
                (30000 + which // 20000 * 7 + which % 5).astype(np.uint16),
                which * 20,
            )
            for frame in frames:
                file.write(stamp(frame, pairs).tobytes())


def folder(path: Path, count: int) -> None:
    """`count` small captures: the samples over and over, as they are."""
    path.mkdir(exist_ok=True)
    samples = sorted(file for file in SAMPLES.iterdir() if file.suffix in (".pcap", ".pcapng"))
    for number in range(count):
        sample = samples[number % len(samples)]
        (path / f"{number:05d}-{sample.name}").write_bytes(sample.read_bytes())


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kind", choices=("mixed", "syns", "negotiations", "folder"))
    parser.add_argument("path", type=Path)
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--megabytes", type=int, default=100)
    parser.add_argument("--refused", action="store_true")
    parser.add_argument("--filled", action="store_true", help="with contents that compress like real ones")
    options = parser.parse_args()
    if options.kind == "mixed":
        mixed(options.path, options.megabytes * 1_000_000)
        if options.filled:
            filled(options.path)
    elif options.kind == "syns":
        syns(options.path, options.count, refused=options.refused)
    elif options.kind == "negotiations":
        negotiations(options.path, options.count)
    else:
        folder(options.path, options.count)


if __name__ == "__main__":
    main()
