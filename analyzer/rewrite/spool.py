"""Chosen frames of a capture, put aside -> small pcapng files made of some of them."""

from __future__ import annotations

import struct
import tempfile
from collections.abc import Iterable, Mapping
from types import TracebackType
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from analyzer.capture.reader import CaptureReader, CaptureSummary, Piece
from analyzer.rewrite import blocks
from analyzer.rewrite.copy import Mask

_HELD = 32 << 20         # bytes of frames in memory; more goes to a temporary file
_HEAD = struct.Struct("<IQIIH")          # interface, ticks, original, captured, options

# Options of an interface, and how many bytes their number has; 0: text or bytes, the same in any order.
_INTERFACE_OPTIONS = {1: 0, 2: 0, 3: 0, 8: 8, 9: 0, 11: 0, 12: 0, 13: 0, 14: 8, 15: 0}
_NUMBERS_ONLY = frozenset((8, 9, 13, 14))


class _Stored(NamedTuple):
    """A frame that was put aside. options: of a little-endian packet block."""

    stamp: blocks.Stamp
    data: bytes
    options: bytes


class FrameSpool:
    """The frames of one capture that are wanted.

    wanted: their numbers, ascending. latest: the number of the frame with the latest time; it is
    kept in any case.
    """

    def __init__(self, wanted: NDArray[np.int64], mask: Mask | None = None) -> None:
        self.latest = 0
        self._wanted = wanted
        self._mask = mask
        self._latest_ns = -1
        self._latest: _Stored | None = None
        self._interfaces: list[bytes] = []           # bodies of little-endian blocks
        self._section: list[int] = []                # of the present section -> number in _interfaces
        self._links: dict[int, int] = {}
        self._places: NDArray[np.int64] = np.full(len(wanted), -1, np.int64)
        self._file = tempfile.SpooledTemporaryFile(_HELD)  # noqa: SIM115 (closed by __exit__)
        self._order = "<"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def collect(self, reader: CaptureReader) -> CaptureSummary:
        """Read the capture and keep what is wanted. Raises CaptureError where nothing can be read."""
        for piece in reader.pieces():
            new = piece.table.data if self._mask is None else self._mask.masked(piece.table)
            if reader.head[:4] == b"\x0a\x0d\x0d\x0a":
                self._sections(piece, new)
            else:
                self._records(piece, new, blocks.record_format(reader.head))
        assert reader.summary is not None
        return reader.summary

    def _rows(self, piece: Piece) -> tuple[set[int], int]:
        """The rows of a chunk that are wanted, and the one with the latest time so far, -1 for none."""
        table = piece.table
        first, last = np.searchsorted(self._wanted, [table.first_frame, table.first_frame + table.rows]).tolist()
        rows = set((self._wanted[first:last] - table.first_frame).tolist())
        newest = int(np.argmax(table.time_ns)) if table.rows else -1
        if newest >= 0 and int(table.time_ns[newest]) > self._latest_ns:
            self._latest_ns = int(table.time_ns[newest])
            self.latest = table.first_frame + newest
            rows.add(newest)
            return rows, newest
        return rows, -1

    def _store(self, frame: int, stored: _Stored, *, latest: bool) -> None:
        if latest:
            self._latest = stored
        index = int(np.searchsorted(self._wanted, frame))
        if index == len(self._wanted) or self._wanted[index] != frame:
            return
        (interface, ticks, original), data, options = stored
        self._places[index] = self._file.seek(0, 2)
        self._file.write(_HEAD.pack(interface, ticks, original, len(data), len(options)) + data + options)

    def _records(self, piece: Piece, new: NDArray[np.uint8], form: blocks.RecordFormat) -> None:
        table = piece.table
        tick = 1 if form.nanoseconds else 1000
        rows, newest = self._rows(piece)
        for row in sorted(rows):
            link_type = int(table.link_type[row])
            number = self._links.get(link_type)
            if number is None:
                number = self._links[link_type] = len(self._interfaces)
                self._interfaces.append(blocks.interface(link_type, form)[8:-4])
            start, captured = int(table.start[row]), int(table.captured[row])
            stamp = blocks.Stamp(
                number, max(int(table.time_ns[row]), 0) // tick, int(table.original[row]) & 0xFFFF_FFFF
            )
            self._store(
                table.first_frame + row, _Stored(stamp, new[start : start + captured].tobytes(), b""),
                latest=row == newest,
            )

    def _sections(self, piece: Piece, new: NDArray[np.uint8]) -> None:
        table = piece.table
        rows, newest = self._rows(piece)
        data = table.data.data[: piece.consumed]
        row = 0
        for order, kind, at, end in blocks.walk(data, self._order):
            self._order = order
            if kind == blocks.SECTION:
                self._section = []
            elif kind == blocks.INTERFACE:
                self._section.append(len(self._interfaces))
                self._interfaces.append(self._interface(order, bytes(data[at + 8 : end - 4])))
            elif kind in blocks.PACKETS:
                if row in rows:
                    start = int(table.start[row])
                    frame = new[start : start + int(table.captured[row])].tobytes()
                    self._store(
                        table.first_frame + row, self._packet(order, kind, bytes(data[at:end]), frame),
                        latest=row == newest,
                    )
                row += 1

    def _interface(self, order: str, body: bytes) -> bytes:
        link_type, _, snap = struct.unpack_from(f"{order}HHI", body)
        options = []
        for code, value in blocks.options_of(order, body[8:]):
            size = _INTERFACE_OPTIONS.get(code)
            if size is None or (size and len(value) != size) or (self._mask and code not in _NUMBERS_ONLY):
                continue
            options.append(blocks.Option(code, value[::-1] if size and order == ">" else value))
        return struct.pack("<HHI", link_type, 0, snap) + blocks.packed("<", options)

    def _packet(self, order: str, kind: int, old: bytes, frame: bytes) -> _Stored:
        if kind == blocks.SIMPLE:
            number, ticks, options = 0, 0, b""
            original, = struct.unpack_from(f"{order}I", old, 8)
        else:
            number, high, low, _, original = struct.unpack_from(f"{order}IIIII", old, 8)
            ticks = high << 32 | low
            if kind == blocks.PACKET:
                number, = struct.unpack_from(f"{order}H", old, 8)
            rest = old[28 + (len(frame) + 3 & ~3) : -4]
            flags = [
                option._replace(value=option.value[::-1] if order == ">" else option.value)
                for option in blocks.flags_of(order, rest)
            ]
            remarks = [] if self._mask else [o for o in blocks.options_of(order, rest) if o.code == blocks.COMMENT]
            options = blocks.packed("<", [*flags, *remarks])
        known = self._section[number] if number < len(self._section) else self._undeclared()
        return _Stored(blocks.Stamp(known, ticks, original), frame, options[:0xFFFF])

    def _undeclared(self) -> int:
        """An interface for packets of which nobody says what they are."""
        number = self._links.get(-1)
        if number is None:
            number = self._links[-1] = len(self._interfaces)
            self._interfaces.append(struct.pack("<HHI", 0xFFFF, 0, 0))
        return number

    def _stored(self, frame: int) -> _Stored | None:
        index = int(np.searchsorted(self._wanted, frame))
        if index == len(self._wanted) or self._wanted[index] != frame or self._places[index] < 0:
            return self._latest if frame == self.latest else None
        self._file.seek(int(self._places[index]))
        interface, ticks, original, captured, options = _HEAD.unpack(self._file.read(_HEAD.size))
        stamp = blocks.Stamp(interface, ticks, original)
        return _Stored(stamp, self._file.read(captured), self._file.read(options))

    def pcapng(self, frames: Iterable[int], names: Mapping[bytes, str], headers_only: int | None = None) -> bytes:
        """A capture of these frames (ascending). names: of addresses, 4 or 16 bytes.

        headers_only: a frame of which no more is wanted than its headers.
        """
        parts = [blocks.section()]
        if names:
            records = [
                blocks.Option(1 if len(address) == 4 else 2, address + name.encode("utf-8", "replace") + b"\0")
                for address, name in sorted(names.items())
            ]
            parts.append(blocks.block("<", blocks.NAMES, blocks.packed("<", records)))
        known: dict[int, int] = {}
        for frame in frames:
            stored = self._stored(frame)
            if stored is None:
                continue
            number = known.get(stored.stamp.interface)
            if number is None:
                number = known[stored.stamp.interface] = len(known)
                parts.append(blocks.block("<", blocks.INTERFACE, self._interfaces[stored.stamp.interface]))
            data = stored.data[:_HEADERS] if frame == headers_only else stored.data
            parts.append(blocks.enhanced("<", stored.stamp._replace(interface=number), data, stored.options))
        return b"".join(parts)


_HEADERS = 54            # Ethernet, IPv4 and TCP without options
