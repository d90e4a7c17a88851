"""Sends a request until it is answered: retries, rate limit, bounded concurrency, and a breaker, around an Exchange.

All clients of one host and credential share a `Lane`: never more calls in flight than configured, one pace, one pause
when the host says 429, and no further knocking for a while at a door that nobody opens.
"""

from __future__ import annotations

import math
from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import replace
from typing import Protocol, runtime_checkable

import anyio

from reconciler.core.limits import Pace
from reconciler.core.outcomes import Failed, Fault
from reconciler.core.retrying import next_wait, parse_retry_after
from reconciler.net.auth import Auth
from reconciler.net.concealing import without_credential
from reconciler.net.doubting import after
from reconciler.net.statuses import fault_of
from reconciler.ports import Clock, Dice, Exchange, Request, Response

FIRST_ANSWER_SECONDS = 20.0
"""How long a host that was not heard of lately may take: a hung one must not hold a cycle for a minute."""
SUSPECT_ANSWER_SECONDS = 8.0
"""How long a host may take that has just let a call run out of time."""
REST_SECONDS = 15.0
"""How long nobody knocks after a host was found dead."""
PAUSE_SECONDS_MAX = 86_400.0
"""No host is left alone for longer: it may have given a moment for seconds, or our clock may have been wrong."""
_LATELY_SECONDS = 60.0
_WIDEN_AFTER_ANSWERS = 50
"""So many answers without a 429 give back one of the parallel calls that a 429 took."""
WRITE_BURST = 20
"""So many changes may go at once where their pace is limited."""
_RETRIABLE = frozenset({Fault.UNREACHABLE, Fault.INTERRUPTED, Fault.THROTTLED, Fault.SERVER_ERROR})


class Lane:
    """What all clients of one host and credential share. Times are of the monotonic clock."""

    __slots__ = (
        "_allowed",
        "_answers",
        "_concurrency",
        "_dead_because",
        "_heard_at",
        "_in_flight",
        "_requests_per_second",
        "_rests_until",
        "_suspect",
        "_waiting",
        "_writes_per_second",
        "pace",
        "paused_until",
        "write_pace",
    )

    def __init__(
        self,
        concurrency: int,
        requests_per_second: float | None,
        writes_per_second: float | None = None,
        burst: int = 1,
    ) -> None:
        self._concurrency = concurrency
        self._allowed = concurrency
        self._in_flight = 0
        self._waiting: deque[anyio.Event] = deque()
        self._answers = 0
        self._heard_at = -math.inf
        self._suspect = False
        self._dead_because: str | None = None
        self._rests_until = -math.inf
        self._requests_per_second = requests_per_second
        self.pace = Pace(requests_per_second, burst) if requests_per_second else None
        self.paused_until = -math.inf
        self._writes_per_second: float | None = None
        self.write_pace: Pace | None = None
        """The pace of single changes, where several go in one request."""
        self._pace_writes(writes_per_second)

    @property
    def concurrency(self) -> int:
        """How many calls may be in flight now."""
        return self._allowed

    def tighten(
        self,
        concurrency: int,
        requests_per_second: float | None,
        writes_per_second: float | None = None,
        burst: int = 1,
    ) -> None:
        """Take another client in: the lowest of both limits counts."""
        self._pace_writes(writes_per_second)
        self._concurrency = min(self._concurrency, concurrency)
        self._allowed = min(self._allowed, concurrency)
        if requests_per_second and requests_per_second < (self._requests_per_second or math.inf):
            self._requests_per_second, self.pace = requests_per_second, Pace(requests_per_second, burst)

    def _pace_writes(self, writes_per_second: float | None) -> None:
        if writes_per_second and writes_per_second < (self._writes_per_second or math.inf):
            self._writes_per_second = writes_per_second
            self.write_pace = Pace(writes_per_second, WRITE_BURST)

    def deadline_seconds(self, now: float, wanted_seconds: float) -> float:
        """Return how long the next call may take."""
        if self._suspect or self._dead_because is not None:
            return min(wanted_seconds, SUSPECT_ANSWER_SECONDS)
        if now - self._heard_at > _LATELY_SECONDS:
            return min(wanted_seconds, FIRST_ANSWER_SECONDS)
        return wanted_seconds

    def dead_because(self, now: float) -> str | None:
        """Return why nobody knocks now; None when calls may be sent."""
        if self._dead_because is not None and now - self._rests_until > _LATELY_SECONDS:
            self._dead_because, self._suspect = None, False
        return self._dead_because if now < self._rests_until else None

    def gives_one_try(self) -> bool:
        """Whether the host was found dead and has not been heard since: its rest is over, one call may look."""
        return self._dead_because is not None

    def heard(self, now: float) -> None:
        """Take note of an answer that is no 429."""
        self._heard_at, self._suspect, self._dead_because, self._rests_until = now, False, None, -math.inf
        if self._allowed < self._concurrency:
            self._answers += 1
            if self._answers >= _WIDEN_AFTER_ANSWERS:
                self._answers = 0
                self._allowed += 1
                self._let_in()

    def throttled(self, now: float, wait_seconds: float) -> None:
        """Take note of a 429: everybody waits, and half as many go on afterwards."""
        wait_seconds = min(wait_seconds, PAUSE_SECONDS_MAX)
        self.heard(now)
        self._answers = 0
        if now >= self.paused_until:
            self._allowed = max(1, self._allowed // 2)
        self.paused_until = max(self.paused_until, now + wait_seconds)

    def silent(self, since: float, now: float, reason: str) -> None:
        """Take note of a call that ran out of time; the second one in a row, or the first ever, means dead."""
        if self._heard_at > since:
            return
        if self._suspect or since - self._heard_at > _LATELY_SECONDS:
            self.found_dead(since, now, reason)
        self._suspect = True

    def found_dead(self, since: float, now: float, reason: str) -> None:
        """Let the host rest, unless somebody heard of it since then."""
        if self._heard_at <= since:
            self._dead_because, self._rests_until = reason, now + REST_SECONDS

    def is_open(self, now: float) -> bool:
        """Whether calls may be sent: the host was not found dead and did not ask everybody to wait."""
        return self._dead_because is None and now >= self.paused_until

    def enter(self) -> bool:
        """Take a place in flight where one is free and nobody waits for it; return whether that was so."""
        if self._in_flight < self._allowed and not self._waiting:
            self._in_flight += 1
            return True
        return False

    async def acquire(self) -> None:
        """Return when one more call may be in flight; first come, first served."""
        if self.enter():
            return
        turn = anyio.Event()
        self._waiting.append(turn)
        try:
            await turn.wait()
        except BaseException:
            if turn.is_set():
                self.release()
            else:
                self._waiting.remove(turn)
            raise

    def release(self) -> None:
        self._in_flight -= 1
        if self._waiting:
            self._let_in()

    def _let_in(self) -> None:
        """Give the free places to those who wait longest."""
        while self._waiting and self._in_flight < self._allowed:
            self._in_flight += 1
            self._waiting.popleft().set()


class Lanes:
    """The lanes of this process, by host and by which credential is used (its name, never the secret)."""

    __slots__ = ("_lanes",)

    def __init__(self) -> None:
        self._lanes: dict[tuple[str, str], Lane] = {}

    def lane(
        self,
        host: str,
        credential: str,
        *,
        concurrency: int,
        requests_per_second: float | None = None,
        writes_per_second: float | None = None,
        burst: int = 1,
    ) -> Lane:
        """Return the lane, made at its first use; a further client can only make it narrower."""
        lane = self._lanes.get((host.lower(), credential))
        if lane is None:
            lane = self._lanes[host.lower(), credential] = Lane(
                concurrency, requests_per_second, writes_per_second, burst
            )
        else:
            lane.tighten(concurrency, requests_per_second, writes_per_second, burst)
        return lane


@runtime_checkable
class _Closable(Protocol):
    async def aclose(self) -> None: ...


class Client:
    """One user of a lane, with its own connection, sign-in and counts."""

    __slots__ = ("_auth", "_clock", "_dice", "_exchange", "_lane", "_requests")

    def __init__(self, exchange: Exchange, clock: Clock, dice: Dice, *, lane: Lane, auth: Auth | None = None) -> None:
        self._exchange, self._clock, self._dice = exchange, clock, dice
        self._lane, self._auth = lane, auth
        self._requests: Counter[str] = Counter()

    @property
    def requests(self) -> Mapping[str, int]:
        """How many requests were sent, by method; every retry counts."""
        return self._requests

    @property
    def dice(self) -> Dice:
        return self._dice

    @property
    def write_pace(self) -> Pace | None:
        """The pace of single changes, shared by all clients of the lane; None: they have none of their own."""
        return self._lane.write_pace

    def throttled(self, wait_seconds: float) -> None:
        """Let everybody of the lane wait: a part of an answer said 429."""
        self._lane.throttled(self._clock.monotonic(), wait_seconds)

    async def header(self) -> str | Failed | None:
        """Return the Authorization header that requests go with, for a test of the sign-in; None: they have none."""
        return await self._auth.header() if self._auth is not None else None

    async def aclose(self) -> None:
        """Close the connections, where the exchange has any."""
        if isinstance(self._exchange, _Closable):
            await self._exchange.aclose()

    async def call(self, request: Request, *, idempotent: bool, retry: bool = True) -> Response | Failed:
        """Return the answer, whatever its status, or why there is none worth reading.

        Failed is UNREACHABLE, INTERRUPTED, THROTTLED (with what the host asked to wait) or UNAUTHORIZED; `unsent` where
        the host was known to be away, or asked everybody to wait, before a first try. A request that is not idempotent
        is sent again only when it certainly was not carried out.
        """
        now = started = self._clock.monotonic()
        lane, attempt, lost = self._lane, 0, False
        while True:
            if not lane.is_open(now) and (held := await self._pass(started)) is not None:
                return after(replace(held, unsent=attempt == 0), lost=lost)
            once = not retry or lane.gives_one_try()
            attempt += 1
            outcome, used = await self._send(request)
            lost = lost or outcome.repeated
            if used is not None and not isinstance(outcome, Failed) and outcome.status == 401:
                outcome = await self._send_anew(request, used, outcome)
            fault = _fault(outcome)
            if fault is None or fault not in _RETRIABLE:
                lane.heard(self._clock.monotonic())
                if fault is Fault.UNAUTHORIZED:
                    outcome = _unauthorized(outcome)
                return after(outcome, lost=lost)
            now = self._clock.monotonic()
            asked_seconds = self._asked(outcome)
            wait_seconds = None
            if not once and lane.dead_because(now) is None:
                chance = self._dice.uniform(0.0, 1.0)
                wait_seconds = next_wait(fault, attempt, now - started, asked_seconds, chance, idempotent=idempotent)
            if fault is Fault.THROTTLED:
                lane.throttled(now, asked_seconds or wait_seconds or 0.0)
            elif fault is Fault.SERVER_ERROR:
                lane.heard(now)
            if wait_seconds is None:
                if fault is Fault.UNREACHABLE or (fault is Fault.INTERRUPTED and idempotent):
                    lane.found_dead(started, now, _reason(outcome))
                return after(outcome if fault is not Fault.THROTTLED else _throttled(outcome, asked_seconds), lost=lost)
            lost = lost or fault in (Fault.INTERRUPTED, Fault.SERVER_ERROR)
            await self._clock.sleep(wait_seconds)
            now = self._clock.monotonic()

    async def _pass(self, started: float) -> Failed | None:
        """Wait for the lane's pause to end; return Failed when it will not end in time, or the host is dead."""
        lane = self._lane
        now = self._clock.monotonic()
        reason = lane.dead_because(now)
        if reason is not None:
            return Failed(Fault.UNREACHABLE, reason)
        while now < lane.paused_until:
            left = lane.paused_until - now
            wait_seconds = next_wait(
                Fault.THROTTLED, 1, now - started, left, self._dice.uniform(0.0, 1.0), idempotent=True
            )
            if wait_seconds is None:
                reason = f"the target asked everybody to wait, {left:.0f} s from now"
                return Failed(Fault.THROTTLED, reason, wait_seconds=left)
            await self._clock.sleep(max(left, wait_seconds))
            now = self._clock.monotonic()
        return None

    async def _send_anew(self, request: Request, used: str, refusal: Response) -> Response | Failed:
        """After a 401 send once more, when the credential has changed meanwhile."""
        if self._auth is None:
            return refusal
        renewed = await self._auth.renew(used)
        if isinstance(renewed, Failed):
            return renewed
        return (await self._send(request))[0] if renewed else refusal

    async def _send(self, request: Request) -> tuple[Response | Failed, str | None]:
        """Send with the credential of now; return also the header that was used."""
        lane, clock, headers = self._lane, self._clock, request.headers
        signed = await self._auth.header() if self._auth is not None else None
        if isinstance(signed, Failed):
            return signed, None
        if signed is not None:
            headers = {**headers, "Authorization": signed}
        if not lane.enter():
            await lane.acquire()
        try:
            now = clock.monotonic()
            if lane.pace is not None:
                wait_seconds = lane.pace.reserve(now)
                if wait_seconds > 0:
                    await clock.sleep(wait_seconds)
                    now = clock.monotonic()
            deadline_seconds = lane.deadline_seconds(now, request.deadline_seconds)
            self._requests[request.method] += 1
            outcome = await self._exchange(
                Request(request.method, request.url, headers, request.body, deadline_seconds)
            )
        finally:
            lane.release()
        if isinstance(outcome, Failed) and outcome.fault is Fault.INTERRUPTED:
            ended = clock.monotonic()
            if ended - now >= deadline_seconds * 0.99:
                lane.silent(now, ended, outcome.reason)
        return without_credential(outcome, signed), signed

    def _asked(self, outcome: Response | Failed) -> float | None:
        if isinstance(outcome, Failed):
            return outcome.wait_seconds
        header = outcome.headers.get("retry-after")
        return parse_retry_after(header, self._clock.now()) if header else None


def _fault(outcome: Response | Failed) -> Fault | None:
    if isinstance(outcome, Failed):
        return outcome.fault
    if 200 <= outcome.status < 300:
        return None
    return fault_of(outcome.status, asks_to_wait="retry-after" in outcome.headers)


def _reason(outcome: Response | Failed) -> str:
    return outcome.reason if isinstance(outcome, Failed) else f"status {outcome.status}"


def _unauthorized(outcome: Response | Failed) -> Failed:
    if isinstance(outcome, Failed):
        return outcome
    return Failed(Fault.UNAUTHORIZED, "the credential was refused (401): is it right, has it expired?", 401)


def _throttled(outcome: Response | Failed, asked_seconds: float | None) -> Failed:
    if isinstance(outcome, Failed):
        return outcome
    return Failed(Fault.THROTTLED, f"too many requests ({outcome.status})", outcome.status, asked_seconds)
