"""NEGOTIATE messages find their answers, and the state table says where that leaves the connection."""

from __future__ import annotations

import pytest

from analyzer.negotiation.exchange import Placed, State
from analyzer.negotiation.pairing import NEXT, Event, event_of, pair_exchanges
from analyzer.smb import smb1, smb2
from analyzer.smb.message import Message
from analyzer.smb.status import NOT_SUPPORTED


def smb1_request(*names: str, mid: int = 0) -> Message:
    body = smb1.NegotiateRequest(0, 0, names)
    return Message("smb1", 0, 100, True, command=0x72, response=False, message_id=mid, body=body)


def smb1_answer(index: int, mid: int = 0) -> Message:
    body = smb1.NegotiateResponse(17, index)
    return Message("smb1", 0, 100, True, command=0x72, response=True, status=0, message_id=mid, body=body)


def smb2_request(*dialects: int, mid: int = 0) -> Message:
    body = smb2.NegotiateRequest(36, len(dialects), 1, 0, 0, 0, bytes(16), 0, 0, 0, dialects)
    return Message("smb2", 0, 100, True, command=0, response=False, message_id=mid, body=body)


def smb2_answer(dialect: int, mid: int = 0, status: int = 0) -> Message:
    fixed = (65, 1, 0, dialect, 0, bytes(16), 0, 65536, 65536, 65536, 0, 0, 128, 0, 0)
    body = None if status else smb2.NegotiateResponse(*fixed)
    return Message("smb2", 0, 100, True, command=0, response=True, status=status, message_id=mid, body=body)


def placed(*messages: Message) -> list[Placed]:
    """The messages in frames 1, 2, 3, ...; requests come from the client."""
    return [Placed(m, not m.response, i, i * 1000) for i, m in enumerate(messages, 1)]


def frames(*messages: Message) -> list[tuple[int | None, int | None, State]]:
    return [
        (e.request and e.request.frame, e.response and e.response.frame, e.state)
        for e in pair_exchanges(placed(*messages))
    ]


@pytest.mark.parametrize(
    ("messages", "want"),
    [
        ((), []),
        ((smb2_request(0x311),), [(1, None, State.WAITING)]),
        ((smb2_request(0x311), smb2_answer(0x311)), [(1, 2, State.ANSWERED)]),
        ((smb2_request(0x311), smb2_answer(0, status=NOT_SUPPORTED)), [(1, 2, State.DENIED)]),
        ((smb1_request("NT LM 0.12"), smb1_answer(0)), [(1, 2, State.ANSWERED)]),
        ((smb1_request("NT LM 0.12"), smb1_answer(0xFFFF)), [(1, 2, State.DENIED)]),
        ((smb1_request("SMB 2.002"), smb2_answer(0x202)), [(1, 2, State.ANSWERED)]),
        (
            (smb1_request("SMB 2.???"), smb2_answer(0x2FF), smb2_request(0x311, mid=1), smb2_answer(0x311, 1)),
            [(1, 2, State.RENEGOTIATE), (3, 4, State.ANSWERED)],
        ),
        ((smb2_answer(0x311),), [(None, 1, State.ANSWERED)]),
        # Captured in the wrong order: the MessageId still tells which is whose.
        ((smb2_answer(0x311), smb2_request(0x311)), [(2, 1, State.ANSWERED)]),
    ],
)
def test_requests_find_their_answers(messages: tuple[Message, ...], want: list[object]) -> None:
    assert frames(*messages) == want


def test_an_answer_goes_to_the_request_with_its_message_id() -> None:
    """Two requests on their way at once, answered in the other order."""
    got = frames(
        smb2_request(0x210, mid=0), smb2_request(0x311, mid=1), smb2_answer(0x311, 1), smb2_answer(0x210, 0)
    )
    assert got == [(1, 4, State.ANSWERED), (2, 3, State.ANSWERED)]


def test_a_second_request_after_a_final_answer_is_not_expected() -> None:
    exchanges = pair_exchanges(placed(smb2_request(0x210), smb2_answer(0x210), smb2_request(0x210, mid=1)))
    assert [(e.expected, e.state) for e in exchanges] == [(True, State.ANSWERED), (False, State.WAITING)]


@pytest.mark.parametrize("state", [State.RENEGOTIATE, State.DENIED])
def test_a_second_request_is_expected_after_a_refusal_or_an_invitation(state: State) -> None:
    assert NEXT[state, Event.ASKED] is State.WAITING


def test_an_answer_whose_body_is_missing_counts_by_its_status() -> None:
    denied = Message("smb2", 0, 100, False, command=0, response=True, status=NOT_SUPPORTED)
    selected = Message("smb2", 0, 100, False, command=0, response=True, status=0)
    assert (event_of(denied), event_of(selected)) == (Event.DENIED, Event.SELECTED)
