"""Sends SCIM requests through the client: builds their URLs, and says what an answer means when it is a refusal."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import quote

import orjson

from reconciler.core.model import Kind
from reconciler.core.outcomes import Failed, Fault
from reconciler.dialects import halves, scim_faults
from reconciler.dialects.identifiers import id_in
from reconciler.dialects.refusals import hinted, request_id
from reconciler.net.client import Client
from reconciler.ports import Request, Response

ENDPOINTS: dict[Kind, str] = {"user": "/Users", "group": "/Groups"}
_ACCEPT = "application/scim+json, application/json;q=0.9"
_READING = {"Accept": _ACCEPT}
_WRITING = {"Accept": _ACCEPT, "Content-Type": "application/scim+json"}


class Wire:
    """One SCIM base URL, spoken to through one client."""

    __slots__ = ("_base", "_endpoints", "_flags", "_hints", "_who", "client", "entries_max", "timeout_seconds")

    def __init__(
        self,
        client: Client,
        url: str,
        timeout_seconds: float,
        *,
        hints: Mapping[str, str] | None = None,
        who: str = "the target",
        entries_max: int | None = None,
    ) -> None:
        """`url` may end with a slash, and may carry flags as a query: they stay at the end of every request's URL.

        `hints` are the profile's words for an administrator, by fault; `who` is what reasons call the other side;
        a list with more than `entries_max` entries has no end (see `Length`).
        """
        base, _, flags = url.partition("?")
        self._base, self._flags = base.rstrip("/"), flags
        self._endpoints = {kind: self.at(path) for kind, path in ENDPOINTS.items()}
        self._hints, self._who = hints, who
        self.client = client
        self.timeout_seconds, self.entries_max = timeout_seconds, entries_max

    def url(self, kind: Kind, target_id: str | None = None, query: str = "") -> str:
        """Return the encoded URL of an endpoint or of one resource; `query` is encoded already."""
        if target_id is None:
            return self.at(ENDPOINTS[kind], query) if query else self._endpoints[kind]
        return self.at(f"{ENDPOINTS[kind]}/{quote(target_id, safe='')}", query)

    def at(self, path: str, query: str = "") -> str:
        parts = "&".join(part for part in (query, self._flags) if part)
        return f"{self._base}{path}?{parts}" if parts else self._base + path

    async def send(
        self,
        method: str,
        url: str,
        body: Any = None,
        *,
        doing: str,
        idempotent: bool = True,
        paths: Iterable[str] = (),
        patience: float = 1.0,
        etag: str | None = None,
        retry: bool = True,
        one: Kind | None = None,
        takes_away: bool = False,
    ) -> Response | Failed:
        """Return a 2xx answer, or the fault. `doing` says what is asked, for the reason; `paths` are those it holds.

        `patience` multiplies the time that the target may take; `etag` makes the request conditional. `one` says that
        the URL is that of one resource of this kind: its 404 means that it is gone, so it must come from SCIM. With
        `takes_away` nobody would look again, so the endpoint must answer too.
        """
        headers = _READING
        content = None
        if body is not None:
            headers, content = _WRITING, orjson.dumps(body)
        if etag is not None:
            headers = {**headers, "If-Match": etag}
        request = Request(method, url, headers, content, self.timeout_seconds * patience)
        answer = await self.client.call(request, idempotent=idempotent, retry=retry)
        if isinstance(answer, Response) and 200 <= answer.status < 300:
            return answer
        asked = self._asked(method, url)
        if isinstance(answer, Failed):
            hints = None if answer.asked_nobody else self._hints
            reason = hinted(f"{doing}: {answer.reason}", answer.fault, hints)
            return replace(answer, reason=reason, request=asked)
        named = request_id(answer.headers)
        refusal = replace(self.refused(answer, answer.status, doing, paths), request=asked, request_id=named)
        if refusal.fault is Fault.NOT_FOUND and one is not None:
            believed = not takes_away and scim_faults.is_error(answer.body)
            return refusal if believed else await self._vouched(one, refusal)
        return refusal

    def refused(self, answer: Response, status: int, doing: str, paths: Iterable[str] = ()) -> Failed:
        refusal = scim_faults.failed(
            status,
            answer.body,
            doing=doing,
            paths=paths,
            hints=self._hints,
            who=self._who,
            location=answer.headers.get("location", ""),
        )
        return replace(refusal, repeated=True) if answer.repeated else refusal

    def not_scim(self, answer: Response, doing: str) -> Failed:
        return scim_faults.not_scim(answer.status, answer.body, doing=doing, hints=self._hints, who=self._who)

    def shown(self, answer: Response, doing: str, paths: Iterable[str] = ()) -> dict[str, Any] | Failed | None:
        """Return the JSON object of a 2xx answer, None where it has no body, the fault where it is something else.

        An error that hides behind a 200 is the fault that it names.
        """
        if answer.status == 204 or not answer.body.strip():
            return None
        try:
            content = halves.loads(answer.body)
        except orjson.JSONDecodeError:
            return self.not_scim(answer, doing)
        if not isinstance(content, dict):
            return self.not_scim(answer, doing)
        hidden = scim_faults.hidden_error(content)
        if hidden is not None:
            return self.refused(answer, hidden, doing, paths)
        return content

    async def read(
        self, url: str, *, doing: str, patience: float = 1.0, retry: bool = True, one: Kind | None = None
    ) -> tuple[dict[str, Any], Response] | Failed:
        """GET a JSON object; return also the answer that it came in."""
        answer = await self.send("GET", url, doing=doing, patience=patience, retry=retry, one=one)
        if isinstance(answer, Failed):
            return answer
        content = self.shown(answer, doing)
        if content is None:
            content = self.not_scim(answer, doing)
        if isinstance(content, Failed):
            return replace(content, request=self._asked("GET", url))
        return content, answer

    async def resource(
        self, kind: Kind, target_id: str, query: str = "", *, doing: str, patience: float = 1.0
    ) -> tuple[dict[str, Any], Response] | Failed:
        """GET one resource: an object that has this id."""
        url = self.url(kind, target_id, query)
        got = await self.read(url, doing=doing, patience=patience, one=kind)
        if isinstance(got, Failed) or is_of(got[0], target_id):
            return got
        if got[0].get("id") is None:
            return replace(self.not_scim(got[1], doing), request=self._asked("GET", url))
        reason = f"{doing}: {self._who} answered with another {kind} than the one that was asked for"
        return Failed(Fault.NOT_SCIM, hinted(reason, Fault.NOT_SCIM, self._hints), 200, request=self._asked("GET", url))

    async def rows(self, url: str, *, doing: str, patience: float = 1.0, retry: bool = True) -> dict[str, Any] | Failed:
        """GET a ListResponse: an object with the list `Resources`, or at least with `totalResults`."""
        got = await self.read(url, doing=doing, patience=patience, retry=retry)
        if isinstance(got, Failed):
            return got
        content, answer = got
        shown = content.get("Resources")
        if isinstance(shown, list) or (shown is None and isinstance(content.get("totalResults"), int)):
            return content
        return replace(self.not_scim(answer, doing), request=self._asked("GET", url))

    def _asked(self, method: str, url: str) -> str:
        """Return a request for people: its query may hold a person's values."""
        return f"{method} {url.removeprefix(self._base).partition('?')[0]}"

    async def _vouched(self, kind: Kind, refusal: Failed) -> Failed:
        """Return the 404 of a resource if the endpoint itself answers as it should, else what it answers.

        Behind a wrong or broken url everybody would seem to be gone.
        """
        listed = await self.rows(self.url(kind, query="count=1"), doing=f"reading {ENDPOINTS[kind]}")
        if not isinstance(listed, Failed):
            return refusal
        if listed.fault is not Fault.NOT_FOUND:
            return listed.following(refusal)
        reason = f"{listed.reason}: nothing of SCIM answers there, is the url the SCIM base url?"
        return Failed(Fault.NOT_SCIM, reason, listed.status).following(refusal)


def is_of(content: Mapping[str, Any], target_id: str) -> bool:
    """Whether a resource is the one of this id; some servers write ids in another letter case than they gave them."""
    identifier = id_in(content.get("id"))
    return identifier is not None and identifier.casefold() == target_id.casefold()


def etag_of(content: Mapping[str, Any], answer: Response) -> str | None:
    """Return the version of a resource as its answer has it: the header, or meta.version (RFC 7644 §3.14)."""
    header = answer.headers.get("etag")
    if header:
        return header
    meta = content.get("meta")
    version = meta.get("version") if isinstance(meta, dict) else None
    return version if isinstance(version, str) and version else None
