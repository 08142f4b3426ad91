"""A message -> the stage of a connection's life that it reaches.

The stages are the values of the fact connection.closed_after, in the order in which a healthy
connection passes them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from analyzer.negotiation.exchange import Placed, State
from analyzer.negotiation.pairing import NEXT, Event, event_of, is_negotiate
from analyzer.smb import constants
from analyzer.smb.message import Message
from analyzer.smb.sequel import ValidateNegotiateRequest, ValidateNegotiateResponse
from analyzer.smb.status import MORE_PROCESSING_REQUIRED, PENDING

STAGES = (
    "handshake", "session-request", "request", "renegotiate", "answer", "second-request",
    "session-setup-request", "session-setup-challenge", "session-setup", "session-setup-refused",
    "tree-connect-request", "tree-connect", "tree-connect-refused", "validate-request", "validate",
    "encrypted", "other",
)  # fmt: skip


def is_session_setup(message: Message) -> bool:
    """SMB2 SESSION_SETUP or SMB1 SESSION_SETUP_ANDX."""
    if message.kind == "smb2":
        return message.command == constants.SESSION_SETUP
    return message.kind == "smb1" and message.command == constants.SMB1_SESSION_SETUP_ANDX


def is_tree_connect(message: Message) -> bool:
    """SMB2 TREE_CONNECT, SMB1 TREE_CONNECT_ANDX or TREE_CONNECT."""
    if message.kind == "smb2":
        return message.command == constants.TREE_CONNECT
    return message.kind == "smb1" and message.command in (
        constants.SMB1_TREE_CONNECT_ANDX, constants.SMB1_TREE_CONNECT
    )


def validation_answers(messages: Iterable[Message]) -> set[int]:
    """Places, among messages in order, of the IOCTL answers to VALIDATE_NEGOTIATE_INFO, error answers included."""
    asked: set[int | None] = set()
    answers: set[int] = set()
    for place, message in enumerate(messages):
        if message.command != constants.IOCTL or message.kind != "smb2":
            continue
        if isinstance(message.body, ValidateNegotiateRequest):
            asked.add(message.message_id)
        elif message.response and (
            isinstance(message.body, ValidateNegotiateResponse) or message.message_id in asked
        ):
            answers.add(place)
    return answers


def _answered(message: Message, name: str) -> str:
    if not message.response:
        return f"{name}-request"
    if message.status == MORE_PROCESSING_REQUIRED:
        return f"{name}-challenge"
    return f"{name}-refused" if message.status else name


def _stage_of(message: Message, *, answers_validation: bool) -> str | None:
    """The stage that a message reaches, None where it reaches none (keep-alive, interim answer).

    A second NEGOTIATE request is a "request" here: what stands before it makes the difference.
    """
    if message.kind in ("keepalive", "positive", "retarget", "partial"):
        return None
    if message.kind in ("session-request", "negative"):
        return "session-request"
    if message.kind == "encrypted":
        return "encrypted"
    if message.response and message.status == PENDING:
        return None
    if is_negotiate(message):
        return _negotiate_stage(message)
    if is_session_setup(message):
        return _answered(message, "session-setup")
    if is_tree_connect(message):
        return _answered(message, "tree-connect")
    if isinstance(message.body, ValidateNegotiateRequest):
        return "validate-request"
    if answers_validation:
        return "validate"
    return "other"


def _negotiate_stage(message: Message) -> str:
    event = event_of(message)
    if event is Event.ASKED:
        return "request"
    return "renegotiate" if NEXT[State.WAITING, event] is State.RENEGOTIATE else "answer"


def _asks_again(before: Sequence[Placed]) -> bool:
    """Whether the last NEGOTIATE answer before a request selected a dialect."""
    answers = (p.message for p in reversed(before) if p.message.response and is_negotiate(p.message))
    last = next(answers, None)
    return last is not None and event_of(last) is Event.SELECTED


def last_stage(messages: Sequence[Placed]) -> str | None:
    """The stage that a sequence of messages has reached, None for one that reaches none."""
    validated = validation_answers(p.message for p in messages)
    for place in range(len(messages) - 1, -1, -1):
        stage = _stage_of(messages[place].message, answers_validation=place in validated)
        if stage == "request" and _asks_again(messages[:place]):
            return "second-request"
        if stage is not None:
            return stage
    return None
