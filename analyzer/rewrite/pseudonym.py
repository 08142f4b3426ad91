"""Addresses, names and GUIDs -> others in their place, the same ones for the same key.

IP addresses by Crypto-PAn (Xu, Fan, Ammar, Moon 2002): two that share a prefix of n bits share one
of n bits afterwards. Names keep their length, their punctuation and which letters are capitals, so
that a host's NetBIOS name still is the first label of its DNS name.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from hashlib import blake2b, shake_256
from typing import TypeVar

KEY_BYTES = 16
"""The fewest bytes that a key has."""

_REMEMBERED = 1 << 18                # of each kind; a capture of a scan has more, and is only slower then
_DIGITS = "abcdefghijklmnopqrstuvwxyz0123456789"
_BASE = len(_DIGITS)
_VALUE = {digit: value for value, digit in enumerate(_DIGITS)}
_ROUNDS = 8
_SEPARATORS = re.compile(r"([^\w\-$~^!%&'{}#*+]+)")
_HOSTS = re.compile(r"([/\\@\s\0]+)")
_NEVER = frozenset((bytes(4), b"\xff" * 4, bytes(16)))

# What says nothing of who is talking, and what a peer or a rule compares with.
_KEPT = frozenset((
    "*SMBSERVER", "*SMBSERV", "not_defined_in_RFC4178@please_ignore", "not_defined_in_rfc4178@please_ignore",
))
_SERVICES = frozenset(("cifs", "host", "smb"))
_SHARES = re.compile(r"(?:IPC|ADMIN|PRINT|[A-Z])\$|NETLOGON|SYSVOL", re.IGNORECASE)

_Key = TypeVar("_Key", bytes, str)
_Value = TypeVar("_Value", bytes, str)


class Pseudonyms:
    """What stands for what under one key. Raises ValueError for a key of fewer than KEY_BYTES bytes."""

    def __init__(self, key: bytes) -> None:
        from yacryptopan import CryptoPAn

        if len(key) < KEY_BYTES:
            raise ValueError(f"a key has {KEY_BYTES} bytes or more, not {len(key)}")
        keys = shake_256(b"negdiag pseudonyms 1" + key).digest(64)
        self._addresses = CryptoPAn(keys[:32])
        self._names = keys[32:]
        self._known: dict[bytes, bytes] = {}
        self._hardware: dict[bytes, bytes] = {}
        self._words: dict[str, str] = {}

    def address(self, address: bytes) -> bytes:
        """An IPv4 or IPv6 address, 4 or 16 bytes; the unspecified and the broadcast address stay."""
        if address in _NEVER:
            return address
        return _remembered(self._known, address, self._address)

    def _address(self, address: bytes) -> bytes:
        size = len(address)
        number: int = self._addresses.anonymize_bin(int.from_bytes(address, "big"), 4 if size == 4 else 6)
        return number.to_bytes(size, "big")

    def hardware(self, address: bytes) -> bytes:
        """A MAC address, 6 bytes: as the upper bits of an IPv6 address. Groups stay groups."""
        if address in (bytes(6), b"\xff" * 6):
            return address
        return _remembered(self._hardware, address, self._mac)

    def _mac(self, address: bytes) -> bytes:
        new = self._address(address + bytes(10))[:6]
        # One bit that is not flipped is prefix-preserving too.
        return bytes((new[0] & 0xFE | address[0] & 1,)) + new[1:]

    def guid(self, guid: bytes) -> bytes:
        """A GUID, 16 bytes; zero stays zero."""
        return blake2b(guid, key=self._names, digest_size=16).digest() if any(guid) else guid

    def salt(self, salt: bytes) -> bytes:
        """Random bytes, as many: by them a message is known again that was captured twice."""
        return shake_256(self._names + b"salt" + salt).digest(len(salt))

    def hosts(self, names: Mapping[bytes, str]) -> dict[bytes, str]:
        """Names of addresses."""
        return {self.address(address): self.name(name) for address, name in names.items()}

    def name(self, name: str, *, keep_length: bool = False) -> str:
        """A host, domain or user name, a principal or a path. Words are replaced one by one.

        An address in it becomes what address() makes of it; with keep_length only where that has as
        many characters, else it is taken for a name.
        """
        if name in _KEPT:
            return name
        parts = _HOSTS.split(name)
        for index, part in enumerate(parts):
            before_slash = index + 1 < len(parts) and parts[index + 1] == "/"
            if index % 2 or not part or (before_slash and part.lower() in _SERVICES):
                continue
            parts[index] = self._spelled(part, keep_length=keep_length) or "".join(
                piece if place % 2 or not piece else self._word(piece)
                for place, piece in enumerate(_SEPARATORS.split(part))
            )
        return "".join(parts)

    def path(self, path: str) -> str:
        r"""A path such as \\server\share, of the same length; standard shares stay."""
        head, slash, share = path.rstrip("\0").rpartition("\\")
        ended = path[len(path.rstrip("\0")):]
        if not slash or not _SHARES.fullmatch(share):
            return self.name(path, keep_length=True)
        return self.name(head, keep_length=True) + slash + share + ended

    def _spelled(self, text: str, *, keep_length: bool) -> str | None:
        """An address that is written out, None for anything else."""
        try:
            address = ipaddress.ip_address(text)
        except ValueError:
            return None
        new = str(ipaddress.ip_address(self.address(address.packed)))
        return new if not keep_length or len(new) == len(text) else None

    def _word(self, word: str) -> str:
        new = _remembered(self._words, word.lower(), self._lower_word)
        if word.islower() or len(new) != len(word):
            return new
        if word.isupper():
            return new.upper()
        return "".join(n.upper() if w.isupper() else n for w, n in zip(word, new, strict=True))

    def _lower_word(self, word: str) -> str:
        """A permutation of all words with the same punctuation at the same places."""
        places = [place for place, letter in enumerate(word) if letter.isalnum() or not letter.isascii()]
        values = [_VALUE.get(word[place], ord(word[place]) % _BASE) for place in places]
        # Letters beyond the alphabet are not all told apart by their values.
        tweak = b"" if word.isascii() else word.encode("utf-8", "surrogatepass")
        letters = list(word)
        for place, value in zip(places, self._permuted(values, tweak), strict=True):
            letters[place] = _DIGITS[value]
        return "".join(letters)

    def _permuted(self, values: list[int], tweak: bytes) -> list[int]:
        """A Feistel network over digits, so that no two words of one length become the same."""
        count = len(values)
        if count < 2:
            order = sorted(range(_BASE), key=lambda value: self._digest(b"single", tweak, value))
            return [order[value] for value in values]
        sizes = (count // 2, count - count // 2)
        halves = [_number(values[:sizes[0]]), _number(values[sizes[0]:])]
        for turn in range(_ROUNDS):
            mine, other = turn % 2, 1 - turn % 2
            halves[mine] += self._digest(b"%d/%d" % (turn, count), tweak, halves[other])
            halves[mine] %= _BASE ** sizes[mine]
        return _digits(halves[0], sizes[0]) + _digits(halves[1], sizes[1])

    def _digest(self, purpose: bytes, tweak: bytes, value: int) -> int:
        size = (value.bit_length() + 7) // 8
        text = b"%d:%s%d:%s" % (len(purpose), purpose, len(tweak), tweak) + value.to_bytes(size, "big")
        # 64 bits beyond the longest half: the remainder is as good as uniform.
        wide = shake_256(self._names + text).digest(size + 16)
        return int.from_bytes(wide, "big")


@lru_cache(maxsize=1)
def pseudonyms_of(key: bytes) -> Pseudonyms:
    """The pseudonyms of a key; those of the last key are remembered."""
    return Pseudonyms(key)


def _number(values: list[int]) -> int:
    number = 0
    for value in values:
        number = number * _BASE + value
    return number


def _digits(number: int, count: int) -> list[int]:
    values = []
    for _ in range(count):
        number, value = divmod(number, _BASE)
        values.append(value)
    return values[::-1]


def _remembered(known: dict[_Key, _Value], key: _Key, make: Callable[[_Key], _Value]) -> _Value:
    value = known.get(key)
    if value is None:
        if len(known) >= _REMEMBERED:
            known.clear()
        value = known[key] = make(key)
    return value
