"""CEL conditions -> True, False, or why neither: the only module that knows the CEL library.

Every fact is a variable with its dotted name and its exact type, so that a misspelt name and a
comparison of unlike types are refused on compiling. A fact that the capture does not show is left out
of the data; CEL's three-valued logic then makes every comparison with it unknown.
"""

from __future__ import annotations

import re
from binascii import a2b_base64, b2a_base64
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from cel_expr_python import cel

if TYPE_CHECKING:
    from collections.abc import Mapping

_TYPES = {
    "bool": cel.Type.BOOL,
    "int": cel.Type.INT,
    "double": cel.Type.DOUBLE,
    "string": cel.Type.STRING,
    "list<int>": cel.Type.List(cel.Type.INT),
    "list<string>": cel.Type.List(cel.Type.STRING),
}
_BOOL = cel.Type.BOOL


class ExpressionError(Exception):
    """One thing wrong in a condition. line, column: in its text, from 1; name: an unknown name in it."""

    def __init__(self, problem: str, line: int, column: int, name: str | None = None) -> None:
        super().__init__(f"{line}:{column}: {problem}")
        self.problem = problem
        self.line = line
        self.column = column
        self.name = name


class Unknown(NamedTuple):
    """The condition is neither true nor false because the capture does not show this fact."""

    fact: str


class Defect(NamedTuple):
    """The condition cannot be evaluated on these facts: an index outside its list, a division by zero."""

    problem: str


Result: TypeAlias = "bool | Unknown | Defect"


class Program:
    """A condition ready to be evaluated. Not to be pickled."""

    __slots__ = ("_expression", "text")

    def __init__(self, text: str, expression: Any) -> None:
        self.text = text
        self._expression = expression

    def serialize(self) -> str:
        """The checked condition as text, for `Language.store` in another process."""
        return b2a_base64(self._expression.serialize(), newline=False).decode("ascii")

    def evaluate(self, activation: Any) -> Result:
        """The condition on facts that `Language.bind` prepared. Nothing in the facts makes it raise."""
        try:
            value = self._expression.eval(activation)
        except RuntimeError as error:  # such as the library's own limit on iterations
            return Defect(_first_line(str(error)))
        if value.type() == _BOOL:
            return bool(value.value())
        text = str(value.value())
        if text.startswith(_MISSING):
            return Unknown(text[len(_MISSING) :].partition('"')[0])
        return Defect(_first_line(text))


class Language:
    """The language of conditions over one vocabulary: fact name -> type name.

    Raises KeyError where a type is none of bool, int, double, string, list<int>, list<string>.
    """

    def __init__(self, types: Mapping[str, str]) -> None:
        self._env = cel.NewEnv(variables={name: _TYPES[kind] for name, kind in types.items()})
        self._types = dict(types)
        self._programs: dict[str, Program] = {}
        self._stored: dict[str, str] = {}

    def __reduce__(self) -> tuple[type[Language], tuple[dict[str, str]]]:
        # Compiled expressions do not pickle: another process compiles its own.
        return Language, (self._types,)

    def compile(self, text: str) -> Program:
        """The condition ready to be evaluated; the same text is compiled once.

        Raises ExpressionErrors: syntax, an unknown name, types that do not go together, no truth value.
        """
        program = self._programs.get(text)
        if program is None:
            program = self._programs[text] = self._restored(text) or self._compile(text)
        return program

    def store(self, text: str, serialized: str) -> None:
        """Keeps what `Program.serialize` made of a condition, so that it need not be compiled again."""
        self._stored[text] = serialized

    def _restored(self, text: str) -> Program | None:
        """The stored form of a condition, parsed and checked before: a tenth of the time."""
        serialized = self._stored.pop(text, None)
        if serialized is None:
            return None
        try:
            expression = self._env.deserialize(a2b_base64(serialized))
        except RuntimeError:  # stored by a version of the library that this one does not read
            return None
        return Program(text, expression)

    def _compile(self, text: str) -> Program:
        try:
            expression = self._env.compile(text.rstrip())
        except RuntimeError as error:
            raise ExpressionErrors(_errors(str(error), text)) from None
        if expression.return_type() != _BOOL:
            kind = expression.return_type().name().lower()
            raise ExpressionErrors([ExpressionError(f"a condition is true or false, this is {kind}", 1, 1)])
        return Program(text, expression)

    def names(self, text: str) -> frozenset[str]:
        """The facts whose names stand in a condition."""
        return frozenset(fact for fact in map(self._fact, _dotted(text)) if fact is not None)

    def bind(self, facts: Mapping[str, object]) -> Any:
        """Facts as data for any number of programs. Lists are lists or tuples; absent facts left out."""
        return self._env.Activation({name: _bindable(value) for name, value in facts.items()})

    def _fact(self, dotted: str) -> str | None:
        """The fact that a dotted name is or begins with: `a.b.exists` reads `a.b`."""
        while dotted:
            if dotted in self._types:
                return dotted
            dotted = dotted.rpartition(".")[0]
        return None


class ExpressionErrors(Exception):
    """Everything wrong in one condition, in the order of its text."""

    def __init__(self, errors: list[ExpressionError]) -> None:
        super().__init__("; ".join(map(str, errors)))
        self.errors = errors


# Patterns are text: only a condition that is compiled or wrong needs them, not a start from the index.
_ERROR = r"^(?:[A-Z_]+: )?ERROR: <input>:(\d+):(\d+): (.*?)(?: \[[A-Z_]+\])?$"
_UNDECLARED = r"undeclared reference to '([^']*)'"
_STRING = (
    r"//[^\n]*"
    r"|[rRbB]{0,2}(?:'{3}.*?'{3}"
    r'|"{3}.*?"{3}'
    r"|'(?:\\.|[^'\\\n])*'"
    r'|"(?:\\.|[^"\\\n])*")'
)
_DOTTED = r"[A-Za-z_]\w*(?:\s*\.\s*[A-Za-z_]\w*)*"
_MISSING = 'UNKNOWN: No value with name "'


def _dotted(text: str) -> set[str]:
    """All dotted names outside strings and comments; more than there are variables, never fewer."""
    bare = re.sub(_STRING, "''", text, flags=re.DOTALL)
    return {"".join(found.split()) for found in re.findall(_DOTTED, bare)}


def _errors(message: str, text: str) -> list[ExpressionError]:
    """The library's message, which may hold several errors, as ours."""
    found = []
    for line, column, said in re.findall(_ERROR, message, re.MULTILINE):
        undeclared = re.match(_UNDECLARED, said)
        if undeclared:
            at = _begin(text, int(line), int(column), undeclared[1])
            found.append(ExpressionError(f"unknown name {undeclared[1]!r}", int(line), at, undeclared[1]))
            continue
        problem = re.sub(" expecting .*", "", said).replace(
            "mismatched input '<EOF>'", "the condition ends too early"
        )
        found.append(ExpressionError(problem, int(line), int(column)))
        if problem.startswith("Syntax error"):
            break  # what follows one is seldom an error of its own
    return found or [ExpressionError(_first_line(message), 1, 1)]


def _begin(text: str, line: int, column: int, name: str) -> int:
    """Where a name begins, of which CEL gives the place of the last dot or of a call's parenthesis."""
    lines = text.split("\n")
    shown = lines[line - 1] if line <= len(lines) else ""
    begin = shown.rfind(name, 0, column - 1 + len(name))
    return begin + 1 if begin >= 0 else column


def _bindable(value: object) -> object:
    """A value that the library takes: lists, not tuples; text without lone surrogates."""
    if isinstance(value, str):
        return value if value.isascii() else value.encode("utf-8", "replace").decode("utf-8")
    if isinstance(value, tuple | list):
        return [_bindable(item) for item in value]
    return value


def _first_line(text: str) -> str:
    return text.split("\n", 1)[0]
