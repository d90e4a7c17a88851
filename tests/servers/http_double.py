"""What the doubles of HTTP APIs share: a port of this machine, what was asked, and answers that a test puts first."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, Self

import orjson
from aiohttp import web

Json = dict[str, Any]


class Refused(Exception):
    """The system does not do it."""

    def __init__(self, status: int, body: Json) -> None:
        self.status, self.body = status, body
        super().__init__(status)


class HttpDouble(ABC):
    """A server on 127.0.0.1, inside `async with`. `answer` is what makes it one system or another."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        """Path and query of each request, as they came."""
        self.first: list[Callable[[], web.StreamResponse] | None] = []
        """What is answered instead, in order; None: what the system itself says."""
        self.url = ""
        self._runner: web.AppRunner | None = None

    @abstractmethod
    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Answer as the system itself does."""

    def then(self, status: int, body: bytes, *, after: int = 0, **headers: str) -> None:
        """Answer so once, after so many requests."""
        self.first = [
            *([None] * after),
            lambda: web.Response(
                status=status, body=body, headers={k.replace("_", "-"): v for k, v in headers.items()}
            ),
        ]

    async def __aenter__(self) -> Self:
        application = web.Application()
        application.router.add_route("*", "/{path:.*}", self._serve)
        self._runner = web.AppRunner(application, access_log=None, shutdown_timeout=1.0)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(request.path_qs)
        put_first = self.first.pop(0) if self.first else None
        if put_first is not None:
            return put_first()
        try:
            return await self.answer(request)
        except Refused as refused:
            return answered(refused.body, refused.status)


def answered(content: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
    return web.Response(
        status=status, body=orjson.dumps(content), content_type="application/json", headers=dict(headers or {})
    )
