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
from reconciler.sources.ldap_layout import Layout, Place
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


async def seen_of(controller: Controller) -> Seen:
    source = LdapSource(
        "staff", Address(f"ldap://127.0.0.1:{controller.port}"), BIND, LAYOUT, changes="none", clock=SystemClock()
    )
    try:
        return await read(source, ALL)
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
