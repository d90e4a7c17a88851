"""Speaks to Microsoft Graph: sends calls, reads pages, and waits for what was made just now to be there."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

from reconciler.core.model import Profile
from reconciler.core.outcomes import Failed, Fault
from reconciler.core.retrying import parse_retry_after
from reconciler.dialects import graph
from reconciler.dialects.graph import Call
from reconciler.dialects.graph_batching import Batching
from reconciler.net.client import Client
from reconciler.ports import Clock, Request, Response

REQUESTS_AT_ONCE = 2
"""So many requests of a kind (readings, changes) are in flight at most, each with up to twenty calls in it."""
YOUNG_SECONDS = 120.0
"""How long after a create a 404 may mean that not all of the directory knows of it yet."""
_PATIENCE_SECONDS = (0.5, 1.0, 2.0, 4.0, 8.0, 15.0)


class Wire:
    """One Graph, in one version, spoken to through one client."""

    __slots__ = ("_born", "_clock", "_hints", "_reads", "_timeout_seconds", "_writes", "client", "url")

    def __init__(self, client: Client, clock: Clock, url: str, profile: Profile, timeout_seconds: float) -> None:
        self.client, self.url = client, url
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

        async def send() -> Response | Failed:
            while left:
                outcomes = await self._writes.call(*left)
                for call, outcome in zip(left[:], outcomes, strict=False):
                    judged = self._judged(call, outcome, doing, forgives)
                    if isinstance(judged, Failed):
                        return judged
                    answers.append(judged)
                    left.pop(0)
            return answers[-1]

        done = await self._patiently(send, about)
        return done if isinstance(done, Failed) else answers

    async def pages(self, first: Call, *, doing: str) -> Sequence[dict[str, Any]] | Failed:
        """Return the rows of all pages of a short list."""
        rows: list[dict[str, Any]] = []
        call: Call | None = first
        while call is not None:
            content = await self.read(call, doing=doing)
            if isinstance(content, Failed):
                return content
            rows += rows_of(content)
            following = self.following(content, call)
            if isinstance(following, Failed):
                return following
            call = following
        return rows

    def following(self, content: Mapping[str, Any], before: Call) -> Call | Failed | None:
        """Return what asks for the next page, None after the last; the token goes to no other host."""
        link = content.get("@odata.nextLink")
        if not isinstance(link, str) or not link:
            return None
        if urlsplit(link)[:2] != urlsplit(self.url)[:2] or not link.startswith(self.url):
            return Failed(Fault.NOT_SCIM, "the next page is said to be on another host: it is not asked for")
        following = Call("GET", link.removeprefix(self.url), None, before.headers)
        if following.path == before.path:
            return Failed(Fault.NOT_SCIM, "the next page is the same page again: the list has no end")
        return following

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
        if 200 <= outcome.status < 300 or (forgives is not None and forgives(outcome.body)):
            return outcome
        header = outcome.headers.get("retry-after")
        wait_seconds = parse_retry_after(header, self._clock.now()) if header else None
        failure = graph.failed(outcome.status, outcome.body, doing=doing, wait_seconds=wait_seconds, hints=self._hints)
        return replace(failure, request=asked(call))

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
