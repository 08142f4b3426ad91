"""Story -> what was offered against what was answered, aspect by aspect. Nothing here judges.

The offer-and-answer table of a report is drawn from this; `differs` says only that the two sides
have no common ground on the wire.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from analyzer.negotiation.story import Story, selected_dialect
from analyzer.smb import constants, smb1, smb2, status
from analyzer.smb.contexts import Context

Values = tuple[str, ...] | None


# What an SMB1 offer calls a dialect, and what the SMB2 answer calls it. [MS-SMB2] 3.3.5.3.1
_SAME = {"SMB 2.002": "SMB 2.0.2"}


class Aspect(NamedTuple):
    """One line of offer against answer.

    offer, answer: what each side says; None where it says nothing of it or its message was not
    captured, () for an empty list. agreed: what follows, None where nothing was settled.
    differs: no common ground.
    """

    name: str
    offer: Values
    answer: Values
    agreed: Values
    differs: bool


def comparison_of(story: Story) -> tuple[Aspect, ...]:
    """What the last NEGOTIATE offered and what its answer says."""
    asked = None if story.request is None else story.request.message.body
    told = None if story.response is None else story.response.message.body
    if asked is None and story.response is None:
        return ()
    return tuple(
        aspect for aspect in _aspects(story, asked, told) if aspect.offer is not None or aspect.answer is not None
    )


def _aspects(story: Story, asked: object, told: object) -> Iterator[Aspect]:
    yield _dialects(story)
    request = asked if isinstance(asked, smb2.NegotiateRequest) else None
    answer = told if isinstance(told, smb2.NegotiateResponse) else None
    old = told if isinstance(told, smb1.NegotiateResponse) else None
    if answer is None and (old is not None or isinstance(asked, smb1.NegotiateRequest)):
        yield _smb1_signing(story, old)
    elif request is not None or answer is not None:
        signing = _signing(request, answer)
        yield signing._replace(offer=_smb1_offer(story)) if request is None else signing
    if request is not None or answer is not None:
        yield from _algorithms(request, answer)
        yield _capabilities(request, answer)
    if answer is not None:
        yield _size("largest transaction", answer.max_transact_size)
        yield _size("largest read", answer.max_read_size)
        yield _size("largest write", answer.max_write_size)
    if old is not None:
        yield _size("largest message", old.max_buffer_size)
    token = None if old is None and answer is None else (old or answer).token      # type: ignore[union-attr]
    if token is not None:
        names = tuple(constants.mechanism_name(oid) for oid in token.mech_types)
        yield Aspect("mechanisms", None, names or None, None, differs=False)


def _size(name: str, size: int | None) -> Aspect:
    return Aspect(name, None, None if size is None else (f"{size:,} bytes",), None, differs=False)


def _dialects(story: Story) -> Aspect:
    last = next((e for e in reversed(story.exchanges) if e.request is not None), None)
    if last is None:
        last = next((e for e in reversed(story.exchanges) if e.response is not None), None)
    selected = None if last is None else selected_dialect(last)
    answer = selected
    denied = False
    if last is not None and last.response is not None and selected is None:
        message = last.response.message
        body = message.body
        wildcard = isinstance(body, smb2.NegotiateResponse) and body.dialect == constants.SMB_2_WILDCARD
        denied = not wildcard and message.complete
        if wildcard:
            answer = "SMB 2.??? (ask again)"
        elif isinstance(body, smb1.NegotiateResponse):
            answer = "none of them"
        elif message.complete:
            answer = status.status_name(message.status or 0)
    offered = story.offered or None
    strange = selected is not None and offered is not None and selected not in {_SAME.get(name, name) for name in offered}
    return Aspect(
        "dialect", offered, _one(answer), None if strange else _one(selected), differs=denied or strange
    )


def _one(text: str | None) -> Values:
    return None if text is None else (text,)


def _signing(request: smb2.NegotiateRequest | None, answer: smb2.NegotiateResponse | None) -> Aspect:
    modes = (
        None if request is None else request.security_mode,
        None if answer is None else answer.security_mode,
    )
    agreed: Values = None
    differs = False
    if modes[0] is not None and modes[1] is not None:
        required = [bool(mode & constants.SIGNING_REQUIRED) for mode in modes if mode is not None]
        able = [bool(mode & (constants.SIGNING_ENABLED | constants.SIGNING_REQUIRED)) for mode in modes if mode is not None]
        differs = any(required) and not all(able)
        if not differs:
            agreed = ("messages are signed",) if any(required) else ("not required",)
    return Aspect("signing", _mode(modes[0]), _mode(modes[1]), agreed, differs)


def _mode(mode: int | None) -> Values:
    if mode is None:
        return None
    if mode & constants.SIGNING_REQUIRED:
        return ("required",)
    return ("enabled",) if mode & constants.SIGNING_ENABLED else ("not enabled",)


def _smb1_offer(story: Story) -> Values:
    header = None if story.request is None else story.request.message.header
    if not isinstance(header, smb1.Smb1Header):
        return None
    if header.flags2 & constants.FLAGS2_SIGNING_REQUIRED:
        return ("required",)
    return ("enabled",) if header.flags2 & constants.FLAGS2_SIGNED else ("not stated",)


def _smb1_signing(story: Story, told: smb1.NegotiateResponse | None) -> Aspect:
    offer = _smb1_offer(story)
    answer: Values = None
    if told is not None and told.security_mode is not None:
        required = told.security_mode & constants.SMB1_SIGNING_REQUIRED
        enabled = told.security_mode & constants.SMB1_SIGNING_ENABLED
        answer = ("required",) if required else ("enabled",) if enabled else ("disabled",)
    differs = offer == ("required",) and answer == ("disabled",)
    return Aspect("signing", offer, answer, None, differs)


def _algorithms(
    request: smb2.NegotiateRequest | None, answer: smb2.NegotiateResponse | None
) -> Iterator[Aspect]:
    kinds = (
        ("integrity hash", constants.PREAUTH_INTEGRITY, constants.HASHES),
        ("encryption", constants.ENCRYPTION, constants.CIPHERS),
        ("signing algorithm", constants.SIGNING, constants.SIGNINGS),
        ("compression", constants.COMPRESSION, constants.COMPRESSIONS),
        ("RDMA transforms", constants.RDMA_TRANSFORM, constants.RDMA_TRANSFORMS),
    )
    for name, kind, labels in kinds:
        offered = _ids(None if request is None else request.contexts, kind)
        chosen = _ids(None if answer is None else answer.contexts, kind)
        common = [i for i in chosen or () if i in (offered or ())]
        nothing = kind == constants.ENCRYPTION and chosen == [0]
        yield Aspect(
            name,
            None if offered is None else tuple(constants.label(i, labels) for i in offered),
            ("none in common",)
            if nothing
            else None if chosen is None else tuple(constants.label(i, labels) for i in chosen),
            tuple(constants.label(i, labels) for i in common) or None,
            differs=bool(offered) and bool(chosen) and not common,
        )


def _ids(contexts: Sequence[Context] | None, kind: int) -> list[int] | None:
    found = [c for c in contexts or () if c.type == kind]
    return [i for c in found for i in c.ids] if found else None


_CAPABILITY_NAMES = (
    (constants.CAP_DFS, "DFS"),
    (constants.CAP_LEASING, "leasing"),
    (constants.CAP_LARGE_MTU, "large MTU"),
    (constants.CAP_MULTI_CHANNEL, "multichannel"),
    (constants.CAP_PERSISTENT_HANDLES, "persistent handles"),
    (constants.CAP_DIRECTORY_LEASING, "directory leasing"),
    (constants.CAP_ENCRYPTION, "encryption"),
)


def _capabilities(request: smb2.NegotiateRequest | None, answer: smb2.NegotiateResponse | None) -> Aspect:
    mine = None if request is None else request.capabilities
    theirs = None if answer is None else answer.capabilities
    both = None if mine is None or theirs is None else mine & theirs
    return Aspect("capabilities", _bits(mine), _bits(theirs), _bits(both), differs=False)


def _bits(capabilities: int | None) -> Values:
    if capabilities is None:
        return None
    return tuple(name for bit, name in _CAPABILITY_NAMES if capabilities & bit)
