"""Reads a list of a SCIM server to its end, page by page, in the form that the server takes."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass, replace
from typing import Any

from reconciler.core.model import Kind
from reconciler.core.outcomes import Failed, Fault, ListEnd
from reconciler.dialects.scim_paging import Paging
from reconciler.dialects.scim_wire import Wire

PATIENCE = 3.0
_FORM_REFUSED = (Fault.INVALID, Fault.UNSUPPORTED, Fault.SERVER_ERROR, Fault.TOO_LARGE)
_CURSOR_LOST = (Fault.INVALID, Fault.NOT_FOUND)
_NOT_NOW = (502, 503, 504)
_SORTED = "sortBy=id"
_PASSED_ON: dict[str, Any] = {}


@dataclass(frozen=True, slots=True)
class Form:
    """How a list is asked for."""

    count: int | None
    """The wished page size; None: the server refuses to be told."""
    by_cursor: bool = False
    is_sorted: bool = False
    """By id, so that pages by index do not move while they are read."""


@dataclass(frozen=True, slots=True)
class Rows:
    """The resources of one page whose id is new, and how many the server says there are in all."""

    resources: list[dict[str, Any]]
    total: int | None


async def listed(
    wire: Wire,
    kind: Kind,
    form: Form,
    *,
    doing: str,
    query: str = "",
    note: Callable[[Form], None] | None = None,
) -> AsyncGenerator[Rows | ListEnd | Failed]:
    """Yield what the server lists, each id once; the last event is ListEnd or Failed.

    `query` goes with every page. What the server refuses of the form at its first page is left out, and `note` is told
    what it took instead. A page that is too large is asked for again in halves; a cursor that the server has
    forgotten begins the list once more (RFC 9865 §2.3), and nobody is given twice.
    """
    listing = _Listing(wire, kind, doing, query)
    answer: dict[str, Any] | Failed = Failed(Fault.INVALID, "")
    forms = [form]
    while forms:
        one = forms.pop(0)
        tried = await listing.begin(one)
        if not isinstance(tried, Failed):
            answer = tried
            if one != form and note is not None:
                note(one)
            break
        if one == form:
            answer = tried
            forms = _less_than(form)
        if tried.fault not in _FORM_REFUSED or not _may_be_the_form(tried):
            break
        if tried.fault is Fault.SERVER_ERROR:
            forms = forms[-1:]  # it says nothing of what it did not like, and takes its time with each
    begun_again = False
    while True:
        if isinstance(answer, Failed):
            again = await listing.smaller(answer)
            if again is None and not begun_again and listing.has_lost_its_cursor(answer):
                begun_again = True
                again = await listing.begin_again()
            if again is None:
                yield listing.refused_past_the_end(answer) or answer
                return
            answer = again
            continue
        total = answer.get("totalResults")
        rows, then = listing.take(answer)
        answer = _PASSED_ON  # a page is not held while the next one is asked for
        if rows:
            yield Rows(rows, total if isinstance(total, int) and not isinstance(total, bool) else None)
        rows = []
        if isinstance(then, ListEnd):
            yield then
            return
        answer = await listing.ask(then)


class _Listing:
    """One list on its way."""

    __slots__ = ("_doing", "_form", "_kind", "_query", "_wire", "paging")

    def __init__(self, wire: Wire, kind: Kind, doing: str, query: str) -> None:
        self._wire, self._kind, self._doing, self._query = wire, kind, doing, query
        self._form = Form(None)
        self.paging = Paging(None)

    async def begin(self, form: Form) -> dict[str, Any] | Failed:
        self._form = form
        self.paging = Paging(form.count, by_cursor=form.by_cursor, entries_max=self._wire.entries_max)
        return await self.ask(self.paging.first())

    async def begin_again(self) -> dict[str, Any] | Failed:
        most = self._wire.entries_max
        self.paging = Paging(self.paging.count, by_cursor=True, before=self.paging, entries_max=most)
        return await self.ask(self.paging.first())

    async def ask(self, place: str) -> dict[str, Any] | Failed:
        parts = (self._query, _SORTED if self._form.is_sorted else "", place)
        url = self._wire.url(self._kind, query="&".join(part for part in parts if part))
        return await self._wire.rows(url, doing=self._doing, patience=PATIENCE)

    def take(self, answer: dict[str, Any]) -> tuple[list[dict[str, Any]], str | ListEnd]:
        """Return what a page brought, and what to do then."""
        page = self.paging.after(answer)
        return page.resources, page.then

    async def smaller(self, refusal: Failed) -> dict[str, Any] | Failed | None:
        """Ask for the same page in halves where it was too large to be read; None: it was not that."""
        if refusal.fault is not Fault.TOO_LARGE:
            return None
        place = self.paging.again_smaller()
        return None if place is None else await self.ask(place)

    def has_lost_its_cursor(self, refusal: Failed) -> bool:
        return self.paging.by_cursor and self.paging.has_begun and refusal.fault in _CURSOR_LOST

    def refused_past_the_end(self, refusal: Failed) -> ListEnd | None:
        """Return the end where there cannot be such a page; a refusal of everything, or of now, says nothing of it."""
        says_so = refusal.status is not None and refusal.fault in (*_FORM_REFUSED, Fault.NOT_FOUND)
        return self.paging.refused_past_the_end() if says_so and refusal.status not in _NOT_NOW else None


def _less_than(form: Form) -> list[Form]:
    """Return what is left of a form when a server refuses one thing after the other."""
    less = []
    if form.is_sorted:
        less.append(form := replace(form, is_sorted=False))
    if form.by_cursor:
        less.append(form := replace(form, by_cursor=False))
    if form.count is not None:
        less.append(replace(form, count=None))
    return less


def _may_be_the_form(refusal: Failed) -> bool:
    """Whether it was the server who refused, and not we who could not read so much."""
    return refusal.status is None or refusal.status >= 400
