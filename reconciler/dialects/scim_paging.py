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

from reconciler.core.outcomes import ListEnd

_BARREN_PAGES_MAX = 10


@dataclass(frozen=True, slots=True)
class Page:
    """What one answer brought: resources whose id is new, and what to do then: another query, or the end."""

    resources: list[dict[str, Any]]
    then: str | ListEnd


class Paging:
    """The state of one listing, by index until the target hands out cursors."""

    __slots__ = ("_barren", "_count", "_cursors", "_ids", "_nameless", "_start", "_total", "_total_is_stable")

    def __init__(self, count: int | None, *, by_cursor: bool = False) -> None:
        """`count` is the wished page size, None to leave it to the target; `by_cursor` begins with a cursor."""
        self._count = count
        self._cursors: set[str] = set()
        self._ids: set[int] = set()
        """Hashes of the ids seen: a third of the memory, and a clash could only make the listing incomplete."""
        self._nameless = 0
        self._barren = 0
        self._start = 0 if by_cursor else 1
        self._total: int | None = None
        self._total_is_stable = True

    def first(self) -> str:
        """Return the query of the first page."""
        return self._by_cursor("") if self._start == 0 else self._by_index()

    def after(self, content: Mapping[str, Any]) -> Page:
        """Take an answer in. `content` is a ListResponse; anything odd in it makes the listing incomplete."""
        rows = content.get("Resources") or []
        total = content.get("totalResults")
        if rows or not self._ids:
            self._take_total(total if isinstance(total, int) and not isinstance(total, bool) else None)
        fresh: list[dict[str, Any]] = []
        for row in rows if isinstance(rows, list) else []:
            identifier = row.get("id") if isinstance(row, dict) else None
            if identifier is None or identifier == "":
                self._nameless += 1
                continue
            key = hash(str(identifier))
            if key not in self._ids:
                self._ids.add(key)
                fresh.append(row)
        return Page(fresh, self._then(content.get("nextCursor"), len(rows) if isinstance(rows, list) else 0, fresh))

    def refused_past_the_end(self) -> ListEnd | None:
        """Return the end, if a page that was refused is one that cannot exist: everything had come already."""
        return self._end() if self._start > 1 and self._total is not None and len(self._ids) >= self._total else None

    def _then(self, cursor: Any, rows: int, fresh: list[dict[str, Any]]) -> str | ListEnd:
        if isinstance(cursor, str) and cursor:
            if cursor in self._cursors:
                return ListEnd(False, "the target gives the same cursor twice")
            self._cursors.add(cursor)
            self._barren = 0 if fresh else self._barren + 1
            if self._barren > _BARREN_PAGES_MAX:
                return ListEnd(False, f"{self._barren} pages in a row brought nothing new")
            self._start = 0
            return self._by_cursor(cursor)
        if self._start == 0 or not fresh:
            return self._end()
        self._start += rows
        return self._by_index()

    def _end(self) -> ListEnd:
        seen = len(self._ids)
        if self._nameless:
            return ListEnd(False, f"{self._nameless} rows of the target's list have no id")
        if self._total is None:
            by_cursor = self._start == 0
            return ListEnd(by_cursor, "" if by_cursor else "the target does not say how many there are (totalResults)")
        if not self._total_is_stable:
            return ListEnd(False, "totalResults changed while the list was read")
        if seen != self._total:
            return ListEnd(False, f"the target says that there are {self._total} and gave {seen}")
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
