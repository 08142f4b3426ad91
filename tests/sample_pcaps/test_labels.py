"""Every sample is diagnosed as labelled: the whole list of causes, the warnings and nothing beyond them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.golden.make import negdiag

LABELS: dict[str, dict[str, Any]] = json.loads(
    (Path(__file__).resolve().parents[2] / "sample_pcaps" / "labels.json").read_text("utf-8"))
DIALECTS = {
    "0x0202": "SMB 2.0.2", "0x0210": "SMB 2.1", "0x0300": "SMB 3.0", "0x0302": "SMB 3.0.2", "0x0311": "SMB 3.1.1"}
CASES = [
    (name, options, connections)
    for name, label in LABELS.items()
    for options, connections in [
        ([], label["connections"]),
        *([(label["with_options"]["options"], label["with_options"]["connections"])] if "with_options" in label else []),
    ]
]


@pytest.mark.parametrize(("name", "options", "labels"), CASES, ids=lambda value: value if isinstance(value, str) else "")
def test_every_connection_is_diagnosed_as_labelled(
    name: str, options: list[str], labels: list[dict[str, Any]],
) -> None:
    (record,) = negdiag(name, *options)["captures"]
    found = [
        (one["tcp.stream"], one["client"], one["server"], one["outcome"], one["causes"], one["dialect"])
        for one in record["connections"]]
    assert found == [
        (one["tcp_stream"], one["client"], one["server"], one["outcome"], one["causes"],
         DIALECTS.get(one["dialect"], one["dialect"]))
        for one in labels]
    for one, label in zip(record["connections"], labels, strict=True):
        assert set(label.get("candidates", [])) <= set(one["candidates"])
        if one["outcome"] == "negotiated":
            allowed = {*label["warnings"], *label.get("allowed", [])}
            assert set(label["warnings"]) <= set(one["warnings"]) <= allowed


@pytest.mark.parametrize("name", [name for name, label in LABELS.items() if "notes" in label])
def test_what_a_capture_holds_besides_is_noted(name: str) -> None:
    (record,) = negdiag(name)["captures"]
    assert {note["kind"] for note in record["notes"]} == set(LABELS[name]["notes"])
