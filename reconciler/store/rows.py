"""A record as a row, and a row as a record."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson

from reconciler.core.records import Escrow, Link, Record, Verdict
from reconciler.ports import MatchPairs
from reconciler.store.tables import entries

WRITTEN = (
    "fingerprint",
    "due_at",
    "verdict",
    "target_ref",
    "target_id",
    "disabled_at",
    "why",
    "name",
    "person",
    "attempted_at",
    "escrow_failures",
    "escrow_first_failed_at",
    "escrow_error_code",
    "escrow_reason",
    "origin",
    "linked_at",
    "disabled_because",
    "delete_at",
    "unkept",
    "changed",
    "agreed",
    "off_since",
    "claims",
    "attempted_off_at",
)
"""The columns that a commit writes anew, in the order of `written`."""

READ = tuple(
    entries.c[name] for name in ("kind", "source_id", "row_id", *(name for name in WRITTEN if name != "target_ref"))
)
"""The columns that `record` takes, in its order."""

_VERDICTS = {verdict.value: verdict for verdict in Verdict}


def written(record: Record, target_ref: int) -> tuple[Any, ...]:
    link, escrow = record.link, record.escrow
    before = (record.fingerprint, record.due_at, str(record.verdict))
    about = (record.why, record.name, record.person, record.attempted_at)
    waiting = (
        (None, None, None, None)
        if escrow is None
        else (escrow.failures, escrow.first_failed_at, escrow.error_code, escrow.reason)
    )
    if link is None:
        # without an account nothing is agreed: the column keeps what an attempted create was sent with
        kept = sent_with(record.attempted_match) if record.attempted_match else None
        no_link = (None, None, None, None, None, None, kept)
        last = (record.off_since, record.claims, record.attempted_off_at)
        return (*before, None, None, None, *about, *waiting, *no_link, *last)
    return (
        *before,
        target_ref,
        link.target_id,
        link.disabled_at,
        *about,
        *waiting,
        link.origin,
        link.linked_at,
        link.disabled_because,
        link.delete_at,
        orjson.dumps(link.unkept) if link.unkept else None,
        orjson.dumps(link.changed) if link.changed else None,
        orjson.dumps(link.agreed),
        record.off_since,
        record.claims,
        record.attempted_off_at,
    )


def record(row: Sequence[Any]) -> Record:
    """Return the record of a row of the columns READ."""
    (
        (kind, source_id, row_id, fingerprint, due_at, verdict),
        (target_id, disabled_at, why, name, person, attempted_at),
        (failures, first_failed_at, error_code, reason),
        (origin, linked_at, disabled_because, delete_at, unkept, changed, agreed),
        (off_since, claims, attempted_off_at),
    ) = row[:6], row[6:12], row[12:16], row[16:23], row[23:]
    link = escrow = None
    if target_id is not None:
        link = Link(
            target_id=target_id,
            origin=origin,
            agreed=orjson.loads(agreed),
            linked_at=linked_at,
            disabled_at=disabled_at,
            disabled_because=disabled_because,
            delete_at=delete_at,
            unkept=orjson.loads(unkept) if unkept is not None else {},
            changed=orjson.loads(changed) if changed is not None else {},
        )
    if failures is not None:
        escrow = Escrow(failures, first_failed_at, error_code, reason)
    return Record(
        kind=kind,
        source_id=source_id,
        row_id=row_id,
        fingerprint=fingerprint,
        verdict=_VERDICTS[verdict],
        why=why,
        name=name,
        person=person,
        link=link,
        due_at=due_at,
        escrow=escrow,
        attempted_at=attempted_at,
        attempted_match=() if target_id is not None or agreed is None else pairs(agreed),
        attempted_off_at=attempted_off_at,
        off_since=off_since,
        claims=claims,
    )


def sent_with(match: MatchPairs) -> bytes:
    return orjson.dumps(match)


def pairs(written_match: bytes) -> MatchPairs:
    return tuple((path, value) for path, value in orjson.loads(written_match))
