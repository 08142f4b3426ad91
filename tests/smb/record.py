"""Messages of the lab captures and of made.py -> recorded.json: their bytes, and what tshark shows.

    python -m tests.smb.record ../shared/captures/lab

The bytes are the NetBIOS packet of one message, complete in one TCP segment. `fields` are the
values of `tshark -T json`, in the types of `negdiag fields`; only NEGOTIATE messages have them.
"""

from __future__ import annotations

import functools
import json
import os
import struct
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.smb.made import MADE, packet

HERE = Path(__file__).resolve().parent
PREFIXES = ("smb.", "smb2.", "spnego.", "gss-api.", "ntlmssp.")
# What Wireshark works out by itself, and reserved bytes.
LEFT_OUT = frozenset({
    "smb2.preauth_hash", "smb2.response_to", "smb2.response_in", "smb2.time", "smb2.protocol_id",
    "smb.response_to", "smb.response_in", "smb.time", "smb.server_component", "smb.reserved",
    "smb2.reserved", "smb2.error.reserved", "smb2.negotiate_context.comp_alg_flags.reserved",
    "smb2.negotiate_context.rdma_transform_reserved1", "smb2.negotiate_context.rdma_transform_reserved2",
})  # fmt: skip
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
# capture, frame, name
CHOSEN = (
    ("ok-smb311-get.pcapng", 4, "smb2-request-311"),
    ("ok-smb311-get.pcapng", 6, "smb2-response-311"),
    ("ok-smb311-get.pcapng", 8, "smb2-session-setup-negotiate"),
    ("ok-smb311-get.pcapng", 9, "smb2-session-setup-challenge"),
    ("ok-smb311-get.pcapng", 10, "smb2-session-setup-authenticate"),
    ("ok-smb311-get.pcapng", 11, "smb2-session-setup-success"),
    ("ok-smb311-get.pcapng", 12, "smb2-tree-connect"),
    ("ok-smb311-get.pcapng", 13, "smb2-tree-connect-success"),
    ("no-common-dialect.pcap", 4, "smb2-request-202"),
    ("no-common-dialect.pcap", 6, "smb2-error-not-supported"),
    ("ok-multi-protocol.pcapng", 4, "smb1-request-multi"),
    ("ok-multi-protocol.pcapng", 6, "smb2-response-wildcard"),
    ("ok-nt1.pcap", 4, "smb1-request-nt"),
    ("ok-nt1.pcap", 6, "smb1-response-samba"),
    ("malformed-context-count.pcap", 4, "smb2-request-count-9"),
    ("malformed-context-length.pcap", 4, "smb2-request-length-1024"),
    ("malformed-context-response.pcap", 6, "smb2-response-length-8192"),
    ("malformed-response-short.pcap", 6, "smb2-response-short"),
    ("malformed-response-ssize.pcap", 8, "smb2-response-size-64"),
    ("duplicate-context.pcap", 4, "smb2-request-two-hashes"),
    ("preauth-missing-request.pcap", 4, "smb2-request-no-hash"),
    ("zero-dialects.pcapng", 4, "smb2-request-no-dialect"),
    ("smb1-ffff-custom.pcap", 6, "smb1-response-ffff"),
    ("nbss-rejected-custom.pcapng", 4, "nbss-request"),
    ("nbss-rejected-custom.pcapng", 6, "nbss-negative"),
    ("ok-nt1.pcap", 8, "smb1-session-setup-negotiate"),
    ("ok-nt1.pcap", 9, "smb1-session-setup-challenge"),
    ("ok-nt1.pcap", 11, "smb1-session-setup-success"),
    ("ok-nt1.pcap", 12, "smb1-tree-connect"),
    ("ok-nt1.pcap", 13, "smb1-tree-connect-success"),
    ("ok-smb300-vni.pcap", 14, "smb2-validate-request"),
    ("ok-smb300-vni.pcap", 15, "smb2-validate-response"),
    ("ok-encryption.pcap", 12, "smb2-encrypted"),
)  # fmt: skip


def main(lab: Path) -> None:
    found = [record(lab / capture, frame, name) for capture, frame, name in CHOSEN]
    with tempfile.TemporaryDirectory() as folder:
        for name, message in MADE.items():
            capture = Path(folder) / f"{name}.pcap"
            capture.write_bytes(one_segment(packet(message)))
            found.append(record(capture, 1, name) | {"capture": None})
    (HERE / "recorded.json").write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


def record(capture: Path, frame: int, name: str) -> dict[str, Any]:
    """One entry of recorded.json."""
    payload = tshark(capture, f"frame.number == {frame}", "-T", "fields", "-e", "tcp.payload").strip()
    shown = wireshark_fields(capture, f"frame.number == {frame}").get(frame, [])
    return {
        "name": name,
        "capture": capture.name,
        "frame": frame,
        "bytes": payload.replace(":", ""),
        "fields": shown[0] if shown else None,
    }


def one_segment(payload: bytes) -> bytes:
    """A capture of one TCP segment from or to port 445, by the direction its message says."""
    return segments(payload, [len(payload)])


def segments(payload: bytes, captured: list[int]) -> bytes:
    """A capture of the same segment again and again, each on a connection of its own.

    captured: how many bytes of the payload each frame holds; the rest was cut off by the capture.
    """
    response = payload[13] & 0x80 if payload[4] == 0xFF else payload[20] & 1
    out = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 262144, 101)         # link type: raw IP
    for number, size in enumerate(captured):
        ports = (445, 20000 + number) if response else (20000 + number, 445)
        tcp = struct.pack(">HHIIBBHHH", *ports, 1, 1, 0x50, 0x18, 65535, 0, 0) + payload
        ip = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 20 + len(tcp), 1, 0, 64, 6, 0, b"\x0a\0\0\1", b"\x0a\0\0\2")
        frame = ip + tcp
        kept = len(frame) - len(payload) + size
        out += struct.pack("<IIII", 1_700_000_000 + number, 0, kept, len(frame)) + frame[:kept]
    return out


def tshark(capture: Path, display_filter: str, *options: str) -> str:
    """What tshark prints, with times in UTC."""
    command = ["tshark", "-r", str(capture), "-Y", display_filter, *options]
    environment = {**os.environ, "TZ": "UTC"}
    done = subprocess.run(command, capture_output=True, check=True, env=environment)
    return done.stdout.decode("utf-8", "replace")


def wireshark_fields(capture: Path, display_filter: str) -> dict[int, list[dict[str, list[Any]]]]:
    """By frame: the fields of each NEGOTIATE message, every value in a list, in Wireshark's order."""
    types = field_types()
    printed = tshark(capture, f"({display_filter}) && (smb.cmd == 0x72 || smb2.cmd == 0)", "-T", "json")
    found: dict[int, list[dict[str, list[Any]]]] = {}
    for pairs in json.loads(printed or "[]", object_pairs_hook=list):
        layers = dict(dict(pairs)["_source"])["layers"]
        frame = int(dict(dict(layers)["frame"])["frame.number"])
        for layer in protocol_layers(layers):
            fields: dict[str, list[Any]] = {}
            for key, text in leaves(layer):
                fields.setdefault(key, []).append(value(types.get(key, ""), text))
            if fields.get("smb.cmd") == [0x72] or fields.get("smb2.cmd") == [0]:
                found.setdefault(frame, []).append(fields)
    return found


def protocol_layers(pairs: Any) -> Iterator[Any]:
    for key, content in pairs:
        if key in ("smb", "smb2") and isinstance(content, list):
            yield content


def leaves(pairs: Any) -> Iterator[tuple[str, str]]:
    for key, content in pairs:
        if isinstance(content, list):
            yield from leaves(content)
        elif key.startswith(PREFIXES) and not key.endswith("_tree") and key not in LEFT_OUT:
            yield key, content


@functools.cache
def field_types() -> dict[str, str]:
    """Wireshark's type of each field."""
    command = ["tshark", "-G", "fields"]
    printed = subprocess.run(command, capture_output=True, check=True, text=True).stdout
    rows = [line.split("\t") for line in printed.splitlines()]
    types: dict[str, str] = {}
    for row in rows:
        if row[0] == "F":
            types.setdefault(row[2], row[3])
    return types


def value(kind: str, text: str) -> int | bool | str | None:
    """A value of `tshark -T json` in the type that `negdiag fields` gives it."""
    if kind == "FT_BOOLEAN":
        return text in ("1", "True")
    if kind.startswith(("FT_UINT", "FT_INT")):
        return int(text, 0)
    if kind == "FT_BYTES":
        return text.replace(":", "")
    if kind == "FT_ABSOLUTE_TIME":
        return time_text(text)
    return text


def time_text(text: str) -> str | None:
    """ "Nov 22, 2026 11:35:03.216389900 UTC" as ISO 8601; None for the zero time, which is shown as 1970."""
    month, day, year, clock = text.replace(",", "").split()[:4]
    moment = f"{year}-{MONTHS.index(month) + 1:02d}-{int(day):02d}T{clock}"
    return None if moment.startswith("1970-01-01T00:00:00.000000000") else moment + "Z"


if __name__ == "__main__":
    main(Path(sys.argv[1]))
