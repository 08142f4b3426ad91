"""The frames that most captures consist of, taken apart in one go: TCP and UDP over IP on Ethernet, tagged at most once.

What is found is what peeling header by header finds. Everything else is left to that: options and
fragments of IP, tunnels, frames that end within their headers.
"""

from __future__ import annotations

import sys
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from analyzer.capture.gather import gather, hits
from analyzer.capture.layers import (
    COUNTED,
    IPV4,
    IPV4_HEADER,
    IPV6,
    IPV6_HEADER,
    ROCE,
    SHORT,
    TCP_HEADER,
    TUNNEL,
    Chunk,
    Rows,
    Segments,
)

_ETHERNET = 14
_TAG = 4                             # bytes of a VLAN tag
_TAGGED = 0x8100
_TCP = 20                            # bytes of a TCP header without options
_LONG = 0xC000_0000                  # the bits of a QUIC long header; RFC 9000 17.2


class _Form(NamedTuple):
    """Headers that stand one after the other.

    words: the same bytes, with two words that tell whether it is this form: under (mask, value) of first and
    second, or with `datagram` instead of the latter's value, where UDP is in the place of TCP.
    """

    record: np.dtype[Any]            # outer, of tagged ones the tag's type, and tci; type, the Ethernet type; ip; tcp
    words: np.dtype[Any]
    first: tuple[int, int]
    second: tuple[int, int]
    datagram: int
    type: int                        # what stands behind the Ethernet addresses
    before: int                      # bytes from the frame's begin to IP
    size: int                        # and to the end of a TCP header without options
    v6: bool


def _form(before: int, *, v6: bool) -> _Form:
    kind, ip = (IPV6, IPV6_HEADER) if v6 else (IPV4, IPV4_HEADER)
    tag = [("outer", ">u2"), ("tci", ">u2")] if before > _ETHERNET else []
    record = np.dtype([*tag, ("type", ">u2"), ("ip", ip), ("tcp", TCP_HEADER)])
    begin = before - _ETHERNET
    # Ethernet type, version, and for IPv4 the header length. Then for IPv4 flags but "don't fragment",
    # fragment offset, protocol; for IPv6 the next header.
    first = ("fffff000", f"{kind:04x}6000") if v6 else ("ffffff00", f"{kind:04x}4500")
    second = ("0000ff00", "00000600", "00001100") if v6 else ("3fff00ff", "00000006", "00000011")
    mask, value, mask2, tcp, udp = (int.from_bytes(bytes.fromhex(word), sys.byteorder) for word in (*first, *second))
    words = np.dtype({
        "names": ["first", "second"], "formats": ["u4", "u4"], "offsets": [begin, begin + 2 + (4 if v6 else 6)],
        "itemsize": record.itemsize,
    })
    outer = kind if before == _ETHERNET else _TAGGED
    return _Form(record, words, (mask, value), (mask2, tcp), udp, outer, before, before + ip.itemsize + _TCP, v6)


_FORMS = tuple(_form(before, v6=v6) for before in (_ETHERNET, _ETHERNET + _TAG) for v6 in (False, True))
_FORM4 = _FORMS[0]


class Usual:
    """Takes usual frames, chunk after chunk; those of the kind that was most frequent in the last one at once.

    sorts: by UDP port, COUNTED and TUNNEL.
    """

    def __init__(self, sorts: NDArray[np.uint8]) -> None:
        self._sorts = sorts
        self._first = _FORM4

    def take(self, chunk: Chunk, rows: Rows) -> Rows:
        """Put what usual frames hold into the chunk; the frames that are still to be peeled.

        rows: every frame of a chunk, in order, all Ethernet and without a mark.
        """
        left = np.ones(len(rows.row), np.bool_)
        room = np.minimum(rows.end, rows.have) - rows.at
        first = self._first
        whole = room >= first.size
        which = None if whole.all() else hits(whole)
        at = rows.at if which is None else rows.at[which]
        _take(chunk, rows, which, _headers(chunk, at, first), first, self._sorts, left)
        rest = hits(left)
        most = len(left) - len(rest)
        kind = chunk.gather(rows.at[rest] + _ETHERNET - 2, SHORT)["value"]
        for form in _FORMS:
            other = rest[kind == form.type] if form is not first else rest[:0]
            other = other[left[other] & (room[other] >= form.size)]
            if len(other):
                _take(chunk, rows, other, _headers(chunk, rows.at[other], form), form, self._sorts, left)
                taken = len(other) - int(np.count_nonzero(left[other]))
                if taken > most:
                    self._first, most = form, taken
        return rows.where(left)


def _headers(chunk: Chunk, at: NDArray[np.int64], form: _Form) -> NDArray[Any]:
    """The headers of frames that begin at these places, from behind the Ethernet addresses on."""
    return gather(chunk.data[_ETHERNET - 2 :], at, form.record)


def _take(  # noqa: PLR0917 - one step of the above, on its variables
    chunk: Chunk,
    rows: Rows,
    which: NDArray[np.int64] | None,
    header: NDArray[Any],
    form: _Form,
    sorts: NDArray[np.uint8],
    left: NDArray[np.bool_],
) -> None:
    """Put what frames of one form hold into the chunk and strike them off `left`.

    which: the rows whose headers these are, None: all.
    """
    words = header.view(form.words)
    sound = words["first"] & form.first[0] == form.first[1]
    if form.type == _TAGGED:
        sound &= header["outer"] == _TAGGED
    second = words["second"] & form.second[0]
    # A length that leaves no room for TCP, zero among them, has meanings of its own.
    length = header["ip"]["payload" if form.v6 else "total"].astype(np.int64)
    if form.v6:
        length += 40
    sound &= length >= form.size - form.before
    segment = hits(sound & (second == form.second[1]))
    if len(segment):
        behind = _behind(rows, which, segment, form, length)
        found = header
        if len(segment) < len(header):
            found = header.take(segment)
        there = np.minimum(behind.have, behind.end) - behind.at
        chunk.found.append(Segments.of(behind, form.v6, found["ip"], found["tcp"], there))
        left[behind.row] = False
    datagram = hits(sound & (second == form.datagram))
    if len(datagram):
        source, target = (header["tcp"][port][datagram].astype(np.uint16) for port in ("src", "dst"))
        sort = sorts[source] | sorts[target]
        struck = datagram[sort < TUNNEL]
        left[struck if which is None else which[struck]] = False
        counted = hits(sort == COUNTED)
        if len(counted):
            # Of QUIC only handshakes are, which the first byte tells. It stands where TCP has its acknowledgement.
            long = header["tcp"]["ack"][datagram[counted]] & _LONG == _LONG
            counted = counted[long | (target[counted] == ROCE)]
        if len(counted):
            behind = _behind(rows, which, datagram[counted], form, length)
            chunk.datagrams.append((behind, target[counted], source[counted]))


def _behind(
    rows: Rows, which: NDArray[np.int64] | None, chosen: NDArray[np.int64], form: _Form, length: NDArray[np.int64]
) -> Rows:
    """Some of the rows, behind their IP headers. length: of header and payload, as IP tells it; of all."""
    if len(chosen) < len(length):
        length = length[chosen]
        which = chosen if which is None else which[chosen]
    row, at, end, have = rows.row, rows.at, rows.end, rows.have
    if which is not None:
        row, at, end, have = which, at[which], end[which], have[which]
    ip = at + form.before
    return Rows(
        row, ip + (40 if form.v6 else 20), np.minimum(end, ip + length), have, ip, np.zeros(len(row), np.uint32)
    )
