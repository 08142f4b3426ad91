"""What a capture holds beside TCP, as rules on a capture see it."""

from __future__ import annotations

import pytest

from analyzer.capture.census import Census, Sighting
from analyzer.negotiation.facts_capture import capture_facts

CLIENT, SERVER, WEB = b"\x0a\0\0\1", b"\x0a\0\0\2", b"\xcb\0\x71\x07"
BROWSING = Census(0, (), {}, Sighting(3, 9), {(CLIENT, WEB): 3}, {})
BOTH = Census(0, (), {}, Sighting(3, 9), {(CLIENT, WEB): 3, (CLIENT, SERVER): 7}, {})
NONE = Census(0, (), {}, None, {}, {})


@pytest.mark.parametrize(("census", "pairs", "empty", "frame"), [
    (BROWSING, [(CLIENT, SERVER)], False, None),
    (BROWSING, [], True, 3),
    (BROWSING, [], False, None),
    (BOTH, [(CLIENT, SERVER)], False, 7),
    (BOTH, [(SERVER, CLIENT)], False, None),
    (NONE, [(CLIENT, SERVER)], False, None),
    (NONE, [], True, None),
])  # fmt: skip
def test_quic_means_something_between_hosts_that_speak_smb_or_where_nothing_else_is(
    census: Census, pairs: list[tuple[bytes, bytes]], empty: bool, frame: int | None
) -> None:
    facts, frames = capture_facts(census, pairs, empty=empty)
    assert facts["capture.quic"] is (frame is not None)
    assert facts.get("capture.quic_frame") == frame
    assert frames.get("quic") == (None if frame is None else (frame,))


def test_rdma_is_told_with_its_kind_and_first_frame() -> None:
    facts, frames = capture_facts(NONE._replace(rdma={"RoCE": Sighting(5, 2)}))
    assert (facts["capture.rdma"], facts["capture.rdma_kind"], frames["rdma"]) == (True, "RoCE", (5,))
    assert capture_facts(NONE)[0]["capture.rdma"] is False
