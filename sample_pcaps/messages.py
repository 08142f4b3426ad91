"""SMB messages as bytes, for the made captures: arguments -> one NetBIOS session message.

Written from [MS-SMB2], [MS-CIFS], [MS-NLMP] and RFC 4178 alone and sharing nothing with
the package, so that a mistake in a dissector there is not repeated here.
"""

from __future__ import annotations

import hashlib
import struct
import uuid
from collections.abc import Iterable, Sequence

NEGOTIATE, SESSION_SETUP, LOGOFF, TREE_CONNECT, IOCTL = 0, 1, 2, 3, 11
PREAUTH, ENCRYPTION, COMPRESSION, NETNAME, TRANSPORT, RDMA, SIGNING = 1, 2, 3, 5, 6, 7, 8

NTLMSSP_OID = bytes.fromhex("2b06010401823702020a")
KERBEROS_OID = bytes.fromhex("2a864886f712010202")
MS_KERBEROS_OID = bytes.fromhex("2a864882f712010202")
SPNEGO_OID = bytes.fromhex("2b0601050502")

Context = tuple[int, bytes]


occasion = ""            # the capture that is being made; make.py names it


def noise(label: str, size: int) -> bytes:
    """`size` bytes that look random and are the same each time: salts, signatures, ciphertext."""
    return hashlib.shake_256(label.encode()).digest(size)


def guid(label: str) -> bytes:
    """A GUID for a peer, as it lies on the wire."""
    return uuid.uuid5(uuid.NAMESPACE_DNS, label).bytes_le


def filetime(time_ns: int) -> int:
    """Nanoseconds since 1970 as a FILETIME. [MS-DTYP] 2.3.3"""
    return time_ns // 100 + 116_444_736_000_000_000


def session(*messages: bytes) -> bytes:
    """Each message in a NetBIOS session message of its own. RFC 1002 4.3.6"""
    return b"".join(b"\0" + len(message).to_bytes(3, "big") + message for message in messages)


# -- SMB2, [MS-SMB2] 2.2


def smb2(
    command: int,
    body: bytes,
    message_id: int,
    *,
    answer: bool = False,
    status: int = 0,
    session_id: int = 0,
    tree_id: int = 0,
    signed: bool = False,
    granted: int = 31,
) -> bytes:
    """A message with its sync header, 2.2.1.2. A signature is noise: nobody here knows the key."""
    flags = (1 if answer else 0) | (8 if signed else 0)
    signature = noise(f"{command} {message_id} {answer}", 16) if signed else bytes(16)
    charge = 0 if command == NEGOTIATE else 1
    return struct.pack(
        "<4sHHIHHIIQIIQ16s", b"\xfeSMB", 64, charge, status, command, granted, flags, 0,
        message_id, 0xFEFF, tree_id, session_id, signature,
    ) + body


def contexts(items: Iterable[Context]) -> bytes:
    """Negotiate contexts, each on an 8-byte boundary, none after the last. 2.2.3.1"""
    block = b""
    for kind, data in items:
        block += bytes(-len(block) % 8) + struct.pack("<HHI", kind, len(data), 0) + data
    return block


def preauth(label: str, hashes: Sequence[int] = (1,)) -> Context:
    """A salt is drawn for each connection anew: two captures never share one."""
    salt = noise(f"salt of {label} in {occasion}", 32)
    return PREAUTH, struct.pack(f"<HH{len(hashes)}H", len(hashes), 32, *hashes) + salt


def encryption(*ciphers: int) -> Context:
    return ENCRYPTION, struct.pack(f"<H{len(ciphers)}H", len(ciphers), *ciphers)


def compression(flags: int, *algorithms: int) -> Context:
    return COMPRESSION, struct.pack(f"<HHI{len(algorithms)}H", len(algorithms), 0, flags, *algorithms)


def netname(name: str) -> Context:
    return NETNAME, name.encode("utf-16-le")


def transport(flags: int) -> Context:
    return TRANSPORT, struct.pack("<I", flags)


def rdma(*transforms: int) -> Context:
    return RDMA, struct.pack(f"<HHI{len(transforms)}H", len(transforms), 0, 0, *transforms)


def signing(*algorithms: int) -> Context:
    return SIGNING, struct.pack(f"<H{len(algorithms)}H", len(algorithms), *algorithms)


def negotiate_request(
    dialects: Sequence[int],
    client: str,
    *,
    mode: int = 1,
    capabilities: int = 0x7F,
    offer: Sequence[Context] = (),
    message_id: int = 0,
) -> bytes:
    """2.2.3; `offer` are the negotiate contexts, written only with one or more."""
    fixed = struct.pack("<HHHHI16s", 36, len(dialects), mode, 0, capabilities, guid(client))
    array = struct.pack(f"<{len(dialects)}H", *dialects)
    if not offer:
        return smb2(NEGOTIATE, fixed + bytes(8) + array, message_id)
    end = 64 + 36 + len(array)
    at = end + -end % 8
    tail = struct.pack("<IHH", at, len(offer), 0)
    return smb2(NEGOTIATE, fixed + tail + array + bytes(at - end) + contexts(offer), message_id)


def negotiate_response(
    dialect: int,
    server: str,
    time_ns: int,
    *,
    mode: int = 1,
    capabilities: int = 0x2F,
    size: int = 8_388_608,
    token: bytes | None = None,
    answer: Sequence[Context] = (),
    message_id: int = 0,
) -> bytes:
    """2.2.4; `answer` are the negotiate contexts of a 3.1.1 answer."""
    token = spnego_init() if token is None else token
    end = 64 + 64 + len(token)
    at = end + -end % 8 if answer else 0
    body = struct.pack(
        "<HHHH16sIIIIQQHHI", 65, mode, dialect, len(answer), guid(server), capabilities,
        size, size, size, filetime(time_ns), 0, 128, len(token), at,
    ) + token
    if answer:
        body += bytes(at - end) + contexts(answer)
    return smb2(NEGOTIATE, body, message_id, answer=True, granted=1)


def error(
    command: int, status: int, message_id: int, *, data: bytes = b"", count: int = 0,
    session_id: int = 0, signed: bool = False,
) -> bytes:
    """2.2.2; without data it has one byte all the same."""
    body = struct.pack("<HBBI", 9, count, 0, len(data)) + (data or b"\0")
    return smb2(command, body, message_id, answer=True, status=status, session_id=session_id, signed=signed)


def session_setup_request(token: bytes, message_id: int, *, mode: int = 1, session_id: int = 0) -> bytes:
    """2.2.5"""
    body = struct.pack("<HBBIIHHQ", 25, 0, mode, 1, 0, 88, len(token), 0) + token
    return smb2(SESSION_SETUP, body, message_id, session_id=session_id)


def session_setup_response(
    token: bytes, message_id: int, session_id: int, *, status: int = 0, flags: int = 0, signed: bool = False,
) -> bytes:
    """2.2.6; flags: 1 guest, 2 null session, 4 encrypt."""
    body = struct.pack("<HHHH", 9, flags, 72, len(token)) + token
    return smb2(SESSION_SETUP, body, message_id, answer=True, status=status, session_id=session_id, signed=signed)


def tree_connect_request(path: str, message_id: int, session_id: int, *, signed: bool = False) -> bytes:
    """2.2.9"""
    name = path.encode("utf-16-le")
    body = struct.pack("<HHHH", 9, 0, 72, len(name)) + name
    return smb2(TREE_CONNECT, body, message_id, session_id=session_id, signed=signed)


def tree_connect_response(message_id: int, session_id: int, *, tree_id: int = 1, signed: bool = False) -> bytes:
    """2.2.10, a disk share with full access."""
    body = struct.pack("<HBBIII", 16, 1, 0, 0x800, 0, 0x001F01FF)
    return smb2(TREE_CONNECT, body, message_id, answer=True, session_id=session_id, tree_id=tree_id, signed=signed)


def validate_request(
    dialects: Sequence[int], client: str, message_id: int, session_id: int, *, mode: int = 1,
    capabilities: int = 0x7F,
) -> bytes:
    """FSCTL_VALIDATE_NEGOTIATE_INFO. 2.2.31.4"""
    info = struct.pack(f"<I16sHH{len(dialects)}H", capabilities, guid(client), mode, len(dialects), *dialects)
    fixed = struct.pack(
        "<HHI16sIIIIIIII", 57, 0, 0x00140204, b"\xff" * 16, 120, len(info), 0, 0, 0, 24, 1, 0
    )
    return smb2(IOCTL, fixed + info, message_id, session_id=session_id, tree_id=1, signed=True)


def validate_response(
    dialect: int, server: str, message_id: int, session_id: int, *, mode: int = 1, capabilities: int = 0x2F
) -> bytes:
    """2.2.32.6"""
    info = struct.pack("<I16sHH", capabilities, guid(server), mode, dialect)
    fixed = struct.pack(
        "<HHI16sIIIIII", 49, 0, 0x00140204, b"\xff" * 16, 112, 0, 112, len(info), 0, 0
    )
    return smb2(IOCTL, fixed + info, message_id, answer=True, session_id=session_id, tree_id=1, signed=True)


def logoff(message_id: int, session_id: int, *, answer: bool = False) -> bytes:
    """2.2.7, 2.2.8"""
    return smb2(LOGOFF, struct.pack("<HH", 4, 0), message_id, session_id=session_id, answer=answer, signed=True)


# -- SMB1, [MS-CIFS] 2.2.4.52


def smb1_negotiate(dialects: Sequence[str], *, flags2: int = 0xC801) -> bytes:
    """An SMB_COM_NEGOTIATE request; the default Flags2 are unicode, NT status, extended security, long names."""
    names = b"".join(b"\x02" + name.encode("ascii") + b"\0" for name in dialects)
    return _smb1(0x18, flags2) + struct.pack("<BH", 0, len(names)) + names


def smb1_answer_core(index: int, *, flags2: int = 0x0001) -> bytes:
    """The answer that selects a core dialect, or none of them with 0xFFFF: one word."""
    return _smb1(0x88, flags2) + struct.pack("<BHH", 1, index, 0)


def smb1_answer_lanman(index: int, time_ns: int, *, mode: int = 3, domain: str = "OFFICE") -> bytes:
    """The answer that selects a LANMAN dialect: thirteen words, DOS times."""
    seconds = time_ns // 1_000_000_000 % 86_400
    time = seconds // 3600 << 11 | seconds // 60 % 60 << 5 | seconds % 60 // 2
    date = (2026 - 1980) << 9 | 3 << 5 | 2
    challenge = noise("lanman challenge", 8)
    words = struct.pack(
        "<HHHHHHIHHHHH", index, mode, 4356, 50, 1, 0, 0x1F2E, time, date, 0, len(challenge), 0
    )
    data = challenge + domain.encode("ascii") + b"\0"
    return _smb1(0x88, 0x0001) + bytes([13]) + words + struct.pack("<H", len(data)) + data


def smb1_session_setup(user: str, domain: str) -> bytes:
    """SMB_COM_SESSION_SETUP_ANDX of a LANMAN client: ten words. [MS-CIFS] 2.2.4.53"""
    response = noise(f"lanman response of {user}", 24)
    words = struct.pack("<BBHHHHIHI", 0xFF, 0, 0, 4356, 2, 1, 0x1F2E, len(response), 0)
    data = response + f"{user}\0{domain}\0DOS LAN Manager\0".encode("ascii")
    return _smb1(0x18, 0, 0x73) + bytes([10]) + words + struct.pack("<H", len(data)) + data


def smb1_session_setup_answer() -> bytes:
    """Its answer: a session, not as guest."""
    return _smb1(0x88, 0, 0x73, uid=100) + struct.pack("<BBBHHH", 3, 0xFF, 0, 0, 0, 0)


def netbios_name(name: str, kind: int) -> bytes:
    """A name in NetBIOS first-level encoding. RFC 1001 14.1"""
    raw = name.upper().ljust(15).encode("ascii") + bytes([kind])
    return b"\x20" + bytes(0x41 + nibble for byte in raw for nibble in (byte >> 4, byte & 15)) + b"\0"


def _smb1(flags: int, flags2: int, command: int = 0x72, *, uid: int = 0) -> bytes:
    return struct.pack(
        "<4sBIBH12sHHHH", b"\xffSMB", command, 0, flags, flags2, bytes(12), 0xFFFF, 0xFEFF, uid, 1)


# -- Security blobs, RFC 4178 and [MS-NLMP]


def der(tag: int, *parts: bytes) -> bytes:
    """One DER element with a definite length."""
    body = b"".join(parts)
    if len(body) < 0x80:
        return bytes([tag, len(body)]) + body
    size = len(body).to_bytes((len(body).bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(size)]) + size + body


def spnego_init(
    mechanisms: Sequence[bytes] = (MS_KERBEROS_OID, KERBEROS_OID, NTLMSSP_OID),
    token: bytes | None = None,
) -> bytes:
    """NegTokenInit2 as a server gives it ([MS-SPNG] 2.2.1), or NegTokenInit with a client's token."""
    kinds = der(0xA0, der(0x30, *(der(0x06, oid) for oid in mechanisms)))
    if token is None:
        hint = der(0xA3, der(0x30, der(0xA0, der(0x1B, b"not_defined_in_RFC4178@please_ignore"))))
        inner = der(0x30, kinds, hint)
    else:
        inner = der(0x30, kinds, der(0xA2, der(0x04, token)))
    return der(0x60, der(0x06, SPNEGO_OID), der(0xA0, inner))


def spnego_next(state: int | None, token: bytes = b"", mechanism: bytes | None = None) -> bytes:
    """NegTokenResp; state: 0 accept-completed, 1 accept-incomplete, 2 reject, None leaves it out."""
    parts = [] if state is None else [der(0xA0, der(0x0A, bytes([state])))]
    if mechanism is not None:
        parts.append(der(0xA1, der(0x06, mechanism)))
    if token:
        parts.append(der(0xA2, der(0x04, token)))
    return der(0xA1, der(0x30, *parts))


def ntlm_negotiate() -> bytes:
    """[MS-NLMP] 2.2.1.1"""
    return struct.pack("<8sIIHHIHHI8s", b"NTLMSSP\0", 1, 0xE2088297, 0, 0, 0, 0, 0, 0, _VERSION)


def ntlm_challenge(computer: str, domain: str, time_ns: int) -> bytes:
    """[MS-NLMP] 2.2.1.2"""
    target = domain.encode("utf-16-le")
    info = _pairs([
        (2, target), (1, computer.encode("utf-16-le")), (4, b""), (3, computer.lower().encode("utf-16-le")),
        (7, struct.pack("<Q", filetime(time_ns))),
    ])
    return struct.pack(
        "<8sIHHII8s8sHHI8s", b"NTLMSSP\0", 2, len(target), len(target), 56, 0xE28A8215,
        noise(f"challenge of {computer}", 8), bytes(8), len(info), len(info), 56 + len(target), _VERSION,
    ) + target + info


def ntlm_authenticate(user: str, domain: str, workstation: str, spn: str, time_ns: int) -> bytes:
    """[MS-NLMP] 2.2.1.3 with an NTLMv2 response whose target name is `spn`."""
    pairs = _pairs([
        (2, domain.encode("utf-16-le")), (7, struct.pack("<Q", filetime(time_ns))), (6, struct.pack("<I", 2)),
        (9, spn.encode("utf-16-le")),
    ])
    proof = noise(f"proof of {user}", 16)
    reply = proof + struct.pack("<BBHIQ8sI", 1, 1, 0, 0, filetime(time_ns), noise(user, 8), 0) + pairs + bytes(4)
    fields = [
        bytes(24), reply, domain.encode("utf-16-le"), user.encode("utf-16-le"), workstation.encode("utf-16-le"),
        noise(f"key of {user}", 16),
    ]
    at, places, payload = 88, b"", b""
    for value in fields:
        places += struct.pack("<HHI", len(value), len(value), at + len(payload))
        payload += value
    return b"NTLMSSP\0" + struct.pack("<I", 3) + places + struct.pack("<I", 0xE2888215) + _VERSION + noise("mic", 16) + payload


def _pairs(items: Iterable[tuple[int, bytes]]) -> bytes:
    return b"".join(struct.pack("<HH", kind, len(value)) + value for kind, value in items) + bytes(4)


_VERSION = struct.pack("<BBH3xB", 10, 0, 20348, 15)
