"""Ids that others give, as parts of a URL: which of them name one resource and nothing else."""

from __future__ import annotations

from typing import Any

from reconciler.dialects.halves import NO_CHARACTER

LENGTH_MAX = 512
"""Longer ones do not fit into the request line that common servers take, once they are encoded."""


def names_one(identifier: str) -> bool:
    """Whether an id can stand in a path: `.` and `..` would name the collection or what is above it (RFC 3986 §3.3)."""
    if not 0 < len(identifier) <= LENGTH_MAX or identifier in (".", "..") or identifier.isspace():
        return False
    # PostgreSQL has no text with U+0000; where a character was lost, another id may look the same
    return "\0" not in identifier and NO_CHARACTER not in identifier


def id_in(value: Any) -> str | None:
    """Return the id that somebody shows: a text that names one resource, or a whole number as text; None for others."""
    if isinstance(value, str):
        return value if names_one(value) else None
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else None
