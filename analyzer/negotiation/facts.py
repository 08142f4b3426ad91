"""Story -> Facts: the whole vocabulary of rules, with what the capture cannot show left out.

What other connections show, under `others.`, is added when all are known: Others.facts().
"""

from __future__ import annotations

from analyzer.negotiation.facts_negotiate import negotiate_facts
from analyzer.negotiation.facts_sequel import sequel_facts
from analyzer.negotiation.facts_transport import transport_facts
from analyzer.negotiation.facts_wire import wire_facts
from analyzer.negotiation.story import Story
from analyzer.negotiation.vocabulary import Found


def facts(story: Story) -> Found:
    """Every fact of one connection that it shows by itself."""
    found: Found = {}
    transport_facts(story, found)
    if story.placed:
        wire_facts(story, found)
        negotiate_facts(story, found)
        sequel_facts(story, found)
    return found
