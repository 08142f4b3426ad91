"""Frames of a capture -> the same frames under pseudonyms.

A capture is read twice: learn() gathers what the SMB connections say and writes it anew as streams,
masked() puts that back into the frames of each chunk. Every frame keeps its length. What is not
understood becomes zero: payloads of other protocols and of SMB behind the negotiation, frames of
link types that are not decoded, options of headers, bytes behind an IP packet.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from analyzer.capture.gather import gather
from analyzer.capture.headers import PEELERS, Decoder
from analyzer.capture.layers import IP4, IP6
from analyzer.capture.reader import CaptureReader
from analyzer.capture.table import PacketTable, SegmentTable
from analyzer.rewrite.checksums import mend_checksums
from analyzer.rewrite.fragments import FragmentPlan, Segments, mask_fragments
from analyzer.rewrite.headers import Seen, Sheet, watching, write_headers
from analyzer.rewrite.pseudonym import Pseudonyms
from analyzer.rewrite.speech import Speech
from analyzer.tcp.connection import RST, SYN
from analyzer.tcp.flows import FlowTable
from analyzer.tcp.select import SegmentStore, StoreLimits

_TCP = (IP4 + 6, IP6 + 6)
_UDP = (IP4 + 17, IP6 + 17)
_QUIC = np.dtype([("first", "u1"), ("version", ">u4")])
_SMB = np.dtype({"names": ["kind", "protocol", "name"], "formats": ["u1", "u1", "V3"], "offsets": [0, 4, 5],
                 "itemsize": 8})
_NAME = np.frombuffer(b"SMB", "V3")
_SMB_HEADER = 24                     # framing, command, status and flags

# TCP options of fixed length that name nobody: segment size, window scale, SACK, time stamps.
_OPTIONS = {2: 4, 3: 3, 4: 2, 8: 10}
_SACK, _NOP, _END = 5, 1, 0
_TIME_STAMPS = b"\x01\x01\x08\x0a"


class _Reader:
    """One reading of the capture: what is peeled off its frames, and which connection each segment is of."""

    def __init__(self) -> None:
        self.seen: list[Seen] = []
        self._decoder = Decoder(watching(PEELERS, self.seen))
        self._flows = FlowTable()

    def decode(self, table: PacketTable) -> Segments:
        self.seen.clear()
        segments = self._decoder.decode(table)
        assigned = self._flows.assign(segments)
        return Segments(segments, assigned.stream, assigned.side)


class FrameMask:
    """The frames of one capture under pseudonyms. ports: SMB's, None for any."""

    def __init__(self, names: Pseudonyms, ports: frozenset[int] | None, limits: StoreLimits | None = None) -> None:
        self.names = names
        self._ports = ports
        self._limits = limits
        self._speech = Speech()
        self._plan = FragmentPlan()
        self._reader = _Reader()

    def learn(self, reader: CaptureReader) -> None:
        """Read the whole capture. Raises CaptureError where nothing can be read."""
        store = SegmentStore(self._ports, self._limits)
        flows = FlowTable()
        seen: list[Seen] = []
        decoder = Decoder(watching(PEELERS, seen))
        for table in reader.tables():
            seen.clear()
            segments = decoder.decode(table)
            assigned = flows.assign(segments)
            rows = store.concerned(segments)
            store.add(segments, rows, assigned.take(rows))
            self._plan.learn(table, Segments(segments, assigned.stream, assigned.side), seen)
        for connection in store.connections():
            self._speech.add(connection, self.names)

    def masked(self, table: PacketTable) -> NDArray[np.uint8]:
        """As many bytes as table.data; zero but for the frames. Chunks come in capture order."""
        segments = self._reader.decode(table)
        seen = self._reader.seen
        sheet = Sheet(table.data, self.names)
        write_headers(sheet, seen)
        _write_options(sheet, seen)
        self._write_payloads(sheet, segments)
        _write_signs(sheet, segments.table, seen)
        mend_checksums(sheet, seen)
        mask_fragments(sheet, table, seen, self._plan, self._speech)
        return sheet.new

    def _write_payloads(self, sheet: Sheet, segments: Segments) -> None:
        """What SMB connections say."""
        table = segments.table
        rows = np.flatnonzero(
            (table.icmp == 0) & (table.present > 0) & (table.payload < len(sheet.old))
            & (table.flags & RST == 0) & self._speech.knows(segments.stream)
        )
        present = table.present[rows]
        columns = zip(
            table.payload[rows].tolist(), present.tolist(), segments.stream[rows].tolist(),
            segments.side[rows].tolist(), table.seq[rows].tolist(), table.flags[rows].tolist(),
            table.frame[rows].tolist(), strict=True,
        )
        view = sheet.new.data
        for at, size, stream, side, seq, flags, frame in columns:
            first = seq + 1 if flags & SYN else seq
            view[at : at + size] = self._speech.said(stream, side, first, size, frame)


def _write_options(sheet: Sheet, seen: list[Seen]) -> None:
    """TCP options: those that name nobody, and padding in the place of others."""
    view = sheet.new.data
    for kind, found in seen:
        if kind not in _TCP:
            continue
        rows = sheet.own(found).holding(20)
        size = (sheet.old[rows.at + 12] >> 4).astype(np.int64) * 4
        longer = np.flatnonzero(size > 20)
        rows, size = rows.take(longer), size[longer]
        ends = np.minimum(rows.at + size, np.minimum(rows.have, rows.end))
        for begin, end in zip((rows.at + 20).tolist(), ends.tolist(), strict=True):
            if begin < end:
                view[begin:end] = masked_options(sheet.old[begin:end].tobytes())


def masked_options(old: bytes) -> bytes:
    """The options of a TCP header, as many bytes."""
    if len(old) == 12 and old.startswith(_TIME_STAMPS):
        return old
    new = bytearray([_NOP]) * len(old)
    for at, kind, length in _options(old):
        if _OPTIONS.get(kind) == length or kind in (_SACK, _END):
            new[at : at + length] = old[at : at + length]
        if kind == _END:
            return bytes(new[:at]).ljust(len(old), b"\0")
    return bytes(new)


def _options(old: bytes) -> Iterator[tuple[int, int, int]]:
    """Offset, kind and length of each option that is whole."""
    at = 0
    while at < len(old):
        kind = old[at]
        length = 1 if kind in (_NOP, _END) else old[at + 1] if at + 1 < len(old) else 0
        if length < 1 + (kind not in (_NOP, _END)) or at + length > len(old):
            return
        yield at, kind, length
        at += length


def _write_signs(sheet: Sheet, table: SegmentTable, seen: list[Seen]) -> None:
    """As much of other payloads as it takes to count them: SMB elsewhere, QUIC on UDP 443."""
    rows = np.flatnonzero(
        (table.icmp == 0) & (table.present >= _SMB_HEADER) & (table.payload + _SMB_HEADER <= len(sheet.old))
    )
    at = table.payload[rows]
    head = gather(sheet.old, at, _SMB)
    at = at[(head["kind"] == 0) & (head["protocol"] >= 0xFC) & (head["name"] == _NAME)]
    at = at[sheet.new[at + 4] == 0][:, None] + np.arange(_SMB_HEADER)
    sheet.new[at] = sheet.old[at]
    for kind, found in seen:
        if kind in _UDP:
            datagrams = sheet.own(found).holding(13)
            ports = gather(sheet.old, datagrams.at, np.dtype([("source", ">u2"), ("target", ">u2")]))
            datagrams = datagrams.where((ports["source"] == 443) | (ports["target"] == 443))
            header = gather(sheet.old, datagrams.at + 8, _QUIC)
            long = (header["first"] & 0xC0 == 0xC0) & (header["version"] != 0)
            sheet.keep(datagrams.where(long), 8, 5)

