"""Lists a whole SCIM target, page by page."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from reconciler.core.model import Kind
from reconciler.core.outcomes import Account, Failed, Fault, ListEnd, ListPage
from reconciler.core.paths import Reader
from reconciler.dialects import scim
from reconciler.dialects.scim_paging import Paging
from reconciler.targets.scim_facts import Facts
from reconciler.targets.scim_wire import Wire

_PATIENCE = 3.0
_COUNT_REFUSED = (Fault.INVALID, Fault.SERVER_ERROR, Fault.TOO_LARGE)


async def pages(
    wire: Wire, facts: Facts, kind: Kind, readers: tuple[tuple[str, Reader], ...]
) -> AsyncIterator[ListPage | ListEnd | Failed]:
    """Yield what the target holds, each id once; the last event is ListEnd or Failed."""
    await facts.ask()
    by_cursor = facts.says("cursor") is True and facts.says("index") is False
    paging = Paging(facts.page_size, by_cursor=by_cursor)
    doing = f"listing {kind}s"
    query = paging.first()
    listed = await _page(wire, kind, query, doing)
    if isinstance(listed, Failed) and listed.fault in _COUNT_REFUSED and facts.page_size is not None:
        paging = Paging(None, by_cursor=by_cursor)
        without_count = await _page(wire, kind, paging.first(), doing)
        if not isinstance(without_count, Failed):
            facts.note_no_count()
            listed = without_count
    while True:
        if isinstance(listed, Failed):
            yield (paging.refused_past_the_end() if listed.status is not None else None) or listed
            return
        total = listed.get("totalResults")
        page = paging.after(listed)
        accounts = []
        for row in page.resources:
            target_id, resource = scim.extract(row, readers)
            assert target_id is not None, "the paging lets only rows with an id through"
            accounts.append(Account(target_id, resource))
        if accounts:
            yield ListPage(accounts, total if isinstance(total, int) else None)
        if isinstance(page.then, ListEnd):
            yield page.then
            return
        listed = await _page(wire, kind, page.then, doing)


async def _page(wire: Wire, kind: Kind, query: str, doing: str) -> dict[str, Any] | Failed:
    leaving_out = "excludedAttributes=members&" if kind == "group" else ""
    return await wire.rows(wire.url(kind, query=leaving_out + query), doing=doing, patience=_PATIENCE)
