"""Walks through the pages of one list of a system with a REST API, to its end."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from reconciler.core.met import Keys
from reconciler.dialects import rest
from reconciler.dialects.length import Length
from reconciler.dialects.rest import Listing, Unreadable

_MANY = 10
"""So many on one page, and no more that there are: they may just be as many as a page has."""
_NO_SUCH_PAGE = (400, 404, 416, 422)


class Walk:
    """What was asked of a list, and what is asked next. Nobody is believed to be absent while there are `problems`."""

    __slots__ = (
        *("_asked", "_base", "_came", "_count", "_cursors", "_length", "_listing", "_position", "_seen"),
        *("_total", "_variables", "counts_repeats", "is_past_the_end", "problems", "url"),
    )

    def __init__(
        self,
        base: str,
        listing: Listing,
        variables: Mapping[str, str],
        query: Mapping[str, str] | None = None,
        *,
        entries_max: int | None = None,
    ) -> None:
        self._base, self._listing, self._variables, self._length = base, listing, variables, Length(entries_max)
        self._seen, self._cursors = Keys(), Keys()
        self._came, self._count, self._position = 0, 0, listing.paging.first
        self._total: int | None = None
        self.problems: dict[str, None] = {}
        """What speaks against the list being whole."""
        self.counts_repeats = True
        """Whether somebody who comes twice speaks against it; not where each is but a name in one answer."""
        self.is_past_the_end = False
        """Whether the page at `url` should not be there: it is asked for lest a wrong total hide who is on it."""
        paging = listing.paging
        self._asked: dict[str, str | int] = {**listing.query, **(query or {})}
        if paging.size_parameter is not None:
            self._asked[paging.size_parameter] = paging.size
        if paging.kind in ("offset", "page") and paging.parameter is not None:
            self._asked[paging.parameter] = self._position
        self.url: str | None = rest.address(base, listing.path, variables, self._asked)
        """What is to be asked next; None: the list has ended."""

    @property
    def total(self) -> int | None:
        """How many the system said there are, where it says so."""
        return self._total

    def take(self, body: bytes, link: str | None) -> list[dict[str, Any]]:
        """Return the items of the page at `url`, each once, and go on to the next. Raises Unreadable."""
        assert self.url is not None, "the list has ended"
        if self.is_past_the_end:
            return self._more(body)
        listing, paging = self._listing, self._listing.paging
        content, items = rest.items_of(body, listing)
        now = rest.total_of(content, paging)
        if self._total is not None and now != self._total:
            self._note("the list grew or shrank while it was read: the next cycle reads it again")
        self._total = now
        ids = [rest.id_of(item, listing.id) for item in items]
        if not all(ids):
            self._note(f"an item has neither text nor a whole number as '{listing.id}'")
        named = [(item, one) for item, one in zip(items, ids, strict=True) if one is not None]
        repeated = set(self._seen.add([one for _, one in named]))
        fresh = [item for position, (item, _) in enumerate(named) if position not in repeated]
        if repeated and self.counts_repeats:
            self._note("somebody came twice: the list moved while it was read, or its pages repeat")
            if len(named) == len(items) and not fresh:
                raise Unreadable("a page came twice: the system does not go on where it is asked to")
        self._count += len(items)
        self._came += len(fresh)
        self.url = self._following(content, len(items), link, self.url)
        too_long = self._length.grew(len(fresh), self._total) if self.url is not None else ""
        if too_long:
            self.url = None
            self._note(too_long)
        elif (self.url is None or self.is_past_the_end) and self._total is not None and self._came != self._total:
            self._note(f"{self._came} came of {self._total} that there are")
        return fresh

    def refused(self, status: int | None) -> bool:
        """End the list where a page was refused that should not be there; return whether that was so."""
        if not self.is_past_the_end or status is None or status not in _NO_SUCH_PAGE:
            return False
        self.url = None
        return True

    def _more(self, body: bytes) -> list[dict[str, Any]]:
        """Return who comes although all came that the system says there are: then it says something else."""
        self.url = None
        try:
            _, items = rest.items_of(body, self._listing)
        except Unreadable:
            return []
        named = [(item, one) for item in items if (one := rest.id_of(item, self._listing.id)) is not None]
        repeated = set(self._seen.add([one for _, one in named]))
        fresh = [item for position, (item, _) in enumerate(named) if position not in repeated]
        if fresh:
            self._note(f"more came than the {self._total} that there should be: is that the number of those on a page?")
        return fresh

    def _following(self, content: Any, came: int, link: str | None, url: str) -> str | None:
        paging = self._listing.paging
        cursor: str | None = None
        match paging.kind:
            case "none":
                return None
            case "offset" | "page":
                # A short page is no end: a server may give fewer than it was asked for.
                if not came:
                    return None
                if self._total is not None and self._count >= self._total:
                    if came < paging.size and not came == self._total >= _MANY:
                        return None
                    self.is_past_the_end = True
                self._position += came if paging.kind == "offset" else 1
                assert paging.parameter is not None
                self._asked[paging.parameter] = self._position
                return rest.address(self._base, self._listing.path, self._variables, self._asked)
            case "link":
                cursor = rest.next_link(link, url)
            case "cursor" | "next":
                cursor = _cursor(rest.value_at(content, paging.next or ""))
        if cursor is None:
            return None
        if self._cursors.add([cursor]):
            raise Unreadable("the same next page came twice: the system goes in circles")
        if paging.kind == "cursor":
            assert paging.parameter is not None
            asked = {**self._asked, paging.parameter: cursor}
            return rest.address(self._base, self._listing.path, self._variables, asked)
        following = rest.next_link(f'<{cursor}>; rel="next"', url)
        if following is None or not rest.same_origin(following, self._base):
            raise Unreadable("the next page is at another host: our credential does not go there")
        return following

    def _note(self, problem: str) -> None:
        self.problems[problem] = None


def _cursor(value: Any) -> str | None:
    """Return what leads to the next page, None where nothing does. Raises Unreadable where it cannot be followed."""
    if type(value) is int:
        return str(value)
    if value and not isinstance(value, str):
        raise Unreadable("what leads to the next page is neither text nor a whole number")
    return value or None
