"""capture/source.py and compression.py: every byte before a cut, and where and why it ends."""

import gzip
import io
import random
import zlib
from pathlib import Path

import lz4.frame
import pytest
import zstandard

from analyzer.capture.compression import compression_of
from analyzer.capture.source import Limits, Source, open_source
from analyzer.errors import CaptureError

NOISE = random.Random(1).randbytes(300_000)
PLAIN = NOISE + bytes(200_000) + b"the end"


def _zstd(data: bytes) -> bytes:
    return zstandard.ZstdCompressor(level=1, write_checksum=True).compress(data)


def _lz4(data: bytes) -> bytes:
    packed: bytes = lz4.frame.compress(data, content_checksum=True)
    return packed


PACK = {"gzip": gzip.compress, "zstd": _zstd, "lz4": _lz4}
BLOCK = {"gzip": 1 << 16, "zstd": 128 << 10, "lz4": 64 << 10}      # what a cut may cost: an unfinished block


def everything(source: Source, piece: int = 100_000) -> bytes:
    """What a source delivers, read in pieces."""
    buffer = bytearray(piece)
    found = b""
    while True:
        count = source.readinto(memoryview(buffer))
        found += buffer[:count]
        if count < piece:
            return found


def opened(data: bytes, limits: Limits | None = None) -> Source:
    """A source of these bytes."""
    return open_source(io.BytesIO(data), limits)


@pytest.mark.parametrize("kind", PACK)
def test_compression_is_known_by_content(kind: str) -> None:
    packed = PACK[kind](PLAIN)
    assert compression_of(packed[:4]) == kind
    source = opened(packed)
    assert (source.compression, everything(source), source.cut) == (kind, PLAIN, None)
    assert (source.read, source.delivered) == (len(packed), len(PLAIN))


@pytest.mark.parametrize("kind", PACK)
@pytest.mark.parametrize("piece", [1_000, 65_536, 1 << 20])
def test_members_and_frames_follow_each_other(kind: str, piece: int) -> None:
    pack = PACK[kind]
    source = opened(pack(PLAIN) + pack(b"") + pack(b"second"))
    assert everything(source, piece) == PLAIN + b"second"
    assert source.cut is None


def test_zero_padding_and_header_fields_of_gzip() -> None:
    packed = gzip.compress(PLAIN)
    named = packed[:3] + b"\x1e" + packed[4:10] + b"\x03\x00abc" + b"name\0" + b"comment\0" + b"\0\0" + packed[10:]
    source = opened(named + bytes(700) + packed + bytes(3))
    assert everything(source) == PLAIN * 2
    assert source.cut is None


def test_skippable_frames() -> None:
    skipped = bytes.fromhex("5a2a4d18") + (100_000).to_bytes(4, "little") + bytes(100_000)
    source = opened(skipped + _zstd(PLAIN) + skipped + _lz4(b"tail"))
    assert everything(source) == PLAIN + b"tail"
    assert source.cut is None


@pytest.mark.parametrize("kind", PACK)
@pytest.mark.parametrize("cut", [5, 12, 1000, 150_000, -1, -5])
def test_what_stands_before_a_cut_is_delivered(kind: str, cut: int) -> None:
    packed = PACK[kind](PLAIN)[:cut]
    source = opened(packed)
    found = everything(source)
    assert found == PLAIN[:len(found)]
    assert len(found) >= min(len(PLAIN) if cut < 0 else 0, len(packed) - 20 - BLOCK[kind])
    assert source.cut is not None
    assert source.cut.offset == len(found)
    assert source.cut.reason == f"{kind} data end in the middle (byte {len(packed)} of the compressed file)"


def test_a_cut_gzip_loses_nothing_that_can_be_inflated() -> None:
    packed = gzip.compress(PLAIN)[:100_000]
    assert everything(opened(packed)) == zlib.decompressobj(31).decompress(packed)


@pytest.mark.parametrize(("kind", "at"), [("gzip", -8), ("zstd", -1), ("lz4", -1)])
def test_a_wrong_checksum_costs_nothing_but_a_word(kind: str, at: int) -> None:
    packed = bytearray(PACK[kind](PLAIN))
    packed[at] ^= 1
    source = opened(bytes(packed))
    assert everything(source) == PLAIN
    assert source.cut is not None
    assert source.cut.reason.startswith(f"{kind} data have a wrong checksum")


@pytest.mark.parametrize("kind", PACK)
def test_damage_never_raises_and_never_invents(kind: str) -> None:
    chance = random.Random(7)
    packed = PACK[kind](PLAIN)
    for _ in range(60):
        broken = bytearray(packed)
        broken[chance.randrange(4, len(broken))] ^= 1 << chance.randrange(8)
        source = opened(bytes(broken))
        found = everything(source)
        assert source.cut is not None or len(found) == len(PLAIN)


def test_what_follows_the_compressed_data_is_named() -> None:
    source = opened(gzip.compress(b"x") + b"tail")
    assert everything(source) == b"x"
    assert source.cut is not None
    assert source.cut.reason.startswith("bytes that are not gzip follow the end of the gzip data")
    source = opened(_zstd(b"x") + b"tail")
    assert everything(source) == b"x"
    assert source.cut is not None


@pytest.mark.parametrize("kind", PACK)
def test_a_limit_ends_the_reading_exactly(kind: str) -> None:
    packed = PACK[kind](bytes(5_000_000))
    source = opened(packed, Limits(max_decompressed=1_234_567))
    assert everything(source) == bytes(1_234_567)
    assert source.cut is not None
    assert (source.cut.offset, source.cut.option) == (1_234_567, "--max-decompressed")


@pytest.mark.parametrize("kind", PACK)
def test_a_bomb_is_told_by_its_ratio(kind: str) -> None:
    packed = PACK[kind](bytes(40_000_000))
    source = opened(packed, Limits(max_ratio=100, ratio_after=1 << 20))
    found = everything(source)
    assert 1 << 20 <= len(found) < 20_000_000
    assert source.cut is not None
    assert source.cut.option == "--max-decompressed"


def test_a_plain_file_is_as_large_as_it_is() -> None:
    source = opened(PLAIN, Limits(max_decompressed=10, ratio_after=0, max_ratio=0))
    assert everything(source) == PLAIN
    assert source.cut is None


class Unready(io.RawIOBase):
    """A pipe that gives three bytes at a time, and breaks."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def readable(self) -> bool:
        return True

    def readinto(self, view: bytearray) -> int:  # type: ignore[override]  # a buffer of bytes is all it gets
        if not self._data:
            raise OSError(5, "Input/output error")
        size = min(3, len(view), len(self._data))
        view[:size] = self._data[:size]
        self._data = self._data[size:]
        return size


def test_a_pipe_is_read_to_where_it_breaks() -> None:
    source = open_source(Unready(PLAIN[:1000]))  # type: ignore[arg-type]  # raw: it reads, and that suffices
    assert everything(source) == PLAIN[:1000]
    assert source.cut is not None
    assert source.cut == (1000, "cannot be read further: Input/output error", "")
    with pytest.raises(CaptureError, match="offset 0: cannot be read further: Input/output error"):
        open_source(Unready(b""))  # type: ignore[arg-type]  # as above


def test_a_path_and_what_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "plain"
    path.write_bytes(PLAIN)
    with open_source(path) as source:
        assert (source.name, source.size, everything(source)) == (str(path), len(PLAIN), PLAIN)
        assert source.stored_at(300_000 + 200_000, 100) == b"the end"
    for name in (tmp_path, tmp_path / "missing", "nul\0byte"):
        with pytest.raises(CaptureError, match="offset 0: "):
            open_source(name)
    monkeypatch.setattr("sys.stdin", None)
    with pytest.raises(CaptureError, match="there is no standard input"):
        open_source("-")
