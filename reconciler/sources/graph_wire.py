"""Asks Microsoft Graph as a source does: one path, a list to its end, or many entries one by one."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from dataclasses import replace
from typing import Any

import anyio

from reconciler.core.outcomes import Failed, Fault
from reconciler.core.retrying import parse_retry_after
from reconciler.dialects import graph, graph_reading
from reconciler.dialects.graph import Call
from reconciler.dialects.graph_batching import Batching
from reconciler.dialects.graph_paging import Way
from reconciler.net.client import Client
from reconciler.ports import Clock, Request, Response, chunks

_BATCHES_AT_ONCE = 2
_OF_THE_SOURCE = frozenset(
    {
        Fault.UNAUTHORIZED,
        Fault.FORBIDDEN,
        Fault.UNREACHABLE,
        Fault.INTERRUPTED,
        Fault.THROTTLED,
        Fault.SERVER_ERROR,
        Fault.NOT_SCIM,
    }
)
_HINTS = {
    Fault.FORBIDDEN: "grant the application permission and admin consent; reconciler test names those that are missing",
    Fault.UNAUTHORIZED: "check tenant, client_id and the credential",
}
_BACKGROUND = {"x-ms-throttle-priority": "low"}
"""People who wait for an answer of the tenant's go first where it must be rationed."""


class Unreadable(Exception):
    """What is asked for cannot be read; `fault` where that is true of the source as a whole."""

    def __init__(self, why: str, fault: Failed | None = None) -> None:
        self.why, self.fault = why, fault
        super().__init__(why)


class StartOver(Exception):
    """A link leads nowhere any more: everything must be read anew."""


class GraphWire:
    """One Graph, in one version, read through one client. No link leads to another host."""

    __slots__ = ("_batches", "_clock", "_entries_max", "_timeout_seconds", "client", "url")

    def __init__(
        self, client: Client, clock: Clock, url: str, timeout_seconds: float, *, entries_max: int | None = None
    ) -> None:
        self.client, self.url, self._entries_max = client, url, entries_max
        self._clock, self._timeout_seconds = clock, timeout_seconds
        self._batches = Batching(client, clock, url, at_once=_BATCHES_AT_ONCE, timeout_seconds=timeout_seconds)

    async def get(self, path: str, *, doing: str, retry: bool = True) -> dict[str, Any]:
        """Return a JSON object. Raises Unreadable, or StartOver where the path is a link that is too old."""
        headers = {"Accept": "application/json", **_BACKGROUND}
        request = Request("GET", self.url + path, headers, None, self._timeout_seconds)
        outcome = await self.client.call(request, idempotent=True, retry=retry)
        judged = self._judged(Call("GET", path), outcome, doing)
        if isinstance(judged, Failed):
            if not isinstance(outcome, Failed) and graph_reading.starts_over(outcome.status, outcome.body):
                raise StartOver
            raise Unreadable(judged.reason, judged if judged.fault in _OF_THE_SOURCE else None)
        return judged

    async def pages(self, first: str, *, doing: str) -> AsyncGenerator[list[dict[str, Any]]]:
        """Yield the rows of a list, page by page, to its end."""
        way = self.way(first)
        while way.path is not None:
            rows = way.take(await self.get(way.path, doing=doing))
            if isinstance(rows, Failed):
                raise Unreadable(f"{doing}: {rows.reason}")
            yield rows
        if way.problems:
            raise Unreadable(f"{doing}: {next(iter(way.problems))}")

    def way(self, first: str) -> Way:
        """Return the way through a list that begins with this path."""
        return Way(self.url, first, entries_max=self._entries_max)

    async def each(self, paths: Sequence[str], *, doing: str) -> list[dict[str, Any] | Failed]:
        """Return what each path leads to, twenty in a request."""
        found: list[dict[str, Any] | Failed] = [Failed(Fault.INTERRUPTED, f"{doing}: was not asked")] * len(paths)

        async def one(number: int) -> None:
            call = Call("GET", paths[number], None, _BACKGROUND)
            outcome = (await self._batches.call(call))[-1]
            found[number] = self._judged(call, outcome, doing)

        for some in chunks(range(len(paths)), graph.BATCH_MAX * _BATCHES_AT_ONCE):
            async with anyio.create_task_group() as tasks:
                for number in some:
                    tasks.start_soon(one, number)
        return found

    def _judged(self, call: Call, outcome: Response | Failed, doing: str) -> dict[str, Any] | Failed:
        asked = f"{call.method} {call.path.partition('?')[0]}"
        if isinstance(outcome, Failed):
            return replace(outcome, reason=f"{doing}: {outcome.reason}", request=asked)
        if outcome.status == 200:
            content = graph.json_object(outcome.body)
            if content and "error" not in content:
                return content
            reason = f"{doing}: what answers is not Graph: check the url"
            return Failed(Fault.NOT_SCIM, reason, outcome.status, request=asked)
        header = outcome.headers.get("retry-after")
        wait_seconds = parse_retry_after(header, self._clock.now()) if header else None
        hints = {fault.value: hint for fault, hint in _HINTS.items()}
        failure = graph.failed(outcome.status, outcome.body, doing=doing, wait_seconds=wait_seconds, hints=hints)
        return replace(failure, request=asked)


def rows_of(content: dict[str, Any], *, doing: str) -> list[dict[str, Any]]:
    """Return the rows of a page. Raises Unreadable where it has no list, or something else in it."""
    rows = content.get("value")
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise Unreadable(f"{doing}: a page is not what Graph would answer")
    return rows
