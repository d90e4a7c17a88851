"""Ranges of members and pages that are not asked for: what real domain controllers do and Samba does not."""

from __future__ import annotations

import pytest

from reconciler.core.model import SourceId
from reconciler.ports import Wanted
from reconciler.runtime.clock import SystemClock
from tests.servers.ranges import BASE, Controller, running_controller
from tests.sources.contract import Seen, read

pytest.importorskip("ldap", reason="python-ldap is not installed (make ldap)")

from reconciler.sources.ldap import LdapSource
from reconciler.sources.ldap_layout import Changes, Layout, Place
from reconciler.sources.ldap_refusals import Address, Refused
from reconciler.sources.ldap_wire import SimpleBind, Wire

LAYOUT = Layout(
    Place(BASE, "(objectClass=user)"),
    Place(BASE, "(objectClass=group)"),
    active_directory=True,
    anchor="objectGUID",
)
ALL = Wanted(frozenset({"cn"}), frozenset({"cn"}), groups=True, memberships=True)
BIND = SimpleBind("reader", lambda: "secret")


async def seen_of(controller: Controller, *, changes: Changes = "none", since: str | None = None) -> Seen:
    source = LdapSource(
        "staff", Address(f"ldap://127.0.0.1:{controller.port}"), BIND, LAYOUT, changes=changes, clock=SystemClock()
    )
    try:
        return await read(source, ALL, since)
    finally:
        await source.close()


@pytest.mark.parametrize("people", [1, 1500, 1501, 3000, 4321])
async def test_members_of_every_range_are_members(people: int) -> None:
    with running_controller(people) as controller:
        seen = await seen_of(controller)
    [group] = seen.members.values()
    assert seen.complete
    assert list(group.members) == [SourceId(str(guid)) for guid, _ in controller.users]
    assert seen.users.keys() == set(group.members), "and a page has no more than 1,000 of them"
    assert len(controller.ranges) == (people - 1) // 1500


async def test_a_group_that_goes_away_between_two_ranges_takes_nobody_out() -> None:
    with running_controller(4000) as controller:
        controller.stops_after = 1
        seen = await seen_of(controller)
    assert not seen.members
    assert not seen.ends["memberships"].complete
    assert seen.ends["user"].complete


def test_a_search_without_pages_is_cut_off_and_says_so() -> None:
    with running_controller(1001) as controller:
        wire = Wire(Address(f"ldap://127.0.0.1:{controller.port}"), BIND)
        [answer] = wire.search(BASE, "(objectClass=user)", ["objectGUID"])
        wire.close()
    assert isinstance(answer, Refused)
    assert answer.code == 4


@pytest.mark.parametrize("at", ["uSNChanged", "group", "user"])
async def test_a_reading_is_of_one_controller_from_its_beginning_to_its_end(at: str) -> None:
    """Behind one name for several, whoever answers after a break may not have heard yet of what was read before."""
    with running_controller(3) as controller:
        token = (await seen_of(controller, changes="search")).token
        controller.breaks_at, controller.is_one_of_two = at, True
        mixed = await seen_of(controller, changes="search", since=token if at == "uSNChanged" else None)
        assert not mixed.complete and not mixed.users and not mixed.groups
        assert "another domain controller answers" in mixed.ends["group"].problems[-1]
        other = await seen_of(controller, changes="search", since=token)
        assert other.complete and not other.is_delta, "the token is none of its own"


async def test_a_controller_that_is_found_again_after_a_break_goes_on() -> None:
    with running_controller(3) as controller:
        token = (await seen_of(controller, changes="search")).token
        controller.breaks_at = "uSNChanged"
        seen = await seen_of(controller, changes="search", since=token)
    assert seen.complete and not seen.is_delta and len(seen.users) == 3
