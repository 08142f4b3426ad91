"""negdiag: the first word chooses the command; how a run ends is decided here."""

from __future__ import annotations

import errno
import gc
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Final, NoReturn

from analyzer.capture.memory import prepare
from analyzer.cli import exits
from analyzer.errors import Error, UsageError
from analyzer.version import __version__

USAGE: Final = """\
usage: negdiag PATH...                        say why SMB negotiations in captures failed
       negdiag fields CAPTURE                 every NEGOTIATE message under Wireshark's names
       negdiag rules                          list the rules
       negdiag rules test [DIR]               run the examples in the rule files
       negdiag explain RULE                   one rule in full
       negdiag extract CAPTURE -o DIR         one small capture for each connection with a finding
       negdiag annotate CAPTURE -o FILE.pcapng    the same packets with comments
       negdiag batch SOURCE... --out DIR      many captures into a folder of tables, resumable
       negdiag [COMMAND] --help               all options
"""


def _diagnose(words: Sequence[str]) -> int:
    from analyzer.cli.diagnose import run

    return run(words)


def _fields(words: Sequence[str]) -> int:
    from analyzer.cli.fields import run

    return run(words)


def _rules(words: Sequence[str]) -> int:
    from analyzer.cli.catalogue import run_rules

    return run_rules(words)


def _explain(words: Sequence[str]) -> int:
    from analyzer.cli.catalogue import run_explain

    return run_explain(words)


def _extract(words: Sequence[str]) -> int:
    from analyzer.cli.extract import run

    return run(words)


def _annotate(words: Sequence[str]) -> int:
    from analyzer.cli.annotate import run

    return run(words)


def _batch(words: Sequence[str]) -> int:
    from analyzer.cli.batch import run

    return run(words)


COMMANDS: Final[Mapping[str, Callable[[Sequence[str]], int]]] = {
    "fields": _fields,
    "rules": _rules,
    "explain": _explain,
    "extract": _extract,
    "annotate": _annotate,
    "batch": _batch,
}
# What writing to a pipe without a reader ends with; Windows says that the argument is invalid.
CLOSED: Final = (errno.EPIPE, errno.EINVAL) if sys.platform == "win32" else (errno.EPIPE,)


def program() -> int:
    """A whole process: `negdiag` and `python -m analyzer`. Returns the exit status."""
    # numpy's linear algebra, which nothing here uses, would start a thread for every processor.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    # What a start makes stays until the end: looking for garbage in it costs a tenth of the start.
    gc.disable()
    words = sys.argv[1:]
    if words[:1] != ["batch"]:             # whose captures are read by other processes
        prepare(words)
    try:
        status = main(words)
    finally:
        gc.freeze()
    if "multiprocessing" not in sys.modules:
        _leave(status)
    return status


def _leave(status: int) -> NoReturn:
    """End at once: to free every object and module one by one takes as long as a tenth of a start.

    Not where there were processes, which are waited for; files that are written are closed by now.
    """
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):      # closed already, or nobody reads it: main() has spoken of that
            stream.flush()
    os._exit(status)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status, never raises but for our own defects."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    _prepare_streams()
    try:
        code = _dispatch(words)
        sys.stdout.flush()
    except OSError as error:           # of standard output: files of captures and reports have errors of ours
        _silence()
        if error.errno in CLOSED:
            return exits.CLOSED_PIPE
        print(f"negdiag: cannot be written: {error.strerror or error}", file=sys.stderr)
        return exits.REFUSED
    except KeyboardInterrupt:
        return exits.INTERRUPTED
    except Error as error:
        from analyzer.report.safe import clean

        for line in str(error).splitlines() or [""]:
            print(f"negdiag: {clean(line)}", file=sys.stderr)
        return exits.REFUSED
    except SystemExit as end:          # argparse: --help, --version, a wrong option
        sys.stdout.flush()
        return end.code if isinstance(end.code, int) else exits.OK
    return code


def _dispatch(words: Sequence[str]) -> int:
    if not words:
        sys.stderr.write(USAGE)
        return exits.REFUSED
    first = words[0]
    if first == "--version":
        print(f"negdiag {__version__}")
        return exits.OK
    if first in COMMANDS:
        return COMMANDS[first](words[1:])
    _refuse_mistyped(first)
    return _diagnose(words)


def _refuse_mistyped(word: str) -> None:
    """A bare word that is no file is a command mistyped, not a capture missing."""
    if word.startswith("-") or os.path.lexists(word) or not word.replace("-", "").replace("_", "").isalnum():
        return
    from difflib import get_close_matches

    from analyzer.report.safe import clean

    near = get_close_matches(word.lower(), COMMANDS, 1, 0.5)
    hint = f"did you mean `negdiag {near[0]}`?" if near else f"the commands are {', '.join(COMMANDS)}"
    raise UsageError(f"{clean(word)}: neither a file nor a command; {hint}")


def _prepare_streams() -> None:
    """The same bytes in every locale: UTF-8 and LF; on a terminal what it cannot show becomes an escape.

    Where there is no such stream, because it was closed or the system gives none, what is said goes nowhere.
    """
    if sys.stdout is None:
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115, PTH123 (for as long as the process lives)
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115, PTH123
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is None:
            continue
        if stream.isatty():
            reconfigure(errors="backslashreplace")
        else:
            reconfigure(encoding="utf-8", errors="backslashreplace", newline="\n")


def _silence() -> None:
    """Nobody reads standard output any more: what is still buffered must not complain at exit."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
