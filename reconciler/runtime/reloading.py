"""Another configuration in the place of the one in force, and what it changes in the jobs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol

from reconciler.ports import Announcing, Progress
from reconciler.runtime.world import Plan, World


class Jobs(Protocol):
    """The jobs of the configuration in force."""

    def plans(self) -> Mapping[str, Plan]: ...

    def world(self, job_name: str, *, progress: Progress | None = None) -> AbstractAsyncContextManager[World]: ...

    def rehearsal(self, job_name: str) -> AbstractAsyncContextManager[World]:
        """Open a world in which the target is only asked, and the state is a copy that is thrown away."""
        ...

    def announcing(self, source: str) -> AbstractAsyncContextManager[Announcing | None]:
        """Open a source to listen to what it announces; None where sources of its type announce nothing."""
        ...

    def webhook_secret(self, job_name: str) -> Callable[[], str] | None:
        """Return what reads the secret of a job's webhook; None where it has none."""
        ...


@dataclass(frozen=True, slots=True)
class Reloaded:
    """A configuration that takes the place of another."""

    jobs: Jobs
    changes: tuple[str, ...]
    """What is different, one sentence each."""
    touched: frozenset[str] = frozenset()
    """Jobs whose source or target is reached in another way now: they run at once, whether it works."""


def differs(was: Plan | None, now: Plan) -> bool:
    """Return whether a job is new, newly enabled, or judges by other rules or other limits: then it runs at once."""
    if was is None or not was.job.enabled:
        return True
    return was.rules_version != now.rules_version or was.job.safeguards != now.job.safeguards


def differences(before: Mapping[str, Plan], after: Mapping[str, Plan]) -> tuple[str, ...]:
    """Return what a reload changes in the jobs, in sentences, and whether an initial cycle follows."""
    said = [
        f"job {name} left the configuration: its accounts stay as they are" for name in before.keys() - after.keys()
    ]
    said += [
        f"job {name} is new" + ("" if after[name].job.enabled else ", and not enabled")
        for name in after.keys() - before.keys()
    ]
    for name in before.keys() & after.keys():
        was, now = before[name], after[name]
        if was.rules_version != now.rules_version:
            when = "an initial cycle follows" if now.job.enabled else "an initial cycle follows once it is enabled"
            said.append(f"job {name}: mappings, scope or other rules changed; {when}")
        if was.job.enabled != now.job.enabled:
            said.append(f"job {name} is {'enabled' if now.job.enabled else 'not enabled any more'}")
        if was.job.interval_seconds != now.job.interval_seconds:
            said.append(f"job {name} runs every {now.job.interval_seconds:g} s, was {was.job.interval_seconds:g} s")
        if was.job.safeguards != now.job.safeguards:
            said.append(f"job {name}: the safeguards changed; what they hold is looked at again")
        for what in ("source", "target"):
            if getattr(was.job, what) != getattr(now.job, what):
                said.append(f"job {name}: its {what} is {getattr(now.job, what)}, was {getattr(was.job, what)}")
    return tuple(sorted(said))
