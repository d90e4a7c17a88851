"""An honest double of Microsoft Graph and of the token endpoint before it, written from their published documentation.

It was checked against nothing but these documents: no Graph can be run on one's own machine. It is throttled by calls,
not by time, and knows no clock, so that it runs in virtual time too.
"""

from __future__ import annotations

import asyncio
import base64
from collections import Counter
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any
from urllib.parse import unquote, urlsplit

import orjson
from aiohttp import web

from tests.servers.answers import Answer as Plain
from tests.servers.engine import Seen
from tests.servers.faults import CutBody, DropAfterCommit, ErrorInside200, Script, Status, Unauthorized
from tests.servers.faults import Throttle as Throttled
from tests.servers.graph_batches import Answer, batched
from tests.servers.graph_engine import Tenant
from tests.servers.graph_proof import mistrusted
from tests.servers.graph_request import GraphRequest, parsed_query
from tests.servers.graph_rules import Json, Refusal, bad, denied
from tests.servers.graph_sign_in import CLIENT_ID as CLIENT_ID
from tests.servers.graph_sign_in import TENANT as TENANT
from tests.servers.graph_sign_in import mistrust
from tests.servers.playing import dropped, played, scripted

SECRET = "graph-double-secret"
_JSON = "application/json"


@dataclass(slots=True)
class Throttle:
    """Answer the next calls that match with 429."""

    times: int
    retry_after_seconds: int = 7
    method: str = ""
    """Empty: every one."""
    status: int = 429


@dataclass(slots=True)
class Sent:
    """One call as it arrived, alone or in a batch."""

    method: str
    path: str
    body: Any
    headers: dict[str, str]
    in_batch: bool


@dataclass(slots=True)
class GraphServer:
    """A server on 127.0.0.1, inside `async with`."""

    tenant: Tenant = field(default_factory=Tenant)
    calls: list[Sent] = field(default_factory=list)
    requests: Counter[str] = field(default_factory=Counter)
    """How many HTTP requests came, by path without query: /$batch is one, whatever is in it."""
    batches: list[int] = field(default_factory=list)
    """How many calls each batch had."""
    script: Script = field(default_factory=Script)
    """What goes wrong with requests, and with calls in a batch (where a lost one is a 504); paths begin at /users."""
    throttle: Throttle | None = None
    cut: int = 0
    """So many pages of delta queries break off in the middle."""
    refuse_after: int | None = None
    """So many calls are still answered, and the next one is refused (a permission that is taken away, say)."""
    certificate: bytes = b""
    """The certificate (PEM) that was uploaded for the app; empty: none."""
    federated: str = ""
    """The token of another issuer that the app trusts; empty: none."""
    drop_batches: int = 0
    """So many batches are carried out and their answers lost."""
    tokens: int = 0
    token: str = "graph-double-secret"
    """What the harness writes into the secret's file."""
    _runner: web.AppRunner | None = None
    _port: int = 0

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    @property
    def url(self) -> str:
        return f"{self.origin}/v1.0"

    def clear(self) -> None:
        self.calls.clear()
        self.requests.clear()
        self.batches.clear()

    def sent(self, method: str, part: str = "") -> list[Sent]:
        """Return the calls of one method whose path has this in it, in order."""
        return [call for call in self.calls if call.method == method and part in call.path]

    @property
    def writes(self) -> list[Sent]:
        return [call for call in self.calls if call.method != "GET"]

    async def __aenter__(self) -> GraphServer:
        application = web.Application(client_max_size=1 << 26)
        application.router.add_route("*", "/{path:.*}", self._serve)
        self._runner = web.AppRunner(application, access_log=None, shutdown_timeout=1.0)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self._port = self._runner.addresses[0][1]
        self.tenant.root = self.url
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    # --- one request ---

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        path = request.raw_path.partition("?")[0]
        self.requests[path] += 1
        raw = await request.read()
        if path.endswith("/oauth2/v2.0/token"):
            return self._give_token(request, path, raw)
        if request.headers.get("Authorization") != f"Bearer {self._access_token()}":
            return _json(401, Refusal(401, "InvalidAuthenticationToken", "Access token is invalid.").document())
        if not path.startswith("/v1.0/"):
            return _json(404, {"error": {"code": "UnknownError", "message": ""}})
        try:
            body = orjson.loads(raw) if raw else None
        except orjson.JSONDecodeError:
            return _json(400, bad("Unable to read JSON request payload.", "BadRequest").document())
        headers = {name.lower(): value for name, value in request.headers.items()}
        url = request.raw_path.removeprefix("/v1.0")
        fault = self.script.take(_seen(request.method, url, body, headers, raw))
        if (request.method, path) == ("POST", "/v1.0/$batch"):
            if fault is not None:
                return await played(request, fault, lambda: self._batch(body), _refusal, _JSON)
            answer = self._batch(body)
            if self.drop_batches:
                self.drop_batches -= 1
                return dropped(request)
            return web.Response(status=answer.status, body=answer.body, content_type=_JSON)
        if fault is not None:
            return await played(
                request, fault, lambda: self._alone(request.method, url, body, headers), _refusal, _JSON
            )
        status, shown, more = self._call(request.method, url, body, headers)
        if self.cut and "/delta" in path and status == 200:
            self.cut -= 1
            return await _cut_off(request, orjson.dumps(shown))
        if isinstance(shown, int):
            return web.Response(status=status, text=str(shown))
        return _json(status, shown, more)

    def _give_token(self, request: web.Request, path: str, raw: bytes) -> web.Response:
        form = parsed_query(raw.decode())
        scope = f"{self.origin}/.default"
        refused = mistrust(request.method, path, form, SECRET, scope, lambda form: self._mistrusts(form, path))
        if refused is not None:
            return _json(*refused)
        self.tokens += 1
        return _json(200, {"token_type": "Bearer", "expires_in": 3599, "access_token": self._access_token()})

    def _mistrusts(self, form: Json, path: str) -> str | None:
        """Return what is wrong with a signed statement (Microsoft's certificate credentials, and federation)."""
        if form.get("client_assertion_type") != "urn:ietf:params:oauth:client-assertion-type:jwt-bearer":
            return "AADSTS50027: JWT token is invalid or malformed."
        if self.federated and form["client_assertion"] == self.federated:
            return None
        if not self.certificate:
            return "AADSTS700213: No matching federated identity record found."
        return mistrusted(form["client_assertion"], self.certificate, CLIENT_ID, f"{self.origin}{path}")

    def _access_token(self) -> str:
        """Return a token that shows its permissions, as those of Graph do; its signature is no one's."""
        claims = {"aud": self.origin, "appid": CLIENT_ID, "roles": sorted(self.tenant.permissions)}
        parts = (orjson.dumps({"alg": "none"}), orjson.dumps(claims), b"signature")
        return ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts)

    def _alone(self, method: str, url: str, body: Any, headers: dict[str, str]) -> Plain:
        status, shown, more = self._call(method, url, body, headers)
        return _plain(status, shown, more)

    def _batch(self, body: Any) -> Plain:
        status, shown, headers = batched(body, self._part)
        if status == 200:
            self.batches.append(len(shown["responses"]))
        return _plain(status, shown, headers)

    def _part(self, method: str, url: str, body: Any, headers: dict[str, str]) -> Answer:
        fault = self.script.take(_seen(method, url, body, headers, b""))
        done = None
        if fault is None or isinstance(fault, DropAfterCommit | CutBody) or (isinstance(fault, Status) and fault.done):
            done = self._call(method, url, body, headers, in_batch=True)
        match fault:
            case None:
                assert done is not None
                return done
            case ErrorInside200(code):
                return 200, _refusal(code), {}
            case Status() | Throttled() | Unauthorized():
                answer = scripted(fault, _refusal, _JSON)
                return answer.status, _parsed(answer.body), dict(answer.headers)
            case _:
                return 504, _refusal(504), {}

    def _call(
        self, method: str, url: str, body: Any, headers: dict[str, str], *, in_batch: bool = False
    ) -> tuple[int, Any, dict[str, str]]:
        parts = urlsplit(url)
        self.calls.append(Sent(method, url, body, headers, in_batch))
        throttle = self.throttle
        if throttle is not None and throttle.times > 0 and throttle.method in ("", method):
            throttle.times -= 1
            refusal = Refusal(throttle.status, "TooManyRequests", "Too many requests.")
            return throttle.status, refusal.document(), {"Retry-After": str(throttle.retry_after_seconds)}
        if self.refuse_after is not None:
            self.refuse_after -= 1
            if self.refuse_after < 0:
                self.refuse_after = None
                return 403, denied().document(), {}
        try:
            status, shown = self.tenant.answer(
                GraphRequest(method, parts.path, parsed_query(parts.query), body, headers)
            )
        except Refusal as refusal:
            return refusal.status, refusal.document(), refusal.headers
        return status, shown, {}


async def _cut_off(request: web.Request, body: bytes) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "application/json", "Content-Length": str(len(body))})
    await response.prepare(request)
    await response.write(body[: len(body) // 2])
    assert request.transport is not None
    request.transport.close()
    return response


def _seen(method: str, url: str, body: Any, headers: dict[str, str], raw: bytes) -> Seen:
    parts = urlsplit(url)
    path = unquote(parts.path)
    segments = tuple(unquote(one) for one in parts.path.split("/") if one)
    at = asyncio.get_running_loop().time()
    return Seen(method, path, parsed_query(parts.query), body, headers, at, segments, raw, parts.path)


def _refusal(status: int) -> Json:
    return Refusal(status, "generalException", "The request was not done.").document()


def _parsed(body: bytes) -> Any:
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        return body.decode(errors="replace")  # a body of a batch that is no JSON is a text in it


def _plain(status: int, content: Any, headers: dict[str, str] | None = None) -> Plain:
    return Plain(status, b"" if content is None else orjson.dumps(content), {"Content-Type": _JSON, **(headers or {})})


def _json(status: int, content: Any, headers: dict[str, str] | None = None) -> web.Response:
    body = b"" if content is None else orjson.dumps(content)
    return web.Response(status=status, body=body, content_type="application/json", headers=headers or {})
