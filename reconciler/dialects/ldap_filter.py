"""Checks LDAP filters as they are written (RFC 4515), and writes values into them."""

from __future__ import annotations

import re
from collections.abc import Iterable

_DEPTH_MAX = 100
_NAME = r"(?:[A-Za-z][A-Za-z0-9-]*|[0-9]+(?:\.[0-9]+)+)(?:;[A-Za-z0-9-]+)*"
_VALUE = r"(?:[^\x00()*\\]|\\[0-9A-Fa-f]{2})*"
_ITEM = re.compile(
    rf"{_NAME}={_VALUE}(?:\*{_VALUE})*"
    rf"|{_NAME}[~<>]={_VALUE}"
    rf"|{_NAME}(?::dn)?(?::{_NAME})?:={_VALUE}"
    rf"|(?::dn)?:{_NAME}:={_VALUE}"
)

_LOOKED_AT = re.compile(r"\(([A-Za-z][A-Za-z0-9-]*)[^()=]*=")


def problem_of(text: str) -> str | None:
    """Return what is wrong with a filter, with its place, counted from 1; None where it can be used."""
    try:
        end = _filter(text, 0, 0)
    except _Wrong as wrong:
        return f"{wrong.problem} at character {wrong.at + 1}"
    return None if end == len(text) else f"something follows the filter at character {end + 1}"


def attributes_in(text: str) -> frozenset[str]:
    """Return the attributes that a filter (one without problems) looks at, in lower case, without options."""
    return frozenset(found[1].lower() for found in _LOOKED_AT.finditer(text))


def escaped(value: str) -> str:
    """Return text so that it stands for itself in a filter."""
    return re.sub(r"[\x00()*\\]", lambda found: f"\\{ord(found[0]):02x}", value)


def escaped_bytes(value: bytes) -> str:
    """Return bytes as a filter writes them."""
    return "".join(f"\\{byte:02x}" for byte in value)


def all_of(*filters: str) -> str:
    return f"(&{''.join(filters)})" if len(filters) != 1 else filters[0]


def any_of(filters: Iterable[str]) -> str:
    several = list(filters)
    return f"(|{''.join(several)})" if len(several) != 1 else several[0]


class _Wrong(Exception):
    def __init__(self, problem: str, at: int) -> None:
        self.problem, self.at = problem, at


def _filter(text: str, at: int, depth: int) -> int:
    """Return where the filter ends that begins here."""
    if text[at : at + 1] != "(":
        raise _Wrong("a filter begins with (", at)
    if depth > _DEPTH_MAX:
        raise _Wrong(f"filters are nested more than {_DEPTH_MAX} deep", at)
    kind = text[at + 1 : at + 2]
    if kind in ("&", "|"):
        at += 2
        while text[at : at + 1] == "(":
            at = _filter(text, at, depth + 1)
    elif kind == "!":
        at = _filter(text, at + 2, depth + 1)
    else:
        item = _ITEM.match(text, at + 1)
        if item is None:
            raise _Wrong("this is no comparison such as name=value", at + 1)
        at = item.end()
    if text[at : at + 1] != ")":
        hint = r"; in a value, ( ) * and \ are written \28 \29 \2a \5c" if at < len(text) else ""
        raise _Wrong(f"a ) is missing{hint}", at)
    return at + 1
