"""SMB2/3 header, NEGOTIATE and error response: bytes -> records ([MS-SMB2] 2.2.1 to 2.2.4).

A member of a body is None where the message or the capture ends before it; the anomalies of the
message tell which of the two it was.
"""

from typing import NamedTuple

from analyzer.anomaly import Anomaly, Kind
from analyzer.smb import constants
from analyzer.smb.contexts import Context, walk
from analyzer.smb.layout import FILETIME, GUID, HEX, Layout, Truncated, number, numbers, take, wire
from analyzer.smb.spnego import Token, read_token

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
    """The 64-byte header ([MS-SMB2] 2.2.1).

    Members after `flags` are None where the capture cut them off. In a request `status` holds
    ChannelSequence and two reserved bytes; in an asynchronous message `process_id` and `tree_id`
    are the two halves of AsyncId.
    """

    protocol: bytes = wire("4s")
    structure_size: int = wire("H", "smb2.header_len")
    credit_charge: int = wire("H", "smb2.credit.charge")
    status: int = wire("I", "smb2.nt_status")
    command: int = wire("H", "smb2.cmd")
    credits: int = wire("H", "smb2.credits.granted")
    flags: int = wire("I", "smb2.flags", _FLAGS)
    next_command: int | None = wire("I", "smb2.chain_offset")
    message_id: int | None = wire("Q", "smb2.msg_id")
    process_id: int | None = wire("I", "smb2.pid")
    tree_id: int | None = wire("I", "smb2.tid")
    session_id: int | None = wire("Q", "smb2.sesid")
    signature: bytes | None = wire("16s", "smb2.signature", shown=HEX)


class NegotiateRequest(NamedTuple):
    """SMB2 NEGOTIATE request ([MS-SMB2] 2.2.3).

    context_offset, context_count: only where the dialects hold 0x0311; else these bytes are a
    start time (`start_time`) and `contexts` is None.
    dialects: those that lie inside the message, at most dialect_count.
    """

    structure_size: int | None = wire("H", "smb2.buffer_code")
    dialect_count: int | None = wire("H", "smb2.dialect_count")
    security_mode: int | None = wire("B", "smb2.sec_mode", _SECURITY_MODE)
    security_mode_high: int | None = wire("B")
    reserved: int | None = wire("H")
    capabilities: int | None = wire("I", "smb2.capabilities", _CAPABILITIES)
    client_guid: bytes | None = wire("16s", "smb2.client_guid", shown=GUID)
    context_offset: int | None = wire("I", "smb2.negotiate_context.offset")
    context_count: int | None = wire("H", "smb2.negotiate_context.count")
    reserved2: int | None = wire("H")
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
    """SMB2 NEGOTIATE response ([MS-SMB2] 2.2.4).

    system_time, server_start_time: FILETIME, 0 where the server gives none.
    security_buffer, token: the GSS token as bytes and read; None where the capture or the message
    ends before it. contexts: None unless the dialect is 0x0311 (context_offset and context_count
    are then reserved bytes, with whatever the server left there).
    """

    structure_size: int | None = wire("H", "smb2.buffer_code")
    security_mode: int | None = wire("B", "smb2.sec_mode", _SECURITY_MODE)
    security_mode_high: int | None = wire("B")
    dialect: int | None = wire("H", "smb2.dialect")
    context_count: int | None = wire("H", "smb2.negotiate_context.count")
    server_guid: bytes | None = wire("16s", "smb2.server_guid", shown=GUID)
    capabilities: int | None = wire("I", "smb2.capabilities", _CAPABILITIES)
    max_transact_size: int | None = wire("I", "smb2.max_trans_size")
    max_read_size: int | None = wire("I", "smb2.max_read_size")
    max_write_size: int | None = wire("I", "smb2.max_write_size")
    system_time: int | None = wire("Q", "smb2.current_time", shown=FILETIME)
    server_start_time: int | None = wire("Q", "smb2.boot_time", shown=FILETIME)
    security_offset: int | None = wire("H", "smb2.olb.offset")
    security_length: int | None = wire("H", "smb2.olb.length")
    context_offset: int | None = wire("I", "smb2.negotiate_context.offset")
    security_buffer: bytes | None = None
    token: Token | None = None
    contexts: tuple[Context, ...] | None = None


class ErrorResponse(NamedTuple):
    """SMB2 ERROR response, the body of any answer that failed ([MS-SMB2] 2.2.2).

    contexts: (ErrorId, bytes) of each error context.
    cluster_dialect: the highest dialect a cluster share accepts, where the status is
    STATUS_SMB_BAD_CLUSTER_DIALECT (3.3.5.7).
    """

    structure_size: int | None = wire("H", "smb2.buffer_code")
    context_count: int | None = wire("B", "smb2.error.context_count")
    reserved: int | None = wire("B")
    byte_count: int | None = wire("I", "smb2.error.byte_count")
    data: bytes | None = None
    contexts: tuple[tuple[int, bytes], ...] = ()
    cluster_dialect: int | None = None


HEADER = Layout.of(Smb2Header)
NEGOTIATE_REQUEST = Layout.of(NegotiateRequest)
NEGOTIATE_RESPONSE = Layout.of(NegotiateResponse)
ERROR_RESPONSE = Layout.of(ErrorResponse)

HEADER_SIZE = 64
ERROR_SIZE = 9           # StructureSize of an error response
ERROR_AT = HEADER_SIZE + ERROR_RESPONSE.size
DIALECTS_AT = HEADER_SIZE + NEGOTIATE_REQUEST.size
BUFFER_AT = HEADER_SIZE + NEGOTIATE_RESPONSE.size        # and contexts; the first place for either
_BAD_CLUSTER_DIALECT = 0xC05D0001


def check_fixed(
    layout: Layout, size: int, structure_size: int | None, expected: int, at: int = HEADER_SIZE
) -> list[Anomaly]:
    """What is wrong with the fixed part of a body: its end, and its StructureSize."""
    faults = []
    if size < at + layout.size:
        detail = f"{max(size - at, 0)} bytes of {layout.size}"
        faults.append(Anomaly(Kind.SHORT, size, "fixed", detail))
    if structure_size is not None and structure_size != expected:
        faults.append(Anomaly(Kind.STRUCTURE_SIZE, at, "fixed", f"{structure_size}, not {expected}"))
    return faults


def read_negotiate_request(data: bytes, size: int) -> tuple[NegotiateRequest, list[Anomaly]]:
    """The request whose header stands at the start of `data`; size: of the message as sent.

    Anomalies: "fixed", "dialects", "contexts" as a strict server would refuse them (3.3.5.4).
    """
    fixed = NEGOTIATE_REQUEST.read(data, HEADER_SIZE)
    structure_size, count, _, _, _, _, _, context_offset, context_count, _ = fixed
    faults = check_fixed(NEGOTIATE_REQUEST, size, structure_size, 36)
    if count is None:
        return NegotiateRequest(*fixed), faults
    dialects = numbers(data, DIALECTS_AT, count)
    if count == 0:
        faults.append(Anomaly(Kind.EMPTY_LIST, HEADER_SIZE + 2, "dialects", "no dialect offered"))
    end = DIALECTS_AT + 2 * count
    if end > size:
        room = max(size - DIALECTS_AT, 0) // 2
        faults.append(Anomaly(Kind.COUNT_OVERRUNS, DIALECTS_AT, "dialects", f"{count} dialects, room for {room}"))
    contexts = None
    if has_contexts(dialects) and context_offset is not None and context_count is not None:
        contexts, more = walk(data, size, context_offset, context_count, first=end, response=False)
        faults += more
    return NegotiateRequest._make((*fixed, dialects, contexts)), faults


def has_contexts(dialects: tuple[int, ...]) -> bool:
    """Whether a request with these dialects has negotiate contexts (2.2.3)."""
    return constants.SMB_3_1_1 in dialects


def read_negotiate_response(data: bytes, size: int) -> tuple[NegotiateResponse, list[Anomaly]]:
    """The answer whose header stands at the start of `data`; size: of the message as sent.

    Anomalies: "fixed", "security-buffer", "contexts", in that order (3.2.5.2).
    """
    fixed = NEGOTIATE_RESPONSE.read(data, HEADER_SIZE)
    structure_size, _, _, dialect, context_count, *_, offset, length, context_offset = fixed
    faults = check_fixed(NEGOTIATE_RESPONSE, size, structure_size, 65)
    buffer = _security_buffer(data, size, offset, length, faults)
    token = None if buffer is None else read_token(buffer)
    if token is not None and (token.form == "unknown" or not token.whole):
        detail = "not a GSS token" if token.form == "unknown" else "the token ends before its length says"
        faults.append(Anomaly(Kind.BAD_TOKEN, offset or 0, "security-buffer", detail))
    contexts = None
    if dialect == constants.SMB_3_1_1 and context_offset is not None and context_count is not None:
        contexts, more = walk(data, size, context_offset, context_count, first=BUFFER_AT, response=True)
        faults += more
    return NegotiateResponse._make((*fixed, buffer, token, contexts)), faults


def _security_buffer(
    data: bytes, size: int, offset: int | None, length: int | None, faults: list[Anomaly]
) -> bytes | None:
    """The bytes of the security buffer; b"" where the answer has none (offset and length may both be 0)."""
    if offset is None or length is None:
        return None
    if length == 0:
        return b""
    if offset < BUFFER_AT:
        detail = f"at {offset}, inside the fixed part"
        faults.append(Anomaly(Kind.OFFSET_OUTSIDE, offset, "security-buffer", detail))
        return None
    if offset + length > size:
        detail = f"{length} bytes at {offset}, the message has {size}"
        faults.append(Anomaly(Kind.COUNT_OVERRUNS, offset, "security-buffer", detail))
        return None
    try:
        return take(data, offset, length, "security buffer")
    except Truncated:
        return None


def read_error(data: bytes, size: int, status: int | None) -> tuple[ErrorResponse, list[Anomaly]]:
    """The error answer whose header stands at the start of `data`; size: of the message as sent."""
    error = ErrorResponse(*ERROR_RESPONSE.read(data, HEADER_SIZE))
    faults = check_fixed(ERROR_RESPONSE, size, error.structure_size, ERROR_SIZE)
    if error.byte_count is None:
        return error, faults
    if ERROR_AT + error.byte_count > size:
        detail = f"{error.byte_count} bytes of error data, room for {max(size - ERROR_AT, 0)}"
        faults.append(Anomaly(Kind.COUNT_OVERRUNS, ERROR_AT, "error-data", detail))
    content = data[ERROR_AT : ERROR_AT + error.byte_count]
    contexts = _error_contexts(content) if error.context_count else ()
    dialect = None
    if status == _BAD_CLUSTER_DIALECT:
        told = next((block for kind, block in contexts if kind == constants.ERROR_ID_DEFAULT), content)
        dialect = number(told, 0, 2)
    return error._replace(data=content, contexts=contexts, cluster_dialect=dialect), faults


def _error_contexts(content: bytes) -> tuple[tuple[int, bytes], ...]:
    """(ErrorId, bytes) of each error context that lies whole in `content` (2.2.2.1)."""
    found = []
    at = 0
    while (length := number(content, at, 4)) is not None and (kind := number(content, at + 4, 4)) is not None:
        if at + 8 + length > len(content):
            break
        found.append((kind, content[at + 8 : at + 8 + length]))
        at += 8 + length
        at += -at % 8
    return tuple(found)
