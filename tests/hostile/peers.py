"""Servers on real sockets that mean harm: each says to every request what its name promises."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import orjson
import pytest

_LIST = "urn:ietf:params:scim:api:messages:2.0:ListResponse"
LISTED = orjson.dumps({"schemas": [_LIST], "totalResults": 0, "Resources": []})
"""What a SCIM server without anybody in it answers to every question."""
_OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/scim+json\r\n"
_PAUSE_SECONDS = 0.05
_BLOCK = bytes(1024 * 1024)


@dataclass(frozen=True, slots=True)
class Asked:
    """One request as it came."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes


Answer = Callable[[Asked, asyncio.StreamWriter], Awaitable[None]]


@dataclass(slots=True)
class Peer:
    """Takes requests one after the other on each connection, and lets `answer` say what it will."""

    answer: Answer
    asked: list[Asked] = field(default_factory=list)

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while not reader.at_eof():
            head = await reader.readuntil(b"\r\n\r\n")
            first, *lines = head.decode("latin-1").rstrip("\r\n").split("\r\n")
            method, target, _ = first.split(" ")
            headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
            body = await reader.readexactly(int(headers.get("content-length", "0")))
            asked = Asked(method, target, headers, body)
            self.asked.append(asked)
            await self.answer(asked, writer)


def says(body: bytes, status: str = "200 OK", kind: str = "application/scim+json", *more: str) -> Answer:
    """Answer like this, whatever is asked."""
    head = "\r\n".join([f"HTTP/1.1 {status}", f"Content-Type: {kind}", f"Content-Length: {len(body)}", *more])
    return sends(head.encode() + b"\r\n\r\n" + body)


def sends(raw: bytes) -> Answer:
    """Send these bytes, whatever is asked."""

    async def answer(asked: Asked, writer: asyncio.StreamWriter) -> None:
        writer.write(raw)
        await writer.drain()

    return answer


def without_end(head: bytes, block: bytes, pause_seconds: float = 0.0) -> Answer:
    """Send a head and then this block for as long as anybody listens."""

    async def answer(asked: Asked, writer: asyncio.StreamWriter) -> None:
        writer.write(head)
        while True:
            writer.write(block)
            await writer.drain()
            await asyncio.sleep(pause_seconds)  # noqa: TID251  # a peer that drips lives on the loop's clock

    return answer


def by_name(*answers: dict[str, Answer]) -> list[Any]:
    """Return them as the parameters of a test."""
    return [pytest.param(answer, id=name) for some in answers for name, answer in some.items()]


def _chunk(block: bytes) -> bytes:
    return f"{len(block):x}\r\n".encode() + block + b"\r\n"


def _bomb() -> Answer:
    """A body that unpacks to a thousand times its length, and has no end."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    begin = packer.compress(_BLOCK) + packer.flush(zlib.Z_FULL_FLUSH)
    again = packer.compress(_BLOCK) + packer.flush(zlib.Z_FULL_FLUSH)
    head = _OK + b"Content-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n"
    return without_end(head + _chunk(begin), _chunk(again * 64))


_DEEP = b'{"Resources":' + b"[" * 200_000 + b"]" * 200_000 + b"}"


def listed(rows: bytes, total: bytes = b"1") -> bytes:
    """A body that has these rows wherever a list of SCIM, of Graph or of the described systems has them."""
    places = b"".join(b'"%s": %s, ' % (name, rows) for name in (b"Resources", b"value", b"people", b"circles"))
    return b'{%s"totalResults": %s, "total": %s, "next": null}' % (places, total, total)


ENDLESS: dict[str, Answer] = {
    "a body without end": without_end(_OK + b"Transfer-Encoding: chunked\r\n\r\n", _chunk(_BLOCK)),
    "a body that unpacks without end": _bomb(),
    "a body far longer than it will be": without_end(_OK + b"Content-Length: 99999999999\r\n\r\n", _BLOCK),
    "headers without end": without_end(b"HTTP/1.1 200 OK\r\n", b"X-More: " + b"a" * 4000 + b"\r\n"),
    "one header without end": without_end(b"HTTP/1.1 200 OK\r\nX-More: ", b"a" * 65536),
    "a status line without end": without_end(b"HTTP/1.1 200 ", b"O" * 65536),
    "interim answers without end": without_end(b"", b"HTTP/1.1 102 Processing\r\n\r\n" * 100),
}
"""What goes on for ever as fast as it is taken."""
BOMBS = {
    name: ENDLESS[name] for name in ("a body without end", "a body that unpacks without end", "headers without end")
}

SLOW: dict[str, Answer] = {
    "headers that drip": without_end(b"HTTP/1.1 200 OK\r\nX-Slow: ", b"a", _PAUSE_SECONDS),
    "a body that drips": without_end(_OK + b"Content-Length: 100000\r\n\r\n", b" ", _PAUSE_SECONDS),
    "chunks that drip": without_end(_OK + b"Transfer-Encoding: chunked\r\n\r\n", _chunk(b" "), _PAUSE_SECONDS),
}
"""What goes on for ever and keeps the connection busy."""

HALF_A_CHARACTER = says(listed(rb'[{"id": "\ud800", "key": "\ud800", "userName": "\udfff", "active": true}]'))
"""Whose ids cannot be told from others that were cut so."""

WRONG: dict[str, Answer] = {
    "a page of HTML": says(b"<html><body>Please sign in</body></html>", kind="text/html"),
    "JSON of two hundred thousand levels": says(_DEEP),
    "NaN where a number belongs": says(listed(b'[{"id": NaN, "key": NaN}]', b"NaN")),
    "bytes that are no UTF-8": says(listed(b'[{"id": "\xff\xfe", "key": "\xff"}]')),
    "a list where an object belongs": says(b"[" + b"1," * 1000 + b"1]"),
    "a number where an object belongs": says(b"1"),
    "nothing at all": says(b""),
    "a status that nobody knows": says(b"{}", status="799 What"),
    "two lengths": sends(_OK + b"Content-Length: 5\r\nContent-Length: 2\r\n\r\n{}   "),
    "a length below nothing": sends(_OK + b"Content-Length: -5\r\n\r\n{}"),
    "something that is not HTTP": sends(b"SSH-2.0-OpenSSH_9.2\r\n" * 10),
    "a NUL in a header": sends(b"HTTP/1.1 200 OK\r\nX-\x00: \x00\r\nContent-Length: 2\r\n\r\n{}"),
    "more rows than were asked for": says(
        listed(
            b"["
            + b",".join(b'{"id": "%d", "key": "%d", "userName": "u", "active": true}' % (n, n) for n in range(20_000))
            + b"]"
        )
    ),
}
"""What ends, and is not what was asked for."""
