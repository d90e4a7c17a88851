"""Makes of what a source gives what every store can keep."""

from __future__ import annotations

import re
from typing import Any

from reconciler.core.model import Entry

_ODD = re.compile("[\0\ud800-\udfff]")
"""PostgreSQL keeps no U+0000; half of a surrogate pair is no character, and stands in no UTF-8."""
_WHOLE_MIN, _WHOLE_MAX = -(2**63), 2**64 - 1


class Odd(Exception):
    """A value of an entry may be one that cannot be kept as it is."""


def is_odd(text: str) -> bool:
    """Whether a text has a character that cannot be kept. Many are asked about soonest as one."""
    return "\0" in text or (not text.isascii() and _ODD.search(text) is not None)


def plain(text: str) -> str:
    """Return the text without what cannot be kept."""
    return _ODD.sub("", text)


def levelled(entry: Entry) -> tuple[Entry, list[str]]:
    """Return the entry as it can be kept, and which attributes that changed: they hold no such character any more.

    A whole number that is too long for one is a text of its digits.
    """
    attributes = {name: _level(value) for name, value in entry.attributes.items()}
    changed = [name for name, value in entry.attributes.items() if attributes[name] != value]
    return entry._replace(attributes=attributes) if changed else entry, changed


def _level(value: Any) -> Any:
    match value:
        case str():
            return plain(value)
        case int() if not _WHOLE_MIN <= value <= _WHOLE_MAX:
            return str(value)
        case list() | tuple():
            return [_level(item) for item in value]
        case dict():
            return {_level(key): _level(item) for key, item in value.items()}
        case _:
            return value
