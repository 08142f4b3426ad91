"""Annotated records -> readers of bytes, with every bound checked.

A record is a NamedTuple whose leading fields are annotated with `Wire`: struct code, Wireshark's
name and the bits inside stand beside the attribute, and nowhere else. Fields without a `Wire`
come after them and are filled by the dissector.
"""

from __future__ import annotations

import struct
from typing import Any, NamedTuple

NUMBER, HEX, GUID, FILETIME = "number", "hex", "guid", "filetime"


class Wire(NamedTuple):
    """How one field lies on the wire, and what Wireshark calls it.

    code: struct code, little-endian without padding.
    key: Wireshark's display-filter name, None where it has none worth keeping (reserved bytes).
    bits: (Wireshark's name, mask) of each flag inside.
    shown: NUMBER, HEX, GUID or FILETIME: how the value is written.
    """

    code: str
    key: str | None = None
    bits: tuple[tuple[str, int], ...] = ()
    shown: str = NUMBER


class Truncated(Exception):
    """The bytes end before what was asked for. Never leaves smb/."""

    def __init__(self, at: int, size: int, what: str) -> None:
        super().__init__(f"{what}: {size} bytes at {at}")
        self.at = at
        self.size = size
        self.what = what


def take(data: bytes, at: int, size: int, what: str) -> bytes:
    """Exactly `size` bytes of `data` at `at`. Raises Truncated where it does not hold them all."""
    if at < 0 or size < 0 or at + size > len(data):
        raise Truncated(at, size, what)
    return data[at : at + size]


class Layout:
    """The fixed part of a record: reads its annotated fields in one go.

    wires: one Wire per field, in order; names, offsets and size in bytes likewise.
    """

    __slots__ = ("names", "offsets", "size", "wires", "_codes", "_struct")

    def __init__(self, record: type[NamedTuple] | type[tuple[Any, ...]]) -> None:
        fields = [
            (name, hint.__metadata__[0])
            for name, hint in record.__annotations__.items()
            if hasattr(hint, "__metadata__")
        ]
        self.names = tuple(name for name, _ in fields)
        self.wires: tuple[Wire, ...] = tuple(wire for _, wire in fields)
        self._codes = tuple(struct.Struct("<" + wire.code) for wire in self.wires)
        self._struct = struct.Struct("<" + "".join(wire.code for wire in self.wires))
        self.size = self._struct.size
        offsets, at = [], 0
        for code in self._codes:
            offsets.append(at)
            at += code.size
        self.offsets = tuple(offsets)

    def read(self, data: bytes, at: int) -> tuple[Any, ...]:
        """The values of all fields at `at`; None for each that is not wholly inside `data`."""
        if at + self.size <= len(data):
            return self._struct.unpack_from(data, at)
        room = len(data) - at
        return tuple(
            code.unpack_from(data, at + offset)[0] if offset + code.size <= room else None
            for code, offset in zip(self._codes, self.offsets, strict=True)
        )


_NUMBERS = {1: struct.Struct("<B"), 2: struct.Struct("<H"), 4: struct.Struct("<I"), 8: struct.Struct("<Q")}


def number(data: bytes, at: int, size: int) -> int | None:
    """The little-endian unsigned number of 1, 2, 4 or 8 bytes at `at`, None where it is cut off."""
    if at < 0 or at + size > len(data):
        return None
    value: int = _NUMBERS[size].unpack_from(data, at)[0]
    return value


def numbers(data: bytes, at: int, count: int) -> tuple[int, ...]:
    """Up to `count` little-endian 16-bit numbers at `at`: those wholly inside `data`."""
    fit = min(count, (len(data) - at) // 2)
    return struct.unpack_from(f"<{fit}H", data, at) if at >= 0 and fit > 0 else ()
