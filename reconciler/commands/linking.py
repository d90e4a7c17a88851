"""Takes links that a person gives into the state, and says of each one that cannot be taken what stands against it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from reconciler import wiring
from reconciler.core.model import KINDS, Kind, SourceId, TargetId
from reconciler.core.records import Link, Record, Verdict
from reconciler.ports import Batch, JobState, Owner, chunks

PAGE = 1000


@dataclass(frozen=True, slots=True)
class Wish:
    """An entry that is to have an account."""

    kind: Kind
    source_id: SourceId
    target_id: TargetId


@dataclass(frozen=True, slots=True)
class LineProblem:
    line: int
    problem: str


@dataclass(slots=True)
class Outcome:
    """What became of the wishes."""

    linked: int = 0
    already: int = 0
    refused: list[LineProblem] = field(default_factory=list)
    replaced: list[TargetId] = field(default_factory=list)
    """Accounts that the entries had before."""


def read_wishes(lines: Iterable[bytes]) -> tuple[list[tuple[int, Wish]], list[LineProblem]]:
    """Return the wishes with the numbers of their lines, and what is wrong with other lines. Empty lines are none."""
    wishes: list[tuple[int, Wish]] = []
    problems: list[LineProblem] = []
    entries: dict[tuple[Kind, SourceId], int] = {}
    accounts: dict[tuple[Kind, TargetId], int] = {}
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        wish = _wish(line)
        if isinstance(wish, str):
            problems.append(LineProblem(number, wish))
            continue
        first = entries.setdefault((wish.kind, wish.source_id), number)
        taken = accounts.setdefault((wish.kind, wish.target_id), number)
        if first != number:
            problems.append(LineProblem(number, f"{wish.kind} {wish.source_id} stands in line {first} already"))
        elif taken != number:
            problems.append(LineProblem(number, f"account {wish.target_id} stands in line {taken} already"))
        else:
            wishes.append((number, wish))
    return wishes, problems


def _wish(line: bytes) -> Wish | str:
    try:
        row: Any = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        return f"is not JSON: {error.msg}"
    if not isinstance(row, dict):
        return 'is no JSON object {"kind", "id", "target_id"}'
    kind, source_id, target_id = row.get("kind", "user"), row.get("id"), row.get("target_id")
    if kind not in KINDS:
        return 'kind must be "user" or "group"'
    for name, value in (("id", source_id), ("target_id", target_id)):
        if not isinstance(value, str) or not value:
            return f"{name} must be a text"
    return Wish(kind, SourceId(str(source_id)), TargetId(str(target_id)))


async def import_links(
    house: wiring.House, job: str, wishes: Sequence[tuple[int, Wish]], *, replace_links: bool = False
) -> Outcome:
    """Link as wished, a page a commit; sends nothing. Works before the first cycle of the job, too.

    Refused is an account that any entry is linked to; and an entry that is linked to another one, unless
    `replace_links`. Raises IdentityChanged where the job's links belong to another source or target.
    """
    async with house.world(job, rehearse=True) as world:
        source, target = world.source.identity, world.target.identity
    state = await house.store.open_job(job, source, target, house.clock.now())
    outcome = Outcome()
    for kind in KINDS:
        for page in chunks([(line, wish) for line, wish in wishes if wish.kind == kind], PAGE):
            records = await house.store.records(state.job_id, kind, [wish.source_id for _, wish in page])
            owners = await house.store.owners(target, kind, [wish.target_id for _, wish in page])
            taken = _taken(job, page, records, owners, outcome, replace_links=replace_links)
            await _write(house, state, kind, taken, outcome)
    return outcome


def _taken(
    job: str,
    page: Sequence[tuple[int, Wish]],
    records: Mapping[SourceId, Record],
    owners: Mapping[TargetId, Owner],
    outcome: Outcome,
    *,
    replace_links: bool,
) -> list[tuple[int, Wish, Record]]:
    """Return the wishes that nothing stands against, each with the record of its entry."""
    taken = []
    for line, wish in page:
        record = records.get(wish.source_id) or Record(wish.kind, wish.source_id)
        owner = owners.get(wish.target_id)
        was = record.link.target_id if record.link is not None else None
        if was == wish.target_id:
            outcome.already += 1
        elif owner is not None:
            problem = (
                f"account {wish.target_id} belongs to {owner.source_id} of job {owner.job} already; unlink it first"
            )
            outcome.refused.append(LineProblem(line, problem))
        elif was is not None and not replace_links:
            problem = f"{wish.kind} {wish.source_id} is linked to {was} already: `reconciler unlink {job} …` first"
            outcome.refused.append(LineProblem(line, problem))
        else:
            if was is not None:
                outcome.replaced.append(was)
            taken.append((line, wish, record))
    return taken


async def _write(
    house: wiring.House, state: JobState, kind: Kind, taken: Sequence[tuple[int, Wish, Record]], outcome: Outcome
) -> None:
    now = house.clock.now()
    for _, wish, record in taken:
        record.link = Link(wish.target_id, "manual", {}, linked_at=now)
        record.fingerprint = record.escrow = record.due_at = record.claims = None
        record.attempted_at = record.attempted_off_at = None
        record.verdict = Verdict.NEW  # whatever was decided, it was not about this account
    if not taken:
        return
    batch = Batch(records=[record for _, _, record in taken], touched=[wish.source_id for _, wish, _ in taken])
    refused = set(await house.store.commit(state.job_id, state.epoch, batch))
    for line, wish, _ in taken:
        if (kind, wish.source_id) in refused:
            outcome.refused.append(LineProblem(line, f"account {wish.target_id} belongs to another entry already"))
        else:
            outcome.linked += 1
