"""SMB1 header and NEGOTIATE: bytes -> records ([MS-CIFS] 2.2.3, 2.2.4.52; [MS-SMB] 2.2.4.5).

A member is None where this form of the answer has none, or where the message or the capture ends
before it.
"""

from typing import NamedTuple

from analyzer.anomaly import Anomaly, Kind
from analyzer.smb import constants
from analyzer.smb.layout import DOSTIME, FILETIME, HEX, Layout, Wire, number, wire
from analyzer.smb.spnego import Token, read_token

_FLAGS = (
    ("smb.flags.response", 0x80), ("smb.flags.notify", 0x40), ("smb.flags.oplock", 0x20),
    ("smb.flags.canon", 0x10), ("smb.flags.caseless", 0x08), ("smb.flags.receive_buffer", 0x02),
    ("smb.flags.lock", 0x01),
)  # fmt: skip
_FLAGS2 = (
    ("smb.flags2.string", 0x8000), ("smb.flags2.nt_error", 0x4000), ("smb.flags2.roe", 0x2000),
    ("smb.flags2.dfs", 0x1000), ("smb.flags2.esn", 0x0800), ("smb.flags2.reparse_path", 0x0400),
    ("smb.flags2.long_names_used", 0x0040), ("smb.flags2.sec_sig_required", 0x0010),
    ("smb.flags2.compressed", 0x0008), ("smb.flags2.sec_sig", 0x0004), ("smb.flags2.ea", 0x0002),
    ("smb.flags2.long_names_allowed", 0x0001),
)  # fmt: skip
_CAPABILITIES = (
    ("smb.server_cap.raw_mode", 0x00000001), ("smb.server_cap.mpx_mode", 0x00000002),
    ("smb.server_cap.unicode", 0x00000004), ("smb.server_cap.large_files", 0x00000008),
    ("smb.server_cap.nt_smbs", 0x00000010), ("smb.server_cap.rpc_remote_apis", 0x00000020),
    ("smb.server_cap.nt_status", 0x00000040), ("smb.server_cap.level_2_oplocks", 0x00000080),
    ("smb.server_cap.lock_and_read", 0x00000100), ("smb.server_cap.nt_find", 0x00000200),
    ("smb.server_cap.dfs", 0x00001000), ("smb.server_cap.infolevel_passthru", 0x00002000),
    ("smb.server_cap.large_readx", 0x00004000), ("smb.server_cap.large_writex", 0x00008000),
    ("smb.server_cap.lwio", 0x00010000), ("smb.server_cap.unix", 0x00800000),
    ("smb.server_cap.compressed_data", 0x02000000), ("smb.server_cap.dynamic_reauth", 0x20000000),
    ("smb.server_cap.extended_security", 0x80000000),
)  # fmt: skip
_SECURITY_MODE = (
    ("smb.sm.mode", 0x01), ("smb.sm.password", 0x02), ("smb.sm.signatures", 0x04),
    ("smb.sm.sig_required", 0x08),
)  # fmt: skip
_RAW_MODE = (("smb.rm.read", 0x0001), ("smb.rm.write", 0x0002))


class Smb1Header(NamedTuple):
    """The 32-byte header ([MS-CIFS] 2.2.3.1).

    status: NTSTATUS if Flags2 says so (0x4000); else error class in the lowest byte, error code
    in the upper 16 bits.
    """

    protocol: bytes = wire("4s")
    command: int = wire("B", "smb.cmd")
    status: int = wire("I", "smb.nt_status")
    flags: int = wire("B", "smb.flags", _FLAGS)
    flags2: int = wire("H", "smb.flags2", _FLAGS2)
    pid_high: int = wire("H", "smb.pid.high")
    signature: bytes = wire("8s", "smb.signature", shown=HEX)
    reserved: int = wire("H")
    tree_id: int = wire("H", "smb.tid")
    process_id: int = wire("H", "smb.pid")
    user_id: int = wire("H", "smb.uid")
    message_id: int = wire("H", "smb.mid")


class NegotiateRequest(NamedTuple):
    """SMB1 NEGOTIATE request: the dialect strings in order ([MS-CIFS] 2.2.4.52.1).

    dialects: whole strings only. buffer_formats: the byte before each of them (2 in a good one).
    unterminated: a last string without its NUL, where the message (not the capture) ends in it.
    """

    word_count: int | None
    byte_count: int | None
    dialects: tuple[str, ...] = ()
    buffer_formats: tuple[int, ...] = ()
    unterminated: str | None = None


class NegotiateResponse(NamedTuple):
    """SMB1 NEGOTIATE response, in any of its forms ([MS-CIFS] 2.2.4.52.2, [MS-SMB] 2.2.4.5.2).

    word_count: 1 core, 13 LANMAN, 17 NT LM 0.12; 0 a bare refusal.
    dialect_index: 0xFFFF refuses; also read from the data bytes of a refusal without words.
    system_time: FILETIME (NT LM 0.12). server_time: DOS time in the low, date in the high 16 bits
    (LANMAN). time_zone: minutes west of UTC.
    security_buffer, token: with extended security, where there is no challenge, domain or server.
    """

    word_count: int | None
    dialect_index: int | None = None
    security_mode: int | None = None
    max_mpx_count: int | None = None
    max_vcs: int | None = None
    max_buffer_size: int | None = None
    max_raw_size: int | None = None
    raw_mode: int | None = None
    session_key: int | None = None
    capabilities: int | None = None
    system_time: int | None = None
    server_time: int | None = None
    time_zone: int | None = None
    challenge_length: int | None = None
    reserved: int | None = None
    byte_count: int | None = None
    challenge: bytes | None = None
    domain: str | None = None
    server: str | None = None
    server_guid: bytes | None = None
    security_buffer: bytes | None = None
    token: Token | None = None


HEADER = Layout.of(Smb1Header)
HEADER_SIZE = 32
# The words of an answer, by their number: it chose the core protocol or refused, LANMAN 1.0 to 2.1,
# or NT LM 0.12. Names are those of NegotiateResponse ([MS-CIFS] 2.2.4.52.2).
WORDS = {
    1: Layout(dialect_index=Wire("H", "smb.dialect.index")),
    13: Layout(
        dialect_index=Wire("H", "smb.dialect.index"),
        security_mode=Wire("H", "smb.sm", _SECURITY_MODE[:2]),
        max_buffer_size=Wire("H", "smb.max_bufsize"),
        max_mpx_count=Wire("H", "smb.max_mpx_count"),
        max_vcs=Wire("H", "smb.max_vcs"),
        raw_mode=Wire("H", "smb.rm", _RAW_MODE),
        session_key=Wire("I", "smb.session_key"),
        server_time=Wire("I", "smb.server_date_time", shown=DOSTIME),
        time_zone=Wire("h", "smb.server_timezone"),
        challenge_length=Wire("H", "smb.challenge_length"),
        reserved=Wire("H"),
    ),
    17: Layout(
        dialect_index=Wire("H", "smb.dialect.index"),
        security_mode=Wire("B", "smb.sm", _SECURITY_MODE),
        max_mpx_count=Wire("H", "smb.max_mpx_count"),
        max_vcs=Wire("H", "smb.max_vcs"),
        max_buffer_size=Wire("I", "smb.max_bufsize"),
        max_raw_size=Wire("I", "smb.max_raw"),
        session_key=Wire("I", "smb.session_key"),
        capabilities=Wire("I", "smb.server_cap", _CAPABILITIES),
        system_time=Wire("Q", "smb.system.time", shown=FILETIME),
        time_zone=Wire("h", "smb.server_timezone"),
        challenge_length=Wire("B", "smb.challenge_length"),
    ),
}


class Block(NamedTuple):
    """Words and bytes of a command: where each begins, and how many ([MS-CIFS] 2.2.3.2, 2.2.3.3)."""

    word_count: int | None
    words: int
    byte_count: int | None
    bytes: int

    @property
    def end(self) -> int:
        """Offset after the data bytes, by their count."""
        return self.bytes + (self.byte_count or 0)


def block_at(data: bytes, at: int) -> Block:
    """The parameter and data block at `at`."""
    words = number(data, at, 1)
    if words is None:
        return Block(None, at + 1, None, at + 3)
    start = at + 3 + 2 * words
    return Block(words, at + 1, number(data, start - 2, 2), start)


def check_block(block: Block, size: int) -> list[Anomaly]:
    """What is wrong with the counts of a block in a message of `size` bytes."""
    if block.bytes > size and (block.word_count is not None or size <= block.words):
        detail = f"{block.word_count or 0} words, room for {max(size - block.words, 0) // 2}"
        return [Anomaly(Kind.SHORT, size, "fixed", detail)]
    if block.end > size:
        detail = f"{block.byte_count} bytes, room for {size - block.bytes}"
        return [Anomaly(Kind.COUNT_OVERRUNS, block.bytes, "bytes", detail)]
    return []


def read_negotiate_request(data: bytes, size: int) -> tuple[NegotiateRequest, list[Anomaly]]:
    """The request whose header stands at the start of `data`; size: of the message as sent."""
    block = block_at(data, HEADER_SIZE)
    faults = check_block(block, size)
    request = NegotiateRequest(block.word_count, block.byte_count)
    if block.byte_count is None:
        return request, faults
    if block.byte_count == 0:
        faults.append(Anomaly(Kind.EMPTY_LIST, block.bytes, "dialects", "no dialect offered"))
    names, formats, unterminated = [], [], None
    at = block.bytes
    end = min(block.end, size)
    while at + 1 < end:
        # An announced count that cuts a name short hides it, even if its NUL is there.
        stop = data.find(b"\0", at + 1, end)
        if stop < 0:
            if len(data) >= end:
                unterminated = data[at + 1 : end].decode("utf-8", "replace")
                detail = f"{unterminated[:80]!r} has no end"
                faults.append(Anomaly(Kind.COUNT_OVERRUNS, at, "dialects", detail))
            break
        formats.append(data[at])
        names.append(data[at + 1 : stop].decode("utf-8", "replace"))
        at = stop + 1
    return request._replace(
        dialects=tuple(names), buffer_formats=tuple(formats), unterminated=unterminated
    ), faults


def read_negotiate_response(data: bytes, size: int, flags2: int) -> tuple[NegotiateResponse, list[Anomaly]]:
    """The answer whose header stands at the start of `data`; size: of the message as sent.

    flags2: of the header; whether names are Unicode.
    """
    block = block_at(data, HEADER_SIZE)
    faults = check_block(block, size)
    response = NegotiateResponse(block.word_count, byte_count=block.byte_count)
    if block.word_count is None:
        return response, faults
    layout = WORDS.get(block.word_count)
    if layout is not None:
        words = dict(zip(layout.names, layout.read(data, block.words), strict=True))
        response = response._replace(**words)
    elif block.word_count:
        response = response._replace(dialect_index=number(data, block.words, 2))
        faults.append(Anomaly(Kind.STRUCTURE_SIZE, HEADER_SIZE, "fixed", f"{block.word_count} words"))
    elif block.byte_count == 2:
        # A refusal of one implementation puts the index where the bytes are.
        index = number(data, block.bytes, 2)
        response = response._replace(dialect_index=index if index == 0xFFFF else None)
    if block.byte_count is not None:
        if block.word_count == 17:
            response, more = _read_nt_bytes(response, data, block, size, flags2)
            faults += more
        elif block.word_count == 13:
            response = _read_lanman_bytes(response, data, block.bytes, block.end)
    return response, faults


def _read_nt_bytes(
    response: NegotiateResponse, data: bytes, block: Block, size: int, flags2: int
) -> tuple[NegotiateResponse, list[Anomaly]]:
    """The data bytes of the NT LM 0.12 form: challenge and names, or GUID and GSS token."""
    capabilities = response.capabilities or 0
    at, end = block.bytes, block.end
    if capabilities & constants.SMB1_CAP_EXTENDED_SECURITY:
        return _read_extended_bytes(response, data, at, min(end, size))
    length = response.challenge_length or 0
    if length:
        if at + length > end:
            return response, [Anomaly(Kind.COUNT_OVERRUNS, at, "bytes", f"challenge of {length} bytes")]
        if at + length > len(data):
            return response, []
        response = response._replace(challenge=data[at : at + length])
        at += length
    unicode = bool(capabilities & constants.SMB1_CAP_UNICODE or flags2 & constants.FLAGS2_UNICODE)
    if unicode and (end - at) % 2:
        at += 1                        # an odd number of bytes: one of them pads the names
    domain, at = text_at(data, at, end, unicode=unicode)
    server, at = text_at(data, at, end, unicode=unicode)
    return response._replace(domain=domain, server=server), []


def _read_extended_bytes(
    response: NegotiateResponse, data: bytes, at: int, end: int
) -> tuple[NegotiateResponse, list[Anomaly]]:
    """The data bytes with extended security: GUID and GSS token ([MS-SMB] 2.2.4.5.2.1)."""
    if at + 16 > end:
        return response, [Anomaly(Kind.SHORT, at, "bytes", "no room for the server GUID")]
    if at + 16 > len(data):
        return response, []
    response = response._replace(server_guid=data[at : at + 16])
    if end > len(data):
        return response, []
    buffer = data[at + 16 : end]
    token = read_token(buffer)
    response = response._replace(security_buffer=buffer, token=token)
    if token.form == "unknown" or not token.whole:
        return response, [Anomaly(Kind.BAD_TOKEN, at + 16, "security-buffer", "not a whole GSS token")]
    return response, []


def _read_lanman_bytes(response: NegotiateResponse, data: bytes, at: int, end: int) -> NegotiateResponse:
    """The data bytes of the LANMAN form: challenge and, from LANMAN 2.1 on, the domain (never Unicode)."""
    length = response.challenge_length or 0
    if at + length > min(end, len(data)):
        return response
    if length:
        response = response._replace(challenge=data[at : at + length])
    domain, _ = text_at(data, at + length, end, unicode=False)
    return response._replace(domain=domain)


def text_at(data: bytes, at: int, end: int, *, unicode: bool) -> tuple[str | None, int]:
    """A string at `at` and the offset behind it; None where nothing is left or the capture cuts it.

    Ends with its NUL; a Unicode one also with the bytes (a last odd byte is its terminator).
    """
    if at >= end:
        return None, at
    if not unicode:
        stop = data.find(b"\0", at, end)
        return (None, end) if stop < 0 else (data[at:stop].decode("latin-1"), stop + 1)
    stop = at
    while stop + 2 <= end:
        if stop + 2 > len(data):
            return None, end
        if data[stop : stop + 2] == b"\0\0":
            return data[at:stop].decode("utf-16-le", "replace"), stop + 2
        stop += 2
    return (None, end) if stop > len(data) else (data[at:stop].decode("utf-16-le", "replace"), end)
