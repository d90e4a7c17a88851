"""Serves metrics, health and webhooks over TCP, to whoever can connect."""

from __future__ import annotations

import errno
import socket
from collections.abc import Awaitable, Callable

import anyio
from aiohttp import web

from reconciler import logs
from reconciler.errors import ConfigError, Problem
from reconciler.ports import Clock, Store
from reconciler.runtime.answers import of_webhook, problem
from reconciler.runtime.desk import Desk
from reconciler.runtime.listening import Listening
from reconciler.runtime.metrics import MEDIA_TYPE, Metrics
from reconciler.runtime.peers import Peer
from reconciler.runtime.readiness import why_not_ready
from reconciler.runtime.routes import BODY_BYTES_MAX, JOB
from reconciler.runtime.service import Service

BACKLOG = 32
BODY_SECONDS = 10.0
"""How long a body may take to arrive."""
_ANYBODY = Peer(0, -1, frozenset())
"""TCP does not say who is at the other end."""
_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def open_port(host: str, port: int) -> socket.socket:
    """Listen at an address of this machine; port 0 takes a free one. Raises ConfigError where that cannot be done."""
    where = f"[metrics] listen {host}:{port}"
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listening = socket.socket(family, kind, protocol)
    except OSError as error:
        problem = f"is no address of this machine ({error.strerror})"
        raise ConfigError(Problem(where, problem, "127.0.0.1:9464")) from None
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.setblocking(False)
        listening.bind(address)
        listening.listen(BACKLOG)
    except OSError as error:
        listening.close()
        taken = error.errno == errno.EADDRINUSE
        problem = "another program listens there" if taken else f"cannot be listened at ({error.strerror})"
        raise ConfigError(Problem(where, problem, "name another port")) from None
    return listening


class Exporter:
    """Answers /metrics, /healthz, /readyz and webhooks. `serve` until it is cancelled; then the port is closed."""

    def __init__(
        self, port: socket.socket, metrics: Metrics, service: Service, store: Store, clock: Clock, desk: Desk
    ) -> None:
        self._port, self._metrics, self._service, self._store, self._desk = port, metrics, service, store, desk
        self._listening = Listening(port, clock, lambda _: _ANYBODY)

    async def serve(self) -> None:
        """Answer until it is cancelled."""
        application = web.Application(middlewares=[self._keep], client_max_size=BODY_BYTES_MAX)
        application.router.add_get("/metrics", self._said)
        application.router.add_get("/healthz", self._alive)
        application.router.add_get("/readyz", self._ready)
        application.router.add_post(f"{JOB}/webhook", self._called)
        runner = web.AppRunner(application, access_log=None, auto_decompress=False, lingering_time=2.0)
        await runner.setup()
        assert runner.server is not None
        host, port = self._port.getsockname()[:2]
        logs.get().info("metrics.listening", host=host, port=port)
        try:
            await self._listening.serve(runner.server)
        finally:
            self._port.close()
            with anyio.CancelScope(shield=True):
                await runner.cleanup()

    @web.middleware
    async def _keep(self, request: web.Request, handler: _Handler) -> web.StreamResponse:
        """Keep the connection while an answer is being made."""
        connection = self._listening.of(request.protocol)
        if connection is None:
            return web.Response(status=400)  # it is gone: nobody reads this
        with self._listening.answering(connection):
            return await handler(request)

    async def _called(self, request: web.Request) -> web.Response:
        try:
            with anyio.fail_after(BODY_SECONDS):
                body = await request.read()
        except TimeoutError:
            return problem(408, "the body did not come in time")
        except web.HTTPRequestEntityTooLarge:
            return problem(413, f"the body is longer than {BODY_BYTES_MAX} bytes")
        return of_webhook(await self._desk.called(request.match_info["job"], request.headers, body))

    async def _said(self, _: web.Request) -> web.Response:
        text = await self._metrics.text(self._service, self._store)
        return web.Response(body=text, headers={"Content-Type": MEDIA_TYPE})

    async def _alive(self, _: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    async def _ready(self, _: web.Request) -> web.Response:
        why = await why_not_ready(self._service, self._store)
        return web.Response(text=f"{why or 'ok'}\n", status=503 if why else 200)
