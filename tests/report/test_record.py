from __future__ import annotations

import pytest

from analyzer.report.record import iso


@pytest.mark.parametrize(
    ("time_ns", "text"),
    [
        (0, "1970-01-01T00:00:00.000000Z"),
        (1_795_341_600_000_001_000, "2026-11-22T10:00:00.000001Z"),
        (1_795_341_600_000_001_002, "2026-11-22T10:00:00.000001002Z"),
        (1_795_341_600_500_000_000, "2026-11-22T10:00:00.500000Z"),
        (-1, "1969-12-31T23:59:59.999999999Z"),
        (2**63 - 1, "2262-04-11T23:47:16.854775807Z"),
        (-(2**63), "1677-09-21T00:12:43.145224192Z"),
    ],
)
def test_iso_has_microseconds_and_nanoseconds_where_there_are_any(time_ns: int, text: str) -> None:
    assert iso(time_ns) == text
