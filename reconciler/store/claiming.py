"""Keeps who else has an account in scope, so that it passes on before it is taken away."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import Connection, and_, bindparam, exists, null, or_, select, update

from reconciler.core.model import Identity, Kind, SourceId, TargetId
from reconciler.core.records import Verdict
from reconciler.ports import Attempt, Claim, MatchPairs
from reconciler.store import ledgers, waiting
from reconciler.store.dialects import given, in_turn
from reconciler.store.identifying import fenced_job, identity_ref, job_named, under_way
from reconciler.store.reading import links_of
from reconciler.store.rows import pairs, sent_with
from reconciler.store.tables import CLAIMS, entries, identities, jobs, ledger

_GIVEN = given()
_LIVING = [v.value for v in (Verdict.IN_SCOPE, Verdict.INACTIVE, Verdict.UNKNOWN, Verdict.NEW)]
_IN_SCOPE = [v.value for v in (Verdict.IN_SCOPE, Verdict.UNKNOWN)]
_PASSED = ("target_ref", "target_id", "disabled_at", "disabled_because", "delete_at", "unkept", "changed", "agreed")

_mine, _other = jobs.alias("mine"), jobs.alias("other")
_same = and_(_other.c.source_ref == _mine.c.source_ref, _other.c.target_ref == _mine.c.target_ref)
_OTHERS = (
    select(_other.c.id)
    .join(_mine, _same)
    .where(_mine.c.id == bindparam("its_job"), _other.c.id != bindparam("its_job"))
    .order_by(_other.c.id)
)

_NO_ANSWER = (entries.c.attempted_at.is_not(None), entries.c.target_id.is_(None), entries.c.agreed.is_not(None))
_OF_PAGE = and_(
    entries.c.job_id == bindparam("job_id"),
    entries.c.kind == bindparam("kind"),
    entries.c.source_id == _GIVEN.c.value,
)
_ATTEMPT = (jobs.c.name, entries.c.source_id, entries.c.agreed, entries.c.attempted_at)
_IN_DOUBT = (
    select(*_ATTEMPT)
    .select_from(in_turn(_GIVEN, entries, _OF_PAGE).join(jobs, jobs.c.id == entries.c.job_id))
    .where(*_NO_ANSWER)
)
_ATTEMPTS = (
    select(*_ATTEMPT)
    .join(jobs, jobs.c.id == entries.c.job_id)
    .where(
        jobs.c.target_ref == bindparam("target"),
        entries.c.kind == bindparam("kind"),
        *_NO_ANSWER,
        entries.c.agreed.in_(bindparam("sent_with", expanding=True)),
    )
    .order_by(entries.c.row_id)
)

_holder = entries.alias("holder")
_held = exists().where(
    _holder.c.target_ref == select(jobs.c.target_ref).where(jobs.c.id == entries.c.job_id).scalar_subquery(),
    _holder.c.kind == entries.c.kind,
    _holder.c.target_id == entries.c.claims,
)
_WAKE = (
    update(entries)
    # Who was rejected for another human's account waits until nobody has it; who claims it, until its holder leaves.
    .where(
        CLAIMS,
        entries.c.fingerprint.is_not(None),
        or_(~_held, and_(entries.c.escrow_failures.is_(None), ~_held.where(_holder.c.verdict.in_(_LIVING)))),
    )
    .values(fingerprint=null())
)


def attempts(connection: Connection, target: Identity, kind: Kind, matches: Collection[MatchPairs]) -> list[Attempt]:
    ref = identity_ref(connection, target)
    if ref is None or not matches:
        return []
    rows = connection.execute(_ATTEMPTS, {"target": ref, "kind": kind, "sent_with": [*map(sent_with, matches)]})
    return [_attempt(row) for row in rows]


def _attempt(row: Sequence[Any]) -> Attempt:
    job, source_id, match, at = row
    return Attempt(job, source_id, pairs(match), at)


def claims(
    connection: Connection, target: Identity, kind: Kind, ids: Sequence[TargetId]
) -> dict[TargetId, list[Claim]]:
    ref = identity_ref(connection, target)
    if ref is None or not ids:
        return {}
    c, source = entries.c, identities.c
    claiming = and_(c.kind == kind, c.claims == _GIVEN.c.value, CLAIMS)
    rows = connection.execute(
        select(c.claims, jobs.c.name, c.source_id, c.person, source.type, source.place, source.key)
        .select_from(in_turn(_GIVEN, entries, claiming))
        .join(jobs, jobs.c.id == c.job_id)
        .join(identities, source.id == jobs.c.source_ref)
        .where(jobs.c.target_ref == ref, c.target_id.is_(None), c.verdict.in_(_IN_SCOPE))
        .order_by(c.row_id),
        {"given": ids},
    )
    found: dict[TargetId, list[Claim]] = {}
    for target_id, job, source_id, person, *identity in rows:
        found.setdefault(target_id, []).append(Claim(job, kind, source_id, target_id, person, Identity(*identity)))
    return found


def linked_elsewhere(
    connection: Connection, job_id: int, kind: Kind, source_ids: Sequence[SourceId]
) -> dict[SourceId, TargetId]:
    found: dict[SourceId, TargetId] = {}
    for other_id in connection.execute(_OTHERS, {"its_job": job_id}).scalars().all() if source_ids else ():
        found = {**links_of(connection, other_id, kind, source_ids), **found}
    return found


def attempted_elsewhere(
    connection: Connection, job_id: int, kind: Kind, source_ids: Sequence[SourceId]
) -> dict[SourceId, Attempt]:
    found: dict[SourceId, Attempt] = {}
    for other_id in connection.execute(_OTHERS, {"its_job": job_id}).scalars().all() if source_ids else ():
        rows = connection.execute(_IN_DOUBT, {"given": source_ids, "job_id": other_id, "kind": kind})
        found = {**{attempt.source_id: attempt for attempt in map(_attempt, rows)}, **found}
    return found


def pass_link(
    connection: Connection, job_id: int, epoch: int, kind: Kind, source_id: SourceId, to: Claim, now: float
) -> bool:
    fenced_job(connection, job_id, epoch)
    other = job_named(connection, to.job)
    if other is None or under_way(connection, other.id, other.epoch, now):
        return False
    c = entries.c
    mine = (c.job_id == job_id, c.kind == kind, c.source_id == source_id, c.target_id == to.target_id)
    theirs = (c.job_id == other.id, c.kind == kind, c.source_id == to.source_id, c.claims == to.target_id)
    link = connection.execute(select(*(c[name] for name in _PASSED)).where(*mine)).one_or_none()
    if link is None or connection.execute(select(c.row_id).where(*theirs, c.target_id.is_(None))).scalar() is None:
        return False
    # Let go of first: an account has one link at any time.
    let_go = dict.fromkeys((*_PASSED, "origin", "linked_at", "fingerprint"))
    connection.execute(update(entries).where(*mine).values(**let_go))
    waiting.let_go(connection, job_id, [to.target_id])
    linked = {**link._mapping, "origin": "adopted", "linked_at": now}
    looked_at_again = {"claims": None, "fingerprint": None, "due_at": None}
    connection.execute(update(entries).where(*theirs).values(**linked, **looked_at_again))
    if kind == "group":
        connection.execute(ledger.delete().where(ledger.c.job_id == job_id, ledger.c.group_id == source_id))
        ledgers.link(connection, other.id, {to.source_id: to.target_id})
    ledgers.touch_groups_of(connection, other.id, [to.source_id])
    return True


def wake(connection: Connection) -> None:
    """Have everybody looked at again whose claimed account is held no longer, or only for a leaver."""
    connection.execute(_WAKE)
