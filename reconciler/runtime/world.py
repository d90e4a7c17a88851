"""What a cycle is given: the world that it may ask, the rules that it goes by, the observer that it tells."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date

from reconciler.core.decisions import Operation
from reconciler.core.model import Job
from reconciler.core.profile import Profile
from reconciler.ports import Clock, Dice, Progress, Source, Store, Target
from reconciler.runtime.turns import Turns


@dataclass(frozen=True, slots=True)
class World:
    """What a cycle may ask and tell."""

    source: Source
    target: Target
    store: Store
    clock: Clock
    dice: Dice
    progress: Progress
    turns: Turns = field(default_factory=Turns)
    """Who works on which job of this process."""
    rehearsal: bool = False
    """Nothing that is done here counts: the state is a copy, the target is only asked."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What a job's cycle goes by: the job, what is known of the vendor, and the version of both."""

    job: Job
    profile: Profile
    rules_version: str
    concurrency: int
    log_retention_seconds: float | None = None
    """How long the provisioning log is kept; None: for ever."""
    credential_expires: date | None = None
    """The last day of the target's credential, where the configuration names one."""
    beside: tuple[Job, ...] = ()
    """The other jobs that run and have the same source and the same target."""


Observer = Callable[[Operation, str], None]
"""Is told each operation, and why it is held (empty: it is not)."""
