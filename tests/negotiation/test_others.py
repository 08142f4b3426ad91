"""What the other connections show is the same however they are added up."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from analyzer.negotiation.others import RACE_NS, SCAN_CONNECTIONS, _Beside
from analyzer.negotiation.sketch import Sketch

OFFERS = ((), ("SMB 2.1",), ("SMB 2.1", "SMB 3.0"))


def sketches() -> st.SearchStrategy[list[Sketch]]:
    """Connections of one client at one server, at times that touch each other's limits."""
    one = st.builds(
        Sketch,
        stream=st.just(0),
        pair=st.just((b"c", b"s")),
        port=st.sampled_from((139, 445)),
        first_ns=st.sampled_from([i * RACE_NS // 2 for i in range(6)]),
        up=st.just(True),
        heard=st.booleans(),
        ttl=st.none(),
        reset_ttl=st.none(),
        client_guid=st.none(),
        prints=st.just(()),
        answered=st.booleans(),
        selected=st.booleans(),
        went_on=st.booleans(),
        stayed=st.booleans(),
        offer=st.sampled_from(OFFERS),
        dialect=st.sampled_from((0, 0x0210, 0x0300)),
        smb1_answer=st.booleans(),
        newer_contexts=st.booleans(),
        zero_guid=st.booleans(),
    )
    found = st.lists(one, min_size=1, max_size=6)
    return found.map(lambda many: [sketch._replace(stream=i) for i, sketch in enumerate(many)])


def scans(found: Sequence[Sketch]) -> bool:
    probes = [s for s in found if s.answered or s.offer]
    return (
        len(probes) >= SCAN_CONNECTIONS
        and any(a != b for a, b in pairwise(s.offer for s in probes if s.offer))
        and not any(s.stayed for s in probes if s.selected)
        and not any(s.went_on for s in found)
    )


@given(sketches())
def test_sums_say_what_a_look_at_all_says(found: list[Sketch]) -> None:
    """Each connection asks about all but itself."""
    beside = _Beside()
    for sketch in found:
        beside.add(sketch, 0)
    for one in found:
        rest = [sketch for sketch in found if sketch is not one]
        since = one.first_ns - RACE_NS
        assert beside.came_up((0, one.stream), since) == any(
            s.selected and s.went_on and s.first_ns >= since for s in rest
        )
        assert beside.raced(one.port, one.first_ns) == any(
            s.port != one.port and s.selected and abs(s.first_ns - one.first_ns) <= RACE_NS for s in rest
        )
        higher = max((s.dialect for s in rest if s.offer == one.offer), default=0)
        assert (beside.highest(one.offer) > one.dialect) == (higher > one.dialect)
    assert beside.scans == scans(found)
