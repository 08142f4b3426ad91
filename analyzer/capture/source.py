"""A path, "-" or an open binary file -> the capture's bytes, decompressed; the only opening of captures."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import suppress
from types import TracebackType
from typing import TYPE_CHECKING, BinaryIO, NamedTuple, Self

import numpy as np

from analyzer.capture.compression import Broken, Piece, compression_of, pieces
from analyzer.capture.table import Cut
from analyzer.errors import CaptureError

if TYPE_CHECKING:
    from analyzer.capture.ahead import Ahead

AHEAD_AFTER = 1 << 20
"""Bytes decompressed before a thread is started for the rest: a small capture needs none."""


class Limits(NamedTuple):
    """What reading one capture may cost.

    A decompressed byte count above `max_decompressed`, or, past the first `ratio_after` bytes,
    above `max_ratio` times the compressed bytes read, ends the reading: capture files shrink
    ten- or twentyfold, so 250 is no capture but a bomb.
    """

    max_decompressed: int = 64 << 30
    max_ratio: int = 250
    ratio_after: int = 1 << 30
    many_ratio: int = 100                # above it a capture may hold few connections, see `Source.tight`


class Source:
    """The decompressed bytes of one capture, read forward once.

    name: as given; compression: "gzip", "zstd", "lz4" or ""; size: bytes of the file as it is
    stored, 0 where that is not known; read: stored bytes that what was delivered took; delivered:
    decompressed bytes handed out; cut: None, or why the bytes end before the stored file does.

    A large compressed file is decompressed in a thread, ahead of who reads it. Only a file that was opened
    here and has a size, so that no read of it waits for ever; `close` ends the thread.
    """

    def __init__(self, name: str, file: BinaryIO, limits: Limits, *, owned: bool, size: int = 0) -> None:
        self.name = name
        self.size = size
        self.read = 0
        self.delivered = 0
        self.cut: Cut | None = None
        self._file = file
        self._owned = owned
        self._limits = limits
        self._failed = ""
        self._over = False
        self._produced = 0
        self._skipped = 0                # bytes still to be passed over, delivered before by another decoder
        # A library's file may lack readinto; plain files, pipes and BytesIO have it.
        self._fill = getattr(file, "readinto", None)
        self._begin = self._place()
        self._head = self._held = memoryview(self._stored(4))
        self._stored_read = len(self._head)
        self.compression = compression_of(self._held.tobytes())
        self._pieces: Iterator[Piece] | None = None
        self._ahead: Ahead | None = None
        if self.compression:
            self._held = memoryview(b"")
            self._pieces = pieces(self.compression, self._compressed)

    def readinto(self, view: memoryview) -> int:
        """Fill `view` from its start; fewer bytes only at the end of the capture. Sets `cut`."""
        filled = 0
        wanted = len(view)
        while filled < wanted:
            if self._held:
                count = min(len(self._held), wanted - filled)
                # Not view[...] = ..., during which the decompressing thread would wait.
                np.copyto(np.frombuffer(view, np.uint8)[filled:filled + count], np.frombuffer(self._held[:count], np.uint8))
                self._held = self._held[count:]
                filled += count
            elif self._pieces is None:
                count = self._stored_into(view[filled:])
                if not count:
                    break
                filled += count
            elif not self._next_piece():
                break
        self.delivered += filled
        self._over = filled < wanted
        if self._failed and self.cut is None and filled < wanted:
            self.cut = Cut(self.delivered, self._failed)
        return filled

    def stored_at(self, offset: int, size: int) -> bytes | None:
        """Bytes elsewhere in an uncompressed file, fewer where it ends; None where it cannot be sought."""
        try:
            if self.compression or not self._file.seekable():
                return None
            before = self._file.tell()
            self._file.seek(offset)
            try:
                return self._file.read(size)
            finally:
                self._file.seek(before)
        except (OSError, ValueError, AttributeError):
            return None

    @property
    def tight(self) -> bool:
        """Whether what was delivered is so alike that its connections are copies of each other.

        A connection of its own has addresses, times, numbers and GUIDs that no compression takes away.
        """
        limits = self._limits
        return bool(self.compression) and limits.ratio_after < limits.max_decompressed and (
            self.delivered > limits.many_ratio * self.read)

    def stop(self, reason: str) -> None:
        """Deliver nothing more, if there is more, because of what was delivered; --max-decompressed lifts it."""
        if self._over or self.cut is not None:
            return
        self._held = memoryview(b"")
        self.cut = Cut(self.delivered, f"{reason}: {self.read} bytes became {self.delivered}", option="--max-decompressed")

    def close(self) -> None:
        """End the decompression, and close the file if this source opened it."""
        if self._ahead is not None:
            self._ahead.close()
        if self._owned:
            self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _next_piece(self) -> bool:
        """Hold the next decompressed piece, or note why there is none."""
        assert self._pieces is not None
        if self._failed or self.cut is not None:
            return False
        limits = self._limits
        room = limits.max_decompressed - self._produced
        if room <= 0 or (
            self._produced >= limits.ratio_after and self._produced > limits.max_ratio * self.read
        ):
            self.cut = Cut(
                self._produced,
                f"{self.compression} data grow beyond the limit: {self.read} bytes became {self._produced}",
                option="--max-decompressed",
            )
            return False
        try:
            piece = next(self._pieces, None)
        except Broken as broken:
            if not broken.whole and self._again():
                return self._next_piece()
            self.read = broken.read
            self._failed = f"{broken} (byte {self.read} of the compressed file)"
            return False
        if piece is None:
            self.read = self._stored_read
            return False
        data = piece.data
        if self._skipped:
            passed = min(self._skipped, len(data))
            self._skipped -= passed
            data = data[passed:]
        self.read = max(self.read, piece.read)
        self._held = memoryview(data)[:room]
        self._produced += len(self._held)
        if self._ahead is None and self._owned and self.size and self._produced >= AHEAD_AFTER:
            from analyzer.capture.ahead import ahead

            self._ahead = ahead(self._pieces)
            if self._ahead is not None:
                self._pieces = self._ahead
        return True

    def _again(self) -> bool:
        """Decode once more what was lost with a damaged piece, now in the smallest steps, where the file can be sought."""
        if self._begin is None:
            return False
        if self._ahead is not None:
            self._ahead.close()
        try:
            self._file.seek(self._begin)
        except (OSError, ValueError):
            return False
        self._head = memoryview(b"")
        self._stored_read = 0
        self._skipped = self._produced
        self._pieces = pieces(self.compression, self._compressed, careful=self._produced)
        return True

    def _place(self) -> int | None:
        with suppress(OSError, ValueError, AttributeError):
            return self._file.tell() if self._file.seekable() else None
        return None

    def _compressed(self, view: memoryview) -> int:
        """What the decoders read with, maybe in a thread."""
        if self._head:
            count = len(self._head)
            view[:count] = self._head
            self._head = memoryview(b"")
            return count
        try:
            count = self._read_into(view)
        except OSError as error:
            raise Broken(f"cannot be read further: {error.strerror or error}", self._stored_read) from error
        self._stored_read += count
        return count

    def _stored(self, size: int) -> bytes:
        data = bytearray(size)
        view = memoryview(data)
        filled = 0
        while filled < size:
            count = self._stored_into(view[filled:])
            if not count:
                break
            filled += count
        return bytes(view[:filled])

    def _stored_into(self, view: memoryview) -> int:
        """One read of the file. An error of the system ends the capture there, as a cut does."""
        try:
            count = self._read_into(view)
        except OSError as error:
            self._failed = f"cannot be read further: {error.strerror or error}"
            return 0
        self.read += count
        return count

    def _read_into(self, view: memoryview) -> int:
        if self._fill is not None:
            return int(self._fill(view) or 0)
        data = self._file.read(len(view))
        view[:len(data)] = data
        return len(data)


def open_source(capture: str | os.PathLike[str] | BinaryIO, limits: Limits | None = None) -> Source:
    """Open a capture: a path, "-" for standard input, or an open binary file (left open).

    Raises CaptureError where it cannot be opened or its first byte cannot be read.
    """
    limits = limits or Limits()
    if not isinstance(capture, str | os.PathLike):
        source = Source(str(getattr(capture, "name", "-")), capture, limits, owned=False)
    elif os.fspath(capture) == "-":
        if sys.stdin is None:
            raise CaptureError("there is no standard input")
        source = Source("-", sys.stdin.buffer, limits, owned=False)
    else:
        name = os.fspath(capture)
        try:
            file = open(name, "rb", buffering=0)  # noqa: SIM115, PTH123 (the source closes it)
            size = os.fstat(file.fileno()).st_size
        except (OSError, ValueError) as error:
            raise CaptureError(getattr(error, "strerror", None) or str(error)) from error
        source = Source(name, file, limits, owned=True, size=size)
    if source._failed and not source.read:  # noqa: SLF001 (nothing was read: not a cut but no capture)
        source.close()
        raise CaptureError(source._failed)  # noqa: SLF001
    return source
