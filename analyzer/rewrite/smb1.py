"""SMB1 messages written anew, each as long as it was. [MS-CIFS] 2.2.4, [MS-SMB] 2.2.4

Taken over: headers, NEGOTIATE, and of SESSION_SETUP_ANDX and TREE_CONNECT_ANDX what a verdict rests on.
Challenges, passwords, the names of systems and the contents of other commands become zero.
"""

from __future__ import annotations

from analyzer.rewrite.draft import Draft
from analyzer.rewrite.pseudonym import Pseudonyms
from analyzer.rewrite.tokens import rewritten_token
from analyzer.smb import constants, smb1
from analyzer.smb.layout import number
from analyzer.smb.smb1 import Block, block_at

_SERVICES = frozenset((b"A:", b"LPT1:", b"IPC", b"COMM", b"?????"))
_MAX_ANDX = 8


def rewritten_smb1(old: bytes, size: int, names: Pseudonyms) -> bytes:
    """One SMB1 message, as much of it as was captured. size: as much as was sent."""
    draft = Draft(old, names)
    draft.keep(0, smb1.HEADER_SIZE)
    draft.signature(14, 8)
    if len(old) < smb1.HEADER_SIZE:
        return bytes(draft.new)
    header = smb1.Smb1Header(*smb1.HEADER.read(old, 0))
    response = bool(header.flags & constants.SMB1_FLAG_RESPONSE)
    unicode = bool(header.flags2 & constants.FLAGS2_UNICODE)
    block = block_at(old, smb1.HEADER_SIZE)
    _counts(draft, block)
    if header.command == constants.SMB1_NEGOTIATE:
        draft.keep(block.words, 2 * (block.word_count or 0))
        if response:
            _negotiated(draft, block, size, header.flags2)
        else:
            draft.keep(block.bytes, min(block.end, size) - block.bytes)
    elif header.command in (constants.SMB1_SESSION_SETUP_ANDX, constants.SMB1_TREE_CONNECT_ANDX):
        _chain(draft, block, header.command, size, response=response, unicode=unicode)
    return bytes(draft.new)


def _counts(draft: Draft, block: Block) -> None:
    """The number of words and the number of bytes."""
    draft.keep(block.words - 1, 1)
    draft.keep(block.bytes - 2, 2)


def _negotiated(draft: Draft, block: Block, size: int, flags2: int) -> None:
    """The data bytes of an answer, by its form."""
    answer, _ = smb1.read_negotiate_response(draft.old, size, flags2)
    at, end = block.bytes, min(block.end, size)
    if block.word_count == 0:
        draft.keep(at, 2 if block.byte_count == 2 else 0)
        return
    if block.word_count not in (13, 17):
        return
    capabilities = answer.capabilities or 0
    if block.word_count == 17 and capabilities & constants.SMB1_CAP_EXTENDED_SECURITY:
        if at + 16 <= end:
            draft.guid(at)
            if end <= len(draft.old):
                draft.put(at + 16, rewritten_token(draft.old[at + 16 : end], draft.names))
        return
    at += answer.challenge_length or 0
    unicode = block.word_count == 17 and bool(
        capabilities & constants.SMB1_CAP_UNICODE or flags2 & constants.FLAGS2_UNICODE
    )
    if unicode and (block.end - at) % 2:
        at += 1
    for _ in range(2):
        if at < block.end:
            at = draft.string(at, block.end, unicode=unicode)


def _chain(draft: Draft, block: Block, command: int, size: int, *, response: bool, unicode: bool) -> None:
    """SESSION_SETUP_ANDX, TREE_CONNECT_ANDX, and what is chained behind them."""
    for _ in range(_MAX_ANDX):
        _counts(draft, block)
        if command in (constants.SMB1_SESSION_SETUP_ANDX, constants.SMB1_TREE_CONNECT_ANDX):
            draft.keep(block.words, 2 * (block.word_count or 0))
        else:
            draft.keep(block.words, 4 if (block.word_count or 0) >= 2 else 0)
        if command == constants.SMB1_SESSION_SETUP_ANDX:
            _setup(draft, block, response=response, unicode=unicode)
        elif command == constants.SMB1_TREE_CONNECT_ANDX:
            _tree(draft, block, response=response, unicode=unicode)
        following, offset = number(draft.old, block.words, 1), number(draft.old, block.words + 2, 2)
        if (block.word_count or 0) < 2 or following in (None, constants.NO_ANDX) or offset is None:
            return
        if offset < block.bytes or offset >= size:
            return
        assert following is not None
        command, block = following, block_at(draft.old, offset)
        if block.word_count is None:
            return


def _setup(draft: Draft, block: Block, *, response: bool, unicode: bool) -> None:
    old, words = draft.old, block.words
    if response or block.word_count == 12:
        if block.word_count == (4 if response else 12):
            length = number(old, words + (6 if response else 14), 2)
            if length is not None and block.bytes + length <= min(block.end, len(old)):
                token = old[block.bytes : block.bytes + length]
                draft.put(block.bytes, rewritten_token(token, draft.names))
        return
    if block.word_count == 13:
        oem, wide = number(old, words + 14, 2), number(old, words + 16, 2)
        if oem is None or wide is None:
            return
        at = block.bytes + oem + wide
    elif block.word_count == 10:
        length = number(old, words + 14, 2)
        if length is None:
            return
        at, unicode = block.bytes + length, False
    else:
        return
    if unicode and at % 2:
        at += 1
    for _ in range(2):                   # account and domain
        if at < block.end:
            at = draft.string(at, block.end, unicode=unicode)


def _tree(draft: Draft, block: Block, *, response: bool, unicode: bool) -> None:
    old = draft.old
    at = block.bytes
    if not response:
        length = number(old, block.words + 6, 2)
        if length is None or (block.word_count or 0) < 4:
            return
        at += length
        if unicode and at % 2:
            at += 1
        if at < block.end:
            at = draft.string(at, block.end, unicode=unicode, path=True)
    stop = old.find(b"\0", at, block.end)
    if stop >= 0 and old[at:stop] in _SERVICES:
        draft.keep(at, stop - at)
