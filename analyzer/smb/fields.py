"""Messages -> Wireshark's fields and values.

Names, widths and order stand in the layouts of smb1, smb2 and contexts; here they are written
out. A field is there exactly when Wireshark shows it: when all its bytes were captured, and
nothing that Wireshark reads before it was cut off. Reserved bytes are left out, and so is what
Wireshark works out by itself (times between frames, hashes).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from analyzer.smb import constants, contexts, smb1, smb2
from analyzer.smb.layout import DOSTIME, FILETIME, GUID, HEX, TEXT, Layout, Wire
from analyzer.smb.message import Message
from analyzer.smb.spnego import Token, read_token

Shown = int | bool | str | None
Value = Shown | list[Shown]
Item = tuple[str, Shown]

# Fields of which a message has one for each entry of a list: always a list, even of one.
LISTS = frozenset({
    "smb.dialect.name", "smb.dialect", "smb.buffer_format", "smb2.dialect", "spnego.MechType",
    "smb2.negotiate_context.type", "smb2.negotiate_context.data_length",
    *(form.ids for form in contexts.FORMS.values() if form.ids),
})  # fmt: skip


def fields(message: Message) -> dict[str, Value]:
    """The fields that Wireshark shows of a NEGOTIATE message, by its display-filter names.

    Numbers are int, flags bool, GUIDs and hex bytes lower-case text, times text in UTC with nine
    decimals or None for the zero time; a field that comes several times is a list, and so are
    those in LISTS. A message of another kind or command gives {}.
    """
    if not is_negotiate(message):
        return {}
    found: dict[str, list[Shown]] = {}
    for key, value in _items(message):
        found.setdefault(key, []).append(value)
    return {
        key: values if len(values) > 1 or _is_list(key, message) else values[0] for key, values in found.items()
    }


def _is_list(key: str, message: Message) -> bool:
    """An answer names one dialect, a request a list of them."""
    return key in LISTS and not (key == "smb2.dialect" and message.response)


def is_negotiate(message: Message) -> bool:
    """Whether a message is a NEGOTIATE whose direction is known."""
    if message.kind == "smb2":
        return message.command == constants.NEGOTIATE
    return message.kind == "smb1" and message.command == constants.SMB1_NEGOTIATE


def _items(message: Message) -> Iterator[Item]:
    header, body = message.header, message.body
    if isinstance(header, smb1.Smb1Header):
        yield from _smb1_header(header)
        if isinstance(body, smb1.NegotiateRequest):
            yield from _smb1_request(body)
        elif isinstance(body, smb1.NegotiateResponse):
            yield from _smb1_response(message, body)
    elif isinstance(header, smb2.Smb2Header):
        yield from _smb2_header(header, response=bool(message.response))
        if isinstance(body, smb2.NegotiateRequest):
            yield from _smb2_request(message, body)
        elif isinstance(body, smb2.NegotiateResponse):
            yield from _smb2_response(message, body)
        elif isinstance(body, smb2.ErrorResponse):
            yield from _smb2_error(message, body)


def _named(layout: Layout, values: Iterable[Any]) -> Iterator[Item]:
    """The fields of a fixed part: those before the first that was cut off."""
    for wire, value in zip(layout.wires, values, strict=False):
        if value is None:
            return
        if wire.key is not None:
            yield from _written(wire, value)


def _written(wire: Wire, value: Any) -> Iterator[Item]:
    assert wire.key is not None
    if wire.shown == HEX:
        yield wire.key, value.hex()
    elif wire.shown == GUID:
        yield wire.key, guid_text(value)
    elif wire.shown == FILETIME:
        yield wire.key, filetime_text(value)
    elif wire.shown == DOSTIME:
        yield wire.key, dos_time_text(value)
        if value not in (0, 0xFFFFFFFF):
            yield wire.key + ".smb_date", value >> 16
            yield wire.key + ".smb_time", value & 0xFFFF
    else:
        yield wire.key, value
    yield from _bits(wire.bits, value)


def _bits(bits: tuple[tuple[str, int], ...], value: int) -> Iterator[Item]:
    for key, mask in bits:
        yield key, bool(value & mask)


def guid_text(value: bytes) -> str:
    """A GUID's 16 bytes as text, in lower case with dashes ([MS-DTYP] 2.3.4.2)."""
    first = (value[3::-1], value[5:3:-1], value[7:5:-1], value[8:10], value[10:])
    return "-".join(part.hex() for part in first)


def big_endian_guid_text(value: bytes) -> str:
    """A GUID as Wireshark writes the one of SMB1: in the order of its bytes."""
    return "-".join(part.hex() for part in (value[:4], value[4:6], value[6:8], value[8:10], value[10:]))


def filetime_text(value: int) -> str | None:
    """A FILETIME as text in UTC with nine decimals; None for 0, which names no time."""
    if value == 0:
        return None
    seconds, ticks = divmod(value, 10_000_000)
    return _time_text(seconds, ticks * 100)


def dos_time_text(value: int) -> str | None:
    """A DOS time (low 16 bits) and date as text; None for no time, or one that no calendar has.

    Both are local to the server, whose zone is another field; written as if in UTC.
    """
    clock, date = value & 0xFFFF, value >> 16
    year, month, day = 1980 + (date >> 9), date >> 5 & 0xF, date & 0x1F
    hour, minute, second = clock >> 11, clock >> 5 & 0x3F, (clock & 0x1F) * 2
    leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    days = (31, 29 if leap else 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
    if not 1 <= month <= 12 or not 1 <= day <= days[month - 1] or hour > 23 or minute > 59 or second > 59:
        return None
    return f"{year}-{month:02d}-{day:02d}T{hour:02d}:{minute:02d}:{second:02d}.000000000Z"


def _time_text(seconds: int, nanoseconds: int) -> str:
    """Seconds since 1601 as text; the standard library's calendars end too soon for a FILETIME."""
    days, rest = divmod(seconds, 86400)
    # Years from March, so that the leap day is the last: eras of 400 years have 146097 days.
    era, day = divmod(days + 584_694, 146_097)           # days from 0000-03-01 to 1601-01-01
    year = (day - day // 1460 + day // 36_524 - day // 146_096) // 365
    day -= 365 * year + year // 4 - year // 100
    month = (5 * day + 2) // 153
    date = day - (153 * month + 2) // 5 + 1
    year += 400 * era + (month >= 10)
    month += 3 if month < 10 else -9
    hour, minute, second = rest // 3600, rest // 60 % 60, rest % 60
    return f"{year:04d}-{month:02d}-{date:02d}T{hour:02d}:{minute:02d}:{second:02d}.{nanoseconds:09d}Z"


def _smb1_header(header: smb1.Smb1Header) -> Iterator[Item]:
    for key, value in _named(smb1.HEADER, header):
        if key == "smb.nt_status" and not header.flags2 & constants.FLAGS2_NT_STATUS:
            yield "smb.error_class", header.status & 0xFF
            yield "smb.error_code", header.status >> 16
        else:
            yield key, value


def _smb1_request(body: smb1.NegotiateRequest) -> Iterator[Item]:
    yield from _smb1_counts(body)
    for form, name in zip(body.buffer_formats, body.dialects, strict=True):
        yield "smb.dialect", name
        yield "smb.buffer_format", form
        yield "smb.dialect.name", name


def _smb1_counts(body: smb1.NegotiateRequest | smb1.NegotiateResponse) -> Iterator[Item]:
    if body.word_count is not None:
        yield "smb.wct", body.word_count
    if body.byte_count is not None:
        yield "smb.bcc", body.byte_count


def _smb1_response(message: Message, body: smb1.NegotiateResponse) -> Iterator[Item]:
    yield from _smb1_counts(body)
    layout = smb1.WORDS.get(body.word_count or 0, _NO_WORDS)     # an index elsewhere is our reading, no field
    if layout is _NO_WORDS and body.word_count and body.byte_count is not None:
        start = smb1.HEADER_SIZE + 1
        yield "smb.word_unk_response_format", message.data[start : start + 2 * body.word_count].hex()
    yield from _named(layout, [getattr(body, name) for name in layout.names])
    if body.challenge is not None:
        yield "smb.challenge", body.challenge.hex()
    if not (body.capabilities or 0) & constants.SMB1_CAP_EXTENDED_SECURITY:
        yield from _smb1_names(message, body)
    if body.server_guid is not None:
        yield "smb.server_guid", big_endian_guid_text(body.server_guid)
    if body.security_buffer is not None:
        yield "smb.security_blob", body.security_buffer.hex()
    if body.token is not None:
        yield from _token(body.token)


def _smb1_names(message: Message, body: smb1.NegotiateResponse) -> Iterator[Item]:
    """The names as Wireshark reads them, in LANMAN answers by Flags2 too, and the bytes behind them."""
    assert isinstance(message.header, smb1.Smb1Header)
    block = smb1.block_at(message.data, smb1.HEADER_SIZE)
    at, end = block.bytes + len(body.challenge or b""), block.end
    unicode = bool(message.header.flags2 & constants.FLAGS2_UNICODE)
    keys: tuple[str, ...] = ()
    if body.word_count == 17:
        keys = ("smb.primary_domain", "smb.server")
        unicode = unicode or bool((body.capabilities or 0) & constants.SMB1_CAP_UNICODE)
        at += (end - at) % 2 if unicode else 0
    elif body.word_count == 13:
        keys = ("smb.primary_domain",)
        at += at % 2 if unicode else 0
    if keys and body.challenge is None and body.challenge_length:
        return
    for key in keys:
        name, at = smb1.text_at(message.data, at, end, unicode=unicode)
        if name is None:
            return
        yield key, _latin(name)
    if body.byte_count and at < min(end, len(message.data)) and (message.complete or end <= len(message.data)):
        yield "smb.extra_byte_parameters", message.data[at:end].hex()


def _latin(text: str) -> str:
    """Wireshark shows Latin-1 of these names, and a question mark for each other 16-bit unit."""
    return "".join(c if ord(c) < 0x100 else "?" * (1 + (ord(c) > 0xFFFF)) for c in text)


def _smb2_header(header: smb2.Smb2Header, *, response: bool) -> Iterator[Item]:
    for key, value in _named(smb2.HEADER, header):
        if key == "smb2.nt_status" and not response:
            yield "smb2.channel_sequence", header.status & 0xFFFF
        elif key == "smb2.credits.granted" and not response:
            yield "smb2.credits.requested", value
        elif key == "smb2.pid" and header.flags & constants.FLAG_ASYNC:
            if header.process_id is not None and header.tree_id is not None:
                yield "smb2.aid", header.process_id | header.tree_id << 32
        elif not (key == "smb2.tid" and header.flags & constants.FLAG_ASYNC):
            yield key, value


def _buffer_code(structure_size: int | None) -> Iterator[Item]:
    if structure_size is not None:
        yield "smb2.buffer_code.length", structure_size >> 1
        yield "smb2.buffer_code.dynamic", bool(structure_size & 1)


def _smb2_request(message: Message, body: smb2.NegotiateRequest) -> Iterator[Item]:
    yield from _buffer_code(body.structure_size)
    yield from _named(smb2.NEGOTIATE_REQUEST, body)
    for dialect in body.dialects:
        yield "smb2.dialect", dialect
    if body.dialect_count is None or len(body.dialects) < body.dialect_count:
        return
    if body.context_count and body.context_offset is not None and _offers_contexts(body.dialects):
        first = smb2.DIALECTS_AT + 2 * body.dialect_count
        yield from _contexts(message.data, body.context_offset, body.context_count, first)


def _offers_contexts(dialects: Iterable[int]) -> bool:
    """Wireshark looks for contexts from the draft dialect 0x0310 on."""
    return any(dialect >= constants.SMB_3_1_0 for dialect in dialects)


def _smb2_response(message: Message, body: smb2.NegotiateResponse) -> Iterator[Item]:
    yield from _buffer_code(body.structure_size)
    buffer: bytes | None = None
    if body.security_offset is not None and body.security_length is not None:
        end = body.security_offset + body.security_length
        buffer = message.data[body.security_offset : end] if end <= len(message.data) else None
    for key, value in _named(smb2.NEGOTIATE_RESPONSE, body):
        # Wireshark reads the buffer, wherever it is, before it shows where it lies and what follows.
        if buffer is None and key in _BEHIND_THE_BUFFER:
            return
        yield key, value
    if buffer is None:
        return
    yield "smb2.security_blob", buffer.hex()
    yield from _token(read_token(buffer) if body.token is None else body.token)
    if body.dialect is None or body.context_offset is None or body.security_length is None:
        return
    if body.context_count and _offers_contexts((body.dialect,)):
        first = smb2.BUFFER_AT + body.security_length
        yield from _contexts(message.data, body.context_offset, body.context_count, first)


_NO_WORDS = Layout()
_BEHIND_THE_BUFFER = frozenset({"smb2.olb.offset", "smb2.olb.length", "smb2.negotiate_context.offset"})


def _smb2_error(message: Message, body: smb2.ErrorResponse) -> Iterator[Item]:
    yield from _buffer_code(body.structure_size)
    yield from _named(smb2.ERROR_RESPONSE, body)
    if body.byte_count is not None:
        # A count of 0 stands for one byte ([MS-SMB2] 2.2.2).
        data = message.data[smb2.ERROR_AT : smb2.ERROR_AT + (body.byte_count or 1)]
        if data or not message.complete:
            yield "smb2.error.data", data.hex()


def _contexts(data: bytes, offset: int, count: int, first: int) -> Iterator[Item]:
    """The contexts as Wireshark finds them: without an offset behind what precedes, never before."""
    if offset and offset < first:
        return
    for context in contexts.walk_by_content(data, offset or first, count):
        form = contexts.FORMS.get(context.type, contexts.UNKNOWN)
        yield "smb2.negotiate_context.type", context.type
        yield "smb2.negotiate_context.data_length", context.data_length
        yield from _named(form.fixed, [getattr(context, name, 0) for name in form.fixed.names])
        if form.ids is not None:
            for number in context.ids:
                yield form.ids, number
        if form.rest is not None:
            member, shown, key = form.rest
            rest = getattr(context, member)
            whole = member != "data" or len(context.data) == context.data_length
            if rest is not None and whole and (rest or member != "salt"):
                yield key, rest if shown == TEXT else rest.hex()


def _token(token: Token) -> Iterator[Item]:
    """What Wireshark's GSS-API, SPNEGO and NTLMSSP dissectors name in a security buffer."""
    if token.mechanism is not None:
        yield "gss-api.OID", token.mechanism
    if token.form == "spnego-init":
        if token.mech_types:
            yield "spnego.mechTypes", len(token.mech_types)
        for oid in token.mech_types:
            yield "spnego.MechType", oid
        if token.mech_token is not None:
            yield "spnego.mechToken", token.mech_token.hex()
        if token.hint_name is not None:
            yield "spnego.hintName", token.hint_name
    elif token.form == "spnego-response":
        if token.negotiate_result is not None:
            yield "spnego.negResult", token.negotiate_result
        if token.supported_mech is not None:
            yield "spnego.supportedMech", token.supported_mech
        if token.mech_token is not None:
            yield "spnego.responseToken", token.mech_token.hex()
    if token.ntlm is not None:
        yield "ntlmssp.identifier", "NTLMSSP"
        if token.ntlm.message_type is not None:
            yield "ntlmssp.messagetype", token.ntlm.message_type
