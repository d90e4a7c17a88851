"""Keeps creates and changes back that need more than the rules, until they can be weighed together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from reconciler.core import safeguards
from reconciler.core.decisions import Operation
from reconciler.core.guarding import Guards
from reconciler.core.model import Job
from reconciler.core.safeguards import ALWAYS_HELD, Cleared, Held, Safeguard
from reconciler.ports import Clock, Store
from reconciler.runtime.holding import Holding

_WORDS: dict[Safeguard, str] = {"locked": "enable", "renames": "rename", "creates": "create"}
_LIMITED: tuple[Safeguard, ...] = ("renames", "creates")


class Guarding:
    """Lets ordinary operations pass at once. What a limit counts waits until all that was read is known."""

    def __init__(
        self,
        job: Job,
        job_id: int,
        store: Store,
        clock: Clock,
        guards: Guards,
        holding: Holding,
        *,
        managed: int,
        some: bool = False,
    ) -> None:
        """`managed`: the accounts and groups that the job manages when the cycle begins.

        `some`: only some entries are looked at, so that those that are held count, too.
        """
        self._job, self._job_id, self._store, self._clock = job, job_id, store, clock
        self._guards, self._holding, self._managed = guards, holding, managed
        self._waiting: dict[Safeguard, list[Operation]] = {safeguard: [] for safeguard in _LIMITED}
        self._counted: dict[Safeguard, int] = dict.fromkeys(_LIMITED, 0)
        """How many were planned in this cycle."""
        self._recent: dict[Safeguard, int] = {}
        self._all_read, self._some = False, some

    async def pass_through(self, operations: Sequence[Operation]) -> list[Operation]:
        """Return what may be sent now; the rest is held, or waits until `weigh`."""
        passed: list[Operation] = []
        for operation in operations:
            rest: Operation | None = operation
            for safeguard in self._guards.of_positive(operation):
                rest = await self._guard(rest, safeguard) if rest is not None else None
            if rest is not None:
                passed.append(rest)
        return passed

    async def weigh(self) -> list[Operation]:
        """Return what waited and may be sent, now that everything was read."""
        self._all_read = True
        cleared: list[Operation] = []
        for safeguard in _LIMITED:
            waiting, self._waiting[safeguard] = self._waiting[safeguard], []
            verdict = await self._verdict(safeguard)
            if safeguard == "renames" or self._job.safeguards.creation_threshold is not None:
                self._holding.note(verdict.arithmetic)
            for operation in waiting:
                if isinstance(verdict, Held):
                    rest = await self._hold(operation, safeguard, verdict.arithmetic)
                    cleared += [rest] if rest is not None else []
                else:
                    operation.counts = safeguard
                    cleared.append(operation)
        return cleared

    async def _guard(self, operation: Operation, safeguard: Safeguard) -> Operation | None:
        """Return what may be sent of the operation now."""
        word, rest = _WORDS[safeguard], self._guards.without(operation, safeguard)
        said = await self._holding.decided(operation, word, self._guards.about(operation, safeguard), rest=rest)
        if said is not None:
            return operation if said else rest and replace(rest, fingerprint=operation.fingerprint)
        if safeguard == "locked":
            return await self._hold(operation, safeguard, ALWAYS_HELD[safeguard])
        self._counted[safeguard] += 1
        verdict = await self._verdict(safeguard)
        if isinstance(verdict, Held):
            # nothing that is read later makes it fewer; so only what may still pass is kept in memory
            return await self._hold(operation, safeguard, verdict.arithmetic)
        if self._all_read:
            operation.counts = safeguard
            return operation
        self._waiting[safeguard].append(operation)
        return None

    async def _hold(self, operation: Operation, safeguard: Safeguard, why: str) -> Operation | None:
        rest = self._guards.without(operation, safeguard)
        await self._holding.hold(operation, safeguard, why, word=_WORDS[safeguard], rest=rest)
        return rest

    async def _verdict(self, safeguard: Safeguard) -> Cleared | Held:
        if safeguard not in self._recent:
            since = self._clock.now() - self._job.safeguards.window_seconds
            self._recent[safeguard] = await self._store.counted_since(self._job_id, safeguard, since)
        recent, limits = self._recent[safeguard], self._job.safeguards
        planned = self._counted[safeguard]
        if planned and (self._some or self._all_read):
            planned += len(self._holding.still_held(safeguard))
        if safeguard == "creates":
            return safeguards.creation_verdict(planned, recent, limits)
        return safeguards.rename_verdict(planned, recent, self._managed, limits)
