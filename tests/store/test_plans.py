"""No call of the hot path walks through a table: SQLite looks rows up in an index, whatever it holds."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, event

from reconciler.core.outcomes import Account
from reconciler.ports import Batch, GroupMembers, LogQuery, PendingReference
from reconciler.store.sql import SqlStore
from tests.store.scenes import TARGET, ids, linked, logged, open_work, print_of, sid, tid

GROWS = {
    *("entries", "memberships", "ledger", "provisioning_log", "listing", "listing_keys", "pending_references"),
    *("staged_groups", "spool"),
}
BY_DESIGN = {
    # what a call goes through in order, from where it stopped; the index holds just the rows in question
    "entries_that_matter",
    "entries_that_wait",
    "entries_managed",
    "entries_left_on",
    "entries_unsettled",
    "staged_groups_dirty",
    "provisioning_log_counted",
    "spool_by_queue",
}
WHOLE_JOB = ("job_id=?", "job_id=? AND kind=?")


async def _everything(store: SqlStore) -> None:
    work = await open_work(store)
    accounts = [Account(tid("t1"), {"userName": "ann"})]
    members = [GroupMembers(sid("g"), "G", ids("ann")), GroupMembers(sid("h"), "H", ids("g"))]
    await store.stage_memberships(work.id, members, additive=False)
    await store.groups_named(work.id, ["g"])
    for nested in (True, False):
        await store.memberships(work.id, ids("ann"), ids("g"), nested=nested)
    await store.compare(work.id, "user", [(sid("ann"), print_of("a"))], work.seen(), 0.0)
    batch = Batch(
        records=[linked("ann", "t1"), linked("g", "t-g", kind="group")],
        log=[logged("ann")],
        pending_add=[PendingReference("user", sid("ann"), "manager", "user", sid("bob"))],
        pending_drop=[("user", sid("ann"))],
        pending_done=[1],
        members_added=[(sid("g"), sid("ann"), tid("t1"))],
        members_removed=[(sid("g"), tid("t9"))],
        groups_settled=ids("h"),
        touched=ids("ann"),
        forget=[("user", sid("eve"))],
    )
    for _ in range(2):
        await store.commit(work.id, work.state.epoch, batch)
    batch.records[0].link = None
    await store.commit(work.id, work.state.epoch, batch)
    await store.compare(work.id, "user", [(sid("ann"), print_of("a"))], work.seen(), 0.0)
    await store.unseen(work.id, "user", work.seen(), 99, 0, 9)
    await store.due(work.id, "user", 9.0, 0, 9)
    await store.unsettled(work.id, "user", 0, 9)
    await store.unsettle_who_names(work.id, "user", [tid("t9")])
    await store.meet(work.id, "user", ids("ann"), work.seen())
    await store.records(work.id, "user", ids("ann"))
    await store.links_of(work.id, "user", ids("ann"))
    await store.owners(TARGET, "user", [tid("t1")])
    await store.having(TARGET, "user", {("userName", "ann")})
    await store.attempted_elsewhere(work.id, "user", ids("ann"))
    await store.claims(TARGET, "user", [tid("t1")])
    await store.attempts(TARGET, "user", [(("userName", "ann"),)])
    await store.linked_count(work.id)
    await store.counted_since(work.id, "deletions", 0.0)
    await store.listing_put(work.id, "user", accounts, [("userName=ann",)])
    await store.listing_find(work.id, "user", ["userName=ann"])
    await store.listing_get(work.id, "user", [tid("t1")])
    await store.spool(work.id, "ordinary", [b"1"])
    await store.unspool(work.id, "ordinary", 1)
    await store.dirty_groups(work.id, "", 9)
    await store.member_delta(work.id, sid("g"))
    await store.ledger(work.id, sid("g"))
    for query in (
        LogQuery(user="ann"),
        LogQuery(job="phone", user="ann", limit=5),
        LogQuery(job="phone", status="failure"),
        LogQuery(job="phone", action="disable", limit=5),
        LogQuery(job="phone", since=0.0, limit=5),
    ):
        async for _ in store.log(query):
            pass
    await store.statistics("phone")
    await store.prune(1e12, 1e12, 1000)


async def test_every_statement_finds_its_rows_by_an_index() -> None:
    store = await SqlStore.open("sqlite://", write=True, clock_now=0.0, inline=True)
    connection = store._database.connection
    asked: dict[str, Any] = {}

    def note(_: Connection, __: object, text: str, parameters: Any, ___: object, many: bool) -> None:
        empties = re.fullmatch(r"DELETE FROM (\w+) WHERE \1\.job_id = \?", text)
        if text.split()[0] in ("SELECT", "UPDATE", "DELETE", "WITH") and not empties:
            asked[text] = parameters[0] if many else parameters

    event.listen(connection.engine, "before_cursor_execute", note)
    await _everything(store)
    event.remove(connection.engine, "before_cursor_execute", note)

    walks = []
    with connection.begin():
        for text, parameters in asked.items():
            aliases = {name: name for name in GROWS} | {
                alias: table for table, alias in re.findall(r"\b(\w+) AS \"?(\w+)\"?", text) if table in GROWS
            }
            rows = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {text}", parameters).all()
            walks += [f"{row[3]}  <-  {text}" for row in rows if _walks(row[3], aliases)]
    await store.close()
    assert len(asked) > 40
    assert not walks, "\n".join(walks)


def _walks(plan: str, tables: Sequence[str] | dict[str, str]) -> bool:
    found = re.match(r"(SCAN|SEARCH) (\w+)(?: USING (?:COVERING )?INDEX (\w+))?.*?(?:\((.*)\))?$", plan)
    if found is None or found[2] not in tables or found[3] in BY_DESIGN:
        return False
    return found[1] == "SCAN" or found[4] in WHOLE_JOB


async def test_the_log_of_one_person_is_found_without_a_walk_through_the_whole() -> None:
    store = await SqlStore.open("sqlite://", write=True, clock_now=0.0, inline=True)
    work = await open_work(store)
    await work.commit(log=[logged("ann")])
    asked: list[tuple[str, Any]] = []
    connection = store._database.connection
    event.listen(connection.engine, "before_cursor_execute", lambda *a: asked.append((a[2], a[3])))
    for query in (LogQuery(user="ann"), LogQuery(job="phone", user="ann", limit=5, since=0.0)):
        assert [row["name"] async for row in store.log(query)] == ["ann"]
    reads = [(text, values) for text, values in asked if "name_key >=" in text]
    with connection.begin():
        plans = [connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {text}", values).all() for text, values in reads]
    await store.close()
    assert len(plans) >= 4
    assert all(any("MULTI-INDEX OR" in row[3] for row in plan) for plan in plans)
