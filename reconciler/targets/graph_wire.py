"""Speaks to Microsoft Graph: sends calls, reads pages, and waits for what was made just now to be there."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

from reconciler.core.outcomes import Failed, Fault
from reconciler.core.profile import Profile
from reconciler.core.retrying import parse_retry_after
from reconciler.dialects import graph
from reconciler.dialects.graph import Call
from reconciler.dialects.graph_batching import Batching
from reconciler.dialects.graph_paging import Way
from reconciler.net.client import Client
from reconciler.ports import Clock, Request, Response

REQUESTS_AT_ONCE = 2
"""So many requests of a kind (readings, changes) are in flight at most, each with up to twenty calls in it."""
YOUNG_SECONDS = 120.0
"""How long after a create a 404 may mean that not all of the directory knows of it yet."""
_NO_HEADERS: Mapping[str, str] = {}
_PATIENCE_SECONDS = (0.5, 1.0, 2.0, 4.0, 8.0, 15.0)


class Wire:
    """One Graph, in one version, spoken to through one client."""

    __slots__ = (
        *("_born", "_clock", "_entries_max", "_hints", "_reads", "_timeout_seconds", "_writes"),
        *("client", "url"),
    )

    def __init__(
        self,
        client: Client,
        clock: Clock,
        url: str,
        profile: Profile,
        timeout_seconds: float,
        *,
        entries_max: int | None = None,
    ) -> None:
        self.client, self.url, self._entries_max = client, url, entries_max
        self._clock, self._hints, self._timeout_seconds = clock, profile.hints, timeout_seconds
        self._reads = Batching(client, clock, url, at_once=REQUESTS_AT_ONCE, timeout_seconds=timeout_seconds)
        self._writes = Batching(
            client, clock, url, at_once=REQUESTS_AT_ONCE, timeout_seconds=timeout_seconds, pace=client.write_pace
        )
        self._born: dict[str, float] = {}

    def note_born(self, target_id: str) -> None:
        """Take note that a resource was made just now."""
        self._born[target_id] = self._clock.monotonic()

    async def read(self, call: Call, *, doing: str, about: Collection[str] = ()) -> dict[str, Any] | Failed:
        """GET a JSON object; `about` are the ids that a 404 may be about."""

        async def send() -> Response | Failed:
            return self._judged(call, (await self._reads.call(call))[-1], doing)

        answer = await self._patiently(send, about)
        if isinstance(answer, Failed):
            return answer
        content = graph.json_object(answer.body)
        if content:
            return content
        reason = f"{doing}: what answers is not Graph: check the url"
        return Failed(Fault.NOT_SCIM, reason, answer.status, request=asked(call))

    async def write(
        self, *calls: Call, doing: str, about: Collection[str] = (), forgives: Callable[[bytes], bool] | None = None
    ) -> list[Response] | Failed:
        """Send changes of which each needs the one before it; return all answers, or the first failure.

        `forgives` tells of the body of a refusal that what was asked for is so already.
        """
        left = list(calls)
        answers: list[Response] = []
        repeated = False

        async def send() -> Response | Failed:
            nonlocal repeated
            while left:
                outcomes = await self._writes.call(*left)
                for call, outcome in zip(left[:], outcomes, strict=False):
                    judged = self._judged(call, outcome, doing, forgives)
                    if isinstance(judged, Failed):
                        repeated = repeated or judged.repeated
                        return judged
                    answers.append(judged)
                    left.pop(0)
            return answers[-1]

        done = await self._patiently(send, about)
        if isinstance(done, Failed):
            return replace(done, repeated=repeated or bool(answers))
        return answers

    async def pages(
        self, first: Call, *, doing: str, about: Collection[str] = (), pages_max: int | None = None
    ) -> Sequence[dict[str, Any]] | Failed:
        """Return the rows of all pages of a list; of one that is not read to its end, or not whole, nothing.

        `about` are the ids that a 404 may be about. With more than `pages_max` it is UNSUPPORTED: an answer of which
        Graph does not choose.
        """
        rows: list[dict[str, Any]] = []
        way, pages = self.way(first.path), 0
        while way.path is not None:
            if pages == pages_max:
                reason = f"{doing}: Graph answers with everybody, the question does not choose there"
                return Failed(Fault.UNSUPPORTED, reason, 200, request=asked(first))
            page = await self.page(way, doing=doing, about=about, headers=first.headers)
            if isinstance(page, Failed):
                return page
            rows += page
            pages += 1
        if way.problems:
            reason = f"{doing}: {next(iter(way.problems))}"
            return Failed(Fault.NOT_SCIM, reason, 200, code="UnusableAnswer", request=asked(first))
        return rows

    async def once_shown(self, first: Call, *, doing: str) -> Sequence[dict[str, Any]] | Failed:
        """Return the rows of a list that shows nobody until all of the directory knows of who was made just now."""
        rows = await self.pages(first, doing=doing)
        for wait_seconds in _PATIENCE_SECONDS:
            if isinstance(rows, Failed) or rows:
                break
            await self._clock.sleep(wait_seconds)
            rows = await self.pages(first, doing=doing)
        return rows

    def way(self, first: str, told: int | None = None) -> Way:
        """Return the way through a list that begins with this path."""
        return Way(self.url, first, told=told, entries_max=self._entries_max)

    async def page(
        self, way: Way, *, doing: str, about: Collection[str] = (), headers: Mapping[str, str] = _NO_HEADERS
    ) -> list[dict[str, Any]] | Failed:
        """Return the rows of the next page of a list."""
        assert way.path is not None
        call = Call("GET", way.path, None, headers)
        content = await self.read(call, doing=doing, about=about)
        if isinstance(content, Failed):
            return content
        rows = way.take(content)
        if not isinstance(rows, Failed):
            return rows
        return replace(rows, reason=f"{doing}: {rows.reason}", status=200, request=asked(call))

    async def alone(self, call: Call, *, doing: str) -> Response | Failed:
        """Send a reading once, without a retry and without company: for a test of the connection."""
        headers = {"Accept": "application/json", **call.headers}
        request = Request(call.method, self.url + call.path, headers, None, self._timeout_seconds / 2)
        return self._judged(call, await self.client.call(request, idempotent=True, retry=False), doing)

    def _judged(
        self, call: Call, outcome: Response | Failed, doing: str, forgives: Callable[[bytes], bool] | None = None
    ) -> Response | Failed:
        if isinstance(outcome, Failed):
            return replace(outcome, reason=f"{doing}: {outcome.reason}", request=asked(call))
        if forgives is not None and forgives(outcome.body):
            return outcome
        if 200 <= outcome.status < 300:
            hidden = graph.hidden_refusal(outcome.status, outcome.body, doing=doing, asked=asked(call))
            return outcome if hidden is None else replace(hidden, repeated=outcome.repeated)
        header = outcome.headers.get("retry-after")
        wait_seconds = parse_retry_after(header, self._clock.now()) if header else None
        failure = graph.failed(outcome.status, outcome.body, doing=doing, wait_seconds=wait_seconds, hints=self._hints)
        return replace(failure, request=asked(call), repeated=outcome.repeated)

    async def _patiently(
        self, send: Callable[[], Awaitable[Response | Failed]], about: Collection[str]
    ) -> Response | Failed:
        """Send again while a 404 is about somebody who was made just now."""
        outcome = await send()
        for wait_seconds in _PATIENCE_SECONDS:
            if not isinstance(outcome, Failed) or outcome.fault is not Fault.NOT_FOUND or not self._is_young(about):
                break
            await self._clock.sleep(wait_seconds)
            outcome = await send()
        return outcome

    def _is_young(self, about: Collection[str]) -> bool:
        since = self._clock.monotonic() - YOUNG_SECONDS
        return any(self._born.get(one, since) > since for one in about)


def asked(call: Call) -> str:
    """Return a call for people: its query may hold a person's values."""
    return f"{call.method} {call.path.partition('?')[0]}"


def rows_of(content: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the rows of a page."""
    rows = content.get("value")
    return [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []
