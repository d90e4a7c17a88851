"""Commits a batch: records with their links, log, references, ledger; all or nothing."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, and_, bindparam, delete, false, literal_column, null, or_, select, update

from reconciler.core.decisions import LEAVERS
from reconciler.core.model import KINDS, Kind, SourceId, TargetId
from reconciler.core.records import Link, Record, Verdict
from reconciler.errors import StateError
from reconciler.ports import Batch
from reconciler.store import claiming, ledgers, logbook, waiting
from reconciler.store.dialects import execute_many, given, in_turn, put_many
from reconciler.store.identifying import fenced_job, known_job, under_way
from reconciler.store.rows import READ, WRITTEN, written
from reconciler.store.rows import record as record_of
from reconciler.store.tables import entries, jobs, ledger, pending_references, staged_groups

Key = tuple[Kind, SourceId]
_KEY = ("job_id", "kind", "source_id")

_GIVEN = given()
_e = entries.c
_HELD = select(_e.target_id, _e.row_id, _e.job_id, _e.source_id).select_from(
    in_turn(
        *(_GIVEN, entries),
        and_(_e.target_ref == bindparam("target_ref"), _e.kind == bindparam("kind"), _e.target_id == _GIVEN.c.value),
    )
)
_ROWS = given("row_ids", "integer")
_LINKED_OR_FORGOTTEN = (
    select(_ROWS.c.value, _e.row_id, _e.kind, _e.source_id, _e.target_id)
    .select_from(_ROWS.outerjoin(entries, _e.row_id == _ROWS.c.value))
    .where(or_(_e.target_id.is_not(None), _e.row_id.is_(None)))
)
_RELEASE = update(entries).where(entries.c.row_id == bindparam("its_row")).values(target_ref=null(), target_id=null())
_FORGET = delete(entries).where(*(entries.c[name] == bindparam(name) for name in _KEY))
_FORGET_PENDING = delete(pending_references).where(*(pending_references.c[name] == bindparam(name) for name in _KEY))
_DROP_PENDING = delete(pending_references).where(
    pending_references.c.job_id == bindparam("job_id"), pending_references.c.id == bindparam("id")
)
_PENDING = ("job_id", "kind", "source_id", "path", "wanted_kind", "wanted_id")
_LEDGER = ("job_id", "group_id", "member_target_id")
_LEDGER_DROP = delete(ledger).where(*(ledger.c[name] == bindparam(name) for name in _LEDGER))
_LEDGER_EMPTY = delete(ledger).where(*(ledger.c[name] == bindparam(name) for name in _LEDGER[:2]))
_SETTLE = (
    update(staged_groups)
    .where(staged_groups.c.job_id == bindparam("its_job"), staged_groups.c.group_id == bindparam("its_group"))
    .values(dirty=false(), failures=literal_column("0"), due_at=null())
)


@dataclass(frozen=True, slots=True)
class Committed:
    """What came of a batch: the row of each entry that has a new one, and the entries whose link was refused."""

    row_ids: Mapping[Key, int]
    refused: Sequence[Key]


def commit(connection: Connection, job_id: int, epoch: int, batch: Batch) -> Committed:
    job = fenced_job(connection, job_id, epoch)
    _forget(connection, job_id, batch.forget)
    committed = Committed({}, ())
    if batch.records:
        assert job.target_ref is not None
        committed = _write_records(connection, job_id, job.target_ref, batch)
    logbook.write(connection, job_id, epoch, job.name, batch.log)
    execute_many(connection, _FORGET_PENDING, _KEY, [(job_id, *key) for key in batch.pending_drop])
    execute_many(connection, _DROP_PENDING, ("job_id", "id"), [(job_id, row_id) for row_id in batch.pending_done])
    references = [(job_id, p.kind, p.source_id, p.path, p.wanted_kind, p.wanted_id) for p in batch.pending_add]
    put_many(connection, pending_references, _PENDING, (), references)
    rows = [(job_id, group, target_id, source_id, True) for group, source_id, target_id in batch.members_in_doubt]
    put_many(connection, ledger, _LEDGER, ("member_id", "in_doubt"), rows)
    execute_many(connection, _LEDGER_DROP, _LEDGER, [(job_id, *row) for row in batch.members_removed])
    rows = [(job_id, group, target_id, source_id, False) for group, source_id, target_id in batch.members_added]
    put_many(connection, ledger, _LEDGER, ("member_id", "in_doubt"), rows)
    if batch.touched:
        ledgers.touch_groups_of(connection, job_id, batch.touched)
    execute_many(connection, _SETTLE, ("its_job", "its_group"), [(job_id, group) for group in batch.groups_settled])
    ledgers.put_off(connection, job_id, batch.groups_refused)
    return committed


def link(connection: Connection, job: str, kind: Kind, source_id: SourceId, target_id: TargetId, now: float) -> None:
    row, target_ref = known_job(connection, job)
    holder = _holders(connection, target_ref, kind, [target_id]).get(target_id)
    if holder is not None and (holder.job_id, holder.source_id) != (row.id, source_id):
        owner = connection.execute(select(jobs.c.name).where(jobs.c.id == holder.job_id)).scalar_one()
        raise StateError(
            f"the {kind} {target_id} already belongs to {holder.source_id} of job {owner!r}; unlink it there first"
        )
    record = _record(connection, row.id, kind, source_id) or Record(kind, source_id)
    record.link = Link(target_id, "manual", {}, linked_at=now)
    record.fingerprint = record.escrow = record.due_at = record.claims = None
    record.attempted_at = record.attempted_off_at = None
    record.verdict = Verdict.NEW  # whatever was decided, it was not about this account
    _write_records(connection, row.id, target_ref, Batch(records=[record]))
    ledgers.touch_groups_of(connection, row.id, [source_id])


def unlink(connection: Connection, job: str, kind: Kind, source_id: SourceId, idle_at: float | None) -> bool:
    row, target_ref = known_job(connection, job)
    record = _record(connection, row.id, kind, source_id)
    if record is None or record.link is None:
        return False
    if idle_at is not None and under_way(connection, row.id, row.epoch, idle_at):
        return False
    record.link = record.fingerprint = record.due_at = None
    _write_records(connection, row.id, target_ref, Batch(records=[record]))
    ledgers.touch_groups_of(connection, row.id, [source_id])
    claiming.wake(connection)
    return True


def _record(connection: Connection, job_id: int, kind: Kind, source_id: SourceId) -> Record | None:
    c = entries.c
    row = connection.execute(
        select(*READ).where(c.job_id == job_id, c.kind == kind, c.source_id == source_id)
    ).one_or_none()
    return None if row is None else record_of(row)


def _forget(connection: Connection, job_id: int, keys: Sequence[Key]) -> None:
    rows = [(job_id, *key) for key in keys]
    execute_many(connection, _FORGET, _KEY, rows)
    execute_many(connection, _FORGET_PENDING, _KEY, rows)
    groups = [(job_id, source_id) for kind, source_id in keys if kind == "group"]
    execute_many(connection, _LEDGER_EMPTY, _LEDGER[:2], groups)


# --- records and their links -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Holder:
    row_id: int
    job_id: int
    source_id: SourceId


def _write_records(connection: Connection, job_id: int, target_ref: int, batch: Batch) -> Committed:
    """Write the last state given of each entry, except those whose link is another's."""
    last: dict[Key, Record] = {(record.kind, record.source_id): record for record in batch.records}
    refused, released = _settle_links(connection, job_id, target_ref, last)
    for key in refused:
        del last[key]
    _start_ledgers_anew(connection, job_id, [r for r in last.values() if r.kind == "group"])
    let_go, forgotten = _let_go(connection, last.values())
    if let_go:
        waiting.let_go(connection, job_id, [account for _, _, account in let_go])
        passed_on = {(r.kind, r.link.target_id) for r in last.values() if r.link is not None}
        ownerless = [(source_id, account) for kind, source_id, account in let_go if (kind, account) not in passed_on]
        ledgers.doubt(connection, job_id, ownerless)
    execute_many(connection, _RELEASE, ("its_row",), [(row_id,) for row_id in released])
    known, new = [], []
    for r in last.values():
        row = (job_id, r.kind, r.source_id, *written(r, target_ref))
        if r.row_id is None or r.row_id in forgotten:
            new.append(row)
        else:
            known.append((r.row_id, *row))
    put_many(connection, entries, ("row_id", *_KEY), WRITTEN, known, by=("row_id",))
    put_many(connection, entries, _KEY, WRITTEN, new)
    return Committed(_row_ids(connection, job_id, new), tuple(refused))


def _settle_links(
    connection: Connection, job_id: int, target_ref: int, records: Mapping[Key, Record]
) -> tuple[list[Key], set[int]]:
    """Return the entries whose account another entry holds, and the rows that let go of one that is taken over here.

    An account that its holder gives up in the same batch is free. One that two entries of the batch ask for stays with
    its holder, else goes to the first.
    """
    refused: list[Key] = []
    released: set[int] = set()
    for kind in KINDS:
        asking = {key: r.link.target_id for key, r in records.items() if key[0] == kind and r.link is not None}
        targets = set(asking.values())
        holders = _holders(connection, target_ref, kind, list(targets))
        if not holders and len(targets) == len(asking):
            continue
        # Who is refused is not written, so keeps what it held: that may refuse another one.
        while losing := _losing(job_id, kind, asking, holders, records):
            refused += losing
            asking = {key: target_id for key, target_id in asking.items() if key not in losing}
            records = {key: r for key, r in records.items() if key not in losing}
        for key, target_id in asking.items():
            holder = holders.get(target_id)
            if holder is not None and (holder.job_id, holder.source_id) != (job_id, key[1]):
                released.add(holder.row_id)
    return refused, released


def _losing(
    job_id: int,
    kind: Kind,
    asking: Mapping[Key, TargetId],
    holders: Mapping[TargetId, _Holder],
    records: Mapping[Key, Record],
) -> list[Key]:
    takers: dict[TargetId, Key] = {}
    losing = []
    for key, target_id in asking.items():
        holder = holders.get(target_id)
        owner: Key | None = None
        if holder is not None:
            owner = (kind, holder.source_id) if holder.job_id == job_id else None
            stays = owner is None or owner not in records or asking.get(owner) == target_id
            if stays and owner != key:
                losing.append(key)
                continue
        if takers.setdefault(target_id, key) != key:
            losing.append(key)
    return losing


def _holders(connection: Connection, target_ref: int, kind: Kind, ids: Sequence[TargetId]) -> dict[TargetId, _Holder]:
    if not ids:
        return {}
    rows = connection.execute(_HELD, {"given": ids, "target_ref": target_ref, "kind": kind}).all()
    return {target_id: _Holder(row_id, job_id, source_id) for target_id, row_id, job_id, source_id in rows}


def _start_ledgers_anew(connection: Connection, job_id: int, groups: Sequence[Record]) -> None:
    """Where a group's account is another one than it ever had, nothing is known of who is in it.

    While it has none, what is known is kept, unless it has left: it may be found to have the same one again.
    """
    if not groups:
        return
    c = entries.c
    rows = connection.execute(
        select(c.source_id, c.target_id).select_from(
            in_turn(_GIVEN, entries, and_(c.job_id == job_id, c.kind == "group", c.source_id == _GIVEN.c.value))
        ),
        {"given": [group.source_id for group in groups]},
    )
    before = {row.source_id: row.target_id for row in rows}
    moved = [
        group
        for group in groups
        if before.get(group.source_id) != (group.link.target_id if group.link is not None else None)
    ]
    left = [(job_id, group.source_id) for group in moved if group.link is None and group.verdict in LEAVERS]
    execute_many(connection, _LEDGER_EMPTY, _LEDGER[:2], left)
    ledgers.link(
        connection, job_id, {group.source_id: group.link.target_id for group in moved if group.link is not None}
    )


def _let_go(
    connection: Connection, records: Iterable[Record]
) -> tuple[list[tuple[Kind, SourceId, TargetId]], set[int]]:
    """Return whose accounts these are, and which, that these records have no more when they are written.

    Return also the rows that were forgotten since they were read.
    """
    now = {r.row_id: r.link.target_id if r.link is not None else None for r in records if r.row_id is not None}
    let_go, forgotten = [], set()
    rows = connection.execute(_LINKED_OR_FORGOTTEN, {"row_ids": list(now)}).all() if now else []
    for number, row_id, kind, source_id, target_id in rows:
        if row_id is None:
            forgotten.add(number)
        elif now[row_id] != target_id:
            let_go.append((kind, source_id, target_id))
    return let_go, forgotten


def _row_ids(connection: Connection, job_id: int, rows: Iterable[tuple[Any, ...]]) -> dict[Key, int]:
    ids: defaultdict[Kind, list[SourceId]] = defaultdict(list)
    for _, kind, source_id, *_ in rows:
        ids[kind].append(source_id)
    c = entries.c
    found: dict[Key, int] = {}
    for kind, source_ids in ids.items():
        numbered = connection.execute(
            select(c.source_id, c.row_id).select_from(
                in_turn(_GIVEN, entries, and_(c.job_id == job_id, c.kind == kind, c.source_id == _GIVEN.c.value))
            ),
            {"given": source_ids},
        ).all()
        found.update({(kind, source_id): row_id for source_id, row_id in numbered})
    return found
