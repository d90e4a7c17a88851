"""What a Target promises still holds while things go wrong, whether it speaks SCIM or goes by a description.

In virtual time, so waiting costs none. Graph: test_contract_faults_graph.
"""

import asyncio
from email.utils import formatdate
from typing import Any

import pytest

from reconciler.core.model import Change, TargetId
from reconciler.core.outcomes import Done, Failed, Fault, Found, ListEnd, MembersDone, Missing
from tests.net.doubles import EPOCH
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
from tests.servers.scim import ScimServer
from tests.targets.opening import SPOKEN, Spoken, created

pytestmark = pytest.mark.looptime


@pytest.fixture(params=["scim", "described"])
def by(request: pytest.FixtureRequest) -> Spoken:
    return SPOKEN[request.param]


def _now() -> float:
    return asyncio.get_running_loop().time()


@pytest.mark.parametrize("status", [429, 503])
async def test_retry_after_in_seconds_is_kept(status: int, by: Spoken) -> None:
    async with by.odd() as (server, at):
        server.script.on("POST", "/Users", then=Throttle(17, status=status))
        account = await at.user()
        assert server.users.keys() == {account.id}
        first, second = server.sent("POST")
        assert 17 <= second.at - first.at < 30


async def test_retry_after_as_a_date_is_kept(by: Spoken) -> None:
    async with by.odd() as (server, at):
        server.script.on("GET", "/Users", then=Throttle(date=formatdate(EPOCH + 20, usegmt=True)))
        assert await at.target.find("user", "userName", "ann") == Found(())
        assert 20 <= server.requests[-1].at < 33


async def test_a_long_wait_is_left_to_the_caller(by: Spoken) -> None:
    async with by.odd() as (server, at):
        server.script.on("POST", "/Users", then=Throttle(7200), times=FOR_EVER)
        outcome = await at.target.create("user", {"userName": "ann"})
        assert isinstance(outcome, Failed)
        assert outcome.fault is Fault.THROTTLED
        assert outcome.wait_seconds is not None
        assert outcome.wait_seconds >= 7000
        assert _now() < 600
        assert len(server.requests) <= 2


@pytest.mark.parametrize(
    "fault", [Status(500), Status(502, body=b"<html>bad gateway</html>"), Drop(), CutBody(), WrongJson()]
)
async def test_reading_is_tried_again_or_fails_but_never_says_nobody(fault: ServerFault, by: Spoken) -> None:
    async with by.odd() as (server, at):
        identifier = server.put("user", userName="ann")
        server.script.on("GET", "/Users", then=fault)
        found = await at.target.find("user", "userName", "ann")
        if isinstance(found, Found):
            assert [account.id for account in found.accounts] == [identifier]
        else:
            assert isinstance(fault, WrongJson)
            assert found.fault is Fault.NOT_SCIM


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (Status(200, {"Content-Type": "text/html"}, b"<html><body>Sign in</body></html>"), Fault.NOT_SCIM),
        (Status(200, body={}), Fault.NOT_SCIM),
        (Status(200, body=[]), Fault.NOT_SCIM),
        (Status(204, body=b""), Fault.NOT_SCIM),
        (Status(302, {"Location": "http://127.0.0.1:1/elsewhere"}, b""), Fault.NOT_SCIM),
        (Status(404), Fault.NOT_FOUND),
        (Status(403), Fault.FORBIDDEN),
        (Status(401), Fault.UNAUTHORIZED),
        (ErrorInside200(403), Fault.FORBIDDEN),
        (ErrorInside200(500), Fault.SERVER_ERROR),
        (Status(500), Fault.SERVER_ERROR),
    ],
)
async def test_an_answer_that_is_no_list_is_never_an_empty_one(fault: ServerFault, expected: Fault, by: Spoken) -> None:
    async with by.odd() as (server, at):
        server.put("user", userName="ann")
        server.script.on("GET", "/Users", then=fault, times=FOR_EVER)
        if by.name == "described" and isinstance(fault, ErrorInside200):
            expected = Fault.FORBIDDEN  # which is what the description says of these words, whatever status they name
        found = await at.target.find("user", "userName", "ann")
        assert isinstance(found, Failed)
        assert found.fault is expected or (expected is Fault.NOT_FOUND and found.fault is Fault.UNSUPPORTED)
        accounts, end = await at.listed("user")
        assert accounts == []
        assert isinstance(end, Failed)
        assert end.fault is expected
        gone = await at.target.get("user", TargetId(next(iter(server.users))))
        if expected is Fault.NOT_FOUND and by.name == "scim":  # whose errors say that they are of SCIM
            assert gone == Missing()
        else:
            assert isinstance(gone, Failed)
        assert len(server.requests) < 30
        assert server.token not in f"{found.reason} {end.reason}"


@pytest.mark.parametrize("fault", [Drop(), DropAfterCommit(), CutBody(), Delay(3600.0, done=True), Delay(3600.0)])
async def test_a_create_without_an_answer_makes_at_most_one_account(fault: ServerFault, by: Spoken) -> None:
    async with by.odd() as (server, at):
        server.script.on("POST", "/Users", then=fault)
        outcome = await at.target.create("user", {"userName": "ann@example.com"})
        assert len(server.sent("POST")) == 1
        if isinstance(outcome, Done):
            assert created(outcome).id in server.users
        else:
            assert outcome.may_have_been_done
        assert len(server.users) == (0 if isinstance(fault, Drop) or fault == Delay(3600.0) else 1)


async def test_a_create_with_an_answer_that_cannot_be_read_is_looked_up(by: Spoken) -> None:
    async with by.odd() as (server, at):
        server.script.on("POST", "/Users", then=WrongJson())
        account = await at.user()
        assert server.users.keys() == {account.id}


@pytest.mark.parametrize("fault", [Status(503, done=True), Status(500, done=True)])
async def test_a_create_that_claims_to_have_failed_may_have_been_done(fault: ServerFault, by: Spoken) -> None:
    async with by.odd() as (server, at):
        server.script.on("POST", "/Users", then=fault)
        outcome = await at.target.create("user", {"userName": "ann@example.com"})
        assert len(server.users) == 1
        assert len(server.sent("POST")) == 1
        assert isinstance(outcome, Done) or outcome.may_have_been_done


async def test_an_error_inside_a_success_is_an_error(by: Spoken) -> None:
    async with by.odd() as (server, at):
        server.script.on("POST", "/Users", then=ErrorInside200(409))
        outcome = await at.target.create("user", {"userName": "ann@example.com"})
        assert isinstance(outcome, Failed)
        assert outcome.fault is (Fault.CONFLICT if by.name == "scim" else Fault.FORBIDDEN)
        account = await at.user()
        server.script.on(by.change, "/Users", then=ErrorInside200(403))
        changed = await at.target.update("user", account.id, [Change("title", None, "Lead")], account.resource)
        assert isinstance(changed, Failed)
        assert changed.fault is Fault.FORBIDDEN


@pytest.mark.parametrize(
    "fault", [Status(500), Drop(), DropAfterCommit(), CutBody(), Throttle(3), Delay(300.0, done=True)]
)
async def test_a_change_that_can_be_repeated_is_repeated(fault: ServerFault, by: Spoken) -> None:
    async with by.odd() as (server, at):
        account = await at.user(active=True)
        server.script.on(by.change, "/Users", then=fault)
        done = await at.target.update("user", account.id, [Change("active", True, False)], account.resource)
        assert server.user("ann@example.com")["active"] is False
        assert isinstance(done, Done), done


@pytest.mark.parametrize("lost", [DropAfterCommit(), CutBody(), Status(500, done=True)])
@pytest.mark.parametrize("then", [Throttle(3600), Status(400), Status(403), ErrorInside200(403)])
async def test_a_change_that_came_through_before_it_was_refused_may_have_been_done(
    lost: ServerFault, then: ServerFault, by: Spoken
) -> None:
    async with by.odd() as (server, at):
        account = await at.user(active=False)
        server.script.on(by.change, "/Users", then=lost)
        server.script.on(by.change, "/Users", then=then, times=FOR_EVER)
        outcome = await at.target.update("user", account.id, [Change("active", False, True)], account.resource)
        assert server.user("ann@example.com")["active"] is True
        assert isinstance(outcome, Failed), outcome
        assert outcome.may_have_been_done


@pytest.mark.parametrize(
    "fault", [Drop(), DropAfterCommit(), CutBody(), Status(500), Throttle(2), Status(502, done=True)]
)
async def test_members_end_right_whatever_happened_to_one_batch(fault: ServerFault, by: Spoken) -> None:
    async with by.odd() as (server, at):
        ids = [TargetId(server.put("user", userName=f"user{n:03}")) for n in range(120)]
        group = (await at.group()).id
        server.script.on("PATCH", "/Groups", then=fault, nth=2)
        added = await at.target.change_members(group, ids, [])
        assert isinstance(added, MembersDone)
        assert set(added.done) == set(ids)
        server.script.on("PATCH", "/Groups", then=fault)
        removed = await at.target.change_members(group, [], ids[:110])
        assert isinstance(removed, MembersDone)
        assert set(removed.done) == set(ids[:110])
        assert server.members("Sales") == set(ids[110:])


@pytest.mark.parametrize("fault", [DropAfterCommit(), Status(500, done=True), CutBody()])
async def test_a_delete_that_was_done_is_not_a_failure(fault: ServerFault, by: Spoken) -> None:
    async with by.odd() as (server, at):
        account = await at.user()
        server.script.on("DELETE", "/Users", then=fault)
        assert isinstance(await at.target.delete("user", account.id), (Done, Missing))
        assert server.users == {}


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (Status(200, body=b"<!DOCTYPE html><title>Sign in</title>"), Fault.NOT_SCIM),
        (ErrorInside200(403), Fault.FORBIDDEN),
    ],
)
async def test_a_delete_that_is_answered_with_something_else_is_not_done(
    fault: ServerFault, expected: Fault, by: Spoken
) -> None:
    async with by.odd() as (server, at):
        account = await at.user()
        server.script.on("DELETE", "/Users", then=fault)
        outcome = await at.target.delete("user", account.id)
        assert isinstance(outcome, Failed)
        assert outcome.fault is expected
        assert len(server.users) == 1


async def test_one_object_that_always_fails_does_not_stop_the_others(by: Spoken) -> None:
    async with by.odd() as (server, at):
        bad, good = await at.user("bad"), await at.user("good")
        server.script.on(by.change, f"/Users/{bad.id}", then=Status(500), times=FOR_EVER)
        refused = await at.target.update("user", bad.id, [Change("title", None, "x")], bad.resource)
        assert isinstance(refused, Failed)
        assert refused.fault is Fault.SERVER_ERROR
        assert len(server.sent(by.change)) <= 6
        assert isinstance(await at.target.update("user", good.id, [Change("title", None, "x")], good.resource), Done)


@pytest.mark.parametrize("fault", [Status(500), Drop(), CutBody(), Throttle(1)])
async def test_a_listing_goes_on_after_a_page_that_failed_once(fault: ServerFault, by: Spoken) -> None:
    async with by.odd(page_size=10) as (server, at):
        ids = {server.put("user", userName=f"user{n:02}") for n in range(35)}
        server.script.on("GET", "/Users", then=fault, nth=3)
        accounts, end = await at.listed("user")
        assert {account.id for account in accounts} == ids
        assert end == ListEnd(complete=True)


@pytest.mark.parametrize(
    "fault", [Status(500), Status(400), Drop(), WrongJson(), ErrorInside200(), Status(200, body={}), Status(404)]
)
async def test_a_listing_that_breaks_off_is_never_whole(fault: ServerFault, by: Spoken) -> None:
    async with by.odd(page_size=10) as (server, at):
        for n in range(35):
            server.put("user", userName=f"user{n:02}")
        server.script.on("GET", "/Users", then=fault, nth=3, times=FOR_EVER)
        accounts, end = await at.listed("user")
        assert len(accounts) == 20
        assert isinstance(end, Failed) or not end.complete


async def test_a_token_that_was_renewed_is_read_again(by: Spoken) -> None:
    tokens = iter(["old", "double-token"])
    async with by.odd(read_token=lambda: next(tokens)) as (server, at):
        await at.user()
        assert len(server.users) == 1
        assert len(server.sent("POST")) == 2


async def test_a_token_that_is_refused_is_not_tried_for_ever(by: Spoken) -> None:
    async with by.odd() as (server, at):
        server.script.on("*", "/", then=Unauthorized(), times=FOR_EVER)
        outcome = await at.target.update("user", TargetId("1"), [Change("title", None, "x")], {})
        assert isinstance(outcome, Failed)
        assert outcome.fault is Fault.UNAUTHORIZED
        assert len(server.requests) <= 4


async def test_a_redirect_is_never_followed(by: Spoken) -> None:
    async with ScimServer() as elsewhere, by.odd() as (server, at):
        target = Status(307, {"Location": f"{elsewhere.url}/Users"}, b"")
        server.script.on("*", "/", then=target, times=FOR_EVER)
        outcome = await at.target.create("user", {"userName": "ann"})
        assert isinstance(outcome, Failed)
        assert outcome.fault is Fault.NOT_SCIM
        assert f"a redirect to {elsewhere.url}/Users, which is never followed" in outcome.reason
        assert elsewhere.requests == []


async def test_a_server_that_is_away_is_out_of_reach_and_comes_back(by: Spoken) -> None:
    async with by.odd() as (server, at):
        account = await at.user()
        await server.stop()
        outcome = await at.target.get("user", account.id)
        assert isinstance(outcome, Failed)
        assert outcome.fault in (Fault.UNREACHABLE, Fault.INTERRUPTED)
        assert _now() < 120
        await server.start()
        await asyncio.wait_for(_quiet(60.0), 120.0)
        assert await at.target.get("user", account.id) == account


async def _quiet(seconds: float) -> None:
    over = asyncio.Event()
    asyncio.get_running_loop().call_later(seconds, over.set)
    await over.wait()


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (Status(401), "401"),
        (Status(403), "403"),
        (Status(404), "404"),
        (Status(404, body=b"<html>no such page</html>"), "404"),
        (Status(200, body=b"<html>Sign in</html>"), "not SCIM"),
        (Status(302, {"Location": "http://127.0.0.1:1/"}, b""), "redirect"),
        (Status(500), "500"),
        (Drop(), "closed the connection"),
    ],
)
async def test_a_connection_test_says_what_is_wrong(fault: ServerFault, words: str, by: Spoken) -> None:
    async with by.odd() as (server, at):
        server.script.on("*", "/", then=fault, times=FOR_EVER)
        wrong = [diagnosis for diagnosis in await at.target.test() if not diagnosis.ok]
        assert (words if by.name == "scim" else words.replace("not SCIM", "web page")) in wrong[0].text
        assert server.token not in str(wrong)
        assert {seen.method for seen in server.requests} == {"GET"}


async def test_a_list_that_shrinks_while_it_is_read_is_not_whole(by: Spoken) -> None:
    async with by.odd(page_size=10) as (server, at):
        ids = [server.put("user", userName=f"user{n:02}") for n in range(35)]
        last: object = None
        async for event in at.target.listing("user"):
            if last is None:
                for one in ids[:5]:
                    del server.users[one]
            last = event
        assert isinstance(last, ListEnd)
        assert not last.complete


async def test_never_more_calls_in_flight_than_configured(by: Spoken) -> None:
    async with by.odd(seconds_per_request=1.0, concurrency=3) as (server, at):
        outcomes: list[Any] = await asyncio.gather(
            *(at.target.create("user", {"userName": f"u{n}"}) for n in range(20))
        )
        assert all(isinstance(outcome, Done) for outcome in outcomes)
        assert server.in_flight_max == 3
        assert len(server.users) == 20


async def test_a_server_that_closes_idle_connections_costs_no_failure(by: Spoken) -> None:
    async with by.odd(keep_alive_seconds=2.0) as (server, at):
        for n in range(5):
            await at.user(f"u{n}")
            await _quiet(3.0)
        assert len(server.users) == 5
        assert len(server.sent("POST")) == 5
