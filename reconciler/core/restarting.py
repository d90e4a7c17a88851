"""What a restart of a job clears, by our words or by Graph's (docs/decisions/0005-restart.md)."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum


class ResetScope(StrEnum):
    """One thing that a restart clears; the values are Graph's names."""

    WATERMARK = "Watermark"
    """Everybody is looked at again, and compared with the target."""
    ESCROWS = "Escrows"
    """What failed is tried again in the next cycle, as if for the first time."""
    QUARANTINE = "QuarantineState"
    """The quarantine is lifted, and a job that stopped in it runs again."""
    LINKS = "ConnectorDataStore"
    """Which account belongs to whom is forgotten: everybody is matched again."""
    FORCE_DELETES = "ForceDeletes"
    """The next cycle's disables and deletes are not held by any safeguard."""


RESTART = frozenset({ResetScope.WATERMARK, ResetScope.ESCROWS, ResetScope.QUARANTINE})
"""What a restart clears where nothing is said: the links are kept (docs/decisions/0005-restart.md)."""
FULL = RESTART | {ResetScope.LINKS}
BEGINS_ANEW = frozenset({ResetScope.WATERMARK, ResetScope.LINKS})
"""What makes the next cycle an initial one."""

_WORDS = {
    "watermark": {ResetScope.WATERMARK},
    "escrow": {ResetScope.ESCROWS},
    "escrows": {ResetScope.ESCROWS},
    "quarantine": {ResetScope.QUARANTINE},
    "quarantinestate": {ResetScope.QUARANTINE},
    "links": {ResetScope.LINKS},
    "connectordatastore": {ResetScope.LINKS},
    "forcedeletes": {ResetScope.FORCE_DELETES},
    "full": set(FULL),
}
WORDS = ("watermark", "escrows", "quarantine", "links", "force-deletes", "full")
"""What a person may write, beside Graph's names."""


def word_of(scope: ResetScope) -> str:
    """Return what a person writes for it."""
    return dict(zip(ResetScope, WORDS, strict=False))[scope]


def scopes_named(words: Iterable[str]) -> frozenset[ResetScope]:
    """Return what these words clear; nothing said (or Graph's None) is an ordinary restart.

    A word may be a list with commas, as in Graph. Raises ValueError that names the first word that is not known.
    """
    named = [part.strip() for word in words for part in word.split(",") if part.strip()]
    cleared: set[ResetScope] = set()
    for name in named:
        key = name.lower().replace("-", "").replace("_", "")
        if key == "none":
            continue
        if key not in _WORDS:
            raise ValueError(f"{name!r} is nothing that a restart clears; it clears {', '.join(WORDS)}")
        cleared |= _WORDS[key]
    return frozenset(cleared) or RESTART
