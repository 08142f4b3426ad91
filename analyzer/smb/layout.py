"""Records with their wire format -> readers of bytes, with every bound checked.

A record is a NamedTuple whose leading fields have a `wire` where a default would stand: struct
code, Wireshark's name and the bits inside stand beside the attribute, and nowhere else. Fields
without one come after them and are filled by the dissector.

    class TreeConnect(NamedTuple):
        structure_size: int | None = wire("H", "smb2.buffer_code")
        ...
    TREE_CONNECT = Layout.of(TreeConnect)

The place of the default, because an Annotated costs 50 microseconds for each field at every
start of the program, and the default nothing; Layout.of puts None there.
"""

import struct
from typing import Any, NamedTuple

NUMBER, HEX, GUID, TEXT = "number", "hex", "guid", "text"
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


def wire(
    code: str, key: str | None = None, bits: tuple[tuple[str, int], ...] = (), shown: str = NUMBER
) -> Any:  # Any: it stands where a value of the field's type would
    """The Wire of a field of a record; see the module."""
    return Wire(code, key, bits, shown)


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
    """The fixed part of a record: reads its fields in one go.

    names, wires: one per field, in order. size: bytes of all.
    """

    __slots__ = ("_struct", "names", "size", "wires")

    def __init__(self, **wires: Wire) -> None:
        self.names = tuple(wires)
        self.wires = tuple(wires.values())
        self._struct = struct.Struct("<" + "".join(wire.code for wire in self.wires))
        self.size = self._struct.size

    @classmethod
    def of(cls, record: type[tuple[Any, ...]]) -> "Layout":
        """The layout of a NamedTuple with wires. Its fields have the default None from now on."""
        defaults: dict[str, Any] = record._field_defaults  # type: ignore[attr-defined]
        record.__new__.__defaults__ = tuple(
            None if isinstance(value, Wire) else value for value in defaults.values()
        )
        return cls(**{name: value for name, value in defaults.items() if isinstance(value, Wire)})

    @classmethod
    def plain(cls, **codes: str) -> "Layout":
        """A layout without a record: name and struct code of each field, in order."""
        return cls(**{name: Wire(code) for name, code in codes.items()})

    def read(self, data: bytes, at: int, end: int | None = None) -> tuple[Any, ...]:
        """The values of all fields at `at`; None for each that `end` or the data comes before the end of."""
        stop = len(data) if end is None else end
        if at + self.size <= stop:
            return self._struct.unpack_from(data, at)
        values: list[Any] = []
        for wire in self.wires:
            size = struct.calcsize("<" + wire.code)
            values.append(struct.unpack_from("<" + wire.code, data, at)[0] if at + size <= stop else None)
            at += size
        return tuple(values)


_SHORTS = tuple(struct.Struct(f"<{count}H").unpack_from for count in range(9))       # longer lists are rare
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
    if at < 0 or fit <= 0:
        return ()
    return _SHORTS[fit](data, at) if fit < len(_SHORTS) else struct.unpack_from(f"<{fit}H", data, at)
