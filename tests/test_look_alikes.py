"""What real peers do, and what looks like a fault and is none: each case is a conversation and what is said of it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from analyzer.report.record import ConnectionRecord
from sample_pcaps import messages as m
from sample_pcaps.conversation import Conversation
from sample_pcaps.peers import (
    ALL_DIALECTS,
    SESSION,
    authenticate,
    healthy,
    leave,
    logon,
    tree,
    usual_answer,
    usual_offer,
)
from tests.talks import (
    ACCESS_DENIED,
    ACK,
    CIFS,
    FIN,
    INVALID_PARAMETER,
    NOT_SUPPORTED,
    PENDING,
    PSH,
    RST,
    SYN,
    answer,
    answer_nt,
    ask,
    ask_smb1,
    refuse,
    talk,
    tree_refused,
    verdicts,
)

KEEP_ALIVE = b"\x85\0\0\0"


def only(c: Conversation) -> ConnectionRecord:
    (record,) = verdicts(c)
    return record


def came_up(c: Conversation, *warnings: str) -> None:
    record = only(c)
    assert (record.outcome, record.causes) == ("negotiated", ())
    assert set(record.warnings) == set(warnings)


# -- healthy, whatever it looks like


def windows_start(c: Conversation) -> Conversation:
    return answer(ask(answer(ask_smb1(c), 0x02FF), message_id=1), message_id=1)


def posix(c: Conversation) -> Conversation:
    offer = [*usual_offer(c), (0x0100, m.noise("posix", 16))]
    return answer(ask(c, offer=offer))


def contexts_in_any_order(c: Conversation) -> Conversation:
    return answer(ask(c, offer=usual_offer(c)[::-1]), contexts=usual_answer(c)[::-1])


def unknown_contexts(c: Conversation) -> Conversation:
    strange = (0x00EE, b"whatever")
    return answer(ask(c, offer=[*usual_offer(c), strange]), contexts=[*usual_answer(c), strange])


def padded_signing(c: Conversation) -> Conversation:
    kind, data = m.signing(2, 1)
    return answer(ask(c, offer=[*usual_offer(c)[:-1], (kind, data.ljust(8, b"\0"))]))


def no_token(c: Conversation) -> Conversation:
    """Azure: SecurityBufferOffset and Length are both 0."""
    c = ask(c, (0x0202, 0x0210, 0x0302))
    packet = bytearray(m.session(m.negotiate_response(0x0302, c.server.name, c.now, mode=3, token=b"", capabilities=0x6F)))
    packet[4 + 64 + 56 : 4 + 64 + 58] = b"\0\0"
    return c.say("s", bytes(packet))


def encryption_bit(c: Conversation) -> Conversation:
    """NetApp sets the capability in 3.1.1, where contexts say it."""
    return answer(ask(c), capabilities=0x6F)


def pending_negotiate(c: Conversation) -> Conversation:
    return answer(refuse(ask(c), PENDING))


def keep_alives(c: Conversation) -> Conversation:
    return answer(ask(c).say("s", KEEP_ALIVE)).say("s", KEEP_ALIVE).say("c", KEEP_ALIVE)


def one_byte_segments(c: Conversation) -> Conversation:
    packet = m.session(m.negotiate_request(ALL_DIALECTS, c.client.name, offer=usual_offer(c)))
    return answer(c.say("c", packet, cuts=range(1, len(packet))))


def length_in_its_own_segment(c: Conversation) -> Conversation:
    packet = m.session(m.negotiate_request(ALL_DIALECTS, c.client.name, offer=usual_offer(c)))
    return answer(c.say("c", packet, cuts=[4]))


def retried_after_refusal(c: Conversation) -> Conversation:
    """Conformance N7: another NEGOTIATE may follow on the connection."""
    return answer(ask(refuse(ask(c, (0x0399,)), NOT_SUPPORTED), message_id=1), message_id=1)


def retried_after_zero(c: Conversation) -> Conversation:
    """Conformance N9."""
    return answer(ask(refuse(ask(c, ()), INVALID_PARAMETER), message_id=1), message_id=1)


STARTS: list[Callable[[Conversation], Conversation]] = [
    windows_start, posix, contexts_in_any_order, unknown_contexts, padded_signing, no_token, encryption_bit,
    pending_negotiate, keep_alives, one_byte_segments, length_in_its_own_segment, retried_after_refusal,
    retried_after_zero,
]  # fmt: skip


@pytest.mark.parametrize("start", STARTS)
@pytest.mark.parametrize("end", [
    lambda c: leave(tree(logon(c))),
    lambda c: tree(logon(c)),
    lambda c: logon(c).close("c"),
    lambda c: tree(logon(c)).reset("c"),
    lambda c: tree(logon(c)).reset("s"),
    lambda c: tree(logon(c)).close("s"),
    lambda c: c,
])  # fmt: skip
def test_an_odd_start_is_no_fault(
    start: Callable[[Conversation], Conversation], end: Callable[[Conversation], Conversation]
) -> None:
    record = only(end(start(talk())))
    assert (record.outcome, record.causes) == ("negotiated", ())
    assert set(record.warnings) <= {"signing-not-required"}


def test_interim_answers_of_the_logon_are_not_final() -> None:
    c = authenticate(answer(ask(talk())))
    c.say("s", m.session(m.error(1, PENDING, 2, session_id=SESSION)))
    came_up(leave(tree(c.wait(8000).say("s", m.session(m.session_setup_response(
        m.spnego_next(0), 2, SESSION, signed=True))))))


def test_an_encrypted_session_is_not_judged_further() -> None:
    c = logon(answer(ask(talk(), mode=1), mode=1))
    sealed = m.session(b"\xfdSMB" + m.noise("sealed", 120))
    came_up(c.say("c", sealed).say("s", sealed).reset("s"))


def test_a_validated_negotiation() -> None:
    c = tree(logon(answer(ask(talk(), (0x0300, 0x0302)), 0x0302)))
    c.say("c", m.session(m.validate_request((0x0300, 0x0302), c.client.name, 4, SESSION)))
    came_up(leave(c.say("s", m.session(m.validate_response(0x0302, c.server.name, 4, SESSION, mode=3)))))


def test_a_client_that_only_checks_a_logon() -> None:
    came_up(logon(answer(ask(talk(), (0x0202, 0x0210)), 0x0210)).close("c"))


def test_alternate_channels_offer_one_dialect() -> None:
    first = healthy(talk())
    second = answer(ask(talk(client_port=50_123, after_ms=50), (0x0302,)), 0x0302)
    records = verdicts(first, leave(tree(logon(second))))
    assert [(r.outcome, r.causes, r.warnings) for r in records] == [("negotiated", (), ())] * 2


def test_a_race_of_both_ports_leaves_the_loser_harmless() -> None:
    other = Conversation("talk", talk().client, talk().server, client_port=50_200, server_port=139).wait(5)
    other.segment("c", SYN)
    other.wait(0.3)
    other.reset("s")
    won, lost = verdicts(healthy(talk()), other)
    assert (won.outcome, won.causes) == ("negotiated", ())
    assert (lost.outcome, lost.causes, lost.findings[0].severity) == ("no-connection", ("tcp-refused",), "info")


def test_the_port_that_a_race_does_not_need() -> None:
    won, lost = verdicts(healthy(talk()), talk(139, client_port=50_200, after_ms=5).wait(10).close("c"))
    assert (won.outcome, lost.outcome, lost.causes, lost.warnings) == ("negotiated", "unused", (), ("no-smb-data",))


@pytest.mark.parametrize("end", [
    lambda c: c.close("c"),
    lambda c: c.reset("c"),
    lambda c: c.wait(60_000).close("s"),
    lambda c: c.wait(60_000).reset("s"),
    lambda c: c.wait(30_000).close("c"),
])  # fmt: skip
def test_a_connection_without_a_byte_is_unused(end: Callable[[Conversation], Conversation]) -> None:
    record = only(end(talk()))
    assert (record.outcome, record.causes, record.warnings) == ("unused", (), ("no-smb-data",))


def test_a_half_open_scan_is_unused() -> None:
    c = Conversation("talk", talk().client, talk().server)
    c.segment("c", SYN)
    c.segment("s", SYN | ACK)
    c.segment("c", RST)
    record = only(c)
    assert (record.outcome, record.causes, record.warnings) == ("unused", (), ("no-smb-data",))


def test_a_lone_syn_decides_nothing() -> None:
    c = Conversation("talk", talk().client, talk().server)
    c.segment("c", SYN)
    record = only(c)
    assert (record.outcome, record.causes, record.candidates) == ("incomplete", (), ("tcp-unanswered",))


def test_a_request_in_the_syn() -> None:
    """TCP Fast Open. RFC 7413"""
    c = Conversation("talk", talk().client, talk().server)
    c.segment("c", SYN, m.session(m.negotiate_request((0x0202, 0x0210), c.client.name)))
    c.wait(0.3)
    c.segment("s", SYN | ACK)
    c.segment("c", ACK)
    came_up(leave(tree(logon(answer(c.wait(1), 0x0210)))))


def netbios(c: Conversation, name: str) -> Conversation:
    names = m.netbios_name(name, 0x20) + m.netbios_name("WS-042", 0)
    return c.say("c", b"\x81\0" + len(names).to_bytes(2, "big") + names)


def test_a_second_netbios_name_is_accepted() -> None:
    c = netbios(talk(139), "ALIAS").say("s", b"\x83\0\0\x01\x82")
    c = netbios(c, "*SMBSERVER").say("s", b"\x82\0\0\0")
    record = only(leave(tree(logon(answer(ask(c))))))
    assert (record.outcome, record.causes, record.warnings) == ("negotiated", (), ("netbios-session-rejected",))
    assert record.findings[0].severity == "info"


def test_a_refused_netbios_name_and_a_second_connection() -> None:
    first = netbios(talk(139), "ALIAS").say("s", b"\x83\0\0\x01\x82").close("s")
    second = netbios(talk(139, client_port=50_123, after_ms=40), "*SMBSERVER").say("s", b"\x82\0\0\0")
    refused, taken = verdicts(first, leave(tree(logon(answer(ask(second))))))
    assert (refused.causes, refused.findings[0].severity) == (("netbios-session-rejected",), "info")
    assert (taken.outcome, taken.causes) == ("negotiated", ())


def test_a_scanner_is_no_client_that_rejects() -> None:
    offers = [(0x0202,), (0x0210,), (0x0300,), (0x0302,)]
    probes = [
        answer(ask(talk(client_port=50_200 + i, after_ms=50 * i), offer), offer[0]).close("c")
        for i, offer in enumerate(offers)
    ]
    assert [(r.outcome, r.causes) for r in verdicts(*probes)] == [("negotiated", ())] * 4


def test_a_ladder_of_retries_keeps_the_cause_of_each_try() -> None:
    tries = [
        refuse(ask(talk(client_port=50_300 + i, after_ms=90 * i), (dialect,)), NOT_SUPPORTED).close("c")
        for i, dialect in enumerate((0x0302, 0x0300))
    ]
    last = healthy(talk(client_port=50_309, after_ms=400))
    assert [(r.outcome, r.causes) for r in verdicts(*tries, last)] == [
        ("failed", ("no-common-dialect",)), ("failed", ("no-common-dialect",)), ("negotiated", ())]  # fmt: skip


def test_ten_keep_alive_probes_of_tcp_are_no_data() -> None:
    c = answer(ask(talk()))
    c.next["c"] -= 1
    c.segment("c", ACK, b"\0")
    came_up(leave(tree(logon(c.wait(75_000)))))


def test_a_retransmitted_request_is_no_second_one() -> None:
    c = ask(talk())
    again = [f for f in c.frames if len(f[1]) > 150][-1]
    c.frames.append((c.now, again[1]))
    came_up(leave(tree(logon(answer(c.wait(1))))))


def test_a_client_that_comes_back_and_gets_through_was_only_asking() -> None:
    asked = answer(ask(talk())).close("c")
    first, second = verdicts(asked, healthy(talk(client_port=50_124, after_ms=30)))
    assert (first.outcome, first.causes, second.outcome) == ("negotiated", (), "negotiated")


def test_late_acknowledgement_by_a_reset_of_the_client_is_normal() -> None:
    c = tree(logon(answer(ask(talk()))))
    c.segment("c", FIN | ACK)
    c.segment("s", PSH | ACK, m.session(m.logoff(5, SESSION, answer=True)))
    came_up(c.reset("c"))


# -- what broke it


def denied_share(c: Conversation) -> Conversation:
    return tree_refused(logon(answer(ask(c))), ACCESS_DENIED).close("c")


def wrong_share(c: Conversation) -> Conversation:
    return tree_refused(logon(answer(ask(c))), 0xC00000CC).close("c")


def dfs(c: Conversation) -> Conversation:
    return tree_refused(logon(answer(ask(c))), 0xC0000257).close("c")


def validate(c: Conversation, dialects: tuple[int, ...], selected: int) -> Conversation:
    c = tree(logon(answer(ask(c, dialects), selected)))
    return c.say("c", m.session(m.validate_request(dialects, c.client.name, 4, SESSION)))


def hosts_deny(c: Conversation) -> Conversation:
    c.say("s", b"\x83\0\0\x01\x81", acknowledged=False)
    c.segment("s", FIN | ACK)
    return ask(c).reset("s")


def gave_up_late_answer(c: Conversation) -> Conversation:
    ask(c)
    c.wait(900).segment("c", FIN | ACK)
    c.wait(50)
    return answer(c).reset("c")


CAUSES: list[tuple[str, Callable[[Conversation], Conversation], tuple[str, ...]]] = [
    ("N4 reset", lambda c: ask_smb1(c, CIFS).reset("s"), ("smb1-only-client", "server-reset")),
    ("N4 drop", lambda c: ask_smb1(c, CIFS).close("s"), ("smb1-only-client",)),
    ("N5 empty list", lambda c: ask_smb1(c, ()).close("s"), ("server-closed",)),
    ("N7", lambda c: refuse(ask(c, (0x0399,)), NOT_SUPPORTED).close("c"), ("no-common-dialect",)),
    ("N8", lambda c: refuse(ask(c, (0x02FF,)), NOT_SUPPORTED).close("c"), ("wildcard-in-smb2", "no-common-dialect")),
    ("N9", lambda c: refuse(ask(c, ()), INVALID_PARAMETER).close("c"), ("invalid-parameter",)),
    ("N10", lambda c: ask(answer(ask(c)), message_id=1).close("s"), ("duplicate-negotiate",)),
    ("N11", lambda c: ask_smb1(answer(ask(c))).close("s"), ("duplicate-negotiate",)),
    ("N18", lambda c: refuse(ask(c, offer=[m.preauth("x", [0xFFFF])]), 0xC05D0000).close("c"), ("no-common-hash",)),
    ("N20", lambda c: refuse(ask(c, offer=[m.encryption(2)]), INVALID_PARAMETER).close("c"),
     ("preauth-context-missing", "invalid-parameter")),
    ("N21", lambda c: refuse(ask(c, offer=[m.compression(0, 1)]), INVALID_PARAMETER).close("c"),
     ("preauth-context-missing", "invalid-parameter")),
    ("N22", lambda c: refuse(ask(c, offer=[m.encryption(2), m.compression(0, 1)]), INVALID_PARAMETER).close("c"),
     ("preauth-context-missing", "invalid-parameter")),
    ("N23", lambda c: refuse(ask(c, offer=[m.preauth("x"), (3, b"\1\0")]), INVALID_PARAMETER).close("c"),
     ("malformed-context", "invalid-parameter")),
    ("N24", lambda c: refuse(ask(c, offer=[m.preauth("x"), m.compression(0)]), INVALID_PARAMETER).close("c"),
     ("malformed-context", "invalid-parameter")),
    ("N25 short", lambda c: refuse(ask(c, offer=[m.preauth("x"), (7, b"\1\0")]), INVALID_PARAMETER).close("c"),
     ("malformed-context", "invalid-parameter")),
    ("N25 none", lambda c: refuse(ask(c, offer=[m.preauth("x"), m.rdma()]), INVALID_PARAMETER).close("c"),
     ("malformed-context", "invalid-parameter")),
    ("no cipher in the list", lambda c: refuse(ask(c, offer=[m.preauth("x"), m.encryption()]), INVALID_PARAMETER).close("c"),
     ("malformed-context", "invalid-parameter")),
    ("V2 to V6", lambda c: validate(c, (0x0300, 0x0302), 0x0302).close("s"), ("validate-negotiate-mismatch",)),
    ("V3 lower", lambda c: validate(c, (0x0300, 0x0302), 0x0300).close("s"), ("validate-negotiate-mismatch", "downgrade")),
    ("V8", lambda c: validate(c, ALL_DIALECTS, 0x0311).close("s"), ("validate-negotiate-mismatch",)),
    ("C2 on 445", lambda c: answer(ask_smb1(c), 0x02FF).close("c"), ("renegotiation-missing",)),
    ("C3", lambda c: answer(ask(c, (0x0300, 0x0302)), 0x0210).close("c"), ("dialect-not-offered", "client-rejected-response")),
    ("C4", lambda c: answer(ask(c, (0x0210,)), 0x0210, size=65_535).close("c"),
     ("max-size-too-small", "client-rejected-response")),
    ("S2", lambda c: tree_refused(logon(answer(ask(c), mode=1)), ACCESS_DENIED, signed=False).close("s"),
     ("tree-connect-unsigned",)),
    ("S1 first", lambda c: c.say("c", m.session(m.tree_connect_request(r"\\a\b", 0, 0))).close("s"),
     ("request-before-negotiate",)),
    ("0xFFFF to SMB2 strings", lambda c: ask_smb1(c).say("s", m.session(m.smb1_answer_core(0xFFFF))).close("s"),
     ("no-common-dialect",)),
    ("0xFFFF to SMB1 names", lambda c: ask_smb1(c, CIFS).say("s", m.session(m.smb1_answer_core(0xFFFF))).close("s"),
     ("smb1-only-client",)),
    ("hosts deny on 445", hosts_deny, ("netbios-session-rejected",)),
    ("closed right after accept", lambda c: c.close("s"), ("server-closed",)),
    ("reset right after accept", lambda c: c.reset("s"), ("server-reset",)),
    ("a bare FIN", lambda c: ask(c).close("s"), ("server-closed",)),
    ("RST", lambda c: ask(c).reset("s"), ("server-reset",)),
    ("left soon", lambda c: ask(c).wait(800).close("c"), ("client-gave-up",)),
    ("left late", lambda c: ask(c).wait(20_000).close("c"), ("negotiate-unanswered", "client-gave-up")),
    ("nobody leaves", lambda c: ask(c).wait(9_000).say("c", KEEP_ALIVE), ("negotiate-unanswered",)),
    ("the answer came too late", gave_up_late_answer, ("client-gave-up",)),
    ("SMB1 chosen", lambda c: answer_nt(ask_smb1(c), 0, mode=3).close("c"), ("smb1-only-reply",)),
    ("SMB1 chosen, signing required", lambda c: answer_nt(ask_smb1(c), 0, mode=0x0F).close("c"), ("smb1-only-reply",)),
    ("left after the answer", lambda c: answer(ask(c)).close("c"), ("client-rejected-response",)),
    ("TLS answers", lambda c: ask(c).say("s", b"\x15\x03\x01\0\2\2\x46").close("s"), ("not-smb",)),
    ("an exploit", lambda c: c.say("c", b"\0\0\xff\xf7BAAA" + bytes(124)).wait(50).close("c"), ("not-smb",)),
    ("rights or encryption", denied_share, ()),
    ("no such share", wrong_share, ()),
    ("a DFS referral", dfs, ()),
]  # fmt: skip


@pytest.mark.parametrize(("talked", "causes"), [case[1:] for case in CAUSES], ids=[case[0] for case in CAUSES])
def test_what_broke_it(talked: Callable[[Conversation], Conversation], causes: tuple[str, ...]) -> None:
    record = only(talked(talk()))
    assert record.causes == causes
    if causes:
        assert (record.outcome, record.warnings) == ("not-smb" if "not-smb" in causes else "failed", ())
    else:
        assert record.outcome == "negotiated"


def test_a_share_that_refuses_a_client_without_encryption_is_not_decided() -> None:
    record = only(tree_refused(logon(answer(ask(talk(), (0x0202, 0x0210)), 0x0210)), ACCESS_DENIED).close("c"))
    assert (record.outcome, record.causes) == ("negotiated", ())
    assert {"encryption-required"} <= set(record.candidates)
    assert "tree-connect-failed" in record.warnings


def test_the_server_requires_encryption_of_every_session() -> None:
    c = authenticate(answer(ask(talk(), (0x0202, 0x0210)), 0x0210))
    record = only(c.say("s", m.session(m.error(1, ACCESS_DENIED, 2, session_id=SESSION))).close("c"))
    assert (record.causes, record.confidence) == (("encryption-required",), "likely")


def test_a_wrong_password_is_a_healthy_negotiation() -> None:
    c = authenticate(answer(ask(talk())))
    record = only(c.say("s", m.session(m.error(1, 0xC000006D, 2, session_id=SESSION))).close("c"))
    assert (record.outcome, record.causes, record.warnings) == ("negotiated", (), ("session-setup-failed",))


def test_a_second_password_that_is_right() -> None:
    c = authenticate(answer(ask(talk())))
    c.say("s", m.session(m.error(1, 0xC000006D, 2, session_id=SESSION)))
    came_up(leave(tree(logon(c))))


def zero_guid(c: Conversation) -> Conversation:
    return c.say("s", m.session(m.negotiate_response(
        0x0311, c.server.name, c.now, mode=3, answer=usual_answer(c)).replace(m.guid(c.server.name), bytes(16))))


@pytest.mark.parametrize(("dialects", "beside", "causes", "confidence"), [
    ((0x0202,), True, ("no-common-dialect",), "likely"),
    ((0x0202,), False, ("server-limit",), "proven"),
    ((0x0202, 0x0210), True, ("server-limit",), "proven"),
])  # fmt: skip
def test_a_server_that_sends_one_status_for_every_failure(
    dialects: tuple[int, ...], beside: bool, causes: tuple[str, ...], confidence: str
) -> None:
    """ksmbd: STATUS_INSUFFICIENT_RESOURCES, and a ServerGuid of zeros on its other connections."""
    refused = refuse(ask(talk(client_port=50_130), dialects), 0xC000009A).close("c")
    other = ask(talk(number=43, after_ms=2000))
    other = leave(tree(logon(zero_guid(other) if beside else answer(other))))
    record = next(r for r in verdicts(refused, other) if r.client.endswith(":50130"))
    assert (record.causes, record.confidence) == (causes, confidence)


def test_port_139_asks_a_client_of_3_1_1_to_come_back_on_445() -> None:
    assert only(answer(ask_smb1(talk(139)), 0x02FF).close("c")).causes == ()


def test_impacket_refuses_smb1_in_the_data_bytes() -> None:
    """WordCount 0 and FF FF in the data is read as index 0xFFFF."""
    header = m.smb1_answer_core(0)[:32]
    record = only(ask_smb1(talk(), CIFS).say("s", m.session(header + b"\0\2\0\xff\xff")).close("c"))
    assert record.causes == ("smb1-only-client",)


def test_a_caught_up_downgrade_is_a_warning_of_the_lowered_connection() -> None:
    low = leave(tree(logon(answer(ask(talk(client_port=50_140)), 0x0210))))
    high = healthy(talk(client_port=50_141, after_ms=3000))
    first, second = verdicts(low, high)
    assert (first.outcome, first.causes, first.warnings) == ("negotiated", (), ("downgrade",))
    assert (second.causes, second.warnings) == ((), ())


def asks_for_a_challenge(c: Conversation) -> Conversation:
    return c.say("c", m.session(m.session_setup_request(m.spnego_init([m.NTLMSSP_OID], m.ntlm_negotiate()), 1)))


@pytest.mark.parametrize("end", [
    lambda c: c.wait(60_000).close("s"),
    lambda c: c.wait(60_000).reset("s"),
    lambda c: asks_for_a_challenge(c).close("s"),
    lambda c: authenticate(c).close("s"),
    lambda c: authenticate(c).reset("s"),
])  # fmt: skip
def test_a_server_that_ends_a_negotiated_connection_did_not_refuse_the_negotiation(
    end: Callable[[Conversation], Conversation]
) -> None:
    came_up(end(answer(ask(talk()))))


def test_a_refused_channel_is_information() -> None:
    """STATUS_REQUEST_NOT_ACCEPTED to a binding SESSION_SETUP: multichannel is off."""
    binding = bytearray(m.session_setup_request(
        m.spnego_init([m.NTLMSSP_OID], m.ntlm_negotiate()), 1, session_id=SESSION))
    binding[64 + 2] = 1
    c = answer(ask(talk())).say("c", m.session(bytes(binding)))
    record = only(c.say("s", m.session(m.error(1, 0xC00000D0, 1, session_id=SESSION))).close("c"))
    assert (record.outcome, record.causes, record.warnings) == ("negotiated", (), ("server-limit",))
    assert record.findings[0].severity == "info"


def test_beside_what_broke_it_stands_that_the_port_is_another() -> None:
    (record,) = verdicts(refuse(ask(talk(4450), (0x0399,)), NOT_SUPPORTED).close("c"), ports=[4450])
    assert (record.causes, record.warnings) == (("no-common-dialect",), ("alternative-port",))


def test_a_syn_that_is_sent_again_and_then_answered_is_no_refusal() -> None:
    c = Conversation("talk", talk().client, talk().server)
    c.segment("c", SYN)
    c.next["c"] -= 1
    came_up(leave(tree(logon(answer(ask(c.wait(1000).open()))))))
