"""What befalls groups in the towns in which they live more than elsewhere; people leave in waves there, too."""

from __future__ import annotations

import random  # noqa: TID251  # because these dice are thrown from a seed
from typing import TYPE_CHECKING

from tests.sim import hands
from tests.sim.town import Row, Town

if TYPE_CHECKING:
    from tests.sim.simulation import Simulation


def are_lively(seed: int | str) -> bool:
    """Whether groups are much changed in a seed: in one of eight, of which none had been kept for anything else."""
    return isinstance(seed, int) and seed % 50 in (0, 13, 18, 19, 35, 36)


def begin(sim: Simulation) -> None:
    """Found a few groups more."""
    if sim.group_dice is not None:
        people = sorted(sim.town.people)
        for _ in range(3):
            sim.town.found(0.0, sim.group_dice.sample(people, sim.group_dice.randint(2, len(people))))


async def live(sim: Simulation) -> None:
    """Let people come and go in most groups, and perhaps one group itself; somebody often approves what is held."""
    if sim.group_dice is not None:
        if sim.group_dice.random() < 0.7:
            _change(sim.town, sim.group_dice, sim.seconds())
            if sim.group_dice.random() < 0.3:
                _wave(sim.town, sim.group_dice, sim.seconds())
            sim.changed_source()
        if sim.group_dice.random() < 0.4:
            await hands.approves(sim)


def _change(town: Town, dice: random.Random, now: float) -> None:
    for group in list(town.groups.values()):
        if dice.random() < 0.6:
            _mix(group, town, dice, now)
    others = sorted(id_ for id_, group in town.groups.items() if group["displayName"] != "Staff")
    gone = sorted(id_ for id_ in town.tombstones if id_.startswith("g"))
    thrown = dice.random()
    if thrown < 0.2 and len(others) > 1:
        town.remove(dice.choice(others), now)
    elif thrown < 0.4 and gone:
        _come_back(dice.choice(gone), town, dice, now)
    elif thrown < 0.6 and others:
        town.edit(dice.choice(others), now, displayName=f"Crew {dice.randint(1, 9999)}")
    elif thrown < 0.7:
        town.found(now, dice.sample(sorted(town.people), len(town.people) // 2))


def _wave(town: Town, dice: random.Random, now: float) -> None:
    """Many are switched off at once, or all are back."""
    off = sorted(id_ for id_, row in town.people.items() if not row["accountEnabled"])
    on = sorted(town.people.keys() - set(off))
    for id_ in off if len(off) > 2 else dice.sample(on, min(len(on), dice.randint(4, 7))):
        town.edit(id_, now, accountEnabled=id_ in off)


def _mix(group: Row, town: Town, dice: random.Random, now: float) -> None:
    """Some members leave, and somebody joins."""
    members: list[str] = group["members"]
    if members:
        for one in dice.sample(members, dice.randint(1, min(3, len(members)))):
            members.remove(one)
    outside = sorted(town.people.keys() - set(members))
    if outside and dice.random() < 0.7:
        members += dice.sample(outside, dice.randint(1, min(3, len(outside))))
    town.changed[group["id"]] = now
    town.tell(f"{group['id']} has the members {members}")


def _come_back(id_: str, town: Town, dice: random.Random, now: float) -> None:
    """A group is there again, under its id or another one."""
    row = town.tombstones[id_]
    members = [one for one in row["members"] if one in town.people or one in town.groups]
    if any(group["displayName"] == row["displayName"] for group in town.groups.values()):
        return
    if dice.random() < 0.5:
        town.revive(id_, now)
        town.edit(id_, now, members=members)
    else:
        town.found(now, members, row["displayName"])
