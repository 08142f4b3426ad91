"""recorded.json as values: messages of real peers and of made.py, with what tshark shows of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

from analyzer.smb.message import Message, messages
from tests.smb.made import packet


class Recorded(NamedTuple):
    """One message. data: its NetBIOS packet. fields: every value in a list; None if no NEGOTIATE."""

    name: str
    data: bytes
    fields: dict[str, list[Any]] | None

    @property
    def body(self) -> bytes:
        """The message without the NetBIOS header."""
        return self.data[4:]


RECORDED = {
    entry["name"]: Recorded(entry["name"], bytes.fromhex(entry["bytes"]), entry["fields"])
    for entry in json.loads(Path(__file__).with_name("recorded.json").read_text(encoding="utf-8"))
}


def one(data: bytes) -> Message:
    """The only message in the bytes of one NetBIOS packet."""
    (message,) = messages([(0, data)], [0])
    return message


def dissected(message: bytes) -> Message:
    """The only message of a packet with this body."""
    return one(packet(message))


def recorded(name: str) -> Message:
    """A recorded message, dissected."""
    return one(RECORDED[name].data)


def faults(message: Message) -> list[tuple[str, str]]:
    """(kind, where) of each anomaly."""
    return [(anomaly.kind.value, anomaly.where) for anomaly in message.anomalies]
