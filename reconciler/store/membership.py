"""Keeps who is in which group: as the source says it, as we made it at the target, and what lies between."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
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
    false,
    func,
    literal_column,
    null,
    or_,
    select,
    true,
    update,
)

from reconciler.core import escrow
from reconciler.core.levelling import spoken
from reconciler.core.model import Kind, SourceId, TargetId
from reconciler.core.records import BY_OTHERS, Verdict
from reconciler.ports import GroupMembers, MemberDelta
from reconciler.store.dialects import execute_many, given, in_turn, put_many
from reconciler.store.tables import DIRTY, entries, ledger, memberships, staged_groups

_GIVEN, _GROUPS = given(), given("groups")
_GROUP = ("job_id", "group_id")
_MEMBER = (*_GROUP, "member_id")
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
_LEAVE = delete(memberships).where(*(memberships.c[name] == bindparam(name) for name in _MEMBER))

_LOOK_AGAIN = (
    update(entries)
    .where(
        entries.c.job_id == bindparam("its_job"),
        entries.c.kind == literal_column("'user'"),
        entries.c.source_id == bindparam("its_id"),
        entries.c.fingerprint.is_not(None),
    )
    .values(fingerprint=null())
)


_s = staged_groups.c
_STAGED_HERE = in_turn(_GIVEN, staged_groups, and_(_s.job_id == bindparam("job_id"), _s.group_id == _GIVEN.c.value))
_STAGED = select(_s.group_id, _s.name, _s.digest, _s.present).select_from(_STAGED_HERE)
_PRESENT = select(_s.group_id).where(_s.job_id == bindparam("job_id"), _s.present)
_OF_ID = select(_s.group_id, _s.name_key).select_from(_STAGED_HERE).where(_s.present)
_OF_NAME = (
    select(_s.group_id, _s.name_key)
    .select_from(in_turn(_GIVEN, staged_groups, and_(_s.job_id == bindparam("job_id"), _s.name_key == _GIVEN.c.value)))
    .where(_s.present)
)


# --- as the source says it ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Staged:
    name: str
    digest: bytes | None
    present: bool


def stage(
    connection: Connection, job_id: int, groups: Sequence[GroupMembers], additive: bool, look_again: bool
) -> frozenset[SourceId]:
    staged = _staged(connection, job_id, [group.group_id for group in groups])
    changed: set[SourceId] = set()
    for group in groups:
        before = staged.get(group.group_id)
        if group.unchanged and before is not None:
            digest = before.digest
        else:
            digest = None if group.partial else _digest(group.members)
        if (
            before is None
            or not before.present
            or before.name != group.name
            or before.digest != digest
            or (group.partial and not group.unchanged)
        ):
            changed |= _stage_one(connection, job_id, group, before, digest, additive)
            # A page may name a group twice, when it comes in parts.
            staged.update(_staged(connection, job_id, [group.group_id]))
    return _changed(connection, job_id, with_those_below(connection, job_id, changed), look_again)


def known_groups(connection: Connection, job_id: int, groups: Sequence[SourceId]) -> frozenset[SourceId]:
    return frozenset(group_id for group_id, one in _staged(connection, job_id, groups).items() if one.present)


def mixed_groups(connection: Connection, job_id: int, groups: Sequence[SourceId]) -> frozenset[SourceId]:
    c = staged_groups.c
    rows = connection.execute(
        select(c.group_id).select_from(
            in_turn(_GIVEN, staged_groups, and_(c.job_id == job_id, c.group_id == _GIVEN.c.value, c.digest.is_(None)))
        ),
        {"given": groups},
    )
    return frozenset(rows.scalars())


def drop_groups(connection: Connection, job_id: int, kept: Iterable[SourceId], look_again: bool) -> frozenset[SourceId]:
    staged = connection.execute(_PRESENT, {"job_id": job_id}).scalars().all()
    return _drop(connection, job_id, sorted(set(staged).difference(kept)), look_again)


def forget_groups(connection: Connection, job_id: int, gone: Sequence[SourceId], look_again: bool) -> None:
    staged = _staged(connection, job_id, gone)
    _drop(connection, job_id, sorted(one for one, before in staged.items() if before.present), look_again)


def _drop(connection: Connection, job_id: int, gone: Sequence[SourceId], look_again: bool) -> frozenset[SourceId]:
    c = staged_groups.c
    changed: set[SourceId] = set()
    for group_id in gone:
        changed |= _members(connection, job_id, group_id)
    changed |= with_those_below(connection, job_id, changed)
    rows = [(job_id, group_id) for group_id in gone]
    leave = delete(memberships).where(*(memberships.c[name] == bindparam(name) for name in _GROUP))
    execute_many(connection, leave, _GROUP, rows)
    drop = (
        update(staged_groups)
        .where(c.job_id == bindparam("its_job"), c.group_id == bindparam("its_group"))
        .values(present=false(), digest=null(), dirty=true())
    )
    execute_many(connection, drop, ("its_job", "its_group"), rows)
    return _changed(connection, job_id, frozenset(changed), look_again)


def groups_named(connection: Connection, job_id: int, names: Sequence[str]) -> dict[str, tuple[SourceId, ...]]:
    def staged(named: Select[Any], values: Sequence[str]) -> set[tuple[SourceId, str]]:
        rows = connection.execute(named, {"given": values, "job_id": job_id})
        return {(row[0], row[1]) for row in rows}

    rows = staged(_OF_ID, names) | staged(_OF_NAME, [spoken(name) for name in names])
    by_key: defaultdict[str, list[SourceId]] = defaultdict(list)
    ids = set()
    for group_id, name_key in sorted(rows):
        ids.add(group_id)
        by_key[name_key].append(group_id)
    found: dict[str, tuple[SourceId, ...]] = {}
    for name in names:
        of_this_name = by_key.get(spoken(name), [])
        by_id = [SourceId(name)] if name in ids and name not in of_this_name else []
        if by_id or of_this_name:
            found[name] = (*by_id, *of_this_name)
    return found


def memberships_of(
    connection: Connection, job_id: int, members: Sequence[SourceId], groups: Sequence[SourceId], nested: bool
) -> dict[SourceId, frozenset[SourceId]]:
    of: defaultdict[SourceId, set[SourceId]] = defaultdict(set)
    c = memberships.c
    direct = select(c.member_id, c.group_id).select_from(
        in_turn(_GIVEN, memberships, and_(c.job_id == bindparam("job_id"), c.member_id == _GIVEN.c.value))
    )
    if nested:
        own = direct.cte("own")
        # From the groups at hand upwards, each once: there are far fewer of them than pairs of member and group.
        above = (
            select(own.c.group_id.label("below"), own.c.group_id.label("above")).distinct().cte("up", recursive=True)
        )
        above = above.union(
            select(above.c.below, c.group_id).select_from(
                in_turn(above, memberships, and_(c.job_id == bindparam("job_id"), c.member_id == above.c.above))
            )
        )
        statement = (
            select(own.c.member_id, above.c.above)
            .join(above, above.c.below == own.c.group_id)
            .where(above.c.above.in_(select(_GROUPS.c.value)))
        )
    else:
        statement = direct.where(c.group_id.in_(select(_GROUPS.c.value)))
    for member, group in connection.execute(statement, {"given": members, "groups": groups, "job_id": job_id}):
        of[member].add(group)
    nothing: frozenset[SourceId] = frozenset()
    return {member: frozenset(of[member]) if member in of else nothing for member in members}


def _changed(
    connection: Connection, job_id: int, members: frozenset[SourceId], look_again: bool
) -> frozenset[SourceId]:
    if look_again:
        execute_many(connection, _LOOK_AGAIN, ("its_job", "its_id"), [(job_id, one) for one in sorted(members)])
    return members


def _stage_one(
    connection: Connection,
    job_id: int,
    group: GroupMembers,
    before: _Staged | None,
    digest: bytes | None,
    additive: bool,
) -> set[SourceId]:
    """Write one group; return who came, who left (or would have, if the list could be believed), all after a rename."""
    current = _members(connection, job_id, group.group_id)
    listed = set(group.members)
    came = listed - current
    left = (current & set(group.removed)) - listed if group.partial else current - listed
    taken_out: set[SourceId] = set() if additive else left
    key = (job_id, group.group_id)
    put_many(connection, memberships, _MEMBER, (), [(*key, member) for member in sorted(came)])
    execute_many(connection, _LEAVE, _MEMBER, [(*key, member) for member in sorted(taken_out)])
    if left and additive:
        digest = None  # what is staged is not this list
    renamed = before is None or not before.present or before.name != group.name
    if renamed or before is None or before.digest != digest:
        named = (*key, group.name, spoken(group.name), digest, True)
        put_many(connection, staged_groups, _GROUP, ("name", "name_key", "digest", "present"), [named])
    if came or taken_out:
        soil(connection, job_id, [group.group_id])
    return came | left | (current if renamed else set())


def _staged(connection: Connection, job_id: int, group_ids: Sequence[SourceId]) -> dict[SourceId, _Staged]:
    rows = connection.execute(_STAGED, {"given": group_ids, "job_id": job_id})
    return {group_id: _Staged(*rest) for group_id, *rest in rows}


def _digest(members: Iterable[SourceId]) -> bytes:
    return hashlib.blake2b("\0".join(sorted(set(members))).encode(), digest_size=16).digest()


def _members(connection: Connection, job_id: int, group_id: SourceId) -> set[SourceId]:
    c = memberships.c
    return set(connection.execute(select(c.member_id).where(c.job_id == job_id, c.group_id == group_id)).scalars())


def with_those_below(connection: Connection, job_id: int, changed: set[SourceId]) -> frozenset[SourceId]:
    """Return these and everybody who is in a group among them: whoever is nested changes with the group between."""
    if not changed:
        return frozenset()
    c = memberships.c
    below = select(_GIVEN.c.value.label("id")).select_from(_GIVEN).cte("below", recursive=True)
    below = below.union(
        select(c.member_id).select_from(
            in_turn(below, memberships, and_(c.job_id == bindparam("job_id"), c.group_id == below.c.id))
        )
    )
    rows = connection.execute(select(below.c.id), {"given": list(changed), "job_id": job_id})
    return frozenset(rows.scalars())


# --- as we made it at the target, and what lies between ----------------------------------------------------------


_GROUPS_OF = tuple(
    select(table.c.group_id)
    .select_from(
        in_turn(_GIVEN, table, and_(table.c.job_id == bindparam("job_id"), table.c.member_id == _GIVEN.c.value))
    )
    .distinct()
    for table in (memberships, ledger)
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


def link_ledgers(connection: Connection, job_id: int, groups: Mapping[SourceId, TargetId]) -> None:
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


def put_off(connection: Connection, job_id: int, refused: Sequence[tuple[SourceId, float]]) -> None:
    """Have groups tried again only after a time that grows with each refusal."""
    execute_many(
        connection, _PUT_OFF, ("now", "its_job", "its_group"), [(now, job_id, group) for group, now in refused]
    )


def dirty_groups(connection: Connection, job_id: int, after: str, limit: int, now: float) -> list[SourceId]:
    c, e = staged_groups.c, entries.c
    linked = and_(e.job_id == c.job_id, e.kind == "group", e.source_id == c.group_id, e.target_id.is_not(None))
    rows = connection.execute(
        select(c.group_id)
        .select_from(staged_groups.join(entries, linked))
        .where(c.job_id == job_id, DIRTY, c.group_id > after, or_(c.due_at.is_(None), c.due_at <= now))
        .order_by(c.group_id)
        .limit(limit)
    )
    return list(rows.scalars())


def groups_put_off(connection: Connection, job_id: int, groups: Sequence[SourceId], now: float) -> set[SourceId]:
    c = staged_groups.c
    these = and_(c.job_id == job_id, c.group_id == _GIVEN.c.value)
    rows = connection.execute(
        select(c.group_id).select_from(in_turn(_GIVEN, staged_groups, these)).where(c.due_at > now),
        {"given": list(groups)},
    )
    return set(rows.scalars())


def ledger_of(connection: Connection, job_id: int, group: SourceId) -> dict[TargetId, SourceId]:
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

    wanted: linked, and in scope or inactive. to come: linked, and not brought in yet. still: linked, but nothing may be
    done (not known, or kept although out of scope). left out: everybody else. A source id that a user and a group share
    means the user.
    """
    user, group, one = entries.alias("user_entry"), entries.alias("group_entry"), entries.alias("one")

    def is_the(kind: Kind, entry: FromClause) -> ColumnElement[bool]:
        return and_(
            entry.c.job_id == who.c.job_id,
            entry.c.kind == literal_column(f"'{kind}'"),
            entry.c.source_id == who.c.member_id,
        )

    standing = case(
        (one.c.target_id.is_(None), "left out"),
        (one.c.verdict.in_([Verdict.IN_SCOPE.value, Verdict.INACTIVE.value]), "wanted"),
        (one.c.verdict == Verdict.NEW.value, "to come"),
        (one.c.verdict == Verdict.UNKNOWN.value, "still"),
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
_STAYING = select(_MEMBERS.c.target_id).where(_MEMBERS.c.standing != "left out")
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
