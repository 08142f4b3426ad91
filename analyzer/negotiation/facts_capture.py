"""Census of a capture -> facts and frames for the rules that speak of a capture as a whole."""

from __future__ import annotations

from collections.abc import Mapping

from analyzer.capture.census import Census
from analyzer.negotiation.vocabulary import Facts, Value


def capture_facts(census: Census) -> tuple[Facts, Mapping[str, tuple[int, ...]]]:
    """What a capture holds beside TCP connections, and the first frame of each kind."""
    found: dict[str, Value] = {"capture.quic": census.quic is not None, "capture.rdma": bool(census.rdma)}
    frames: dict[str, tuple[int, ...]] = {}
    if census.quic is not None:
        found["capture.quic_frame"] = census.quic.first_frame
        frames["quic"] = (census.quic.first_frame,)
    for kind, seen in census.rdma.items():
        found["capture.rdma_kind"] = kind
        found["capture.rdma_frame"] = seen.first_frame
        frames["rdma"] = (seen.first_frame,)
    return found, frames
