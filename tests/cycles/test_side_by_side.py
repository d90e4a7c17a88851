"""Groups and references are changed several at a time, and never more than the target's `concurrency`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import anyio

from reconciler import config, wiring
from reconciler.core.model import Change, Kind, Resource, TargetId
from reconciler.core.outcomes import Done, Failed, MembersDone
from reconciler.ports import Target
from reconciler.runtime.cycle import run_cycle
from reconciler.runtime.rehearsal import Rehearsal
from tests.cycles.company import GROUPS, MANAGER, Company


class Crowd(Rehearsal):
    """Answers a change only when so many are under way as there are to be; counts how many there were at most."""

    def __init__(self, target: Target, expected: int) -> None:
        super().__init__(target)
        self._expected, self._crowded = expected, anyio.Event()
        self.under_way = self.most = 0

    async def change_members(
        self, group: TargetId, add: Sequence[TargetId], remove: Sequence[TargetId], *, filled: bool = False
    ) -> MembersDone | Failed:
        await self._meet()
        return await super().change_members(group, add, remove, filled=filled)

    async def update(
        self, kind: Kind, target_id: TargetId, changes: Sequence[Change], agreed: Resource
    ) -> Done | Failed:
        await self._meet()
        return await super().update(kind, target_id, changes, agreed)

    async def _meet(self) -> None:
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        if self.under_way == self._expected:
            self._crowded.set()
        with anyio.fail_after(20):
            await self._crowded.wait()
        await anyio.lowlevel.checkpoint()
        self.under_way -= 1


async def most_under_way(company: Company) -> int:
    async with (
        wiring.open_house(config.load(company.write()), write=True, scratch=True) as opened,
        replace(opened, clock=company.clock).world("app", rehearse=True) as world,
    ):
        crowd = Crowd(world.target, company.concurrency)
        report = await run_cycle(opened.plan("app"), replace(world, target=crowd))
    assert (report.exit_code, report.failures) == (0, [])
    return crowd.most


async def test_members_of_several_groups(company: Company) -> None:
    company.concurrency = 3
    company.tables = GROUPS
    company.people("ann", "bob")
    for number in range(10):
        company.group(f"g{number}", ["ann", "bob"])
    assert await most_under_way(company) == 3


async def test_references_that_waited(company: Company) -> None:
    company.concurrency = 3
    company.attributes += MANAGER
    for number in range(10):
        company.person(f"p{number}", manager="boss")
    await company.cycle()
    company.people("boss")
    assert await most_under_way(company) == 3
