"""Gathers calls to Graph that are made side by side into $batch requests."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

import anyio
import anyio.lowlevel
import orjson

from reconciler.core.limits import Pace
from reconciler.core.outcomes import Failed, Fault
from reconciler.core.retrying import next_wait, parse_retry_after
from reconciler.dialects import graph
from reconciler.dialects.graph import Call
from reconciler.net.client import Client
from reconciler.net.doubting import after
from reconciler.net.statuses import fault_of
from reconciler.ports import Clock, Request, Response

_AGAIN = (Fault.THROTTLED, Fault.SERVER_ERROR)


@dataclass(slots=True, eq=False)
class _Waiting:
    """Calls of one caller, in order; the later ones are done only if the earlier ones were."""

    calls: Sequence[Call]
    outcomes: list[Response | Failed] = field(default_factory=list)
    alone: bool = False
    """It went as a request of its own, which the client has sent as often as it may."""
    leads: bool = False
    woken: anyio.Event = field(default_factory=anyio.Event)
    """It was answered, or is to lead."""
    answered: anyio.Event = field(default_factory=anyio.Event)


class Batching:
    """Sends what came together while earlier requests were on their way: nobody waits for others to come.

    At most `at_once` requests are in flight. `pace` spaces single calls, however they are gathered.
    """

    __slots__ = ("_at_once", "_client", "_clock", "_pace", "_queue", "_sending", "_timeout_seconds", "_url")

    def __init__(
        self, client: Client, clock: Clock, url: str, *, at_once: int, timeout_seconds: float, pace: Pace | None = None
    ) -> None:
        self._client, self._clock, self._url, self._pace = client, clock, url, pace
        self._at_once, self._timeout_seconds = at_once, timeout_seconds
        self._queue: deque[_Waiting] = deque()
        self._sending = 0

    async def call(self, *calls: Call) -> list[Response | Failed]:
        """Send calls of which each needs the one before it; return what they were answered, up to the first failure.

        A call that was throttled, or that Graph stumbled over and that may be repeated, is sent again in time.
        """
        answers: list[Response | Failed] = []
        left = list(calls)
        attempt, started, lost = 0, self._clock.monotonic(), False
        while left:
            attempt += 1
            outcomes, alone = await self._through(left)
            good = 0
            while good < len(outcomes) and _is_done(outcomes[good]):
                good += 1
            answers += outcomes[:good]
            left = left[good:]
            if not left:
                break
            failure = outcomes[good] if good < len(outcomes) else Failed(Fault.INTERRUPTED, "a call was not answered")
            lost = lost and not good
            wait_seconds = None if alone else self._wait(failure, left[0], attempt if not good else 1, started)
            if wait_seconds is None:
                return [*answers, after(failure, lost=lost)]
            lost = lost or failure.repeated or _is_uncertain(failure)
            await self._clock.sleep(wait_seconds)
        return answers

    def _wait(self, failure: Response | Failed, call: Call, attempt: int, started: float) -> float | None:
        """Return how long to wait before a call is sent again; None: it is not."""
        if isinstance(failure, Failed):
            return None  # the client has tried as often as it may
        header = failure.headers.get("retry-after")
        fault = fault_of(failure.status, asks_to_wait=header is not None)
        if fault not in _AGAIN:
            return None
        now = self._clock.monotonic()
        asked_seconds = parse_retry_after(header, self._clock.now()) if header else None
        chance = self._client.dice.uniform(0.0, 1.0)
        wait_seconds = next_wait(fault, attempt, now - started, asked_seconds, chance, idempotent=call.is_idempotent)
        if fault is Fault.THROTTLED:
            self._client.throttled(asked_seconds or wait_seconds or 0.0)
        return wait_seconds

    async def _through(self, calls: Sequence[Call]) -> tuple[list[Response | Failed], bool]:
        """Return what calls were answered, and whether they were a request of their own."""
        mine = _Waiting(calls)
        self._queue.append(mine)
        if self._sending < self._at_once:
            self._sending += 1
            mine.leads = True
        else:
            try:
                await mine.woken.wait()
            except BaseException:
                if mine in self._queue:
                    self._queue.remove(mine)
                if mine.leads:
                    self._pass_on()
                raise
        if mine.leads:
            try:
                await anyio.lowlevel.checkpoint()  # whoever was started beside us comes along
                while not mine.outcomes:
                    if mine not in self._queue:
                        await mine.answered.wait()  # another one has taken ours along
                        break
                    await self._send_some()
            finally:
                self._pass_on()
        return mine.outcomes, mine.alone

    def _pass_on(self) -> None:
        """Let the one who waits longest send from now on."""
        for waiting in self._queue:
            if not waiting.leads:
                waiting.leads = True
                waiting.woken.set()
                return
        self._sending -= 1

    async def _send_some(self) -> None:
        some: list[_Waiting] = []
        room = graph.BATCH_MAX
        while self._queue and len(self._queue[0].calls) <= room:
            some.append(self._queue.popleft())
            room -= len(some[-1].calls)
        try:
            await self._send(some)
        finally:
            for waiting in some:
                if not waiting.outcomes:
                    waiting.outcomes = [Failed(Fault.INTERRUPTED, "the request was cut off")]
                waiting.woken.set()
                waiting.answered.set()

    async def _send(self, some: Sequence[_Waiting]) -> None:
        calls = [call for waiting in some for call in waiting.calls]
        if self._pace is not None:
            now = self._clock.monotonic()
            wait_seconds = max([self._pace.reserve(now) for _ in calls])
            if wait_seconds > 0:
                await self._clock.sleep(wait_seconds)
        if len(calls) == 1:
            some[0].alone = True
            some[0].outcomes = [await self._send_alone(calls[0])]
            return
        request = Request(
            "POST",
            f"{self._url}/$batch",
            {"Accept": "application/json", "Content-Type": "application/json"},
            orjson.dumps(graph.batch([waiting.calls for waiting in some])),
            self._timeout_seconds * 3,
        )
        answer = await self._client.call(request, idempotent=all(call.is_idempotent for call in calls))
        answers = graph.batch_answers(answer.body) if not isinstance(answer, Failed) and answer.status == 200 else None
        number = 0
        for waiting in some:
            for _ in waiting.calls:
                number += 1
                waiting.outcomes.append(_outcome(answer, answers, str(number)))

    async def _send_alone(self, call: Call) -> Response | Failed:
        headers = {"Accept": "application/json", **call.headers}
        content = None
        if call.body is not None:
            headers["Content-Type"] = "application/json"
            content = orjson.dumps(call.body)
        request = Request(call.method, self._url + call.path, headers, content, self._timeout_seconds)
        return await self._client.call(request, idempotent=call.is_idempotent)


def _outcome(
    answer: Response | Failed, answers: dict[str, tuple[int, dict[str, str], bytes]] | None, number: str
) -> Response | Failed:
    if isinstance(answer, Failed):
        return answer
    if answers is None:
        if 200 <= answer.status < 300:
            return Failed(Fault.NOT_SCIM, "what answers a batch is not Graph: check the url", answer.status)
        return answer
    one = answers.get(number)
    if one is None:
        return Failed(Fault.INTERRUPTED, "Graph left a request of a batch unanswered")
    return Response(*one, answer.repeated)


def _is_uncertain(outcome: Response | Failed) -> bool:
    """Whether a call may have been done although its answer is a failure."""
    if isinstance(outcome, Failed):
        return outcome.may_have_been_done
    return fault_of(outcome.status, asks_to_wait="retry-after" in outcome.headers) is Fault.SERVER_ERROR


def _is_done(outcome: Response | Failed) -> bool:
    return not isinstance(outcome, Failed) and 200 <= outcome.status < 300
