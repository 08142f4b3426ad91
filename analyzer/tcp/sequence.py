"""Arithmetic on the circle of 32-bit sequence numbers: the one place where 2**32 stands. RFC 9293 3.4."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

MODULUS = 1 << 32
_HALF = 1 << 31


def forward(seq: int, by: int) -> int:
    """The sequence number `by` bytes after seq (before it, where `by` is negative)."""
    return (seq + by) % MODULUS


def distance(seq: int, base: int) -> int:
    """How far seq lies after base: -2**31 <= distance < 2**31, negative where it lies before."""
    return (seq - base + _HALF) % MODULUS - _HALF


def distances(seq: NDArray[Any], base: NDArray[Any] | int) -> NDArray[np.int64]:
    """`distance` of arrays: seq and base hold sequence numbers of any integer dtype; result int64."""
    if isinstance(base, np.ndarray) and seq.dtype == base.dtype == np.uint32:
        signed: NDArray[np.int32] = (seq - base).view(np.int32)      # unsigned numbers wrap by themselves
        return signed.astype(np.int64)
    difference = np.asarray(seq).astype(np.int64) - np.asarray(base).astype(np.int64)
    return (difference + _HALF) % MODULUS - _HALF
