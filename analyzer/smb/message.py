"""The bytes one side sent -> messages: framing and dissection in one call."""

from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

from analyzer.anomaly import Anomaly, Kind
from analyzer.smb import constants, sequel, smb1, smb2
from analyzer.smb.framing import Frame, frames
from analyzer.smb.layout import number
from analyzer.smb.status import MORE_PROCESSING_REQUIRED

_SMB1, _SMB2, _ENCRYPTED = 0xFF, 0xFE, 0xFD      # what a message begins with
_FLAGS_END = 20          # a header is of use once command, status and flags are there


class SessionRequest(NamedTuple):
    """NBSS session request: NetBIOS names, without padding and suffix (RFC 1002 4.3.2)."""

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
    data: the bytes of a NEGOTIATE from its header on, as far as captured; else empty.
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
    data: bytes = b""


_made = partial(tuple.__new__, Message)
_smb2_header = partial(tuple.__new__, smb2.Smb2Header)

_NETBIOS_KINDS = {
    constants.SESSION_REQUEST: "session-request",
    constants.POSITIVE_RESPONSE: "positive",
    constants.NEGATIVE_RESPONSE: "negative",
    constants.RETARGET_RESPONSE: "retarget",
    constants.KEEP_ALIVE: "keepalive",
}
_READ = frozenset((constants.NEGOTIATE, *sequel.COMMANDS))     # SMB2 commands whose bodies matter, beside those of errors
_MAX_COMPOUND = 128                    # commands in one packet; clients chain a handful


def messages(runs: Sequence[tuple[int, bytes]], starts: Sequence[int]) -> list[Message]:
    """Every message in the bytes of one side.

    runs: (stream offset, bytes), in order; between two runs bytes are missing.
    starts: stream offsets at which TCP segments begin, ascending.
    """
    found: list[Message] = []
    for frame in frames(runs, starts):
        _, _, kind, _, source, begin, have, _ = frame
        if kind == constants.SESSION_MESSAGE and have and source[begin] == _SMB2:
            message, step = _smb2_message(frame, 0)
            found.append(message)
            if step is not None:
                found += _compounded(frame, step)
        else:
            found.append(_dissect(frame))
    return found


def _dissect(frame: Frame) -> Message:
    """The message of a packet that is no SMB2."""
    if frame.foreign is not None:
        detail = f"{frame.foreign}: {frame.body[:16].hex(' ')}"
        fault = Anomaly(Kind.NOT_SMB, frame.at, "framing", detail)
        return _message("not-smb", frame, anomalies=(fault,), foreign=frame.foreign)
    if frame.type is None or (frame.type == constants.SESSION_MESSAGE and not frame.have):
        return _message("partial", frame, anomalies=_truncated(frame, 0))
    if frame.type != constants.SESSION_MESSAGE:
        return _netbios(frame, _NETBIOS_KINDS[frame.type])
    protocol = frame.source[frame.begin]
    if protocol == _SMB1:
        return _smb1_message(frame)
    if protocol == _ENCRYPTED:
        session = number(frame.body, 44, 8)
        return _message("encrypted", frame, anomalies=_truncated(frame, 0), session_id=session)
    return _message("compressed", frame, anomalies=_truncated(frame, 0))


def _message(kind: str, frame: Frame, **members: Any) -> Message:  # Any: members of Message, by name
    return Message(kind, frame.at, frame.end, frame.complete, **members)


def _truncated(frame: Frame, offset: int) -> tuple[Anomaly, ...]:
    """The one anomaly of a message that the capture does not hold to its end."""
    if frame.complete:
        return ()
    detail = f"{frame.have} of {frame.length} bytes captured"
    return (Anomaly(Kind.TRUNCATED, max(frame.have - offset, 0), "message", detail),)


def _netbios(frame: Frame, kind: str) -> Message:
    """A packet of the session service itself."""
    error = number(frame.body, 0, 1) if kind == "negative" else None
    body = None
    if kind == "session-request":
        called, at = _netbios_name(frame.body, 0)
        calling, _ = _netbios_name(frame.body, at)
        body = SessionRequest(called, calling)
    return _message(kind, frame, body=body, error_code=error, anomalies=_truncated(frame, 0))


def _netbios_name(body: bytes, at: int) -> tuple[str | None, int]:
    """An encoded NetBIOS name and the offset behind it (RFC 1001 14.1): 32 letters, then the scope."""
    if at >= len(body) or body[at] != 32 or at + 33 > len(body):
        return None, len(body)
    halves = [letter - 0x41 for letter in body[at + 1 : at + 33]]
    if not all(0 <= half < 16 for half in halves):
        return None, len(body)
    name = bytes(high << 4 | low for high, low in zip(halves[::2], halves[1::2], strict=True))
    at += 33
    while at < len(body) and body[at]:
        at += 1 + body[at]                  # labels of the scope, which nobody uses
    return name[:15].rstrip(b" \0").decode("latin-1"), at + 1


def _smb1_message(frame: Frame) -> Message:
    data, size = frame.body, frame.length
    short = () if size >= smb1.HEADER_SIZE else (Anomaly(Kind.SHORT, size, "header", f"{size} bytes"),)
    if len(data) < smb1.HEADER_SIZE:
        return _message("smb1", frame, anomalies=short + _truncated(frame, 0))
    header = smb1.Smb1Header(*smb1.HEADER.read(data, 0))
    response = bool(header.flags & constants.SMB1_FLAG_RESPONSE)
    body: Body | None
    if header.command == constants.SMB1_NEGOTIATE and response:
        body, faults = smb1.read_negotiate_response(data, size, header.flags2)
    elif header.command == constants.SMB1_NEGOTIATE:
        body, faults = smb1.read_negotiate_request(data, size)
    else:
        body, faults = sequel.read_smb1_sequel(
            data, size, header.command, flags2=header.flags2, response=response
        )
    return _message(
        "smb1", frame, command=header.command, response=response,
        status=header.status if response else None, message_id=header.message_id,
        signed=bool(header.flags2 & constants.FLAGS2_SIGNED), header=header, body=body,
        anomalies=(*faults, *_truncated(frame, 0)),
        data=data if header.command == constants.SMB1_NEGOTIATE else b"",
    )  # fmt: skip


def _compounded(frame: Frame, step: int) -> list[Message]:
    """The further commands of a packet: each tells where the next begins ([MS-SMB2] 3.3.5.2.7). step: where the second does."""
    found: list[Message] = []
    at = 0
    following: int | None = step
    while following is not None and at + following < frame.have and len(found) + 1 < _MAX_COMPOUND:
        at += following
        place = frame.begin + at
        magic = frame.source[place : place + min(4, frame.have - at)]
        if magic != constants.SMB2_MAGIC[: len(magic)]:
            break
        message, following = _smb2_message(frame, at)
        found.append(message)
    return found


def _smb2_message(frame: Frame, offset: int) -> tuple[Message, int | None]:
    """The command at `offset` of the packet, and how far behind it the next one begins, if any."""
    at, end, _, length, source, begin, have, _ = frame
    complete = have == length
    truncated = () if complete else _truncated(frame, offset)
    begin, have, size = begin + offset, have - offset, length - offset
    if have < _FLAGS_END:
        return _message("smb2", frame, offset=offset, anomalies=_short_header(size) + truncated), None
    values = smb2.HEADER.read(source, begin, begin + have)
    header = _smb2_header(values)
    _, structure_size, _, status, command, _, flags, next_command, message_id, _, _, session_id, _ = values
    response = bool(flags & constants.FLAG_RESPONSE)
    step = next_command or None
    found: Sequence[Anomaly] = ()
    if size < smb2.HEADER_SIZE or structure_size != smb2.HEADER_SIZE or step is not None:
        step, found = _checked_header(header, size, step)
    body: Body | None = None
    data = b""
    faults: Sequence[Anomaly] = ()
    if command in _READ or (response and status):
        if have >= smb2.HEADER_SIZE and step is not None:
            size = step
        data = source[begin : begin + min(have, size)]
        if have >= smb2.HEADER_SIZE:
            body, faults = _smb2_body(data, size, header, response=response)
    # As the tuple that it is: by name it takes as long again as all before it.
    message = _made((
        "smb2", at, end, complete, offset, command, response, status if response else None, message_id,
        bool(flags & constants.FLAG_SIGNED), session_id, header, body,
        (*found, *faults, *truncated) if found or faults or truncated else (),
        None, None, data if command == constants.NEGOTIATE else b"",
    ))  # fmt: skip
    return message, step


def _short_header(size: int) -> tuple[Anomaly, ...]:
    return () if size >= smb2.HEADER_SIZE else (Anomaly(Kind.SHORT, size, "header", f"{size} bytes"),)


def _checked_header(
    header: smb2.Smb2Header, size: int, step: int | None
) -> tuple[int | None, tuple[Anomaly, ...]]:
    """Where the next command may begin, None where it cannot, and what is wrong with the header."""
    faults = [*_short_header(size)]
    if header.structure_size != smb2.HEADER_SIZE:
        detail = f"header of {header.structure_size} bytes"
        faults.append(Anomaly(Kind.STRUCTURE_SIZE, 4, "header", detail))
    if step is not None and not smb2.HEADER_SIZE <= step < size:
        faults.append(Anomaly(Kind.OFFSET_OUTSIDE, 20, "header", f"next command at {step} of {size}"))
        step = None
    return step, tuple(faults)


def _smb2_body(
    data: bytes, size: int, header: smb2.Smb2Header, *, response: bool
) -> tuple[Body | None, list[Anomaly]]:
    """The body, by command, direction and status; an answer that failed has an error body."""
    goes_on = header.command == constants.SESSION_SETUP and header.status == MORE_PROCESSING_REQUIRED
    if response and header.status and not goes_on:
        structure_size = number(data, smb2.HEADER_SIZE, 2)
        if structure_size is None:
            return None, []                 # cut off: it could be either
        if structure_size == smb2.ERROR_SIZE:
            return smb2.read_error(data, size, header.status)
    if header.command == constants.NEGOTIATE:
        if response:
            return smb2.read_negotiate_response(data, size)
        return smb2.read_negotiate_request(data, size)
    return sequel.read_sequel(data, size, header.command, response=response)
