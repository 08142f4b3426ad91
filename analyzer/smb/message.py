"""The bytes one side sent -> messages: framing and dissection in one call."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from analyzer.anomaly import Anomaly
from analyzer.smb import sequel, smb1, smb2


class SessionRequest(NamedTuple):
    """NBSS session request: NetBIOS names, without padding and suffix. RFC 1002 4.3.2"""

    called: str | None
    calling: str | None


Body = (
    smb2.NegotiateRequest
    | smb2.NegotiateResponse
    | smb2.ErrorResponse
    | smb1.NegotiateRequest
    | smb1.NegotiateResponse
    | sequel.SessionSetupRequest
    | sequel.SessionSetupResponse
    | sequel.TreeConnectRequest
    | sequel.TreeConnectResponse
    | sequel.ValidateNegotiateRequest
    | sequel.ValidateNegotiateResponse
    | sequel.Logoff
    | sequel.Smb1SessionSetupRequest
    | sequel.Smb1SessionSetupResponse
    | sequel.Smb1TreeConnectRequest
    | sequel.Smb1TreeConnectResponse
    | SessionRequest
)


class Message(NamedTuple):
    """One message of one side.

    kind: "smb1", "smb2", "encrypted", "compressed", "session-request", "positive", "negative",
    "retarget", "keepalive", "not-smb", or "partial" (too few bytes to tell).
    at, end: stream offsets of the whole NetBIOS packet, by its announced length; the commands of
    a compound share them and differ in `offset`, where they begin in the packet's body.
    complete: the capture holds every byte of it.
    command, response, status, message_id, session_id: of the header, None where cut off or
    without meaning here; status is None in requests, and in SMB1 answers with DOS errors the
    number of `header.status`. signed: the header's flag says that it is signed.
    header, body: None where not there, not whole enough, or not dissected.
    error_code: of an NBSS negative response. foreign: what "not-smb" bytes are, such as "TLS",
    "HTTP", "SSH", "SMTP", "FTP", or "unknown".
    """

    kind: str
    at: int
    end: int
    complete: bool
    offset: int = 0
    command: int | None = None
    response: bool | None = None
    status: int | None = None
    message_id: int | None = None
    signed: bool = False
    session_id: int | None = None
    header: smb1.Smb1Header | smb2.Smb2Header | None = None
    body: Body | None = None
    anomalies: tuple[Anomaly, ...] = ()
    error_code: int | None = None
    foreign: str | None = None


def messages(runs: Sequence[tuple[int, bytes]], starts: Sequence[int]) -> list[Message]:
    """Every message in the bytes of one side.

    runs: (stream offset, bytes), in order; between two runs bytes are missing.
    starts: stream offsets at which TCP segments begin, ascending.
    """
    raise NotImplementedError
