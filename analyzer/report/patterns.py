"""What the connections of a capture show together: a server that serves some, a client that fails everywhere."""

from __future__ import annotations

from collections.abc import Iterator

from analyzer.report.triage import Triage, plural

SHOWN = 5                # of each kind; further ones are counted
NAMED = 3                # hosts named in one line
EVERYWHERE = 2           # servers at which a client must fail to be the suspect


def patterns(triage: Triage) -> Iterator[str]:
    """Where to look first, one sentence each; nothing where one pair says it all."""
    failed = {row.pair for cause in triage.causes.values() for row in cause.rows.values() if not row.recovered}
    served: dict[str, set[str]] = {}
    content = set()
    for client, server in triage.pairs:
        served.setdefault(server, set()).add(client)
        content.add(client)
    refused: dict[str, set[str]] = {}
    tried: dict[str, set[str]] = {}
    for client, server in failed:
        refused.setdefault(server, set()).add(client)
        tried.setdefault(client, set()).add(server)
    some = [
        f"{server} serves {plural(len(others), 'other client')} ({_named(others)}) and not {_named(clients)}: "
        "look at what those clients do otherwise"
        for server, clients in sorted(refused.items())
        if (others := served.get(server, set()) - clients)
    ]
    everywhere = [
        f"{client} fails with every server it tried ({_named(servers)}): look at the client first"
        for client, servers in sorted(tried.items())
        if len(servers) >= EVERYWHERE and client not in content and any(served.get(server) for server in servers)
    ]
    for lines in (some, everywhere):
        yield from lines[:SHOWN]
        if len(lines) > SHOWN:
            yield f"and {len(lines) - SHOWN:,} more of this kind"


def _named(hosts: set[str]) -> str:
    named = ", ".join(sorted(hosts)[:NAMED])
    return f"{named} and {len(hosts) - NAMED:,} more" if len(hosts) > NAMED else named
