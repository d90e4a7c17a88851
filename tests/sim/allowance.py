"""How much was taken away within a day, beside how much may be: what a person approved is not counted, once."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable

from tests.sim.rules import Rules

DAY = 86400.0
Key = tuple[str, str, str]
"""Kind, source id, and what is done: disable or delete."""


class Allowance:
    """Counts disables and deletes."""

    def __init__(self) -> None:
        self._counted: list[float] = []
        self._approved: dict[str, dict[Key, float]] = {}
        """What a person approved, by job, with the moment."""
        self._managed_most = 0

    def manages(self, accounts: int) -> None:
        """So many accounts are on now."""
        self._managed_most = max(self._managed_most, accounts)

    def approve(self, job: str, operations: Iterable[Key], moment: float) -> None:
        """Somebody has approved these operations of a job; `moment` is the loop's time."""
        self._approved.setdefault(job, {}).update(dict.fromkeys(operations, moment))

    def cycle_ends(self, job: str, began: float) -> None:
        """A cycle in which nothing was in the way has done what was approved before, or wants it no more."""
        approved = self._approved.get(job, {})
        for key in [key for key, moment in approved.items() if moment < began]:
            del approved[key]

    def takes_away(self, keys: Collection[Key], rules: Rules, now: float) -> str:
        """Return what is wrong with an operation that takes something away, whatever of `keys` it is; empty: nothing.

        `now` is the calendar's.
        """
        approved = [(job, key) for job, of_job in self._approved.items() for key in keys if key in of_job]
        for job, key in approved:
            del self._approved[job][key]
        if approved:
            return ""
        self._counted.append(now)
        recent = sum(moment >= now - DAY for moment in self._counted)
        share = math.floor(rules.deletion_share / 100 * self._managed_most + 1e-9)
        allowed = min(rules.deletion_threshold, max(5, share)) * len(rules.jobs)
        if recent <= allowed:
            return ""
        return f"{recent} within a day, allowed {allowed}, approved are others: {self._approved}"
