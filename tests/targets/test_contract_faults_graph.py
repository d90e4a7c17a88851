"""What a Target promises still holds while things go wrong at Microsoft Graph; time passes when the target sleeps.

What is not here, and why: a server that closes idle connections, calls in flight, a server that is away (they are of
the client, which all targets share: test_contract_faults); a Retry-After as a date (Graph sends seconds); replicas
that do not know somebody yet, taken names, lost batches (test_graph); a filter that lies (each row is compared again:
test_graph), or is refused (Graph documents which properties can be asked by).
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import anyio
import pytest

from reconciler.core.model import Change, TargetId
from reconciler.core.outcomes import Account, Done, Failed, Fault, Found, ListEnd, ListPage, MembersDone, Missing
from tests.servers.faults import (
    FOR_EVER,
    CutBody,
    Delay,
    Drop,
    DropAfterCommit,
    ErrorInside200,
    ServerFault,
    Status,
    Throttle,
    Unauthorized,
    WrongJson,
)
from tests.servers.graph import GraphServer
from tests.targets.test_graph import Opened, person, target_of

pytestmark = pytest.mark.looptime
HTML = Status(200, {"Content-Type": "text/html"}, b"<!DOCTYPE html><title>Sign in</title>")
BROKEN = [Drop(), DropAfterCommit(), CutBody(), Status(500), Status(500, done=True), Throttle(3)]
LEAD = [Change("jobTitle", None, "Lead")]


@pytest.fixture
async def at() -> AsyncIterator[Opened]:
    async with GraphServer() as server:
        opened = target_of(server)
        yield opened
        await opened.target.close()


async def listed(at: Opened) -> tuple[list[str], ListEnd | Failed]:
    ids: list[str] = []
    async for event in at.target.listing("user"):
        if not isinstance(event, ListPage):
            return ids, event
        ids += [account.id for account in event.accounts]
    raise AssertionError("a listing has an end")


def people(at: Opened, count: int) -> list[str]:
    return [at.server.tenant.put(f"u{number:02}@example.com") for number in range(count)]


# --- waiting -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [429, 503])
async def test_retry_after_is_kept(at: Opened, status: int) -> None:
    at.server.script.on("POST", "/users$", then=Throttle(17, status=status))
    await at.user("ann")
    assert max(at.clock.slept) >= 17
    assert len(at.server.tenant.users) == 1


async def test_a_429_that_does_not_say_how_long_is_waited_for_too(at: Opened) -> None:
    at.server.script.on("POST", "/users$", then=Throttle(None), times=2)
    await at.user("ann")
    assert len(at.server.tenant.users) == 1


async def test_a_long_wait_is_left_to_the_caller(at: Opened) -> None:
    at.server.script.on("POST", "/users$", then=Throttle(7200), times=FOR_EVER)
    outcome = await at.target.create("user", person("ann"))
    assert isinstance(outcome, Failed)
    assert outcome.fault is Fault.THROTTLED
    assert outcome.wait_seconds is not None
    assert outcome.wait_seconds >= 7000
    assert sum(at.clock.slept) < 600


# --- reading -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "fault", [Status(500), Status(502, body=b"<html>bad gateway</html>"), Drop(), CutBody(), WrongJson(), Throttle(2)]
)
async def test_reading_is_tried_again_or_fails_but_never_says_nobody(at: Opened, fault: ServerFault) -> None:
    (ann,) = people(at, 1)
    at.server.script.on("GET", "/users$", then=fault)
    found = await at.target.find("user", "userPrincipalName", "u00@example.com")
    if isinstance(found, Found):
        assert [account.id for account in found.accounts] == [ann]
    else:
        assert isinstance(fault, WrongJson)
        assert found.fault is Fault.NOT_SCIM


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (HTML, Fault.NOT_SCIM),
        (Status(200, body={}), Fault.NOT_SCIM),
        (Status(200, body=[]), Fault.NOT_SCIM),
        (Status(200, body={"value": {}}), Fault.NOT_SCIM),
        (Status(200, body={"value": ["somebody"]}), Fault.NOT_SCIM),
        (Status(200, body={"values": []}), Fault.NOT_SCIM),
        (Status(204, body=b""), Fault.NOT_SCIM),
        (Status(302, {"Location": "http://127.0.0.1:1/elsewhere"}, b""), Fault.NOT_SCIM),
        (Status(404), Fault.NOT_SCIM),
        (Status(403), Fault.FORBIDDEN),
        (Status(401), Fault.UNAUTHORIZED),
        (ErrorInside200(403), Fault.NOT_SCIM),
        (Status(500), Fault.SERVER_ERROR),
    ],
)
async def test_an_answer_that_is_no_list_is_never_an_empty_one(at: Opened, fault: ServerFault, expected: Fault) -> None:
    (ann,) = people(at, 1)
    at.server.script.on("GET", "/users", then=fault, times=FOR_EVER)
    found = await at.target.find("user", "userPrincipalName", "u00@example.com")
    assert isinstance(found, Failed)
    assert found.fault is expected
    ids, end = await listed(at)
    assert (ids, isinstance(end, Failed)) == ([], True)
    assert isinstance(await at.target.get("user", TargetId(ann)), Failed)
    assert sum(at.server.requests.values()) < 30


@pytest.mark.parametrize("fault", [HTML, Status(200, body={"value": {}}), ErrorInside200(500), Status(200, body={})])
async def test_members_and_deleted_users_that_are_not_shown_are_not_none(at: Opened, fault: ServerFault) -> None:
    group = await at.target.create("group", {"displayName": "Sales"})
    assert isinstance(group, Done)
    assert group.account is not None
    at.server.script.on("GET", "/members$", then=fault, times=FOR_EVER)
    at.server.script.on("GET", "/deletedItems", then=fault, times=FOR_EVER)
    assert isinstance(await at.target.members(group.account.id), Failed)
    assert isinstance(await at.target.create("user", person("ann")), Failed)
    assert at.server.tenant.users == {}


async def test_an_account_that_is_shown_under_another_id_is_not_the_one(at: Opened) -> None:
    ann, bob = people(at, 2)
    at.server.script.on("GET", f"/users/{ann}", then=Status(200, body={**at.server.tenant.users[bob]}))
    outcome = await at.target.get("user", TargetId(ann))
    assert isinstance(outcome, Failed)
    assert outcome.fault is Fault.NOT_SCIM


# --- lists -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", [Status(500), Drop(), CutBody(), Throttle(1)])
async def test_a_listing_goes_on_after_a_page_that_failed_once(at: Opened, fault: ServerFault) -> None:
    ids = people(at, 20)
    at.server.script.on("GET", "/users$", then=fault, nth=2)
    assert await listed(at) == (ids, ListEnd(True))


@pytest.mark.parametrize(
    "fault",
    [Status(500), Status(400), Drop(), WrongJson(), ErrorInside200(), Status(200, body={}), Status(404), HTML],
)
async def test_a_listing_that_breaks_off_is_never_whole(at: Opened, fault: ServerFault) -> None:
    people(at, 20)
    at.server.script.on("GET", "/users$", then=fault, nth=2, times=FOR_EVER)
    ids, end = await listed(at)
    assert len(ids) == 7
    assert isinstance(end, Failed) or not end.complete


async def _page(at: Opened, ids: list[str], following: str | None = None) -> Status:
    rows = [at.server.tenant.users[one] for one in ids]
    body: dict[str, Any] = {"value": rows}
    if following is not None:
        body["@odata.nextLink"] = f"{at.server.url}/users?$skiptoken={following}"
    return Status(200, body=body)


async def test_a_page_that_is_missing_makes_a_list_that_is_not_whole(at: Opened) -> None:
    ids = people(at, 20)
    at.server.script.on("GET", "/users$", then=await _page(at, ids[:7]))
    came, end = await listed(at)
    assert (came, end) == (ids[:7], ListEnd(False, "7 came of 20 that there are"))


async def test_somebody_who_comes_on_two_pages_makes_a_list_that_is_not_whole(at: Opened) -> None:
    ids = people(at, 14)
    at.server.script.on("GET", "/users$", then=await _page(at, ids[:7], "next"))
    at.server.script.on("GET", "/users$", then=await _page(at, ids[6:13]))
    came, end = await listed(at)
    assert came == ids[:13]
    assert isinstance(end, ListEnd)
    assert not end.complete


async def test_a_count_that_lags_behind_hides_nobody(at: Opened) -> None:
    """What is counted may be a little older than the list: more than it says may come."""
    ids = people(at, 10)
    at.server.script.on("GET", "/users/.count", then=Status(200, {"Content-Type": "text/plain"}, b"8"))
    assert await listed(at) == (ids, ListEnd(True))


# --- writing -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "fault",
    [*BROKEN[:3], Delay(3600.0, done=True), Delay(3600.0), WrongJson(), Status(500, done=True), Status(503, done=True)],
)
async def test_a_create_without_an_answer_makes_at_most_one_account(at: Opened, fault: ServerFault) -> None:
    at.server.script.on("POST", "/users$", then=fault)
    outcome = await at.target.create("user", person("ann"))
    assert len(at.server.tenant.users) <= 1
    assert isinstance(outcome, Done) or outcome.may_have_been_done
    assert len(at.server.sent("POST", "/users")) <= 1


@pytest.mark.parametrize("fault", [ErrorInside200(409), HTML, Status(302, {"Location": "http://127.0.0.1:1/"}, b"")])
async def test_what_is_answered_with_something_else_is_not_done(at: Opened, fault: ServerFault) -> None:
    ann = await at.user("ann")
    for method in ("POST", "PATCH", "DELETE"):
        at.server.script.on(method, "/users", then=fault)
    made = await at.target.create("user", person("bob"))
    changed = await at.target.update("user", ann.id, LEAD, ann.resource)
    deleted = await at.target.delete("user", ann.id)
    assert [isinstance(outcome, Failed) for outcome in (made, changed, deleted)] == [True] * 3
    assert [user["userPrincipalName"] for user in at.server.tenant.users.values()] == ["ann@example.com"]
    assert at.server.script.waiting == []


@pytest.mark.parametrize("fault", [*BROKEN, Delay(300.0, done=True)])
async def test_a_change_that_can_be_repeated_is_repeated(at: Opened, fault: ServerFault) -> None:
    ann = await at.user("ann")
    at.server.script.on("PATCH", "/users", then=fault)
    off = [Change("accountEnabled", True, False)]
    assert isinstance(await at.target.update("user", ann.id, off, ann.resource), Done)
    assert at.server.tenant.users[ann.id]["accountEnabled"] is False


@pytest.mark.parametrize("lost", [DropAfterCommit(), CutBody(), Status(500, done=True)])
@pytest.mark.parametrize("then", [Throttle(3600), Status(400), Status(403), ErrorInside200(403)])
async def test_a_change_that_came_through_before_it_was_refused_may_have_been_done(
    at: Opened, lost: ServerFault, then: ServerFault
) -> None:
    ann = await at.user("ann")
    at.server.script.on("PATCH", "/users", then=lost)
    at.server.script.on("PATCH", "/users", then=then, times=FOR_EVER)
    outcome = await at.target.update("user", ann.id, [Change("accountEnabled", True, False)], ann.resource)
    assert at.server.tenant.users[ann.id]["accountEnabled"] is False
    assert isinstance(outcome, Failed), outcome
    assert outcome.may_have_been_done


@pytest.mark.parametrize("where", ["/users", r"/\$batch"])
@pytest.mark.parametrize("then", [Throttle(3600), Status(400)])
async def test_so_may_what_came_through_in_a_batch(at: Opened, where: str, then: ServerFault) -> None:
    people = [await at.user(name) for name in ("ann", "bob", "cleo")]
    if where == "/users":
        at.server.script.on("PATCH", where, then=Status(500, done=True), times=3)
        at.server.script.on("PATCH", where, then=then, times=FOR_EVER)
    else:
        at.server.script.on("POST", where, then=DropAfterCommit())
        at.server.script.on("PATCH", "/users", then=then, nth=4, times=FOR_EVER)
    outcomes: list[object] = []

    async def switch_off(one: Account) -> None:
        off = [Change("accountEnabled", True, False)]
        outcomes.append(await at.target.update("user", one.id, off, one.resource))

    async with anyio.create_task_group() as tasks:
        for one in people:
            tasks.start_soon(switch_off, one)
    assert not any(at.server.tenant.users[one.id]["accountEnabled"] for one in people)
    assert [isinstance(one, Failed) and one.may_have_been_done for one in outcomes] == [True] * 3


@pytest.mark.parametrize("then", [Throttle(3600), Status(400), Status(403)])
async def test_so_may_what_came_through_before_another_part_of_the_same_change_was_refused(
    at: Opened, then: ServerFault
) -> None:
    ann, boss = await at.user("ann"), await at.user("boss")
    at.server.script.on("PUT", "/manager", then=then, times=FOR_EVER)
    changes = [Change("accountEnabled", True, False), Change("manager", None, boss.id)]
    outcome = await at.target.update("user", ann.id, changes, ann.resource)
    assert at.server.tenant.users[ann.id]["accountEnabled"] is False
    assert isinstance(outcome, Failed), outcome
    assert outcome.may_have_been_done


@pytest.mark.parametrize("fault", BROKEN)
async def test_a_delete_that_was_done_is_not_a_failure(at: Opened, fault: ServerFault) -> None:
    ann = await at.user("ann")
    at.server.script.on("DELETE", "/users", then=fault)
    assert isinstance(await at.target.delete("user", ann.id), Done | Missing)
    assert at.server.tenant.users == {}


@pytest.mark.parametrize("where", [r"/members", r"/\$batch"])
@pytest.mark.parametrize("fault", BROKEN)
async def test_members_end_right_whatever_happened_to_one_of_them_or_to_a_batch(
    at: Opened, fault: ServerFault, where: str
) -> None:
    ids = [TargetId(one) for one in people(at, 30)]
    group = await at.target.create("group", {"displayName": "Sales"})
    assert isinstance(group, Done)
    assert group.account is not None
    at.server.script.on("POST", where, then=fault, nth=2)
    added = await at.target.change_members(group.account.id, ids, [])
    assert isinstance(added, MembersDone)
    assert (set(added.done), added.refused) == (set(ids), {})
    at.server.script.on("DELETE" if where == "/members" else "POST", where, then=fault)
    removed = await at.target.change_members(group.account.id, [], ids[:25])
    assert isinstance(removed, MembersDone)
    assert (set(removed.done), removed.refused) == (set(ids[:25]), {})
    assert set(at.server.tenant.members[group.account.id]) == set(ids[25:])


async def test_a_member_for_whom_a_web_page_answers_in_a_batch_is_not_in(at: Opened) -> None:
    ids = [TargetId(one) for one in people(at, 3)]
    group = await at.target.create("group", {"displayName": "Sales"})
    assert isinstance(group, Done)
    assert group.account is not None
    at.server.script.on("POST", "/members", then=HTML, nth=2)
    added = await at.target.change_members(group.account.id, ids, [])
    assert isinstance(added, MembersDone)
    assert (set(added.done), set(added.refused)) == ({ids[0], ids[2]}, {ids[1]})
    assert set(at.server.tenant.members[group.account.id]) == set(added.done)


async def test_one_object_that_always_fails_does_not_stop_the_others(at: Opened) -> None:
    bad, good = await at.user("bad"), await at.user("good")
    at.server.script.on("PATCH", f"/users/{bad.id}", then=Status(500), times=FOR_EVER)
    refused = await at.target.update("user", bad.id, LEAD, bad.resource)
    assert isinstance(refused, Failed)
    assert refused.fault is Fault.SERVER_ERROR
    assert at.server.requests[f"/v1.0/users/{bad.id}"] <= 6
    assert isinstance(await at.target.update("user", good.id, LEAD, good.resource), Done)


# --- who we are, and where ---------------------------------------------------------------------------------------


async def test_a_token_that_is_refused_once_is_fetched_anew_and_not_for_ever(at: Opened) -> None:
    ann = await at.user("ann")
    at.server.script.on("GET", "/users", then=Unauthorized())
    assert isinstance(await at.target.get("user", ann.id), Account)
    at.server.script.on("*", "/", then=Unauthorized(), times=FOR_EVER)
    at.server.clear()
    outcome = await at.target.update("user", ann.id, LEAD, {})
    assert isinstance(outcome, Failed)
    assert outcome.fault is Fault.UNAUTHORIZED
    assert sum(at.server.requests.values()) <= 6


async def test_a_redirect_is_never_followed(at: Opened) -> None:
    async with GraphServer() as elsewhere:
        away = Status(307, {"Location": f"{elsewhere.url}/users"}, b"")
        at.server.script.on("*", "/", then=away, times=FOR_EVER)
        outcome = await at.target.create("user", person("ann"))
        assert isinstance(outcome, Failed)
        assert outcome.fault is Fault.NOT_SCIM
        assert elsewhere.requests == {}


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (Status(401), "401"),
        (Status(403), "403"),
        (Status(404), "404"),
        (HTML, "not Graph"),
        (Status(302, {"Location": "http://127.0.0.1:1/"}, b""), "302"),
        (Status(500), "500"),
        (Drop(), "closed the connection"),
    ],
)
async def test_a_connection_test_says_what_is_wrong(at: Opened, fault: ServerFault, words: str) -> None:
    at.server.script.on("*", "/", then=fault, times=FOR_EVER)
    wrong = [diagnosis for diagnosis in await at.target.test() if not diagnosis.ok]
    assert words in wrong[0].text
    assert at.server.token not in str(wrong)
    assert at.server.writes == []
