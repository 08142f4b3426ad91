from __future__ import annotations

import pytest

from analyzer.cli import exits


@pytest.mark.parametrize(
    ("captures", "unread", "cut", "found", "status"),
    [
        (1, 0, 0, False, exits.OK),
        (1, 0, 0, True, exits.FOUND),
        (1, 1, 0, False, exits.REFUSED),
        (2, 2, 0, False, exits.REFUSED),
        (0, 0, 0, False, exits.REFUSED),
        (2, 1, 0, False, exits.PARTLY),
        (1, 0, 1, False, exits.PARTLY),
        (2, 1, 0, True, exits.PARTLY),
        (2, 1, 1, False, exits.PARTLY),
    ],
)
def test_the_table_of_statuses(captures: int, unread: int, cut: int, found: bool, status: int) -> None:
    assert exits.status(captures=captures, unread=unread, cut=cut, found=found) == status
