"""Keeps who is in which group, as the source says it."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Select, and_, bindparam, delete, false, literal_column, null, select, true, update

from reconciler.core.levelling import spoken
from reconciler.core.model import SourceId
from reconciler.ports import GroupMembers
from reconciler.store.dialects import execute_many, given, in_turn, put_many
from reconciler.store.ledgers import soil
from reconciler.store.tables import entries, memberships, staged_groups

_GIVEN, _GROUPS = given(), given("groups")
_GROUP = ("job_id", "group_id")
_MEMBER = (*_GROUP, "member_id")
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
_m = memberships.c
_OF_MEMBERS = select(_m.member_id, _m.group_id).select_from(
    in_turn(_GIVEN, memberships, and_(_m.job_id == bindparam("job_id"), _m.member_id == _GIVEN.c.value))
)
_DIRECTLY = _OF_MEMBERS.where(_m.group_id.in_(select(_GROUPS.c.value)))
_own = _OF_MEMBERS.cte("own")
# From the groups at hand upwards, each once: there are far fewer of them than pairs of member and group.
_up = select(_own.c.group_id.label("below"), _own.c.group_id.label("above")).distinct().cte("up", recursive=True)
_above = _up.union(
    select(_up.c.below, _m.group_id).select_from(
        in_turn(_up, memberships, and_(_m.job_id == bindparam("job_id"), _m.member_id == _up.c.above))
    )
)
_NESTED = (
    select(_own.c.member_id, _above.c.above)
    .join(_above, _above.c.below == _own.c.group_id)
    .where(_above.c.above.in_(select(_GROUPS.c.value)))
)
_down = select(_GIVEN.c.value.label("id")).select_from(_GIVEN).cte("below", recursive=True)
_below = _down.union(
    select(_m.member_id).select_from(
        in_turn(_down, memberships, and_(_m.job_id == bindparam("job_id"), _m.group_id == _down.c.id))
    )
)
_BELOW = select(_below.c.id)
_MEMBERS = select(_m.member_id).where(_m.job_id == bindparam("job_id"), _m.group_id == bindparam("group_id"))


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
    given_them = {"given": members, "groups": groups, "job_id": job_id}
    for member, group in connection.execute(_NESTED if nested else _DIRECTLY, given_them):
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
    return set(connection.execute(_MEMBERS, {"job_id": job_id, "group_id": group_id}).scalars())


def with_those_below(connection: Connection, job_id: int, changed: set[SourceId]) -> frozenset[SourceId]:
    """Return these and everybody who is in a group among them: whoever is nested changes with the group between."""
    if not changed:
        return frozenset()
    return frozenset(connection.execute(_BELOW, {"given": list(changed), "job_id": job_id}).scalars())
