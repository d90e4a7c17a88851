"""Until when each list of members had whom, and so until when somebody may count as being in a group."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable

from tests.sim.town import Row


class Lists:
    """Knows the lists of members as the source had them."""

    def __init__(self) -> None:
        self._until: dict[tuple[str, str], float] = {}
        """When a person or a group was last in a group, by its id or name and the member's id; infinity: is so now."""

    def mark(self, groups: Iterable[Row], now: float) -> None:
        """Look again: the source has changed."""
        listed = {
            (group, member) for row in groups for group in (row["id"], row["displayName"]) for member in row["members"]
        }
        for key in {*self._until, *listed}:
            self._until[key] = math.inf if key in listed else min(self._until.get(key, math.inf), now)

    def had(self, id_: str, names: Collection[str], *, nested: bool) -> float:
        """Return until when these groups had somebody, by what one list after another said at any time.

        Who is missing is taken out of a list only when all of them were read whole, who is new is put in at once. So
        she may count through a group that was put into another one when she was no longer in it.
        """
        until = dict.fromkeys(names, math.inf)
        waiting = [*until]
        while waiting:
            group = waiting.pop()
            for (within, member), moment in self._until.items():
                reached = min(moment, until[group])
                if within == group and reached > until.get(member, -math.inf):
                    until[member] = reached
                    waiting += [member] if nested else []
        return until.get(id_, -math.inf)
