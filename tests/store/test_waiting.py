"""What waits: references, spooled operations, the target's list."""

from __future__ import annotations

import pytest

from reconciler.core.outcomes import Account
from reconciler.ports import PendingReference
from reconciler.store.sql import SqlStore
from tests.store.scenes import OTHER, TARGET, Work, ids, linked, open_work, sid, tid, unlinked


def manager(of: str, is_: str, path: str = "manager") -> PendingReference:
    return PendingReference("user", sid(of), path, "user", sid(is_))


async def test_a_reference_is_resolvable_when_both_ends_have_accounts(work: Work) -> None:
    waiting = [manager("ann", "bob"), manager("eve", "bob"), manager("dan", "nobody")]
    await work.commit(linked("ann", "t-ann"), unlinked("eve"), linked("dan", "t-dan"), pending_add=waiting)
    assert await work.store.resolvable(work.id, 0, 9) == []
    assert (await work.store.figures(work.name)).pending_references == 3

    await work.commit(linked("bob", "t-bob"))
    [(number, reference, target_id)] = await work.store.resolvable(work.id, 0, 9)
    assert (reference, target_id) == (waiting[0], "t-bob")
    assert await work.store.resolvable(work.id, number, 9) == []

    await work.commit(linked("eve", "t-eve"))
    both = await work.store.resolvable(work.id, 0, 9)
    assert [reference.source_id for _, reference, _ in both] == ["ann", "eve"]
    assert await work.store.resolvable(work.id, 0, 1) == both[:1]
    await work.commit(pending_done=[number])
    assert [reference.source_id for _, reference, _ in await work.store.resolvable(work.id, 0, 9)] == ["eve"]


async def test_pending_references_are_replaced_and_never_doubled(work: Work) -> None:
    await work.commit(pending_add=[manager("ann", "bob"), manager("ann", "bob"), manager("ann", "eve", "delegate")])
    await work.commit(pending_add=[manager("ann", "bob")])
    assert (await work.store.figures(work.name)).pending_references == 2
    await work.commit(pending_drop=[("user", sid("ann"))], pending_add=[manager("ann", "dan")])
    assert (await work.store.figures(work.name)).pending_references == 1
    await work.commit(forget=[("user", sid("ann"))])
    assert (await work.store.figures(work.name)).pending_references == 0


async def test_the_spool_gives_back_what_came_first(work: Work) -> None:
    await work.store.spool(work.id, "ordinary", [b"1", b"2", b"3"])
    await work.store.spool(work.id, "urgent", [b"!"])
    await work.store.spool(work.id, "ordinary", [b"4"])
    assert await work.store.unspool(work.id, "ordinary", 2) == [b"1", b"2"]
    assert await work.store.unspool(work.id, "ordinary", 9) == [b"3", b"4"]
    assert await work.store.unspool(work.id, "ordinary", 9) == []
    assert await work.store.unspool(work.id, "urgent", 9) == [b"!"]


def account(target_id: str, name: str) -> Account:
    return Account(tid(target_id), {"userName": name, "active": True})


async def test_the_targets_list_is_asked_by_key_and_by_id(work: Work) -> None:
    ann, bob, twin = account("t1", "ann"), account("t2", "bob"), account("t3", "bob")
    keys = [("userName=ann", "externalId=1"), ("userName=bob",), ("userName=bob",)]
    await work.store.listing_put(work.id, "user", [ann, bob, twin], keys)
    assert await work.store.listing_find(work.id, "user", ["userName=bob", "externalId=1", "userName=x"]) == {
        "userName=bob": (bob, twin),
        "externalId=1": (ann,),
    }
    assert await work.store.listing_get(work.id, "user", [tid("t1"), tid("t9")]) == {tid("t1"): ann}
    assert await work.store.listing_find(work.id, "group", ["userName=bob"]) == {}


async def test_an_account_that_the_list_shows_twice_counts_once_as_it_was_last(work: Work) -> None:
    await work.store.listing_put(work.id, "user", [account("t1", "ann")], [("userName=ann",)])
    again = account("t1", "anna")
    await work.store.listing_put(
        work.id, "user", [again, account("t2", "bob"), account("t2", "bob")], [("userName=anna",), (), ()]
    )
    assert await work.store.listing_find(work.id, "user", ["userName=ann", "userName=anna"]) == {
        "userName=anna": (again,)
    }


async def test_orphans_are_accounts_that_no_job_holds(work: Work, store: SqlStore) -> None:
    await work.commit(linked("ann", "t1"))
    other, elsewhere = await open_work(store, "other"), await open_work(store, "elsewhere", OTHER)
    await other.commit(linked("bob", "t2"))
    await elsewhere.commit(linked("eve", "t3"))
    accounts = [account(f"t{n}", f"name{n}") for n in range(1, 5)]
    await store.listing_put(work.id, "user", accounts, [()] * 4)
    assert await store.orphans(work.id, TARGET, "user") == accounts[2:]
    assert await store.orphans(work.id, TARGET, "group") == []


@pytest.mark.parametrize("size", [1, 40_000])
async def test_a_call_takes_any_number_of_ids(work: Work, size: int) -> None:
    many = ids(*(f"u{n}" for n in range(size)))
    assert await work.store.links_of(work.id, "user", many) == {}
    await work.commit(touched=many)
    assert await work.store.listing_find(work.id, "user", [str(one) for one in many]) == {}
