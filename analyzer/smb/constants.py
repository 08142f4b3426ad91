"""Numbers of the SMB protocols, with their sections, and the specification's label of each.

Records hold the integer that was sent; a label is made only where one is printed, and every
label function takes any number: what the specification does not name is "unknown 0x....".
"""

from __future__ import annotations

from collections.abc import Mapping

SMB1_MAGIC, SMB2_MAGIC = b"\xffSMB", b"\xfeSMB"              # [MS-CIFS] 2.2.3.1, [MS-SMB2] 2.2.1
ENCRYPTED_MAGIC, COMPRESSED_MAGIC = b"\xfdSMB", b"\xfcSMB"   # [MS-SMB2] 2.2.41, 2.2.42

# NetBIOS session service packet types. RFC 1002 4.3.1
SESSION_MESSAGE, SESSION_REQUEST, POSITIVE_RESPONSE = 0x00, 0x81, 0x82
NEGATIVE_RESPONSE, RETARGET_RESPONSE, KEEP_ALIVE = 0x83, 0x84, 0x85

# SMB2 commands. [MS-SMB2] 2.2.1.2
NEGOTIATE, SESSION_SETUP, LOGOFF, TREE_CONNECT, TREE_DISCONNECT = 0, 1, 2, 3, 4
IOCTL = 11

# SMB1 commands. [MS-CIFS] 2.2.2.1
SMB1_NEGOTIATE, SMB1_SESSION_SETUP_ANDX, SMB1_LOGOFF_ANDX, SMB1_TREE_CONNECT_ANDX = 0x72, 0x73, 0x74, 0x75
SMB1_TREE_CONNECT, NO_ANDX = 0x70, 0xFF

# SMB2 header Flags. [MS-SMB2] 2.2.1.2
FLAG_RESPONSE, FLAG_ASYNC, FLAG_RELATED, FLAG_SIGNED = 0x1, 0x2, 0x4, 0x8

# SMB1 header Flags and Flags2. [MS-CIFS] 2.2.3.1; the extended security and signing-required bits
# and the reparse-path bit: [MS-SMB] 2.2.3.1
SMB1_FLAG_RESPONSE = 0x80
FLAGS2_SIGNED, FLAGS2_SIGNING_REQUIRED = 0x0004, 0x0010
FLAGS2_EXTENDED_SECURITY, FLAGS2_NT_STATUS, FLAGS2_UNICODE = 0x0800, 0x4000, 0x8000

# SecurityMode of SMB2. [MS-SMB2] 2.2.3
SIGNING_ENABLED, SIGNING_REQUIRED = 0x01, 0x02

# SecurityMode of the SMB1 answer. [MS-CIFS] 2.2.4.52.2
SMB1_USER_SECURITY, SMB1_ENCRYPT_PASSWORDS = 0x01, 0x02
SMB1_SIGNING_ENABLED, SMB1_SIGNING_REQUIRED = 0x04, 0x08

# Capabilities of the SMB1 answer. [MS-CIFS] 2.2.4.52.2, [MS-SMB] 2.2.4.5.2.1
SMB1_CAP_UNICODE, SMB1_CAP_EXTENDED_SECURITY = 0x00000004, 0x80000000

# Action of the SMB1 SESSION_SETUP_ANDX answer. [MS-CIFS] 2.2.4.53.2
ACTION_GUEST = 0x0001

# Capabilities of SMB2. [MS-SMB2] 2.2.3
CAP_DFS, CAP_LEASING, CAP_LARGE_MTU, CAP_MULTI_CHANNEL = 0x01, 0x02, 0x04, 0x08
CAP_PERSISTENT_HANDLES, CAP_DIRECTORY_LEASING, CAP_ENCRYPTION = 0x10, 0x20, 0x40

# SessionFlags of the SESSION_SETUP answer ([MS-SMB2] 2.2.6), Flags of the request (2.2.5)
SESSION_GUEST, SESSION_NULL, SESSION_ENCRYPT = 0x1, 0x2, 0x4
REQUEST_BINDING = 0x1

# ShareFlags of the TREE_CONNECT answer. [MS-SMB2] 2.2.10
SHARE_ENCRYPT_DATA = 0x00008000

# Dialect revisions. [MS-SMB2] 2.2.3, 2.2.4
SMB_2_0_2, SMB_2_1, SMB_2_WILDCARD = 0x0202, 0x0210, 0x02FF
SMB_3_0, SMB_3_0_2, SMB_3_1_0, SMB_3_1_1 = 0x0300, 0x0302, 0x0310, 0x0311

# Negotiate context types. [MS-SMB2] 2.2.3.1; 0x0100 is the SMB3 POSIX extensions'
PREAUTH_INTEGRITY, ENCRYPTION, COMPRESSION, NETNAME = 0x0001, 0x0002, 0x0003, 0x0005
TRANSPORT, RDMA_TRANSFORM, SIGNING, POSIX = 0x0006, 0x0007, 0x0008, 0x0100

# [MS-SMB2] 2.2.31; [MS-FSCC] 2.3 does not list it
FSCTL_VALIDATE_NEGOTIATE_INFO = 0x00140204

# Error context ids. [MS-SMB2] 2.2.2.1
ERROR_ID_DEFAULT, ERROR_ID_SHARE_REDIRECT = 0x00000000, 0x72645253

DIALECTS: Mapping[int, str] = {
    SMB_2_0_2: "SMB 2.0.2",
    SMB_2_1: "SMB 2.1",
    SMB_2_WILDCARD: "SMB 2.???",
    SMB_3_0: "SMB 3.0",
    SMB_3_0_2: "SMB 3.0.2",
    SMB_3_1_0: "SMB 3.1.0",
    SMB_3_1_1: "SMB 3.1.1",
}
# [MS-SMB2] 2.2.1.2
COMMANDS: Mapping[int, str] = {
    0: "NEGOTIATE", 1: "SESSION_SETUP", 2: "LOGOFF", 3: "TREE_CONNECT", 4: "TREE_DISCONNECT",
    5: "CREATE", 6: "CLOSE", 7: "FLUSH", 8: "READ", 9: "WRITE", 10: "LOCK", 11: "IOCTL",
    12: "CANCEL", 13: "ECHO", 14: "QUERY_DIRECTORY", 15: "CHANGE_NOTIFY", 16: "QUERY_INFO",
    17: "SET_INFO", 18: "OPLOCK_BREAK",
}  # fmt: skip
# [MS-CIFS] 2.2.2.1: those that a connection's start and end can hold
SMB1_COMMANDS: Mapping[int, str] = {
    0x25: "TRANSACTION", 0x2B: "ECHO", 0x32: "TRANSACTION2", 0x70: "TREE_CONNECT",
    0x71: "TREE_DISCONNECT", 0x72: "NEGOTIATE", 0x73: "SESSION_SETUP_ANDX", 0x74: "LOGOFF_ANDX",
    0x75: "TREE_CONNECT_ANDX", 0xA0: "NT_TRANSACT", 0xA2: "NT_CREATE_ANDX",
}  # fmt: skip
CONTEXT_TYPES: Mapping[int, str] = {
    PREAUTH_INTEGRITY: "SMB2_PREAUTH_INTEGRITY_CAPABILITIES",
    ENCRYPTION: "SMB2_ENCRYPTION_CAPABILITIES",
    COMPRESSION: "SMB2_COMPRESSION_CAPABILITIES",
    NETNAME: "SMB2_NETNAME_NEGOTIATE_CONTEXT_ID",
    TRANSPORT: "SMB2_TRANSPORT_CAPABILITIES",
    RDMA_TRANSFORM: "SMB2_RDMA_TRANSFORM_CAPABILITIES",
    SIGNING: "SMB2_SIGNING_CAPABILITIES",
    POSIX: "SMB2_POSIX_EXTENSIONS_AVAILABLE",
}
HASHES: Mapping[int, str] = {0x0001: "SHA-512"}                                # 2.2.3.1.1
CIPHERS: Mapping[int, str] = {                                                  # 2.2.3.1.2
    0x0001: "AES-128-CCM",
    0x0002: "AES-128-GCM",
    0x0003: "AES-256-CCM",
    0x0004: "AES-256-GCM",
}
COMPRESSIONS: Mapping[int, str] = {                                             # 2.2.3.1.3
    0x0000: "NONE",
    0x0001: "LZNT1",
    0x0002: "LZ77",
    0x0003: "LZ77+Huffman",
    0x0004: "Pattern_V1",
    0x0005: "LZ4",
}
RDMA_TRANSFORMS: Mapping[int, str] = {0: "NONE", 1: "ENCRYPTION", 2: "SIGNING"}  # 2.2.3.1.6
SIGNINGS: Mapping[int, str] = {0: "HMAC-SHA256", 1: "AES-CMAC", 2: "AES-GMAC"}   # 2.2.3.1.7
SHARE_TYPES: Mapping[int, str] = {1: "DISK", 2: "PIPE", 3: "PRINT"}             # 2.2.10
# RFC 1002 4.3.4
SESSION_ERRORS: Mapping[int, str] = {
    0x80: "not listening on called name",
    0x81: "not listening for calling name",
    0x82: "called name not present",
    0x83: "called name present, but insufficient resources",
    0x8F: "unspecified error",
}
# Object identifiers of GSS mechanisms. [MS-SPNG] 1.9, RFC 4178, RFC 4121, [MS-KILE], [MS-NEGOEX]
MECHANISMS: Mapping[str, str] = {
    "1.3.6.1.4.1.311.2.2.10": "NTLMSSP",
    "1.2.840.48018.1.2.2": "MS Kerberos",
    "1.2.840.113554.1.2.2": "Kerberos",
    "1.2.840.113554.1.2.2.3": "Kerberos user-to-user",
    "1.3.6.1.4.1.311.2.2.30": "NEGOEX",
    "1.3.6.1.5.2.5": "IAKERB",
    "1.3.6.1.5.5.2": "SPNEGO",
}


def label(value: int, names: Mapping[int, str], digits: int = 4) -> str:
    """The specification's name of `value` in one of the tables above, or "unknown 0x...."."""
    return names.get(value) or f"unknown 0x{value:0{digits}X}"


def dialect_name(value: int) -> str:
    """The name of a dialect: "SMB 3.1.1" for 0x0311, "unknown 0x0399" for what has none."""
    return label(value, DIALECTS)


def command_name(value: int) -> str:
    """The name of an SMB2 command: "NEGOTIATE" for 0."""
    return label(value, COMMANDS)


def smb1_command_name(value: int) -> str:
    """The name of an SMB1 command: "NEGOTIATE" for 0x72."""
    return label(value, SMB1_COMMANDS, 2)


def mechanism_name(oid: str) -> str:
    """The name of a GSS mechanism: "NTLMSSP" for 1.3.6.1.4.1.311.2.2.10; the OID where it has none."""
    return MECHANISMS.get(oid, oid)
