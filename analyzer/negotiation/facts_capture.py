"""Census of a capture -> facts and frames for the rules that speak of a capture as a whole."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from analyzer.capture.census import Census
from analyzer.negotiation.vocabulary import Facts, Value


def capture_facts(
    census: Census, pairs: Iterable[tuple[bytes, bytes]] = (), *, empty: bool = True
) -> tuple[Facts, Mapping[str, tuple[int, ...]]]:
    """What a capture holds beside TCP connections, and the first frame of each kind.

    pairs: client and server of the SMB connections; empty: there is none. QUIC between other hosts, beside
    SMB, is web browsing.
    """
    quic = min((census.quic_hosts[pair] for pair in pairs if pair in census.quic_hosts), default=None)
    if quic is None and empty and census.quic is not None:
        quic = census.quic.first_frame
    found: dict[str, Value] = {"capture.quic": quic is not None, "capture.rdma": bool(census.rdma)}
    frames: dict[str, tuple[int, ...]] = {}
    if quic is not None:
        found["capture.quic_frame"] = quic
        frames["quic"] = (quic,)
    for kind, seen in census.rdma.items():
        found["capture.rdma_kind"] = kind
        found["capture.rdma_frame"] = seen.first_frame
        frames["rdma"] = (seen.first_frame,)
    return found, frames
