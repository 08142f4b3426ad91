"""Comments for frames, any number of them in bounded memory."""

from __future__ import annotations

import tempfile
from array import array
from bisect import bisect_left
from types import TracebackType
from typing import Self

_HELD = 16 << 20         # bytes of text in memory; more goes to a temporary file


class FrameNotes:
    """Texts by frame number. Add them all, then ask. Memory: 16 bytes a text."""

    def __init__(self) -> None:
        self._texts = tempfile.SpooledTemporaryFile(_HELD)  # noqa: SIM115 (closed by __exit__)
        self._frames = array("q")
        self._places = array("q")
        self._sorted = True

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._texts.close()

    def __len__(self) -> int:
        return len(self._frames)

    def add(self, text: str, frames: tuple[int, ...]) -> None:
        """A text for each of these frames."""
        place = self._texts.tell()
        data = text.encode("utf-8", "replace")
        self._texts.write(len(data).to_bytes(4, "big") + data)
        self._frames.extend(frames)
        self._places.extend([place] * len(frames))
        self._sorted = False

    def among(self, first: int, count: int) -> set[int]:
        """Which of `count` frames from `first` on have texts."""
        if not self._sorted:
            self._sort()
        return set(self._frames[bisect_left(self._frames, first) : bisect_left(self._frames, first + count)])

    def of(self, frame: int) -> list[str]:
        """The texts of a frame, in the order in which they were added."""
        if not self._sorted:
            self._sort()
        found = []
        index = bisect_left(self._frames, frame)
        while index < len(self._frames) and self._frames[index] == frame:
            self._texts.seek(self._places[index])
            size = int.from_bytes(self._texts.read(4), "big")
            found.append(self._texts.read(size).decode("utf-8"))
            index += 1
        return found

    def _sort(self) -> None:
        import numpy as np

        frames = np.array(self._frames, np.int64)
        order = np.argsort(frames, kind="stable")
        places = np.array(self._places, np.int64)[order]
        self._frames = array("q", frames[order].tobytes())
        self._places = array("q", places.tobytes())
        self._sorted = True
