"""The whole result of a batch as a value, to be compared."""

from __future__ import annotations

from pathlib import Path

TABLES = ("captures", "connections", "findings", "messages")
REPORTS = ("summary.csv", "captures.csv", "summary.html")


def result(folder: Path) -> dict[str, bytes]:
    """Every file of the result by its name; locks and unfinished files are no result."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.relative_to(folder).parts[0].startswith(".")
    }


def done(folder: Path) -> int:
    """How many captures have their row."""
    captures = folder / "captures"
    return sum(path.name != "0.parquet" for path in captures.iterdir()) if captures.is_dir() else 0
