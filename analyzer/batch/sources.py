"""Words of the command line -> sources: what to read, and an identity by which its result is known again.

Local files never go through fsspec, whatever their words look like.
"""

from __future__ import annotations

import glob
import hashlib
import io
import os
import stat
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, cast

from analyzer.capture.finder import find, is_capture, named_like_one
from analyzer.errors import CaptureError, MissingExtra, UsageError

BLOCK = 8 << 20          # bytes asked for at a time, as many as the reader takes
_SNIFFED = 4096
_MAGIC = "*?["
# What an object store says about a version of an object, the most telling first.
_VERSIONS = (
    "ETag", "etag", "md5Hash", "content_md5", "checksum", "sha256", "version_id", "generation",
    "mtime", "LastModified", "last_modified", "modified", "updated", "created",
)
# File systems that live in the process that asks: workers see another one, so contents are shipped.
_IN_PROCESS = ("memory",)

Info = Mapping[str, Any]          # as fsspec has it: every file system its own keys


class Source(NamedTuple):
    """One capture of a batch.

    name: as the tables have it; place: absolute path, or URL; identity: changes when the content does;
    content: where no worker could open it; problem: why it cannot be read, as far as that is known.
    """

    name: str
    place: str
    identity: str
    local: bool = True
    content: bytes | None = None
    problem: str | None = None

    @property
    def key(self) -> str:
        """Of its result: a digest of the place, and one of the content's identity."""
        return f"{_digest(self.place)[:24]}-{_digest(self.identity)[:16]}"


class Sources(NamedTuple):
    """What words stand for. passed: files in folders that are no captures; unlisted: name and reason."""

    captures: tuple[Source, ...]
    passed: tuple[str, ...]
    unlisted: tuple[tuple[str, str], ...]


def sources_of(words: Iterable[str]) -> Sources:
    """All sources, in the order of the words, each once.

    Raises UsageError for a folder that does not exist, and MissingExtra without what a URL needs.
    """
    found: dict[str, Source] = {}
    passed: list[str] = []
    unlisted: list[tuple[str, str]] = []
    for word in words:
        path = _local(word)
        part = _remote(word) if path is None else _files(path)
        for source in part.captures:
            # One that changed between two words is still one: the later words would write over its result.
            found.setdefault(source.place, source)
        passed += part.passed
        unlisted += part.unlisted
    return Sources(tuple(found.values()), tuple(passed), tuple(unlisted))


def open_remote(url: str) -> BinaryIO:
    """The object of a URL, to be read forward. Raises OSError, and what else its file system raises."""
    system, path = _system(url)
    return cast("BinaryIO", system.open(path, "rb", block_size=BLOCK, cache_type="readahead"))


def _local(word: str) -> str | None:
    """The path that a word is; None for a URL."""
    scheme, colons, rest = word.partition("://")
    if not colons or os.path.lexists(word):
        return word
    if scheme not in ("file", "local"):
        return None
    # file:///C:/captures on Windows, file:///captures elsewhere
    return rest[1:] if os.name == "nt" and rest[:1] == "/" and rest[2:3] == ":" else rest


def _files(word: str) -> Sources:
    if word == "-":
        raise UsageError("standard input is no source: a batch must be able to read it again")
    words = [word]
    if any(sign in word for sign in _MAGIC) and not os.path.lexists(word):
        # The shell expands globs, but not of every shell, nor in a list of sources.
        words = sorted(glob.glob(word, recursive=True))  # noqa: PTH207 (a Path has no absolute patterns)
        if not words:
            return Sources((), (), ((word, "nothing has such a name"),))
    found = find(words)
    return Sources(tuple(_file(name, path) for name, path in found.captures), found.passed, found.unlisted)


def _file(name: str, path: str) -> Source:
    place = os.path.abspath(path)  # noqa: PTH100 (without following links)
    try:
        info = Path(path).stat()
    except (OSError, ValueError) as error:
        return Source(name, place, "absent", problem=getattr(error, "strerror", None) or str(error))
    if not stat.S_ISREG(info.st_mode):
        # Opening a pipe waits for who writes to it, perhaps for ever, and what it gave cannot be read again.
        return Source(name, place, "no file", problem="neither a regular file nor a folder")
    return Source(name, place, f"{info.st_size}:{info.st_mtime_ns}")


def _remote(url: str) -> Sources:
    system, path = _system(url)
    try:
        if any(sign in path for sign in _MAGIC):
            infos = _by_name(system.glob(path, detail=True))
            return Sources(tuple(_object(system, info) for info in infos if info["type"] == "file"), (), ())
        if not system.isdir(path):
            return Sources((_single(system, url, path),), (), ())
        captures: list[Source] = []
        passed: list[str] = []
        for info in _by_name(system.find(path, detail=True)):
            if named_like_one(info["name"]) or _sniffed(system, info):
                captures.append(_object(system, info))
            else:
                passed.append(str(system.unstrip_protocol(info["name"])))
        return Sources(tuple(captures), tuple(passed), ())
    except ImportError as error:
        raise _missing(url, error) from error
    except Exception as error:  # noqa: BLE001 - each file system raises what its library does
        return Sources((), (), ((url, _reason(error)),))


def _single(system: Any, url: str, path: str) -> Source:
    try:
        info = system.info(path)
    except OSError as error:
        return Source(url, str(system.unstrip_protocol(path)), "absent", local=False, problem=_reason(error))
    return _object(system, info)


def _object(system: Any, info: Info) -> Source:
    url = str(system.unstrip_protocol(info["name"]))
    version = next((str(info[key]) for key in _VERSIONS if info.get(key) is not None), "")
    protocols = (system.protocol,) if isinstance(system.protocol, str) else system.protocol
    in_process = any(protocol in _IN_PROCESS for protocol in protocols)
    content = cast("bytes", system.cat_file(info["name"])) if in_process else None
    if content is not None:
        version = hashlib.sha256(content).hexdigest()
    return Source(url, url, f"{info.get('size')}:{version}", local=False, content=content)


def _sniffed(system: Any, info: Info) -> bool:
    """Whether the first bytes are a capture's: one request for each object whose name does not say."""
    try:
        head = system.cat_file(info["name"], start=0, end=_SNIFFED)
        return is_capture(io.BytesIO(head))
    except (OSError, CaptureError):
        return False


def _by_name(infos: Mapping[str, Info]) -> Iterator[Info]:
    return (infos[name] for name in sorted(infos))


def _system(url: str) -> tuple[Any, str]:
    try:
        from fsspec.core import url_to_fs
    except ImportError as error:
        raise MissingExtra(f"{url.partition('://')[0]}://", "remote") from error
    try:
        system, path = url_to_fs(url)
    except ImportError as error:
        raise _missing(url, error) from error
    except ValueError as error:
        raise UsageError(f"{url}: {error}") from error
    return system, str(path)


def _missing(url: str, error: ImportError) -> MissingExtra:
    return MissingExtra(f"{url.partition('://')[0]}:// ({error})", "remote")


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or f"{type(error).__name__}: {error}".rstrip(": ")


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()
