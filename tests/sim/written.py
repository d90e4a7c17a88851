"""What stands in the state, read beside the process that writes it; and whether it is true."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import orjson

from tests.sim.allowance import Key
from tests.sim.app import Changed
from tests.sim.life import EPOCH
from tests.sim.town import Town

_LOG = "SELECT id, kind, operation, status, target_id, source_id FROM provisioning_log WHERE id > ?"
_WITH_OTHERS = """SELECT count(*) FROM entries JOIN jobs ON jobs.id = entries.job_id
WHERE entries.kind = 'user' AND entries.target_id = ? AND jobs.name <> ?"""
_HERS = """SELECT count(*) FROM entries WHERE kind = 'user' AND target_id = ? AND source_id = ?"""
_IN_SCOPE = """SELECT count(*) FROM entries JOIN jobs ON jobs.id = entries.job_id
WHERE entries.kind = 'user' AND jobs.name = ? AND entries.source_id = ? AND entries.verdict IN ('new', 'in_scope')
AND entries.attempted_off_at IS NULL"""
_KNOWN = """SELECT source_id, target_id FROM entries JOIN jobs ON jobs.id = entries.job_id
WHERE entries.kind = 'user' AND jobs.name = ?"""
_HAVING = """SELECT entries.target_id, jobs.name FROM entries JOIN jobs ON jobs.id = entries.job_id
WHERE entries.kind = 'user' AND entries.target_id IS NOT NULL"""
_HELD = """SELECT kind, source_id, operation FROM held_operations JOIN holds ON holds.id = held_operations.hold_id
JOIN jobs ON jobs.id = holds.job_id WHERE jobs.name = ?"""


class Told(NamedTuple):
    """One record of the provisioning log."""

    kind: str
    operation: str
    status: str
    target_id: str
    source_id: str


class News(NamedTuple):
    """What stands in the state of a job now, with the log records that were not there at the last look."""

    told: list[Told]
    watermark: str | None
    known: Mapping[str, str | None]
    """Of whom something is known, with the account of each."""


class Written:
    """The state of a simulation."""

    def __init__(self, state: Path) -> None:
        self._state = state
        self._newest = 0

    def news(self, job: str) -> News:
        with self._open() as connection:
            rows = connection.execute(_LOG, (self._newest,)).fetchall()
            watermark = connection.execute("SELECT watermark FROM jobs WHERE name = ?", (job,)).fetchone()
            known = dict(connection.execute(_KNOWN, (job,)).fetchall())
        self._newest = max((row[0] for row in rows), default=self._newest)
        return News([Told(*row[1:]) for row in rows], watermark[0] if watermark else None, known)

    def held(self, job: str) -> list[Key]:
        """Return the operations of a job that are held back."""
        with self._open() as connection:
            return connection.execute(_HELD, (job,)).fetchall()

    def jobs_having(self) -> dict[str, set[str]]:
        """Return which jobs have each account, by target id."""
        having: dict[str, set[str]] = {}
        with self._open() as connection:
            for target_id, job in connection.execute(_HAVING):
                having.setdefault(target_id, set()).add(job)
        return having

    def is_with_others(self, target_id: str, job: str) -> bool:
        """Whether a job other than this one has an account."""
        with self._open() as connection:
            return bool(connection.execute(_WITH_OTHERS, (target_id, job)).fetchone()[0])

    def is_hers(self, target_id: str, source_id: str) -> bool:
        """Whether an account is linked to somebody, in any job."""
        with self._open() as connection:
            return bool(connection.execute(_HERS, (target_id, source_id)).fetchone()[0])

    def is_in_scope(self, job: str, source_id: str) -> bool:
        """Whether the last that a job has decided about somebody is that she is in scope, if only for now.

        While something is sent and not answered nothing is decided; a disable on its way says that she is not.
        """
        with self._open() as connection:
            return bool(connection.execute(_IN_SCOPE, (job, source_id)).fetchone()[0])

    def _open(self) -> closing[sqlite3.Connection]:
        return closing(sqlite3.connect(f"file:{self._state}?mode=ro", uri=True))


def untrue(
    told: Sequence[Told],
    users: Mapping[str, Mapping[str, Any]],
    made: Collection[str],
    changes: Sequence[Changed] | None,
) -> Iterator[str]:
    """Return in sentences what the log says and was not done, and what was done and the log does not say.

    `made` are the accounts that were ever made; `changes` those that one cycle alone has made and nothing has troubled.
    """
    # The last word counts: who was taken out by hand before the cycle may be on again after it, and a part of an enable
    # that is told as failed may have been done.
    last = {one.target_id: one for one in told if one.status in ("success", "warning") or one.operation == "enable"}
    for one in told:
        if one.status != "success" or one.kind != "user":
            continue
        if one.operation == "create" and one.target_id not in made:
            yield f"the log says that {one.target_id} was made for {one.source_id}, and it never was"
        account = users.get(one.target_id)
        on = account is not None and account.get("active") is not False
        if changes is None or not on or one is not last[one.target_id]:
            continue
        if one.operation == "delete":
            yield f"the log says that {one.target_id} of {one.source_id} was deleted, and it is there"
        if one.operation == "disable":
            yield f"the log says that {one.target_id} of {one.source_id} was disabled, and it is on"
    about = {id_ for one in told for id_ in (one.target_id, one.source_id)}
    for changed in changes or ():
        owner = (changed.after or changed.before or {}).get("externalId")
        if changed.kind == "Users" and not {changed.target_id, owner} & about:
            yield f"{changed.target_id} was changed, and the log does not say so"


def lost(watermark: str, known: Collection[str], town: Town, began: float) -> Iterator[str]:
    """Return in sentences whom the watermark has passed although nothing is known of them; `began`: the cycle did."""
    mark = orjson.loads(watermark)["marks"].get("user")
    mark = mark[0] if isinstance(mark, list) else mark
    for id_, row in town.people.items() if mark is not None else ():
        changed = town.changed[id_]
        if EPOCH + changed <= mark and changed < began and id_ not in known and id_ not in town.hidden:
            yield f"the watermark is past {row['id']}, of whom nothing is known"
