"""How a cycle goes: why nothing more is sent or asked in it, what failed, which accounts are not as they were."""

from __future__ import annotations

from collections import Counter

from reconciler.core.model import Kind, SourceId
from reconciler.core.outcomes import Failed, Fault
from reconciler.core.reasons import Reason
from reconciler.core.records import Record
from reconciler.ports import Clock
from reconciler.runtime.asking import refuses_us

SHOWN_WITHIN_SECONDS = 300.0
"""So long after it was made may a target say that an account is not there, although it is."""
NOT_SHOWN_YET = Failed(
    Fault.NOT_FOUND,
    "the account was made just now, and the target does not show it yet",
    404,
    code="InvalidAnchor",  # it is about this account alone
)
MAY_SHOW_LATER = Failed(
    Fault.NOT_FOUND,
    "a create was sent and not answered, and what it made may not show yet: each cycle looks again, and for"
    f" {SHOWN_WITHIN_SECONDS / 60:g} minutes nothing is sent in its place",
    code="Timeout",
)
FAILURES_MAX = 1000
"""How many failures a summary names; all are counted, and in the log."""


class Course:
    """What one cycle has met so far. Its parts note it here, and look here before they go on."""

    def __init__(self, counts: Counter[str], clock: Clock) -> None:
        self._counts, self._clock = counts, clock
        self._began_at = clock.now()
        self.stopped: Failed | None = None
        """Why nothing more is sent in this cycle."""
        self.halted = False
        """Whether a person stopped the cycle."""
        self.unasked: Failed | None = None
        """Why nothing more is asked or created in this cycle; who has an account already is still brought right."""
        self.first_failure: Failed | None = None
        """What the first operation or question that failed was answered with."""
        self.forbidden: Failed | None = None
        """What the target said to the first create that it did not allow."""
        self.failures: list[dict[str, str]] = []
        self.failed_anew = 0
        """How many entries failed that were not known to fail, references excepted."""
        self.failed_references = 0
        self.in_doubt: set[tuple[Kind, SourceId]] = set()
        """Entries of whose create nobody knows whether it was done."""
        self.pointed_at: set[tuple[Kind, SourceId]] = set()
        """Entries without an account yet that others refer to: managers, mostly."""

    @property
    def age_seconds(self) -> float:
        """For how long the cycle has been running."""
        return self._clock.now() - self._began_at

    def halt(self) -> None:
        """Have nothing more sent or asked in this cycle: a person says so."""
        if self.stopped is None:
            self.halted = True
            self.stopped = Failed(Fault.INTERRUPTED, "a person stopped the cycle before its end")

    def refused_a_question(self, failure: Failed) -> bool:
        """Take in what a question was answered with; False: it says nothing of the questions to come."""
        self.first_failure = self.first_failure or failure
        if failure.fault in (Fault.UNREACHABLE, Fault.UNAUTHORIZED):
            self.stopped = self.stopped or failure
        elif refuses_us(failure):
            self.unasked = self.unasked or failure
        else:
            return False
        return True

    def failed(
        self,
        source_id: SourceId,
        operation: str,
        error_code: Reason,
        reason: str,
        *,
        known: bool = False,
        reference: bool = False,
    ) -> None:
        """Count a failure and keep it. `known`: it failed before; `reference`: the entry itself is well."""
        self._counts["failure"] += 1
        self.failed_references += reference
        self.failed_anew += not known and not reference
        if len(self.failures) < FAILURES_MAX:
            self.failures.append({"id": source_id, "operation": operation, "error_code": error_code, "reason": reason})

    def made_just_now(self, record: Record) -> bool:
        """Whether we made the account so lately that a target whose parts agree after a while may not show it yet."""
        link, since = record.link, min(self._began_at, self._clock.now() - SHOWN_WITHIN_SECONDS)
        return link is not None and link.origin == "created" and link.linked_at > since
