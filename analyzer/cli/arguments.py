"""What several commands share of their options: their parsers and the types of their values."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence

from analyzer.capture.source import Limits
from analyzer.errors import UsageError
from analyzer.reading import SMB_PORTS
from analyzer.version import __version__

MIN_KEY, MAX_KEY = 16, 1 << 20         # bytes of --anonymize-key
SIZES = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}


class _Help(argparse.HelpFormatter):
    """80 columns. Asking the terminal for its width costs the import of shutil, for every option added."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, width=80)


class Parser(argparse.ArgumentParser):
    """Options are not abbreviated: a script must not change its meaning with the next version."""

    def __init__(self, prog: str, description: str, usage: str | None = None) -> None:
        super().__init__(
            prog=prog, description=description, usage=usage, allow_abbrev=False, formatter_class=_Help
        )
        self.add_argument("--version", action="version", version=f"negdiag {__version__}")

    def parse(self, words: Sequence[str]) -> argparse.Namespace:
        """The options, with every other word in `paths`, wherever it stands; behind `--` all are paths."""
        cut = words.index("--") if "--" in words else len(words)
        options = self.parse_intermixed_args(list(words[:cut]))
        options.paths += words[cut + 1:]
        return options


def count(text: str) -> int:
    """A whole number, 1 or more."""
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError("must be 1 or more")
    return value


def stream(text: str) -> int:
    """A tcp.stream number."""
    value = int(text)
    if value < 0:
        raise argparse.ArgumentTypeError("must be 0 or more")
    return value


def port(text: str) -> int | None:
    """A TCP port; None stands for `any`."""
    if text == "any":
        return None
    value = int(text) if text.isascii() and text.isdecimal() else 0
    if not 0 < value < 0x10000:
        raise argparse.ArgumentTypeError(f"{text!r} is neither a port (1 to 65535) nor `any`")
    return value


def host(text: str) -> bytes:
    """An IPv4 or IPv6 address, in network order."""
    import ipaddress

    try:
        return ipaddress.ip_address(text.strip("[]").partition("%")[0]).packed
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no IP address") from None


def size(text: str) -> int:
    """A number of bytes: 1000000, 512M, 4GiB."""
    lower = text.lower().removesuffix("b").removesuffix("i")
    number = lower.rstrip("kmgt")
    unit = lower[len(number):]
    if not (number.isascii() and number.isdecimal()) or unit not in SIZES or not int(number):
        raise argparse.ArgumentTypeError(f"{text!r} is no size such as 512M or 4G")
    return int(number) * SIZES[unit]


def slugs(text: str) -> list[str]:
    """Slugs with commas between."""
    return [slug.strip() for slug in text.split(",") if slug.strip()]


def wanted_ports(given: Sequence[int | None]) -> frozenset[int] | None:
    """The SMB ports: the standard ones and those given; None where one of them was `any`."""
    if None in given:
        return None
    return SMB_PORTS | {number for number in given if number is not None}


def limits(max_decompressed: int | None) -> Limits:
    """The limits of reading; who sets --max-decompressed lifts the ratio against bombs too."""
    if max_decompressed is None:
        return Limits()
    return Limits(max_decompressed=max_decompressed, ratio_after=max_decompressed)


def add_ports(parser: argparse.ArgumentParser) -> None:
    """--port."""
    parser.add_argument(
        "--port", type=port, action="append", default=[], metavar="N|any",
        help="a further SMB port beside 139 and 445 (repeatable); any: recognise SMB by its bytes on any port",
    )


def add_rules(parser: argparse.ArgumentParser) -> None:
    """--rules, --select, --ignore."""
    parser.add_argument(
        "--rules", action="append", default=[], metavar="DIR",
        help="add the rule files of a folder (repeatable); a rule with a known slug replaces the built-in one",
    )
    parser.add_argument(
        "--select", action="extend", type=slugs, default=[], metavar="SLUG[,SLUG]", help="only these rules"
    )
    parser.add_argument(
        "--ignore", action="extend", type=slugs, default=[], metavar="SLUG[,SLUG]", help="all rules but these"
    )


def add_limits(parser: argparse.ArgumentParser) -> None:
    """--max-connections, --max-decompressed."""
    parser.add_argument(
        "--max-connections", type=count, metavar="N", help="analyse at most N SMB connections of a capture"
    )
    parser.add_argument(
        "--max-decompressed", type=size, metavar="SIZE",
        help="read at most SIZE bytes out of a compressed capture, such as 8G",
    )


def add_anonymize(parser: argparse.ArgumentParser) -> None:
    """--anonymize, --anonymize-key."""
    parser.add_argument(
        "--anonymize", action="store_true",
        help="other addresses, host, domain and user names and GUIDs in the place of the true ones",
    )
    parser.add_argument(
        "--anonymize-key", metavar="FILE",
        help="the same pseudonyms for the same FILE of secret bytes (default: a new key for each run, kept nowhere)",
    )


def key(options: argparse.Namespace) -> bytes | None:
    """The key of the pseudonyms, None where the true names are wanted."""
    if options.anonymize_key is None:
        return os.urandom(32) if options.anonymize else None
    try:
        with open(options.anonymize_key, "rb") as file:  # noqa: PTH123 (pathlib is not needed to start)
            secret = file.read(MAX_KEY)
    except OSError as error:
        raise UsageError(f"--anonymize-key {options.anonymize_key}: {error.strerror or error}") from error
    if len(secret) < MIN_KEY:
        raise UsageError(f"--anonymize-key {options.anonymize_key}: {len(secret)} bytes; {MIN_KEY} are needed")
    return secret


def processors() -> int:
    """How many processors this process may use."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity is not None else os.cpu_count() or 1
