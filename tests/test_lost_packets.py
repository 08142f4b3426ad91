"""What a capture lost never turns into an accusation: `python -m tests.lost` runs as many variants as one likes."""

from __future__ import annotations

import pytest

from tests.lost import Variant, diagnosed, folders, labelled, made, misses, search, shown, sides

NAMES = sorted(labelled()) if folders() else []


@pytest.mark.parametrize("seed", range(3))
def test_no_verdict_is_wrong_where_packets_directions_or_bytes_are_lost(seed: int) -> None:
    assert list(shown(search(seed, 500))) == []


@pytest.mark.parametrize("name", NAMES)
def test_one_direction_alone_accuses_nobody(name: str) -> None:
    """Of a connection with one side missing nothing is known but that TCP did not come up, or what is said."""
    label = labelled()[name]
    for from_server in (True, False):
        kept = tuple(
            number
            for number, side in enumerate(sides(label.capture), 1)
            if side is None or side is from_server
        )
        assert list(shown(misses(Variant(name, "direction", kept, None), label))) == []


@pytest.mark.parametrize("name", NAMES)
def test_a_capture_that_ends_early_accuses_nobody_of_what_came_after(name: str) -> None:
    label = labelled()[name]
    count = len(label.capture.frames)
    for end in range(1, count, max(1, count // 12)):
        assert list(shown(misses(Variant(name, "tail", tuple(range(1, end + 1)), None), label))) == []


def test_what_is_not_lost_is_diagnosed_as_ever() -> None:
    for name, label in labelled().items():
        whole = Variant(name, "nothing", tuple(range(1, len(label.capture.frames) + 1)), None)
        found = {
            frozenset((one.record.client, one.record.server)): (one.record.causes or (None,))[0]
            for one in diagnosed(made(whole, label.capture))
        }
        assert found == label.causes, name
