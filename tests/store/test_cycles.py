"""A job from cycle to cycle: epochs, watermark, identities, history, what forget and rebind leave."""

from __future__ import annotations

from typing import Any

import pytest

from reconciler.core.model import Identity
from reconciler.core.records import Record, Verdict
from reconciler.errors import IdentityChanged, StateError
from reconciler.ports import GroupMembers, HeldOperation, LogQuery, PendingReference
from reconciler.store.sql import SqlStore
from tests.store.scenes import OTHER, SOURCE, TARGET, Work, ids, linked, logged, open_work, print_of, sid, tid, unlinked

MOVED = Identity("file", "people.jsonl", "id")


async def test_a_new_job_knows_nothing_yet(work: Work) -> None:
    assert (work.state.epoch, work.state.ceiling) == (1, 0)
    assert (work.state.watermark, work.state.completed_rules) == (None, None)
    assert len(work.state.fingerprint_key) == 32


async def test_a_closed_cycle_moves_the_watermark_and_the_rules(work: Work) -> None:
    await work.commit(linked("ann", "t1"))
    await work.close(watermark="w1", rules="r1")
    await work.next_cycle()
    assert (work.state.epoch, work.state.watermark, work.state.completed_rules) == (2, "w1", "r1")
    assert work.state.ceiling == (await work.record("ann")).row_id
    await work.close(watermark=None, rules=None)
    await work.next_cycle()
    assert (work.state.watermark, work.state.completed_rules) == ("w1", "r1"), "None leaves them where they are"


async def test_the_key_of_an_installation_is_one_for_all_jobs_and_cycles(work: Work, store: SqlStore) -> None:
    first = work.state.fingerprint_key
    await work.next_cycle()
    second = await open_work(store, "second")
    assert work.state.fingerprint_key == second.state.fingerprint_key == first
    assert second.id != work.id


async def test_scratch_tables_are_empty_when_a_cycle_opens_and_when_it_has_closed(work: Work) -> None:
    for step in (work.next_cycle, work.close):
        await work.store.spool(work.id, "ordinary", [b"op"])
        await work.store.listing_put(work.id, "user", [], [])
        await step()
        assert await work.store.unspool(work.id, "ordinary", 9) == []


@pytest.mark.parametrize("changed", [(MOVED, TARGET), (SOURCE, OTHER)])
@pytest.mark.parametrize("bond", [linked("ann", "t1"), unlinked("ann", attempted_at=2.0)], ids=["link", "attempt"])
async def test_links_are_never_applied_to_another_source_or_target(
    work: Work, changed: tuple[Identity, Identity], bond: Record
) -> None:
    await work.commit(bond)
    with pytest.raises(
        IdentityChanged, match=r"phone.*links \(1\) belong.*rebind phone --keep-links.*--rematch"
    ) as refusal:
        await work.store.open_job("phone", *changed, 2.0)
    was, is_now = (SOURCE, MOVED) if changed[0] == MOVED else (TARGET, OTHER)
    assert str(was) in str(refusal.value)
    assert str(is_now) in str(refusal.value)
    await work.next_cycle()
    assert work.state.epoch == 2, "the refusal changed nothing"


async def test_a_job_without_links_may_move_and_starts_anew(work: Work) -> None:
    await work.commit(unlinked("ann", fingerprint=print_of("a")))
    await work.store.stage_memberships(work.id, [GroupMembers(sid("g"), "G", ids("ann"))], additive=False)
    await work.close(watermark="w", rules="r")
    state = await work.store.open_job("phone", MOVED, TARGET, 2.0)
    assert (state.job_id, state.watermark, state.completed_rules) == (work.id, None, None)
    assert await work.store.records(work.id, "user", ids("ann")) == {}
    assert await work.store.groups_named(work.id, ["g"]) == {}


async def test_history_gives_the_newest_first(work: Work) -> None:
    for n in range(3):
        summary = {"cycle_id": f"c{n}", "state": "active", "counts": {"create": n}}
        await work.store.close_cycle(
            work.id, work.state.epoch, watermark=None, rules=None, summary=summary, now=float(n)
        )
        await work.next_cycle()
    assert await work.store.history("phone", 2) == [
        {"cycle_id": "c2", "ended_at": 2.0, "state": "active", "counts": {"create": 2}},
        {"cycle_id": "c1", "ended_at": 1.0, "state": "active", "counts": {"create": 1}},
    ]
    assert await work.store.history("other", 2) == []


async def test_next_due_is_kept_also_for_a_job_that_never_ran(store: SqlStore) -> None:
    assert await store.next_due("phone") is None
    await store.set_next_due("phone", 12.5)
    assert await store.next_due("phone") == 12.5
    work = await open_work(store)
    assert await store.next_due("phone") == 12.5
    await store.set_next_due("phone", None)
    assert await store.next_due("phone") is None
    assert work.state.epoch == 1


async def test_what_a_target_said_of_itself_is_remembered(store: SqlStore) -> None:
    assert await store.remembered(TARGET) is None
    await store.remember(TARGET, {"patch": True}, 1.0)
    await store.remember(TARGET, {"patch": False, "max": 5}, 2.0)
    await store.remember(TARGET, {"max": 5}, 3.0)
    assert await store.remembered(TARGET) == {"patch": False, "max": 5}
    assert await store.remembered(OTHER) is None


# --- for people --------------------------------------------------------------------------------------------------


async def test_list_links_by_id_account_name_or_its_beginning(work: Work) -> None:
    await work.commit(
        linked("1", "t1", name="ann_a@example.com"),
        linked("2", "t2", name="annXa@example.com"),
        unlinked("3", name="ann_a"),
    )

    async def found(name: str | None) -> list[str]:
        return [record.source_id for record in await work.store.list_links("phone", name)]

    assert await found(None) == ["1", "2"]
    assert await found("2") == ["2"]
    assert await found("t1") == ["1"]
    assert await found("ANN") == ["1", "2"]
    assert await found("ann_a") == ["1"], "an underscore is no joker"
    assert await found("a@example.com") == []
    await work.commit(linked("4", "t4", name="Åsa"), linked("4", "t5", kind="group", name="åsa's"))
    assert await found("åS") == ["4", "4"]
    assert await work.store.list_links("no such job", None) == []


async def test_a_person_links_and_unlinks(work: Work) -> None:
    await work.commit(unlinked("ann", fingerprint=print_of("a"), attempted_at=3.0, due_at=9.0))
    await work.store.link("phone", "user", sid("ann"), tid("t1"), 7.0)
    ann = await work.record("ann")
    assert ann.link is not None
    assert (ann.link.target_id, ann.link.origin, ann.link.agreed, ann.link.linked_at) == ("t1", "manual", {}, 7.0)
    assert (ann.fingerprint, ann.attempted_at) == (None, None), "the next cycle looks at it"

    await work.store.link("phone", "user", sid("ann"), tid("t2"), 8.0)
    await work.store.link("phone", "user", sid("bob"), tid("t1"), 8.0)
    assert await work.store.links_of(work.id, "user", ids("ann", "bob")) == {"ann": "t2", "bob": "t1"}

    assert await work.store.unlink("phone", "user", sid("ann")) is True
    assert await work.store.unlink("phone", "user", sid("ann")) is False
    assert await work.store.unlink("phone", "user", sid("nobody")) is False
    assert (await work.record("ann")).fingerprint is None


async def test_an_account_that_somebody_holds_cannot_be_linked_by_hand(work: Work) -> None:
    await work.commit(linked("ann", "t1"))
    with pytest.raises(StateError, match="t1 already belongs to ann of job 'phone'"):
        await work.store.link("phone", "user", sid("bob"), tid("t1"), 7.0)


async def test_a_job_that_never_ran_cannot_be_linked_or_bound(store: SqlStore) -> None:
    for call in (
        store.link("new", "user", sid("ann"), tid("t1"), 7.0),
        store.rebind("new", SOURCE, TARGET, keep_links=True),
    ):
        with pytest.raises(StateError, match="'new': the state knows nothing of it yet"):
            await call


async def _full(work: Work) -> None:
    """Fill every table that hangs on a job."""
    await work.commit(
        linked("ann", "t1", fingerprint=print_of("a")),
        linked("g", "t-g", kind="group"),
        log=[logged("ann", status="success", operation="disable")],
        pending_add=[PendingReference("user", sid("ann"), "manager", "user", sid("bob"))],
    )
    await work.commit(members_added=[(sid("g"), sid("ann"), tid("t1"))])
    await work.store.stage_memberships(work.id, [GroupMembers(sid("g"), "G", ids("ann"))], additive=False)
    operations = [HeldOperation("user", sid("ann"), "ann", "disable", "gone")]
    await work.store.hold(work.id, "c1", 5.0, "too many", operations, "creates")
    await work.store.decide_hold("phone", None, "rejected", "ann", 6.0)
    await work.store.hold(work.id, "c1", 5.0, "too many", operations)
    await work.store.set_next_due("phone", 99.0)
    await work.close(watermark="w", rules="r")


async def _log(store: SqlStore) -> list[dict[str, Any]]:
    return [row async for row in store.log(LogQuery())]


async def test_forget_drops_everything_but_the_log(work: Work, store: SqlStore) -> None:
    await _full(work)
    other = await open_work(store, "other")
    await other.commit(linked("ann", "t9"))
    before = await _log(store)
    await store.forget("phone")

    assert await store.list_links("phone", None) == []
    assert await store.owners(TARGET, "user", [tid("t1")]) == {}
    assert await store.history("phone", 9) == []
    assert await store.held() == []
    assert await store.decisions() == []
    assert await store.next_due("phone") is None
    assert await store.ledger(work.id, sid("g")) == {}
    assert (await store.figures(work.name)).pending_references == 0
    assert await store.groups_named(work.id, ["g"]) == {}
    assert await _log(store) == before
    assert await store.links_of(other.id, "user", ids("ann")) == {"ann": "t9"}
    with pytest.raises(StateError, match="forgotten"):
        await work.commit(linked("bob", "t2"))

    anew = await open_work(store)
    assert anew.id != work.id
    assert (anew.state.epoch, anew.state.watermark) == (1, None)
    await store.forget("no such job")


async def test_rebind_keeps_the_links_and_looks_at_everything_again(work: Work, store: SqlStore) -> None:
    await _full(work)
    await store.rebind("phone", MOVED, OTHER, keep_links=True)
    ann = await work.record("ann")
    assert ann.link is not None
    assert ann.fingerprint is None
    assert await store.ledger(work.id, sid("g")) == {"t1": "ann"}
    assert (await store.owners(OTHER, "user", [tid("t1")]))[tid("t1")].source == MOVED
    assert await store.owners(TARGET, "user", [tid("t1")]) == {}
    with pytest.raises(StateError, match="overtaken"):
        await work.commit(linked("bob", "t2"))
    state = await store.open_job("phone", MOVED, OTHER, 9.0)
    assert (state.job_id, state.watermark, state.completed_rules) == (work.id, None, None)


async def test_rebind_does_not_take_accounts_from_another_job(work: Work, store: SqlStore) -> None:
    await work.commit(linked("ann", "t1"))
    other = await open_work(store, "other", OTHER)
    await other.commit(linked("ann", "t1"))
    with pytest.raises(StateError, match=r"1 of these accounts .* belong to job 'other'"):
        await store.rebind("phone", SOURCE, OTHER, keep_links=True)
    assert (await store.owners(TARGET, "user", [tid("t1")]))[tid("t1")].job == "phone"


async def test_rematch_forgets_the_links_but_not_the_log(work: Work, store: SqlStore) -> None:
    await _full(work)
    before = await _log(store)
    await store.rebind("phone", SOURCE, OTHER, keep_links=False)
    assert await store.list_links("phone", None) == []
    assert await store.ledger(work.id, sid("g")) == {}
    assert await store.held() == []
    assert await store.decisions() == []
    assert await store.counted_since(work.id, "deletions", 0.0) == 1
    assert await _log(store) == before
    assert len(await store.history("phone", 9)) == 1
    state = await store.open_job("phone", SOURCE, OTHER, 9.0)
    found = await store.compare(state.job_id, "user", [(sid("ann"), print_of("a"))], work.seen(), 0.0)
    assert found == {sid("ann"): Record("user", sid("ann"), verdict=Verdict.NEW)}
