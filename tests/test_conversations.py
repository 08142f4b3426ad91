"""Conversations that hypothesis makes: healthy ones are healthy however they are carried, broken ones are reported."""

from __future__ import annotations

import io

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from analyzer.pipeline import run
from analyzer.reading import Settings
from analyzer.smb.constants import dialect_name
from analyzer.telling import Wanted
from tests import strategies
from tests.fuzz.check import check, rules

BOUNDED = settings(max_examples=40, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])


@BOUNDED
@given(st.data())
def test_a_healthy_negotiation_is_healthy_however_it_is_carried(data: st.DataObject) -> None:
    conversation = data.draw(strategies.conversations())
    carried = data.draw(strategies.disturbed(data.draw(strategies.segments(conversation))))
    (analyzed,) = run([("made", io.BytesIO(strategies.capture(carried)))], rules(), Settings(), Wanted())
    (diagnosed,) = analyzed.connections
    record = diagnosed.record
    assert (record.outcome, record.causes, record.candidates) == ("negotiated", (), ())
    assert record.dialect == dialect_name(conversation.dialect)


@BOUNDED
@given(st.data())
def test_a_broken_one_is_still_reported(data: st.DataObject) -> None:
    conversation = data.draw(strategies.conversations())
    carried = data.draw(strategies.broken(data.draw(strategies.segments(conversation))))
    assert check(strategies.capture(carried, opened=data.draw(st.booleans()))) is None
