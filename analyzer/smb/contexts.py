"""The negotiate contexts of SMB 3.1.1: offset and count -> contexts, and what is wrong with the list.

Every type of [MS-SMB2] 2.2.3.1 has the same shape: a few numbers, an array of 16-bit ids, and
for some types a rest. FORMS holds the shapes; an unknown type is kept with its bytes.
"""

import struct
from functools import lru_cache, partial
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

    def place(self, name: str) -> int:
        """Where a member of Context stands in `fixed`, behind its end where it does not."""
        names = self.fixed.names
        return names.index(name) if name in names else len(names)

    @property
    def whole(self) -> bool:
        """Whether its bytes say more than its members do."""
        return self.rest is not None and self.rest[0] != "salt"


_HEAD = struct.Struct("<HH")
_SHORT = 24              # bytes of a context that may be remembered: a few ids, and no salt, which is new each time
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


_Reader = tuple[Layout, int, int, int, int, bool]
"""A form as it is read: its layout and its bytes, where id_count, salt_length and flags stand in it, Form.whole."""


def _reader(form: Form) -> _Reader:
    count_at, salt_at, flags_at = map(form.place, ("id_count", "salt_length", "flags"))
    return form.fixed, form.fixed.size, count_at, salt_at, flags_at, form.whole


_READERS = {kind: _reader(form) for kind, form in FORMS.items()}
_UNKNOWN_READER = _reader(UNKNOWN)
_made = partial(tuple.__new__, Context)


def decode(data: bytes, at: int, head: tuple[int, int], end: int, *, keep: bool = True) -> Context:
    """The context at `at`, of which type and length are known, reading nothing at or after `end` (at most len(data)).

    keep: fill Context.data also where its members say all there is.
    """
    kind, length = head
    fixed, size, count_at, salt_at, flags_at, whole = _READERS.get(kind, _UNKNOWN_READER)
    start = at + HEADER_SIZE
    content = data[start : min(start + length, end)] if keep or whole else b""
    if not size:
        name = None
        if kind == constants.NETNAME and len(content) == length:
            name = content.decode("utf-16-le", "replace")
        return _made((at, kind, length, content, None, (), None, None, None, name))
    # Members that the form does not have stand behind its end, where a None is.
    values = (*fixed.read(data, start, end), None)
    count = values[count_at]
    place = start + size
    ids = numbers(data, place, count, end) if count else ()
    salt_length = values[salt_at]
    salt = None
    if salt_length is not None:
        place += 2 * (count or 0)
        if place + salt_length <= end:
            salt = data[place : place + salt_length]
    return _made((at, kind, length, content, count, ids, salt_length, salt, values[flags_at], None))


@lru_cache(maxsize=1024)              # the same few lists come again and again, at the same places
def _short(at: int, kind: int, content: bytes) -> Context:
    """The context at `at` with its whole content."""
    size = HEADER_SIZE + len(content)
    return decode(bytes(HEADER_SIZE) + content, 0, (kind, len(content)), size)._replace(at=at)


def demanded(context: Context) -> int:
    """Bytes that the context's own numbers demand of its data; its length where it has none."""
    _, size, _, _, _, whole = _READERS.get(context.type, _UNKNOWN_READER)
    if whole:
        return context.data_length
    return size + 2 * (context.id_count or 0) + (context.salt_length or 0)


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
    there = len(data)
    for index in range(count):
        at += -at % 8
        start = at + HEADER_SIZE
        if start > size:
            fault(Kind.COUNT_OVERRUNS, at, f"{count} contexts announced, {index} found")
            return tuple(found), faults
        if at + 4 > there:
            return tuple(found), faults
        kind, length = head = _HEAD.unpack_from(data, at)
        end = start + length
        if length <= _SHORT and end <= there:
            context = _short(at, kind, data[start:end])
        else:
            context = decode(data, at, head, min(end, there))
        found.append(context)
        if kind in seen and kind in FORMS:
            fault(Kind.DUPLICATE, at, f"{_name(kind)} stands twice")
        seen.add(kind)
        if end > size:
            fault(Kind.COUNT_OVERRUNS, at, f"{_name(kind)}: {length} bytes, room for {size - at - 8}")
            return tuple(found), faults
        form = FORMS.get(kind, UNKNOWN)
        if length < form.fixed.size:
            fault(Kind.SHORT, at, f"{_name(kind)}: {length} bytes, {form.fixed.size} needed")
        elif (needed := demanded(context)) > length:
            fault(Kind.COUNT_OVERRUNS, at, f"{_name(kind)}: its counts need {needed} bytes, it has {length}")
        elif form.ids and context.id_count == 0 and not (response and kind == constants.COMPRESSION):
            fault(Kind.EMPTY_LIST, at, f"{_name(kind)}: no algorithm")
        if end > there:
            return tuple(found), faults
        at = end
    rest = size - (at + -at % 8)
    if not response and rest >= HEADER_SIZE:
        fault(Kind.COUNT_OVERRUNS, at, f"{rest} bytes after the last of {count} contexts")
    return tuple(found), faults


def _name(kind: int) -> str:
    return constants.label(kind, constants.CONTEXT_TYPES)


def walk_by_content(data: bytes, offset: int, count: int) -> tuple[Context, ...]:
    """The contexts as Wireshark reads them: the next one begins where the counts of one end.

    The same as `walk` unless a length disagrees with its content.
    """
    found: list[Context] = []
    at = offset
    for _ in range(count):
        at += -at % 8
        if at + 4 > len(data):
            break
        # Not their bytes: lengths may overlap without end.
        context = decode(data, at, _HEAD.unpack_from(data, at), len(data), keep=False)
        found.append(context)
        at += HEADER_SIZE + demanded(context)
        if at > len(data):
            break
    return tuple(found)
