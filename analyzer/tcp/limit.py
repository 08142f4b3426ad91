"""What became of a limit: a value for the report, never an exception."""

from __future__ import annotations

from typing import NamedTuple


class LimitReached(NamedTuple):
    """A limit that bit.

    name, and what `beyond` counts: flows (segments without a number), connections (connections),
    window (connections with more bytes), rows, payload, controls, connection-rows,
    connection-payload (segments).
    """

    name: str
    limit: int
    beyond: int
    frame: int           # where it first bit
