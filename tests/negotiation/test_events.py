"""The steps of real and made conversations, in the order in which they happened."""

from __future__ import annotations

from pathlib import Path

import pytest

from analyzer.negotiation.comparison import Aspect, comparison_of
from analyzer.negotiation.events import MOST_EVENTS, Event, events_of
from analyzer.negotiation.story import Story
from analyzer.reading import Settings, read


def stories(path: Path) -> list[Story]:
    return list(read(path.name, path, Settings()).stories())


def steps(path: Path) -> list[tuple[str, str, int | None, str]]:
    (story,) = stories(path)
    return [(e.kind, "client" if e.from_client else "server", e.frame, e.label) for e in events_of(story)]


def aspects(path: Path) -> dict[str, Aspect]:
    (story,) = stories(path)
    return {aspect.name: aspect for aspect in comparison_of(story)}


def test_a_refused_dialect(samples: Path) -> None:
    assert steps(samples / "no-common-dialect.pcap") == [
        ("syn", "client", 1, "SYN"),
        ("syn-ack", "server", 2, "SYN/ACK"),
        ("message", "client", 4, "NEGOTIATE request"),
        ("message", "server", 6, "NEGOTIATE response"),
        ("fin", "client", 8, "FIN"),
        ("fin", "server", 9, "FIN"),
    ]


def test_a_gap_stands_where_the_answer_must_be(samples: Path) -> None:
    found = steps(samples / "gap-response.pcap")
    at = [kind for kind, *_ in found].index("gap")
    assert found[at] == ("gap", "server", None, "missing")
    assert found[at - 1][3] == "NEGOTIATE request"
    assert found[at + 1][3] == "SESSION_SETUP request"


def test_messages_behind_the_negotiation_become_one_step(samples: Path) -> None:
    found = steps(samples / "gap-response.pcap")
    assert ("more", "client", 19, "16 further messages to frame 34") in found
    assert found[-1][0] == "fin"


def test_a_repeated_syn_and_the_end_of_the_capture(samples: Path) -> None:
    (story,) = stories(samples / "tcp-unanswered.pcap")
    found = events_of(story)
    assert [event.detail for event in found if event.kind == "syn"] == ["", *["sent again"] * 4]
    assert found[-1].kind == "end"
    assert found[-1].time_ns == story.capture_end_ns


def test_an_icmp_error_comes_to_the_client(samples: Path) -> None:
    found = [event for story in stories(samples / "icmp-rejected.pcap") for event in events_of(story)]
    errors = [event for event in found if event.kind == "icmp"]
    assert errors
    assert not any(error.from_client for error in errors)
    assert {error.detail[:12] for error in errors} == {"type 3 code ", "type 1 code "}       # ICMP and ICMPv6


def test_what_the_snap_length_cut_off_is_said_at_its_message(samples: Path) -> None:
    (story,) = stories(samples / "truncated-72.pcap")
    first = next(event for event in events_of(story) if event.kind == "message")
    assert first.detail.endswith("232 bytes cut off by the snap length")


def test_frames_never_go_back_and_ladders_end(samples: Path) -> None:
    for path in sorted(samples.glob("*.pcap*")):
        for story in stories(path):
            found = events_of(story)
            frames = [event.frame for event in found if event.frame is not None]
            assert frames == sorted(frames)
            assert len(found) <= MOST_EVENTS
            assert all(isinstance(event, Event) for event in found)


def test_offer_against_answer_without_a_common_dialect(samples: Path) -> None:
    dialect = aspects(samples / "no-common-dialect.pcap")["dialect"]
    assert dialect == Aspect("dialect", ("SMB 2.0.2", "SMB 2.1"), ("STATUS_NOT_SUPPORTED",), None, differs=True)


def test_offer_against_answer_of_a_whole_negotiation(samples: Path) -> None:
    found = aspects(samples / "ok-all-contexts.pcap")
    assert found["dialect"].agreed == ("SMB 3.1.1",)
    assert found["integrity hash"].agreed == ("SHA-512",)
    assert not any(aspect.differs for aspect in found.values())


def test_an_answer_that_was_not_captured_says_nothing(samples: Path) -> None:
    found = aspects(samples / "gap-response.pcap")
    assert found["dialect"].offer is not None
    assert {aspect.answer for aspect in found.values()} == {None}


@pytest.mark.parametrize(("name", "offer", "answer", "differs"), [
    ("signing-mismatch-nt1.pcap", ("not stated",), ("required",), False),
    ("ok-signing-mandatory.pcap", ("required",), ("required",), False),
])  # fmt: skip
def test_signing(name: str, offer: tuple[str], answer: tuple[str], differs: bool, samples: Path) -> None:
    signing = aspects(samples / name)["signing"]
    assert (signing.offer, signing.answer, signing.differs) == (offer, answer, differs)
