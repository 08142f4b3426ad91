"""Paths as given -> captures: files as they are, folders searched by content."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator
from typing import BinaryIO, NamedTuple

from analyzer.capture.pcap import is_pcap, is_pcapng
from analyzer.capture.source import open_source
from analyzer.errors import CaptureError, UsageError

ENDINGS = (".pcap", ".pcapng", ".cap", ".ntar", ".dmp", ".snoop", ".etl")
SIGNATURES = (b"snoop\0\0\0", b"GMBU", b"RTSS")          # snoop and Network Monitor
COMPRESSED = (".gz", ".zst", ".lz4")


class Input(NamedTuple):
    """One capture to read. name: as the reports print it; path: what is opened, "-" for standard input."""

    name: str
    path: str


class Found(NamedTuple):
    """What paths stand for. passed: files in folders that are no captures; unlisted: folders not readable."""

    captures: tuple[Input, ...]
    passed: tuple[str, ...]
    unlisted: tuple[tuple[str, str], ...]


def find(paths: Iterable[str]) -> Found:
    """All captures, in the order given; those of a folder by name. Links to folders are not followed.

    In a folder, captures are known by their first bytes, or by an ending of captures. A path that does
    not exist is a capture all the same: reading it says why not. Raises UsageError for one that is
    written as a folder.
    """
    captures: list[Input] = []
    passed: list[str] = []
    unlisted: list[tuple[str, str]] = []
    for path in paths:
        if path != "-" and os.path.isdir(path):  # noqa: PTH112 (pathlib costs 5 ms of the start)
            for name, problem in _below(path):
                if problem is not None:
                    unlisted.append((name, problem))
                elif named_like_one(name) or is_capture(name):       # a name says it without a look into the file
                    captures.append(Input(name, name))
                else:
                    passed.append(name)
        elif path.endswith(("/", os.sep)):
            raise UsageError(f"{path}: no such folder")
        else:
            captures.append(Input(path, path))
    return Found(tuple(captures), tuple(passed), tuple(unlisted))


def _below(folder: str) -> Iterator[tuple[str, str | None]]:
    """Each file below a folder, by name, or a folder and why it cannot be listed."""
    try:
        with os.scandir(folder) as listing:
            entries = sorted(listing, key=lambda entry: entry.name)
    except OSError as error:
        yield folder, error.strerror or str(error)
        return
    for entry in entries:
        path = entry.path
        try:
            if entry.is_dir(follow_symlinks=False):
                yield from _below(path)
            elif stat.S_ISREG(entry.stat().st_mode):
                yield path, None
        except OSError:              # a link that leads nowhere, or the file went away: reading it says so
            if named_like_one(path):
                yield path, None


def is_capture(capture: str | BinaryIO) -> bool:
    """Whether a file is one by its first bytes, decompressed."""
    head = bytearray(4096)
    try:
        with open_source(capture) as source:
            count = source.readinto(memoryview(head))
    except CaptureError:
        return False
    known = bytes(head[:count])
    return is_pcap(known) or is_pcapng(known) or known.startswith(SIGNATURES)


def named_like_one(path: str) -> bool:
    """Whether a name ends like a capture's."""
    name = os.path.basename(path).lower()  # noqa: PTH119 (as above)
    for ending in COMPRESSED:
        name = name.removesuffix(ending)
    return name.endswith(ENDINGS)
