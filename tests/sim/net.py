"""The wire of a simulation: every request of every adapter passes here, and the weather with it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol
from urllib.parse import unquote, urlsplit

from reconciler.core.outcomes import Failed, Fault
from reconciler.ports import Request, Response
from tests.sim.life import Life, chance
from tests.sim.story import Story
from tests.sim.weather import Happens, Weather


class Peer(Protocol):
    """A system at the other end."""

    def answer(self, request: Request) -> Response: ...


@dataclass(frozen=True, slots=True)
class Limits:
    """What the configuration allows at one host."""

    concurrency: int
    requests_per_second: float | None


class Network:
    """Carries requests to peers, and their answers back; both take time."""

    def __init__(
        self, peers: Mapping[str, Peer], weather: Weather, seed: str, story: Story, limits: Mapping[str, Limits]
    ) -> None:
        self._peers, self.weather, self._story = dict(peers), weather, story
        self.limits = dict(limits)
        self._chance = chance(f"{seed}/network")
        self._in_flight = dict.fromkeys(peers, 0)
        self._sent: dict[str, list[float]] = {host: [] for host in peers}
        self.requests = 0
        self.wrong: Callable[[str], None] = lambda text: None
        """Is told what must never be."""
        self.on_send: Callable[[str, Request], None] = lambda host, request: None
        self._untold: set[str] = set()
        self._words: dict[str, Callable[[Response], Response]] = {}

    def count(self, host: str) -> int:
        return len(self._sent[host])

    def add_door(self, host: str, peer: Peer) -> None:
        """Add a token endpoint: what passes there are secrets, which are not told."""
        self._peers[host], self._in_flight[host], self._sent[host] = peer, 0, []
        self.limits[host] = Limits(8, None)
        self._untold.add(host)

    def word(self, host: str, words: Callable[[Response], Response]) -> None:
        """Let the weather's errors be worded as they are at a host."""
        self._words[host] = words

    def connect(self, life: Life, **_: Any) -> Wire:
        """Return a connection of one life, in place of the real one."""
        return Wire(self, life)

    async def carry(self, life: Life, request: Request) -> Response | Failed:
        """Take one request to its peer; return what came back."""
        life.check()
        host = urlsplit(request.url).netloc
        loop = asyncio.get_running_loop()
        self.requests += 1
        number = self.requests
        self._story.tell(
            f"#{number} {request.method} {_place(request)} {'' if host in self._untold else _text(request.body)}"
        )
        self._keep_limits(host, loop.time())
        self.on_send(host, request)
        happens = self.weather.over(host, request, loop.time())
        came: asyncio.Future[Response | Failed] = loop.create_future()
        self._in_flight[host] += 1
        handles = [loop.call_later(request.deadline_seconds, _set, came, _late(host, request.deadline_seconds))]
        there, back = self._chance.uniform(0.005, 0.06), self._chance.uniform(0.005, 0.06)
        if happens.slow_seconds:
            back += happens.slow_seconds
        if happens.sent:
            # The peer goes on with what has reached it, whatever becomes of who asked.
            loop.call_later(there, partial(self._reach, host, request, happens, back, came))
        else:
            handles.append(loop.call_later(there, _set, came, happens.instead))
        try:
            outcome = await came
        finally:
            self._in_flight[host] -= 1
            for handle in handles:
                handle.cancel()
        life.check()
        body = None if isinstance(outcome, Failed) or host in self._untold else outcome.body
        shown = outcome.fault.value if isinstance(outcome, Failed) else f"{outcome.status} {_text(body)}"
        self._story.tell(f"#{number} -> {shown}{f' ({happens.name})' if happens.name else ''}")
        return outcome

    def _reach(
        self, host: str, request: Request, happens: Happens, back: float, came: asyncio.Future[Response | Failed]
    ) -> None:
        answer: Response | Failed = self._peers[host].answer(request) if happens.done else Response(500, {}, b"")
        if happens.answer is not None:
            assert isinstance(answer, Response)
            answer = happens.answer(answer)
            if isinstance(answer, Response) and host in self._words:
                answer = self._words[host](answer)
        asyncio.get_running_loop().call_later(back, _set, came, answer)

    def _keep_limits(self, host: str, now: float) -> None:
        limits, sent = self.limits[host], self._sent[host]
        sent.append(now)
        if self._in_flight[host] + 1 > limits.concurrency:
            self.wrong(f"{self._in_flight[host] + 1} calls in flight at {host}, allowed {limits.concurrency}")
        rate = limits.requests_per_second
        if rate is not None:
            within = [moment for moment in sent[-200:] if moment > now - 10.0]
            if len(within) > 1 + 10.0 * rate:
                self.wrong(f"{len(within)} requests to {host} within 10 s, allowed {rate:g} a second")


class Wire:
    """A connection of one life."""

    def __init__(self, network: Network, life: Life) -> None:
        self._network, self._life = network, life

    async def __call__(self, request: Request) -> Response | Failed:
        return await self._network.carry(self._life, request)

    async def aclose(self) -> None:
        """Nothing is open."""


def _set(came: asyncio.Future[Response | Failed], outcome: Response | Failed) -> None:
    if not came.done():
        came.set_result(outcome)


def _late(host: str, seconds: float) -> Failed:
    return Failed(Fault.INTERRUPTED, f"{host} did not answer within {seconds:g} s", timed_out=True)


def _place(request: Request) -> str:
    parts = urlsplit(request.url)
    return unquote(parts.netloc.partition(".")[0] + parts.path + (f"?{parts.query}" if parts.query else ""))


def _text(body: bytes | None) -> str:
    text = (body or b"").decode(errors="replace")
    return text if len(text) <= 300 else f"{text[:300]}… ({len(text)} bytes)"
