"""Asks the state who should be off in a job and is not."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from reconciler.core import overdue
from reconciler.core.model import Kind, SourceId
from reconciler.core.notices import Settle
from reconciler.core.overdue import Blind, Overdue, Said
from reconciler.ports import Store

LISTED_MAX = 10_000
_NEGATIVE = ("disable", "delete")


@dataclass(frozen=True, slots=True)
class OverdueList:
    """Who should be off in one job and is not; `total` counts also those who are not listed."""

    job: str
    people: tuple[Overdue, ...]
    total: int
    oldest_since: float | None
    blind: Blind | None

    def as_json(self) -> dict[str, object]:
        return asdict(self)


async def overdue_list(store: Store, job: str, now: float) -> OverdueList:
    """Return who should be off in a job and is not, the oldest first, with what stands against each."""
    said: dict[tuple[Kind, SourceId], Said] = {}
    for decided in await store.decisions(job):
        one = decided.operation
        if one.operation in _NEGATIVE:
            why = f"{one.why}; {decided.decision} by {decided.by}"
            said[one.kind, one.source_id] = Said(decided.decision, why, one.name, one.since)
    for hold in await store.held(job):
        for one in hold.operations:
            if one.operation in _NEGATIVE:
                why = f"{one.why}; held: {hold.why} (hold {hold.id})"
                said[one.kind, one.source_id] = Said("held", why, one.name, one.since)
    total, records = await store.should_be_off(job, LISTED_MAX)
    people = overdue.listed(records, said, now)
    return OverdueList(
        job,
        tuple(people[:LISTED_MAX]),
        max(total, len(people)),
        people[0].since if people else None,
        overdue.blind(await store.standing(job)),
    )


async def tell_of_overdue(store: Store, job: str, now: float) -> Settle:
    """Return what tells a job's people of those who should have been off long ago."""
    found = await overdue_list(store, job, now)
    return lambda standing: overdue.tell(job, standing, found.people, found.total, now)
