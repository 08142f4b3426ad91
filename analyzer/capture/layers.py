"""What is peeled off a frame on the way to TCP: rows of a chunk, and the headers they stand before.

A Rows value is a set of frames that all have the same kind of header at `at`. Peelers look at that
header for all rows at once and hand the rows on to the kinds that follow.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

# A kind is a number space and a number in it. Ethernet types are their own numbers.
IP4 = 0x10000                # + protocol, behind an IPv4 header
IP6 = 0x20000                # + next header, behind an IPv6 header
LINK = 0x100000              # + LINKTYPE_ value
ETHERNET = LINK + 1
IP = LINK + 101              # IPv4 or IPv6, by the version
IPV4 = 0x0800
IPV6 = 0x86DD

PARTIAL = 0x10000            # Rows.mark: first fragment of a datagram that is not put together
OFFLOADED = 0x20000          # Rows.mark: IPv6 without a length, which Wireshark takes no further


class Rows(NamedTuple):
    """Frames that have the same kind of header next. All columns have one length."""

    row: NDArray[np.int64]       # in the table of the chunk
    at: NDArray[np.int64]        # where the header begins in data
    end: NDArray[np.int64]       # where what it belongs to ends on the wire, as if nothing were cut off
    have: NDArray[np.int64]      # where the captured bytes of the frame end
    ip: NDArray[np.int64]        # where the last IP header began, -1 before the first
    mark: NDArray[np.uint32]     # low half: ICMP error that quotes this (type << 8 | code); PARTIAL

    def take(self, which: NDArray[Any]) -> Rows:
        """These rows, by index."""
        return Rows(*(column[which] for column in self))

    def past(self, size: int | NDArray[np.int64]) -> Rows:
        """The same rows behind so many bytes of header."""
        return self._replace(at=self.at + size)

    def where(self, condition: NDArray[np.bool_]) -> Rows:
        """The rows for which the condition holds; the very same value where it holds for all."""
        if condition.all():
            return self
        return self.take(np.flatnonzero(condition))

    def holding(self, size: int) -> Rows:
        """The rows of which so many bytes are captured and sent from `at` on."""
        return self.where(np.minimum(self.have, self.end) - self.at >= size)


def joined(parts: list[Rows]) -> Rows:
    """All rows of the parts."""
    if len(parts) == 1:
        return parts[0]
    return Rows(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))


IPV4_HEADER = np.dtype([
    ("version", "u1"), ("service", "u1"), ("total", ">u2"), ("id", ">u2"), ("fragment", ">u2"),
    ("ttl", "u1"), ("protocol", "u1"), ("sum", ">u2"), ("src", ">u4"), ("dst", ">u4"),
])
IPV6_HEADER = np.dtype([
    ("version", ">u4"), ("payload", ">u2"), ("next", "u1"), ("ttl", "u1"),
    ("src_high", ">u8"), ("src_low", ">u8"), ("dst_high", ">u8"), ("dst_low", ">u8"),
])
TCP_HEADER = np.dtype([
    ("src", ">u2"), ("dst", ">u2"), ("seq", ">u4"), ("ack", ">u4"), ("offset", "u1"), ("flags", "u1"),
    ("window", ">u2"), ("sum", ">u2"), ("urgent", ">u2"),
])
BYTE = np.dtype([("value", "u1")])
SHORT = np.dtype([("value", ">u2")])
WORD = np.dtype([("value", ">u4")])
