"""Ids that others give, as parts of a URL: which of them name one resource and nothing else."""

from __future__ import annotations

LENGTH_MAX = 512
"""Longer ones do not fit into the request line that common servers take, once they are encoded."""


def names_one(identifier: str) -> bool:
    """Whether an id can stand in a path: `.` and `..` would name the collection or what is above it (RFC 3986 §3.3)."""
    return 0 < len(identifier) <= LENGTH_MAX and identifier not in (".", "..") and not identifier.isspace()
