"""What follows a NEGOTIATE, as far as a verdict needs it: SESSION_SETUP, TREE_CONNECT, the
validation of the negotiation, and their SMB1 counterparts.

A member is None where the message or the capture ends before it.
"""

from collections.abc import Callable
from typing import NamedTuple

from analyzer.anomaly import Anomaly, Kind
from analyzer.smb import constants
from analyzer.smb.layout import Layout, Truncated, number, numbers, take
from analyzer.smb.smb1 import HEADER_SIZE as SMB1_HEADER_SIZE
from analyzer.smb.smb1 import Block, block_at, check_block, text_at
from analyzer.smb.smb2 import HEADER_SIZE
from analyzer.smb.spnego import Token, read_token

_MAX_ANDX = 8                     # no client chains more than three commands

# The fixed parts; what follows them lies where offset and length say.
_SETUP_REQUEST = Layout.plain(
    size="H", flags="B", mode="B", capabilities="I", channel="I", offset="H", length="H"
)  # 2.2.5
_SETUP_RESPONSE = Layout.plain(size="H", flags="H", offset="H", length="H")                    # 2.2.6
_TREE_REQUEST = Layout.plain(size="H", flags="H", offset="H", length="H")                      # 2.2.9
_TREE_RESPONSE = Layout.plain(size="H", kind="B", reserved="B", flags="I", capabilities="I")   # 2.2.10
_IOCTL_REQUEST = Layout.plain(
    size="H", reserved="H", code="I", file="16s", offset="I", length="I",
    max_input="I", output_offset="I", output_length="I", max_output="I",
)  # 2.2.31 # fmt: skip
_IOCTL_RESPONSE = Layout.plain(
    size="H", reserved="H", code="I", file="16s", input_offset="I", input_length="I",
    offset="I", length="I",
)  # 2.2.32 # fmt: skip
_VALIDATE_REQUEST = Layout.plain(capabilities="I", guid="16s", mode="H", count="H")            # 2.2.31.4
_VALIDATE_RESPONSE = Layout.plain(capabilities="I", guid="16s", mode="H", dialect="H")         # 2.2.32.6
_ANDX = Layout.plain(command="B", reserved="B", offset="H")                                    # [MS-CIFS] 2.2.3.4
_SMB1_SETUP_EXTENDED = Layout.plain(
    andx="4s", max_buffer="H", max_mpx="H", vc="H", session_key="I", length="H", reserved="I",
    capabilities="I",
)  # [MS-SMB] 2.2.4.6.1 # fmt: skip
_SMB1_SETUP_NT = Layout.plain(
    andx="4s", max_buffer="H", max_mpx="H", vc="H", session_key="I", oem_length="H",
    unicode_length="H", reserved="I", capabilities="I",
)  # [MS-CIFS] 2.2.4.53.1 # fmt: skip
_SMB1_SETUP_LANMAN = Layout.plain(
    andx="4s", max_buffer="H", max_mpx="H", vc="H", session_key="I", length="H", reserved="I"
)  # [MS-CIFS] 2.2.4.53.1
_SMB1_SETUP_RESPONSE = Layout.plain(andx="4s", action="H", length="H")                         # [MS-SMB] 2.2.4.6.2
_SMB1_TREE_REQUEST = Layout.plain(andx="4s", flags="H", length="H")                            # [MS-CIFS] 2.2.4.55.1


class SessionSetupRequest(NamedTuple):
    """SMB2 SESSION_SETUP request; flags bit 0x1 binds a channel ([MS-SMB2] 2.2.5)."""

    security_mode: int | None
    capabilities: int | None
    flags: int | None
    token: Token | None


class SessionSetupResponse(NamedTuple):
    """SMB2 SESSION_SETUP response; session_flags: guest 1, null 2, encrypt 4 ([MS-SMB2] 2.2.6)."""

    session_flags: int | None
    token: Token | None


class TreeConnectRequest(NamedTuple):
    r"""SMB2 TREE_CONNECT request; path as \\server\share ([MS-SMB2] 2.2.9)."""

    path: str | None
    flags: int | None


class TreeConnectResponse(NamedTuple):
    """SMB2 TREE_CONNECT response ([MS-SMB2] 2.2.10)."""

    share_type: int | None
    share_flags: int | None
    capabilities: int | None


class ValidateNegotiateRequest(NamedTuple):
    """FSCTL_VALIDATE_NEGOTIATE_INFO request: what the client says it offered ([MS-SMB2] 2.2.31.4)."""

    capabilities: int | None
    guid: bytes | None
    security_mode: int | None
    dialects: tuple[int, ...]
    max_output: int | None


class ValidateNegotiateResponse(NamedTuple):
    """FSCTL_VALIDATE_NEGOTIATE_INFO response: what the server says it chose ([MS-SMB2] 2.2.32.6)."""

    capabilities: int | None
    guid: bytes | None
    security_mode: int | None
    dialect: int | None


class Logoff(NamedTuple):
    """SMB2 LOGOFF, either way ([MS-SMB2] 2.2.7, 2.2.8)."""

    structure_size: int | None


class Smb1SessionSetupRequest(NamedTuple):
    """SMB1 SESSION_SETUP_ANDX request ([MS-CIFS] 2.2.4.53.1, [MS-SMB] 2.2.4.6.1).

    word_count: 10 LANMAN, 13 NT LM 0.12, 12 extended security (token). account: None unless
    given in the clear. tree_path: of a TREE_CONNECT_ANDX chained behind it.
    """

    word_count: int | None
    capabilities: int | None = None
    token: Token | None = None
    account: str | None = None
    domain: str | None = None
    tree_path: str | None = None


class Smb1SessionSetupResponse(NamedTuple):
    """SMB1 SESSION_SETUP_ANDX response; action bit 0x1: logged on as guest ([MS-CIFS] 2.2.4.53.2).

    tree: the answer to a TREE_CONNECT_ANDX chained behind it came with it.
    """

    action: int | None
    token: Token | None = None
    tree: bool = False


class Smb1TreeConnectRequest(NamedTuple):
    """SMB1 TREE_CONNECT_ANDX request ([MS-CIFS] 2.2.4.55.1)."""

    path: str | None
    service: str | None = None


class Smb1TreeConnectResponse(NamedTuple):
    """SMB1 TREE_CONNECT_ANDX response ([MS-CIFS] 2.2.4.55.2)."""

    service: str | None


Sequel = (
    SessionSetupRequest
    | SessionSetupResponse
    | TreeConnectRequest
    | TreeConnectResponse
    | ValidateNegotiateRequest
    | ValidateNegotiateResponse
    | Logoff
)
Smb1Sequel = (
    Smb1SessionSetupRequest | Smb1SessionSetupResponse | Smb1TreeConnectRequest | Smb1TreeConnectResponse
)


def read_sequel(data: bytes, size: int, command: int, *, response: bool) -> tuple[Sequel | None, list[Anomaly]]:
    """The body of an SMB2 command that is not a NEGOTIATE, None for a command of no interest.

    data: the message from its header, as far as captured; size: its length as sent.
    """
    faults: list[Anomaly] = []
    reader = _READERS.get((command, response))
    return (None if reader is None else reader(data, size, faults)), faults


def _setup_request(data: bytes, size: int, faults: list[Anomaly]) -> Sequel:
    _, flags, mode, capabilities, _, offset, length = _SETUP_REQUEST.read(data, HEADER_SIZE)
    return SessionSetupRequest(mode, capabilities, flags, _token(_buffer(data, size, (offset, length), faults)))


def _setup_response(data: bytes, size: int, faults: list[Anomaly]) -> Sequel:
    _, flags, offset, length = _SETUP_RESPONSE.read(data, HEADER_SIZE)
    return SessionSetupResponse(flags, _token(_buffer(data, size, (offset, length), faults)))


def _tree_request(data: bytes, size: int, faults: list[Anomaly]) -> Sequel:
    _, flags, offset, length = _TREE_REQUEST.read(data, HEADER_SIZE)
    path = _buffer(data, size, (offset, length), faults)
    return TreeConnectRequest(None if path is None else path.decode("utf-16-le", "replace"), flags)


def _tree_response(data: bytes, _size: int, _faults: list[Anomaly]) -> Sequel:
    _, kind, _, flags, capabilities = _TREE_RESPONSE.read(data, HEADER_SIZE)
    return TreeConnectResponse(kind, flags, capabilities)


def _logoff(data: bytes, _size: int, _faults: list[Anomaly]) -> Sequel:
    return Logoff(number(data, HEADER_SIZE, 2))


def _ioctl_request(data: bytes, size: int, faults: list[Anomaly]) -> Sequel | None:
    _, _, code, _, offset, length, _, _, _, max_output = _IOCTL_REQUEST.read(data, HEADER_SIZE)
    if code != constants.FSCTL_VALIDATE_NEGOTIATE_INFO:
        return None
    block = _buffer(data, size, (offset, length), faults) or b""
    capabilities, guid, mode, count = _VALIDATE_REQUEST.read(block, 0)
    dialects = numbers(block, _VALIDATE_REQUEST.size, count or 0)
    return ValidateNegotiateRequest(capabilities, guid, mode, dialects, max_output)


def _ioctl_response(data: bytes, size: int, faults: list[Anomaly]) -> Sequel | None:
    _, _, code, _, _, _, offset, length = _IOCTL_RESPONSE.read(data, HEADER_SIZE)
    if code != constants.FSCTL_VALIDATE_NEGOTIATE_INFO:
        return None
    block = _buffer(data, size, (offset, length), faults) or b""
    return ValidateNegotiateResponse(*_VALIDATE_RESPONSE.read(block, 0))


_READERS: dict[tuple[int, bool], Callable[[bytes, int, list[Anomaly]], Sequel | None]] = {
    (constants.SESSION_SETUP, False): _setup_request,
    (constants.SESSION_SETUP, True): _setup_response,
    (constants.TREE_CONNECT, False): _tree_request,
    (constants.TREE_CONNECT, True): _tree_response,
    (constants.LOGOFF, False): _logoff,
    (constants.LOGOFF, True): _logoff,
    (constants.IOCTL, False): _ioctl_request,
    (constants.IOCTL, True): _ioctl_response,
}
COMMANDS = frozenset(command for command, _ in _READERS)
"""SMB2 commands whose bodies are read."""


def _buffer(
    data: bytes, size: int, place: tuple[int | None, int | None], faults: list[Anomaly]
) -> bytes | None:
    """The bytes that (offset, length) describe; b"" for none, None where they are not all there."""
    offset, length = place
    if offset is None or length is None:
        return None
    if length == 0:
        return b""
    if offset < HEADER_SIZE or offset + length > size:
        faults.append(Anomaly(Kind.OFFSET_OUTSIDE, offset, "buffer", f"{length} bytes at {offset} of {size}"))
        return None
    try:
        return take(data, offset, length, "buffer")
    except Truncated:
        return None


def _token(buffer: bytes | None) -> Token | None:
    return None if buffer is None else read_token(buffer)


def read_smb1_sequel(
    data: bytes, size: int, command: int, *, flags2: int, response: bool
) -> tuple[Smb1Sequel | None, list[Anomaly]]:
    """The body of an SMB1 SESSION_SETUP_ANDX or TREE_CONNECT_ANDX, with what is chained behind it.

    data: the message from its header, as far as captured; size: its length as sent.
    """
    if command not in (constants.SMB1_SESSION_SETUP_ANDX, constants.SMB1_TREE_CONNECT_ANDX):
        return None, []
    unicode = bool(flags2 & constants.FLAGS2_UNICODE)
    blocks, faults = _andx_blocks(data, size, command)
    first = blocks[0][1]
    tree = next((block for kind, block in blocks[1:] if kind == constants.SMB1_TREE_CONNECT_ANDX), None)
    if command == constants.SMB1_TREE_CONNECT_ANDX:
        if response:
            return Smb1TreeConnectResponse(text_at(data, first.bytes, first.end, unicode=False)[0]), faults
        path, service = _tree_names(data, first, unicode=unicode)
        return Smb1TreeConnectRequest(path, service), faults
    if response:
        _, action, length = _SMB1_SETUP_RESPONSE.read(data, first.words)
        action = action if (first.word_count or 0) >= 3 else None
        token = _smb1_token(data, first, length) if first.word_count == 4 else None
        return Smb1SessionSetupResponse(action, token, tree is not None), faults
    setup = _session_setup(data, first, unicode=unicode)
    if tree is not None:
        setup = setup._replace(tree_path=_tree_names(data, tree, unicode=unicode)[0])
    return setup, faults


def _andx_blocks(data: bytes, size: int, command: int) -> tuple[list[tuple[int, Block]], list[Anomaly]]:
    """The chain of commands; each offset must lie behind the block before it ([MS-CIFS] 2.2.3.4)."""
    block = block_at(data, SMB1_HEADER_SIZE)
    faults = check_block(block, size)
    blocks = [(command, block)]
    while (block.word_count or 0) >= 2 and len(blocks) < _MAX_ANDX:
        following, _, offset = _ANDX.read(data, block.words)
        if following is None or following == constants.NO_ANDX or offset is None:
            break
        if offset < block.bytes or offset >= size:
            # Many an answer leaves an offset behind that nothing follows.
            if offset and offset != size:
                detail = f"next command at {offset}, room from {block.bytes} to {size}"
                faults.append(Anomaly(Kind.OFFSET_OUTSIDE, offset, "andx", detail))
            break
        block = block_at(data, offset)
        if block.word_count is None:
            break
        blocks.append((following, block))
    return blocks, faults


def _session_setup(data: bytes, block: Block, *, unicode: bool) -> Smb1SessionSetupRequest:
    """The first command of the chain, by its number of words."""
    words = block.words
    if block.word_count == 12:
        _, _, _, _, _, length, _, capabilities = _SMB1_SETUP_EXTENDED.read(data, words)
        return Smb1SessionSetupRequest(12, capabilities, _smb1_token(data, block, length))
    if block.word_count == 13:
        _, _, _, _, _, oem, wide, _, capabilities = _SMB1_SETUP_NT.read(data, words)
        if oem is None or wide is None:
            return Smb1SessionSetupRequest(13)
        at = block.bytes + oem + wide
        if unicode and at % 2:
            at += 1
        account, at = text_at(data, at, block.end, unicode=unicode)
        domain, at = text_at(data, at, block.end, unicode=unicode)
        return Smb1SessionSetupRequest(13, capabilities, None, account, domain)
    if block.word_count == 10:
        length = _SMB1_SETUP_LANMAN.read(data, words)[5]
        if length is None:
            return Smb1SessionSetupRequest(10)
        account, at = text_at(data, block.bytes + length, block.end, unicode=False)
        domain, at = text_at(data, at, block.end, unicode=False)
        return Smb1SessionSetupRequest(10, None, None, account, domain)
    return Smb1SessionSetupRequest(block.word_count)


def _smb1_token(data: bytes, block: Block, length: int | None) -> Token | None:
    if length is None or block.bytes + length > block.end:
        return None
    try:
        return read_token(take(data, block.bytes, length, "security blob"))
    except Truncated:
        return None


def _tree_names(data: bytes, block: Block, *, unicode: bool) -> tuple[str | None, str | None]:
    """Path and service of a TREE_CONNECT_ANDX request ([MS-CIFS] 2.2.4.55.1)."""
    _, _, length = _SMB1_TREE_REQUEST.read(data, block.words)
    if length is None or (block.word_count or 0) < 4:
        return None, None
    at = block.bytes + length
    if unicode and at % 2:
        at += 1
    path, at = text_at(data, at, block.end, unicode=unicode)
    return path, text_at(data, at, block.end, unicode=False)[0]
