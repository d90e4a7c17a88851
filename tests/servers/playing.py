"""Plays the faults of a script at a server of any protocol: what goes wrong is the same, the words are the server's."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import orjson
from aiohttp import web

from tests.servers.answers import Answer
from tests.servers.faults import (
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


async def played(
    request: web.Request, fault: ServerFault, do: Callable[[], Answer], refusal: Callable[[int], Any], kind: str
) -> web.StreamResponse:
    """Answer as the fault says. `do` does what was asked, `refusal` is the server's own document for a status."""
    match fault:
        case Drop():
            return dropped(request)
        case DropAfterCommit():
            do()
            return dropped(request)
        case CutBody():
            return await _cut(request, do(), kind)
        case Delay(seconds, done=True):
            answer = do()
            await wait(seconds)
            return _response(answer)
        case Delay(seconds):
            await wait(seconds)
            return _response(do())
        case Status(done=True):
            do()
            return _response(scripted(fault, refusal, kind))
        case WrongJson(body):
            return _response(Answer(do().status, body, {"Content-Type": kind}))
        case ErrorInside200(code):
            return _response(Answer(200, orjson.dumps(refusal(code)), {"Content-Type": kind}))
        case Status() | Throttle() | Unauthorized():
            return _response(scripted(fault, refusal, kind))


def scripted(fault: Status | Throttle | Unauthorized, refusal: Callable[[int], Any], kind: str) -> Answer:
    """Return the answer that a fault puts in the place of the true one."""
    match fault:
        case Unauthorized():
            return _document(401, refusal(401), kind)
        case Throttle(seconds, date, status):
            after = date if date is not None else None if seconds is None else str(seconds)
            return _document(status, refusal(status), kind, {} if after is None else {"Retry-After": after})
        case Status(code, headers, bytes(body)):
            return Answer(code, body, headers)
        case Status(code, headers, body):
            return _document(code, refusal(code) if body is None else body, kind, headers)


def dropped(request: web.Request) -> web.Response:
    """Close the connection without an answer."""
    if request.transport is not None:
        request.transport.close()
    return web.Response(status=500)


async def wait(seconds: float) -> None:
    await asyncio.sleep(seconds)  # noqa: TID251  # a double lives on the loop's clock, it has no other


def _document(status: int, body: Any, kind: str, headers: Any = None) -> Answer:
    return Answer(status, orjson.dumps(body), {"Content-Type": kind, **(headers or {})})


def _response(answer: Answer) -> web.Response:
    return web.Response(status=answer.status, body=answer.body or None, headers=dict(answer.headers))


async def _cut(request: web.Request, answer: Answer, kind: str) -> web.StreamResponse:
    length = max(2, len(answer.body))
    headers = {"Content-Type": kind, **answer.headers, "Content-Length": str(length)}
    response = web.StreamResponse(status=200 if answer.status == 204 else answer.status, headers=headers)
    await response.prepare(request)
    await response.write(answer.body[: length // 2] or b"{")
    if request.transport is not None:
        request.transport.close()
    return response
