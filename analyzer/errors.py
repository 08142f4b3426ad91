"""What the caller must act on: one exception tree, each error with its place."""

from __future__ import annotations

from collections.abc import Sequence


class Error(Exception):
    """Base of everything that negdiag raises on purpose."""


class UsageError(Error):
    """The call itself is wrong: an unknown option, no such folder."""


class OutputError(Error):
    """A report cannot be written."""


class MissingExtra(Error):
    """A feature needs an optional dependency that is not installed."""

    def __init__(self, feature: str, extra: str) -> None:
        super().__init__(f"{feature} needs an extra: pip install 'negdiag[{extra}]'")
        self.extra = extra


class CaptureError(Error):
    """Not a single packet of a capture can be read.

    offset: byte offset in the (decompressed) file where reading stopped.
    """

    def __init__(self, reason: str, offset: int = 0) -> None:
        super().__init__(f"offset {offset}: {reason}")
        self.reason = reason
        self.offset = offset


class RuleError(Error):
    """One thing that is wrong in a rule file. Lines and columns count from 1."""

    def __init__(
        self, file: str, problem: str, *, line: int = 1, column: int = 1, hint: str | None = None
    ) -> None:
        text = f"{file}:{line}:{column}: {problem}"
        super().__init__(f"{text} (did you mean {hint!r}?)" if hint else text)
        self.file = file
        self.line = line
        self.column = column
        self.problem = problem
        self.hint = hint


class RulesError(Error):
    """Everything that is wrong in a set of rules, all of it at once."""

    def __init__(self, errors: Sequence[RuleError]) -> None:
        super().__init__("\n".join(str(error) for error in errors))
        self.errors = tuple(errors)
