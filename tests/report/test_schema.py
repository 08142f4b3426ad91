"""The JSON report of every capture at hand is what docs/report.schema.json says, and nothing beyond it."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from analyzer.cli.main import main

jsonschema = pytest.importorskip("jsonschema", reason="needs jsonschema")
ROOT = Path(__file__).resolve().parents[2]


def strict(schema: Any) -> Any:
    """The schema with every object closed: a key that it does not describe is a mistake in one of the two."""
    if isinstance(schema, list):
        return [strict(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {key: strict(value) for key, value in schema.items()}
    if "properties" in closed and closed.get("type") == "object":
        closed.setdefault("additionalProperties", False)
    return closed


@pytest.fixture(scope="module")
def validator() -> Any:
    schema = json.loads((ROOT / "docs" / "report.schema.json").read_text("utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(strict(copy.deepcopy(schema)))


def report(path: Path, target: Path, *options: str) -> Any:
    main(["-q", str(path), *options, "-o", str(target)])
    return json.loads(target.read_text("utf-8"))


def check(validator: Any, document: Any) -> None:
    problems = [f"{error.json_path}: {error.message[:200]}" for error in validator.iter_errors(document)]
    assert problems == []


def test_samples(validator: Any, samples: Path, tmp_path: Path) -> None:
    document = report(samples, tmp_path / "r.json")
    assert len(document["captures"]) >= 40
    check(validator, document)


def test_lab(validator: Any, lab: Path, tmp_path: Path) -> None:
    document = report(lab, tmp_path / "r.json")
    assert len(document["captures"]) >= 100
    check(validator, document)


def test_a_joined_capture(validator: Any, samples: Path, tmp_path: Path) -> None:
    document = report(samples / "server-reset.pcap", tmp_path / "r.json", str(samples / "tcp-refused.pcap"), "--join")
    (capture,) = document["captures"]
    assert len(capture["files"]) == 2
    assert all(finding["places"] for connection in capture["connections"] for finding in connection["findings"])
    check(validator, document)


def test_an_unreadable_capture(validator: Any, tmp_path: Path) -> None:
    (tmp_path / "broken.pcap").write_bytes(b"not a capture at all")
    document = report(tmp_path / "broken.pcap", tmp_path / "r.json")
    assert document["captures"][0]["error"]
    check(validator, document)


def test_a_missing_key_is_refused(validator: Any, samples: Path, tmp_path: Path) -> None:
    document = report(samples / "no-common-dialect.pcap", tmp_path / "r.json")
    del document["captures"][0]["connections"][0]["agreed"]
    assert not validator.is_valid(document)
