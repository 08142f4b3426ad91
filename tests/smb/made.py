"""Messages built by hand from the specifications' tables, for what the lab's peers never send."""

from __future__ import annotations

import struct

GUID = bytes(range(16))
NT_DIALECTS = ("PC NETWORK PROGRAM 1.0", "LANMAN1.0", "LM1.2X002", "LANMAN2.1", "NT LM 0.12")


def packet(message: bytes, kind: int = 0) -> bytes:
    """A NetBIOS session packet: type, 24-bit length, body."""
    return struct.pack(">I", kind << 24 | len(message)) + message


def smb1(command: int, *, response: bool, status: int = 0, flags2: int = 0xC843, mid: int = 1) -> bytes:
    """A header. [MS-CIFS] 2.2.3.1"""
    flags = 0x98 if response else 0x18
    return struct.pack(
        "<4sBIBHH8sHHHHH", b"\xffSMB", command, status, flags, flags2, 0, bytes(8), 0, 0, 0xFFFE, 0, mid
    )


def block(words: bytes, data: bytes) -> bytes:
    """Words and bytes with their counts. [MS-CIFS] 2.2.3.2, 2.2.3.3"""
    return struct.pack("<B", len(words) // 2) + words + struct.pack("<H", len(data)) + data


def smb1_request(*dialects: str) -> bytes:
    """A NEGOTIATE. [MS-CIFS] 2.2.4.52.1"""
    strings = b"".join(b"\x02" + dialect.encode() + b"\0" for dialect in dialects)
    return smb1(0x72, response=False) + block(b"", strings)


def nt_words(capabilities: int, challenge: int, mode: int = 3, index: int = 4) -> bytes:
    """The words of NT LM 0.12. [MS-CIFS] 2.2.4.52.2"""
    return struct.pack(
        "<HBHHIIIIQhB", index, mode, 50, 1, 16644, 65536, 0x1234, capabilities, 0x01DD7A5D12345678, -120, challenge
    )


def smb2(command: int, *, response: bool, status: int = 0, flags: int = 0, mid: int = 0, following: int = 0) -> bytes:
    """A header. [MS-SMB2] 2.2.1.2"""
    return struct.pack(
        "<4sHHIHHIIQIIQ16s", b"\xfeSMB", 64, 1, status, command, 31, flags | response, following, mid,
        0xFEFF, 0, 0, bytes(16),
    )  # fmt: skip


def context(kind: int, data: bytes, length: int | None = None) -> bytes:
    """A negotiate context, padded to 8. [MS-SMB2] 2.2.3.1"""
    size = len(data) if length is None else length
    return struct.pack("<HHI", kind, size, 0) + data + bytes(-len(data) % 8)


def ids(*values: int, count: int | None = None) -> bytes:
    """A count and 16-bit ids."""
    return struct.pack(f"<H{len(values)}H", len(values) if count is None else count, *values)


HASHES = context(1, struct.pack("<HHH", 1, 4, 1) + b"salt")
EVERY_CONTEXT = (
    HASHES,
    context(2, ids(2, 1, 4, 3)),
    context(3, struct.pack("<HHIHHH", 3, 0, 1, 4, 2, 3)),
    context(5, "filer.example".encode("utf-16-le")),
    context(6, struct.pack("<I", 1)),
    context(7, struct.pack("<HHIHH", 2, 0, 0, 1, 2)),
    context(8, ids(2, 1)),
    context(0x100, bytes.fromhex("93ad25509cb411e7b42383de968bcd7c")),
    context(0x1234, b"what"),
)


def request(
    dialects: tuple[int, ...] = (0x0202, 0x0311),
    contexts: tuple[bytes, ...] = (HASHES,),
    *,
    offset: int | None = None,
    count: int | None = None,
) -> bytes:
    """An SMB2 NEGOTIATE. [MS-SMB2] 2.2.3"""
    end = 100 + 2 * len(dialects)
    at = end + -end % 8
    return (
        smb2(0, response=False)
        + struct.pack(
            "<HHHHI16sIHH", 36, len(dialects), 1, 0, 0x7F, GUID, at if offset is None else offset,
            len(contexts) if count is None else count, 0,
        )
        + struct.pack(f"<{len(dialects)}H", *dialects)
        + bytes(at - end)
        + b"".join(contexts)
    )  # fmt: skip


def response(
    dialect: int = 0x0311,
    contexts: tuple[bytes, ...] = (HASHES, context(2, ids(2))),
    token: bytes = b"",
    *,
    status: int = 0,
    size: int = 65,
) -> bytes:
    """An SMB2 NEGOTIATE answer. [MS-SMB2] 2.2.4"""
    end = 128 + len(token)
    at = end + -end % 8 if contexts else 0
    return (
        smb2(0, response=True, status=status)
        + struct.pack(
            "<HHHH16sIIIIQQHHI", size, 3, dialect, len(contexts), GUID, 0x2F, 8388608, 8388608, 8388608,
            0x01DD7A5D12345678, 0, 128, len(token), at,
        )
        + token
        + bytes(at - end if contexts else 0)
        + b"".join(contexts)
    )  # fmt: skip


def der(tag: int, *content: bytes) -> bytes:
    """A DER element with a definite length."""
    body = b"".join(content)
    size = len(body)
    if size < 0x80:
        return bytes((tag, size)) + body
    width = (size.bit_length() + 7) // 8
    return bytes((tag, 0x80 | width)) + size.to_bytes(width, "big") + body


SPNEGO_OID = der(6, bytes.fromhex("2b0601050502"))
NTLMSSP_OID = der(6, bytes.fromhex("2b06010401823702020a"))
KERBEROS_OID = der(6, bytes.fromhex("2a864886f712010202"))
MS_KERBEROS_OID = der(6, bytes.fromhex("2a864882f712010202"))
HINTS = der(0xA3, der(0x30, der(0xA0, der(0x1B, b"not_defined_in_RFC4178@please_ignore"))))
INIT = der(
    0x60,
    SPNEGO_OID,
    der(0xA0, der(0x30, der(0xA0, der(0x30, MS_KERBEROS_OID, KERBEROS_OID, NTLMSSP_OID)), HINTS)),
)
CHALLENGE = bytes.fromhex("0123456789abcdef")

# What tshark is asked about as well as the recorded messages.
MADE = {
    "smb1-request-lanman": smb1_request(*NT_DIALECTS),
    "smb1-request-empty": smb1_request(),
    "smb1-request-unterminated": smb1(0x72, response=False) + block(b"", b"\x02NT LM 0.12\0\x02SMB 2"),
    "smb1-request-odd-format": smb1(0x72, response=False) + block(b"", b"\x02NT LM 0.12\0\x07SMB 2.002\0"),
    "smb1-response-core": smb1(0x72, response=True) + block(b"\x00\x00", b""),
    "smb1-response-refused": smb1(0x72, response=True) + block(b"\xff\xff", b""),
    "smb1-response-no-words": smb1(0x72, response=True) + block(b"", b"\xff\xff"),
    "smb1-response-dos-error": smb1(0x72, response=True, status=0x00020001, flags2=0x0001) + block(b"", b""),
    "smb1-response-lanman": smb1(0x72, response=True, flags2=0x0001)
    + block(
        struct.pack("<HHHHHHIHHhHH", 3, 3, 4096, 10, 1, 3, 0x1234, 0x6C32, 0x5B76, 60, 8, 0),
        CHALLENGE + b"WORKGROUP\0",
    ),
    "smb1-response-nt-challenge": smb1(0x72, response=True)
    + block(nt_words(0x0000F3FD, 8), CHALLENGE + "WORKGROUP\0FILER\0".encode("utf-16-le")),
    "smb1-response-nt-oem": smb1(0x72, response=True, flags2=0x4003)
    + block(nt_words(0x0000F3F9, 8, mode=15), CHALLENGE + b"WORKGROUP\0FILER\0"),
    "smb1-response-nt-odd": smb1(0x72, response=True)
    + block(nt_words(0x0000F3FD, 8), CHALLENGE + b"\0" + "WORKGROUP\0".encode("utf-16-le")),
    "smb1-response-nt-extended": smb1(0x72, response=True) + block(nt_words(0x8000F3FD, 0), GUID + INIT),
    "smb2-request-every-context": request((0x0202, 0x0210, 0x0300, 0x0302, 0x0311), EVERY_CONTEXT),
    "smb2-request-draft-310": request((0x0310,)),
    "smb2-request-offset-inside": request(offset=0x60),
    "smb2-request-offset-zero": request(offset=0),
    "smb2-request-no-ids": request((0x0311,), (HASHES, context(2, ids()))),
    "smb2-request-short-length": request((0x0311,), (context(1, struct.pack("<HHH", 1, 4, 1) + b"salt", 2), HASHES)),
    "smb2-request-many-ids": request((0x0311,), (HASHES, context(2, ids(1, 2, count=400)))),
    "smb2-response-token": response(token=INIT),
    "smb2-response-210": response(0x0210, (), INIT),
    "smb2-response-no-token": response(0x0210, ()),
    "smb2-response-error-in-full": response(status=0xC00000BB),
    "smb2-response-async": smb2(0, response=True, status=0x103, flags=2) + struct.pack("<HBBI", 9, 0, 0, 0) + b"\0",
}
