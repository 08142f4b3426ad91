"""SMB2/3 header, NEGOTIATE and error response: bytes -> records. [MS-SMB2] 2.2.1 to 2.2.4

A member of a body is None where the message or the capture ends before it; the anomalies of the
message tell which of the two it was.
"""

from __future__ import annotations

from typing import Annotated, NamedTuple

from analyzer.smb.contexts import Context
from analyzer.smb.layout import FILETIME, GUID, HEX, Layout, Wire
from analyzer.smb.spnego import Token

_FLAGS = (
    ("smb2.flags.response", 0x00000001), ("smb2.flags.async", 0x00000002),
    ("smb2.flags.chained", 0x00000004), ("smb2.flags.signature", 0x00000008),
    ("smb2.flags.priority_mask", 0x00000070), ("smb2.flags.dfs", 0x10000000),
    ("smb2.flags.replay", 0x20000000),
)  # fmt: skip
_SECURITY_MODE = (("smb2.sec_mode.sign_enabled", 0x01), ("smb2.sec_mode.sign_required", 0x02))
_CAPABILITIES = (
    ("smb2.capabilities.dfs", 0x01), ("smb2.capabilities.leasing", 0x02),
    ("smb2.capabilities.large_mtu", 0x04), ("smb2.capabilities.multi_channel", 0x08),
    ("smb2.capabilities.persistent_handles", 0x10), ("smb2.capabilities.directory_leasing", 0x20),
    ("smb2.capabilities.encryption", 0x40),
)  # fmt: skip


class Smb2Header(NamedTuple):
    """The 64-byte header. [MS-SMB2] 2.2.1

    Members after `flags` are None where the capture cut them off. In a request `status` holds
    ChannelSequence and two reserved bytes; in an asynchronous message `process_id` and `tree_id`
    are the two halves of AsyncId.
    """

    protocol: Annotated[bytes, Wire("4s")]
    structure_size: Annotated[int, Wire("H", "smb2.header_len")]
    credit_charge: Annotated[int, Wire("H", "smb2.credit.charge")]
    status: Annotated[int, Wire("I", "smb2.nt_status")]
    command: Annotated[int, Wire("H", "smb2.cmd")]
    credits: Annotated[int, Wire("H", "smb2.credits.granted")]
    flags: Annotated[int, Wire("I", "smb2.flags", _FLAGS)]
    next_command: Annotated[int | None, Wire("I", "smb2.chain_offset")]
    message_id: Annotated[int | None, Wire("Q", "smb2.msg_id")]
    process_id: Annotated[int | None, Wire("I", "smb2.pid")]
    tree_id: Annotated[int | None, Wire("I", "smb2.tid")]
    session_id: Annotated[int | None, Wire("Q", "smb2.sesid")]
    signature: Annotated[bytes | None, Wire("16s", "smb2.signature", shown=HEX)]


class NegotiateRequest(NamedTuple):
    """SMB2 NEGOTIATE request. [MS-SMB2] 2.2.3

    context_offset, context_count: only where the dialects hold 0x0311; else these bytes are a
    start time (`start_time`) and `contexts` is None.
    dialects: those that lie inside the message, at most dialect_count.
    """

    structure_size: Annotated[int | None, Wire("H", "smb2.buffer_code")]
    dialect_count: Annotated[int | None, Wire("H", "smb2.dialect_count")]
    security_mode: Annotated[int | None, Wire("B", "smb2.sec_mode", _SECURITY_MODE)]
    security_mode_high: Annotated[int | None, Wire("B")]
    reserved: Annotated[int | None, Wire("H")]
    capabilities: Annotated[int | None, Wire("I", "smb2.capabilities", _CAPABILITIES)]
    client_guid: Annotated[bytes | None, Wire("16s", "smb2.client_guid", shown=GUID)]
    context_offset: Annotated[int | None, Wire("I", "smb2.negotiate_context.offset")]
    context_count: Annotated[int | None, Wire("H", "smb2.negotiate_context.count")]
    reserved2: Annotated[int | None, Wire("H")]
    dialects: tuple[int, ...] = ()
    contexts: tuple[Context, ...] | None = None

    @property
    def start_time(self) -> int | None:
        """ClientStartTime (FILETIME) of a request that does not offer 3.1.1."""
        if self.contexts is not None or self.context_offset is None:
            return None
        if self.context_count is None or self.reserved2 is None:
            return None
        return self.context_offset | self.context_count << 32 | self.reserved2 << 48


class NegotiateResponse(NamedTuple):
    """SMB2 NEGOTIATE response. [MS-SMB2] 2.2.4

    system_time, server_start_time: FILETIME, 0 where the server gives none.
    security_buffer, token: the GSS token as bytes and read; None where the capture or the message
    ends before it. contexts: None unless the dialect is 0x0311 (context_offset and context_count
    are then reserved bytes, with whatever the server left there).
    """

    structure_size: Annotated[int | None, Wire("H", "smb2.buffer_code")]
    security_mode: Annotated[int | None, Wire("B", "smb2.sec_mode", _SECURITY_MODE)]
    security_mode_high: Annotated[int | None, Wire("B")]
    dialect: Annotated[int | None, Wire("H", "smb2.dialect")]
    context_count: Annotated[int | None, Wire("H", "smb2.negotiate_context.count")]
    server_guid: Annotated[bytes | None, Wire("16s", "smb2.server_guid", shown=GUID)]
    capabilities: Annotated[int | None, Wire("I", "smb2.capabilities", _CAPABILITIES)]
    max_transact_size: Annotated[int | None, Wire("I", "smb2.max_trans_size")]
    max_read_size: Annotated[int | None, Wire("I", "smb2.max_read_size")]
    max_write_size: Annotated[int | None, Wire("I", "smb2.max_write_size")]
    system_time: Annotated[int | None, Wire("Q", "smb2.current_time", shown=FILETIME)]
    server_start_time: Annotated[int | None, Wire("Q", "smb2.boot_time", shown=FILETIME)]
    security_offset: Annotated[int | None, Wire("H", "smb2.olb.offset")]
    security_length: Annotated[int | None, Wire("H", "smb2.olb.length")]
    context_offset: Annotated[int | None, Wire("I", "smb2.negotiate_context.offset")]
    security_buffer: bytes | None = None
    token: Token | None = None
    contexts: tuple[Context, ...] | None = None


class ErrorResponse(NamedTuple):
    """SMB2 ERROR response, the body of any answer that failed. [MS-SMB2] 2.2.2

    cluster_dialect: the highest dialect a cluster share accepts (STATUS_SMB_BAD_CLUSTER_DIALECT,
    2.2.2.2.4), from its error context. contexts: (ErrorId, bytes) of each error context.
    """

    structure_size: Annotated[int | None, Wire("H", "smb2.buffer_code")]
    context_count: Annotated[int | None, Wire("B", "smb2.error.context_count")]
    reserved: Annotated[int | None, Wire("B")]
    byte_count: Annotated[int | None, Wire("I", "smb2.error.byte_count")]
    data: bytes | None = None
    contexts: tuple[tuple[int, bytes], ...] = ()
    cluster_dialect: int | None = None


HEADER = Layout(Smb2Header)
NEGOTIATE_REQUEST = Layout(NegotiateRequest)
NEGOTIATE_RESPONSE = Layout(NegotiateResponse)
ERROR_RESPONSE = Layout(ErrorResponse)
