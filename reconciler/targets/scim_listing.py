"""Lists a whole SCIM target, page by page."""

from __future__ import annotations

from collections.abc import AsyncIterator

from reconciler.core.model import Kind
from reconciler.core.outcomes import Account, Failed, ListEnd, ListPage
from reconciler.core.paths import Reader
from reconciler.dialects import scim_shown
from reconciler.dialects.scim_listing import Form, Rows, listed
from reconciler.dialects.scim_wire import Wire
from reconciler.targets.scim_facts import Facts


async def pages(
    wire: Wire, facts: Facts, kind: Kind, readers: tuple[tuple[str, Reader], ...]
) -> AsyncIterator[ListPage | ListEnd | Failed]:
    """Yield what the target holds, each id once; the last event is ListEnd or Failed."""
    await facts.ask()
    by_cursor = facts.says("cursor") is True and facts.says("index") is False
    leaving_out = "excludedAttributes=members" if kind == "group" else ""

    def note(taken: Form) -> None:
        if taken.count is None:
            facts.note_no_count()

    form = Form(facts.page_size, by_cursor=by_cursor)
    async for event in listed(wire, kind, form, doing=f"listing {kind}s", query=leaving_out, note=note):
        if not isinstance(event, Rows):
            yield event
            return
        accounts = []
        for row in event.resources:
            target_id, resource = scim_shown.extract(row, readers)
            assert target_id is not None, "the paging lets only rows with an id through"
            accounts.append(Account(target_id, resource))
        yield ListPage(accounts, event.total)
