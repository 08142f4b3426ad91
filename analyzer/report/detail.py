"""Story and causes -> Detail: the steps of a connection, and its offer and answer with the mismatch marked."""

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


def detail_of(story: Story, causes: Sequence[str]) -> Detail:
    """What a ladder diagram and an offer-and-answer table show. causes: slugs of what broke the connection."""
    comparison = comparison_of(story)
    present = {aspect.name for aspect in comparison}
    blamed = {next((name for name in ASPECTS.get(slug, ()) if name in present), None) for slug in causes}
    return Detail(
        events_of(story),
        tuple(
            aspect._replace(differs=True, agreed=None) if aspect.name in blamed else aspect for aspect in comparison
        ),
    )
