"""Lists who should be off and is not, with what stands against it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from reconciler.core import notices
from reconciler.core.decisions import LEAVERS
from reconciler.core.model import Kind, SourceId
from reconciler.core.notices import Notice, NoticeKind, StillOn
from reconciler.core.records import Record
from reconciler.core.standing import Standing

TOLD_AFTER_SECONDS = 86400.0
"""So long somebody may be on who should be off before people are told, and told again."""

Hindrance = Literal["held", "approved", "rejected", "escrow", "grace", "in_doubt", "waits"]
"""What stands between somebody and the disable.

held: a safeguard waits for a person. approved: the next cycle does it. rejected: a person wants it so. escrow: it
failed, and is tried again. grace: `disable_after` is not over. in_doubt: it was sent, and the answer is not known.
waits: nothing is known to stand in the way; the next cycle does it.
"""

_WANTED: frozenset[Hindrance] = frozenset({"rejected", "grace"})
"""What somebody has decided: nobody needs to be told."""


@dataclass(frozen=True, slots=True)
class Said:
    """What a safeguard or a person said to the operation."""

    hindrance: Hindrance
    why: str
    name: str = ""
    since: float = 0.0


@dataclass(frozen=True, slots=True)
class Overdue:
    """One account that should be off, or gone."""

    kind: Kind
    id: SourceId
    name: str
    since: float
    hindrance: Hindrance
    why: str


@dataclass(frozen=True, slots=True)
class Blind:
    """Why nobody knows who else should be off in this job, and since when."""

    cause: Literal["incomplete", "quarantine", "paused", "stopped"]
    why: str
    since: float


def listed(records: Sequence[Record], said: Mapping[tuple[Kind, SourceId], Said], now: float) -> list[Overdue]:
    """Return the accounts that should be off, the oldest first."""
    known = {record.key for record in records}
    found = [_overdue(record, said.get(record.key), now) for record in records]
    for (kind, source_id), one in said.items():
        if (kind, source_id) not in known:  # an account that is not linked yet
            found.append(Overdue(kind, source_id, one.name, one.since, one.hindrance, one.why))
    return sorted(found, key=lambda one: (one.since, one.id))


def blind(standing: Standing) -> Blind | None:
    """Return why leavers may be on of whom nothing is known; None: the job sees who leaves."""
    if standing.stopped_at is not None:
        return Blind("stopped", "the job was stopped after long in quarantine", standing.stopped_at)
    if standing.paused is not None:
        return Blind("paused", f"the job was paused by {standing.paused.by}", standing.paused.at)
    if standing.quarantine is not None:
        return Blind("quarantine", standing.quarantine.rule, standing.quarantine.series_began)
    if standing.unjudged_cycles:
        since = standing.judged_at if standing.judged_at is not None else standing.last_finished_at or 0.0
        return Blind("incomplete", "the source was not read whole, so who is absent is not known", since)
    return None


def tell(
    job: str, standing: Standing, people: Sequence[Overdue], total: int, at: float
) -> tuple[Standing, Sequence[Notice]]:
    """Give the notice that people have been on for too long, once a day as long as there are any."""
    late = [one for one in people if one.hindrance not in _WANTED and at - one.since >= TOLD_AFTER_SECONDS]
    alerted = {kind: last for kind, last in standing.alerted.items() if kind != NoticeKind.NOT_OFF}
    if not late:
        return replace(standing, alerted=alerted), ()
    last = standing.alerted.get(NoticeKind.NOT_OFF)
    if last is not None and at - last < TOLD_AFTER_SECONDS:
        return standing, ()
    shown = [StillOn(one.id, one.name, f"{one.hindrance}: {one.why}", one.since) for one in late]
    told = notices.not_off(job, at, people=shown, total=max(total if len(late) == len(people) else 0, len(late)))
    return replace(standing, alerted={**alerted, NoticeKind.NOT_OFF: at}), [told]


def _overdue(record: Record, said: Said | None, now: float) -> Overdue:
    since = record.off_since if record.off_since is not None else now
    hindrance: Hindrance = "waits"
    why = record.why if record.verdict in LEAVERS else "the cycle was given up before it was sent"
    if said is not None:
        hindrance, why = said.hindrance, said.why
    elif record.escrow is not None:
        hindrance, why = "escrow", f"failed {record.escrow.failures} times: {record.escrow.reason}"
    elif record.attempted_at is not None:
        hindrance, why = "in_doubt", "it was sent, and whether it was done is not known"
    elif record.due_at is not None and record.due_at > now:
        hindrance = "grace"
    return Overdue(record.kind, record.source_id, record.name, since, hindrance, why)
