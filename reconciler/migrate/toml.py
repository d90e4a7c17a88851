"""Writes values as TOML."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

_BARE = re.compile(r"[A-Za-z0-9_-]+")
_ESCAPES = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t", "\b": "\\b", "\f": "\\f"}


def key(name: str) -> str:
    return name if _BARE.fullmatch(name) else text(name)


def text(value: str) -> str:
    """Return a text: within single quotes where that saves escaping."""
    printable = all(letter.isprintable() for letter in value)
    if printable and "'" not in value and ('"' in value or "\\" in value):
        return f"'{value}'"
    return '"' + "".join([_letter(letter) for letter in value]) + '"'


def _letter(letter: str) -> str:
    if letter in _ESCAPES:
        return _ESCAPES[letter]
    if letter.isprintable() or letter == " ":
        return letter
    # half of a surrogate pair stands for no character
    code = ord(letter)
    return "\ufffd" if 0xD800 <= code <= 0xDFFF else f"\\U{code:08X}"


def value(held: Any) -> str:
    match held:
        case bool():
            return "true" if held else "false"
        case int() | float():
            return repr(held)
        case str():
            return text(held)
        case list() | tuple():
            return "[" + ", ".join([value(one) for one in held]) + "]"
        case Mapping():
            return "{ " + ", ".join([f"{key(name)} = {value(one)}" for name, one in held.items()]) + " }"
        case _:
            raise AssertionError(f"no TOML for {type(held).__name__}")


def comment(line: str) -> str:
    return "# " + "".join([letter if letter.isprintable() else " " for letter in line])
