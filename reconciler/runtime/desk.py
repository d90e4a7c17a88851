"""Does what people ask of the running daemon, and writes down who it was: one method a verb."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from typing import Any, Literal

from reconciler import logs
from reconciler.core import quarantine
from reconciler.core.notices import Notice
from reconciler.core.restarting import ResetScope
from reconciler.core.standing import Pause, Standing
from reconciler.errors import NobodyOrSeveral, ReconcilerError
from reconciler.ports import Clock, Decision, Hold, Store
from reconciler.runtime.announcing import Prospect
from reconciler.runtime.finding import NotOne
from reconciler.runtime.ondemand import provision
from reconciler.runtime.provisioned import Provisioned
from reconciler.runtime.reloading import Reloaded
from reconciler.runtime.resting import runs_by_itself
from reconciler.runtime.runs import Ticket
from reconciler.runtime.service import Service
from reconciler.runtime.taking_out import let_back, take_out
from reconciler.runtime.webhooks import Turned, Webhooks

Why = Literal["unknown", "ending"]


@dataclass(frozen=True, slots=True)
class Refused:
    """What was asked for was not done."""

    why: Why
    problem: str
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Called:
    """A webhook was called by somebody who may."""

    job: str
    repeated: bool
    prospect: Prospect


@dataclass(frozen=True, slots=True)
class Restarted:
    """A job was reset; `ticket` is the cycle that follows at once, None where the job does not run by itself."""

    standing: Standing
    ticket: Ticket | None


class Desk:
    """What people may ask. Everything that changes something names who asked (`by`), and is in the log."""

    def __init__(self, service: Service, store: Store, clock: Clock) -> None:
        self._service, self._store, self._clock = service, store, clock
        self._webhooks = Webhooks(clock)
        self._log = logs.get()

    def unknown(self, job: str) -> Refused | None:
        """Return None where there is such a job, else a refusal with the nearest name."""
        jobs = self._service.plans
        if job in jobs:
            return None
        return Refused("unknown", f"there is no job {job!r}", nearest(job, jobs, "jobs"))

    def trigger(self, job: str, *, full: bool, by: str) -> Ticket | Refused:
        """Run a cycle now, also of a job that is paused or not enabled; after the running one, where there is one."""
        if (refused := self.unknown(job) or self._ending()) is not None:
            return refused
        self._log.info("job.triggered", job=job, full=full, by=by)
        return self._service.begin_now(job, full=full, by=by)

    async def called(self, job: str, headers: Mapping[str, str], body: bytes) -> Called | Refused | Turned:
        """Have a job run soon because somebody who has its secret says that something changed."""
        if (refused := self.unknown(job) or self._ending()) is not None:
            return refused
        read_secret = self._service.jobs.webhook_secret(job)
        if read_secret is None:
            return Refused("unknown", f"job {job!r} has no webhook", f"[jobs.{job}.triggers] webhook gives it one")
        verdict = self._webhooks.judge(job, headers, body, read_secret)
        if isinstance(verdict, Turned):
            self._log.warning("webhook.refused", job=job, problem=verdict.problem)
            return verdict
        self._log.info("webhook.called", job=job, repeated=verdict.repeated)
        if verdict.repeated:
            return Called(job, True, "soon")
        return Called(job, False, await self._service.announcements.announce(job, "a webhook was called"))

    async def pause(self, job: str, *, reason: str, by: str) -> Standing | Refused:
        """Start no further cycle of the job until it is resumed; watermark and links are kept.

        A cycle that is running goes on to its end.
        """
        if (refused := self.unknown(job)) is not None:
            return refused
        now = self._clock.now()

        def change(standing: Standing) -> tuple[Standing, Sequence[Notice]]:
            return replace(standing, paused=standing.paused or Pause(now, by, reason)), ()

        standing = await self._store.settle(job, change)
        self._service.rest(job)
        self._tell("job.paused", job, by, reason=reason)
        return standing

    async def resume(self, job: str, *, by: str) -> Standing | Refused:
        """Let the job run again by itself: at once where it is overdue."""
        if (refused := self.unknown(job)) is not None:
            return refused
        standing = await self._store.settle(job, lambda s: (quarantine.resumed(s, self._clock.now()), ()))
        await self._service.wake(job)
        self._tell("job.resumed", job, by)
        return standing

    async def restart(self, job: str, scopes: Collection[ResetScope], *, by: str) -> Restarted | Refused:
        """Clear what `scopes` name and begin anew; a cycle that is running is stopped first."""
        if (refused := self.unknown(job) or self._ending()) is not None:
            return refused
        self._service.cut_short(job, by=by)
        await self._service.until_idle(job)
        standing = await self._store.reset(job, scopes, self._clock.now())
        self._tell("job.restarted", job, by, scopes=sorted(scopes))
        ticket = None
        if self._runs_by_itself(job, standing):
            ticket = self._service.begin_now(job, full=False, by=by)
        return Restarted(standing, ticket)

    def stop(self, job: str, *, by: str) -> int | Refused | None:
        """End the job's running cycle now, between two requests; return its number, None where there was none."""
        if (refused := self.unknown(job)) is not None:
            return refused
        return self._service.cut_short(job, by=by)

    async def decide(self, job: str, hold: str | None, decision: Decision, *, by: str) -> list[Hold] | Refused:
        """Approve or reject what a hold lists (None: every hold of the job).

        An approval runs a cycle at once, where the job runs by itself.
        Raises StateError, and nothing is decided then.
        """
        if (refused := self.unknown(job)) is not None:
            return refused
        standing = await self._store.standing(job)  # before the write: what fails after it denies what was decided
        decided = await self._store.decide_hold(job, hold, decision, by, self._clock.now())
        if not decided:
            return await no_such_hold(self._store, job, hold)
        held = sum(len(one.operations) for one in decided)
        self._tell(f"hold.{decision}", job, by, holds=[one.id for one in decided], operations=held)
        if decision == "approved" and self._runs_by_itself(job, standing):
            self._service.begin_now(job, full=False, by=by)
        return decided

    async def provision(
        self, job: str, names: Sequence[str], *, dry_run: bool, by: str
    ) -> Provisioned | Refused | tuple[NotOne, ...]:
        """Provision people or groups now, also of a job that is paused, not enabled or in quarantine."""
        if (refused := self.unknown(job) or self._ending()) is not None:
            return refused
        self._log.info("job.provisioning", job=job, entries=len(names), dry_run=dry_run, by=by)
        plan, jobs = self._service.plans[job], self._service.jobs
        with self._service.at_work():
            async with jobs.rehearsal(job) if dry_run else jobs.world(job) as world:
                done = await provision(plan, world, names, dry_run=dry_run, by=by)
        if isinstance(done, Provisioned) and not dry_run:
            self._tell("job.provisioned", job, by, entries=len(done.subjects), state=done.state)
        return done

    async def take_out(self, user: str, *, dry_run: bool, release: bool, by: str) -> dict[str, Any] | Refused:
        """Take one person out of every job, or leave her to the rules again."""
        if (refused := self._ending()) is not None:
            return refused
        try:
            if release:
                released, jobs = await let_back(self._store, user)
                self._log.info("person.released", by=by, jobs=list(jobs), entries=released)
                return {"released": released, "jobs": list(jobs), "exit_code": 0}
            service = self._service
            with service.at_work():
                done = await take_out(
                    self._store, service.plans, service.jobs.world, self._clock, user, by=by, dry_run=dry_run
                )
        except NobodyOrSeveral as error:
            return Refused("unknown", str(error))
        if not dry_run:
            outcomes = sorted({one.outcome for one in done.people})
            self._log.warning("person.taken_out", by=by, jobs=[one.job for one in done.people], outcomes=outcomes)
        return done.as_dict()

    async def reload(self, *, by: str) -> Reloaded | ReconcilerError:
        """Read the configuration again; where it cannot be used, the one in force is kept."""
        return await self._service.reload(by=by)

    def _runs_by_itself(self, job: str, standing: Standing) -> bool:
        """Return whether a cycle of the job may follow that nobody has asked for in so many words."""
        plan = self._service.plans.get(job)
        enabled = plan is not None and plan.job.enabled
        return enabled and runs_by_itself(standing) and not self._service.stopping

    def _ending(self) -> Refused | None:
        if not self._service.started.is_set():
            return Refused("ending", "the daemon is still starting", "ask again in a moment")
        return Refused("ending", "the daemon is ending; no cycle begins any more") if self._service.stopping else None

    def _tell(self, event: str, job: str, by: str, **facts: object) -> None:
        self._log.info(event, job=job, by=by, **facts)
        self._service.events.tell(event, job, by=by, **facts)


async def no_such_hold(store: Store, job: str, hold: str | None) -> Refused:
    """Return what is said to whoever decides on a hold that is not open (None: on any)."""
    open_holds = [one.id for one in await store.held(job)]
    if hold is None or not open_holds:
        return Refused("unknown", f"nothing of job {job!r} is held")
    return Refused("unknown", f"job {job!r} has no open hold {hold!r}", nearest(hold, open_holds, "its holds"))


def nearest(meant: str, known: Collection[str], what: str) -> str:
    """Return a hint: the known name that is nearest to what was meant, or else all of them."""
    near = get_close_matches(meant, known, 1)
    return f"did you mean {near[0]!r}?" if near else f"{what} are: {', '.join(sorted(known)) or 'none'}"
