"""The first fault of a NEGOTIATE, found as a receiver finds it. [MS-SMB2] 3.2.5.2, 3.3.5.4"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence

import pytest

from analyzer.negotiation.exchange import Exchange, Placed, State
from analyzer.negotiation.faults import offer_whole, request_fault, response_fault
from analyzer.smb.message import Message, messages
from sample_pcaps import messages as m

ALL = (0x0202, 0x0210, 0x0300, 0x0302, 0x0311)
OFFER = (m.preauth("fault"), m.encryption(2, 1), m.signing(2, 1))
CHOICE = (m.preauth("answer"), m.encryption(2), m.signing(2))
BODY = 64                # where a body begins in its message
Change = Callable[[bytearray], None]


def request(dialects: Sequence[int] = ALL, offer: Sequence[m.Context] = OFFER, change: Change | None = None) -> bytes:
    return changed(m.negotiate_request(dialects, "client", offer=offer), change)


def response(
    dialect: int = 0x0311, answer: Sequence[m.Context] = CHOICE, change: Change | None = None, *, mode: int = 3,
    size: int = 65_536, message_id: int = 0,
) -> bytes:
    return changed(m.negotiate_response(
        dialect, "server", 10**18, mode=mode, size=size, answer=answer if dialect == 0x0311 else (), message_id=message_id,
    ), change)  # fmt: skip


def changed(message: bytes, change: Change | None) -> bytes:
    data = bytearray(message)
    if change is not None:
        change(data)
    return bytes(data)


def put(at: int, form: str, value: int) -> Change:
    return lambda data: struct.pack_into(form, data, at, value)


def dissected(message: bytes, have: int | None = None) -> Message:
    packet = m.session(message)
    (found,) = messages([(0, packet if have is None else packet[: 4 + have])], [0])
    return found


def placed(message: Message) -> Placed:
    return Placed(message, not message.response, 1, 0)


REQUESTS: list[tuple[bytes, str]] = [
    (request(), "none"),
    (request((0x0202, 0x0210), ()), "none"),
    (request(change=put(BODY, "<H", 37)), "structure-size"),
    (request((), ()), "no-dialects"),
    (request(change=put(BODY + 2, "<H", 400)), "dialects-overrun"),
    (request((0x0202,), ())[:90], "dialects-overrun"),               # the fixed part itself is short
    (request(offer=()), "preauth-missing"),
    (request(offer=(m.encryption(2),)), "preauth-missing"),
    (request(offer=(m.preauth("a"), m.preauth("b"))), "context"),
    (request(offer=(m.preauth("a", ()),)), "context"),
    (request(offer=(m.preauth("a"), m.encryption())), "context"),
    (request(offer=(m.preauth("a"), m.signing())), "context"),
    (request(offer=(m.preauth("a"), m.compression(0))), "context"),
    (request(offer=(m.preauth("a"), m.rdma())), "context"),
    (request(change=put(BODY + 28, "<I", 117)), "context"),          # not 8-aligned
    (request(change=put(BODY + 28, "<I", 96)), "context"),           # inside the dialects
    (request(change=put(BODY + 28, "<I", 4096)), "context"),         # behind the message
    (request(change=put(BODY + 32, "<H", 9)), "context"),            # more than there are
    (request(change=put(BODY + 32, "<H", 0)), "preauth-missing"),
    # Without 3.1.1 the same bytes are a start time.
    (request((0x0202,), (), put(BODY + 28, "<Q", 0x0102030405060708)), "none"),
    # Legal: unknown types, the order, a length beyond what the arrays need.
    (request(offer=(m.signing(2), (0x00EE, b"x"), m.preauth("a"))), "none"),
    (request(offer=(m.preauth("a"), (8, struct.pack("<HH", 1, 1) + bytes(4)))), "none"),
]


@pytest.mark.parametrize(("message", "fault"), REQUESTS)
def test_faults_of_a_request(message: bytes, fault: str) -> None:
    found = request_fault(placed(dissected(message)))
    assert found is not None
    assert found[0] == fault


RESPONSES: list[tuple[bytes, str]] = [
    (response(), "none"),
    (response(0x0302), "none"),
    (response(change=put(BODY, "<H", 64)), "fixed"),
    (response(0x0302, mode=0), "fixed"),
    (response(0x0302, mode=2), "fixed"),
    (response(0x0302, mode=1), "none"),
    (response(0x0302, size=0), "fixed"),
    (response(0x0302, size=65_535), "sizes"),
    (response(0x0399), "dialect"),
    (response(0x02FF), "dialect"),
    (response(0x0302, change=put(BODY + 58, "<H", 9999)), "security-buffer"),
    (response(0x0302, change=lambda d: d.__setitem__(slice(128, None), b"nothing" * 20)), "security-buffer"),
    (response(answer=()), "preauth-missing"),
    (response(answer=(m.encryption(2),)), "preauth-missing"),
    (response(answer=(m.preauth("a", (1, 1)),)), "context"),
    (response(answer=(m.preauth("a", (2,)),)), "context"),
    (response(answer=(m.preauth("a"), m.encryption(2, 1))), "context"),
    (response(answer=(m.preauth("a"), m.encryption(4))), "context"),     # not offered
    (response(answer=(m.preauth("a"), m.encryption(0))), "none"),        # none in common
    (response(answer=(m.preauth("a"), m.signing(0))), "signing-algorithm"),
    (response(answer=(m.preauth("a"), m.signing(1))), "none"),
    (response(answer=(m.signing(2), m.encryption(1), m.preauth("a"))), "none"),
    (response(size=65_535), "sizes"),
    # The first one counts.
    (response(0x0399, mode=0, size=1), "fixed"),
    (response(answer=(), size=1), "preauth-missing"),
]


@pytest.mark.parametrize(("message", "fault"), RESPONSES)
def test_faults_of_an_answer(message: bytes, fault: str) -> None:
    asked, told = placed(dissected(request())), placed(dissected(message))
    found = response_fault(Exchange(asked, told, State.ANSWERED))
    assert found is not None
    assert found[0] == fault


@pytest.mark.parametrize(("names", "dialect", "fault"), [
    (("NT LM 0.12", "SMB 2.002"), 0x0202, "none"),
    (("NT LM 0.12", "SMB 2.???"), 0x02FF, "none"),
    (("NT LM 0.12", "SMB 2.???"), 0x0202, "dialect"),
    (("NT LM 0.12", "SMB 2.002"), 0x02FF, "dialect"),
    (("NT LM 0.12", "SMB 2.002", "SMB 2.???"), 0x0210, "dialect"),
])  # fmt: skip
def test_an_smb2_answer_to_smb1_names(names: Sequence[str], dialect: int, fault: str) -> None:
    asked, told = placed(dissected(m.smb1_negotiate(names))), placed(dissected(response(dialect)))
    found = response_fault(Exchange(asked, told, State.ANSWERED))
    assert found is not None
    assert found[0] == fault


@pytest.mark.parametrize("message", [message for message, fault in REQUESTS if fault == "none"])
def test_a_cut_request_is_never_accused(message: bytes) -> None:
    for have in range(4, len(message)):
        found = request_fault(placed(dissected(message, have)))
        assert found is None or found[0] == "none"


@pytest.mark.parametrize("message", [message for message, fault in RESPONSES if fault == "none"])
def test_a_cut_answer_is_never_accused(message: bytes) -> None:
    asked = placed(dissected(request()))
    for have in range(4, len(message)):
        found = response_fault(Exchange(asked, placed(dissected(message, have)), State.ANSWERED))
        assert found is None or found[0] == "none"


def test_an_answer_is_not_measured_by_a_cut_offer() -> None:
    whole = request()
    for have in range(64, len(whole)):
        asked = placed(dissected(whole, have))
        for answer in (response(), response(0x0302), response(0x0202)):
            found = response_fault(Exchange(asked, placed(dissected(answer)), State.ANSWERED))
            assert found is not None
            assert found[0] == "none", have


def test_an_offer_is_whole_once_its_dialects_are() -> None:
    whole = request()
    end = BODY + 36 + 2 * len(ALL)
    assert [offer_whole(dissected(whole, have)) for have in (end - 2, end - 1, end, end + 1)] == [False, False, True, True]
    names = m.smb1_negotiate(["NT LM 0.12"])
    assert not offer_whole(dissected(names, len(names) - 1))
    assert offer_whole(dissected(names))


def test_without_3_1_1_nothing_behind_the_dialects_can_be_wrong() -> None:
    old = m.negotiate_request((0x0202, 0x0210), "client") + bytes(20)
    assert request_fault(placed(dissected(old, len(old) - 10))) == ("none", "nothing")
    assert request_fault(placed(dissected(old, BODY + 38))) is None
    new = request()
    assert request_fault(placed(dissected(new, len(new) - 1))) is None


def test_an_error_and_an_unread_answer_have_no_fault() -> None:
    asked = placed(dissected(request()))
    assert response_fault(Exchange(asked, placed(dissected(m.error(0, 0xC00000BB, 0))), State.DENIED)) is None
    assert response_fault(Exchange(asked, None, State.WAITING)) is None
    assert response_fault(None) is None
    assert request_fault(None) is None
