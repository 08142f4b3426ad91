"""Story -> Detail: the steps of a connection, and its offer and answer; causes -> the mismatch in them marked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from analyzer.negotiation.comparison import comparison_of
from analyzer.negotiation.events import events_of
from analyzer.negotiation.story import Story
from analyzer.report.record import Detail

# Causes that lie in one aspect of the negotiation even where the bits on the wire would allow it: a client that
# leaves a server that requires signing shows by leaving, not by a bit, that it does not sign.
# The first aspect that the connection has is marked.
ASPECTS: Final[Mapping[str, tuple[str, ...]]] = {
    "dialect-not-offered": ("dialect",),
    "encryption-required": ("encryption", "capabilities", "dialect"),
    "guest-cannot-sign": ("signing",),
    "max-size-too-small": ("largest transaction",),
    "no-common-cipher": ("encryption",),
    "no-common-dialect": ("dialect",),
    "no-common-hash": ("integrity hash",),
    "no-common-signing-algorithm": ("signing algorithm",),
    "preauth-context-missing": ("integrity hash",),
    "signing-mismatch": ("signing",),
    "smb1-only-client": ("dialect",),
    "smb1-only-reply": ("dialect",),
    "wildcard-in-smb2": ("dialect",),
}


def detail_of(story: Story) -> Detail:
    """What a ladder diagram and an offer-and-answer table show, before anything is blamed."""
    return Detail(events_of(story), comparison_of(story))


def blamed(detail: Detail, causes: Sequence[str]) -> Detail:
    """The same with what broke the connection marked. causes: their slugs."""
    present = {aspect.name for aspect in detail.comparison}
    named = {next((name for name in ASPECTS.get(slug, ()) if name in present), None) for slug in causes}
    return detail._replace(comparison=tuple(
        aspect._replace(differs=True, agreed=None) if aspect.name in named else aspect for aspect in detail.comparison
    ))
