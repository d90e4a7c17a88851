"""Entries between two cycles: what changed, what was not seen, what is due, who holds which account."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from reconciler.core.model import Kind
from reconciler.core.records import Escrow, Link, Record, Verdict
from reconciler.errors import StateError
from reconciler.ports import Attempt, Batch, Claim, GroupMembers, Owner, Seen
from reconciler.store import reading
from reconciler.store.sql import SqlStore
from tests.store.scenes import OTHER, SOURCE, TARGET, Work, ids, linked, logged, open_work, print_of, sid, tid, unlinked


async def test_a_record_comes_back_as_it_was_written(work: Work) -> None:
    ann = Record(
        kind="user",
        source_id=sid("ann"),
        fingerprint=print_of("a"),
        verdict=Verdict.INACTIVE,
        why="accountEnabled is false",
        name="Ánn Ørsted 安",
        person="E-1",
        link=Link(
            target_id=tid("t-ann"),
            origin="adopted",
            agreed={"userName": "ann", "active": True, "emails": [{"value": "a@example.com"}], "n": 3},
            linked_at=5.5,
            disabled_at=6.25,
            disabled_because="inactive",
            delete_at=7.75,
            unkept={"title": 2},
            changed={"mail": 3},
        ),
        due_at=7.75,
        escrow=Escrow(2, 6.0, "Timeout", "no answer"),
        attempted_at=4.0,
        attempted_off_at=3.5,
    )
    written = replace(ann)
    assert await work.commit(written) == ()
    assert written.row_id is not None
    assert await work.record("ann") == replace(ann, row_id=written.row_id)

    # what an entry no longer has is gone from its row, too
    bare = Record("user", sid("ann"), row_id=written.row_id, verdict=Verdict.GONE)
    await work.commit(bare)
    assert await work.record("ann") == bare


async def test_users_and_groups_of_one_id_are_two_entries(work: Work) -> None:
    await work.commit(linked("1", "t1"), linked("1", "t1", kind="group"))
    user, group = await work.record("1"), await work.record("1", "group")
    assert (user.kind, group.kind) == ("user", "group")
    assert user.row_id != group.row_id


async def test_an_unchanged_page_is_told_from_a_changed_one(work: Work) -> None:
    await work.commit(
        linked("same", "t1", fingerprint=print_of("same")),
        linked("changed", "t2", fingerprint=print_of("old")),
        linked("due", "t3", fingerprint=print_of("due"), due_at=20.0),
        linked("later", "t4", fingerprint=print_of("later"), due_at=20.5),
        linked("look again", "t5", fingerprint=None),
        linked("absent", "t6", fingerprint=print_of("absent")),
    )
    await work.next_cycle()
    seen = work.seen()
    names = ["same", "changed", "due", "later", "look again", "new"]
    page = [(sid(name), print_of(name)) for name in names]
    found = await work.store.compare(work.id, "user", page, seen, 20.0)

    assert set(found) == {"changed", "due", "look again", "new"}
    assert found[sid("changed")].fingerprint == print_of("old")
    assert found[sid("changed")].link is not None
    assert found[sid("new")] == Record("user", sid("new"))
    for name in ("same", "changed", "due", "later", "look again"):
        assert ((await work.record(name)).row_id or 0) in seen
    assert ((await work.record("absent")).row_id or 0) not in seen
    assert [r.source_id for r in await work.store.unseen(work.id, "user", seen, work.state.ceiling, 0, 9)] == ["absent"]


async def test_compare_of_an_empty_page_is_empty(work: Work) -> None:
    assert await work.store.compare(work.id, "user", [], work.seen(), 0.0) == {}


async def test_a_page_of_groups_does_not_meet_the_users(work: Work) -> None:
    await work.commit(linked("1", "t1", fingerprint=print_of("1")))
    found = await work.store.compare(work.id, "group", [(sid("1"), print_of("1"))], Seen(99), 0.0)
    assert found == {sid("1"): Record("group", sid("1"))}


async def test_unseen_gives_whoever_is_not_gone_yet_in_pages(work: Work) -> None:
    verdicts = [Verdict.IN_SCOPE, Verdict.GONE, Verdict.OUT_OF_SCOPE, Verdict.UNKNOWN, Verdict.NEW, Verdict.INACTIVE]
    await work.commit(*(Record("user", sid(f"u{n}"), verdict=verdict) for n, verdict in enumerate(verdicts)))
    await work.commit(Record("group", sid("g"), verdict=Verdict.IN_SCOPE))
    await work.next_cycle()
    ceiling = work.state.ceiling
    await work.commit(unlinked("younger than the cycle"))

    met, after = [], 0
    while page := await work.store.unseen(work.id, "user", work.seen(), ceiling, after, 2):
        assert len(page) <= 2
        met += [record.source_id for record in page]
        after = page[-1].row_id or 0
    assert met == ["u0", "u2", "u3", "u4", "u5"]


async def test_unseen_finds_the_few_among_many(work: Work) -> None:
    for start in range(0, 12_000, 1000):
        await work.commit(*(unlinked(f"u{n}", fingerprint=print_of("x")) for n in range(start, start + 1000)))
    await work.next_cycle()
    seen = work.seen()
    for start in range(0, 12_000, 1000):
        page = [(sid(f"u{n}"), print_of("x")) for n in range(start, start + 1000) if n not in (3, 11_990)]
        assert await work.store.compare(work.id, "user", page, seen, 0.0) == {}
    missed = await work.store.unseen(work.id, "user", seen, work.state.ceiling, 0, 1000)
    assert [record.source_id for record in missed] == ["u3", "u11990"]


async def test_due_gives_whose_time_has_come_in_order_of_rows(work: Work) -> None:
    await work.commit(*(unlinked(f"u{n}", due_at=due) for n, due in enumerate([30.0, None, 10.0, 20.0, 20.1])))
    await work.commit(unlinked("g", kind="group", due_at=1.0))
    first = await work.store.due(work.id, "user", 20.0, 0, 1)
    assert [r.source_id for r in first] == ["u2"]
    rest = await work.store.due(work.id, "user", 20.0, first[-1].row_id or 0, 9)
    assert [r.source_id for r in rest] == ["u3"]


async def test_links_of_leaves_out_who_has_none(work: Work) -> None:
    await work.commit(linked("ann", "t-ann"), unlinked("bob"))
    assert await work.store.links_of(work.id, "user", ids("ann", "bob", "nobody")) == {"ann": "t-ann"}
    assert await work.store.links_of(work.id, "user", []) == {}


async def test_owners_are_found_across_jobs_but_not_across_targets(work: Work, store: SqlStore) -> None:
    await work.commit(linked("ann", "t1", person="E-1", verdict=Verdict.GONE))
    elsewhere = await open_work(store, "elsewhere", OTHER)
    await elsewhere.commit(linked("ann", "t1"), linked("bob", "t2"))
    assert await store.owners(TARGET, "user", [tid("t1"), tid("t2")]) == {
        tid("t1"): Owner("phone", "user", sid("ann"), "gone", "E-1", SOURCE, linked_at=1.0)
    }
    assert (await store.owners(OTHER, "user", [tid("t2")]))[tid("t2")].job == "elsewhere"
    assert await store.owners(TARGET, "group", [tid("t1")]) == {}
    assert await store.owners(SOURCE, "user", [tid("t1")]) == {}


async def test_who_had_a_name_is_found_across_jobs_but_not_across_targets(
    work: Work, store: SqlStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def named(source_id: str, account: str, kind: Kind = "user", **agreed: Any) -> Record:
        return linked(source_id, "", kind=kind, link=Link(tid(account), "created", agreed, linked_at=1.0))

    monkeypatch.setattr(reading, "SCAN", 2)
    monkeypatch.setattr(reading, "_AGREED", reading._AGREED.limit(2))
    beside, elsewhere = await open_work(store, "beside"), await open_work(store, "elsewhere", OTHER)
    await work.commit(
        named("ann", "t1", userName="Ann", mail="a@example.com"), named("g", "t9", "group", userName="ann")
    )
    await work.commit(named("eve", "t4", userName="eve"), named("nobody", "t2", title="ann"), unlinked("dan"))
    await beside.commit(named("x1", "t3", userName="ann", mail=5), named("x2", "t5", userName="bob", mail="ann"))
    await elsewhere.commit(named("ann", "t1", userName="ann"))
    wanted = {("userName", "ann"), ("userName", "zoe"), ("mail", "a@example.com")}
    assert await store.having(TARGET, "user", wanted) == {
        ("userName", "ann"): ["t1", "t3"],
        ("mail", "a@example.com"): ["t1"],
    }
    assert await store.having(TARGET, "user", ()) == await store.having(SOURCE, "user", wanted) == {}


async def test_creates_without_an_answer_are_found_by_their_names_across_jobs(work: Work, store: SqlStore) -> None:
    ann, bob = (("userName", "ann"), ("mail", "a@example.com")), (("userName", "bob"),)
    beside = await open_work(store, "beside")
    elsewhere = await open_work(store, "elsewhere", OTHER)
    await work.commit(
        unlinked("ann", attempted_at=1.0, attempted_match=ann), unlinked("bob", attempted_at=2.0, attempted_match=bob)
    )
    await work.commit(linked("dan", "t1", attempted_at=3.0), unlinked("eve"))
    await beside.commit(unlinked("anna", attempted_at=4.0, attempted_match=ann))
    await elsewhere.commit(unlinked("ann", attempted_at=5.0, attempted_match=ann))
    assert await store.attempts(TARGET, "user", [ann]) == [
        Attempt("phone", sid("ann"), ann, 1.0),
        Attempt("beside", sid("anna"), ann, 4.0),
    ]
    assert await store.attempted_elsewhere(work.id, "user", ids("anna", "ann", "bob")) == {
        "anna": Attempt("beside", sid("anna"), ann, 4.0)
    }
    assert await store.attempted_elsewhere(beside.id, "user", ids("ann", "bob", "dan", "eve")) == {
        "ann": Attempt("phone", sid("ann"), ann, 1.0),
        "bob": Attempt("phone", sid("bob"), bob, 2.0),
    }
    await work.commit(linked("ann", "t2"))
    assert [found.job for found in await store.attempts(TARGET, "user", {ann})] == ["beside"]
    assert await store.attempts(TARGET, "user", []) == await store.attempts(TARGET, "group", [ann]) == []
    assert await store.attempts(SOURCE, "user", [ann]) == []


async def test_linked_count_leaves_out_those_whom_we_disabled(work: Work, store: SqlStore) -> None:
    disabled = linked("bob", "t2")
    assert disabled.link is not None
    disabled.link.disabled_at = 5.0
    await work.commit(linked("ann", "t1"), disabled, unlinked("eve"), linked("g", "t3", kind="group"))
    other = await open_work(store, "other")
    await other.commit(linked("ann", "t9"))
    assert await store.linked_count(work.id) == 2


# --- one account, one owner --------------------------------------------------------------------------------------


async def test_an_account_that_another_entry_holds_is_refused_and_the_others_are_written(work: Work) -> None:
    await work.commit(linked("ann", "t1"))
    thief, honest = linked("eve", "t1"), linked("bob", "t2")
    assert list(await work.commit(thief, honest, log=[logged("eve")])) == [("user", "eve")]
    assert thief.row_id is None
    assert await work.store.records(work.id, "user", ids("eve")) == {}
    assert (await work.record("bob")).row_id == honest.row_id
    assert (await work.store.owners(TARGET, "user", [tid("t1")]))[tid("t1")].source_id == "ann"


async def test_who_is_refused_keeps_the_row_as_it_was(work: Work) -> None:
    await work.commit(linked("ann", "t1"), unlinked("eve", attempted_at=4.0, why="sent"))
    eve = await work.record("eve")
    eve.link, eve.attempted_at, eve.why = Link(tid("t1"), "created", {}, 5.0), None, "done"
    assert list(await work.commit(eve)) == [("user", "eve")]
    kept = await work.record("eve")
    assert (kept.link, kept.attempted_at, kept.why) == (None, 4.0, "sent")


async def test_an_account_of_another_job_at_the_same_target_is_refused(work: Work, store: SqlStore) -> None:
    await work.commit(linked("ann", "t1"))
    second = await open_work(store, "second")
    assert list(await second.commit(linked("ann", "t1"), linked("bob", "t2"))) == [("user", "ann")]
    assert set(await store.links_of(second.id, "user", ids("ann", "bob"))) == {"bob"}


async def test_the_same_id_may_be_a_user_and_a_group(work: Work) -> None:
    assert await work.commit(linked("ann", "1"), linked("team", "1", kind="group")) == ()


async def test_two_who_ask_for_one_account_in_one_batch_the_first_gets_it(work: Work) -> None:
    assert list(await work.commit(linked("ann", "t1"), linked("bob", "t1"))) == [("user", "bob")]
    assert (await work.store.owners(TARGET, "user", [tid("t1")]))[tid("t1")].source_id == "ann"


async def test_the_holder_comes_before_the_first(work: Work) -> None:
    await work.commit(linked("ann", "t1"))
    ann = await work.record("ann")
    assert list(await work.commit(linked("bob", "t1"), ann)) == [("user", "bob")]


async def test_an_account_given_up_in_the_same_batch_is_free(work: Work) -> None:
    await work.commit(linked("ann-old", "t1"))
    old = await work.record("ann-old")
    assert await work.commit(linked("ann-new", "t1"), replace(old, link=None, verdict=Verdict.GONE)) == ()
    assert (await work.record("ann-old")).link is None
    assert await work.store.links_of(work.id, "user", ids("ann-new")) == {"ann-new": "t1"}


async def test_an_account_of_somebody_forgotten_in_the_same_batch_is_free(work: Work) -> None:
    await work.commit(linked("ann-old", "t1"))
    assert await work.commit(linked("ann-new", "t1"), forget=[("user", sid("ann-old"))]) == ()
    assert await work.store.links_of(work.id, "user", ids("ann-new", "ann-old")) == {"ann-new": "t1"}


async def test_two_swap_their_accounts(work: Work) -> None:
    await work.commit(linked("ann", "t1"), linked("bob", "t2"))
    ann, bob = await work.record("ann"), await work.record("bob")
    ann.link, bob.link = bob.link, ann.link
    assert await work.commit(ann, bob) == ()
    assert await work.store.links_of(work.id, "user", ids("ann", "bob")) == {"ann": "t2", "bob": "t1"}


async def test_who_is_refused_keeps_what_she_held_and_so_refuses_the_next(work: Work) -> None:
    await work.commit(linked("ann", "t1"), linked("bob", "t2"))
    ann = await work.record("ann")
    assert ann.link is not None
    ann.link = replace(ann.link, target_id=tid("t2"))
    refused = await work.commit(linked("eve", "t1"), ann)
    assert sorted(refused) == [("user", "ann"), ("user", "eve")]
    assert await work.store.links_of(work.id, "user", ids("ann", "bob", "eve")) == {"ann": "t1", "bob": "t2"}


# --- batches -----------------------------------------------------------------------------------------------------


async def test_the_last_state_of_an_entry_in_a_batch_counts(work: Work) -> None:
    first, last = linked("ann", "t1", why="first"), linked("ann", "t1", why="last")
    await work.commit(first, last)
    assert (await work.record("ann")).why == "last"
    assert first.row_id == last.row_id == (await work.record("ann")).row_id


async def test_a_record_without_its_number_finds_its_row(work: Work) -> None:
    await work.commit(linked("ann", "t1"))
    again = linked("ann", "t1", why="again")
    await work.commit(again)
    assert again.row_id == (await work.record("ann")).row_id
    assert (await work.record("ann")).why == "again"


async def test_a_record_whose_row_was_forgotten_meanwhile_is_written_anew(work: Work) -> None:
    await work.commit(linked("ann", "t1"), linked("bob", "t2"))
    ann, bob = await work.record("ann"), await work.record("bob")
    await work.commit(forget=[("user", sid("ann"))])
    old = ann.row_id
    await work.commit(ann, bob)
    assert ann.row_id is not None
    assert old is not None
    assert ann.row_id > old, "row numbers are never used again"
    assert await work.store.links_of(work.id, "user", ids("ann", "bob")) == {"ann": "t1", "bob": "t2"}


async def test_a_batch_is_written_whole_or_not_at_all(work: Work) -> None:
    broken = linked("bob", "t2")
    broken.why = None  # type: ignore[assignment]  # because the database is to refuse it
    ann = linked("ann", "t1")
    with pytest.raises(StateError, match="refused a row") as refusal:
        await work.commit(ann, broken, log=[logged("ann")])
    assert "bob" not in str(refusal.value)
    assert ann.row_id is None
    assert await work.store.records(work.id, "user", ids("ann", "bob")) == {}
    await work.commit(ann)
    assert (await work.record("ann")).row_id == ann.row_id


async def test_an_overtaken_cycle_writes_nothing_more(work: Work, store: SqlStore) -> None:
    before = work.state
    await work.next_cycle()
    assert work.state.epoch == before.epoch + 1
    with pytest.raises(StateError, match="overtaken"):
        await store.commit(before.job_id, before.epoch, Batch(records=[linked("ann", "t1")]))
    with pytest.raises(StateError, match="overtaken"):
        await store.close_cycle(before.job_id, before.epoch, watermark="w", rules="r", summary={}, now=2.0)
    assert await store.records(work.id, "user", ids("ann")) == {}
    await work.next_cycle()
    assert (work.state.watermark, work.state.completed_rules) == (None, None)


async def test_unsettled_gives_who_has_no_fingerprint_and_is_not_gone(work: Work) -> None:
    await work.commit(
        linked("settled", "t1", fingerprint=print_of("a")),
        linked("again", "t2", fingerprint=None),
        unlinked("unknown", verdict=Verdict.UNKNOWN),
        unlinked("gone", verdict=Verdict.GONE),
        unlinked("g", kind="group"),
    )
    first = await work.store.unsettled(work.id, "user", 0, 1)
    assert [record.source_id for record in first] == ["again"]
    rest = await work.store.unsettled(work.id, "user", first[0].row_id or 0, 9)
    assert [record.source_id for record in rest] == ["unknown"]


async def test_meet_marks_whom_the_source_still_has_and_returns_who_is_new_or_was_gone(work: Work) -> None:
    await work.commit(linked("here", "t1"), linked("absent", "t2"), unlinked("back", verdict=Verdict.GONE))
    await work.next_cycle()
    seen = work.seen()
    assert await work.store.meet(work.id, "user", [sid("new"), sid("here"), sid("back")], seen) == ["new", "back"]
    missed = await work.store.unseen(work.id, "user", seen, work.state.ceiling, 0, 9)
    assert [record.source_id for record in missed] == ["absent"]


async def test_members_of_changed_groups_are_unsettled_where_that_is_asked_for(work: Work) -> None:
    everybody = [linked(name, f"t-{name}", fingerprint=print_of(name)) for name in ("ann", "bob", "carl")]
    await work.commit(*everybody)
    group = GroupMembers(sid("g"), "G", [sid("ann"), sid("bob")])
    await work.store.stage_memberships(work.id, [group], additive=False)
    assert await work.store.unsettled(work.id, "user", 0, 9) == []
    group = GroupMembers(sid("g"), "G", [sid("ann"), sid("carl")])
    await work.store.stage_memberships(work.id, [group], additive=False, look_again=True)
    assert {r.source_id for r in await work.store.unsettled(work.id, "user", 0, 9)} == {"bob", "carl"}
    await work.store.drop_groups(work.id, [], look_again=True)
    assert {r.source_id for r in await work.store.unsettled(work.id, "user", 0, 9)} == {"ann", "bob", "carl"}


async def test_who_names_an_account_that_is_left_behind_is_unsettled(work: Work) -> None:
    async def agreed(source_id: str, agreed: dict[str, Any], kind: Kind = "user") -> None:
        link = Link(tid(f"t-{source_id}"), "created", agreed, linked_at=1.0)
        await work.commit(linked(source_id, "", kind=kind, link=link, fingerprint=print_of("a")))

    await agreed("report", {"manager": "boss", "title": "x"})
    await agreed("several", {"approvers": ["eve", "dan"]})
    await agreed("likeness", {"manager": "boss-2"})
    await agreed("nobody", {})
    await agreed("team", {"owner": "boss"}, kind="group")
    for name, told in (("refused", "'boss' is not there"), ("otherwise", "the title is too long")):
        escrow = Escrow(2, 6.0, "UnprocessableEntity", f"changing a user: 404: {told}")
        await work.commit(linked(name, f"t-{name}", fingerprint=print_of("a"), escrow=escrow, due_at=100.0))
        new = unlinked(f"new-{name}", fingerprint=print_of("a"), escrow=escrow, due_at=100.0)
        await work.commit(new)
    await work.store.unsettle_who_names(work.id, "user", [tid("boss"), tid("dan")])
    named = {"report", "several", "refused", "new-refused"}
    assert {r.source_id for r in await work.store.unsettled(work.id, "user", 0, 9)} == named
    assert await work.store.unsettled(work.id, "group", 0, 9) == []


async def test_where_very_many_accounts_are_left_behind_everybody_who_was_refused_is_unsettled(work: Work) -> None:
    refused = Escrow(2, 6.0, "UnprocessableEntity", "the title is too long")
    await work.commit(linked("ann", "t1", fingerprint=print_of("a")))
    await work.commit(linked("bob", "t2", fingerprint=print_of("a"), escrow=refused, due_at=100.0))
    left_behind = [tid(f"boss-{number}") for number in range(101)]
    await work.store.unsettle_who_names(work.id, "user", left_behind[1:])
    assert await work.store.unsettled(work.id, "user", 0, 9) == []
    await work.store.unsettle_who_names(work.id, "user", left_behind)
    assert [record.source_id for record in await work.store.unsettled(work.id, "user", 0, 9)] == ["bob"]


async def test_who_names_an_account_that_its_entry_has_no_more_is_unsettled_when_that_is_asked_for(
    work: Work, store: SqlStore
) -> None:
    async def report(to: str, of: Work = work) -> None:
        link = Link(tid(f"t-of-{to}"), "created", {"manager": f"t-{to}", "title": "x"}, linked_at=1.0)
        await of.commit(linked(f"of-{to}", "", link=link, fingerprint=print_of("a")))

    async def unsettled() -> set[str]:
        await store.unsettle_who_names_one_let_go(work.id, ["user"])
        return {record.source_id for record in await store.unsettled(work.id, "user", 0, 99)}

    others = await open_work(store, "desk")
    bosses = ["stays", "deleted", "anew", "by-hand", "passed", 'o"d\\d']
    for boss in bosses:
        await work.commit(linked(boss, f"t-{boss}", fingerprint=print_of("a")))
        await report(boss)
    await report("deleted", others)
    assert await unsettled() == set()

    has = {boss: await work.record(boss) for boss in bosses}
    await work.commit(replace(has["stays"], why="another one"), replace(has["deleted"], link=None))
    await work.commit(replace(has["anew"], link=Link(tid("t-2"), "created", {}, linked_at=2.0)))
    await work.commit(replace(has['o"d\\d'], link=None))
    await store.link(work.name, "user", sid("by-hand"), tid("t-3"), 3.0)
    await others.commit(unlinked("passed", verdict=Verdict.IN_SCOPE, claims=tid("t-passed")))
    await others.close()
    claim = Claim("desk", "user", sid("passed"), tid("t-passed"), None, SOURCE)
    assert await store.pass_link(work.id, work.state.epoch, "user", sid("passed"), claim, 100.0)
    named = {f"of-{boss}" for boss in bosses if boss != "stays"}
    assert await unsettled() - {"by-hand", "passed"} == named
    assert await store.unsettled(others.id, "user", 0, 99) == [await others.record("passed")]

    [record] = [await work.record("of-anew")]
    await work.commit(replace(record, fingerprint=print_of("a")))
    assert "of-anew" not in await unsettled(), "an account is let go of once"


async def test_who_passes_an_account_on_has_nothing_left_of_it(work: Work, store: SqlStore) -> None:
    other = await open_work(store, "desk")
    await other.commit(unlinked("ann", verdict=Verdict.IN_SCOPE, claims=tid("t-ann")))
    await other.close()
    await work.commit(linked("ann", "t-ann", fingerprint=print_of("a")))
    claim = Claim("desk", "user", sid("ann"), tid("t-ann"), None, SOURCE)
    assert await store.pass_link(work.id, work.state.epoch, "user", sid("ann"), claim, 100.0)
    mine, theirs = await work.record("ann"), await other.record("ann")
    assert (mine.link, mine.attempted_match, mine.fingerprint) == (None, (), None)
    assert theirs.link is not None
    assert (theirs.link.target_id, theirs.link.agreed, theirs.claims) == (tid("t-ann"), {"userName": "ann"}, None)
