"""Answers people over the control socket: HTTP and JSON, checked before anything is done."""

from __future__ import annotations

import os
import re
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import datetime
from difflib import get_close_matches

import anyio
import orjson
from aiohttp import web

from reconciler import __version__, logs
from reconciler.core.restarting import scopes_named
from reconciler.core.summary import provisioning_summary
from reconciler.errors import ReconcilerError
from reconciler.ports import Clock, Decision, LogQuery, Store
from reconciler.runtime.answers import answered, of_webhook, problem, refusal
from reconciler.runtime.desk import Desk, Refused, nearest
from reconciler.runtime.door import Door
from reconciler.runtime.events import Event
from reconciler.runtime.listening import Listening
from reconciler.runtime.metrics import MEDIA_TYPE, Metrics
from reconciler.runtime.openapi import openapi
from reconciler.runtime.overview import Kept, hold_json, kept_of, moment, overview
from reconciler.runtime.parameters import Wrong, checked_body, checked_query
from reconciler.runtime.peers import Peer, Right, Rights
from reconciler.runtime.provisioned import Provisioned
from reconciler.runtime.readiness import why_not_ready
from reconciler.runtime.routes import BODY_BYTES_MAX, ROUTES, Json, Route
from reconciler.runtime.service import Service
from reconciler.runtime.world import Plan

BODY_SECONDS = 10.0
"""How long a body may take to arrive."""
WRITE_SECONDS = 30.0
"""How long a listener may take to read a line before it is let go of."""
ALIVE_SECONDS = 15.0
"""How often a stream without events says that it is still there."""
_PEER: web.RequestKey[Peer] = web.RequestKey("peer", Peer)


class Call:
    """A request that may be answered: who asks, and what was checked of it."""

    def __init__(self, request: web.Request, peer: Peer, body: Json, query: Json, raw: bytes) -> None:
        self.request, self.peer, self.body, self.query, self.raw = request, peer, body, query, raw

    @property
    def job(self) -> str:
        return self.request.match_info["job"]

    @property
    def by(self) -> str:
        return self.peer.name


Answer = Callable[[Call], Awaitable[web.StreamResponse]]


class Control:
    """The daemon's answers. `serve` until it is cancelled; then the door is closed."""

    def __init__(
        self,
        door: Door,
        rights: Rights,
        service: Service,
        desk: Desk,
        store: Store,
        clock: Clock,
        config: str,
        metrics: Metrics,
    ) -> None:
        self._door, self._rights, self._metrics = door, rights, metrics
        self._service, self._desk, self._store, self._clock, self._config = service, desk, store, clock, config
        self._listening = Listening(door.socket, clock)
        self._began = clock.now()
        self._log = logs.get()

    @property
    def group(self) -> int:
        """Return the group that the socket belongs to."""
        return self._door.group

    @property
    def connections(self) -> int:
        """Return how many people are connected."""
        return self._listening.connections

    def admit(self, rights: Rights) -> None:
        """Let these people in from now on."""
        self._rights = rights

    async def serve(self) -> None:
        """Answer until it is cancelled."""
        runner = web.AppRunner(
            self._application(), access_log=None, auto_decompress=False, lingering_time=2.0, shutdown_timeout=1.0
        )
        await runner.setup()
        assert runner.server is not None
        self._log.info("control.listening", path=self._door.path)
        try:
            await self._listening.serve(runner.server)
        finally:
            self._door.close()
            with anyio.CancelScope(shield=True):
                await runner.cleanup()

    def _application(self) -> web.Application:
        application = web.Application(middlewares=[self._judge], client_max_size=BODY_BYTES_MAX)
        for route in ROUTES:
            application.router.add_route(route.method, route.path, self._handler(route), name=route.name)
        return application

    def _handler(self, route: Route) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        answer: Answer = getattr(self, f"_answer_{route.name}")

        async def handle(request: web.Request) -> web.StreamResponse:
            peer: Peer = request[_PEER]
            right = self._rights.of(peer)
            if route.right is not None and (right is None or (route.right, right) == (Right.OPERATE, Right.READ)):
                return self._forbidden(request, peer, route.right)
            if route.right is Right.OPERATE:
                self._log.info("control.asked", asked=route.name, uid=peer.uid, pid=peer.pid, user=peer.name)
            else:
                self._log.debug("control.asked", asked=route.name, uid=peer.uid, pid=peer.pid)
            try:
                with anyio.fail_after(BODY_SECONDS):
                    raw = await request.read()
            except TimeoutError:
                return problem(408, "the body did not come in time")
            body = {} if route.signed else checked_body(raw, route.body)
            query = checked_query(request.query, route.query)
            for part in (body, query):
                if isinstance(part, Wrong):
                    return problem(400, part.problem, part.hint)
            assert not isinstance(body, Wrong) and not isinstance(query, Wrong)
            return await answer(Call(request, peer, body, query, raw))

        return handle

    def _forbidden(self, request: web.Request, peer: Peer, right: Right) -> web.Response:
        self._log.warning("control.refused", uid=peer.uid, pid=peer.pid, user=peer.name, method=request.method)
        who = "[control] readers or operators" if right is Right.READ else "[control] operators"
        return problem(403, f"{peer.name} may not do this", f"who may stands in {who} of the configuration")

    @web.middleware
    async def _judge(
        self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        """Answer with JSON whatever goes wrong, and keep the connection while an answer is being made."""
        connection = self._listening.of(request.protocol)
        if connection is None:
            return problem(400, "the connection is gone")  # nobody reads this
        request[_PEER] = connection.peer
        with self._listening.answering(connection):
            try:
                return await handler(request)
            except web.HTTPRequestEntityTooLarge:
                return problem(413, f"the body is longer than {BODY_BYTES_MAX} bytes")
            except web.HTTPMethodNotAllowed as error:
                allowed = ", ".join(sorted(error.allowed_methods - {"HEAD", "OPTIONS"}))
                answer = problem(405, f"{request.method} is not what this path answers to", f"it answers to {allowed}")
                answer.headers["Allow"] = allowed
                return answer
            except web.HTTPNotFound:
                return self._nothing_there(request)
            except ReconcilerError as error:
                return problem(503, str(error))

    def _nothing_there(self, request: web.Request) -> web.Response:
        verb = re.fullmatch(r"(/v1/jobs/[^/]*)/([^/]*)", request.path)
        if verb is not None:
            verbs = [
                route.path.rpartition("/")[2] for route in ROUTES if re.fullmatch(r"/v1/jobs/{job}/\w+", route.path)
            ]
            return problem(404, f"there is no verb {verb[2]!r}", nearest(verb[2], verbs, "verbs"))
        near = get_close_matches(request.path, [route.path for route in ROUTES], 1)
        hint = f"did you mean {near[0]}?" if near else "GET /v1/openapi.json lists what is there"
        return problem(404, f"there is nothing at {request.path}", hint)

    # --- looking -------------------------------------------------------------------------------------------------

    async def _answer_status(self, call: Call) -> web.Response:
        plans = self._service.plans
        names = [call.query["job"]] if "job" in call.query else list(plans)
        for name in names:
            if (refused := self._desk.unknown(name)) is not None:
                return refusal(refused)
        return answered({"daemon": self._daemon(), "jobs": [await self._overview(plans[name]) for name in names]})

    async def _answer_jobs(self, call: Call) -> web.Response:
        return answered({"jobs": list(self._service.plans)})

    async def _answer_job(self, call: Call) -> web.Response:
        if (refused := self._desk.unknown(call.job)) is not None:
            return refusal(refused)
        return answered(await self._overview(self._service.plans[call.job]))

    async def _answer_holds(self, call: Call) -> web.Response:
        return answered({"holds": [hold_json(hold) for hold in await self._store.held()]})

    async def _answer_holds_of(self, call: Call) -> web.Response:
        if (refused := self._desk.unknown(call.job)) is not None:
            return refusal(refused)
        return answered({"holds": [hold_json(hold) for hold in await self._store.held(call.job)]})

    async def _answer_links(self, call: Call) -> web.Response:
        if (refused := self._desk.unknown(call.job)) is not None:
            return refusal(refused)
        limit, after = call.query.get("limit", 1000), call.query.get("after", 0)
        if "user" in call.query:
            found = await self._store.list_links(call.job, call.query["user"])
            found = [record for record in found if (record.row_id or 0) > after][:limit]
        else:
            found = await self._store.links_after(call.job, after, limit)
        links = [
            {
                "row": record.row_id,
                "kind": record.kind,
                "id": record.source_id,
                "name": record.name,
                "target_id": record.link.target_id,
                "verdict": record.verdict,
                "origin": record.link.origin,
                "disabled": moment(record.link.disabled_at),
            }
            for record in found
            if record.link is not None
        ]
        return answered({"links": links, "more": len(found) == limit})

    async def _answer_log(self, call: Call) -> web.StreamResponse:
        query = call.query
        since = query.get("since")
        if since is not None:
            try:
                moment_ = datetime.fromisoformat(since)
                since = (moment_ if moment_.tzinfo is not None else moment_.astimezone()).timestamp()
            except (ValueError, OverflowError):
                return problem(400, "since is no moment", "such as 2026-11-21T08:00:00Z")
        wanted = LogQuery(
            query.get("job"), query.get("user"), query.get("action"), query.get("status"), since, query.get("limit")
        )
        stream = await _stream(call.request, "application/jsonl")
        lines: list[bytes] = []
        async for row in self._store.log(wanted):
            lines.append(orjson.dumps(provisioning_summary(row)) + b"\n")
            if len(lines) == 100:
                if not await _write(stream, b"".join(lines)):
                    return stream
                lines.clear()
        await _write(stream, b"".join(lines))
        return stream

    async def _answer_watch(self, call: Call) -> web.StreamResponse:
        job = call.query.get("job")
        if job is not None and (refused := self._desk.unknown(job)) is not None:
            return refusal(refused)
        with self._service.events.listen(job) as listener:
            stream = await _stream(call.request, "text/event-stream")
            reads = await _write(stream, b": listening\n\n")
            while reads and not self._service.over:
                event: Event | None = None
                with anyio.move_on_after(ALIVE_SECONDS):
                    event = await listener.next()
                reads = await _write(stream, b": \n\n" if event is None else _server_sent(event))
        return stream

    async def _answer_openapi(self, call: Call) -> web.Response:
        return answered(openapi(ROUTES, __version__))

    async def _answer_alive(self, call: Call) -> web.Response:
        return answered({"ok": True, "problem": ""})

    async def _answer_ready(self, call: Call) -> web.Response:
        why = await why_not_ready(self._service, self._store)
        return answered({"ok": not why, "problem": why}, 503 if why else 200)

    async def _answer_metrics(self, call: Call) -> web.Response:
        text = await self._metrics.text(self._service, self._store)
        return web.Response(body=text, headers={"Content-Type": MEDIA_TYPE})

    # --- doing ---------------------------------------------------------------------------------------------------

    async def _answer_trigger(self, call: Call) -> web.Response:
        ticket = self._desk.trigger(call.job, full=call.body.get("full", False), by=call.by)
        return refusal(ticket) if isinstance(ticket, Refused) else answered(ticket._asdict(), 202)

    async def _answer_webhook(self, call: Call) -> web.Response:
        return of_webhook(await self._desk.called(call.job, call.request.headers, call.raw))

    async def _answer_pause(self, call: Call) -> web.Response:
        plans = self._service.plans
        kept = await kept_of(self._store, call.job)  # before the write: what fails after it denies what was done
        done = await self._desk.pause(call.job, reason=call.body.get("reason", ""), by=call.by)
        if isinstance(done, Refused):
            return refusal(done)
        return answered(self._shown(plans[call.job], replace(kept, standing=done)))

    async def _answer_resume(self, call: Call) -> web.Response:
        plans = self._service.plans
        kept = await kept_of(self._store, call.job)  # as with a pause
        done = await self._desk.resume(call.job, by=call.by)
        if isinstance(done, Refused):
            return refusal(done)
        return answered(self._shown(plans[call.job], replace(kept, standing=done)))

    async def _answer_restart(self, call: Call) -> web.Response:
        try:
            scopes = scopes_named(call.body.get("scopes", ()))
        except ValueError as error:
            return problem(400, str(error))
        done = await self._desk.restart(call.job, scopes, by=call.by)
        if isinstance(done, Refused):
            return refusal(done)
        ticket = done.ticket._asdict() if done.ticket is not None else None
        return answered({"job": call.job, "cleared": sorted(scopes), "ticket": ticket}, 202)

    async def _answer_stop(self, call: Call) -> web.Response:
        done = self._desk.stop(call.job, by=call.by)
        if isinstance(done, Refused):
            return refusal(done)
        return answered({"job": call.job, "stopping": done is not None, "run": done})

    async def _answer_provision(self, call: Call) -> web.Response:
        names = call.body.get("names", ())
        if not names:
            return problem(400, "names names nobody", 'such as {"names": ["ann@example.com"]}')
        done = await self._desk.provision(call.job, names, dry_run=call.body.get("dry_run", False), by=call.by)
        if isinstance(done, Refused):
            return refusal(done)
        if isinstance(done, Provisioned):
            return answered(done.as_dict())
        problems = [str(one) for one in done]
        what = {"error": problems[0], "hint": "", "problems": problems}
        return answered(what, 409 if all(one.found for one in done) else 404)

    async def _answer_deprovision(self, call: Call) -> web.Response:
        done = await self._desk.take_out(
            call.body["user"],
            dry_run=call.body.get("dry_run", False),
            release=call.body.get("release", False),
            by=call.by,
        )
        return refusal(done) if isinstance(done, Refused) else answered(done)

    async def _answer_approve_all(self, call: Call) -> web.Response:
        return await self._decided(call, None, "approved")

    async def _answer_reject_all(self, call: Call) -> web.Response:
        return await self._decided(call, None, "rejected")

    async def _answer_approve(self, call: Call) -> web.Response:
        return await self._decided(call, call.request.match_info["hold"], "approved")

    async def _answer_reject(self, call: Call) -> web.Response:
        return await self._decided(call, call.request.match_info["hold"], "rejected")

    async def _decided(self, call: Call, hold: str | None, decision: Decision) -> web.Response:
        done = await self._desk.decide(call.job, hold, decision, by=call.by)
        if isinstance(done, Refused):
            return refusal(done)
        return answered({"holds": [hold_json(one) for one in done]})

    async def _answer_reload(self, call: Call) -> web.Response:
        done = await self._desk.reload(by=call.by)
        if isinstance(done, ReconcilerError):
            what, problems = "the configuration cannot be used; the one in force is kept", str(done).split("\n")
            return answered({"error": what, "hint": problems[0], "problems": problems}, 409)
        return answered({"changes": list(done.changes)})

    # --- what they share -----------------------------------------------------------------------------------------

    async def _overview(self, plan: Plan) -> Json:
        return self._shown(plan, await kept_of(self._store, plan.job.name))

    def _shown(self, plan: Plan, kept: Kept) -> Json:
        """Return how a job stands, also where it has left the configuration since it was asked for."""
        service, name = self._service, plan.job.name
        return overview(
            plan,
            kept,
            run=service.running(name),
            ended=service.ended(name),
            due_at=service.due_at(name),
            ear=service.announcements.of(plan.job.source),
        )

    def _daemon(self) -> Json:
        return {
            "version": __version__,
            "pid": os.getpid(),
            "started": moment(self._began),
            "now": moment(self._clock.now()),
            "config": self._config,
            "config_refused": self._service.config_refused,
            "stopping": self._service.stopping,
        }


async def _stream(request: web.Request, media_type: str) -> web.StreamResponse:
    stream = web.StreamResponse(headers={"Content-Type": media_type, "Cache-Control": "no-store"})
    await stream.prepare(request)
    return stream


async def _write(stream: web.StreamResponse, data: bytes) -> bool:
    """Write to somebody who reads, however slowly; return whether there still is one."""
    try:
        with anyio.fail_after(WRITE_SECONDS):
            await stream.write(data)
    except (ConnectionError, TimeoutError):
        return False
    return True


def _server_sent(event: Event) -> bytes:
    shown = orjson.dumps({**event.as_json(), "at": moment(event.at)})
    return b"id: %d\nevent: %s\ndata: %s\n\n" % (event.number, event.name.encode(), shown)
