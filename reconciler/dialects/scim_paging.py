"""Decides which page of a listing to ask for next, and whether the whole was read (RFC 7644 §3.4.2.4, RFC 9865).

Servers lie about totals, give smaller pages than asked, repeat the first page past the end, and count from where they
like. So a listing ends only with an empty page, a page without a new id, or a cursor that says so; and it is complete
only when as many different ids came as every page said there are.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from reconciler.core.met import Keys
from reconciler.core.outcomes import ListEnd
from reconciler.dialects import identifiers
from reconciler.dialects.length import Length

_BARREN_PAGES_MAX = 10


@dataclass(frozen=True, slots=True)
class Page:
    """What one answer brought: resources whose id is new, and what to do then: another query, or the end."""

    resources: list[dict[str, Any]]
    then: str | ListEnd


class Paging:
    """The state of one listing, by index until the server hands out cursors."""

    __slots__ = (
        *("_barren", "_before", "_count", "_cursors", "_ids", "_length", "_nameless", "_seen", "_start"),
        *("_total", "_total_is_stable"),
    )

    def __init__(
        self,
        count: int | None,
        *,
        by_cursor: bool = False,
        before: Paging | None = None,
        entries_max: int | None = None,
    ) -> None:
        """`count` is the wished page size, None to leave it to the server; `by_cursor` begins with a cursor.

        `before` is a listing that broke off: what it brought is counted again and not given again.
        """
        self._count = count
        self._length = Length(entries_max)
        self._cursors = Keys()
        self._ids = Keys()
        self._before = before
        self._seen = 0
        self._nameless = 0
        self._barren = 0
        self._start = 0 if by_cursor else 1
        self._total: int | None = None
        self._total_is_stable = True

    @property
    def count(self) -> int | None:
        """The wished page size."""
        return self._count

    @property
    def by_cursor(self) -> bool:
        return self._start == 0

    @property
    def has_begun(self) -> bool:
        """Whether a page came."""
        return self._seen > 0

    def again_smaller(self) -> str | None:
        """Halve the page size and return the query of the same page; None where that is not possible."""
        if self._count is None or self._count < 2 or self._start == 0:
            return None
        self._count //= 2
        return self._by_index()

    def first(self) -> str:
        """Return the query of the first page."""
        return self._by_cursor("") if self._start == 0 else self._by_index()

    def after(self, content: Mapping[str, Any]) -> Page:
        """Take an answer in. `content` is a ListResponse; anything odd in it makes the listing incomplete."""
        rows = content.get("Resources") or []
        total = content.get("totalResults")
        if rows or not self._seen:
            self._take_total(total if isinstance(total, int) and not isinstance(total, bool) else None)
        named: list[tuple[str, dict[str, Any]]] = []
        for row in rows if isinstance(rows, list) else []:
            identifier = identifiers.id_in(row.get("id")) if isinstance(row, dict) else None
            if identifier is None:
                self._nameless += 1
            else:
                named.append((identifier, row))
        fresh = self._fresh(named)
        self._seen += len(fresh)
        then = self._then(content.get("nextCursor"), len(rows) if isinstance(rows, list) else 0, any_new=bool(fresh))
        if isinstance(then, str) and (too_long := self._length.grew(len(fresh), self._total)):
            then = ListEnd(False, too_long)
        if self._before is not None:
            fresh = [(identifier, row) for identifier, row in fresh if identifier not in self._before]
        return Page([row for _, row in fresh], then)

    def __contains__(self, identifier: str) -> bool:
        return identifier in self._ids or (self._before is not None and identifier in self._before)

    def _fresh(self, named: list[tuple[str, dict[str, Any]]]) -> list[tuple[str, dict[str, Any]]]:
        repeated = set(self._ids.add([identifier for identifier, _ in named]))
        return [one for position, one in enumerate(named) if position not in repeated] if repeated else named

    def refused_past_the_end(self) -> ListEnd | None:
        """Return the end, if a page that was refused is one that cannot exist: everything had come already."""
        return self._end() if self._start > 1 and self._total is not None and self._seen >= self._total else None

    def _then(self, cursor: Any, rows: int, *, any_new: bool) -> str | ListEnd:
        if isinstance(cursor, str) and cursor:
            if self._cursors.add([cursor]):
                return ListEnd(False, "the server gives the same cursor twice")
            self._barren = 0 if any_new else self._barren + 1
            if self._barren > _BARREN_PAGES_MAX:
                return ListEnd(False, f"{self._barren} pages in a row brought nothing new")
            self._start = 0
            return self._by_cursor(cursor)
        if self._start == 0 or not any_new:
            return self._end()
        self._start += rows
        return self._by_index()

    def _end(self) -> ListEnd:
        seen = self._seen
        if self._nameless:
            return ListEnd(False, f"{self._nameless} rows of the server's list have no id that names one")
        if self._total is None:
            by_cursor = self._start == 0
            return ListEnd(by_cursor, "" if by_cursor else "the server does not say how many there are (totalResults)")
        if not self._total_is_stable:
            return ListEnd(False, "totalResults changed while the list was read")
        if seen != self._total:
            return ListEnd(False, f"the server says that there are {self._total} and gave {seen}")
        return ListEnd(True)

    def _take_total(self, total: int | None) -> None:
        if total is None:
            return
        if self._total is not None and total != self._total:
            self._total_is_stable = False
        self._total = total

    def _by_index(self) -> str:
        count = "" if self._count is None else f"&count={self._count}"
        return f"startIndex={self._start}{count}"

    def _by_cursor(self, cursor: str) -> str:
        count = "" if self._count is None else f"&count={self._count}"
        return f"cursor={quote(cursor, safe='')}{count}"
