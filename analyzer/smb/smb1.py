"""SMB1 header and NEGOTIATE: bytes -> records. [MS-CIFS] 2.2.3, 2.2.4.52; [MS-SMB] 2.2.4.5

A member is None where this form of the answer has none, or where the message or the capture ends
before it.
"""

from __future__ import annotations

from typing import Annotated, NamedTuple

from analyzer.smb.layout import FILETIME, GUID, HEX, Layout, Wire
from analyzer.smb.spnego import Token

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


class Smb1Header(NamedTuple):
    """The 32-byte header. [MS-CIFS] 2.2.3.1

    status: NTSTATUS if Flags2 says so (0x4000); else error class in the lowest byte, error code
    in the upper 16 bits.
    """

    protocol: Annotated[bytes, Wire("4s")]
    command: Annotated[int, Wire("B", "smb.cmd")]
    status: Annotated[int, Wire("I", "smb.nt_status")]
    flags: Annotated[int, Wire("B", "smb.flags", _FLAGS)]
    flags2: Annotated[int, Wire("H", "smb.flags2", _FLAGS2)]
    pid_high: Annotated[int, Wire("H", "smb.pid.high")]
    signature: Annotated[bytes, Wire("8s", "smb.signature", shown=HEX)]
    reserved: Annotated[int, Wire("H")]
    tree_id: Annotated[int, Wire("H", "smb.tid")]
    process_id: Annotated[int, Wire("H", "smb.pid")]
    user_id: Annotated[int, Wire("H", "smb.uid")]
    message_id: Annotated[int, Wire("H", "smb.mid")]


class NegotiateRequest(NamedTuple):
    """SMB1 NEGOTIATE request: the dialect strings in order. [MS-CIFS] 2.2.4.52.1

    dialects: whole strings only; buffer_formats: the byte before each of them (2 in a good one).
    """

    word_count: int | None
    byte_count: int | None
    dialects: tuple[str, ...] = ()
    buffer_formats: tuple[int, ...] = ()


class NegotiateResponse(NamedTuple):
    """SMB1 NEGOTIATE response, in any of its forms. [MS-CIFS] 2.2.4.52.2, [MS-SMB] 2.2.4.5.2

    word_count: 1 core, 13 LANMAN, 17 NT LM 0.12; 0 a bare refusal.
    dialect_index: 0xFFFF refuses; also read from the data bytes of a refusal without words.
    system_time: FILETIME (NT LM 0.12). server_date, server_time: DOS date and time (LANMAN).
    time_zone: minutes west of UTC, signed.
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
    server_date: int | None = None
    time_zone: int | None = None
    challenge_length: int | None = None
    byte_count: int | None = None
    challenge: bytes | None = None
    domain: str | None = None
    server: str | None = None
    server_guid: bytes | None = None
    security_buffer: bytes | None = None
    token: Token | None = None


HEADER = Layout(Smb1Header)
