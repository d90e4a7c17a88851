"""Tells a list that is long from one that has no end."""

from __future__ import annotations

ENTRIES_MAX = 1_000_000
"""So many may come where nobody says how many there are."""
ENTRIES_TOLD_MAX = 4_000_000
"""So many may come, however many are said to be there."""
ENTRIES_FEW = 10_000
"""So many may always come: a system that says how many there are may be a little wrong."""
_TIMES_TOLD = 10
_ENTRIES_A_PAGE = 50
_PAGES_FEW = 1000


class Length:
    """How long one list has become, and how long it may become.

    Whoever can make up new ids for ever, and a next page for ever, would otherwise be read for ever. The bound is what
    an administrator set as `max_entries`; otherwise ten times what the system itself said at its first page, but never
    more than four million, and a million where it says nothing. Pages with hardly anybody on them are bounded, too.
    """

    __slots__ = ("_entries", "_entries_max", "_pages", "_told")

    def __init__(self, entries_max: int | None = None) -> None:
        self._entries_max = entries_max
        self._entries = self._pages = 0
        self._told: int | None = None

    def grew(self, entries: int, told: int | None = None) -> str:
        """Take a page with so many new entries in; return why nothing more is asked for, empty while it goes on.

        `told` is how many the system says there are in all.
        """
        self._entries += entries
        self._pages += 1
        if self._told is None:
            self._told = told
        most = self._most()
        if self._entries > most:
            came = f"{self._entries} entries came"
        elif self._pages > _PAGES_FEW + most // _ENTRIES_A_PAGE:
            came = f"{self._pages} pages came with {self._entries} entries on them"
        else:
            return ""
        said = f" where the system said {self._told}" if self._told is not None else ""
        return f"{came}{said}, and there is no end of them (where there are so many: max_entries)"

    def _most(self) -> int:
        if self._entries_max is not None:
            return self._entries_max
        if self._told is None:
            return ENTRIES_MAX
        return min(ENTRIES_TOLD_MAX, max(ENTRIES_FEW, self._told * _TIMES_TOLD))
