"""Every status that the answers of interest carry has its name."""

from __future__ import annotations

import pytest

from analyzer.smb.status import STATUSES, is_error, status_name


@pytest.mark.parametrize(
    ("value", "name"),
    [
        (0x00000000, "SUCCESS"), (0x00000103, "PENDING"), (0xC0000001, "UNSUCCESSFUL"),
        (0xC000000D, "INVALID_PARAMETER"), (0xC0000010, "INVALID_DEVICE_REQUEST"),
        (0xC0000016, "MORE_PROCESSING_REQUIRED"), (0xC0000017, "NO_MEMORY"), (0xC0000022, "ACCESS_DENIED"),
        (0xC0000023, "BUFFER_TOO_SMALL"), (0xC000005E, "NO_LOGON_SERVERS"), (0xC0000064, "NO_SUCH_USER"),
        (0xC000006A, "WRONG_PASSWORD"), (0xC000006D, "LOGON_FAILURE"), (0xC000006E, "ACCOUNT_RESTRICTION"),
        (0xC000006F, "INVALID_LOGON_HOURS"), (0xC0000070, "INVALID_WORKSTATION"),
        (0xC0000071, "PASSWORD_EXPIRED"), (0xC0000072, "ACCOUNT_DISABLED"), (0xC0000193, "ACCOUNT_EXPIRED"),
        (0xC0000224, "PASSWORD_MUST_CHANGE"), (0xC0000234, "ACCOUNT_LOCKED_OUT"),
        (0xC000009A, "INSUFFICIENT_RESOURCES"), (0xC00000BB, "NOT_SUPPORTED"),
        (0xC00000C3, "INVALID_NETWORK_RESPONSE"), (0xC00000C9, "NETWORK_NAME_DELETED"),
        (0xC00000CA, "NETWORK_ACCESS_DENIED"), (0xC00000CB, "BAD_DEVICE_TYPE"), (0xC00000CC, "BAD_NETWORK_NAME"),
        (0xC00000CE, "TOO_MANY_SESSIONS"), (0xC00000D0, "REQUEST_NOT_ACCEPTED"), (0xC00000E5, "INTERNAL_ERROR"),
        (0xC0000128, "FILE_CLOSED"), (0xC0000133, "TIME_DIFFERENCE_AT_DC"), (0xC000015B, "LOGON_TYPE_NOT_GRANTED"),
        (0xC000018C, "TRUSTED_DOMAIN_FAILURE"), (0xC000018D, "TRUSTED_RELATIONSHIP_FAILURE"),
        (0xC000019C, "FS_DRIVER_REQUIRED"), (0xC0000203, "USER_SESSION_DELETED"),
        (0xC0000205, "INSUFF_SERVER_RESOURCES"), (0xC0000257, "PATH_NOT_COVERED"),
        (0xC000035C, "NETWORK_SESSION_EXPIRED"), (0xC0000388, "DOWNGRADE_DETECTED"),
        (0xC0000413, "AUTHENTICATION_FIREWALL_FAILED"), (0xC0000418, "NTLM_BLOCKED"),
        (0xC000042A, "REQUEST_OUT_OF_SEQUENCE"), (0xC000A000, "INVALID_SIGNATURE"),
        (0xC05D0000, "SMB_NO_PREAUTH_INTEGRITY_HASH_OVERLAP"), (0xC05D0001, "SMB_BAD_CLUSTER_DIALECT"),
        (0x00010002, "INVALID_SMB"), (0x005B0002, "SMB_BAD_UID"),
    ],
)  # fmt: skip
def test_statuses_have_their_names(value: int, name: str) -> None:
    assert status_name(value) == "STATUS_" + name


def test_an_unknown_status_stays_a_number() -> None:
    assert status_name(0xC0FFEE00) == "unknown 0xC0FFEE00"


def test_names_are_unique() -> None:
    assert len(set(STATUSES.values())) == len(STATUSES)


def test_only_severity_error_is_an_error() -> None:
    assert is_error(0xC0000022)
    assert not any(map(is_error, (0, 0x103, 0x80000005)))
