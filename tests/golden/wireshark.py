"""What Wireshark reads from the NEGOTIATE messages of a capture, and how that compares with our fields.

tshark -T json -> one Answer per message -> Comparison: every field of both sides is compared, or stands in
LEFT_OUT with its reason, and all are counted.
"""

from __future__ import annotations

import json
import re
import subprocess
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

# Fields that Wireshark shows in these messages and we do not, each for a reason.
LEFT_OUT = {
    r"smb2?\..*reserved.*": "reserved bytes",
    r"smb\.server_component|smb2\.protocol_id": "the fixed first bytes of the header",
    r"smb2\.preauth_hash": "computed by Wireshark over earlier messages",
    r"smb2?\.(response_in|response_to|time)": "computed by Wireshark from other frames",
}
# Fields that we show and Wireshark does not, where it is Wireshark that is wrong.
BEYOND = {
    ("alternative-port.pcap", "spnego.hintName"):
        "Wireshark reads a NegTokenInit2 only from a port below 1024 and takes the hints for an error elsewhere",
}
PREFIXES = ("smb.", "smb2.", "spnego.", "gss-api.", "ntlmssp.", "kerberos.")


class Answer(NamedTuple):
    """One NEGOTIATE message as Wireshark shows it: each field with its values, in the order shown."""

    frame: int
    stream: int
    fields: dict[str, list[str]]


def answers(tshark: str, capture: Path, *options: str) -> list[Answer]:
    """The NEGOTIATE messages of a capture, as tshark reads them."""
    command = [
        tshark, "-r", str(capture), "-n", "-T", "json", "--no-duplicate-keys", "-o", "tcp.reassemble_out_of_order:TRUE",
        "-Y", "tcp && (smb2.cmd == 0 || smb.cmd == 0x72)", *options,
    ]
    out = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    found = []
    for packet in json.loads(out or "[]"):
        layers = packet["_source"]["layers"]
        for name in ("smb", "smb2"):
            for layer in _listed(layers.get(name, [])):
                fields: dict[str, list[str]] = {}
                for key, value in _leaves(layer):
                    fields.setdefault(key, []).append(value)
                if fields.get("smb2.cmd", [""])[0] == "0" or fields.get("smb.cmd", [""])[0] in {"0x72", "114"}:
                    tcp = _listed(layers["tcp"])[-1]
                    found.append(Answer(int(layers["frame"]["frame.number"]), int(tcp["tcp.stream"]), fields))
    return found


def _listed(value: Any) -> list[Any]:  # JSON of tshark: a field alone or a list of them
    return value if isinstance(value, list) else [value]


def _leaves(tree: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """All fields of a layer, in order; the headings between are passed over."""
    for key, values in tree.items():
        for value in _listed(values):
            if isinstance(value, dict):
                yield from _leaves(value)
            elif key.startswith(PREFIXES):
                yield key, value


@dataclass(slots=True)
class Comparison:
    """What was compared in one or more captures, and what was not."""

    messages: int = 0
    compared: Counter[str] = field(default_factory=Counter)
    left_out: Counter[str] = field(default_factory=Counter)
    differences: list[str] = field(default_factory=list)

    def add(self, where: str, ours: list[dict[str, Any]], theirs: list[Answer]) -> None:
        """Compares all messages of one capture."""
        places = [(record["frame.number"], record["tcp.stream"]) for record in ours]
        if places != [answer[:2] for answer in theirs]:
            self.differences.append(
                f"{where}: messages (frame, stream) {places}, Wireshark {[answer[:2] for answer in theirs]}")
            return
        for record, answer in zip(ours, theirs, strict=True):
            self._add_message(where, record, answer)

    def _add_message(self, name: str, record: dict[str, Any], message: Answer) -> None:
        self.messages += 1
        where, answer = f"{name} frame {message.frame}", message.fields
        for key, values in answer.items():
            if key in record:
                continue
            if any(re.fullmatch(pattern, key) for pattern in LEFT_OUT):
                self.left_out[key] += 1
            else:
                self.differences.append(f"{where}: {key} is missing, Wireshark has {values}")
        for key, ours in record.items():
            if key in {"frame.number", "tcp.stream"}:
                self.compared[key] += 1
            elif (name, key) in BEYOND:
                self.left_out[key] += 1
            elif key not in answer:
                self.differences.append(f"{where}: {key} = {ours!r}, Wireshark does not show it")
            else:
                self.compared[key] += 1
                theirs = [_read(text, like) for text, like in zip(answer[key], _listed(ours), strict=False)]
                if len(answer[key]) != len(_listed(ours)) or theirs != _listed(ours):
                    self.differences.append(f"{where}: {key} = {ours!r}, Wireshark {answer[key]}")

    def report(self) -> str:
        """What was compared and how often, what was left out and why, what differs."""
        lines = [f"{self.messages} messages, {self.compared.total()} values of {len(self.compared)} fields compared:"]
        lines += [f"  {count:6} {key}" for key, count in sorted(self.compared.items())]
        lines.append(f"{self.left_out.total()} values left out:")
        for key, count in sorted(self.left_out.items()):
            reasons = [reason for pattern, reason in LEFT_OUT.items() if re.fullmatch(pattern, key)]
            reasons += [reason for (_, beyond), reason in BEYOND.items() if beyond == key]
            lines.append(f"  {count:6} {key}: {'; '.join(reasons)}")
        lines.append(f"{len(self.differences)} differences")
        lines += [f"  {difference}" for difference in self.differences]
        return "\n".join(lines)


def _read(text: str, like: Any) -> Any:
    """Wireshark's text as a value of the type that we give the field."""
    if isinstance(like, bool):
        return text in {"1", "True"}
    if isinstance(like, int):
        return int(text, 0) if text else None
    if like is None:
        return None if text in _NO_TIME else text
    if isinstance(like, str) and re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z", like):
        return _time(text)
    if isinstance(like, str) and re.fullmatch(r"([0-9a-f]{2}:)*[0-9a-f]{2}", text):
        return text.replace(":", "")
    return text


# How tshark writes a FILETIME of zero, depending on its version.
_NO_TIME = {"Jan  1, 1970 00:00:00.000000000 UTC", "No time specified (0)"}


def _time(text: str) -> str:
    """'Mar  2, 2026 09:00:00.001150000 UTC' as ISO 8601."""
    found = re.fullmatch(r"(\w+ +\d+, \d+ \d\d:\d\d:\d\d)\.(\d{9}) UTC", text)
    if found is None:
        return text
    moment = datetime.strptime(found[1], "%b %d, %Y %H:%M:%S").replace(tzinfo=UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{found[2]}Z"
