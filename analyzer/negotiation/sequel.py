"""Messages after the NEGOTIATE -> what became of the session, the tree and the validation.

A member is None where the capture does not show it. [MS-SMB2] 3.2.5.3, 3.2.5.5, 3.2.5.14.12
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from analyzer.negotiation.exchange import Placed
from analyzer.negotiation.stages import is_session_setup, is_tree_connect, validation_answers
from analyzer.smb import constants, smb2
from analyzer.smb.message import Message
from analyzer.smb.ntlmssp import Ntlm
from analyzer.smb.sequel import (
    SessionSetupRequest,
    SessionSetupResponse,
    Smb1SessionSetupRequest,
    Smb1SessionSetupResponse,
    Smb1TreeConnectRequest,
    TreeConnectRequest,
    TreeConnectResponse,
    ValidateNegotiateRequest,
)
from analyzer.smb.spnego import Token
from analyzer.smb.status import ACCESS_DENIED, INVALID_SIGNATURE, MORE_PROCESSING_REQUIRED, PENDING

_INTERIM = (PENDING, MORE_PROCESSING_REQUIRED)
NTLM_CHALLENGE, NTLM_AUTHENTICATE = 2, 3
# The commands that either may be, of SMB1 and SMB2: most others are passed over.
_BEGINNING = frozenset((
    constants.SESSION_SETUP, constants.TREE_CONNECT,
    constants.SMB1_SESSION_SETUP_ANDX, constants.SMB1_TREE_CONNECT_ANDX, constants.SMB1_TREE_CONNECT,
))


class Step(NamedTuple):
    """The last request of a kind and its final answer."""

    request: Placed | None = None
    response: Placed | None = None
    succeeded: bool = False              # any answer of the kind was a success

    @property
    def status(self) -> int | None:
        """Status of the final answer."""
        return None if self.response is None else self.response.message.status


class Sequel(NamedTuple):
    """What followed the negotiation on a connection."""

    session: Step
    tree: Step
    validation: Step
    session_flags: int | None            # of the last successful SESSION_SETUP
    authenticated: bool | None
    binding: bool | None
    challenge: Ntlm | None
    authenticate: Ntlm | None
    signed_after: bool | None
    signature_refused: bool
    encrypted: bool
    share_flags: int | None
    plain_after_encrypt: bool
    plain_refused: bool
    smb1_unsigned_refused: bool
    went_on: bool                        # the client sent any SMB message after the NEGOTIATE


def _setups_and_trees(messages: Sequence[Placed]) -> tuple[list[Placed], list[Placed]]:
    """SESSION_SETUP and TREE_CONNECT among messages."""
    setups: list[Placed] = []
    trees: list[Placed] = []
    for placed in messages:
        if placed.message.command not in _BEGINNING:
            continue
        if is_session_setup(placed.message):
            setups.append(placed)
        elif is_tree_connect(placed.message):
            trees.append(placed)
    return setups, trees


def _final(placed: Placed) -> bool:
    return placed.message.status not in _INTERIM


def _step(requests: Sequence[Placed], responses: Sequence[Placed]) -> Step:
    final = [p for p in responses if _final(p)]
    request = requests[-1] if requests else None
    response = final[-1] if final else None
    if request is not None:
        # A compound or a second logon may be on its way: only its own answer speaks for it.
        answers = [p for p in responses if p.message.message_id == request.message.message_id]
        interim = bool(answers) and not _final(answers[-1])
        earlier = not answers and response is not None and response.frame < request.frame
        if interim or earlier:
            response = None
    return Step(request, response, any(p.message.status == 0 for p in final))


def _token(message: Message) -> Token | None:
    body = message.body
    if isinstance(
        body,
        (SessionSetupRequest, SessionSetupResponse, Smb1SessionSetupRequest, Smb1SessionSetupResponse),
    ):
        return body.token
    return None


def _ntlm(messages: Sequence[Placed], message_type: int) -> Ntlm | None:
    for placed in reversed(messages):
        token = _token(placed.message)
        if token is not None and token.ntlm is not None and token.ntlm.message_type == message_type:
            return token.ntlm
    return None


def _authenticated(request: Placed | None) -> bool | None:
    """Whether a SESSION_SETUP carries what ends an authentication: AUTHENTICATE or a ticket."""
    if request is None:
        return None
    body = request.message.body
    if isinstance(body, Smb1SessionSetupRequest) and body.token is None and body.account is not None:
        return True
    token = _token(request.message)
    if token is None:
        return None
    if token.ntlm is not None:
        return token.ntlm.message_type == NTLM_AUTHENTICATE
    return "kerberos" in (token.kind, token.form)


def _flags(responses: Sequence[Placed]) -> int | None:
    for placed in reversed(responses):
        body = placed.message.body
        if placed.message.status:
            continue
        if isinstance(body, SessionSetupResponse):
            return body.session_flags
        if isinstance(body, Smb1SessionSetupResponse) and body.action is not None:
            return constants.SESSION_GUEST if body.action & constants.ACTION_GUEST else 0
    return None


def _asks(message: Message) -> bool:
    return message.kind in ("smb1", "smb2") and not message.response


def _signing_after(messages: Sequence[Placed], success: Placed | None) -> bool | None:
    """Whether the client signs after its logon; in SMB1, where NEGOTIATE settles it, from the logon on."""
    if success is None:
        return None
    later = [p.message for p in messages if p.from_client and p.frame > success.frame and _asks(p.message)]
    return any(m.signed for m in later) if later else None


def _plain_refused(messages: Sequence[Placed], success: Placed | None) -> bool:
    if success is None:
        return False
    plain = {
        (p.message.command, p.message.message_id)
        for p in messages
        if p.from_client and p.frame > success.frame and _asks(p.message)
    }
    return any(
        p.message.status == ACCESS_DENIED and (p.message.command, p.message.message_id) in plain
        for p in messages
        if not p.from_client
    )


def _plain_after(messages: Sequence[Placed], success: Placed | None) -> bool:
    return success is not None and any(
        p.from_client and p.frame > success.frame and _asks(p.message) for p in messages
    )


def sequel_of(messages: Sequence[Placed], negotiated: int, kinds: frozenset[str]) -> Sequel:
    """What followed. negotiated: frame of the last NEGOTIATE message; earlier ones do not count. kinds: of the messages."""
    after = [p for p in messages if p.frame >= negotiated]
    asked = [p for p in after if p.from_client and not p.message.response]
    told = [p for p in after if not p.from_client and p.message.response]
    (setups, trees), (answers, tree_answers) = _setups_and_trees(asked), _setups_and_trees(told)
    validations = [p for p in asked if isinstance(p.message.body, ValidateNegotiateRequest)]
    confirmed = validation_answers(p.message for p in after)
    validated = [p for place, p in enumerate(after) if place in confirmed and not p.from_client]
    success = next((p for p in answers if p.message.status == 0), None)
    share = next(
        (
            p
            for p in reversed(tree_answers)
            if isinstance(p.message.body, TreeConnectResponse) and not p.message.status
        ),
        None,
    )
    share_flags = share.message.body.share_flags if share and isinstance(
        share.message.body, TreeConnectResponse
    ) else None
    session_flags = _flags(answers)
    last = setups[-1] if setups else None
    encrypting = success if session_flags is not None and session_flags & constants.SESSION_ENCRYPT else None
    if encrypting is None and share_flags is not None and share_flags & constants.SHARE_ENCRYPT_DATA:
        encrypting = share
    older = "smb1" in kinds
    chained = [
        p for p in (setups if older else ())
        if isinstance(p.message.body, Smb1SessionSetupRequest) and p.message.body.tree_path is not None
    ]
    return Sequel(
        session=_step(setups, answers),
        tree=_step(trees or chained, tree_answers),
        validation=_step(validations, validated),
        session_flags=session_flags,
        authenticated=_authenticated(last),
        binding=_binding(last),
        challenge=_ntlm(answers, NTLM_CHALLENGE),
        authenticate=_ntlm(setups, NTLM_AUTHENTICATE),
        signed_after=_signing_after(after, success),
        signature_refused=any(p.message.status == INVALID_SIGNATURE for p in told),
        encrypted="encrypted" in kinds and any(p.message.kind == "encrypted" for p in after),
        share_flags=share_flags,
        plain_after_encrypt=_plain_after(after, encrypting),
        plain_refused=_plain_refused(after, encrypting),
        smb1_unsigned_refused=older and _unsigned_refused(asked, told),
        went_on=any(p.frame > negotiated and (_asks(p.message) or p.message.kind == "encrypted")
                    for p in asked),
    )


def _binding(request: Placed | None) -> bool | None:
    if request is None or not isinstance(request.message.body, SessionSetupRequest):
        return None
    flags = request.message.body.flags
    return None if flags is None else bool(flags & constants.REQUEST_BINDING)


def _unsigned_refused(asked: Sequence[Placed], told: Sequence[Placed]) -> bool:
    """SMB1: STATUS_ACCESS_DENIED to a request that was not signed."""
    unsigned = {p.message.message_id for p in asked if p.message.kind == "smb1" and not p.message.signed}
    return bool(unsigned) and any(
        p.message.kind == "smb1"
        and p.message.status == ACCESS_DENIED
        and p.message.message_id in unsigned
        for p in told
    )


def tree_path(step: Step) -> str | None:
    """The path that the last TREE_CONNECT asked for."""
    body = None if step.request is None else step.request.message.body
    if isinstance(body, (TreeConnectRequest, Smb1TreeConnectRequest)):
        return body.path
    return body.tree_path if isinstance(body, Smb1SessionSetupRequest) else None


def error_body(step: Step) -> smb2.ErrorResponse | None:
    """The error body of the final answer."""
    body = None if step.response is None else step.response.message.body
    return body if isinstance(body, smb2.ErrorResponse) else None
