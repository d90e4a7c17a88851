"""Looks at the jobs in between their cycles: what is late, what is to be said again, what ends soon."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from reconciler import logs
from reconciler.core.alerts import Watched
from reconciler.core.health import as_time_passes
from reconciler.errors import ReconcilerError
from reconciler.ports import Clock, Store
from reconciler.runtime.health import terms_of
from reconciler.runtime.world import Plan

LOOK_SECONDS_MIN, LOOK_SECONDS_MAX = 60.0, 3600.0


async def keep_watch(
    store: Store,
    clock: Clock,
    plans: Callable[[], Mapping[str, Plan]],
    known: Callable[[str], Watched],
    tell: Callable[[], None],
) -> None:
    """Look at every job that is enabled, again and again, whatever becomes of its cycles; never returns.

    `known` says what is known of a job's cycles, without the beginning of the watch; `tell` wakes who sends mails.
    """
    since = clock.now()
    while True:
        await clock.sleep(seconds_between(plans().values()))
        for name, plan in plans().items():
            now = known(name)
            watched = Watched(since, now.running_since, now.next_due_at, now.problem)
            try:
                if plan.job.enabled and await look(store, clock, plan, watched):
                    tell()
            except ReconcilerError as error:
                logs.get().error("job.standing_not_known", job=name, problem=str(error))


def seconds_between(plans: Iterable[Plan]) -> float:
    """Return how long to wait between two looks: the shortest interval of all jobs, within a minute and an hour."""
    shortest = min((plan.job.interval_seconds for plan in plans if plan.job.enabled), default=LOOK_SECONDS_MAX)
    return min(max(shortest, LOOK_SECONDS_MIN), LOOK_SECONDS_MAX)


async def look(store: Store, clock: Clock, plan: Plan, watched: Watched) -> bool:
    """Note what time has made of a job; return whether its people are told something. Raises ReconcilerError."""
    job = plan.job
    change = as_time_passes(terms_of(plan), job.target, plan.credential_expires, watched, clock.now())
    before = await store.standing(job.name)
    changed, told = change(before)
    if changed == before:
        return False
    await store.settle(job.name, change)
    return bool(told)
