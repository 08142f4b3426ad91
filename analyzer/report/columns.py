"""The columns of every table: name, type and meaning. CSV, Parquet and docs/columns.md follow them.

NOTE: a name here is a promise to scripts: columns are added at the end of what is there, never renamed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

from analyzer.smb import contexts, smb1, smb2
from analyzer.smb.fields import LISTS
from analyzer.smb.layout import NUMBER, Layout, Wire

STRING, INTEGER, UNSIGNED, FLOAT, FLAG, TIME = "string", "integer", "unsigned", "float", "flag", "time"
STRINGS, INTEGERS, UNSIGNEDS, FLAGS = "strings", "integers", "unsigneds", "flags"
NOTES, FIXES, PLACES = "notes", "fixes", "places"


class Column(NamedTuple):
    """One column. type: one of the words above; every value may be absent."""

    name: str
    type: str
    doc: str


CAPTURES: Final = (
    Column("capture", STRING, "the capture as it was given; of joined ones the first, and how many more"),
    Column("format", STRING, "`pcap`, `pcapng`, `snoop` or `netmon`"),
    Column("packets", INTEGER, "packets read"),
    Column("first_time", TIME, "of the earliest packet"),
    Column("last_time", TIME, "of the latest packet"),
    Column("error", STRING, "offset and reason, where not a single packet can be read"),
    Column("notes", NOTES, "what is to be known of the capture as a whole: `kind` and `text`"),
    Column("connections", INTEGER, "SMB connections in it"),
    Column("files", STRINGS, "the files that it was joined from (`--join`)"),
)
CONNECTIONS: Final = (
    Column("capture", STRING, "the capture it is in"),
    Column("tcp.stream", INTEGER, "Wireshark's number of the TCP connection"),
    Column("client", STRING, "address and port of the side that opened the connection"),
    Column("server", STRING, "address and port of the other side"),
    Column("transport", STRING, "`direct-tcp` or `netbios`"),
    Column("outcome", STRING, "`negotiated`, `failed`, `no-connection`, `not-smb`, `unused` or `incomplete`"),
    Column("reached", STRING, "how far it got: `none`, `tcp`, `negotiate`, `session` or `tree`"),
    Column("causes", STRINGS, "slugs of what broke it, the primary one first"),
    Column("confidence", STRING, "of the primary cause: `proven` or `likely`"),
    Column("candidates", STRINGS, "slugs of what may be behind it, where the capture cannot tell"),
    Column("warnings", STRINGS, "slugs of what is wrong but did not stop it, and of the capture's limits"),
    Column("dialect", STRING, "what the server selected last"),
    Column("client_name", STRING, "host name of the client, where the capture itself gives it"),
    Column("server_name", STRING, "host name of the server, where the capture itself gives it"),
    Column("offered", STRINGS, "the dialects of the last NEGOTIATE request"),
    Column("first_frame", INTEGER, "frame.number of its first packet"),
    Column("last_frame", INTEGER, "frame.number of its last packet"),
    Column("request_frame", INTEGER, "frame.number of the last NEGOTIATE request"),
    Column("response_frame", INTEGER, "frame.number of the answer to it"),
    Column("response_time", FLOAT, "seconds from that request to its answer"),
    Column("first_time", TIME, "of its first packet"),
    Column("last_time", TIME, "of its last packet"),
    Column("severity", STRING, "of the first finding: `error`, `warning` or `info`"),
    Column("summary", STRING, "of the first finding: what happened, in one sentence"),
    Column("fix", STRING, "of the first finding: what to do, and the command for it"),
    Column("frames", INTEGERS, "of the first finding: the frames that prove it"),
    Column("display_filter", STRING, "of the first finding: shows these frames in Wireshark"),
)
FINDINGS: Final = (
    Column("capture", STRING, "the capture it is in"),
    Column("tcp.stream", INTEGER, "the connection it is on"),
    Column("client", STRING, "address and port of the client"),
    Column("server", STRING, "address and port of the server"),
    Column("rule", STRING, "slug of the rule"),
    Column("code", STRING, "code of the rule"),
    Column("severity", STRING, "`error`, `warning` or `info`; only what broke the connection is an error"),
    Column("title", STRING, "title of the rule"),
    Column("summary", STRING, "what happened, in one sentence"),
    Column("fix", FIXES, "what to do, one for each side: `side`, `platform`, `text`, `command`"),
    Column("frames", INTEGERS, "the frames that prove it"),
    Column("display_filter", STRING, "shows these frames in Wireshark"),
    Column("reference", STRING, "where the specification says so"),
    Column("places", PLACES, "of a joined capture, the same frames by `file` and `frame` in that file"),
)
TABLES: Final[Mapping[str, tuple[Column, ...]]] = {
    "captures": CAPTURES, "connections": CONNECTIONS, "findings": FINDINGS, "messages": (),
}

_PLACE: Final = (
    Column("capture", STRING, "the capture it is in"),
    Column("frame.number", INTEGER, "the frame that completes the message"),
    Column("tcp.stream", INTEGER, "the connection it is on"),
)
# What is no field of a layout: Wireshark computes it, or it is of varying size.
_OTHERS: Final = {
    "smb.error_class": INTEGER, "smb.error_code": INTEGER, "smb.wct": INTEGER, "smb.bcc": INTEGER,
    "smb.dialect": STRINGS, "smb.buffer_format": INTEGERS, "smb.dialect.name": STRINGS,
    "smb.word_unk_response_format": STRING, "smb.challenge": STRING, "smb.server_guid": STRING,
    "smb.security_blob": STRING, "smb.primary_domain": STRING, "smb.server": STRING,
    "smb.extra_byte_parameters": STRING,
    "smb2.channel_sequence": INTEGER, "smb2.credits.requested": INTEGER, "smb2.aid": UNSIGNED,
    "smb2.buffer_code.length": INTEGER, "smb2.buffer_code.dynamic": FLAG, "smb2.dialect": INTEGERS,
    "smb2.security_blob": STRING, "smb2.error.data": STRING,
    "smb2.negotiate_context.type": INTEGERS, "smb2.negotiate_context.data_length": INTEGERS,
    "gss-api.OID": STRING, "spnego.mechTypes": INTEGER, "spnego.MechType": STRINGS,
    "spnego.mechToken": STRING, "spnego.hintName": STRING, "spnego.negResult": INTEGER,
    "spnego.supportedMech": STRING, "spnego.responseToken": STRING,
    "ntlmssp.identifier": STRING, "ntlmssp.messagetype": INTEGER,
}
_WHERE: Final = (
    ("smb2.negotiate_context.", "negotiate contexts of SMB 3.1.1, [MS-SMB2] 2.2.3.1"),
    ("smb2.", "SMB2, [MS-SMB2] 2.2.1 to 2.2.4"),
    ("smb.", "SMB1, [MS-CIFS] 2.2.3.1 and 2.2.4.52"),
    ("", "security buffer, RFC 4178 and [MS-NLMP]"),
)
_SEVERAL: Final = {STRING: STRINGS, INTEGER: INTEGERS, UNSIGNED: UNSIGNEDS, FLAG: FLAGS}


def columns(table: str) -> tuple[Column, ...]:
    """The columns of `captures`, `connections`, `findings` or `messages`, in order."""
    return messages() if table == "messages" else TABLES[table]


def messages() -> tuple[Column, ...]:
    """The columns of NEGOTIATE messages: Wireshark's names, those that its display filters take.

    What a message may have several times, once for each negotiate context or dialect, is a list.
    """
    found: dict[str, str] = {}
    for layout in (smb1.HEADER, *smb1.WORDS.values(), smb2.HEADER, smb2.NEGOTIATE_REQUEST,
                   smb2.NEGOTIATE_RESPONSE, smb2.ERROR_RESPONSE):
        for name, kind in _fields(layout):
            # The same name stands for words of different sizes in different messages.
            found[name] = UNSIGNED if UNSIGNED in (kind, found.get(name)) else kind
    found |= _OTHERS
    for form in (*contexts.FORMS.values(), contexts.UNKNOWN):
        found |= {name: _SEVERAL[kind] for name, kind in _fields(form.fixed)}
        if form.ids is not None:
            found[form.ids] = INTEGERS
        if form.rest is not None:
            found[form.rest[2]] = STRINGS
    for name in LISTS & found.keys():
        found[name] = _SEVERAL.get(found[name], found[name])
    return (*_PLACE, *(Column(name, kind, _described(name, kind)) for name, kind in sorted(found.items())))


def _fields(layout: Layout) -> Iterator[tuple[str, str]]:
    for wire in layout.wires:
        if wire.key is None:
            continue
        yield wire.key, _kind(wire)
        for name, _ in wire.bits:
            yield name, FLAG
        if wire.shown == "dostime":
            yield f"{wire.key}.smb_date", INTEGER
            yield f"{wire.key}.smb_time", INTEGER


def _kind(wire: Wire) -> str:
    if wire.shown != NUMBER or wire.code.endswith("s"):
        return STRING
    return UNSIGNED if wire.code == "Q" else INTEGER


def _described(name: str, kind: str) -> str:
    where = next(text for prefix, text in _WHERE if name.startswith(prefix))
    if name.endswith("time") and kind == STRING:
        return f"{where}; a time as text, in UTC, absent where it is zero"
    return f"{where}; a flag" if kind in (FLAG, FLAGS) else where
