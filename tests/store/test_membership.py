"""Who is in which group: as the source says it, and what the target lacks of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from reconciler.core.model import SourceId
from reconciler.core.records import Record, Verdict
from reconciler.ports import GroupMembers, MemberDelta
from tests.store.scenes import Work, ids, linked, sid, tid, unlinked


def group(group_id: str, *members: str, name: str = "", **fields: Any) -> GroupMembers:
    return GroupMembers(sid(group_id), name or group_id.upper(), ids(*members), **fields)


def part(group_id: str, add: Sequence[str] = (), remove: Sequence[str] = (), name: str = "") -> GroupMembers:
    return GroupMembers(sid(group_id), name or group_id.upper(), ids(*add), removed=ids(*remove), partial=True)


async def stage(work: Work, *groups: GroupMembers, additive: bool = False) -> set[SourceId]:
    return set(await work.store.stage_memberships(work.id, groups, additive=additive))


async def who_is_in(work: Work, group_id: str, *asked: str, nested: bool = False) -> set[str]:
    of = await work.store.memberships(work.id, ids(*asked), ids(group_id), nested=nested)
    return {member for member, groups in of.items() if groups}


# --- as the source says it ---------------------------------------------------------------------------------------


async def test_whose_groups_changed_is_told(work: Work) -> None:
    assert await stage(work, group("g", "ann", "bob"), group("h", "bob")) == {"ann", "bob"}
    assert await stage(work, group("g", "bob", "ann"), group("h", "bob")) == set()
    assert await stage(work, group("g", "bob", "eve"), group("h", "bob")) == {"ann", "eve"}
    assert await who_is_in(work, "g", "ann", "bob", "eve") == {"bob", "eve"}


async def test_a_list_as_it_was_writes_nothing(work: Work) -> None:
    await work.commit(linked("g", "t-g", kind="group"))
    await stage(work, group("g", "ann"))
    await work.commit(groups_settled=ids("g"))
    assert await work.store.dirty_groups(work.id, "", 9) == []
    assert await stage(work, group("g", "ann", "ann")) == set()
    assert await work.store.dirty_groups(work.id, "", 9) == []
    assert await stage(work, group("g")) == {"ann"}
    assert await work.store.dirty_groups(work.id, "", 9) == ["g"]


async def test_parts_of_a_list_add_and_remove(work: Work) -> None:
    await stage(work, group("g", "ann", "bob", "eve"))
    assert await stage(work, part("g", add=["dan", "ann"], remove=["bob", "nobody"])) == {"dan", "bob"}
    assert await who_is_in(work, "g", "ann", "bob", "dan", "eve") == {"ann", "dan", "eve"}
    assert await stage(work, part("g", add=["bob"]), part("g", remove=["bob", "eve"])) == {"bob", "eve"}
    assert await who_is_in(work, "g", "ann", "bob", "dan", "eve") == {"ann", "dan"}
    # the whole list is compared with what the parts have made
    assert await stage(work, group("g", "ann", "dan")) == set()
    assert await stage(work, group("g", "ann")) == {"dan"}


async def test_a_group_of_which_nothing_is_said_but_that_it_is_there_stays_as_it_is(work: Work) -> None:
    await work.commit(linked("g", "t-g", kind="group"))
    await stage(work, group("g", "ann"))
    await work.commit(groups_settled=ids("g"))
    assert await stage(work, group("g", partial=True, unchanged=True)) == set()
    assert await work.store.mixed_groups(work.id, ids("g")) == set()
    assert await stage(work, group("g", "ann")) == set()
    assert await work.store.dirty_groups(work.id, "", 9) == []
    assert await stage(work, group("g", name="New", partial=True, unchanged=True)) == {"ann"}
    assert await who_is_in(work, "g", "ann") == {"ann"}


async def test_whose_members_are_kept_is_told(work: Work) -> None:
    await stage(work, group("g", "ann"), group("empty"))
    assert await work.store.known_groups(work.id, ids("g", "empty", "never")) == {"g", "empty"}
    await work.store.drop_groups(work.id, ids("empty"))
    assert await work.store.known_groups(work.id, ids("g", "empty", "never")) == {"empty"}


async def test_who_is_both_added_and_removed_stays(work: Work) -> None:
    await stage(work, group("g", "ann"))
    assert await stage(work, part("g", add=["ann"], remove=["ann"])) == set()
    assert await who_is_in(work, "g", "ann") == {"ann"}


async def test_after_an_incomplete_reading_nobody_is_taken_out(work: Work) -> None:
    await stage(work, group("g", "ann", "bob"), group("h", "ann"))
    told = await stage(work, group("g", "bob", "eve"), part("h", remove=["ann"]), additive=True)
    assert told == {"eve", "ann"}, "who would have been taken out is told, too"
    assert await who_is_in(work, "g", "ann", "bob", "eve") == {"ann", "bob", "eve"}
    assert await who_is_in(work, "h", "ann") == {"ann"}
    # the same list, believed now, takes them out
    assert await stage(work, group("g", "bob", "eve")) == {"ann"}
    assert await who_is_in(work, "g", "ann", "bob", "eve") == {"bob", "eve"}


async def test_a_renamed_group_changes_for_all_its_members(work: Work) -> None:
    await stage(work, group("g", "ann", "bob", name="Sales"))
    assert await stage(work, group("g", "ann", "bob", name="Marketing")) == {"ann", "bob"}
    assert await work.store.groups_named(work.id, ["sales", "MARKETING"]) == {"MARKETING": ("g",)}


async def test_who_is_below_a_group_that_came_or_left_changes_with_it(work: Work) -> None:
    await stage(work, group("inner", "ann"), group("outer"))
    assert await stage(work, group("outer", "inner")) == {"inner", "ann"}
    assert await stage(work, group("outer")) == {"inner", "ann"}


async def test_groups_are_found_by_id_and_by_name(work: Work) -> None:
    await stage(work, group("1", name="Straße"), group("2", name="STRASSE"), group("3", name="1"))
    named = await work.store.groups_named(work.id, ["strasse", "1", "2", "nothing"])
    assert named == {"strasse": ("1", "2"), "1": ("1", "3"), "2": ("2",)}
    assert await work.store.groups_named(work.id, []) == {}


async def test_groups_that_a_complete_reading_does_not_show_are_dropped(work: Work) -> None:
    await work.commit(linked("gone", "t-g", kind="group"), linked("ann", "t-ann"))
    await stage(work, group("gone", "ann", "inner"), group("inner", "bob"), group("kept", "ann"))
    await work.commit(groups_settled=ids("gone"))
    assert await work.store.drop_groups(work.id, ids("kept", "inner")) == {"ann", "bob", "inner"}
    assert await who_is_in(work, "gone", "ann") == set()
    assert await who_is_in(work, "kept", "ann") == {"ann"}
    assert await work.store.groups_named(work.id, ["gone", "kept"]) == {"kept": ("kept",)}
    assert await work.store.dirty_groups(work.id, "", 9) == ["gone"]
    assert await work.store.drop_groups(work.id, ids("kept", "inner")) == frozenset()
    assert await stage(work, group("gone", "ann")) == {"ann"}, "it may come back"


async def test_groups_of_which_the_source_says_that_they_are_gone_are_taken_out(work: Work) -> None:
    await stage(work, group("gone", "ann", "inner"), group("inner", "bob"), group("kept", "ann"))
    await work.commit(linked("gone", "t-gone", kind="group"), groups_settled=ids("gone"))
    await work.store.forget_groups(work.id, ids("gone", "never-known"))
    assert await who_is_in(work, "gone", "ann") == set()
    assert await work.store.groups_named(work.id, ["gone", "kept", "never-known"]) == {"kept": ("kept",)}
    assert await work.store.dirty_groups(work.id, "", 9) == ["gone"]
    await work.store.forget_groups(work.id, ids("gone"))
    assert await stage(work, group("gone", "ann")) == {"ann"}, "it may come back"


async def test_memberships_are_given_for_each_who_was_asked_for(work: Work) -> None:
    await stage(work, group("g", "ann", "bob"), group("h", "ann"), group("i", "ann"))
    assert await work.store.memberships(work.id, ids("ann", "bob", "eve"), ids("g", "h", "x"), nested=False) == {
        "ann": {"g", "h"},
        "bob": {"g"},
        "eve": set(),
    }
    assert await work.store.memberships(work.id, ids("ann"), [], nested=True) == {"ann": frozenset()}


async def test_nested_follows_groups_in_groups_and_ends_on_cycles(work: Work) -> None:
    await stage(work, group("top", "middle"), group("middle", "bottom", "bob"), group("bottom", "ann", "top"))
    asked = ids("top", "middle", "bottom")
    assert await work.store.memberships(work.id, ids("ann", "bob"), asked, nested=True) == {
        "ann": {"top", "middle", "bottom"},
        "bob": {"top", "middle", "bottom"},
    }
    assert await work.store.memberships(work.id, ids("ann", "bob"), asked, nested=False) == {
        "ann": {"bottom"},
        "bob": {"middle"},
    }


# --- what the target lacks ---------------------------------------------------------------------------------------


def standing(source_id: str, verdict: Verdict, *, disabled: bool = False) -> Record:
    record = linked(source_id, f"t-{source_id}", verdict=verdict)
    assert record.link is not None
    record.link.disabled_at = 5.0 if disabled else None
    return record


async def delta(work: Work) -> MemberDelta:
    return await work.store.member_delta(work.id, sid("g"))


@pytest.mark.parametrize(
    ("member", "when_absent", "when_there"),
    [
        # member                                             not in the ledger            in the ledger
        (standing("m", Verdict.IN_SCOPE), ("add",), ()),
        (standing("m", Verdict.INACTIVE, disabled=True), ("add",), ()),
        (standing("m", Verdict.INACTIVE), ("add",), ()),
        (standing("m", Verdict.UNKNOWN), ("unresolved",), ()),
        (standing("m", Verdict.NEW), ("unresolved",), ()),
        (standing("m", Verdict.OUT_OF_SCOPE), ("unresolved",), ()),
        (standing("m", Verdict.GONE), ("unresolved",), ()),
        (standing("m", Verdict.OUT_OF_SCOPE, disabled=True), ("unresolved",), ("remove", "unresolved")),
        (standing("m", Verdict.ROLE_LOST, disabled=True), ("unresolved",), ("remove", "unresolved")),
        (standing("m", Verdict.GONE, disabled=True), ("unresolved",), ("remove", "unresolved")),
        (unlinked("m", verdict=Verdict.NEW), ("unresolved",), ("unresolved",)),
        (unlinked("m", verdict=Verdict.UNKNOWN), ("unresolved",), ("unresolved",)),
        (unlinked("m"), ("unresolved",), ("remove", "unresolved")),
        (None, ("unresolved",), ("remove", "unresolved")),
    ],
    ids=lambda value: f"{value.verdict} {value.link and value.link.disabled_at}" if isinstance(value, Record) else None,
)
async def test_a_member_in_the_source(
    work: Work, member: Record | None, when_absent: tuple[str, ...], when_there: tuple[str, ...]
) -> None:
    await stage(work, group("g", "m"))
    await work.commit(*([member] if member else []))

    def shown(expected: tuple[str, ...], *, filled: bool) -> MemberDelta:
        pair = ((sid("m"), tid("t-m")),)
        return MemberDelta(
            add=pair if "add" in expected else (),
            remove=pair if "remove" in expected else (),
            unresolved=(sid("m"),) if "unresolved" in expected else (),
            filled=filled,
        )

    assert await delta(work) == shown(when_absent, filled=False)
    await work.commit(members_added=[(sid("g"), sid("m"), tid("t-m"))])
    assert await delta(work) == shown(when_there, filled=True)


@pytest.mark.parametrize(
    ("member", "removed"),
    [
        (standing("m", Verdict.IN_SCOPE), True),
        (standing("m", Verdict.NEW), True),
        (standing("m", Verdict.UNKNOWN), False),
        (standing("m", Verdict.OUT_OF_SCOPE), False),
        (standing("m", Verdict.GONE, disabled=True), True),
        (unlinked("m", verdict=Verdict.NEW), True),
        (unlinked("m", verdict=Verdict.UNKNOWN), False),
        (unlinked("m"), True),
        (None, True),
    ],
    ids=str,
)
async def test_somebody_in_the_ledger_who_left_the_group(work: Work, member: Record | None, removed: bool) -> None:
    await stage(work, group("g"))
    await work.commit(*([member] if member else []), members_added=[(sid("g"), sid("m"), tid("t-m"))])
    assert await delta(work) == MemberDelta((), ((sid("m"), tid("t-m")),) if removed else (), (), filled=True)


async def test_an_account_made_anew_takes_the_place_of_the_old_one(work: Work) -> None:
    await stage(work, group("g", "ann"))
    await work.commit(linked("ann", "t-new"), members_added=[(sid("g"), sid("ann"), tid("t-old"))])
    add, remove = ((sid("ann"), tid("t-new")),), ((sid("ann"), tid("t-old")),)
    assert await delta(work) == MemberDelta(add, remove, (), filled=True)


async def test_an_account_that_is_found_again_is_added_again(work: Work) -> None:
    await stage(work, group("g", "ann", "bob"))
    pairs = [(sid("g"), sid("ann"), tid("t1")), (sid("g"), sid("bob"), tid("t2"))]
    await work.commit(linked("ann", "t1"), linked("bob", "t2"), members_added=pairs)
    ann = await work.record("ann")
    found, ann.link, ann.verdict = ann.link, None, Verdict.NEW
    await work.commit(ann)
    in_doubt = frozenset({tid("t1")})
    assert await delta(work) == MemberDelta((), (), (sid("ann"),), in_doubt, filled=True)
    ann.link, ann.verdict = found, Verdict.IN_SCOPE
    await work.commit(ann)
    assert await delta(work) == MemberDelta(((sid("ann"), tid("t1")),), (), (), in_doubt, filled=True)


async def test_somebody_without_an_account_hides_nobody_who_is_to_leave(work: Work) -> None:
    await stage(work, group("g", "new", "unknown"))
    await work.commit(
        *(unlinked(verdict.value, verdict=verdict) for verdict in (Verdict.NEW, Verdict.UNKNOWN)),
        standing("ann", Verdict.IN_SCOPE),
        members_added=[(sid("g"), sid("ann"), tid("t-ann"))],
    )
    assert (await delta(work)).remove == ((sid("ann"), tid("t-ann")),)


async def test_an_account_that_went_to_another_entry_stays_a_member(work: Work) -> None:
    await stage(work, group("g", "ann-new"))
    await work.commit(linked("ann-old", "t1"), members_added=[(sid("g"), sid("ann-old"), tid("t1"))])
    left = await work.record("ann-old")
    left.link, left.verdict = None, Verdict.GONE
    await work.commit(left, linked("ann-new", "t1"))
    assert await delta(work) == MemberDelta((), (), (), filled=True)


async def test_a_group_is_a_member_by_its_own_account(work: Work) -> None:
    await stage(work, group("g", "inner"))
    await work.commit(linked("inner", "t-inner", kind="group"))
    assert await delta(work) == MemberDelta(((sid("inner"), tid("t-inner")),), (), ())


async def test_an_id_that_a_user_and_a_group_share_means_the_user(work: Work) -> None:
    await stage(work, group("g", "1"))
    await work.commit(linked("1", "t-group", kind="group"), linked("1", "t-user"))
    assert (await delta(work)).add == ((sid("1"), tid("t-user")),)


async def test_the_ledger_is_what_we_did(work: Work) -> None:
    await work.commit(members_added=[(sid("g"), sid("ann"), tid("t1")), (sid("g"), sid("bob"), tid("t2"))])
    assert await work.store.ledger(work.id, sid("g")) == {"t1": "ann", "t2": "bob"}
    await work.commit(members_removed=[(sid("g"), tid("t1"))], members_added=[(sid("g"), sid("robert"), tid("t2"))])
    assert await work.store.ledger(work.id, sid("g")) == {"t2": "robert"}


async def test_a_group_with_another_account_than_before_starts_with_an_empty_ledger(work: Work) -> None:
    await work.commit(linked("g", "t-old", kind="group"))
    await work.commit(members_added=[(sid("g"), sid("ann"), tid("t1"))], groups_settled=ids("g"))
    again = linked("g", "t-old", kind="group", why="looked at again")
    await work.commit(again)
    assert await work.store.ledger(work.id, sid("g")) == {"t1": "ann"}
    await work.commit(linked("g", "t-new", kind="group"))
    assert await work.store.ledger(work.id, sid("g")) == {}
    assert await work.store.dirty_groups(work.id, "", 9) == ["g"]


async def test_dirty_groups_are_those_with_an_account_in_order(work: Work) -> None:
    groups = ["a", "b", "c", "d"]
    await stage(work, *(group(one, "ann") for one in groups))
    await work.commit(*(linked(one, f"t-{one}", kind="group") for one in groups if one != "b"))
    assert await work.store.dirty_groups(work.id, "", 2) == ["a", "c"]
    assert await work.store.dirty_groups(work.id, "c", 2) == ["d"]
    await work.commit(groups_settled=ids("a", "c"))
    assert await work.store.dirty_groups(work.id, "", 9) == ["d"]
    await work.commit(linked("b", "t-b", kind="group"))
    assert await work.store.dirty_groups(work.id, "", 9) == ["b", "d"], "it waited for its account"


async def test_touching_somebody_soils_her_groups_in_the_source_and_in_the_ledger(work: Work) -> None:
    await stage(work, group("a", "ann"), group("b", "bob"), group("c"))
    await work.commit(
        *(linked(one, f"t-{one}", kind="group") for one in "abc"), members_added=[(sid("c"), sid("ann"), tid("t1"))]
    )
    await work.commit(groups_settled=ids("a", "b", "c"))
    await work.commit(touched=ids("ann", "stranger"))
    assert await work.store.dirty_groups(work.id, "", 9) == ["a", "c"]
    assert set(await work.store.groups_named(work.id, ["a", "b", "c"])) == {"a", "b", "c"}


async def test_a_group_settled_in_the_batch_that_touches_it_is_settled(work: Work) -> None:
    await stage(work, group("a", "ann"))
    await work.commit(linked("a", "t-a", kind="group"))
    await work.commit(touched=ids("ann"), groups_settled=ids("a"))
    assert await work.store.dirty_groups(work.id, "", 9) == []


async def test_who_was_about_to_be_changed_is_in_doubt_until_it_is_known(work: Work) -> None:
    await stage(work, group("g", "ann", "bob"))
    await work.commit(linked("ann", "t1"), linked("bob", "t2"), linked("cleo", "t3"))
    doubted = [(sid("g"), sid(one), tid(account)) for one, account in (("ann", "t1"), ("cleo", "t3"))]
    await work.commit(members_in_doubt=doubted, members_added=[(sid("g"), sid("bob"), tid("t2"))])
    both = frozenset({tid("t1"), tid("t3")})
    add, remove = ((sid("ann"), tid("t1")),), ((sid("cleo"), tid("t3")),)
    assert await delta(work) == MemberDelta(add, remove, (), both, filled=True)
    await work.commit(members_added=[(sid("g"), sid("ann"), tid("t1"))], members_removed=[(sid("g"), tid("t3"))])
    assert await delta(work) == MemberDelta((), (), (), filled=True)
    await work.commit(members_in_doubt=[(sid("g"), sid("ann"), tid("t1")), (sid("g"), sid("bob"), tid("t2"))])
    assert not (await delta(work)).filled


async def test_a_group_that_has_its_account_again_has_its_ledger_again(work: Work) -> None:
    await work.commit(linked("g", "t-old", kind="group"))
    await work.commit(members_added=[(sid("g"), sid("ann"), tid("t1"))], groups_settled=ids("g"))
    await work.commit(unlinked("g", kind="group", verdict=Verdict.IN_SCOPE))
    await work.commit(linked("g", "t-old", kind="group"))
    assert await work.store.ledger(work.id, sid("g")) == {"t1": "ann"}
    assert await work.store.dirty_groups(work.id, "", 9) == ["g"]
    await work.commit(unlinked("g", kind="group", verdict=Verdict.IN_SCOPE))
    await work.commit(linked("g", "t-new", kind="group"))
    assert await work.store.ledger(work.id, sid("g")) == {}


async def test_a_group_that_has_left_leaves_no_ledger(work: Work) -> None:
    await work.commit(linked("g", "t-old", kind="group"))
    await work.commit(members_added=[(sid("g"), sid("ann"), tid("t1"))])
    await work.commit(unlinked("g", kind="group", verdict=Verdict.GONE))
    assert await work.store.ledger(work.id, sid("g")) == {}
