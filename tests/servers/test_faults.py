"""The script of faults plays what it says, once each, and in virtual time too."""

import asyncio

import aiohttp
import pytest

from tests.servers.asking import Asking, put
from tests.servers.faults import (
    FOR_EVER,
    CutBody,
    Delay,
    Drop,
    DropAfterCommit,
    ErrorInside200,
    Status,
    Throttle,
    Unauthorized,
    WrongJson,
)
from tests.servers.quirks import Quirks
from tests.servers.scim import ScimServer


async def test_faults_come_in_order_and_are_recorded() -> None:
    async with ScimServer() as server, Asking(server) as ask:
        server.script.on("GET", "/Users$", then=Throttle(7))
        server.script.on("GET", "/Users$", then=Throttle(date="Wed, 21 Oct 2026 07:28:00 GMT", status=503))
        server.script.on("GET", "/Users$", then=Status(502, {"X-From": "gateway"}, b"<html>"), nth=2)
        replies = [await ask("GET", "/Users") for _ in range(5)]
        assert [each.status for each in replies] == [429, 503, 200, 502, 200]
        assert replies[0].headers["retry-after"] == "7"
        assert replies[1].headers["retry-after"] == "Wed, 21 Oct 2026 07:28:00 GMT"
        assert (replies[3].body, replies[3].headers["x-from"]) == (b"<html>", "gateway")
        assert [each.seen for each in server.script.played] == [server.requests[n] for n in (0, 1, 3)]
        assert server.script.waiting == []


async def test_a_fault_that_did_not_happen_is_still_waiting() -> None:
    async with ScimServer() as server, Asking(server) as ask:
        server.script.on("DELETE", "/Users", then=Drop())
        server.script.on("GET", "/Users", then=Unauthorized(), times=2)
        assert (await ask("GET", "/Users")).status == 401
        assert server.script.waiting == [Drop(), Unauthorized()]
        server.script.clear()
        assert (await ask("GET", "/Users")).status == 200


async def test_one_object_fails_for_ever() -> None:
    async with ScimServer() as server, Asking(server) as ask:
        ann, bea = (server.put("user", userName=name) for name in ("ann", "bea"))
        server.script.on("PATCH", f"/Users/{ann}$", then=Status(500), times=FOR_EVER)
        assert [(await ask.patch(f"/Users/{ann}", put("title", "x"))).status for _ in range(4)] == [500] * 4
        assert (await ask.patch(f"/Users/{bea}", put("title", "x"))).status == 200
        assert server.script.waiting == []


async def test_a_fault_is_chosen_by_the_body() -> None:
    async with ScimServer() as server, Asking(server) as ask:
        server.script.on("POST", "/Users", then=Status(400), body='"userName":"bea"')
        assert [(await ask.user(name)).status for name in ("ann", "bea", "cleo")] == [201, 400, 201]


async def test_a_dropped_request_was_done_or_not() -> None:
    async with ScimServer() as server, Asking(server) as ask:
        server.script.on("POST", "/Users", then=Drop())
        server.script.on("POST", "/Users", then=DropAfterCommit())
        for there in (0, 1):
            with pytest.raises(aiohttp.ServerDisconnectedError):
                await ask.user("ann")
            assert len(server.users) == there
        assert (await ask.user("ann")).status == 409


async def test_an_answer_is_cut() -> None:
    async with ScimServer() as server, Asking(server) as ask:
        server.script.on("*", "/Users", then=CutBody(), times=2)
        with pytest.raises(aiohttp.ClientPayloadError):
            await ask.user("ann")
        assert list(server.users)
        with pytest.raises(aiohttp.ClientPayloadError):
            await ask("DELETE", f"/Users/{next(iter(server.users))}")
        assert not server.users


async def test_an_answer_lies_about_itself() -> None:
    async with ScimServer() as server, Asking(server) as ask:
        server.script.on("POST", "/Users", then=WrongJson())
        server.script.on("POST", "/Users", then=ErrorInside200(409))
        server.script.on("POST", "/Users", then=Status(503, done=True))
        wrong = await ask.user("ann")
        assert (wrong.status, type(wrong.body)) == (201, bytes)
        inside = await ask.user("bea")
        assert (inside.status, inside.body["status"]) == (200, "409")
        assert (await ask.user("cleo")).status == 503
        assert {each["userName"] for each in server.users.values()} == {"ann", "cleo"}


@pytest.mark.looptime
async def test_waiting_costs_no_time() -> None:
    async with ScimServer(Quirks(seconds_per_request=1.0, seconds_per_member=0.5)) as server, Asking(server) as ask:
        loop = asyncio.get_running_loop()
        server.script.on("POST", "/Users", then=Delay(240.0))
        await ask.user("ann")
        assert 241 <= loop.time() < 242
        assert server.user("ann")["meta"]["created"].startswith("2026-01-01T00:04:01")
        group = server.put("group", displayName="Sales", members=[{"value": str(n)} for n in range(60)])
        await ask.patch(f"/Groups/{group}", put("displayName", "More"))
        assert 272 <= loop.time() < 273
        assert [int(seen.at) for seen in server.requests] == [0, 241]


@pytest.mark.looptime
async def test_a_client_gives_up_on_what_is_done_all_the_same() -> None:
    async with ScimServer() as server, Asking(server) as ask:
        server.script.on("POST", "/Users", then=Delay(60.0, done=True))
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(ask.user("ann"), 5.0)
        assert len(server.users) == 1


@pytest.mark.looptime
async def test_the_double_counts_what_is_in_flight() -> None:
    async with ScimServer(Quirks(seconds_per_request=1.0, requests_at_once_max=3)) as server, Asking(server) as ask:
        replies = await asyncio.gather(*(ask.user(f"u{n}") for n in range(5)), return_exceptions=True)
        assert server.in_flight_max >= 4
        assert sum(isinstance(each, aiohttp.ServerDisconnectedError) for each in replies) >= 1
        assert len(server.users) == 3


@pytest.mark.looptime
async def test_an_idle_connection_is_closed_without_a_word() -> None:
    async with ScimServer(Quirks(keep_alive_seconds=5.0)) as server, Asking(server) as ask:
        await ask("GET", "/Users")
        server.script.on("GET", "/Users", then=Delay(10.0))
        assert (await ask("GET", "/Users")).status == 200


async def test_what_the_server_saw_is_told_whole() -> None:
    async with ScimServer() as server, Asking(server) as ask:
        await ask.find('userName eq "a&b+c ü"')
        await ask("POST", "/Users", b"{no json", X_Trace="7")
        found, posted = server.requests
        assert (found.method, found.path, found.query) == ("GET", "/Users", {"filter": 'userName eq "a&b+c ü"'})
        assert (found.body, posted.body, posted.headers["x-trace"]) == (None, b"{no json", "7")
        assert server.sent("POST") == [posted]
        server.clear_requests()
        assert server.requests == []
