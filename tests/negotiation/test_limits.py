"""Every limit in time, size and number, from both of its sides."""

from __future__ import annotations

import pytest

from sample_pcaps import messages as m
from sample_pcaps.conversation import Conversation, in_time_order
from sample_pcaps.peers import SESSION, authenticate, leave, logon, tree
from tests.talks import ACK, NOT_SUPPORTED, PSH, RST, SYN, answer, ask, ask_smb1, refuse, said, talk, verdicts

SECOND_MS = 1000


@pytest.mark.parametrize(("ms", "causes"), [
    (4_990, ("client-gave-up",)),
    (5_010, ("negotiate-unanswered", "client-gave-up")),
])  # fmt: skip
def test_a_client_that_waits_five_seconds_was_not_answered(ms: float, causes: tuple[str, ...]) -> None:
    (record,) = verdicts(ask(talk()).wait(ms).close("c"))
    assert record.causes == causes


@pytest.mark.parametrize(("ms", "causes", "candidates"), [
    (4_900, (), ("negotiate-unanswered",)),
    (5_100, ("negotiate-unanswered",), ()),
])  # fmt: skip
def test_a_capture_that_goes_on_for_five_seconds_shows_that_no_answer_came(
    ms: float, causes: tuple[str, ...], candidates: tuple[str, ...]
) -> None:
    later = Conversation("later", talk().client, talk().server, client_port=60_000, server_port=80).wait(ms)
    later.segment("c", SYN)
    (record,) = said(in_time_order(ask(talk()).frames, later.frames))
    assert (record.causes, record.candidates) == (causes, candidates)


@pytest.mark.parametrize(("ms", "causes"), [(4_900, ()), (5_100, ("renegotiation-missing",))])
def test_a_second_negotiate_that_is_waited_for(ms: float, causes: tuple[str, ...]) -> None:
    asked = answer(ask_smb1(talk()), 0x02FF)
    later = Conversation("later", talk().client, talk().server, client_port=60_000, server_port=80).wait(ms)
    later.segment("c", SYN)
    (record,) = said(in_time_order(asked.frames, later.frames))
    assert record.causes == causes
    assert ("renegotiation-missing" in record.candidates) == (not causes)


@pytest.mark.parametrize(("copies", "causes"), [(3, ()), (4, ("negotiate-unanswered",))])
def test_a_request_that_is_sent_again_three_times_does_not_get_through(copies: int, causes: tuple[str, ...]) -> None:
    c = talk()
    packet = m.session(m.negotiate_request((0x0210,), c.client.name))
    for number in range(copies):
        if number:
            c.next["c"] -= len(packet)
        c.segment("c", PSH | ACK, packet)
        c.wait(300)
    (record,) = verdicts(c)
    assert record.causes == causes


def test_copies_of_a_mirror_port_are_no_retransmissions() -> None:
    c = talk()
    packet = m.session(m.negotiate_request((0x0210,), c.client.name))
    for number in range(6):
        if number:
            c.next["c"] -= len(packet)
        c.segment("c", PSH | ACK, packet)
        c.wait(0.01)
    (record,) = verdicts(c)
    assert record.causes == ()


@pytest.mark.parametrize(("ms", "slow"), [(980, False), (1_020, True)])
def test_an_answer_after_a_second_is_slow(ms: float, slow: bool) -> None:
    (record,) = verdicts(leave(tree(logon(answer(ask(talk()).wait(ms))))))
    assert ("slow-response" in record.warnings) is slow


def test_the_round_trip_of_the_handshake_is_not_the_servers_delay() -> None:
    far = Conversation("far", talk().client, talk().server, rtt_ms=900).open()
    (record,) = verdicts(answer(ask(far).wait(300)))
    assert "slow-response" not in record.warnings


@pytest.mark.parametrize(("seconds", "skewed"), [(-301, True), (-299, False), (0, False), (299, False), (301, True)])
def test_a_clock_five_minutes_off_is_worth_a_warning(seconds: int, skewed: bool) -> None:
    c = ask(talk())
    then = c.now + seconds * 1_000_000_000
    c.say("s", m.session(m.negotiate_response(0x0311, c.server.name, then, mode=3, answer=[m.preauth("x")])))
    (record,) = verdicts(leave(tree(logon(c))))
    assert ("clock-skew" in record.warnings) is skewed


def test_a_clock_that_stands_still_is_no_clock() -> None:
    c = ask_smb1(talk())
    then = c.now - 10**12
    c.say("s", m.session(m.negotiate_response(0x02FF, c.server.name, then, mode=3)))
    ask(c.wait(200), message_id=1)
    c.say("s", m.session(m.negotiate_response(
        0x0311, c.server.name, then, mode=3, answer=[m.preauth("x")], message_id=1)))
    (record,) = verdicts(leave(tree(logon(c))))
    assert "clock-skew" not in record.warnings


@pytest.mark.parametrize(("size", "small"), [(65_535, True), (65_536, False)])
def test_64_kib_are_enough(size: int, small: bool) -> None:
    (record,) = verdicts(leave(tree(logon(answer(ask(talk(), (0x0210,)), 0x0210, size=size)))))
    assert ("max-size-too-small" in record.warnings) is small


@pytest.mark.parametrize(("ms", "outcome"), [(4_900, "failed"), (5_100, "unused")])
@pytest.mark.parametrize("reset", [True, False])
def test_a_server_that_closes_at_once_was_not_idle(ms: float, outcome: str, reset: bool) -> None:
    c = talk().wait(ms)
    (record,) = verdicts(c.reset("s") if reset else c.close("s"))
    assert record.outcome == outcome


@pytest.mark.parametrize(("ms", "severity"), [(500, "info"), (1_500, "error")])
def test_a_race_is_over_after_a_second(ms: float, severity: str) -> None:
    lost = Conversation("talk", talk().client, talk().server, client_port=50_200, server_port=139).wait(ms)
    lost.segment("c", SYN)
    lost.wait(0.3)
    lost.reset("s")
    records = verdicts(leave(tree(logon(answer(ask(talk()))))), lost)
    assert records[1].findings[0].severity == severity


@pytest.mark.parametrize(("offers", "outcome"), [
    ([(0x0202,), (0x0210,)], "failed"),
    ([(0x0210,), (0x0210,), (0x0210,)], "failed"),
    ([(0x0202,), (0x0210,), (0x0300,)], "negotiated"),
])  # fmt: skip
def test_three_unequal_probes_are_a_scanner(offers: list[tuple[int, ...]], outcome: str) -> None:
    probes = [
        answer(ask(talk(client_port=50_200 + i, after_ms=2_000 * i), offer), offer[0]).close("c")
        for i, offer in enumerate(offers)
    ]
    assert {record.outcome for record in verdicts(*probes)} == {outcome}


@pytest.mark.parametrize(("ms", "waited"), [(4_900, False), (5_100, True)])
def test_a_logon_that_waits_five_seconds(ms: float, waited: bool) -> None:
    (record,) = verdicts(authenticate(answer(ask(talk()))).wait(ms).close("c"))
    assert ("session-setup-unanswered" in record.warnings) is waited


def test_a_logon_that_waits_for_its_final_answer_is_pending() -> None:
    c = authenticate(answer(ask(talk())))
    c.say("s", m.session(m.error(1, 0x103, 2, session_id=SESSION)))
    (record,) = verdicts(c.wait(9_000).close("c"))
    assert "session-setup-unanswered" not in record.warnings


@pytest.mark.parametrize(("after_ms", "severity"), [(400, "warning"), (-3_000, "error")])
def test_a_client_that_gets_through_later_gave_up_without_loss(after_ms: float, severity: str) -> None:
    gave_up = ask(talk(client_port=50_150, after_ms=max(0, -after_ms))).wait(100).close("c")
    through = leave(tree(logon(answer(ask(talk(after_ms=max(0, after_ms)))))))
    record = next(r for r in verdicts(gave_up, through) if r.client.endswith(":50150"))
    assert (record.causes, record.findings[0].severity) == (("client-gave-up",), severity)


def test_a_reset_from_elsewhere_is_known_by_its_ttl() -> None:
    c = ask(talk())
    c.server.ttl = 250
    (record,) = verdicts(c.reset("s"))
    assert record.causes == ("server-reset",)
    assert "another TTL" in record.findings[0].summary
    (plain,) = verdicts(ask(talk()).reset("s"))
    assert "TTL" not in plain.findings[0].summary


def test_a_refusal_that_bytes_follow_which_were_not_captured_is_not_the_last_word() -> None:
    c = refuse(ask(talk(), (0x0399,)), NOT_SUPPORTED)
    before = len(c.frames)
    ask(c, message_id=1)
    after = len(c.frames)
    answer(c, message_id=1)
    leave(tree(logon(c)))
    c.frames = [f for i, f in enumerate(c.frames) if not before <= i < after + 2]
    (record,) = verdicts(c)
    assert (record.outcome, record.causes, record.warnings) == ("incomplete", (), ("capture-gap",))


def test_a_reset_that_acknowledges_what_was_not_captured_hides_what_it_was() -> None:
    c = ask(talk())
    before = len(c.frames)
    answer(c)
    c.frames = c.frames[:before]
    c.segment("c", RST | ACK)
    (record,) = verdicts(c)
    assert (record.outcome, record.causes, record.warnings) == ("incomplete", (), ("capture-gap",))
