"""Summary templates: text with {names of facts} -> the sentence of one connection.

A value prints under the specification's label, an absent one as `not captured`.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from analyzer.smb import constants
from analyzer.smb.status import status_name

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

ABSENT = "not captured"

# A request may offer 32,000 dialects, a name may have 64 KiB: a summary is one sentence.
MAX_ITEMS = 16
MAX_TEXT = 256


class SummaryError(Exception):
    """A template that cannot be read. offset: of the fault in its text."""

    def __init__(self, problem: str, offset: int) -> None:
        super().__init__(problem)
        self.problem = problem
        self.offset = offset


class Placeholder(NamedTuple):
    """A fact's name in a template, and where it stands."""

    name: str
    offset: int


_PART = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]|[^{}]+")


class Template:
    """A template, read once. `{{` and `}}` stand for braces.

    Raises SummaryError where a brace has no partner or nothing between.
    """

    __slots__ = ("_literals", "_names", "placeholders")

    def __init__(self, text: str) -> None:
        literals = [""]
        placeholders = []
        for match in _PART.finditer(text):
            part = match[0]
            if match[1] is not None:
                name = match[1].strip()
                if not name:
                    raise SummaryError("empty placeholder {}", match.start())
                placeholders.append(Placeholder(name, match.start() + 1))
                literals.append("")
            elif part in ("{", "}"):
                raise SummaryError(f"a single {part!r}; {part * 2!r} stands for the character", match.start())
            else:
                literals[-1] += part[0] if part in ("{{", "}}") else part
        self.placeholders = tuple(placeholders)
        self._names = tuple(placeholder.name for placeholder in placeholders)
        self._literals = tuple(literals)

    def fill(self, facts: Mapping[str, object]) -> str:
        """The sentence for these facts."""
        pieces = [self._literals[0]]
        for name, literal in zip(self._names, self._literals[1:], strict=True):
            pieces.append(shown(name, facts.get(name)))
            pieces.append(literal)
        return "".join(pieces)


def shown(name: str, value: object) -> str:
    """One fact's value as people read it; None is an absent fact."""
    if value is None:
        return ABSENT
    if isinstance(value, str):
        if name.endswith(".MechType"):
            value = constants.MECHANISMS.get(value, value)
        return value if len(value) <= MAX_TEXT else value[:MAX_TEXT] + "…"
    if isinstance(value, list | tuple):
        if not value:
            return "none"
        items = [shown(name, item) for item in value[:MAX_ITEMS]]
        more = len(value) - MAX_ITEMS
        return ", ".join(items) + (f" and {more} more" if more > 0 else "")
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return _label(name)(value)
    if isinstance(value, float):
        return f"{value:.3g}" if abs(value) < 100 else f"{value:.0f}"
    return str(value)


def _label(name: str) -> Callable[[int], str]:
    """How an integer fact prints, by the last word of its name, which is Wireshark's."""
    last = name.rpartition(".")[2]
    if last in ("nt_status", "session_status", "tree_status", "validate_status"):
        return status_name
    return _LABELS.get(last, str)


def _named(names: Mapping[int, str], digits: int = 4) -> Callable[[int], str]:
    return lambda value: constants.label(value, names, digits)


_LABELS: Mapping[str, Callable[[int], str]] = {
    "dialect": constants.dialect_name,
    "type": _named(constants.CONTEXT_TYPES),
    "hash_algorithm": _named(constants.HASHES),
    "cipher_id": lambda value: "none" if value == 0 else constants.label(value, constants.CIPHERS),
    "comp_alg_id": _named(constants.COMPRESSIONS),
    "signing_id": _named(constants.SIGNINGS),
    "rdma_transform_id": _named(constants.RDMA_TRANSFORMS),
    "error_code": _named(constants.SESSION_ERRORS, 2),
    "index": lambda value: f"0x{value:04X}" if value == 0xFFFF else str(value),
}
