"""A NEGOTIATE message -> its first fault, as the specification has a receiver find it.

A fault is a pair (name, words); the names are the values of connection.request_fault and
connection.response_fault. None: the capture does not hold enough of the message to tell.
"""

from __future__ import annotations

from collections.abc import Sequence

from analyzer.anomaly import Anomaly, Kind
from analyzer.negotiation.exchange import Exchange, Placed
from analyzer.smb import constants, smb1, smb2
from analyzer.smb.contexts import Context
from analyzer.smb.message import Message

Fault = tuple[str, str]
NONE: Fault = ("none", "nothing")

REQUEST_SIZE, RESPONSE_SIZE = 36, 65         # StructureSize. [MS-SMB2] 2.2.3, 2.2.4
SMALLEST_SIZE = 65536                        # of transactions, reads and writes. [MS-SMB2] 3.2.5.2
_HIDDEN = (Kind.TRUNCATED, Kind.GAP)


def _wrong(message: Message, where: str) -> Anomaly | None:
    if not message.anomalies:
        return None
    return next((a for a in message.anomalies if a.where == where and a.kind not in _HIDDEN), None)


def offer_whole(message: Message) -> bool:
    """Every dialect of a NEGOTIATE request was captured, whatever else of it was not."""
    body = message.body
    if isinstance(body, smb2.NegotiateRequest) and body.dialect_count is not None:
        return message.complete or len(body.dialects) == body.dialect_count
    return message.complete


def request_fault(placed: Placed | None) -> Fault | None:
    """What is wrong in an SMB2 NEGOTIATE request. [MS-SMB2] 3.3.5.4"""
    if placed is None or not isinstance(placed.message.body, smb2.NegotiateRequest):
        return None
    message, body = placed.message, placed.message.body
    if body.structure_size is not None and body.structure_size != REQUEST_SIZE:
        return "structure-size", f"StructureSize is {body.structure_size}, not {REQUEST_SIZE}"
    if body.dialect_count == 0:
        return "no-dialects", "DialectCount is 0"
    wrong = _wrong(message, "fixed") or _wrong(message, "dialects")
    if wrong is not None:
        return "dialects-overrun", wrong.detail
    if constants.SMB_3_1_1 in body.dialects:
        wrong = _wrong(message, "contexts")
        contexts = body.contexts or ()
        none = body.context_count == 0 or not contexts
        if wrong is not None and body.context_count != 0:
            return "context", wrong.detail
        if not message.complete:
            return None
        if none or all(c.type != constants.PREAUTH_INTEGRITY for c in contexts):
            which = "no negotiate context" if none else "no preauth integrity context"
            return "preauth-missing", f"3.1.1 is offered with {which}"
    # Without 3.1.1 nothing behind the dialects has a meaning that could be wrong.
    without_contexts = offer_whole(message) and constants.SMB_3_1_1 not in body.dialects
    return NONE if message.complete or without_contexts else None


def response_fault(exchange: Exchange | None) -> Fault | None:
    """The first thing wrong in a successful SMB2 answer, in the order of [MS-SMB2] 3.2.5.2."""
    if exchange is None or exchange.response is None:
        return None
    message = exchange.response.message
    body = message.body
    if message.kind != "smb2" or message.status:
        return None
    if not isinstance(body, smb2.NegotiateResponse):
        wrong = _wrong(message, "fixed")
        return None if wrong is None else ("fixed", wrong.detail)
    for fault in (
        _fixed_fault(message, body),
        dialect_fault(exchange, body),
        _buffer_fault(message, body),
        _context_fault(exchange, body),
        _sizes_fault(body),
    ):
        if fault is not None:
            return fault
    return NONE if message.complete else None


def _fixed_fault(message: Message, body: smb2.NegotiateResponse) -> Fault | None:
    if body.structure_size is not None and body.structure_size != RESPONSE_SIZE:
        return "fixed", f"StructureSize is {body.structure_size}, not {RESPONSE_SIZE}"
    wrong = _wrong(message, "fixed")
    if wrong is not None:
        return "fixed", wrong.detail
    if body.security_mode is not None and not body.security_mode & constants.SIGNING_ENABLED:
        return "fixed", "SecurityMode does not say that signing is enabled, which every SMB2 server must"
    if 0 in (body.max_transact_size, body.max_read_size, body.max_write_size):
        return "fixed", "a maximum size is 0"
    return None


def offers_wildcard(message: Message) -> bool:
    """An SMB1 NEGOTIATE that allows 0x02FF as its answer. [MS-SMB2] 3.3.5.3.1"""
    return isinstance(message.body, smb1.NegotiateRequest) and "SMB 2.???" in message.body.dialects


def dialect_fault(exchange: Exchange, body: smb2.NegotiateResponse) -> Fault | None:
    """The selected dialect is not one that the client offered; None also where that is unknown."""
    if body.dialect is None or exchange.request is None or not offer_whole(exchange.request.message):
        return None
    asked = exchange.request.message.body
    if isinstance(asked, smb2.NegotiateRequest):
        if not asked.dialects or body.dialect in asked.dialects:
            return None
    elif isinstance(asked, smb1.NegotiateRequest):
        if body.dialect == constants.SMB_2_WILDCARD and "SMB 2.???" in asked.dialects:
            return None
        if body.dialect == constants.SMB_2_0_2 and "SMB 2.002" in asked.dialects:
            return None
    else:
        return None
    return "dialect", f"{constants.dialect_name(body.dialect)} was not offered"


def _buffer_fault(message: Message, body: smb2.NegotiateResponse) -> Fault | None:
    # Azure sends neither offset nor length and means that there is no token.
    if not body.security_offset and not body.security_length:
        return None
    wrong = _wrong(message, "security-buffer")
    return None if wrong is None else ("security-buffer", wrong.detail)


def _context_fault(exchange: Exchange, body: smb2.NegotiateResponse) -> Fault | None:
    if body.dialect != constants.SMB_3_1_1 or exchange.response is None:
        return None
    message = exchange.response.message
    wrong = _wrong(message, "contexts")
    contexts = body.contexts or ()
    if wrong is not None and body.context_count != 0:
        return "context", wrong.detail
    if not message.complete:
        return None
    hashes = [c for c in contexts if c.type == constants.PREAUTH_INTEGRITY]
    if not hashes:
        return "preauth-missing", "the 3.1.1 answer has no preauth integrity context"
    for kind, what in ((constants.PREAUTH_INTEGRITY, "hash"), (constants.ENCRYPTION, "cipher")):
        bad = next((c for c in contexts if c.type == kind and len(c.ids) != 1), None)
        if bad is not None:
            return "context", f"the answer names {len(bad.ids)} {what} algorithms, not one"
    if hashes[0].ids != (1,):
        return "context", f"hash algorithm {hashes[0].ids[0]:#06x} is not SHA-512"
    unknown = _not_offered(exchange, contexts)
    if unknown is not None:
        return unknown
    return None


def _not_offered(exchange: Exchange, contexts: Sequence[Context]) -> Fault | None:
    """An algorithm the client did not offer; cipher 0 is allowed and means none."""
    if exchange.request is None or not exchange.request.message.complete:
        return None
    asked = exchange.request.message.body
    if not isinstance(asked, smb2.NegotiateRequest) or asked.contexts is None:
        return None
    names = (
        (constants.ENCRYPTION, constants.CIPHERS, "context", "cipher", (0,)),
        (constants.SIGNING, constants.SIGNINGS, "signing-algorithm", "signing algorithm", ()),
    )
    for kind, labels, fault, what, allowed in names:
        offered = {i for c in asked.contexts if c.type == kind for i in c.ids}
        chosen = [i for c in contexts if c.type == kind for i in c.ids]
        stranger = next((i for i in chosen if i not in offered and i not in allowed), None)
        if stranger is not None:
            return fault, f"{what} {constants.label(stranger, labels)} was not offered"
    return None


def _sizes_fault(body: smb2.NegotiateResponse) -> Fault | None:
    if small_sizes(body):
        return "sizes", f"a maximum size is below {SMALLEST_SIZE} bytes"
    return None


def small_sizes(body: smb2.NegotiateResponse) -> bool | None:
    """A maximum size is below 65536; None where the answer does not show them."""
    sizes = (body.max_transact_size, body.max_read_size, body.max_write_size)
    known = [size for size in sizes if size is not None]
    return min(known) < SMALLEST_SIZE if len(known) == len(sizes) else None
