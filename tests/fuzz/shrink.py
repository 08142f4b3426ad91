"""An input that breaks something -> a smaller one that breaks the same."""

from __future__ import annotations

import time
from collections.abc import Callable


def shrunk(data: bytes, breaks: Callable[[bytes], bool], seconds: float = 20.0) -> bytes:
    """Without what is not needed: ever smaller pieces are left out, then bytes made zero, while time lasts."""
    until = time.monotonic() + seconds
    size = max(len(data) // 2, 1)
    while size and time.monotonic() < until:
        at, smaller = 0, False
        while at < len(data) and time.monotonic() < until:
            without = data[:at] + data[at + size :]
            if breaks(without):
                data, smaller = without, True
            else:
                at += size
        if not smaller:
            size //= 2
    return data
