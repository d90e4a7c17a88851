"""Keeps what only one cycle needs: the target's list, and operations that wait their turn."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import orjson
from sqlalchemy import Connection, and_, bindparam, delete, exists, select

from reconciler.core.model import Identity, Kind, TargetId
from reconciler.core.outcomes import Account
from reconciler.store.dialects import execute_many, given, in_turn, put_many
from reconciler.store.identifying import identity_ref
from reconciler.store.tables import entries, listing, listing_keys, spool

_GIVEN = given()
_LISTED = ("job_id", "kind", "target_id")
_KEY = ("job_id", "kind", "key", "target_id")
_DROP_KEY = delete(listing_keys).where(*(listing_keys.c[name] == bindparam(name) for name in _KEY))
_SPOOL = spool.insert()


def listing_put(
    connection: Connection, job_id: int, kind: Kind, accounts: Sequence[Account], keys: Sequence[tuple[str, ...]]
) -> None:
    rows = {account.id: (account, of) for account, of in zip(accounts, keys, strict=True)}
    c = listing.c
    listed = and_(c.job_id == job_id, c.kind == kind, c.target_id == _GIVEN.c.value)
    before = connection.execute(
        select(c.target_id, c["keys"]).select_from(in_turn(_GIVEN, listing, listed)), {"given": list(rows)}
    ).all()
    # An account that a list shows twice counts as it was shown last.
    old = [(job_id, kind, key, target_id) for target_id, blob in before for key in orjson.loads(blob)]
    execute_many(connection, _DROP_KEY, _KEY, old)
    put_many(
        *(connection, listing, _LISTED, ("keys", "resource")),
        [(job_id, kind, a.id, orjson.dumps(of), orjson.dumps(a.resource)) for a, of in rows.values()],
    )
    put_many(
        *(connection, listing_keys, _KEY, ()),
        [(job_id, kind, key, account.id) for account, of in rows.values() for key in of],
    )


def listing_find(
    connection: Connection, job_id: int, kind: Kind, keys: Sequence[str]
) -> dict[str, tuple[Account, ...]]:
    c, k = listing.c, listing_keys.c
    keyed = in_turn(_GIVEN, listing_keys, and_(k.job_id == job_id, k.kind == kind, k.key == _GIVEN.c.value))
    listed = and_(c.job_id == k.job_id, c.kind == k.kind, c.target_id == k.target_id)
    rows = connection.execute(
        select(k.key, c.target_id, c.resource).select_from(in_turn(keyed, listing, listed)).order_by(c.target_id),
        {"given": sorted(set(keys))},
    ).all()
    found: defaultdict[str, list[Account]] = defaultdict(list)
    for key, target_id, resource in rows:
        found[key].append(Account(target_id, orjson.loads(resource)))
    return {key: tuple(accounts) for key, accounts in found.items()}


def listing_get(connection: Connection, job_id: int, kind: Kind, ids: Sequence[TargetId]) -> dict[TargetId, Account]:
    c = listing.c
    listed = and_(c.job_id == job_id, c.kind == kind, c.target_id == _GIVEN.c.value)
    rows = connection.execute(
        select(c.target_id, c.resource).select_from(in_turn(_GIVEN, listing, listed)), {"given": ids}
    )
    return {target_id: Account(target_id, orjson.loads(resource)) for target_id, resource in rows}


def orphans(connection: Connection, job_id: int, target: Identity, kind: Kind) -> list[Account]:
    c, e = listing.c, entries.c
    held = exists().where(e.target_ref == identity_ref(connection, target), e.kind == kind, e.target_id == c.target_id)
    rows = connection.execute(
        select(c.target_id, c.resource).where(c.job_id == job_id, c.kind == kind, ~held).order_by(c.target_id)
    )
    return [Account(target_id, orjson.loads(resource)) for target_id, resource in rows]


def put_aside(connection: Connection, job_id: int, queue: str, blobs: Sequence[bytes]) -> None:
    execute_many(connection, _SPOOL, ("job_id", "queue", "operation"), [(job_id, queue, blob) for blob in blobs])


def take_oldest(connection: Connection, job_id: int, queue: str, limit: int) -> list[bytes]:
    c = spool.c
    rows = connection.execute(
        select(c.id, c.operation).where(c.job_id == job_id, c.queue == queue).order_by(c.id).limit(limit)
    ).all()
    if rows:
        taken = and_(c.job_id == job_id, c.queue == queue, c.id <= rows[-1].id)
        connection.execute(delete(spool).where(taken))
    return [bytes(row.operation) for row in rows]
