"""Time and chance for tests of the client: the loop's own clock, which looptime makes virtual, and known dice."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable

from reconciler.core.outcomes import Failed
from reconciler.ports import Request, Response

EPOCH = 1_750_000_000.0


class LoopClock:
    """The clock of the running loop: virtual under looptime, real otherwise."""

    def now(self) -> float:
        return EPOCH + self.monotonic()

    def monotonic(self) -> float:
        return asyncio.get_running_loop().time()

    async def sleep(self, seconds: float) -> None:
        loop = asyncio.get_running_loop()
        over: asyncio.Future[None] = loop.create_future()
        handle = loop.call_later(seconds, _finish, over)
        try:
            await over
        finally:
            handle.cancel()


class SetDice:
    """Throws the same number every time: `share` of the way from low to high."""

    def __init__(self, share: float = 0.0) -> None:
        self.share = share

    def uniform(self, low: float, high: float) -> float:
        return low + self.share * (high - low)

    def hex(self, digits: int) -> str:
        return "0123456789abcdef"[:digits].rjust(digits, "0")


class ScriptedExchange:
    """Answers from a script, in order, and remembers what was asked; more requests than answers are an error."""

    def __init__(self, *answers: Response | Failed | Callable[[Request], Response | Failed]) -> None:
        self._answers = iter(answers)
        self.requests: list[Request] = []

    async def __call__(self, request: Request) -> Response | Failed:
        self.requests.append(request)
        answer = next(self._answers, None)
        assert answer is not None, f"nothing was left to answer {request.method} {request.url}"
        return answer(request) if callable(answer) else answer


def answer(status: int, body: bytes = b"", **headers: str) -> Response:
    """Return an answer; header names are written with underscores: retry_after="3"."""
    return Response(status, {name.replace("_", "-"): value for name, value in headers.items()}, body)


def times(number: int, each: Response | Failed) -> Iterable[Response | Failed]:
    return [each] * number


def _finish(over: asyncio.Future[None]) -> None:
    if not over.done():
        over.set_result(None)
