"""Speaks to an app with a REST API: fills requests in, sends them, and says what an answer means."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import quote_plus

import anyio

from reconciler.core.model import Kind
from reconciler.core.outcomes import Failed, Fault
from reconciler.core.profile import Profile
from reconciler.core.retrying import parse_retry_after
from reconciler.dialects import refusals, rest, rest_operations
from reconciler.dialects.rest import KeySecret, Listing, Unreadable
from reconciler.dialects.rest_operations import Api, Collection, Operation
from reconciler.dialects.rest_paging import Walk
from reconciler.net.client import Client
from reconciler.net.concealing import refused_without
from reconciler.ports import Clock, Request, Response

VOUCHED_SECONDS = 60.0
"""So long a list that answered says that a 404 is about the one that was asked for, and not about the url."""
_NOTHING: Mapping[str, Any] = {}


class Wire:
    """One app at one address, spoken to through one client."""

    __slots__ = (
        *("_clock", "_entries_max", "_key", "_parameters", "_profile", "_timeout_seconds", "_vouched_until"),
        *("_vouching", "api", "client", "url"),
    )

    def __init__(
        self,
        client: Client,
        clock: Clock,
        url: str,
        api: Api,
        profile: Profile,
        *,
        parameters: Mapping[str, str],
        key: KeySecret | None,
        timeout_seconds: float,
        entries_max: int | None = None,
    ) -> None:
        self.client, self.url, self.api = client, url, api
        self._clock, self._profile, self._parameters, self._key = clock, profile, parameters, key
        self._timeout_seconds, self._entries_max = timeout_seconds, entries_max
        self._vouched_until: dict[Kind, float] = {}
        self._vouching = anyio.Lock()

    async def send(
        self,
        operation: Operation,
        values: Mapping[str, Any],
        sent: Mapping[str, Any] = _NOTHING,
        *,
        doing: str,
        attributes: Iterable[str] = (),
    ) -> Response | Failed:
        """Return a 2xx answer, or the fault. `values` are what the templates name, `sent` is what {*} stands for."""
        variables = {**self._parameters, **{name: str(value) for name, value in values.items()}}
        url = rest.address(self.url, operation.path, variables, operation.query)
        body = rest_operations.body_of(operation, {**self._parameters, **values}, sent)
        idempotent = operation.repeatable or operation.method != "POST"
        return await self.ask(operation.method, url, body, doing=doing, idempotent=idempotent, attributes=attributes)

    async def ask(
        self,
        method: str,
        url: str,
        body: bytes | None = None,
        *,
        doing: str,
        idempotent: bool = True,
        attributes: Iterable[str] = (),
        retry: bool = True,
        patience: float = 1.0,
    ) -> Response | Failed:
        """Send one request; `patience` multiplies the time that it may take."""
        asked = f"{method} {url.removeprefix(self.url).partition('?')[0]}"
        headers = {"Accept": "application/json", **self.api.headers}
        if body is not None:
            headers.setdefault("Content-Type", "application/json")
        secret = ""
        if self._key is not None:
            try:
                url, headers, secret = self._key.signed(url, headers)
            except Unreadable as unreadable:
                return Failed(Fault.UNAUTHORIZED, f"{doing}: {unreadable.why}", request=asked)
        request = Request(method, url, headers, body, self._timeout_seconds * patience)
        answer = await self.client.call(request, idempotent=idempotent, retry=retry)
        hints = self._profile.hints
        if isinstance(answer, Failed):
            reason = refusals.hinted(f"{doing}: {answer.reason}", answer.fault, {} if answer.asked_nobody else hints)
            return replace(answer, reason=reason, request=asked)
        for written in (secret, quote_plus(secret)):
            answer = refused_without(answer, written)
        header = answer.headers.get("retry-after")
        refusal = rest_operations.failed(
            answer.status,
            answer.body,
            doing=doing,
            method=method,
            api=self.api,
            wait_seconds=parse_retry_after(header, self._clock.now()) if header else None,
            attributes=attributes,
            hints=hints,
            location=answer.headers.get("location", ""),
        )
        if refusal is None and refusals.is_html(answer.body):
            refusal = self.unreadable("the answer is a web page (a login?)", doing=doing, status=answer.status)
        if refusal is None and rest.tells_an_error(answer.body):
            said = refusals.shortened(refusals.words(answer.body, refusals.object_of(answer.body), self.api.words))
            why = f"the app answered {answer.status} with an error inside" + (f": {said}" if said else "")
            refusal = self.unreadable(why, doing=doing, status=answer.status)
        return answer if refusal is None else replace(refusal, request=asked, repeated=answer.repeated)

    async def item(self, operation: Operation, values: Mapping[str, Any], *, doing: str) -> dict[str, Any] | Failed:
        """GET one resource. NOT_FOUND has not been vouched for."""
        answer = await self.send(operation, values, doing=doing)
        return answer if isinstance(answer, Failed) else self.item_of(answer, operation, doing=doing)

    def item_of(self, answer: Response, operation: Operation, *, doing: str) -> dict[str, Any] | Failed:
        """Return the resource that an answer shows."""
        try:
            item = rest.value_at(rest.parsed(answer.body), operation.item)
        except Unreadable as unreadable:
            return self.unreadable(unreadable.why, doing=doing, status=answer.status)
        if isinstance(item, dict):
            return item
        where = f"has nothing at '{operation.item}'" if operation.item else "is no object"
        return self.unreadable(f"the answer {where}: is the url right?", doing=doing, status=answer.status)

    async def page(self, walk: Walk, *, doing: str, retry: bool = True) -> list[dict[str, Any]] | Failed:
        """Return the next page of a list."""
        assert walk.url is not None
        answer = await self.ask("GET", walk.url, doing=doing, retry=retry, patience=3.0 if retry else 1.0)
        if isinstance(answer, Failed):
            return [] if walk.refused(answer.status) else answer
        try:
            return walk.take(answer.body, answer.headers.get("link"))
        except Unreadable as unreadable:
            return self.unreadable(unreadable.why, doing=doing, status=answer.status)

    def walk(self, listing: Listing, values: Mapping[str, str] | None = None) -> Walk:
        """Return the way through a list."""
        variables = {**self._parameters, **(values or {})}
        return Walk(self.url, listing, variables, entries_max=self._entries_max)

    async def vouched(self, kind: Kind, refusal: Failed) -> Failed:
        """Return the 404 of a resource if its list answers as it should, else what that answers.

        Behind a wrong or broken url everybody would seem to be gone.
        """
        collection = self.api.collection(kind)
        assert collection is not None
        async with self._vouching:  # many who are not there are one question
            now = self._clock.monotonic()
            if now < self._vouched_until.get(kind, now):
                return refusal
            listed = await self.page(self.walk(collection.listing), doing=f"listing {kind}s")
            if not isinstance(listed, Failed):
                for item in listed[:2]:
                    if not await self._is_there(item, collection):
                        continue  # it may be the one that was asked for, and gone since it was listed
                    break
                else:
                    if len(listed) > 1:
                        why = "who is listed is not there when asked for by id: is the path of get right?"
                        return self.unreadable(why, doing=f"reading a {kind}", status=refusal.status)
                self._vouched_until[kind] = self._clock.monotonic() + VOUCHED_SECONDS
                return refusal
        if listed.fault is not Fault.NOT_FOUND:
            return listed
        return self.unreadable(f"{listed.reason}: is the url right?", doing=f"reading a {kind}", status=listed.status)

    async def _is_there(self, item: dict[str, Any], collection: Collection) -> bool:
        identifier = rest.id_of(item, collection.listing.id)
        got = await self.item(collection.get, {"id": identifier}, doing="reading one who is listed")
        return not isinstance(got, Failed) or got.fault is not Fault.NOT_FOUND

    def unreadable(self, why: str, *, doing: str, status: int | None = None) -> Failed:
        return rest_operations.unreadable(why, doing=doing, status=status, hints=self._profile.hints)
