"""capture/memory.py: what is ready for a large file, and for nothing else."""

from __future__ import annotations

from pathlib import Path
from threading import enumerate as threads

import pytest

from analyzer.capture import memory


def prepared(*paths: str) -> int:
    """How many pieces are ready once the thread, if any, has ended."""
    memory.release()
    memory.prepare(paths)
    for thread in threads():
        if thread.name == "preparing":
            thread.join()
    return len(memory._ready)


def test_pieces_of_a_large_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They hold its beginning, and are there once each; a block that is larger than they are finds none."""
    monkeypatch.setattr(memory, "LARGE", 1000)
    monkeypatch.setattr(memory, "SIZE", 1 << 16)
    path = tmp_path / "large.pcap"
    path.write_bytes(bytes(range(256)) * 1000)
    assert prepared("--jobs", "1", str(path)) == 2
    assert memory.take((1 << 16) + 1) is None
    second, first = memory.take(1 << 16), memory.take(100)
    assert first is not None and first[:256] == bytes(range(256))
    assert second is not None and len(second) == 1 << 16
    assert memory.take(1) is None
    assert prepared(str(path)) == 2
    memory.release()
    assert memory.take(1) is None


def test_nothing_for_anything_else(tmp_path: Path) -> None:
    """A small file, a folder, no file at all, no name a file could have."""
    path = tmp_path / "small.pcap"
    path.write_bytes(b"small")
    assert prepared(str(path), str(tmp_path), str(tmp_path / "none"), "-", "a\0b") == 0
