"""The negotiate contexts of SMB 3.1.1: offset and count -> contexts, and what is wrong with the list.

Every type of [MS-SMB2] 2.2.3.1 has the same shape: a few numbers, an array of 16-bit ids, and
for some types a rest. FORMS holds the shapes; an unknown type is kept with its bytes.
"""

from typing import NamedTuple

from analyzer.anomaly import Anomaly, Kind
from analyzer.smb import constants
from analyzer.smb.layout import HEX, TEXT, Layout, Wire, numbers

HEADER_SIZE = 8
_PREFIX = "smb2.negotiate_context."


class Context(NamedTuple):
    """One negotiate context ([MS-SMB2] 2.2.3.1).

    at: offset of its header in the message. type, data_length: as sent.
    data: its bytes, as far as the message and the capture hold them.
    id_count: how many ids it announces. ids: those it holds (hashes, ciphers, compression, RDMA
    or signing algorithms). flags: of compression or transport. name: the host of a NETNAME context.
    A member that this type does not have, or that is cut off, is None (ids: empty).
    """

    at: int
    type: int
    data_length: int
    data: bytes
    id_count: int | None = None
    ids: tuple[int, ...] = ()
    salt_length: int | None = None
    salt: bytes | None = None
    flags: int | None = None
    name: str | None = None


class Form(NamedTuple):
    """The shape of one context type.

    fixed: what precedes the ids, under the names of Context (others are reserved).
    ids: Wireshark's name of the ids, None if the type has no array.
    rest: (name in Context, how it is shown, Wireshark's name) of the bytes behind the ids, to the
    end of the context or, for a salt, as many as SaltLength says.
    """

    fixed: Layout
    ids: str | None = None
    rest: tuple[str, str, str] | None = None


_NOTHING = Layout()
_COMPRESSION_FLAGS = ((_PREFIX + "comp_alg_flags.chained", 0x00000001),)
FORMS: dict[int, Form] = {
    constants.PREAUTH_INTEGRITY: Form(                                        # 2.2.3.1.1
        Layout(id_count=Wire("H", _PREFIX + "hash_alg_count"), salt_length=Wire("H", _PREFIX + "salt_length")),
        _PREFIX + "hash_algorithm",
        ("salt", HEX, _PREFIX + "salt"),
    ),
    constants.ENCRYPTION: Form(                                               # 2.2.3.1.2
        Layout(id_count=Wire("H", _PREFIX + "cipher_count")), _PREFIX + "cipher_id"
    ),
    constants.COMPRESSION: Form(                                              # 2.2.3.1.3
        Layout(
            id_count=Wire("H", _PREFIX + "comp_alg_count"),
            padding=Wire("H"),
            flags=Wire("I", _PREFIX + "comp_alg_flags", _COMPRESSION_FLAGS),
        ),
        _PREFIX + "comp_alg_id",
    ),
    constants.NETNAME: Form(_NOTHING, None, ("name", TEXT, _PREFIX + "netname")),           # 2.2.3.1.4
    constants.TRANSPORT: Form(Layout(flags=Wire("I", _PREFIX + "transport_flags"))),        # 2.2.3.1.5
    constants.RDMA_TRANSFORM: Form(                                           # 2.2.3.1.6
        Layout(
            id_count=Wire("H", _PREFIX + "rdma_transform_count"), reserved=Wire("H"), reserved2=Wire("I")
        ),
        _PREFIX + "rdma_transform_id",
    ),
    constants.SIGNING: Form(                                                  # 2.2.3.1.7
        Layout(id_count=Wire("H", _PREFIX + "signing_alg_count")), _PREFIX + "signing_id"
    ),
    constants.POSIX: Form(_NOTHING, None, ("data", HEX, _PREFIX + "posix_reserved")),
}
UNKNOWN = Form(_NOTHING, None, ("data", HEX, "smb2.unknown"))


def decode(data: bytes, at: int, end: int, *, keep: bool = True) -> Context | None:
    """The context whose header stands at `at`, reading nothing at or after `end`.

    None where type and length do not both lie before `end` (at most len(data)).
    keep: fill Context.data also where its members say all there is.
    """
    if at + 4 > end:
        return None
    kind, length = numbers(data, at, 2)
    form = FORMS.get(kind, UNKNOWN)
    start = at + HEADER_SIZE
    whole = keep or (form.rest is not None and form.rest[0] != "salt")
    content = data[start : min(start + length, end)] if whole else b""
    values = dict(zip(form.fixed.names, form.fixed.read(data, start, end), strict=True))
    count = values.get("id_count")
    place = start + form.fixed.size
    ids = numbers(data, place, count, end) if count else ()
    salt = name = None
    salt_length = values.get("salt_length")
    if salt_length is not None and place + 2 * (count or 0) + salt_length <= end:
        place += 2 * (count or 0)
        salt = data[place : place + salt_length]
    if kind == constants.NETNAME and len(content) == length:
        name = content.decode("utf-16-le", "replace")
    return Context(at, kind, length, content, count, ids, salt_length, salt, values.get("flags"), name)


def demanded(context: Context) -> int:
    """Bytes that the context's own numbers demand of its data; its length where it has none."""
    form = FORMS.get(context.type, UNKNOWN)
    if form.rest is not None and form.rest[0] != "salt":
        return context.data_length
    return form.fixed.size + 2 * (context.id_count or 0) + (context.salt_length or 0)


def walk(
    data: bytes, size: int, offset: int, count: int, *, first: int, response: bool
) -> tuple[tuple[Context, ...], list[Anomaly]]:
    """The contexts of a NEGOTIATE message, and what a strict peer would refuse in their list.

    data: the message from its SMB2 header, as far as captured; size: its length as sent.
    offset, count: as sent. first: the first offset at which a list may begin.
    """
    found: list[Context] = []
    faults: list[Anomaly] = []

    def fault(kind: Kind, at: int, detail: str) -> None:
        faults.append(Anomaly(kind, at, "contexts", detail))

    if not count:
        return (), faults
    if not first <= offset < size:
        fault(Kind.OFFSET_OUTSIDE, offset, f"contexts at {offset}, room from {first} to {size}")
        return (), faults
    if offset % 8:
        fault(Kind.MISALIGNED, offset, f"contexts at {offset}, not a multiple of 8")
    at = offset
    seen: set[int] = set()
    for index in range(count):
        at += -at % 8
        if at + HEADER_SIZE > size:
            fault(Kind.COUNT_OVERRUNS, at, f"{count} contexts announced, {index} found")
            return tuple(found), faults
        context = decode(data, at, len(data) if at + HEADER_SIZE > len(data) else _end(data, at))
        if context is None:
            return tuple(found), faults
        found.append(context)
        end = at + HEADER_SIZE + context.data_length
        name = constants.label(context.type, constants.CONTEXT_TYPES)
        if context.type in seen and context.type in FORMS:
            fault(Kind.DUPLICATE, at, f"{name} stands twice")
        seen.add(context.type)
        if end > size:
            fault(Kind.COUNT_OVERRUNS, at, f"{name}: {context.data_length} bytes, room for {size - at - 8}")
            return tuple(found), faults
        form = FORMS.get(context.type, UNKNOWN)
        if context.data_length < form.fixed.size:
            fault(Kind.SHORT, at, f"{name}: {context.data_length} bytes, {form.fixed.size} needed")
        elif demanded(context) > context.data_length:
            fault(
                Kind.COUNT_OVERRUNS, at,
                f"{name}: its counts need {demanded(context)} bytes, it has {context.data_length}",
            )  # fmt: skip
        elif form.ids and context.id_count == 0 and not (response and context.type == constants.COMPRESSION):
            fault(Kind.EMPTY_LIST, at, f"{name}: no algorithm")
        if end > len(data):
            return tuple(found), faults
        at = end
    rest = size - (at + -at % 8)
    if not response and rest >= HEADER_SIZE:
        fault(Kind.COUNT_OVERRUNS, at, f"{rest} bytes after the last of {count} contexts")
    return tuple(found), faults


def _end(data: bytes, at: int) -> int:
    """Where the data of the context at `at` ends, by its length and by the capture."""
    length = numbers(data, at, 2)[1]
    return min(at + HEADER_SIZE + length, len(data))


def walk_by_content(data: bytes, offset: int, count: int) -> tuple[Context, ...]:
    """The contexts as Wireshark reads them: the next one begins where the counts of one end.

    The same as `walk` unless a length disagrees with its content.
    """
    found: list[Context] = []
    at = offset
    for _ in range(count):
        at += -at % 8
        context = decode(data, at, len(data), keep=False)   # their lengths may overlap without end
        if context is None:
            break
        found.append(context)
        at += HEADER_SIZE + demanded(context)
        if at > len(data):
            break
    return tuple(found)
