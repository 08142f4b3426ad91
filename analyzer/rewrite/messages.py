"""SMB2 messages and packets of the session service written anew, each as long as it was.

Taken over: headers, NEGOTIATE, and of SESSION_SETUP, TREE_CONNECT, LOGOFF and the validation what a
verdict rests on. The bodies of other commands, encrypted and compressed data become zero.
Signatures cannot be made right without the session's key: they become other bytes.
"""

from __future__ import annotations

from analyzer.rewrite.draft import Draft, renamed
from analyzer.rewrite.pseudonym import Pseudonyms
from analyzer.rewrite.smb1 import rewritten_smb1
from analyzer.rewrite.tokens import rewritten_token
from analyzer.smb import constants, smb2
from analyzer.smb.contexts import Context, demanded
from analyzer.smb.layout import number
from analyzer.smb.status import MORE_PROCESSING_REQUIRED

_TRANSFORM, _COMPRESSION = 52, 16        # headers, [MS-SMB2] 2.2.41 and 2.2.42
_BAD_CLUSTER_DIALECT = 0xC05D0001
_POSIX_SIZE = 16
_BODY = smb2.HEADER_SIZE


def rewritten_body(kind: int, old: bytes, size: int, names: Pseudonyms) -> bytes:
    """The body of one packet of the session service.

    kind: of its header. old: as much of it as was captured; size: as much as was sent.
    """
    if kind == constants.SESSION_REQUEST:
        return _session_request(old, names)
    draft = Draft(old, names)
    if kind == constants.RETARGET_RESPONSE:
        if len(old) >= 4:
            draft.put(0, names.address(old[:4]))
            draft.keep(4, 2)
    elif kind != constants.SESSION_MESSAGE:
        draft.keep(0, 1)                 # the error code of a negative response
    elif old[:1] == b"\xfe":
        return _commands(old, size, names)
    elif old[:1] == b"\xff":
        return rewritten_smb1(old, size, names)
    else:
        draft.keep(0, _TRANSFORM if old[:1] == b"\xfd" else _COMPRESSION)
    return bytes(draft.new)


def _session_request(old: bytes, names: Pseudonyms) -> bytes:
    """The called and the calling name, RFC 1001 14.1."""
    draft = Draft(old, names)
    at = 0
    for _ in range(2):
        at = _netbios_name(draft, at)
    return bytes(draft.new)


def _netbios_name(draft: Draft, at: int) -> int:
    """A name of 16 bytes as 32 letters, then its scope; returns the offset behind it."""
    old = draft.old
    if at >= len(old) or old[at] != 32 or at + 33 > len(old):
        return len(old)
    halves = [letter - 0x41 for letter in old[at + 1 : at + 33]]
    if not all(0 <= half < 16 for half in halves):
        return len(old)
    name = bytes(high << 4 | low for high, low in zip(halves[::2], halves[1::2], strict=True))
    bare = name[:15].rstrip(b" \0")
    new = renamed(bare, draft.names, unicode=False) + name[len(bare) :]
    draft.keep(at, 1)
    draft.put(at + 1, bytes(0x41 + half for byte in new for half in (byte >> 4, byte & 15)))
    at += 33
    while at < len(old) and old[at]:
        draft.keep(at, 1)
        draft.text(at + 1, old[at], unicode=False)
        at += 1 + old[at]
    return at + 1


def _commands(old: bytes, size: int, names: Pseudonyms) -> bytes:
    """The commands of a compound; as many as are dissected."""
    new = b""
    while len(new) < len(old):
        at = len(new)
        step = number(old, at + 20, 4) or 0
        if not smb2.HEADER_SIZE <= step < size - at:
            return new + _command(old[at:], size - at, names)
        new += _command(old[at : at + step], step, names)
        if not old.startswith(constants.SMB2_MAGIC, len(new)):
            break
    return new.ljust(len(old), b"\0")


def _command(old: bytes, size: int, names: Pseudonyms) -> bytes:
    draft = Draft(old, names)
    draft.keep(0, smb2.HEADER_SIZE)
    draft.signature(48, 16)
    if len(old) < smb2.HEADER_SIZE:
        return bytes(draft.new)
    header = smb2.Smb2Header(*smb2.HEADER.read(old, 0))
    response = bool(header.flags & constants.FLAG_RESPONSE)
    draft.keep(_BODY, 2)                 # StructureSize tells an error from an answer
    goes_on = header.command == constants.SESSION_SETUP and header.status == MORE_PROCESSING_REQUIRED
    if response and header.status and number(old, _BODY, 2) == smb2.ERROR_SIZE and not goes_on:
        _error(draft, header.status)
    elif header.command == constants.NEGOTIATE:
        _negotiate(draft, size, response=response)
    elif header.command == constants.SESSION_SETUP:
        draft.keep(_BODY, 8 if response else 24)
        _token(draft, _BODY + (4 if response else 12))
    elif header.command == constants.TREE_CONNECT:
        draft.keep(_BODY, 16 if response else 8)
        place = None if response else _buffer(old, _BODY + 4)
        if place is not None:
            draft.text(*place, unicode=True, path=True)
    elif header.command == constants.LOGOFF:
        draft.keep(_BODY, 4)
    elif header.command == constants.IOCTL:
        _control(draft, response=response)
    return bytes(draft.new)


def _buffer(old: bytes, at: int) -> tuple[int, int] | None:
    """Offset and length that stand at `at`, of what is all there."""
    offset, length = number(old, at, 2), number(old, at + 2, 2)
    if offset is None or length is None or offset < _BODY or offset + length > len(old):
        return None
    return offset, length


def _token(draft: Draft, at: int) -> None:
    place = _buffer(draft.old, at)
    if place is not None:
        draft.put(place[0], rewritten_token(draft.old[place[0] : sum(place)], draft.names))


def _error(draft: Draft, status: int) -> None:
    """Error data name files, but for the dialect of a cluster. [MS-SMB2] 2.2.2"""
    draft.keep(_BODY, smb2.ERROR_RESPONSE.size)
    if status != _BAD_CLUSTER_DIALECT:
        return
    at = smb2.ERROR_AT
    if not number(draft.old, _BODY + 2, 1):
        draft.keep(at, 2)
        return
    while (length := number(draft.old, at, 4)) is not None and at + 8 <= len(draft.old):
        draft.keep(at, 10 if length >= 2 else 8)
        at += 8 + length
        at += -(at - smb2.ERROR_AT) % 8


def _negotiate(draft: Draft, size: int, *, response: bool) -> None:
    if response:
        answer, _ = smb2.read_negotiate_response(draft.old, size)
        draft.keep(_BODY, smb2.NEGOTIATE_RESPONSE.size)
        draft.guid(_BODY + 8)
        _contexts(draft, answer.contexts or ())
        if answer.security_buffer and answer.security_offset is not None:
            draft.put(answer.security_offset, rewritten_token(answer.security_buffer, draft.names))
        return
    request, _ = smb2.read_negotiate_request(draft.old, size)
    draft.keep(_BODY, smb2.NEGOTIATE_REQUEST.size)
    draft.guid(_BODY + 12)
    draft.keep(smb2.DIALECTS_AT, 2 * len(request.dialects))
    _contexts(draft, request.contexts or ())


def _contexts(draft: Draft, contexts: tuple[Context, ...]) -> None:
    """Numbers stay, salts and host names are replaced, contexts that nobody knows become zero."""
    for context in contexts:
        at = context.at + 8
        draft.keep(context.at, 8)
        if context.type == constants.NETNAME:
            draft.text(at, context.data_length, unicode=True)
        elif context.type == constants.POSIX:
            draft.keep(at, min(context.data_length, _POSIX_SIZE))
        elif context.type in constants.CONTEXT_TYPES:
            draft.keep(at, min(demanded(context), context.data_length))
            if context.salt and at + demanded(context) <= len(draft.old):
                draft.put(at + demanded(context) - len(context.salt), draft.names.salt(context.salt))


def _control(draft: Draft, *, response: bool) -> None:
    """FSCTL_VALIDATE_NEGOTIATE_INFO; of other controls the fixed part. [MS-SMB2] 2.2.31, 2.2.32"""
    draft.keep(_BODY, 48 if response else 56)
    if number(draft.old, _BODY + 4, 4) != constants.FSCTL_VALIDATE_NEGOTIATE_INFO:
        return
    descriptor = _BODY + (32 if response else 24)
    offset, length = number(draft.old, descriptor, 4), number(draft.old, descriptor + 4, 4)
    if offset is None or length is None or offset < _BODY or offset + length > len(draft.old):
        return
    count = 0 if response else number(draft.old, offset + 22, 2) or 0
    draft.keep(offset, min(length, 24 + 2 * count))
    if length >= 20:
        draft.guid(offset + 4)
