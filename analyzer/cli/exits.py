"""How every command ends: the table of exit statuses."""

from __future__ import annotations

from typing import Final

OK: Final = 0                # it ran, whatever it found
FOUND: Final = 1             # --fail-on, or an example of a rule that fails
REFUSED: Final = 2           # wrong usage, a bad rule, a missing extra, no output, no capture read at all
PARTLY: Final = 3            # some captures could not be read, or end in the middle
INTERRUPTED: Final = 130
CLOSED_PIPE: Final = 141


def status(*, captures: int, unread: int, cut: int, found: bool) -> int:
    """The status of a command that read captures.

    captures: how many were given; unread: of these not a single packet could be read; cut: end in
    the middle; found: something at or above the severity of --fail-on.
    """
    if unread == captures:
        return REFUSED
    if unread or cut:
        return PARTLY
    return FOUND if found else OK
