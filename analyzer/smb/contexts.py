"""The negotiate contexts of SMB 3.1.1: offset and count -> contexts, and what is wrong with the list."""

from __future__ import annotations

from typing import NamedTuple


class Context(NamedTuple):
    """One negotiate context. [MS-SMB2] 2.2.3.1

    at: offset of its header in the message. type, data_length: as sent (None where cut off).
    id_count: how many ids it announces. ids: those it holds (hashes, ciphers, compression,
    RDMA or signing algorithms). flags: of compression or transport. name: the host name of a
    NETNAME context. data: its bytes, as far as captured.
    A member that this type does not have, or that the capture cut off, is None (ids: empty).
    """

    at: int
    type: int
    data_length: int | None
    data: bytes
    id_count: int | None = None
    ids: tuple[int, ...] = ()
    salt_length: int | None = None
    salt: bytes | None = None
    flags: int | None = None
    name: str | None = None
    end: int = 0                     # offset after what the type's own counts demand
