"""Tells which texts are one name, however they are written: in what letter case, and in which normal form."""

from __future__ import annotations

from unicodedata import normalize


def level(name: str, *, exact: bool = False) -> str:
    """Return a name so that what may be one name to a server are equal texts.

    Texts that differ in their normal form alone are one ("é" of one character or of two: RFC 7644 §5), and so are
    small and capital letters unless `exact`. As RFC 8265 §3.3 has it, letters are made small and not folded: "ß" is
    not "ss", so that Weiß and Weiss stay two people.
    """
    if name.isascii():
        return name if exact else name.lower()
    return normalize("NFC", name if exact else name.lower())


def spellings(name: str) -> tuple[str, ...]:
    """Return the texts to ask a server with that may compare character by character: as it is, composed, decomposed."""
    if name.isascii():
        return (name,)
    return tuple(dict.fromkeys((name, normalize("NFC", name), normalize("NFD", name))))


def spoken(name: str) -> str:
    """Return a name of the source, or what a person calls somebody by, so that what may be meant by it are equal texts.

    "ß" is "ss" here: who asks is told of both.
    """
    return name.lower() if name.isascii() else normalize("NFC", normalize("NFC", name).casefold())


def guarded(name: str) -> frozenset[str]:
    """Return what stands for a name among those that are protected: names are one where they share any of it.

    Rather one too many than one too few: whatever anybody folds counts as one here ("ß" and "ss", wide and narrow
    letters, the sign for kelvin and "k"), and "İ", "ı", "I" and "i", which servers tell apart by their country.
    """
    folded = name.casefold()
    if name.isascii():
        return frozenset((folded,))
    bare = normalize("NFKC", normalize("NFKD", name).casefold()).replace("i\u0307", "i").replace("ı", "i")
    return frozenset((folded, bare))
