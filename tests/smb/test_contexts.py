"""Negotiate contexts are all read, and a list that a strict peer would refuse is known."""

from __future__ import annotations

import struct

import pytest

from analyzer.smb import smb2
from analyzer.smb.contexts import Context
from tests.smb.made import EVERY_CONTEXT, HASHES, context, ids, packet, request, response
from tests.smb.samples import dissected, faults, one, recorded

CIPHERS = context(2, ids(2, 1))


def contexts_of(message: bytes) -> tuple[Context, ...]:
    body = dissected(message).body
    assert isinstance(body, smb2.NegotiateRequest | smb2.NegotiateResponse)
    assert body.contexts is not None
    return body.contexts


def test_every_type_is_read() -> None:
    found = contexts_of(request((0x0311,), EVERY_CONTEXT))
    assert [one.type for one in found] == [1, 2, 3, 5, 6, 7, 8, 0x100, 0x1234]
    hashes, ciphers, compression, netname, transport, rdma, signing, posix, unknown = found
    assert (hashes.id_count, hashes.ids, hashes.salt_length, hashes.salt) == (1, (1,), 4, b"salt")
    assert ciphers.ids == (2, 1, 4, 3)
    assert (compression.ids, compression.flags) == ((4, 2, 3), 1)
    assert netname.name == "filer.example"
    assert transport.flags == 1
    assert rdma.ids == (1, 2)
    assert signing.ids == (2, 1)
    assert posix.data.hex() == "93ad25509cb411e7b42383de968bcd7c"
    assert (unknown.data, unknown.data_length, unknown.ids) == (b"what", 4, ())


def test_a_good_list_has_no_fault() -> None:
    assert faults(dissected(request((0x0311,), EVERY_CONTEXT))) == []


def test_what_a_real_client_sends() -> None:
    body = recorded("smb2-request-311").body
    assert isinstance(body, smb2.NegotiateRequest)
    assert body.contexts is not None
    assert [(one.type, one.ids) for one in body.contexts] == [(1, (1,)), (2, (2, 1, 4, 3)), (8, (2, 1, 0)), (5, ())]
    assert body.contexts[3].name == "192.168.40.20"


@pytest.mark.parametrize(
    ("name", "message", "want"),
    [
        ("not aligned", request(offset=0x6C), "misaligned"),
        ("offset inside the dialects", request(offset=0x60), "offset-outside"),
        ("offset past the end", request(offset=0x4000), "offset-outside"),
        ("offset at the end", request(offset=len(request())), "offset-outside"),
        ("offset zero", request(offset=0), "offset-outside"),
        ("more announced than there are", request(count=9), "count-overruns"),
        ("fewer announced than there are", request((0x0311,), (HASHES, CIPHERS), count=1), "count-overruns"),
        ("length past the end", request((0x0311,), (HASHES, context(2, ids(2), 1024))), "count-overruns"),
        ("length one past the end", request((0x0311,), (HASHES, context(2, ids(2, 1, 4), 9))), "count-overruns"),
        ("length below the fixed part", request((0x0311,), (HASHES, context(3, b"\1\0", 2))), "short"),
        ("length below its ids", request((0x0311,), (HASHES, context(2, ids(2, 1), 4))), "count-overruns"),
        ("more ids than there is room", request((0x0311,), (HASHES, context(2, ids(2, count=400)))), "count-overruns"),
        ("salt past the end", request((0x0311,), (context(1, struct.pack("<HHH", 1, 400, 1)),)), "count-overruns"),
        ("no hash", request((0x0311,), (context(1, struct.pack("<HH", 0, 0)),)), "empty-list"),
        ("no cipher", request((0x0311,), (HASHES, context(2, ids()))), "empty-list"),
        ("no signing algorithm", request((0x0311,), (HASHES, context(8, ids()))), "empty-list"),
        ("no compression", request((0x0311,), (HASHES, context(3, bytes(8)))), "empty-list"),
        ("no transform", request((0x0311,), (HASHES, context(7, bytes(8)))), "empty-list"),
        ("two hash contexts", request((0x0311,), (HASHES, HASHES, CIPHERS)), "duplicate"),
        ("answer's length past the end", response(0x0311, (HASHES, context(2, ids(2), 0x2000))), "count-overruns"),
        ("answer's offset in the fixed part", response(0x0311, (HASHES,))[:124] + struct.pack("<I", 0x60)
            + response(0x0311, (HASHES,))[128:], "offset-outside"),
    ],
)  # fmt: skip
def test_a_bad_list_has_its_fault_first(name: str, message: bytes, want: str) -> None:
    found = faults(dissected(message))
    assert found[0] == (want, "contexts"), name
    assert {where for _, where in found} == {"contexts"}, name


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("no contexts at all", request((0x0311,), ())),
        ("only an unknown type, twice", request((0x0311,), (context(0x99, b"a"), context(0x99, b"b")))),
        ("length larger than the ids need", request((0x0311,), (HASHES, context(8, ids(1) + bytes(4))))),
        ("last one not padded", request((0x0311,), (HASHES, CIPHERS))[:-2]),
        ("compression without an algorithm in an answer", response(0x0311, (HASHES, context(3, bytes(8))))),
        ("no dialect that has contexts", request((0x0302,), (HASHES,), offset=3, count=77)),
        ("no answer that has contexts", response(0x0302, ())),
    ],
)
def test_what_is_legal_has_no_fault(name: str, message: bytes) -> None:
    assert faults(dissected(message)) == [], name


def test_before_311_the_bytes_are_a_start_time() -> None:
    body = dissected(request((0x0202, 0x0302), (), offset=0x12345678, count=0x9ABC)).body
    assert isinstance(body, smb2.NegotiateRequest)
    assert body.contexts is None
    assert body.start_time == 0x00009ABC12345678


def test_each_fault_of_a_recorded_message() -> None:
    """The lab's made requests, each refused by a real server or left by a real client."""
    assert faults(recorded("smb2-request-count-9")) == [("count-overruns", "contexts")]
    assert faults(recorded("smb2-request-length-1024")) == [("count-overruns", "contexts")]
    assert faults(recorded("smb2-response-length-8192")) == [("count-overruns", "contexts")]
    assert faults(recorded("smb2-request-two-hashes")) == [("duplicate", "contexts")]
    assert faults(recorded("smb2-request-no-hash")) == []


def test_overlapping_claims_stay_small() -> None:
    """Every context claims the rest of the message as its ids; none is given more than its own bytes."""
    greedy = [struct.pack("<HHIHH", 2, 2, 0, 0xFFFF, 0) + bytes(4) for _ in range(4000)]
    body = one(packet(request((0x0311,), tuple(greedy)))).body
    assert isinstance(body, smb2.NegotiateRequest)
    assert body.contexts is not None
    assert sum(len(one.ids) for one in body.contexts) == 0
