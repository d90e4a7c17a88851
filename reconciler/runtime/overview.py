"""Says how a job stands, as plain JSON values: what the daemon knows, and what the state knows without it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from reconciler.core.leaving import kept_causes, withholds_deletes
from reconciler.core.model import Triggers
from reconciler.core.standing import Pause, Quarantine, Standing
from reconciler.ports import Figures, Hold, Store
from reconciler.runtime.announcing import Ear
from reconciler.runtime.runs import Ended, Run
from reconciler.runtime.world import Plan

Json = dict[str, Any]
OPERATIONS_MAX = 1000
"""How many operations of a hold are listed; all are counted."""


def moment(seconds: float | None) -> str | None:
    """Return a moment as people and programs read it: 2026-11-21T08:00:00.000Z."""
    if seconds is None:
        return None
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


@dataclass(frozen=True, slots=True)
class Kept:
    """What the state says of a job."""

    standing: Standing
    holds: Sequence[Hold]
    last: Mapping[str, Any] | None
    """The summary of its last cycle."""
    figures: Figures
    due_at: float | None


async def job_overview(store: Store, plan: Plan) -> Json:
    """Return how a job stands, by the state alone."""
    return overview(plan, await kept_of(store, plan.job.name))


async def kept_of(store: Store, job: str) -> Kept:
    """Read what the state says of a job. Raises StateError."""
    last = await store.history(job, 1)
    return Kept(
        standing=await store.standing(job),
        holds=await store.held(job),
        last=last[0] if last else None,
        figures=await store.figures(job),
        due_at=await store.next_due(job),
    )


def overview(
    plan: Plan,
    kept: Kept,
    *,
    run: Run | None = None,
    ended: Ended | None = None,
    due_at: float | None = None,
    ear: Ear | None = None,
) -> Json:
    """Return how a job stands. `run`, `ended`, `due_at` and `ear` are what the daemon knows, where there is one."""
    job, standing, figures = plan.job, kept.standing, kept.figures
    return {
        "job": job.name,
        "source": job.source,
        "target": job.target,
        "enabled": job.enabled,
        "only": list(job.only),
        "interval_seconds": job.interval_seconds,
        "state": job_state(standing, run, enabled=job.enabled, held=bool(kept.holds)),
        "running": run_json(run) if run is not None else None,
        "next_due": moment(due_at if due_at is not None else _kept_due(plan, kept, run)),
        "triggers": _triggers(job.triggers, ear),
        "last_cycle": _last(kept.last) if kept.last is not None else None,
        "last_run": ended_json(ended) if ended is not None else None,
        "last_success": moment(standing.last_success_at),
        "last_full": moment(standing.last_full_at),
        "watermark_moved": moment(standing.watermark_at),
        "paused": _pause(standing.paused) if standing.paused is not None else None,
        "quarantine": _quarantine(standing.quarantine) if standing.quarantine is not None else None,
        "stopped": moment(standing.stopped_at),
        "holds": [hold_json(hold, operations=False) for hold in kept.holds],
        "managed": figures.managed,
        "escrow": {"count": figures.escrow, "since": moment(figures.escrow_since)},
        "should_be_off": {"count": figures.should_be_off, "since": moment(figures.should_be_off_since)},
        "kept": _kept(plan, figures.left_on),
        "deletes_withheld": withholds_deletes(job, plan.profile),
        "pending_references": figures.pending_references,
        "mails": {
            "waiting": figures.mails_waiting,
            "given_up": figures.mails_given_up,
            "problem": figures.mail_problem,
        },
    }


def _kept(plan: Plan, left_on: Mapping[str, int]) -> Json:
    causes = [str(cause) for cause in kept_causes(plan.job, plan.profile)]
    because = {cause: left_on[cause] for cause in causes if left_on.get(cause)}
    return {"count": sum(because.values()), "because": because}


def hold_json(hold: Hold, *, operations: bool = True) -> Json:
    """Return a hold; of its operations only their number where they are not asked for."""
    shown: Json = {
        "job": hold.job,
        "hold": hold.id,
        "safeguard": hold.safeguard,
        "since": moment(hold.since),
        "why": hold.why,
        "count": len(hold.operations),
    }
    if operations:
        shown["operations"] = [
            {
                "operation": one.operation,
                "kind": one.kind,
                "id": one.source_id,
                "name": one.name,
                "why": one.why,
                "since": moment(one.since),
                "members": len(one.about) if one.operation == "members" else 0,
            }
            for one in hold.operations[:OPERATIONS_MAX]
        ]
    return shown


def run_json(run: Run) -> Json:
    """Return a cycle that runs now, with how far it is."""
    following = run.following
    return {
        "run": run.number,
        "began": moment(run.began),
        "full": run.full,
        "asked_by": run.by,
        "occasion": run.occasion,
        "stopping": bool(run.stopped_by),
        "steps": [step.as_json() for step in following.steps] if following is not None else [],
        "counts": {word: n for word, n in following.counts.items() if n} if following is not None else {},
    }


def ended_json(ended: Ended) -> Json:
    """Return what came of a cycle of this daemon."""
    return {**ended.as_json(), "ended": moment(ended.at)}


def job_state(standing: Standing, run: Run | None, *, enabled: bool, held: bool) -> str:
    """Return in a word how a job stands."""
    if run is not None:
        return "running"
    if standing.paused is not None:
        return "paused"
    if standing.stopped_at is not None:
        return "stopped"
    if standing.quarantine is not None:
        return "quarantine"
    if held:
        return "held"
    return "waiting" if enabled else "not enabled"


def _kept_due(plan: Plan, kept: Kept, run: Run | None) -> float | None:
    """Return when the job is due by the state; None where it does not run by itself, or runs now."""
    rests = not plan.job.enabled or kept.standing.paused is not None or kept.standing.stopped_at is not None
    return None if rests or run is not None else kept.due_at


def _triggers(triggers: Triggers, ear: Ear | None) -> Json:
    heard = ear if triggers.announced else None
    return {
        "announced": triggers.announced,
        "webhook": triggers.webhook,
        "debounce_seconds": triggers.debounce_seconds,
        "heard_since": moment(heard.since) if heard is not None else None,
        "last_announced": moment(heard.announced) if heard is not None else None,
        "problem": heard.problem if heard is not None else "",
        "next_try": moment(heard.next_try) if heard is not None else None,
    }


def _last(summary: Mapping[str, Any]) -> Json:
    return {**summary, "ended_at": moment(summary["ended_at"])}


def _pause(pause: Pause) -> Json:
    return {"since": moment(pause.at), "by": pause.by, "reason": pause.reason}


def _quarantine(quarantine: Quarantine) -> Json:
    times = ("began", "series_began", "next_attempt", "test_passed_at")
    return {**asdict(quarantine), **{name: moment(getattr(quarantine, name)) for name in times}}
