"""Compressed bytes -> the pieces they stand for, in bounded memory, up to the byte where they break.

Each decoder gives its library no more than makes a piece (some blocks, or a bounded output) at a time, so
that no bomb grows in one call, and the call is long enough to run beside another thread. What stands before
a cut or a wrong checksum is delivered. A damaged block costs the piece it is in, unless the data are
decoded again with `careful`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import IO, NamedTuple, cast

Fill = Callable[[memoryview], int]
"""Fills a view with bytes of the compressed file; returns how many, 0 only at its end. May raise Broken."""

PIECE = 1 << 20                  # bytes of a piece, for lz4 as whole blocks make them; after each a thread waits its turn
_ZSTD_PIECE = 2 << 20
_READ = 4 << 20
_CAREFUL = 64                    # compressed bytes given at a time where every byte of output counts
_ZSTD_BLOCK = 128 << 10          # RFC 8878 3.1.1.2: Block_Maximum_Size never exceeds 128 KiB
_LZ4_BLOCK = {4: 64 << 10, 5: 256 << 10, 6: 1 << 20, 7: 4 << 20}   # lz4 frame format, BD byte
_GZIP_HEADER_LIMIT = 1 << 20     # a name or comment longer than this is no gzip header


class Piece(NamedTuple):
    """Decompressed bytes, and how many bytes of the compressed file it took to get there."""

    data: bytes
    read: int


class Broken(Exception):
    """The compressed data end or go wrong here.

    read: bytes of the compressed file up to here. whole: everything before was delivered.
    """

    def __init__(self, reason: str, read: int, *, whole: bool = True) -> None:
        super().__init__(reason)
        self.read = read
        self.whole = whole


def compression_of(head: bytes) -> str:
    """"gzip", "zstd" or "lz4" by the first four bytes, or "" for anything else."""
    if head[:3] == b"\x1f\x8b\x08":
        return "gzip"
    magic = int.from_bytes(head[:4], "little")
    if magic == 0xFD2FB528 or (magic & 0xFFFFFFF0 == 0x184D2A50 and len(head) >= 4):
        return "zstd"            # 0x184D2A5x, a skippable frame, is shared with lz4: zstd walks over it
    return "lz4" if magic == 0x184D2204 else ""


def pieces(kind: str, fill: Fill, careful: int | None = None) -> Iterator[Piece]:
    """The decompressed bytes of all members or frames, in order. Raises Broken where they break.

    careful: bytes of output from which on pieces are as small as they can be, so that all that precede a
    damage are delivered; a place between two pieces of another run.
    """
    stored = _Stored(fill, careful)
    return _gzip(stored) if kind == "gzip" else _frames(stored)


class _Stored:
    """The compressed bytes, read in large parts and taken in small ones without a copy."""

    def __init__(self, fill: Fill, careful: int | None) -> None:
        self._fill = fill
        self._view = memoryview(bytearray(4096))      # a small file needs no more
        self._at = self._end = 0
        self._before = 0                 # bytes of the file before the buffer
        self._careful = careful
        self._made = 0                   # bytes of output

    @property
    def read(self) -> int:
        """Bytes taken."""
        return self._before + self._at

    @property
    def careful(self) -> bool:
        """Whether each step should be as small as can be."""
        return self._careful is not None and self._made >= self._careful

    def piece(self, data: bytes, more: int = 0) -> Piece:
        """What was made of the bytes taken, and of so many more."""
        self._made += len(data)
        return Piece(data, self.read + more)

    def peek(self, size: int) -> memoryview:
        """What is there, at least so many bytes unless the file ends. Valid until the next call."""
        if self._end - self._at < size:
            self._refill(size)
        return self._view[self._at:self._end]

    def skip(self, size: int) -> None:
        """Take bytes that were looked at."""
        self._at += size

    def take(self, size: int, kind: str) -> bytes:
        """So many bytes of a header; Broken where the file ends before."""
        data = self.peek(size)[:size].tobytes()
        self.skip(len(data))
        if len(data) < size:
            raise self.cut(kind)
        return data

    def number(self, size: int, kind: str) -> int:
        """A field of a header."""
        return int.from_bytes(self.take(size, kind), "little")

    def cut(self, kind: str) -> Broken:
        """Why nothing follows: the file ends here."""
        self.skip(self._end - self._at)
        return Broken(f"{kind} data end in the middle", self.read)

    def _refill(self, size: int) -> None:
        left = self._end - self._at
        room = len(self._view)
        if self._end:                    # not the first time: not a small file
            room = min(8 * room, max(room, _READ))
        if size > room:
            room = 2 * size
        view = self._view if room == len(self._view) else memoryview(bytearray(room))
        view[:left] = self._view[self._at:self._end]     # which may overlap
        self._before += self._at
        self._view, self._at, self._end = view, 0, left
        while self._end < size:
            count = self._fill(view[self._end:])
            if not count:
                return
            self._end += count


def _gzip(stored: _Stored) -> Iterator[Piece]:
    """RFC 1952, any number of members, zero padding between and after them."""
    from isal import isal_zlib

    first = True
    while True:
        view = stored.peek(2)
        head = view[:2].tobytes()
        if not head:
            return
        if not head[0] and not first:
            stored.skip(_zeros(view))
            continue
        if head != b"\x1f\x8b":
            raise Broken("bytes that are not gzip follow the end of the gzip data", stored.read + len(head))
        stored.skip(2)
        first = False
        _skip_gzip_header(stored)
        # Raw deflate with our own check of the trailer: the library raises for a wrong checksum
        # before it hands out the last piece.
        inflate = isal_zlib.decompressobj(wbits=-15)
        checksum = size = 0
        while not inflate.eof:
            data = stored.peek(1)
            careful = stored.careful
            # What the library does not come to, it copies.
            data = data[:_CAREFUL if careful else PIECE // 2]
            try:
                piece = inflate.decompress(data, 1 if careful else PIECE)
            except (isal_zlib.error, ValueError) as error:  # type: ignore[misc]  # its stub declares an instance
                raise Broken("gzip data are damaged", stored.read, whole=careful) from error
            stored.skip(len(data) - len(inflate.unused_data or inflate.unconsumed_tail))
            if piece:
                checksum = isal_zlib.crc32(piece, checksum)
                size += len(piece)
                yield stored.piece(piece)
            elif not data:               # nor is there anything left inside
                raise stored.cut("gzip")
        if stored.number(4, "gzip") != checksum:
            raise Broken("gzip data have a wrong checksum", stored.read)
        if stored.number(4, "gzip") != size & 0xFFFFFFFF:
            raise Broken("gzip data have a wrong length", stored.read)


def _zeros(view: memoryview) -> int:
    data = bytes(view)
    return len(data) - len(data.lstrip(b"\0"))


def _skip_gzip_header(stored: _Stored) -> None:
    method, flags = stored.take(2, "gzip")
    if method != 8 or flags & 0xE0:
        raise Broken("gzip header has an unknown method or reserved flags", stored.read)
    stored.take(6, "gzip")
    if flags & 4:
        stored.take(stored.number(2, "gzip"), "gzip")
    for flag in (8, 16):                       # FNAME, FCOMMENT: zero-terminated
        if flags & flag:
            for _ in range(_GZIP_HEADER_LIMIT):
                if stored.take(1, "gzip") == b"\0":
                    break
            else:
                raise Broken("gzip header has a name without an end", stored.read)
    if flags & 2:
        stored.take(2, "gzip")


def _frames(stored: _Stored) -> Iterator[Piece]:
    """Frames of zstd and lz4 and skippable frames, any number, in any order."""
    while True:
        magic = stored.peek(4)[:4].tobytes()
        if not magic:
            return
        number = int.from_bytes(magic, "little")
        stored.skip(len(magic))
        if number & 0xFFFFFFF0 == 0x184D2A50 and len(magic) == 4:
            left = stored.number(4, "zstd")
            while left:
                count = min(left, len(stored.peek(1)))
                if not count:
                    raise stored.cut("zstd")
                stored.skip(count)
                left -= count
        elif number == 0xFD2FB528:
            yield from _zstd_frame(magic, stored)
        elif number == 0x184D2204:
            yield from _lz4_frame(magic, stored)
        else:
            raise Broken("bytes that are neither zstd nor lz4 follow the end of the compressed data", stored.read)


class _Blocks(NamedTuple):
    """Blocks that follow each other: their bytes in the file, and how many there are.

    last: the frame ends with them. cut: so does the file, before the next one is whole. bad: the next one is impossible.
    """

    size: int
    blocks: int
    last: bool = False
    cut: bool = False
    bad: bool = False


class _ZstdFrame:
    """The bytes of one zstd frame as a file that is read from, some blocks at a time.

    blocks: those given last. checking: the checksum was given.
    """

    def __init__(self, stored: _Stored, begin: bytes, *, checksum: bool) -> None:
        self.blocks = _Blocks(0, 0)
        self.checking = False
        self._stored = stored
        self._begin = begin
        self._checksum = checksum

    def read(self, _size: int) -> bytes | memoryview:
        """What comes next; nothing where the frame ends, or goes on with what is no whole block."""
        begin, self._begin = self._begin, b""
        if begin:
            return begin
        self.use()
        stored, before = self._stored, self.blocks
        if before.last and self._checksum and not self.checking:
            self.checking = True
            return stored.take(4, "zstd")
        if before.last or before.cut or before.bad:
            return b""
        self.blocks = blocks = _zstd_blocks(stored, 1 if stored.careful else _ZSTD_PIECE // _ZSTD_BLOCK)
        return stored.peek(blocks.size)[: blocks.size]

    def use(self) -> None:
        """Take the blocks that were given."""
        self._stored.skip(self.blocks.size)
        self.blocks = self.blocks._replace(size=0)


def _zstd_frame(magic: bytes, stored: _Stored) -> Iterator[Piece]:
    """RFC 8878 3.1.1: header, blocks of at most 128 KiB of output, checksum."""
    import zstandard

    descriptor = stored.take(1, "zstd")
    flags = descriptor[0]
    single = flags & 0x20
    size = (0 if single else 1) + (0, 1, 2, 4)[flags & 3] + ((1 if single else 0), 2, 4, 8)[flags >> 6]
    begin = magic + descriptor + stored.take(size, "zstd")
    frame = _ZstdFrame(stored, begin, checksum=bool(flags & 4))
    # One call makes what some blocks hold, in place; decompressobj() puts every piece together of smaller ones.
    reader = zstandard.ZstdDecompressor().stream_reader(cast("IO[bytes]", frame), read_across_frames=False)
    while True:
        try:
            piece = reader.read1(_ZSTD_PIECE)
        except zstandard.ZstdError as error:
            if frame.checking:
                raise Broken("zstd data have a wrong checksum", stored.read) from error
            damaged = "zstd data are damaged, or need a window of more than 128 MiB"
            raise Broken(damaged, stored.read, whole=frame.blocks.blocks <= 1) from error
        if not piece:
            break
        yield stored.piece(piece, frame.blocks.size)
    frame.use()
    if frame.blocks.bad:
        raise Broken("zstd data are damaged", stored.read)
    if frame.blocks.cut:
        # Of a block that is not whole nothing can be had.
        raise stored.cut("zstd")


def _zstd_blocks(stored: _Stored, most: int) -> _Blocks:
    """The next blocks of a zstd frame, at most so many."""
    at = 0
    view = stored.peek(3)
    for count in range(most):
        if len(view) < at + 3:
            view = stored.peek(at + 3)
            if len(view) < at + 3:
                return _Blocks(at, count, cut=True)
        value = view[at] | view[at + 1] << 8 | view[at + 2] << 16
        length = 1 if value >> 1 & 3 == 1 else value >> 3
        if length > _ZSTD_BLOCK:
            return _Blocks(at, count, bad=True)
        end = at + 3 + length
        if len(view) < end:
            view = stored.peek(end)
            if len(view) < end:
                return _Blocks(at, count, cut=True)
        at = end
        if value & 1:
            return _Blocks(at, count + 1, last=True)
    return _Blocks(at, most)


def _lz4_frame(magic: bytes, stored: _Stored) -> Iterator[Piece]:
    """lz4 frame format 1.6: header, blocks of at most 4 MiB of output, end mark, checksum."""
    import lz4.frame

    context = lz4.frame.create_decompression_context()
    descriptor = stored.take(2, "lz4")
    flags = descriptor[0]
    limit = _LZ4_BLOCK.get(descriptor[1] >> 4 & 7, 0)
    begin = magic + descriptor + stored.take((8 if flags & 8 else 0) + (4 if flags & 1 else 0) + 1, "lz4")
    extra = 4 if flags & 0x10 else 0
    last = False
    while not last:
        most = 1 if stored.careful else max(PIECE // limit, 1) if limit else 1
        blocks = _lz4_blocks(stored, most, limit, extra)
        last = blocks.last
        feed = stored.peek(blocks.size)[:blocks.size]
        try:
            if begin:
                lz4.frame.decompress_chunk(context, begin)
                begin = b""
            # Without a length the library guesses one, and keeps what does not fit to itself.
            piece = lz4.frame.decompress_chunk(context, feed, max_length=most * limit)[0] if blocks.size else b""
        except RuntimeError as error:
            raise Broken("lz4 data are damaged", stored.read, whole=blocks.blocks <= 1) from error
        stored.skip(blocks.size)
        if piece:
            yield stored.piece(piece)
        if blocks.bad:
            raise Broken("lz4 data are damaged", stored.read)
        if blocks.cut:
            raise stored.cut("lz4")
    end = stored.take(8 if flags & 4 else 4, "lz4")
    try:
        lz4.frame.decompress_chunk(context, end)
    except RuntimeError as error:
        raise Broken("lz4 data have a wrong checksum", stored.read) from error


def _lz4_blocks(stored: _Stored, most: int, limit: int, extra: int) -> _Blocks:
    """The next blocks of an lz4 frame, at most so many. last: the end mark follows."""
    at = 0
    view = stored.peek(4)
    for count in range(most):
        if len(view) < at + 4:
            view = stored.peek(at + 4)
            if len(view) < at + 4:
                return _Blocks(at, count, cut=True)
        length = int.from_bytes(view[at:at + 4], "little") & 0x7FFFFFFF
        if not length:
            return _Blocks(at, count, last=True)
        if length > limit:
            return _Blocks(at, count, bad=True)
        end = at + 4 + length + extra
        if len(view) < end:
            view = stored.peek(end)
            if len(view) < end:
                return _Blocks(at, count, cut=True)
        at = end
    return _Blocks(at, most)
