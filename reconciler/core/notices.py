"""What a job's people are told of by mail."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from reconciler.core.standing import Standing


class NoticeKind(StrEnum):
    QUARANTINE_ENTERED = "quarantine_entered"
    QUARANTINE_CHANGED = "quarantine_changed"
    QUARANTINE_REMINDER = "quarantine_reminder"
    QUARANTINE_LEFT = "quarantine_left"
    JOB_STOPPED = "job_stopped"
    HELD = "held"
    FAILURES = "failures"
    """A digest of what failed."""
    NO_CYCLE = "no_cycle"
    """No cycle has finished in three intervals."""
    WATERMARK_OLD = "watermark_old"
    ABSENCE_NOT_JUDGED = "absence_not_judged"
    """Two cycles running could not say who has left, because a reading was not whole."""
    NOT_OFF = "not_off"
    """Somebody who should be switched off is not, for so long that a person should know."""
    CREDENTIAL_EXPIRING = "credential_expiring"
    TEST = "test"


@dataclass(frozen=True, slots=True)
class Notice:
    """One mail to be, without its words: the templates of `notify` make them of `facts`."""

    kind: NoticeKind
    job: str
    at: float
    key: str
    """What it is about, once: a second notice with this key is never queued."""
    facts: Mapping[str, Any] = field(default_factory=dict)
    """Plain JSON values. No secret, and of a person only what the provisioning log shows anyway."""


Settle = Callable[[Standing], tuple[Standing, Sequence[Notice]]]
"""Changes a job's standing, and says who is to be told what. Pure: it runs inside a transaction."""
