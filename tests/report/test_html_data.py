"""What the page's script is given: sorted, bounded, and safe inside a script element."""

from __future__ import annotations

import json

import pytest

from analyzer.negotiation.comparison import Aspect
from analyzer.report.html import data
from analyzer.report.html.data import ConnectionData, in_script, lines_of
from tests.report.sample import HOSTILE, failed, negotiated


def document(*records: object) -> dict[str, object]:
    found = ConnectionData()
    found.capture("a.pcap")
    for record in records:
        found.add(record, None, ())      # type: ignore[arg-type] # sample records are built from keywords
    return json.loads(found.document())  # type: ignore[no-any-return] # what JSON holds


def test_addresses_are_in_the_order_of_people() -> None:
    hosts = ["10.0.0.10", "10.0.0.9", "fe80::1", "9.255.0.1", "2001:db8::2"]
    records = [failed(client_host=host, client=f"[{host}]:1" if ":" in host else f"{host}:1") for host in hosts]
    found = document(*records)
    assert found["clients"] == ["9.255.0.1", "10.0.0.9", "10.0.0.10", "2001:db8::2", "fe80::1"]
    assert found["columns"]["client"] == [2, 1, 4, 0, 3]      # type: ignore[index]


def test_servers_are_ordered_by_address_and_port() -> None:
    servers = ["10.0.0.9:445", "10.0.0.9:139", "10.0.0.10:139", "[fe80::1]:445", "[fe80::1]:139"]
    found = document(*[failed(server=server) for server in servers])
    assert found["servers"] == ["10.0.0.9:139", "10.0.0.9:445", "10.0.0.10:139", "[fe80::1]:139", "[fe80::1]:445"]


def test_what_is_absent_is_minus_one_or_null() -> None:
    columns = document(failed(dialect=None, response_time=None, server_name=None))["columns"]
    assert (columns["dialect"], columns["took"], columns["serverName"]) == ([-1], [None], [-1])  # type: ignore[index]


def test_failures_come_before_others_where_not_all_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(data, "LISTED", 3)
    found = document(*[negotiated(stream=n) for n in range(5)], failed(stream=5), failed(stream=6))
    assert found["total"] == 7
    assert found["columns"]["stream"] == [0, 5, 6]            # type: ignore[index]


def test_details_end_where_the_page_would_grow_too_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(data, "BUDGET", 100)
    findings = document(*[failed(stream=n) for n in range(3)])["columns"]["findings"]  # type: ignore[index]
    assert [len(row) for row in findings] == [1, 0, 0]


def test_json_cannot_leave_its_script_element() -> None:
    text = in_script({"a": "</script><!--<script>&\u2028"})
    assert not set("<>&\u2028") & set(text)
    assert json.loads(text) == {"a": "</script><!--<script>&\u2028"}


def test_every_text_is_harmless() -> None:
    hostile = failed(server_name=HOSTILE, client_name=HOSTILE, dialect=HOSTILE)
    text = json.dumps(document(hostile))
    assert r"\\x1b[31mred\\u202e" in text
    assert r"\u202e" not in text.replace(r"\\u202e", "")


def test_a_long_offer_is_cut_and_says_so() -> None:
    (line,) = lines_of([Aspect("dialect", tuple(f"D{n}" for n in range(1000)), ("x" * 9999,), None, differs=True)])
    assert line.offer is not None
    assert line.answer is not None
    assert line.offer[-1] == "and 960 more"
    assert len(line.answer[0]) == data.WIDTH
    assert line.agreed is None
