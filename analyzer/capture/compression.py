"""Compressed bytes -> the pieces they stand for, in bounded memory, up to the byte where they break.

Each decoder feeds its library no more than a block (or a bounded output) at a time, so that what
stands before a cut, a damaged block or a wrong checksum is delivered, and no bomb grows in one call.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

Read = Callable[[int], bytes]
"""Exactly so many bytes of the compressed file, fewer only at its end."""

_PIECE = 1 << 16
_ZSTD_BLOCK = 128 << 10          # RFC 8878 3.1.1.2: Block_Maximum_Size never exceeds 128 KiB
_LZ4_BLOCK = {4: 64 << 10, 5: 256 << 10, 6: 1 << 20, 7: 4 << 20}   # lz4 frame format, BD byte
_GZIP_HEADER_LIMIT = 1 << 20     # a name or comment longer than this is no gzip header


class Broken(Exception):
    """The compressed data end or go wrong here; everything before has been delivered."""


def compression_of(head: bytes) -> str:
    """"gzip", "zstd" or "lz4" by the first four bytes, or "" for anything else."""
    if head[:3] == b"\x1f\x8b\x08":
        return "gzip"
    magic = int.from_bytes(head[:4], "little")
    if magic == 0xFD2FB528 or (magic & 0xFFFFFFF0 == 0x184D2A50 and len(head) >= 4):
        return "zstd"            # 0x184D2A5x, a skippable frame, is shared with lz4: zstd walks over it
    return "lz4" if magic == 0x184D2204 else ""


def pieces(kind: str, read: Read) -> Iterator[bytes]:
    """The decompressed bytes of all members or frames, in order. Raises Broken where they break."""
    if kind == "gzip":
        return _gzip(read)
    return _frames(read)


class _Fields:
    """Reads the fields of a header; Broken where the file ends inside it."""

    def __init__(self, read: Read, kind: str) -> None:
        self._read = read
        self._kind = kind

    def take(self, size: int) -> bytes:
        data = self._read(size)
        if len(data) < size:
            raise Broken(f"{self._kind} data end in the middle")
        return data

    def number(self, size: int) -> int:
        return int.from_bytes(self.take(size), "little")


def _gzip(read: Read) -> Iterator[bytes]:
    """RFC 1952, any number of members, zero padding between and after them."""
    from isal import isal_zlib

    held = b""

    def buffered(size: int) -> bytes:
        nonlocal held
        if len(held) < size:
            held += read(max(size - len(held), _PIECE))
        data, held = held[:size], held[size:]
        return data

    fields = _Fields(buffered, "gzip")
    first = True
    while True:
        magic = buffered(1)
        if magic == b"\0" and not first:
            continue
        if not magic:
            return
        if magic + buffered(1) != b"\x1f\x8b":
            raise Broken("bytes that are not gzip follow the end of the gzip data")
        first = False
        _skip_gzip_header(fields)
        # Raw deflate with our own check of the trailer: the library raises for a wrong checksum
        # before it hands out the last piece.
        inflate = isal_zlib.decompressobj(wbits=-15)
        checksum = size = 0
        while not inflate.eof:
            data = held or read(_PIECE)
            held = b""
            if not data:
                raise Broken("gzip data end in the middle")
            while data and not inflate.eof:
                try:
                    piece = inflate.decompress(data, _PIECE)
                except (isal_zlib.error, ValueError) as error:  # type: ignore[misc]  # its stub declares an instance
                    raise Broken("gzip data are damaged") from error
                data = inflate.unconsumed_tail
                if piece:
                    checksum = isal_zlib.crc32(piece, checksum)
                    size += len(piece)
                    yield piece
        held = inflate.unused_data
        if fields.number(4) != checksum:
            raise Broken("gzip data have a wrong checksum")
        if fields.number(4) != size & 0xFFFFFFFF:
            raise Broken("gzip data have a wrong length")


def _skip_gzip_header(fields: _Fields) -> None:
    method, flags = fields.take(2)
    if method != 8 or flags & 0xE0:
        raise Broken("gzip header has an unknown method or reserved flags")
    fields.take(6)
    if flags & 4:
        fields.take(fields.number(2))
    for flag in (8, 16):                       # FNAME, FCOMMENT: zero-terminated
        if flags & flag:
            for _ in range(_GZIP_HEADER_LIMIT):
                if fields.take(1) == b"\0":
                    break
            else:
                raise Broken("gzip header has a name without an end")
    if flags & 2:
        fields.take(2)


def _frames(read: Read) -> Iterator[bytes]:
    """Frames of zstd and lz4 and skippable frames, any number, in any order."""
    while True:
        magic = read(4)
        if not magic:
            return
        number = int.from_bytes(magic, "little")
        if number & 0xFFFFFFF0 == 0x184D2A50 and len(magic) == 4:
            fields = _Fields(read, "zstd")
            left = fields.number(4)
            while left:
                left -= len(fields.take(min(left, _PIECE)))
        elif number == 0xFD2FB528:
            yield from _zstd_frame(magic, _Fields(read, "zstd"))
        elif number == 0x184D2204:
            yield from _lz4_frame(magic, _Fields(read, "lz4"))
        else:
            raise Broken("bytes that are neither zstd nor lz4 follow the end of the compressed data")


def _zstd_frame(magic: bytes, fields: _Fields) -> Iterator[bytes]:
    """RFC 8878 3.1.1: header, blocks of at most 128 KiB of output, checksum."""
    import zstandard

    inflate = zstandard.ZstdDecompressor().decompressobj()
    descriptor = fields.take(1)
    flags = descriptor[0]
    single = flags & 0x20
    size = (0 if single else 1) + (0, 1, 2, 4)[flags & 3] + ((1 if single else 0), 2, 4, 8)[flags >> 6]
    feed = magic + descriptor + fields.take(size)
    last = False
    while not last:
        header = fields.take(3)
        value = int.from_bytes(header, "little")
        last = bool(value & 1)
        length = 1 if value >> 1 & 3 == 1 else value >> 3
        if length > _ZSTD_BLOCK:
            raise Broken("zstd data are damaged")
        feed += header + fields.take(length)
        try:
            piece = inflate.decompress(feed)
        except zstandard.ZstdError as error:
            raise Broken("zstd data are damaged, or need a window of more than 128 MiB") from error
        feed = b""
        if piece:
            yield piece
    if flags & 4:
        try:
            inflate.decompress(fields.take(4))
        except zstandard.ZstdError as error:
            raise Broken("zstd data have a wrong checksum") from error


def _lz4_frame(magic: bytes, fields: _Fields) -> Iterator[bytes]:
    """lz4 frame format 1.6: header, blocks of at most 4 MiB of output, end mark, checksum."""
    import lz4.frame

    inflate = lz4.frame.LZ4FrameDecompressor()
    descriptor = fields.take(2)
    flags = descriptor[0]
    limit = _LZ4_BLOCK.get(descriptor[1] >> 4 & 7, 0)
    feed = magic + descriptor + fields.take((8 if flags & 8 else 0) + (4 if flags & 1 else 0) + 1)
    while True:
        header = fields.take(4)
        length = int.from_bytes(header, "little") & 0x7FFFFFFF
        if length > limit:
            raise Broken("lz4 data are damaged")
        if not length:
            break
        feed += header + fields.take(length + (4 if flags & 0x10 else 0))
        try:
            # Without a length the library guesses one, and keeps what does not fit to itself.
            piece = inflate.decompress(feed, max_length=limit)
        except RuntimeError as error:
            raise Broken("lz4 data are damaged") from error
        feed = b""
        if piece:
            yield piece
    try:
        inflate.decompress(feed + header + (fields.take(4) if flags & 4 else b""))
    except RuntimeError as error:
        raise Broken("lz4 data have a wrong checksum") from error
