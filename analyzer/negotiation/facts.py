"""Story -> Facts: the whole vocabulary of rules, with what the capture cannot show left out."""

from __future__ import annotations

from analyzer.negotiation.facts_negotiate import negotiate_facts
from analyzer.negotiation.facts_sequel import sequel_facts
from analyzer.negotiation.facts_transport import transport_facts
from analyzer.negotiation.facts_wire import wire_facts
from analyzer.negotiation.others import Others
from analyzer.negotiation.story import Story
from analyzer.negotiation.vocabulary import Facts, Value


def facts(story: Story, others: Others, capture: int = 0) -> Facts:
    """Every fact of one connection. others: all connections of the run, this one included."""
    found: dict[str, Value] = {}
    found.update(transport_facts(story))
    if story.placed:
        found.update(wire_facts(story))
        found.update(negotiate_facts(story))
        found.update(sequel_facts(story))
    found.update(others.facts(story, capture))
    return found
