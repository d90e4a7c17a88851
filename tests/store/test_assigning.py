"""Who is assigned to an app by the source's own word, and who must be looked at when that changes."""

from __future__ import annotations

from reconciler.core.given import GivenAssignment
from reconciler.core.model import AppRole, Kind
from reconciler.ports import GroupMembers
from tests.store.scenes import Work, ids, linked, print_of, sid

AGENT = AppRole("agent", "Agent")


def given(who: str, role: AppRole | None = None, kind: Kind = "user") -> GivenAssignment:
    return GivenAssignment(kind, sid(who), who, role)


async def unsettled(work: Work) -> list[str]:
    return [row.source_id for kind in ("user", "group") for row in await work.store.unsettled(work.id, kind, 0, 9)]


async def settled_people(work: Work) -> None:
    people = [linked(who, f"t-{who}", fingerprint=print_of(who)) for who in ("ann", "bob", "cleo")]
    crew = linked("crew", "t-crew", kind="group", fingerprint=print_of("crew"))
    await work.commit(*people, crew)
    await work.store.stage_memberships(work.id, [GroupMembers(sid("crew"), "Crew", ids("bob"))], additive=False)
    assert await unsettled(work) == []


async def test_whose_assignment_came_left_or_has_another_role_is_looked_at(work: Work) -> None:
    await settled_people(work)
    first = [given("ann"), given("crew", AGENT, "group")]
    assert await work.store.stage_assignments(work.id, first, complete=True) == {"ann", "crew", "bob"}
    assert await unsettled(work) == ["ann", "bob", "crew"]
    await settled_people(work)
    assert await work.store.stage_assignments(work.id, first, complete=True) == set()
    assert await work.store.stage_assignments(work.id, [given("ann", AGENT), first[1]], complete=True) == {"ann"}
    assert await work.store.stage_assignments(work.id, [given("ann", AGENT)], complete=True) == {"crew", "bob"}
    assert await unsettled(work) == ["ann", "bob", "crew"]


async def test_an_incomplete_list_takes_nobody_away(work: Work) -> None:
    await settled_people(work)
    await work.store.stage_assignments(work.id, [given("ann"), given("bob")], complete=True)
    assert await work.store.stage_assignments(work.id, [given("cleo")], complete=False) == {"cleo"}
    assert await work.store.stage_assignments(work.id, [given("cleo")], complete=True) == {"ann", "bob"}
