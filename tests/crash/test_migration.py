"""A version brings the state up to date and is killed on the way: the state is the old one or the new one."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from pathlib import Path

from reconciler.store.migrating import SHIPPED
from tests.crash.migrations import Migrated
from tests.crash.victim import Kill
from tests.crash.warm import WarmProcess

STATEMENTS_BETWEEN = 12
"""From one kill to the next; `python -m tests.crash.soak` leaves none out."""


async def outcomes(migrated: Migrated, warm: WarmProcess) -> set[tuple[bool, str | None]]:
    """Kill at each commit and at some statements; return what came of it."""
    found = set()
    for kills in (commits(), statements()):
        for kill in kills:
            outcome = await migrated.kill(kill, warm)
            found.add(outcome)
            if not outcome[0]:
                break
    return found


def commits() -> Iterator[Kill]:
    for nth in count(1):
        yield Kill("commit", "before", nth)
        yield Kill("commit", "after", nth)


def statements() -> Iterator[Kill]:
    return (Kill("statement", "before", nth) for nth in count(2, STATEMENTS_BETWEEN))


async def test_a_state_that_is_killed_while_it_is_made_is_there_or_is_not(tmp_path: Path, warm: WarmProcess) -> None:
    assert await outcomes(Migrated.anew(tmp_path / "anew"), warm) == {
        (True, None),
        (True, SHIPPED.head),
        (False, SHIPPED.head),
    }


async def test_a_state_that_is_killed_on_its_way_to_a_later_version_is_the_old_or_the_new_one(
    tmp_path: Path, warm: WarmProcess
) -> None:
    migrated = await Migrated.later(tmp_path / "later")
    assert await outcomes(migrated, warm) == {(True, SHIPPED.head), (True, "0002"), (False, "0002")}
