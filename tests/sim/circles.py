"""Who should be in which group of the app, and since when: nobody is taken out who should be in."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterator
from typing import Any, TypeVar

from tests.sim.app import Changed
from tests.sim.rules import Rules
from tests.sim.town import Town


class Circles:
    """Knows the groups that the app should have, and their members, as the source had them."""

    def __init__(self, town: Town) -> None:
        self._town = town
        self._out: dict[tuple[str, str], float] = {}
        """When somebody was last not to be in a group, by group and member; infinity: is so now."""
        self._unwanted: dict[str, float] = {}
        """When the app was last not to have a group."""

    def mark(self, rules: Rules, on: Collection[str], now: float, *, shown: bool) -> None:
        """Look again: the source or the rules have changed.

        `on` are those whose accounts should be on; `shown`: the source shows its groups.
        """
        town = self._town
        groups = {id_ for id_, group in town.groups.items() if shown and rules.group_in_scope(group)}
        # Only the first job brings groups: who is another's, too, may have her account from that one.
        own = {id_ for id_ in on if rules.only_job(town.people[id_]) is rules.jobs[0]}
        wanted = {(id_, one) for id_ in groups for one in town.groups[id_]["members"] if one in own or one in groups}
        _mark(self._out, wanted, now)
        _mark(self._unwanted, groups, now)

    def wronged(
        self,
        changed: Changed,
        members: dict[str, dict[str, Any]],
        since: float,
        is_with_another_job: Callable[[str], bool],
    ) -> Iterator[str]:
        """Return in sentences who was taken out of a group, or which group was deleted, who should have stayed.

        `members` are the accounts and groups that the app has; `since` is when the oldest cycle began that runs.
        """
        if changed.before is None:
            return
        id_ = str(changed.before.get("externalId"))
        if changed.after is None:
            if self._unwanted.get(id_, math.inf) < since:
                yield f"the group {changed.target_id} of {id_} was deleted, and should have been there all the time"
            return
        for left in sorted(_ids(changed.before) - _ids(changed.after)):
            account = members.get(left, {})
            member = str(account.get("externalId"))
            if account.get("active") is False or is_with_another_job(left):
                continue
            if self._out.get((id_, member), math.inf) < since:
                yield (
                    f"{left} of {member} was taken out of the group {changed.target_id} of {id_}, "
                    "and should have been in it all the time"
                )


Key = TypeVar("Key")


def _mark(last: dict[Key, float], wanted: Collection[Key], now: float) -> None:
    for key in {*last, *wanted}:
        last[key] = min(last.get(key, math.inf), now) if key in wanted else math.inf


def _ids(group: dict[str, Any]) -> set[str]:
    return {str(one["value"]) for one in group.get("members") or []}
