"""What can be wrong in traffic, as values: nothing here is ever raised to the user."""

from __future__ import annotations

import enum
from typing import NamedTuple


class Kind(enum.Enum):
    """What is wrong. TRUNCATED is the capture's doing, the others are the sender's."""

    TRUNCATED = "truncated"                 # the capture holds fewer bytes than were sent
    GAP = "gap"                             # a segment is missing from the capture
    SHORT = "short"                         # the message itself ends before the field
    STRUCTURE_SIZE = "structure-size"       # StructureSize is not what the command demands
    COUNT_OVERRUNS = "count-overruns"       # a count or length reaches past the message
    OFFSET_OUTSIDE = "offset-outside"       # an offset points outside the message or into its header
    MISALIGNED = "misaligned"               # a negotiate context does not start on an 8-byte boundary
    EMPTY_LIST = "empty-list"               # a list that must have an entry has none
    DUPLICATE = "duplicate"                 # a context that may stand once stands twice
    BAD_TOKEN = "bad-token"                 # the security buffer is neither a GSS token nor NTLMSSP
    NOT_SMB = "not-smb"                     # bytes that are no NetBIOS or SMB framing


class Anomaly(NamedTuple):
    """One thing wrong at one place.

    at: offset in the message (smb/) or in the byte stream (framing).
    where: the part concerned, such as "fixed", "dialects", "security-buffer", "contexts".
    """

    kind: Kind
    at: int
    where: str
    detail: str
