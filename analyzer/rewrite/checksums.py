"""Checksums after a change: as right as they were before it. RFC 1624

What was right stays right, and what the network card would have filled in stays as wrong as it was.
Bytes that were not captured count as unchanged.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from analyzer.capture.layers import IP4, IP6, IPV4
from analyzer.rewrite.headers import Seen, Sheet

_MODULUS = 0xFFFF
_FIELD = {IP4 + 6: 16, IP6 + 6: 16, IP4 + 17: 6, IP6 + 17: 6, IP4 + 1: 2, IP6 + 58: 2, IPV4: 10}
_UDP = (IP4 + 17, IP6 + 17)


class _Sum(NamedTuple):
    """A checksum: where what it covers begins and ends, its own place, the addresses it covers."""

    at: int
    end: int
    field: int
    addresses: tuple[int, int]


def mend_checksums(sheet: Sheet, seen: list[Seen]) -> None:
    """Mend all checksums of a chunk whose new bytes stand, the innermost first."""
    sums: list[_Sum] = []
    skipped: set[int] = set()
    for kind, found in seen:
        field = _FIELD.get(kind)
        if field is None:
            continue
        rows = sheet.own(found)
        end = np.minimum(rows.have, rows.end)
        rows, end = rows.take(whole := np.flatnonzero(rows.at + field + 2 <= end)), end[whole]
        first = sheet.old[rows.at]
        if kind == IPV4:
            end = np.minimum(end, rows.at + (first & 15).astype(np.int64) * 4)
        covered = 8 if kind in (IP4 + 6, IP4 + 17) else 32 if kind in (IP6 + 6, IP6 + 17, IP6 + 58) else 0
        start = rows.ip + (12 if covered == 8 else 8)
        columns = zip(rows.at.tolist(), end.tolist(), start.tolist(), strict=True)
        sums += (_Sum(at, stop, field, (ip, ip + covered) if covered else (0, 0)) for at, stop, ip in columns)
        if kind in _UDP:
            none = rows.at[(sheet.old[rows.at + 6] == 0) & (sheet.old[rows.at + 7] == 0)]
            skipped.update(none.tolist())
    old, new = sheet.old.tobytes(), sheet.new.data
    for at, stop, field, (first_address, last_address) in sorted(sums, reverse=True):
        if field == 6 and at in skipped:
            continue
        before, after = old[at:stop], bytes(new[at:stop])
        change = _sum(after) - _sum(before)
        if last_address:
            change += _sum(bytes(new[first_address:last_address])) - _sum(old[first_address:last_address])
        change %= _MODULUS
        if change:
            value = (int.from_bytes(before[field : field + 2], "big") - change) % _MODULUS
            if field == 6 and value == 0:
                value = _MODULUS             # zero says that there is no checksum
            new[at + field : at + field + 2] = value.to_bytes(2, "big")


def _sum(data: bytes) -> int:
    """The sum of 16-bit words, but for multiples of 65535."""
    return (int.from_bytes(data, "big") << (8 if len(data) & 1 else 0)) % _MODULUS


def checksum(data: bytes) -> int:
    """The checksum of these bytes. RFC 1071"""
    return (_MODULUS - _sum(data)) % _MODULUS
