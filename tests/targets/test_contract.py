"""What every Target promises, checked against the double, and against two servers that nobody here wrote."""

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest

from reconciler.core.model import Change, Kind, Resource, TargetId
from reconciler.core.outcomes import Account, Done, Failed, Fault, Found, ListEnd, MembersDone, Missing
from reconciler.core.profile import Profile
from tests.servers.patching import members_named
from tests.servers.real import RealScimServer
from tests.servers.schemas import ENTERPRISE
from tests.servers.scim import ScimServer
from tests.targets.opening import (
    DEPARTMENT,
    MANAGER,
    PROFILE,
    PUT_PROFILE,
    WORK_MAIL,
    Opened,
    created,
    opened,
    opened_by_description,
)

ANN: Resource = {
    "userName": "ann@example.com",
    "externalId": "e-1",
    "active": True,
    "displayName": "Ann Beck",
    "title": "Agent",
    "name.givenName": "Ann",
    "name.familyName": "Beck",
    WORK_MAIL: "ann@example.com",
    DEPARTMENT: "Sales",
}
NOBODY = TargetId("nobody-has-this-id")


@pytest.fixture(params=["double", "scim2-server", "scimmy"])
def served(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture
async def server(served: str, request: pytest.FixtureRequest) -> AsyncIterator[ScimServer | RealScimServer]:
    if served == "double":
        async with ScimServer() as double:
            yield double
        return
    real: RealScimServer = request.getfixturevalue("scimmy_server" if served == "scimmy" else "real_scim_server")
    yield real


async def found(at: Opened, served: str, kind: Kind, path: str, value: str) -> Found | Failed:
    """Return whom a question finds; at scimmy, whose filters regard case and know no escapes, whom its list shows."""
    answer = await at.target.find(kind, path, value)
    if served != "scimmy" or (isinstance(answer, Found) and answer.accounts):
        return answer
    assert isinstance(answer, Found) or answer.fault is Fault.UNSUPPORTED
    accounts, end = await at.listed(kind)
    assert end == ListEnd(complete=True)
    return Found(tuple(each for each in accounts if str(each.resource.get(path)).lower() == value.lower()))


@pytest.fixture(params=["patch", "put", "described"])
async def at(server: ScimServer | RealScimServer, request: pytest.FixtureRequest) -> AsyncIterator[Opened]:
    if request.param == "described":
        async with opened_by_description(server) as target:
            yield target
        return
    profile: Profile = PROFILE if request.param == "patch" else PUT_PROFILE
    async with opened(server, replace(profile, page_size=7)) as target:
        yield target


async def test_who_was_created_is_found_whatever_the_case_of_the_name(at: Opened, served: str) -> None:
    account = await at.user("Ann@Example.com")
    await at.user("bea@example.com")
    assert await at.target.find("user", "userName", "Ann@Example.com") == Found((account,))
    assert await found(at, served, "user", "userName", "ann@eXample.com") == Found((account,))


async def test_a_created_account_is_as_it_was_wanted(at: Opened) -> None:
    done = await at.target.create("user", ANN)
    assert isinstance(done, Done)
    assert done.account is not None
    assert done.account.resource == ANN
    assert await at.target.get("user", done.account.id) == done.account
    shown = await at.shown("user", done.account.id)
    assert shown["emails"] == [{"type": "work", "value": "ann@example.com"}]
    assert shown["active"] is True
    assert shown[ENTERPRISE] == {"department": "Sales"}


@pytest.mark.parametrize(
    ("path", "value"),
    [("externalId", "e-1"), (WORK_MAIL, "ANN@example.com"), ("name.familyName", "beck"), (DEPARTMENT, "sales")],
)
async def test_an_account_is_found_by_other_attributes(at: Opened, served: str, path: str, value: str) -> None:
    account = await at.user(**{name: each for name, each in ANN.items() if name != "userName"})
    await at.user("bea@example.com", **{"name.familyName": "Beckett", DEPARTMENT: "Sales West", "externalId": "E-1"})
    assert await found(at, served, "user", path, value) == Found((account,))


async def test_nobody_one_and_several_are_three_answers(at: Opened) -> None:
    ids = {(await at.user(f"u{n}", title="Lead" if n else "Head")).id for n in range(3)}
    for title, many in (("Chief", 0), ("Head", 1), ("Lead", 2)):
        answer = await at.target.find("user", "title", title)
        assert isinstance(answer, Found)
        assert len(answer.accounts) == many
        assert {account.id for account in answer.accounts} <= ids


@pytest.mark.parametrize(
    "name",
    [
        "o'neill@example.com",
        'the "boss"',
        "back\\slash",
        'both \\" of them',
        "山田 太郎",
        "Zoë Ångström",
        "🙂👩‍👩‍👧@example.com",
        "a+b&c=d#e%20f?g/h;i",
        "(x) or userName pr",
    ],
)
async def test_any_name_is_created_found_and_renamed(at: Opened, served: str, name: str) -> None:
    account = await at.user(name)
    assert await found(at, served, "user", "userName", name) == Found((account,))
    group = await at.group(name)
    assert await found(at, served, "group", "displayName", name) == Found((group,))
    done = await at.target.update("user", account.id, [Change("userName", name, f"{name} 2")], account.resource)
    assert isinstance(done, Done)
    assert await found(at, served, "user", "userName", name) == Found(())
    assert (await at.shown("user", account.id))["userName"] == f"{name} 2"


async def test_a_name_that_is_taken_is_a_conflict(at: Opened) -> None:
    await at.user("ann@example.com")
    second = await at.target.create("user", {"userName": "ANN@example.com"})
    assert isinstance(second, Failed)
    assert second.fault is Fault.CONFLICT


async def test_a_rename_to_a_name_that_is_taken_is_a_conflict(at: Opened) -> None:
    await at.user("ann@example.com")
    bea = await at.user("bea@example.com")
    change = Change("userName", "bea@example.com", "Ann@example.com")
    outcome = await at.target.update("user", bea.id, [change], bea.resource)
    assert isinstance(outcome, Failed)
    assert outcome.fault is Fault.CONFLICT
    assert (await at.shown("user", bea.id))["userName"] == "bea@example.com"


UPDATES: list[tuple[str, list[Change]]] = [
    ("a simple value", [Change("title", "Agent", "Lead")]),
    ("a value in another case", [Change("title", "Agent", "AGENT")]),
    ("a value where there was none", [Change('phoneNumbers[type eq "mobile"].value', None, "+49 30 1")]),
    ("part of a complex value", [Change("name.givenName", "Ann", "Anne")]),
    ("a filtered value", [Change(WORK_MAIL, "ann@example.com", "anne@example.com")]),
    ("an extension's value", [Change(DEPARTMENT, "Sales", "R&D")]),
    ("a value more of an extension", [Change(f"{ENTERPRISE}:costCenter", None, "C1")]),
    ("nothing any more", [Change("title", "Agent", None)]),
    ("part of a complex value is nothing any more", [Change("name.givenName", "Ann", None)]),
    ("no filtered value any more", [Change(WORK_MAIL, "ann@example.com", None)]),
    ("no extension's value any more", [Change(DEPARTMENT, "Sales", None)]),
    ("disabled", [Change("active", True, False)]),
    (
        "all at once",
        [
            Change("active", True, False),
            Change("userName", "ann@example.com", "anne@example.com"),
            Change(WORK_MAIL, "ann@example.com", "anne@example.com"),
            Change('phoneNumbers[type eq "mobile"].value', None, "+49 30 1"),
            Change(DEPARTMENT, "Sales", None),
            Change("title", "Agent", None),
            Change("name.familyName", "Beck", "Carr"),
        ],
    ),
]


@pytest.mark.parametrize(("what", "changes"), UPDATES, ids=[each[0] for each in UPDATES])
async def test_an_update_does_this_and_nothing_else(at: Opened, what: str, changes: list[Change]) -> None:
    account = await at.user(**{name: each for name, each in ANN.items() if name != "userName"})
    await at.ask.patch(f"/Users/{account.id}", {"op": "add", "path": "nickName", "value": "Annie"})
    other = {"op": "add", "path": "emails", "value": [{"type": "home", "value": "ann@home.example"}]}
    await at.ask.patch(f"/Users/{account.id}", other)
    before = await at.shown("user", account.id)
    done = await at.target.update("user", account.id, changes, account.resource)
    assert isinstance(done, Done), done
    after = await at.target.get("user", account.id)
    assert isinstance(after, Account)
    wanted: dict[str, Any] = {**ANN, **{change.path: change.new for change in changes}}
    wanted.pop(f"{ENTERPRISE}:costCenter", None)
    assert after.resource == {path: value for path, value in wanted.items() if value is not None}
    if done.account is not None:
        assert done.account == after
    shown = await at.shown("user", account.id)
    assert shown["nickName"] == "Annie"
    assert {"type": "home", "value": "ann@home.example"} in shown["emails"]
    assert shown["id"] == before["id"]


async def test_disabled_and_enabled_again(at: Opened) -> None:
    account = await at.user(active=True)
    for value in (False, True):
        change = Change("active", not value, value)
        assert isinstance(await at.target.update("user", account.id, [change], account.resource), Done)
        assert (await at.shown("user", account.id))["active"] is value
    assert await at.target.find("user", "userName", "ann@example.com") == Found((account,))


async def test_a_manager_comes_changes_and_goes(at: Opened) -> None:
    ann, bea, cleo = [await at.user(f"{name}@example.com") for name in ("ann", "bea", "cleo")]
    now: TargetId | None = None
    for manager in (bea.id, cleo.id, None):
        agreed = ann.resource if now is None else {**ann.resource, MANAGER: now}
        done = await at.target.update("user", ann.id, [Change(MANAGER, now, manager)], agreed)
        assert isinstance(done, Done), done
        account = await at.target.get("user", ann.id)
        assert isinstance(account, Account)
        assert account.resource.get(MANAGER) == manager
        now = manager


async def test_deleted_is_missing(at: Opened) -> None:
    account = await at.user()
    group = await at.group()
    assert isinstance(await at.target.delete("user", account.id), Done)
    assert isinstance(await at.target.delete("group", group.id), Done)
    assert await at.target.get("user", account.id) == Missing()
    assert await at.target.delete("user", account.id) == Missing()
    assert await at.target.delete("group", group.id) == Missing()
    assert await at.target.members(group.id) == Missing()
    assert await at.target.find("user", "userName", "ann@example.com") == Found(())


async def test_what_is_not_there_cannot_be_changed(at: Opened) -> None:
    change = Change("title", None, "Lead")
    outcome = await at.target.update("user", NOBODY, [change], {"userName": "ann@example.com"})
    assert isinstance(outcome, Failed)
    assert outcome.fault is Fault.NOT_FOUND
    assert await at.target.get("user", NOBODY) == Missing()
    refused = await at.target.change_members(NOBODY, [TargetId("1")], [])
    assert isinstance(refused, Failed)
    assert refused.fault is Fault.NOT_FOUND


async def test_a_listing_of_several_pages_is_whole(at: Opened) -> None:
    ids = {(await at.user(f"user{n:02}", title="Agent")).id for n in range(23)}
    accounts, end = await at.listed("user")
    assert end == ListEnd(complete=True)
    assert [account.id for account in accounts].count(accounts[0].id) == 1
    assert {account.id for account in accounts} == ids
    assert {account.resource["title"] for account in accounts} == {"Agent"}
    assert at.target.requests["GET"] >= 4


async def test_a_listing_of_nothing_is_whole(at: Opened) -> None:
    for kind in ("user", "group"):
        assert await at.listed(kind) == ([], ListEnd(complete=True))


async def test_a_group_is_created_empty_renamed_and_deleted(at: Opened, served: str) -> None:
    user = await at.user()
    done = await at.target.create("group", {"displayName": "Sales", "members": [user.id]})
    assert isinstance(done, Done)
    assert done.account is not None
    group = done.account
    assert await at.target.members(group.id) == frozenset()
    renamed = Change("displayName", "Sales", "Sales & more")
    assert isinstance(await at.target.update("group", group.id, [renamed], group.resource), Done)
    assert (await at.shown("group", group.id))["displayName"] == "Sales & more"
    renamed_group = await found(at, served, "group", "displayName", "SALES & MORE")
    assert isinstance(renamed_group, Found)
    assert [account.id for account in renamed_group.accounts] == [group.id]


async def test_members_come_in_batches_and_go_again(
    at: Opened, served: str, server: ScimServer | RealScimServer
) -> None:
    ids = [(await at.user(f"user{n:03}")).id for n in range(250)]
    stays = (await at.user("stays")).id
    group = await at.group()
    await at.ask.patch(f"/Groups/{group.id}", {"op": "add", "path": "members", "value": [{"value": stays}]})
    done = await at.target.change_members(group.id, ids, [])
    assert isinstance(done, MembersDone)
    assert (set(done.done), done.refused) == (set(ids), {})
    assert await at.target.members(group.id) == frozenset({*ids, stays})
    again = await at.target.change_members(group.id, ids[:5], ids[5:130])
    assert isinstance(again, MembersDone)
    assert (set(again.done), again.refused) == (set(ids[:130]), {})
    left = frozenset({*ids[:5], *ids[130:], stays})
    assert await at.target.members(group.id) == left
    assert {each["value"] for each in (await at.shown("group", group.id))["members"]} == left
    if served != "scimmy":  # which lists a member as often as it is added
        assert len((await at.shown("group", group.id))["members"]) == len(left)
    if isinstance(server, ScimServer):
        patches = [seen for seen in server.sent("PATCH") if seen.path.startswith("/Groups")][1:]
        assert all(members_named(each.body) <= 100 for each in patches)
        assert len(patches) <= 3 + 3


async def test_removing_who_is_no_member_is_done(at: Opened) -> None:
    ann, bea = (await at.user("ann")).id, (await at.user("bea")).id
    group = await at.group()
    await at.target.change_members(group.id, [ann], [])
    done = await at.target.change_members(group.id, [], [bea, ann])
    assert isinstance(done, MembersDone)
    assert (set(done.done), done.refused) == ({ann, bea}, {})
    assert await at.target.members(group.id) == frozenset()


async def test_an_attribute_that_the_target_does_not_know_is_named(at: Opened, served: str) -> None:
    outcome = await at.target.create("user", {"userName": "ann@example.com", "favouriteColour": "Vermilion"})
    if served == "scimmy":  # it drops what it does not know, and shows that
        assert created(outcome).resource == {"userName": "ann@example.com"}
        return
    assert isinstance(outcome, Failed)
    assert (outcome.fault, outcome.attribute) == (Fault.INVALID, "favouriteColour")
    assert "Vermilion" not in outcome.reason


async def test_requests_are_counted_by_method(at: Opened) -> None:
    account = await at.user()
    before = dict(at.target.requests)
    await at.target.get("user", account.id)
    await at.target.delete("user", account.id)
    after = dict(at.target.requests)
    assert after["GET"] - before.get("GET", 0) == 1
    assert after["DELETE"] == 1
    assert after["POST"] == 1


async def test_a_connection_test_passes_and_changes_nothing(at: Opened, server: ScimServer | RealScimServer) -> None:
    diagnoses = await at.target.test()
    assert diagnoses
    assert all(diagnosis.ok for diagnosis in diagnoses), diagnoses
    assert (await at.ask("GET", "/Users")).body["totalResults"] == 0
    assert at.target.requests.keys() <= {"GET"}


async def test_a_wrong_token_is_told_apart(server: ScimServer | RealScimServer) -> None:
    async with opened(server, read_token=lambda: "wrong") as at:
        outcome = await at.target.create("user", {"userName": "ann@example.com"})
        assert isinstance(outcome, Failed)
        assert outcome.fault is Fault.UNAUTHORIZED
        assert isinstance(await at.target.find("user", "userName", "ann@example.com"), Failed)
        assert not all(diagnosis.ok for diagnosis in await at.target.test())
