"""Keeps who is in which group as we made it at the target, and works out what lies between that and the source."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    FromClause,
    Select,
    and_,
    bindparam,
    case,
    delete,
    exists,
    func,
    literal_column,
    or_,
    select,
    true,
    update,
)

from reconciler.core import escrow
from reconciler.core.model import Kind, SourceId, TargetId
from reconciler.core.records import BY_OTHERS, Verdict
from reconciler.ports import MemberDelta
from reconciler.store.dialects import execute_many, given, in_turn, put_many
from reconciler.store.tables import DIRTY, entries, ledger, memberships, staged_groups

_GIVEN = given()
_GROUP = ("job_id", "group_id")
_WAITS = enumerate(escrow.WAITS_SECONDS[:-1])
_PUT_OFF = (
    update(staged_groups)
    .where(staged_groups.c.job_id == bindparam("its_job"), staged_groups.c.group_id == bindparam("its_group"))
    .values(
        failures=staged_groups.c.failures + literal_column("1"),
        due_at=bindparam("now")
        + case(
            *((staged_groups.c.failures == literal_column(str(n)), literal_column(str(wait))) for n, wait in _WAITS),
            else_=literal_column(str(escrow.WAITS_SECONDS[-1])),
        ),
    )
)
_EMPTY_LEDGER = delete(ledger).where(*(ledger.c[name] == bindparam(name) for name in _GROUP))
_DOUBT = (
    update(ledger)
    .where(
        ledger.c.job_id == bindparam("its_job"),
        ledger.c.member_id == bindparam("its_member"),
        ledger.c.member_target_id == bindparam("its_account"),
    )
    .values(in_doubt=true())
)
_GROUPS_OF = tuple(
    select(table.c.group_id)
    .select_from(
        in_turn(_GIVEN, table, and_(table.c.job_id == bindparam("job_id"), table.c.member_id == _GIVEN.c.value))
    )
    .distinct()
    for table in (memberships, ledger)
)

_s = staged_groups.c
_LINKED = and_(
    *(entries.c.job_id == _s.job_id, entries.c.kind == literal_column("'group'")),
    *(entries.c.source_id == _s.group_id, entries.c.target_id.is_not(None)),
)
_DIRTY_GROUPS = (
    select(_s.group_id)
    .select_from(staged_groups.join(entries, _LINKED))
    .where(_s.job_id == bindparam("job_id"), DIRTY, _s.group_id > bindparam("after"))
    .where(or_(_s.due_at.is_(None), _s.due_at <= bindparam("now")))
    .order_by(_s.group_id)
    .limit(bindparam("most"))
)


def touch_groups_of(connection: Connection, job_id: int, members: Sequence[SourceId]) -> None:
    groups: set[SourceId] = set()
    for groups_of in _GROUPS_OF:
        groups.update(connection.execute(groups_of, {"given": members, "job_id": job_id}).scalars())
    soil(connection, job_id, sorted(groups))


def soil(connection: Connection, job_id: int, groups: Sequence[SourceId]) -> None:
    """Mark groups as dirty, also those that are no longer staged."""
    rows = [(job_id, group, True, None) for group in groups]
    put_many(connection, staged_groups, _GROUP, ("dirty", "due_at"), rows)


def link(connection: Connection, job_id: int, groups: Mapping[SourceId, TargetId]) -> None:
    """Give groups that have a new account its ledger: the one that is kept if it is of this account, else an empty one.

    They are marked as dirty.
    """
    c = staged_groups.c
    rows = connection.execute(
        select(c.group_id, c.ledger_of).select_from(
            in_turn(_GIVEN, staged_groups, and_(c.job_id == job_id, c.group_id == _GIVEN.c.value))
        ),
        {"given": list(groups)},
    )
    kept = {row.group_id for row in rows if row.ledger_of == groups[row.group_id]}
    execute_many(connection, _EMPTY_LEDGER, _GROUP, [(job_id, group) for group in groups if group not in kept])
    linked = [(job_id, group, True, None, target_id) for group, target_id in groups.items()]
    put_many(connection, staged_groups, _GROUP, ("dirty", "due_at", "ledger_of"), linked)


def doubt(connection: Connection, job_id: int, members: Sequence[tuple[SourceId, TargetId]]) -> None:
    """Write down that nobody knows whether these accounts are in groups still: their entries have let go of them."""
    rows = [(job_id, *member) for member in members]
    execute_many(connection, _DOUBT, ("its_job", "its_member", "its_account"), rows)


def put_off(connection: Connection, job_id: int, refused: Sequence[tuple[SourceId, float]]) -> None:
    """Have groups tried again only after a time that grows with each refusal."""
    execute_many(
        connection, _PUT_OFF, ("now", "its_job", "its_group"), [(now, job_id, group) for group, now in refused]
    )


def dirty_groups(connection: Connection, job_id: int, after: str, limit: int, now: float) -> list[SourceId]:
    rows = connection.execute(_DIRTY_GROUPS, {"job_id": job_id, "after": after, "now": now, "most": limit})
    return list(rows.scalars())


def groups_put_off(connection: Connection, job_id: int, groups: Sequence[SourceId], now: float) -> set[SourceId]:
    c = staged_groups.c
    these = and_(c.job_id == job_id, c.group_id == _GIVEN.c.value)
    rows = connection.execute(
        select(c.group_id).select_from(in_turn(_GIVEN, staged_groups, these)).where(c.due_at > now),
        {"given": list(groups)},
    )
    return set(rows.scalars())


def of_group(connection: Connection, job_id: int, group: SourceId) -> dict[TargetId, SourceId]:
    c = ledger.c
    rows = connection.execute(select(c.member_target_id, c.member_id).where(c.job_id == job_id, c.group_id == group))
    return {row.member_target_id: row.member_id for row in rows}


def member_delta(connection: Connection, job_id: int, group: SourceId) -> MemberDelta:
    of = {"job_id": job_id, "group_id": group}
    return MemberDelta(
        add=tuple((source_id, target_id) for source_id, target_id in connection.execute(_ADD, of)),
        remove=tuple(sorted((source_id, target_id) for source_id, target_id in connection.execute(_REMOVE, of))),
        unresolved=tuple(connection.execute(_UNRESOLVED, of).scalars()),
        in_doubt=frozenset(connection.execute(_IN_DOUBT, of).scalars()),
        filled=connection.execute(_CERTAIN, of).first() is not None,
    )


def _standing(who: FromClause) -> Select[Any]:
    """Return a select of member_id, target_id and standing for the rows of `who` (job_id, member_id).

    wanted: linked, and in scope or inactive. to come: not brought in yet, also whose account is not shown any more, and
    who has no other one. still: nothing may be done (not known, or kept although out of scope). left out: everybody
    else. A source id that a user and a group share means the user.
    """
    user, group, one = entries.alias("user_entry"), entries.alias("group_entry"), entries.alias("one")

    def is_the(kind: Kind, entry: FromClause) -> ColumnElement[bool]:
        return and_(
            entry.c.job_id == who.c.job_id,
            entry.c.kind == literal_column(f"'{kind}'"),
            entry.c.source_id == who.c.member_id,
        )

    standing = case(
        (one.c.verdict == Verdict.NEW.value, "to come"),
        (one.c.verdict == Verdict.UNKNOWN.value, "still"),
        (one.c.target_id.is_(None), "left out"),
        (one.c.verdict.in_([Verdict.IN_SCOPE.value, Verdict.INACTIVE.value]), "wanted"),
        (and_(one.c.disabled_at.is_(None), one.c.disabled_because.is_distinct_from(BY_OTHERS)), "still"),
        else_="left out",
    )
    return (
        select(who.c.member_id, one.c.target_id, standing.label("standing"))
        .select_from(who)
        .outerjoin(user, is_the("user", user))
        .outerjoin(group, is_the("group", group))
        .outerjoin(one, one.c.row_id == func.coalesce(user.c.row_id, group.c.row_id))
    )


_MEMBERS = (
    _standing(memberships)
    .where(memberships.c.job_id == bindparam("job_id"), memberships.c.group_id == bindparam("group_id"))
    .cte("members")
)
_LEDGERED = (
    _standing(ledger)
    .add_columns(ledger.c.member_target_id)
    .where(ledger.c.job_id == bindparam("job_id"), ledger.c.group_id == bindparam("group_id"))
    .cte("ledgered")
)
_IN_LEDGER = exists().where(
    ledger.c.job_id == bindparam("job_id"),
    ledger.c.group_id == bindparam("group_id"),
    ledger.c.member_target_id == _MEMBERS.c.target_id,
)
_ADD = (
    select(_MEMBERS.c.member_id, _MEMBERS.c.target_id)
    .where(_MEMBERS.c.standing == "wanted", ~_IN_LEDGER.where(~ledger.c.in_doubt))
    .order_by(_MEMBERS.c.member_id)
)
_UNRESOLVED = (
    select(_MEMBERS.c.member_id)
    .where(or_(_MEMBERS.c.standing == "left out", and_(_MEMBERS.c.standing.in_(["still", "to come"]), ~_IN_LEDGER)))
    .order_by(_MEMBERS.c.member_id)
)
_IN_DOUBT = select(ledger.c.member_target_id).where(
    ledger.c.job_id == bindparam("job_id"), ledger.c.group_id == bindparam("group_id"), ledger.c.in_doubt
)
_CERTAIN = (
    select(ledger.c.member_target_id)
    .where(ledger.c.job_id == bindparam("job_id"), ledger.c.group_id == bindparam("group_id"), ~ledger.c.in_doubt)
    .limit(1)
)
_STAYING = select(_MEMBERS.c.target_id).where(_MEMBERS.c.standing != "left out", _MEMBERS.c.target_id.is_not(None))
_REMOVE = (
    select(_LEDGERED.c.member_id, _LEDGERED.c.member_target_id).where(
        or_(
            _LEDGERED.c.standing.in_(["wanted", "left out"]),
            and_(_LEDGERED.c.standing == "to come", _LEDGERED.c.member_id.not_in(select(_MEMBERS.c.member_id))),
        ),
        _LEDGERED.c.member_target_id.not_in(_STAYING),
    )
    # Not ordered here: SQLite would walk through all groups of the job in this order.
)
