"""Annotated records -> readers of bytes, with every bound checked.

A record is a NamedTuple whose leading fields are annotated with `Wire`: struct code, Wireshark's
name and the bits inside stand beside the attribute, and nowhere else. Fields without a `Wire`
come after them and are filled by the dissector.
"""

from __future__ import annotations

import itertools
import struct
from typing import Any, NamedTuple

NUMBER, SIGNED, HEX, GUID, TEXT = "number", "signed", "hex", "guid", "text"
FILETIME, DOSTIME = "filetime", "dostime"


class Wire(NamedTuple):
    """How one field lies on the wire, and what Wireshark calls it.

    code: struct code, little-endian without padding.
    key: Wireshark's display-filter name, None where it has none worth keeping (reserved bytes).
    bits: (Wireshark's name, mask) of each flag inside.
    shown: how the value is written: one of the words above.
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

    wires, names, offsets: one per field, in order. size: bytes of all.
    """

    __slots__ = ("_codes", "_struct", "names", "offsets", "size", "wires")

    def __init__(self, **wires: Wire) -> None:
        self.names = tuple(wires)
        self.wires = tuple(wires.values())
        self._codes = tuple(struct.Struct("<" + wire.code) for wire in self.wires)
        self._struct = struct.Struct("<" + "".join(wire.code for wire in self.wires))
        self.size = self._struct.size
        ends = tuple(itertools.accumulate(code.size for code in self._codes))
        self.offsets = (0, *ends[:-1])

    @classmethod
    def of(cls, record: type[tuple[Any, ...]]) -> Layout:
        """The layout that the annotations of a NamedTuple describe."""
        hints = record.__annotations__.items()
        return cls(**{name: hint.__metadata__[0] for name, hint in hints if hasattr(hint, "__metadata__")})

    @classmethod
    def plain(cls, **codes: str) -> Layout:
        """A layout without a record: name and struct code of each field, in order."""
        return cls(**{name: Wire(code) for name, code in codes.items()})

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


def number(data: bytes, at: int, size: int, end: int | None = None) -> int | None:
    """The little-endian number of 1, 2, 4 or 8 bytes at `at`; None if `end` or the data comes before its end."""
    stop = len(data) if end is None or end > len(data) else end
    if at < 0 or at + size > stop:
        return None
    value: int = _NUMBERS[size].unpack_from(data, at)[0]
    return value


def numbers(data: bytes, at: int, count: int, end: int | None = None) -> tuple[int, ...]:
    """Up to `count` little-endian 16-bit numbers at `at`: those that end before `end` and the data do."""
    stop = len(data) if end is None or end > len(data) else end
    fit = min(count, (stop - at) // 2)
    return struct.unpack_from(f"<{fit}H", data, at) if at >= 0 and fit > 0 else ()
