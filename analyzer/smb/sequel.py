"""What follows a NEGOTIATE, as far as a verdict needs it: SESSION_SETUP, TREE_CONNECT, the
validation of the negotiation, and their SMB1 counterparts.

A member is None where the message or the capture ends before it.
"""

from __future__ import annotations

from typing import NamedTuple

from analyzer.smb.spnego import Token


class SessionSetupRequest(NamedTuple):
    """SMB2 SESSION_SETUP request; flags bit 0x1 binds a channel. [MS-SMB2] 2.2.5"""

    security_mode: int | None
    capabilities: int | None
    flags: int | None
    token: Token | None


class SessionSetupResponse(NamedTuple):
    """SMB2 SESSION_SETUP response; session_flags: guest 1, null 2, encrypt 4. [MS-SMB2] 2.2.6"""

    session_flags: int | None
    token: Token | None


class TreeConnectRequest(NamedTuple):
    r"""SMB2 TREE_CONNECT request; path as \\server\share. [MS-SMB2] 2.2.9"""

    path: str | None
    flags: int | None


class TreeConnectResponse(NamedTuple):
    """SMB2 TREE_CONNECT response. [MS-SMB2] 2.2.10"""

    share_type: int | None
    share_flags: int | None
    capabilities: int | None


class ValidateNegotiateRequest(NamedTuple):
    """FSCTL_VALIDATE_NEGOTIATE_INFO request: what the client says it offered. [MS-SMB2] 2.2.31.4"""

    capabilities: int | None
    guid: bytes | None
    security_mode: int | None
    dialects: tuple[int, ...]
    max_output: int | None


class ValidateNegotiateResponse(NamedTuple):
    """FSCTL_VALIDATE_NEGOTIATE_INFO response: what the server says it chose. [MS-SMB2] 2.2.32.6"""

    capabilities: int | None
    guid: bytes | None
    security_mode: int | None
    dialect: int | None


class Logoff(NamedTuple):
    """SMB2 LOGOFF, either way. [MS-SMB2] 2.2.7, 2.2.8"""

    structure_size: int | None


class Smb1SessionSetupRequest(NamedTuple):
    """SMB1 SESSION_SETUP_ANDX request. [MS-CIFS] 2.2.4.53.1, [MS-SMB] 2.2.4.6.1

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
    """SMB1 SESSION_SETUP_ANDX response; action bit 0x1: logged on as guest. [MS-CIFS] 2.2.4.53.2

    tree: the answer to a TREE_CONNECT_ANDX chained behind it came with it.
    """

    action: int | None
    token: Token | None = None
    tree: bool = False


class Smb1TreeConnectRequest(NamedTuple):
    """SMB1 TREE_CONNECT_ANDX request. [MS-CIFS] 2.2.4.55.1"""

    path: str | None
    service: str | None = None


class Smb1TreeConnectResponse(NamedTuple):
    """SMB1 TREE_CONNECT_ANDX response. [MS-CIFS] 2.2.4.55.2"""

    service: str | None
