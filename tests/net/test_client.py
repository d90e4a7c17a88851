"""Retries, pauses, the breaker and the sign-in of the client, in virtual time."""

from __future__ import annotations

from dataclasses import replace

import anyio
import pytest

from reconciler.core.outcomes import Failed, Fault
from reconciler.errors import ConfigError, Problem
from reconciler.net.auth import Bearer
from reconciler.net.client import Client, Lane, Lanes
from reconciler.ports import Exchange, Request, Response
from tests.net.doubles import EPOCH, LoopClock, ScriptedExchange, SetDice, answer, times

pytestmark = pytest.mark.looptime

URL = "https://scim.example.com/v2/Users"
GET = Request("GET", URL)
POST = Request("POST", URL, body=b"{}")
REFUSED = Failed(Fault.UNREACHABLE, "scim.example.com refuses connections: nothing listens there")
CUT = Failed(Fault.INTERRUPTED, "scim.example.com closed the connection before it had answered")


def make_client(exchange: Exchange, lane: Lane | None = None, secrets: list[str] | None = None) -> Client:
    left = iter(secrets or ["first-token"])
    lane = lane or Lane(16, None)
    return Client(exchange, LoopClock(), SetDice(0.5), lane=lane, auth=Bearer(lambda: next(left)))


def now() -> float:
    return LoopClock().monotonic()


class Hung:
    """Takes a request and never answers it."""

    def __init__(self) -> None:
        self.deadlines: list[float] = []

    async def __call__(self, request: Request) -> Response | Failed:
        self.deadlines.append(request.deadline_seconds)
        await LoopClock().sleep(request.deadline_seconds)
        return Failed(Fault.INTERRUPTED, f"scim.example.com did not answer within {request.deadline_seconds:g} s")


class Busy:
    """Takes a second for each request and counts how many there are at once."""

    def __init__(self) -> None:
        self.at_once = self.at_once_max = 0
        self.started: list[float] = []

    async def __call__(self, request: Request) -> Response | Failed:
        self.started.append(now())
        self.at_once += 1
        self.at_once_max = max(self.at_once_max, self.at_once)
        await LoopClock().sleep(1.0)
        self.at_once -= 1
        return answer(200)


def of_itself(outcome: Response | Failed) -> Response | Failed:
    """Return an outcome as it would be with no try before it."""
    return replace(outcome, repeated=False) if isinstance(outcome, Failed) else outcome._replace(repeated=False)


async def call_side_by_side(clients: list[Client], times_each: int = 1) -> list[Response | Failed]:
    outcomes: list[Response | Failed] = []

    async def one(client: Client) -> None:
        outcomes.append(await client.call(GET, idempotent=True))

    async with anyio.create_task_group() as group:
        for client in clients:
            for _ in range(times_each):
                group.start_soon(one, client)
    return outcomes


async def test_an_answer_comes_back_as_it_is_and_is_counted() -> None:
    exchange = ScriptedExchange(answer(404, b"gone"), answer(201))
    client = make_client(exchange)
    assert await client.call(GET, idempotent=True) == answer(404, b"gone")
    assert await client.call(POST, idempotent=False) == answer(201)
    assert exchange.requests[1].headers["Authorization"] == "Bearer first-token"
    assert client.requests == {"GET": 1, "POST": 1}


@pytest.mark.parametrize(
    ("first", "idempotent", "sent"),
    [
        (CUT, True, 2),
        (CUT, False, 1),
        (REFUSED, True, 2),
        (REFUSED, False, 2),
        (answer(500), True, 2),
        (answer(500), False, 1),
        (answer(503), False, 1),
        (answer(503, retry_after="1"), False, 2),
        (answer(429), False, 2),
        (answer(400), True, 1),
        (answer(501), True, 1),
        (answer(302, location="https://elsewhere.example.com"), True, 1),
    ],
)
async def test_only_what_cannot_do_harm_is_sent_again(first: Response | Failed, idempotent: bool, sent: int) -> None:
    exchange = ScriptedExchange(first, answer(200))
    outcome = await make_client(exchange).call(GET, idempotent=idempotent)
    assert len(exchange.requests) == sent
    assert of_itself(outcome) == (answer(200) if sent == 2 else first)


@pytest.mark.parametrize("lost", [CUT, answer(500)])
@pytest.mark.parametrize("then", [answer(400), answer(401), answer(429, retry_after="3600"), answer(200)])
async def test_what_follows_a_try_without_an_answer_says_so_whatever_it_is(
    lost: Response | Failed, then: Response
) -> None:
    client = make_client(ScriptedExchange(lost, then, then), secrets=["first-token"] * 3)
    outcome = await client.call(GET, idempotent=True)
    assert outcome.repeated
    assert not isinstance(outcome, Failed) or outcome.may_have_been_done


async def test_a_pause_that_others_were_asked_for_does_not_settle_what_a_lost_try_has_done() -> None:
    lane = Lane(4, None)
    exchange = ScriptedExchange(CUT)
    client = make_client(exchange, lane)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(others_are_throttled, lane)
        outcome = await client.call(GET, idempotent=True)
    assert isinstance(outcome, Failed)
    assert (outcome.fault, len(exchange.requests)) == (Fault.THROTTLED, 1)
    assert outcome.may_have_been_done
    second = await client.call(GET, idempotent=True)
    assert isinstance(second, Failed)
    assert not second.may_have_been_done, "this one was not even sent"


async def others_are_throttled(lane: Lane) -> None:
    await LoopClock().sleep(0.01)
    lane.throttled(now(), 3600.0)


@pytest.mark.parametrize("retry_after", ["7", "Sun, 15 Jun 2025 15:06:47 GMT"])
async def test_retry_after_is_waited_for_in_seconds_and_as_a_date(retry_after: str) -> None:
    assert EPOCH == 1_750_000_000.0  # 15 June 2025, 15:06:40 GMT
    await make_client(ScriptedExchange(answer(429, retry_after=retry_after), answer(200))).call(POST, idempotent=False)
    assert 7.0 <= now() <= 7.7


async def test_a_permanent_500_is_tried_a_few_times_and_given_back() -> None:
    exchange = ScriptedExchange(*times(4, answer(500, b"bad path")))
    assert of_itself(await make_client(exchange).call(GET, idempotent=True)) == answer(500, b"bad path")
    assert len(exchange.requests) == 4


async def test_who_is_asked_to_wait_for_an_hour_gives_up_and_says_so_and_nobody_else_knocks() -> None:
    exchange = ScriptedExchange(answer(429, retry_after="3600"))
    lane = Lane(4, None)
    outcome = await make_client(exchange, lane).call(GET, idempotent=True)
    assert outcome == Failed(Fault.THROTTLED, "too many requests (429)", 429, 3600.0)
    other = await make_client(exchange, lane).call(GET, idempotent=True)
    assert isinstance(other, Failed)
    assert (other.fault, other.wait_seconds, other.unsent) == (Fault.THROTTLED, 3600.0, True)
    assert now() == 0.0


@pytest.mark.parametrize("asked", ["1764000000", "Fri, 01 Jan 2100 00:00:00 GMT"])
async def test_nobody_waits_longer_than_a_day_whatever_a_host_or_our_clock_says(asked: str) -> None:
    """A moment where seconds belong, or a date while our clock is wrong, would shut the host out until a restart."""
    exchange = ScriptedExchange(answer(429, retry_after=asked), answer(200))
    client = make_client(exchange, Lane(4, None))
    assert isinstance(await client.call(GET, idempotent=True), Failed)
    await LoopClock().sleep(86_400.0)
    assert await client.call(GET, idempotent=True) == answer(200)


async def test_one_429_makes_everybody_on_the_lane_wait() -> None:
    sent: list[float] = []

    async def throttling_once(request: Request) -> Response | Failed:
        sent.append(now())
        return answer(429, retry_after="10") if len(sent) == 1 else answer(200)

    lane = Lane(4, None)
    first, second = make_client(throttling_once, lane), make_client(throttling_once, lane)
    async with anyio.create_task_group() as group:
        group.start_soon(lambda: first.call(GET, idempotent=True))
        await LoopClock().sleep(1.0)
        await second.call(GET, idempotent=True)
    assert sent[0] == 0.0
    assert all(at >= 10.0 for at in sent[1:])


async def test_a_429_halves_the_calls_at_once_and_answers_give_them_back() -> None:
    lane = Lane(8, None)
    client = make_client(ScriptedExchange(answer(429), *times(250, answer(200))), lane)
    await client.call(GET, idempotent=True)
    assert lane.concurrency == 4
    for _ in range(249):
        await client.call(GET, idempotent=True)
    assert lane.concurrency == 8


async def test_never_more_calls_in_flight_than_the_lane_allows() -> None:
    lanes, busy = Lanes(), Busy()
    clients = [
        make_client(busy, lanes.lane("api.example.com", "phone-token", concurrency=concurrency))
        for concurrency in (8, 3)
    ]
    outcomes = await call_side_by_side(clients, 10)
    assert len(outcomes) == 20
    assert busy.at_once_max == 3


async def test_two_jobs_of_one_host_and_credential_share_its_rate() -> None:
    lanes, busy = Lanes(), Busy()
    lane = lanes.lane("api.example.com", "phone-token", concurrency=16, requests_per_second=10)
    assert lanes.lane("API.example.com", "phone-token", concurrency=16, requests_per_second=2) is lane
    assert lanes.lane("api.example.com", "other-token", concurrency=16) is not lane
    await call_side_by_side([make_client(busy, lane), make_client(busy, lane)], 5)
    assert sorted(busy.started) == pytest.approx([0.5 * number for number in range(10)])


async def test_some_may_go_at_once_before_the_rate_spaces_them_out() -> None:
    lanes, busy = Lanes(), Busy()
    lane = lanes.lane("api.example.com", "phone-token", concurrency=16, requests_per_second=2, burst=4)
    await call_side_by_side([make_client(busy, lane)], 8)
    assert sorted(busy.started) == pytest.approx([0.0, 0.0, 0.0, 0.0, 0.5, 1.0, 1.5, 2.0])


async def test_a_dead_target_is_given_up_within_30_s_and_then_not_knocked_at_for_a_while() -> None:
    exchange = ScriptedExchange(*times(5, REFUSED), answer(200), answer(200))
    client = make_client(exchange)
    assert await client.call(GET, idempotent=True) == REFUSED
    assert len(exchange.requests) == 4
    assert now() < 30
    assert await client.call(GET, idempotent=True) == replace(REFUSED, unsent=True)
    assert len(exchange.requests) == 4
    await LoopClock().sleep(16.0)
    assert await client.call(GET, idempotent=True) == REFUSED  # one look, no more
    assert len(exchange.requests) == 5
    await LoopClock().sleep(16.0)
    assert await client.call(GET, idempotent=True) == answer(200)
    assert await client.call(GET, idempotent=True) == answer(200)


@pytest.mark.parametrize("request_", [GET, POST])
async def test_a_target_that_hangs_from_the_start_is_dead_after_20_s(request_: Request) -> None:
    hung = Hung()
    client = make_client(hung)
    outcome = await client.call(request_, idempotent=request_.method == "GET")
    assert isinstance(outcome, Failed)
    assert outcome.fault is Fault.INTERRUPTED
    after = await client.call(GET, idempotent=True)
    assert isinstance(after, Failed)
    assert after.fault is Fault.UNREACHABLE
    assert hung.deadlines == [20.0]
    assert now() == 20.0


async def test_a_target_that_begins_to_hang_is_dead_after_the_second_silence() -> None:
    hung, lane = Hung(), Lane(4, None)
    await make_client(ScriptedExchange(answer(200)), lane).call(GET, idempotent=True)
    client = make_client(hung, lane)
    await client.call(Request("POST", URL, deadline_seconds=15.0), idempotent=False)
    await client.call(GET, idempotent=True)
    assert hung.deadlines == [15.0, 8.0]
    last = await client.call(GET, idempotent=True)
    assert isinstance(last, Failed)
    assert last.fault is Fault.UNREACHABLE
    assert now() < 30


async def test_one_cut_answer_does_not_make_a_target_dead() -> None:
    client = make_client(ScriptedExchange(CUT, answer(200)))
    assert await client.call(POST, idempotent=False) == CUT
    assert await client.call(GET, idempotent=True) == answer(200)


async def test_a_connection_test_tries_once() -> None:
    exchange = ScriptedExchange(answer(503, retry_after="5"))
    outcome = await make_client(exchange).call(GET, idempotent=True, retry=False)
    assert outcome == Failed(Fault.THROTTLED, "too many requests (503)", 503, 5.0)


async def test_a_refusal_that_repeats_the_token_is_read_without_it() -> None:
    said = b'{"detail": "the token first-token may not create users"}'
    for status, expected in ((403, said.replace(b"first-token", b"***")), (200, said)):
        outcome = await make_client(ScriptedExchange(answer(status, said))).call(POST, idempotent=False)
        assert isinstance(outcome, Response)
        assert outcome.body == expected


async def test_a_rotated_token_is_read_again_after_a_401() -> None:
    exchange = ScriptedExchange(answer(401), answer(200))
    client = make_client(exchange, secrets=["old-token", "new-token"])
    assert await client.call(POST, idempotent=False) == answer(200)
    assert [request.headers["Authorization"] for request in exchange.requests] == [
        "Bearer old-token",
        "Bearer new-token",
    ]
    assert client.requests == {"POST": 2}


async def test_the_same_token_is_not_sent_again_after_a_401() -> None:
    exchange = ScriptedExchange(answer(401))
    outcome = await make_client(exchange, secrets=["token", "token"]).call(GET, idempotent=True)
    assert isinstance(outcome, Failed)
    assert (outcome.fault, outcome.status) == (Fault.UNAUTHORIZED, 401)


async def test_a_new_token_that_is_refused_too_ends_it() -> None:
    exchange = ScriptedExchange(answer(401), answer(401))
    outcome = await make_client(exchange, secrets=["old", "new"]).call(GET, idempotent=True)
    assert isinstance(outcome, Failed)
    assert outcome.fault is Fault.UNAUTHORIZED


async def test_many_calls_that_meet_a_401_read_the_secret_once() -> None:
    reads: list[str] = []

    def read() -> str:
        reads.append("read")
        return "old" if len(reads) == 1 else "new"

    async def picky(request: Request) -> Response | Failed:
        await LoopClock().sleep(0.1)
        return answer(200 if request.headers["Authorization"] == "Bearer new" else 401)

    client = Client(picky, LoopClock(), SetDice(), lane=Lane(8, None), auth=Bearer(read))
    outcomes = await call_side_by_side([client], 8)
    assert outcomes == [answer(200)] * 8
    assert len(reads) == 2


async def test_a_secret_that_is_not_there_is_told_without_a_request() -> None:
    def read() -> str:
        raise ConfigError(Problem("targets.phone.auth.token", "PHONE_TOKEN is not set"))

    client = Client(ScriptedExchange(), LoopClock(), SetDice(), lane=Lane(1, None), auth=Bearer(read))
    outcome = await client.call(GET, idempotent=True)
    assert isinstance(outcome, Failed)
    assert outcome.fault is Fault.UNAUTHORIZED
    assert "PHONE_TOKEN is not set" in outcome.reason
    assert client.requests == {}


@pytest.mark.parametrize("token", ["", "  \n", "two\nlines"])
async def test_a_token_that_cannot_be_sent_is_refused_and_not_shown(token: str) -> None:
    client = make_client(ScriptedExchange(), secrets=[token])
    outcome = await client.call(GET, idempotent=True)
    assert isinstance(outcome, Failed)
    assert outcome.fault is Fault.UNAUTHORIZED
    assert "two" not in outcome.reason
