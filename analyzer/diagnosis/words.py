"""What a rule may name, and which of it a misspelt name was meant to be."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from analyzer.diagnosis.expression import Language
    from analyzer.negotiation.vocabulary import Fact


class Vocabulary(NamedTuple):
    """Facts by name, the names of frames for evidence, and the language of conditions over the facts."""

    facts: Mapping[str, Fact]
    evidence: Collection[str]
    language: Language


def nearest(word: str, known: Collection[str]) -> str | None:
    """The known word that is most like this one, if any is."""
    import difflib

    found = difflib.get_close_matches(word[:100], known, n=1, cutoff=0.6)
    return found[0] if found else None
