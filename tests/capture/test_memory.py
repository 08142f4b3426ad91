"""capture/memory.py: what is ready for a large file, and for nothing else."""

from __future__ import annotations

import gzip
import random
from pathlib import Path
from threading import enumerate as threads

import pytest

from analyzer.capture import buffers, memory
from analyzer.capture.buffers import HEADROOM, Buffers
from analyzer.capture.reader import CHUNK
from analyzer.capture.source import open_source


def prepared(*paths: str) -> int:
    """How many pieces are ready once the thread, if any, has ended."""
    memory.release()
    memory.prepare(paths)
    for thread in threads():
        if thread.name == "preparing":
            thread.join()
    return len(memory._ready)


def test_pieces_of_a_large_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are there once each; a block that is larger than they are finds none."""
    monkeypatch.setattr(memory, "LARGE", 1000)
    monkeypatch.setattr(memory, "SIZE", 1 << 16)
    path = tmp_path / "large.pcap"
    path.write_bytes(bytes(256_000))
    assert prepared("--jobs", "1", str(path)) == 2
    assert memory.take((1 << 16) + 1) is None
    second, first = memory.take(1 << 16), memory.take(100)
    assert first is not None and second is not None and first is not second
    assert len(first) == len(second) == 1 << 16
    assert memory.take(1) is None
    assert prepared(str(path)) == 2
    memory.release()
    assert memory.take(1) is None
    memory._fill()
    assert memory.take(1) is None, "what comes late is not wanted"


def test_a_piece_is_large_enough() -> None:
    """Else none would ever be taken."""
    assert memory.SIZE == HEADROOM + CHUNK


def test_nothing_for_anything_else(tmp_path: Path) -> None:
    """A small file, a folder, no file at all, no name a file could have."""
    path = tmp_path / "small.pcap"
    path.write_bytes(b"small")
    assert prepared(str(path), str(tmp_path), str(tmp_path / "none"), "-", "a\0b") == 0


@pytest.mark.parametrize("ending", ["", ".gz"])
def test_a_large_file_is_read_into_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ending: str) -> None:
    """The same bytes as without; nothing stays behind, also of a compressed one, which needs one piece only."""
    for module in (memory, buffers):
        monkeypatch.setattr(module, "LARGE", 1000)
    monkeypatch.setattr(memory, "SIZE", HEADROOM + 4096)
    text = random.Random(1).randbytes(20_000)
    path = tmp_path / f"large.pcap{ending}"
    path.write_bytes(gzip.compress(text) if ending else text)
    assert prepared(str(path)) == 2
    with open_source(str(path)) as source:
        read = Buffers(source, 4096)
        assert len(memory._ready) == 1
        read.read_ahead()
        assert not memory._ready
        found = read.data.tobytes()
        while not read.ended:
            read.next(0, 1)
            found += read.data.tobytes()
        read.close()
    assert found == text
