"""What is held, and what a person said to it."""

from __future__ import annotations

from reconciler.ports import HeldOperation
from reconciler.store.sql import SqlStore
from tests.store.scenes import Work, open_work, sid


def operation(source_id: str, word: str = "disable", why: str = "gone", since: float = 0.0) -> HeldOperation:
    return HeldOperation("user", sid(source_id), f"{source_id}@example.com", word, why, "gone", (), since)


def removals(*members: str, since: float = 0.0) -> HeldOperation:
    return HeldOperation("group", sid("g"), "Crew", "members", "21", "in_scope", members, since)


async def test_each_job_has_its_own_holds(work: Work, store: SqlStore) -> None:
    ann, bob, eve = operation("ann"), operation("bob", "delete"), operation("eve")
    first = await store.hold(work.id, "c1", 5.0, "7 of 10", [ann, bob])
    other = await open_work(store, "other")
    await store.hold(other.id, "c9", 6.0, "8 of 9", [eve])
    [hold] = await store.held("phone")
    assert (hold.job, hold.id, hold.safeguard, hold.since, hold.why) == ("phone", first, "deletions", 5.0, "7 of 10")
    assert hold.operations == (ann._replace(since=5.0), bob._replace(since=5.0))
    assert [hold.job for hold in await store.held()] == ["phone", "other"]
    await store.release(work.id)
    await store.release(work.id)
    assert [hold.job for hold in await store.held()] == ["other"]


async def test_what_grew_is_called_something_else_and_remembers_since_when_each_is_held(
    work: Work, store: SqlStore
) -> None:
    first = await store.hold(work.id, "c1", 5.0, "1 of 10", [operation("ann")])
    second = await store.hold(work.id, "c2", 7.0, "2 of 10", [operation("ann"), operation("bob")])
    assert second != first
    [hold] = await store.held()
    assert (hold.id, hold.since) == (second, 7.0)
    assert hold.operations == (operation("ann", since=5.0), operation("bob", since=7.0))


async def test_the_same_or_fewer_operations_keep_the_name_that_people_were_told(work: Work, store: SqlStore) -> None:
    first = await store.hold(work.id, "c1", 5.0, "2 of 10", [operation("ann"), operation("bob")])
    assert await store.hold(work.id, "c2", 7.0, "2 of 11", [operation("bob"), operation("ann", why="left")]) == first
    [hold] = await store.held()
    assert (hold.since, hold.why) == (5.0, "2 of 11")
    assert hold.operations == (operation("bob", since=5.0), operation("ann", why="left", since=5.0))
    assert await store.hold(work.id, "c3", 8.0, "1 of 11", [operation("bob")]) == first
    assert await store.hold(work.id, "c4", 9.0, "2 of 11", [operation("bob"), operation("ann")]) != first


async def test_one_member_more_is_something_else(work: Work, store: SqlStore) -> None:
    first = await store.hold(work.id, "c1", 5.0, "2", [removals("t1", "t2")], "members")
    assert await store.hold(work.id, "c2", 6.0, "1", [removals("t2")], "members") == first
    assert await store.hold(work.id, "c3", 7.0, "2", [removals("t2", "t3")], "members") != first
    [hold] = await store.held()
    assert hold.operations == (removals("t2", "t3", since=5.0),)


async def test_each_safeguard_holds_and_is_released_by_itself(work: Work, store: SqlStore) -> None:
    await store.hold(work.id, "c1", 5.0, "7 of 10", [operation("ann")])
    await store.hold(work.id, "c1", 5.0, "101 of 100", [operation("bob", "create")], "creates")
    assert [hold.safeguard for hold in await store.held("phone")] == ["deletions", "creates"]
    await store.release(work.id, "deletions")
    assert [hold.safeguard for hold in await store.held("phone")] == ["creates"]


async def test_a_persons_word_ends_the_hold_and_is_kept_until_it_is_done(work: Work, store: SqlStore) -> None:
    ann, bob, crew = operation("ann"), operation("bob", "delete"), removals("t1", "t2")
    first = await store.hold(work.id, "c1", 5.0, "7 of 10", [ann, bob])
    second = await store.hold(work.id, "c1", 5.0, "2", [crew], "members")
    [hold] = await store.decide_hold("phone", first, "approved", "olga", 9.0)
    assert hold.id == first
    assert [hold.id for hold in await store.held()] == [second]
    assert [hold.id for hold in await store.decide_hold("phone", None, "rejected", "uid 1000", 10.0)] == [second]
    assert await store.held() == []
    told = [(d.job, d.operation, d.decision, d.by, d.at, d.hold) for d in await store.decisions()]
    assert told == [
        ("phone", ann._replace(since=5.0), "approved", "olga", 9.0, first),
        ("phone", bob._replace(since=5.0), "approved", "olga", 9.0, first),
        ("phone", crew._replace(since=5.0), "rejected", "uid 1000", 10.0, second),
    ]
    await store.drop_decisions(work.id, [ann.key, crew.key])
    assert [d.operation.name for d in await store.decisions("phone")] == ["bob@example.com"]
    assert await store.decisions("other") == []


async def test_what_was_listed_before_something_was_added_cannot_be_decided_on(work: Work, store: SqlStore) -> None:
    first = await store.hold(work.id, "c1", 5.0, "1 of 10", [operation("ann")])
    await store.hold(work.id, "c2", 7.0, "2 of 10", [operation("ann"), operation("bob")])
    assert await store.decide_hold("phone", first, "approved", "olga", 9.0) == []
    assert await store.decide_hold("nobody", None, "approved", "olga", 9.0) == []
    assert len(await store.held()) == 1
    assert await store.decisions() == []


async def test_a_decision_may_become_good_for_less(work: Work, store: SqlStore) -> None:
    await store.hold(work.id, "c1", 5.0, "2", [removals("t1", "t2"), operation("ann")], "members")
    await store.decide_hold("phone", None, "approved", "olga", 9.0)
    await store.narrow_decision(work.id, removals().key, ["t2"])
    assert [d.operation.about for d in await store.decisions() if d.operation.kind == "group"] == [("t2",)]


async def test_a_later_word_counts(work: Work, store: SqlStore) -> None:
    for decision in ("rejected", "approved"):
        await store.hold(work.id, "c1", 5.0, "1 of 10", [operation("ann")])
        await store.decide_hold("phone", None, decision, "olga", 9.0)
    assert [decided.decision for decided in await store.decisions()] == ["approved"]
