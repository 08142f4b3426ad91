"""What broke a connection is marked in its offer-and-answer table."""

from __future__ import annotations

from pathlib import Path

import pytest

from analyzer.negotiation.story import Story
from analyzer.reading import Settings, read
from analyzer.report.detail import ASPECTS, blamed, detail_of


def story(path: Path) -> Story:
    (found,) = read(path.name, path, Settings()).stories()
    return found


def test_a_cause_marks_the_aspect_it_lies_in(samples: Path) -> None:
    found = blamed(detail_of(story(samples / "signing-mismatch-nt1.pcap")), ["signing-mismatch"])
    assert [aspect.name for aspect in found.comparison if aspect.differs] == ["signing"]
    assert found.events


@pytest.mark.parametrize("causes", [[], ["server-reset"], ["a-rule-of-the-user"]])
def test_other_causes_mark_nothing(causes: list[str], samples: Path) -> None:
    found = blamed(detail_of(story(samples / "signing-mismatch-nt1.pcap")), causes)
    assert not any(aspect.differs for aspect in found.comparison)


def test_the_causes_are_rules(root: Path) -> None:
    assert set(ASPECTS) <= {path.stem for path in (root / "rules").glob("*.yaml")}
