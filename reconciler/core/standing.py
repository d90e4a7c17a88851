"""How a job stands from one cycle to the next: paused, in quarantine, when it last succeeded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

Json = Mapping[str, Any]


class QuarantineReason(StrEnum):
    """Why a job is in quarantine, by Graph's names (docs/quarantine.md)."""

    BASE_ESCROW = "EncounteredBaseEscrowThreshold"
    TOTAL_ESCROW = "EncounteredTotalEscrowThreshold"
    ESCROW_PROPORTION = "EncounteredEscrowProportionThreshold"
    EXCEPTION = "EncounteredQuarantineException"
    """At once: refused credentials, out of reach, not SCIM."""


@dataclass(frozen=True, slots=True)
class Pause:
    at: float
    by: str
    """Who paused it: a name, or the uid that the socket saw."""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Quarantine:
    """Why a job runs rarely or not at all until something is mended."""

    reason: QuarantineReason
    error_code: str
    """The code of the fault (Unauthorized, Unreachable, NotScim …), empty where a count is the reason."""
    rule: str
    """The rule that was broken, in a sentence."""
    arithmetic: str
    """The rule with its figures, empty where nothing was counted."""
    began: float
    """When this reason began (Graph: currentBegan)."""
    series_began: float
    """When the job went into quarantine and has not left it since."""
    series_count: int
    """How many times it was tried since, in vain."""
    next_attempt: float
    request: str = ""
    """The first failing request: method and path, without values of a person."""
    answer: str = ""
    """What came back: status and the target's words."""
    rules: str = ""
    """The version of the job's rules under which it was last tried: others are tried at once."""
    lifted_by_test: bool = False
    """A connection test at the normal interval shows when it is over."""
    test_passed_at: float | None = None
    """When one did: the cycle that follows lifts the quarantine, or the test is not asked any more."""
    source: str = ""
    """The name of the source, where it is the source that stands against the job; empty: it is not."""


@dataclass(frozen=True, slots=True)
class Standing:
    """What a job's health is. One document in the state, changed in the commit of what changes it."""

    paused: Pause | None = None
    quarantine: Quarantine | None = None
    stopped_at: float | None = None
    """The job was in quarantine for `stop_after` and runs no more until a person starts it again."""
    goes_on_since: float | None = None
    """When a pause, a stop or a quarantine last ended."""
    last_finished_at: float | None = None
    last_success_at: float | None = None
    """When a cycle last ended in which both sides answered and everything was read."""
    last_full_at: float | None = None
    """When everything was last compared with the target; before the first time: when a cycle first ended."""
    compare_next: bool = False
    """A person restarted the job: the next cycle compares everything with the target."""
    watermark_at: float | None = None
    """When the watermark last moved."""
    judged_at: float | None = None
    """When a cycle last could judge absence."""
    unjudged_cycles: int = 0
    """How many cycles running could not judge absence, because a reading was not whole."""
    failing_cycles: int = 0
    """How many cycles running had so many failures that a person should know."""
    alerted: Mapping[str, float] = field(default_factory=dict)
    """Occasion → when it was last told; it is taken out when all is well again."""
    force_deletes: bool = False
    """A person said: the next cycle deletes whatever it wants to."""

    def as_json(self) -> Json:
        return {**asdict(self), "alerted": {str(name): last for name, last in self.alerted.items()}}

    @classmethod
    def from_json(cls, read: Json) -> Standing:
        """Read what `as_json` wrote; a name that this version does not know is left out."""
        known = {name: value for name, value in read.items() if name in cls.__dataclass_fields__}
        if known.get("paused"):
            known["paused"] = Pause(**known["paused"])
        if known.get("quarantine"):
            quarantine = dict(known["quarantine"])
            known["quarantine"] = Quarantine(**{**quarantine, "reason": QuarantineReason(quarantine["reason"])})
        return cls(**known)
