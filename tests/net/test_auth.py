"""Client credentials: the token is fetched once, renewed before it expires, and again after a 401."""

from __future__ import annotations

import base64
from typing import Literal
from urllib.parse import parse_qs

import anyio
import orjson
import pytest

from reconciler.core.outcomes import Failed, Fault
from reconciler.net.auth import Basic, ClientCredentials
from reconciler.net.client import Client, Lane
from reconciler.ports import Exchange, Request, Response
from tests.net.doubles import LoopClock, ScriptedExchange, SetDice, answer

pytestmark = pytest.mark.looptime

TOKEN_URL = "https://login.example.com/oauth2/token"
SECRET = "s3cret/+ä"


def granted(token: str, **more: object) -> Response:
    return answer(200, orjson.dumps({"access_token": token, "token_type": "Bearer", **more}))


def sign_in(exchange: Exchange, send: Literal["header", "body", "both"] = "header") -> ClientCredentials:
    return ClientCredentials(
        exchange,
        LoopClock(),
        token_url=TOKEN_URL,
        client_id="id:with colon",
        read_secret=lambda: SECRET,
        scopes=("scim.read", "scim.write"),
        send=send,
    )


def form(request: Request) -> dict[str, list[str]]:
    assert request.body is not None
    return parse_qs(request.body.decode())


@pytest.mark.parametrize(("send", "in_header", "in_body"), [("header", 1, 0), ("body", 0, 1), ("both", 1, 1)])
async def test_the_secret_goes_where_the_server_wants_it(
    send: Literal["header", "body", "both"], in_header: bool, in_body: bool
) -> None:
    exchange = ScriptedExchange(granted("abc", expires_in=3600))
    assert await sign_in(exchange, send).header() == "Bearer abc"
    request = exchange.requests[0]
    assert form(request)["grant_type"] == ["client_credentials"]
    assert form(request)["scope"] == ["scim.read scim.write"]
    assert ("Authorization" in request.headers) == in_header
    assert (form(request).get("client_secret") == [SECRET]) == in_body
    if in_header:  # RFC 6749 §2.3.1: both parts are form-encoded before they are joined by the colon
        decoded = base64.b64decode(request.headers["Authorization"].removeprefix("Basic ")).decode()
        assert decoded == "id%3Awith%20colon:s3cret%2F%2B%C3%A4"


async def test_a_token_serves_until_shortly_before_it_expires() -> None:
    exchange = ScriptedExchange(granted("first", expires_in="3600"), granted("second", expires_in=3600))
    auth = sign_in(exchange)
    assert await auth.header() == "Bearer first"
    await LoopClock().sleep(3539)
    assert await auth.header() == "Bearer first"
    await LoopClock().sleep(2)
    assert await auth.header() == "Bearer second"


async def test_many_calls_fetch_one_token() -> None:
    fetched: list[Request] = []

    async def slow(request: Request) -> Response | Failed:
        fetched.append(request)
        await LoopClock().sleep(1.0)
        return granted(f"token-{len(fetched)}", expires_in=3600)

    auth = sign_in(slow)
    async with anyio.create_task_group() as group:
        for _ in range(10):
            group.start_soon(auth.header)
    async with anyio.create_task_group() as group:
        for _ in range(10):
            group.start_soon(auth.renew, "Bearer token-1")
    assert len(fetched) == 2


async def test_many_calls_are_told_of_one_token_that_could_not_be_fetched() -> None:
    """One after the other they would wait for minutes at an endpoint that hangs, and have a wrong secret locked."""
    fetched: list[float] = []

    async def dead(request: Request) -> Response | Failed:
        fetched.append(LoopClock().monotonic())
        await LoopClock().sleep(8.0)
        return Failed(Fault.UNREACHABLE, "no connection")

    auth, outcomes = sign_in(dead), list[str | bool | Failed]()

    async def ask() -> None:
        outcomes.append(await auth.header())

    async with anyio.create_task_group() as group:
        for _ in range(10):
            group.start_soon(ask)
    assert (len(outcomes), LoopClock().monotonic() - fetched[0], len(fetched)) == (10, 8.0, 1)
    assert all(isinstance(outcome, Failed) for outcome in outcomes)
    await ask()
    assert len(fetched) == 2, "who comes later tries anew"


async def test_a_401_from_the_target_fetches_another_token_once() -> None:
    tokens = ScriptedExchange(granted("revoked"), granted("fresh"))
    target = ScriptedExchange(answer(401), answer(200))
    client = Client(target, LoopClock(), SetDice(), lane=Lane(1, None), auth=sign_in(tokens))
    assert await client.call(Request("GET", "https://scim.example.com/Users"), idempotent=True) == answer(200)
    assert [request.headers["Authorization"] for request in target.requests] == ["Bearer revoked", "Bearer fresh"]


@pytest.mark.parametrize(
    ("given", "fault", "words"),
    [
        (answer(401, b'{"error":"invalid_client"}'), Fault.UNAUTHORIZED, "invalid_client"),
        (answer(400, b'{"error":"invalid_scope","error_description":"x"}'), Fault.UNAUTHORIZED, "invalid_scope"),
        (answer(404, b"<html>"), Fault.UNAUTHORIZED, "token_url"),
        (answer(200, b"<html>"), Fault.UNAUTHORIZED, "access_token"),
        (answer(200, b'{"access_token":""}'), Fault.UNAUTHORIZED, "access_token"),
        (answer(302, location="https://evil.example.com"), Fault.UNAUTHORIZED, "302"),
        (answer(503, retry_after="9"), Fault.THROTTLED, "503"),
        (answer(500), Fault.SERVER_ERROR, "500"),
        (Failed(Fault.UNREACHABLE, "the name was not found"), Fault.UNREACHABLE, ": the name"),
    ],
)
async def test_what_the_token_endpoint_refuses_is_told_without_the_secret(
    given: Response | Failed, fault: Fault, words: str
) -> None:
    outcome = await sign_in(ScriptedExchange(given)).header()
    assert isinstance(outcome, Failed)
    assert outcome.fault is fault
    assert words in outcome.reason
    assert "s3cret" not in repr(outcome)


async def test_a_token_endpoint_that_recovers_costs_no_operation() -> None:
    tokens = ScriptedExchange(answer(429, retry_after="2"), granted("abc"))
    target = ScriptedExchange(answer(201))
    client = Client(target, LoopClock(), SetDice(), lane=Lane(1, None), auth=sign_in(tokens))
    request = Request("POST", "https://scim.example.com/Users", body=b"{}")
    assert await client.call(request, idempotent=False) == answer(201)
    assert client.requests == {"POST": 1}


async def test_name_and_password_are_joined_as_rfc_7617_says() -> None:
    passwords = iter(["wrong", "öpen"])
    auth = Basic("Aladdin", lambda: next(passwords))
    first = await auth.header()
    assert isinstance(first, str)
    assert await auth.renew(first) is True
    assert await auth.header() == "Basic " + base64.b64encode("Aladdin:öpen".encode()).decode()
