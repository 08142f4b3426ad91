"""Words of the command line and lists of paths -> captures."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from analyzer.capture.finder import Found, find
from analyzer.errors import UsageError


def captures_of(words: Sequence[str], files_from: str | None = None) -> Found:
    """All captures, in the order given.

    Raises UsageError for a folder that does not exist, a list that cannot be read, and a second use
    of standard input.
    """
    return find(words_of(words, files_from))


def words_of(words: Sequence[str], files_from: str | None) -> list[str]:
    """The words and those of a list. Raises UsageError as captures_of, but not for folders."""
    paths = list(words)
    if files_from is not None:
        paths += _listed(files_from)
    if paths.count("-") + (files_from == "-") > 1:
        raise UsageError("standard input can be given only once")
    return paths


def _whole(path: str) -> bytes:
    with open(path, "rb") as file:  # noqa: PTH123 (pathlib costs 5 ms of the start)
        return file.read()


def _listed(files_from: str) -> list[str]:
    try:
        data = sys.stdin.buffer.read() if files_from == "-" else _whole(files_from)
    except OSError as error:
        raise UsageError(f"--files-from {files_from}: {error.strerror or error}") from error
    data = data.removeprefix(b"\xef\xbb\xbf")
    # `find -print0` ends names by NUL, so that a name may hold a line feed.
    lines = data.split(b"\0") if b"\0" in data else [line.removesuffix(b"\r") for line in data.split(b"\n")]
    return [os.fsdecode(line) for line in lines if line]
