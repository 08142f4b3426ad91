"""One message written anew: zero but for what is known to name nobody, and for pseudonyms in their places."""

from __future__ import annotations

from analyzer.rewrite.pseudonym import Pseudonyms


class Draft:
    """The new bytes of a message, as many as there were. What no call takes over is zero."""

    __slots__ = ("names", "new", "old")

    def __init__(self, old: bytes, names: Pseudonyms) -> None:
        self.old = old
        self.new = bytearray(len(old))
        self.names = names

    def keep(self, at: int, size: int) -> None:
        """Take bytes over as they are, as far as there are any."""
        end = min(at + size, len(self.old))
        if 0 <= at < end:
            self.new[at:end] = self.old[at:end]

    def put(self, at: int, data: bytes) -> None:
        """Write bytes, as far as there is room."""
        end = min(at + len(data), len(self.old))
        if 0 <= at < end:
            self.new[at:end] = data[: end - at]

    def guid(self, at: int) -> None:
        """Replace a GUID; one that is cut off stays zero."""
        if at >= 0 and at + 16 <= len(self.old):
            self.put(at, self.names.guid(self.old[at : at + 16]))

    def signature(self, at: int, size: int) -> None:
        """Replace a signature, which no longer fits, by other bytes; none stays none."""
        old = self.old[at : at + size]
        if len(old) == size and any(old):
            self.put(at, self.names.salt(old))

    def text(self, at: int, size: int, *, unicode: bool, path: bool = False) -> None:
        """Replace a name of so many bytes by one as long; one that is cut off stays zero."""
        if at >= 0 and at + size <= len(self.old):
            self.put(at, renamed(self.old[at : at + size], self.names, unicode=unicode, path=path))

    def string(self, at: int, end: int, *, unicode: bool, path: bool = False) -> int:
        """Replace a name that ends with its NUL, or before `end`; returns the offset behind it."""
        stop = at
        step = 2 if unicode else 1
        last = min(end, len(self.old))
        while stop + step <= last and any(self.old[stop : stop + step]):
            stop += step
        self.text(at, stop - at, unicode=unicode, path=path)
        return min(stop + step, end) if stop > at or stop + step <= last else end


def renamed(raw: bytes, names: Pseudonyms, *, unicode: bool, path: bool = False) -> bytes:
    """A name in UTF-16 or an OEM character set -> its pseudonym, as many bytes."""
    # Unit by unit: halves of surrogate pairs and bytes of any code page are letters like others.
    text = "".join(map(chr, memoryview(raw[: len(raw) & ~1]).cast("H"))) if unicode else raw.decode("latin-1")
    new = names.path(text) if path else names.name(text, keep_length=True)
    return new.encode("utf-16-le" if unicode else "latin-1", "replace").ljust(len(raw), b"\0")[: len(raw)]
