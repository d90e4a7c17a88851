"""The control socket, really opened: what is answered, who may, and what no request can do to the daemon."""

from __future__ import annotations

import asyncio
import json
import os
import pwd
import resource
import shutil
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import anyio
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from reconciler.core.notices import Settle
from reconciler.core.standing import Quarantine, QuarantineReason, Standing
from reconciler.errors import StateError
from reconciler.runtime import control, listening
from reconciler.runtime.openapi import SCHEMAS, openapi
from reconciler.runtime.parameters import Wrong, checked_body, checked_query
from reconciler.runtime.peers import People, Rights
from reconciler.runtime.routes import ROUTES, Parameter
from tests.commands.shell import ROOT
from tests.cycles.company import Company
from tests.daemon.office import FailingStore
from tests.daemon.talking import Talk, talking
from tests.daemon.test_run import add_job
from tests.net.doubles import EPOCH
from tests.servers.scim import ScimServer

NOBODY = 65534


def conforms(value: Any, schema: dict[str, Any], where: str = "$") -> Iterator[str]:
    """Yield where a value is not what a schema of ours says."""
    if "$ref" in schema:
        yield from conforms(value, SCHEMAS[schema["$ref"].rpartition("/")[2]], where)
    for one in schema.get("allOf", ()):
        yield from conforms(value, one, where)
    if "anyOf" in schema and all(list(conforms(value, one, where)) for one in schema["anyOf"]):
        yield f"{where}: fits none of {schema['anyOf']}"
    if "enum" in schema and value not in schema["enum"]:
        yield f"{where}: {value!r} is none of {schema['enum']}"
    types: dict[str, type | tuple[type, ...]] = {
        **{"object": dict, "array": list, "string": str, "boolean": bool},
        **{"integer": int, "number": (int, float), "null": type(None)},
    }
    if "type" in schema and not isinstance(value, types[schema["type"]]):
        yield f"{where}: is no {schema['type']}"
        return
    for name in schema.get("required", ()):
        if name not in value:
            yield f"{where}: lacks {name}"
    for name, one in schema.get("properties", {}).items():
        if name in value:
            yield from conforms(value[name], one, f"{where}.{name}")
    for position, item in enumerate(value if "items" in schema else ()):
        yield from conforms(item, schema["items"], f"{where}[{position}]")


# --- what is answered --------------------------------------------------------------------------------------------


async def test_every_route_answers_what_its_description_says(company: Company) -> None:
    async with talking(company) as talk:
        await talk.idle()
        for route in ROUTES:
            if route.signed or "/" in route.gives or "{hold}" in route.path or "holds/" in route.path:
                continue
            needed = {name: parameter.type for name, parameter in route.body.items() if parameter.required}
            body = {name: ["ann"] if type_ == "strings" else "ann" for name, type_ in needed.items()}
            status, answer = await talk(route.method, route.path.replace("{job}", "app"), **body)
            assert status == route.status, (route.path, answer)
            assert list(conforms(answer, SCHEMAS[route.gives], route.path)) == []
            await talk.service.until_idle("app")


async def test_a_hold_is_shown_and_decided(company: Company, server: ScimServer) -> None:
    company.people(*(f"p{number}" for number in range(20)))
    company.write()
    async with talking(company) as talk:
        await talk.idle()
        for number in range(12):
            company.users[f"p{number}"]["accountEnabled"] = False
        company.write()
        await talk("POST", "/v1/jobs/app/trigger")
        await talk.idle()
        status, answer = await talk("GET", "/v1/jobs/app/holds")
        assert list(conforms(answer, SCHEMAS["Holds"])) == []
        (hold,) = answer["holds"]
        assert (hold["job"], hold["count"], hold["safeguard"]) == ("app", 12, "deletions")
        assert {one["operation"] for one in hold["operations"]} == {"disable"}
        assert (await talk("GET", "/v1/jobs/app"))[1]["state"] == "held"

        status, refused = await talk("POST", "/v1/jobs/app/holds/77/approve")
        assert (status, refused["error"]) == (404, "job 'app' has no open hold '77'")
        status, rejected = await talk("POST", f"/v1/jobs/app/holds/{hold['hold']}/reject")
        assert (status, rejected["holds"][0]["count"]) == (200, 12)
        decided = await talk.office.store.decisions("app")
        assert {(one.decision, one.by) for one in decided} == {("rejected", talk_name())}
        assert (await talk("POST", "/v1/jobs/app/holds/approve"))[0] == 404, "nothing is held any more"


def talk_name() -> str:
    return pwd.getpwuid(os.geteuid()).pw_name


async def test_the_description_names_every_route_and_no_other(company: Company) -> None:
    async with talking(company) as talk:
        _, answer = await talk("GET", "/v1/openapi.json")
    described = {(method.upper(), path) for path, methods in answer["paths"].items() for method in methods}
    assert described == {(route.method, route.path) for route in ROUTES}
    assert answer == orjson.loads(orjson.dumps(openapi(ROUTES, answer["info"]["version"])))
    assert len({route.name for route in ROUTES}) == len(ROUTES)
    page = (ROOT / "docs/control.md").read_text()
    assert [path for method, path in described if f"| `{method} {path}` |" not in page] == []
    used = {*_references(answer["paths"]), *_references(SCHEMAS)}
    assert used == set(SCHEMAS), "every schema is used, and every one that is used is there"


async def test_what_a_body_must_have_is_described_and_asked_for(company: Company) -> None:
    described = openapi(ROUTES, "1")["paths"]
    async with talking(company) as talk:
        for route in ROUTES:
            needed = [name for name, parameter in route.body.items() if parameter.required]
            if route.body:
                body = described[route.path]["post"]["requestBody"]
                assert (body["required"], body["content"]["application/json"]["schema"]["required"]) == (
                    bool(needed),
                    needed,
                )
            if needed:
                status, answer = await talk("POST", route.path.replace("{job}", "app"))
                assert (status, answer["error"]) == (400, f"the body lacks {needed[0]}")
        await talk.idle()


def into(quarantine: Quarantine) -> Settle:
    return lambda standing: (replace(standing, quarantine=quarantine), ())


async def test_a_quarantine_is_described_to_the_last_field(company: Company) -> None:
    quarantine = Quarantine(QuarantineReason.EXCEPTION, "Timeout", "out of reach", "", EPOCH, EPOCH, 0, EPOCH)
    async with talking(company) as talk:
        await talk.idle()
        for passed_at in (None, EPOCH):
            await talk.office.store.settle("app", into(replace(quarantine, test_passed_at=passed_at)))
            _, job = await talk("GET", "/v1/jobs/app")
            assert list(conforms(job, SCHEMAS["Job"])) == []
            assert job["quarantine"].keys() == SCHEMAS["Quarantine"]["properties"].keys()


async def test_a_daemon_that_is_not_ready_says_so_as_described(company: Company) -> None:
    async with talking(company) as talk:
        await talk.idle()
        assert isinstance(talk.office.store, FailingStore)
        talk.office.store.failing = True
        status, answer = await talk("GET", "/readyz")
        talk.office.store.failing = False
    responses = openapi(ROUTES, "1")["paths"]["/readyz"]["get"]["responses"]
    assert (status, answer["ok"]) == (503, False)
    assert list(conforms(answer, responses[str(status)]["content"]["application/json"]["schema"])) == []


class FailingOnce(FailingStore):
    """A state that cannot be read any more once it was written how a job stands, until it is mended."""

    unread = False

    async def standing(self, job: str) -> Standing:
        if self.unread:
            raise StateError("state.db: the disk does not read")
        return await super().standing(job)

    async def settle(self, job: str, change: Settle) -> Standing:
        standing = await super().settle(job, change)
        self.unread = True
        return standing


async def test_a_pause_that_is_answered_as_failed_has_paused_nothing(company: Company) -> None:
    async with talking(company, kind=FailingOnce) as talk:
        await talk.idle()
        store = talk.office.store
        assert isinstance(store, FailingOnce)
        for verb, state in (("pause", "paused"), ("resume", "waiting")):
            store.unread = True
            assert (await talk("POST", f"/v1/jobs/app/{verb}"))[0] == 503
            store.unread = False
            before = (await talk("GET", "/v1/jobs/app"))[1]["state"]
            status, shown = await talk("POST", f"/v1/jobs/app/{verb}")
            assert (before != state, status, shown["state"]) == (True, 200, state)
            assert list(conforms(shown, SCHEMAS["Job"])) == []
            store.unread = False
            assert (await talk("GET", "/v1/jobs/app"))[1] == shown


class Dawdling(FailingStore):
    """A state that takes until somebody lets it go on to say how a job stands, or to change that."""

    dawdles = ""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.asked, self.goes_on = anyio.Event(), anyio.Event()

    async def standing(self, job: str) -> Standing:
        await self._dawdle("GET")
        return await super().standing(job)

    async def settle(self, job: str, change: Settle) -> Standing:
        await self._dawdle("POST")
        return await super().settle(job, change)

    async def _dawdle(self, over: str) -> None:
        if over == self.dawdles:
            self.asked.set()
            await self.goes_on.wait()


@pytest.mark.parametrize(
    ("method", "path"),
    [
        *(("GET", "/v1/status"), ("GET", "/v1/jobs/app")),
        *(("POST", "/v1/jobs/app/pause"), ("POST", "/v1/jobs/app/resume")),
    ],
)
async def test_a_job_that_leaves_the_configuration_while_it_is_told_of_is_told_of(
    company: Company, server: ScimServer, method: str, path: str
) -> None:
    add_job(company, "desk", server, interval="1h")
    async with talking(company, kind=Dawdling) as talk:
        await talk.idle()
        store = talk.office.store
        assert isinstance(store, Dawdling)
        store.dawdles = method
        async with anyio.create_task_group() as tasks:
            answers: list[tuple[int, Any]] = []

            async def ask() -> None:
                answers.append(await talk(method, path))

            tasks.start_soon(ask)
            await store.asked.wait()
            house = talk.office.house
            left = replace(house, config=replace(house.config, jobs={}))
            talk.office.reloading = lambda: left
            assert (await talk("POST", "/v1/reload"))[0] == 200
            store.goes_on.set()
        [(status, answer)] = answers
        told = answer["jobs"][0] if "jobs" in answer else answer
        assert (status, told.get("job")) == (200, "app"), answer
        assert (await talk("GET", "/v1/jobs/app"))[0] == 404


def _references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if "$ref" in value:
            yield value["$ref"].rpartition("/")[2]
        value = list(value.values())
    if isinstance(value, list):
        for one in value:
            yield from _references(one)


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "said"),
    [
        ("POST", "/v1/jobs/ap/trigger", None, 404, "did you mean 'app'?"),
        ("GET", "/v1/jobs/zzz", None, 404, "jobs are: app"),
        ("GET", "/v1/jobs/zzz/links", None, 404, "jobs are: app"),
        ("GET", "/v1/events?job=ap", None, 404, "did you mean 'app'?"),
        ("GET", "/v1/status?job=ap", None, 404, "did you mean 'app'?"),
        ("POST", "/v1/jobs/app/pauze", None, 404, "did you mean 'pause'?"),
        ("POST", "/v1/jobs/app/xyz", None, 404, "verbs are: holds, links, pause, "),
        ("GET", "/v1/statsu", None, 404, "did you mean /v1/status?"),
        ("GET", "/../../etc/passwd", None, 404, "GET /v1/openapi.json lists what is there"),
        ("GET", "/v1/jobs/app/trigger", None, 405, "it answers to POST"),
        ("DELETE", "/v1/jobs/app", None, 405, "it answers to GET"),
        ("HEAD", "/v1/status", None, 405, ""),
        ("POST", "/v1/jobs/app/trigger", b"{", 400, "send an object"),
        ("POST", "/v1/jobs/app/trigger", b"[]", 400, "send an object"),
        ("POST", "/v1/jobs/app/trigger", b"null", 400, "send an object"),
        ("POST", "/v1/jobs/app/trigger", b"\xff\xfe", 400, "send an object"),
        ("POST", "/v1/jobs/app/trigger", b"[" * 60_000, 400, "send an object"),
        ("POST", "/v1/jobs/app/trigger", b'{"full": "yes"}', 400, "full must be true or false"),
        ("POST", "/v1/jobs/app/trigger", b'{"ful": true}', 400, "did you mean 'full'?"),
        ("POST", "/v1/jobs/app/stop", b'{"full": true}', 400, "this takes nothing"),
        ("POST", "/v1/jobs/app/pause", b'{"reason": "a\\nb"}', 400, "no line breaks"),
        ("POST", "/v1/jobs/app/restart", b'{"scopes": ["everything"]}', 400, "watermark, escrows"),
        ("POST", "/v1/jobs/app/restart", b'{"scopes": "links"}', 400, "must be a list"),
        ("GET", "/v1/jobs/app/links?limit=-1", None, 400, "limit must be a whole number"),
        ("GET", "/v1/jobs/app/links?limit=1001", None, 400, "from 1 to 1000"),
        ("GET", "/v1/log?status=bad", None, 400, "must be one of success"),
        ("GET", "/v1/log?since=yesterday", None, 400, "such as 2026-11-21"),
        ("GET", "/v1/log?since=0001-01-01", None, 400, "such as 2026-11-21"),
        ("POST", "/v1/jobs/app/trigger", b"x" * 65_537, 413, "65536 bytes"),
    ],
)
async def test_what_cannot_be_used_is_refused_with_what_was_meant(
    method: str, path: str, body: bytes | None, status: int, said: str, company: Company
) -> None:
    async with talking(company) as talk:
        url = f"http://r{path}"
        async with talk.session.request(method, url, data=body) as answer:
            text = (await answer.read()).decode()
        assert answer.status == status, text
        assert said in text
        if text:
            assert set(orjson.loads(text)) == {"error", "hint"}
        await talk.idle()
        assert len(talk.office.began) == 1, "nothing was triggered"


async def test_the_log_and_the_links_are_given(company: Company, server: ScimServer) -> None:
    async with talking(company) as talk:
        await talk.idle()
        async with talk.session.get("http://r/v1/log?job=app&action=create&limit=2") as answer:
            rows = [orjson.loads(line) for line in (await answer.read()).splitlines()]
        assert [row["sourceIdentity"]["id"] for row in rows] == ["bob", "cleo"]
        _, first = await talk("GET", "/v1/jobs/app/links?limit=2")
        assert ([link["id"] for link in first["links"]], first["more"]) == (["ann", "bob"], True)
        _, rest = await talk("GET", f"/v1/jobs/app/links?after={first['links'][-1]['row']}")
        assert ([link["id"] for link in rest["links"]], rest["more"]) == (["cleo"], False)
        _, found = await talk("GET", "/v1/jobs/app/links?user=bob")
        assert [link["target_id"] for link in found["links"]] == [server.user("bob@example.com")["id"]]


async def test_events_are_streamed_as_they_come(company: Company) -> None:
    async with talking(company) as talk:
        await talk.idle()
        async with talk.session.get("http://r/v1/events?job=app") as stream:
            assert stream.content_type == "text/event-stream"
            assert await stream.content.readuntil(b"\n\n") == b": listening\n\n"
            _, ticket = await talk("POST", "/v1/jobs/app/trigger", full=True)
            told: list[dict[str, Any]] = []
            while not told or told[-1]["event"] != "cycle.ended":
                block = (await asyncio.wait_for(stream.content.readuntil(b"\n\n"), 30)).decode()
                fields = dict(line.split(": ", 1) for line in block.strip().splitlines())
                told.append(orjson.loads(fields["data"]))
                assert (told[-1]["event"], str(told[-1]["number"])) == (fields["event"], fields["id"])
        assert told[0]["event"] == "cycle.started"
        assert {event["run"] for event in told} == {ticket["run"]}
        assert told[-1]["report"]["kind"] == "initial"
        assert list(conforms(told[-1]["report"], SCHEMAS["Report"])) == []


async def test_a_listener_who_does_not_read_holds_up_nobody(company: Company, monkeypatch: pytest.MonkeyPatch) -> None:
    async with talking(company) as talk:
        await talk.idle()
        reader, writer = await asyncio.open_unix_connection(talk.path)
        writer.write(b"GET /v1/events HTTP/1.0\r\n\r\n")
        await reader.readuntil(b": listening\n\n")
        for _ in range(20_000):
            talk.service.events.tell("noise", text="x" * 1000)
        await talk("POST", "/v1/jobs/app/trigger")
        await asyncio.wait_for(talk.idle(), 30)
        received = b""
        while b"event: cycle.ended" not in received:
            received = received[-100_000:] + await asyncio.wait_for(reader.read(1 << 20), 30)
        writer.close()
        assert (await talk("GET", "/healthz"))[0] == 200


# --- who may -----------------------------------------------------------------------------------------------------

VISITOR, GROUPS = (4009, [7, 5001]) if os.geteuid() == 0 else (os.geteuid(), [os.getegid(), *os.getgroups()])
"""Who asks: somebody else where we may be that, who are root; else ourselves, of whom the daemon knows nothing more."""
CURL = pytest.mark.skipif(shutil.which("curl") is None, reason="curl is missing (apt-get install curl)")


async def asked_by(talk: Talk, uid: int, groups: list[int], method: str, path: str) -> int:
    """Return the status that somebody is answered with, 0 where nobody answers."""
    be: dict[str, Any] = {"user": uid, "group": NOBODY, "extra_groups": groups} if os.geteuid() == 0 else {}
    process = await asyncio.create_subprocess_exec(
        *("curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "--max-time", "20"),
        *("--unix-socket", str(talk.path), "-X", method, f"http://r{path}"),
        stdout=subprocess.PIPE,
        cwd="/",
        **be,
    )
    out, _ = await process.communicate()
    return int(out)


_HIM, _THEM = People(frozenset({VISITOR})), People(frozenset(), frozenset(GROUPS[-1:]))
_OTHERS = People(frozenset({4001}), frozenset({4002}))
_EVERYTHING, _LOOKING, _NOTHING = [200, 200, 404, 200, 200, 200], [200, 200, 404, 403, 403, 200], [403] * 5 + [200]


@pytest.mark.row("C3")
@CURL
@pytest.mark.parametrize(
    ("rights", "answers"),
    [
        (Rights(_HIM, _OTHERS, own_uid=1234), _EVERYTHING),
        (Rights(_THEM, _OTHERS, own_uid=1234), _EVERYTHING),
        (Rights(_OTHERS, _HIM, own_uid=1234), _LOOKING),
        (Rights(_OTHERS, _THEM, own_uid=1234), _LOOKING),
        (Rights(_OTHERS, _OTHERS, own_uid=VISITOR), _EVERYTHING),
        (Rights(_OTHERS, _OTHERS, own_uid=1234), _NOTHING),
    ],
    ids=["operator", "of the operators", "reader", "of the readers", "daemon", "anybody"],
)
async def test_readers_look_operators_act_and_others_get_nothing(
    company: Company, rights: Rights, answers: list[int]
) -> None:
    with capture_logs() as lines:
        async with talking(company, rights) as talk:
            await talk.idle()
            talk.path.chmod(0o666)  # so that only our own judgement stands between them and the verbs
            got = [
                await asked_by(talk, VISITOR, GROUPS, method, path)
                for method, path in (
                    *(("GET", "/v1/status"), ("GET", "/v1/log"), ("GET", "/v1/events?job=nobody")),
                    *(("POST", "/v1/jobs/app/pause"), ("POST", "/v1/reload"), ("GET", "/healthz")),
                )
            ]
    assert got == answers
    asked = [line for line in lines if line["event"] == "control.asked" and line["asked"] == "pause"]
    assert [line["uid"] for line in asked] == [VISITOR] * (answers == _EVERYTHING)
    assert all(line["pid"] > 0 for line in asked)
    refused = [line["uid"] for line in lines if line["event"] == "control.refused"]
    assert refused == [VISITOR] * answers.count(403)


@CURL
async def test_the_socket_is_for_its_owner_and_group_alone(company: Company) -> None:
    async with talking(company) as talk:
        found = talk.path.stat()
        assert (found.st_mode & 0o777, found.st_uid) == (0o660, os.geteuid())
        assert await asked_by(talk, VISITOR, [found.st_gid], "GET", "/healthz") == 200
        if os.geteuid() != VISITOR:
            assert await asked_by(talk, VISITOR, [], "GET", "/healthz") == 0, "the file does not let them in"


# --- what no request can do --------------------------------------------------------------------------------------


PIECES = st.one_of(
    st.binary(max_size=300),
    st.sampled_from([f"{route.method} {route.path} HTTP/1.1\r\n".encode() for route in ROUTES]),
    st.sampled_from(
        [
            *(b"Host: r\r\n", b"\r\n", b"\r\n\r\n", b"Content-Length: 5\r\n", b"{}", b"0\r\n\r\n", b"\x00" * 99),
            *(b"POST /v1/jobs/app/links HTTP/1.1\r\n", b"Transfer-Encoding: chunked\r\n", b"ffffffff\r\n"),
            *(b"Expect: 100-continue\r\n", b"Upgrade: websocket\r\nConnection: upgrade\r\n", b"Content-Length: -1\r\n"),
            *(
                b"GET " + b"/" * 9000 + b" HTTP/1.1\r\n",
                b"X: " + b"y" * 20_000 + b"\r\n",
                b"Content-Encoding: gzip\r\n",
            ),
        ]
    ),
)


async def test_whatever_bytes_come_the_daemon_answers_the_next_one(company: Company) -> None:
    sent: list[list[bytes]] = []

    @settings(max_examples=150, deadline=None, database=None, derandomize=True)
    @given(st.lists(PIECES, max_size=8))
    def collect(pieces: list[bytes]) -> None:
        sent.append(pieces)

    collect()
    with capture_logs():
        async with talking(company) as talk:
            await talk.idle()
            for pieces in sent:
                with anyio.move_on_after(0.1):
                    await talk.raw(*pieces, end=len(pieces) % 2 == 0)
                assert (await talk("GET", "/healthz"))[0] == 200, pieces


async def test_half_a_request_is_not_waited_for_for_ever(company: Company, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listening, "IDLE_SECONDS", 0.5)
    monkeypatch.setattr(listening, "LOOK_SECONDS", 0.1)
    monkeypatch.setattr(control, "BODY_SECONDS", 0.5)
    async with talking(company) as talk:
        for half in (b"", b"GET /v1/status HT", b"GET /v1/status HTTP/1.1\r\nHost: r\r\n"):
            assert await asyncio.wait_for(talk.raw(half, end=False), 20) == b"", half
        body = b"POST /v1/jobs/app/trigger HTTP/1.1\r\nHost: r\r\nContent-Length: 9\r\n\r\n{"
        assert (await asyncio.wait_for(talk.raw(body, end=False), 20)).startswith(b"HTTP/1.1 408 ")
        whole = b"GET /healthz HTTP/1.1\r\nHost: r\r\n\r\n"
        answer = await asyncio.wait_for(talk.raw(whole, end=False), 20)
        assert answer.startswith(b"HTTP/1.1 200 "), "who is done and stays is let go of, too"


async def test_ten_thousand_connections_leave_the_daemon_as_it_was(company: Company) -> None:
    most, _ = resource.getrlimit(resource.RLIMIT_NOFILE)

    def storm(path: str) -> int:
        """Connect ten thousand times, as many at once as this process may; return how many were told to go away."""
        held: list[socket.socket] = []
        turned_away = 0
        for number in range(10_000):
            one = socket.socket(socket.AF_UNIX)
            one.settimeout(20)
            one.connect(path)
            held.append(one)
            if number % 100 == 99:
                turned_away += one.recv(12) == b"HTTP/1.1 503"
            if len(held) >= min(500, most // 4):
                for other in held:
                    other.close()
                held.clear()
        for other in held:
            other.close()
        return turned_away

    with capture_logs() as lines:
        async with talking(company) as talk:
            await talk.idle()
            turned_away = asyncio.get_running_loop().run_in_executor(None, storm, str(talk.path))
            while not turned_away.done():
                assert talk.connections <= listening.OF_ONE_USER_MAX
                await asyncio.wait({turned_away}, timeout=0.02)
            assert await turned_away > 0
            with anyio.fail_after(20):
                answer = b""
                while not answer.startswith(b"HTTP/1.1 200 "):
                    answer = await talk.raw(b"GET /healthz HTTP/1.1\r\nHost: r\r\nConnection: close\r\n\r\n", end=False)
    assert any(line["event"] == "control.full" for line in lines)


@settings(max_examples=40, deadline=None)
@given(
    value=st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=50),
        lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=9), inner, max_size=5),
        max_leaves=20,
    )
)
def test_whatever_a_body_says_it_is_judged_and_never_shown(value: Any) -> None:
    known = {
        "full": Parameter("boolean", ""),
        "scopes": Parameter("strings", ""),
        "reason": Parameter("string", ""),
        "limit": Parameter("integer", "", minimum=1, maximum=9),
    }
    for given_ in (value, dict.fromkeys(known, value), *({name: value} for name in known)):
        checked = checked_body(json.dumps(given_).encode(), known)
        if isinstance(checked, Wrong):
            assert checked.problem
            continue
        assert checked.keys() <= known.keys()
        assert isinstance(checked.get("full", True), bool)
        assert isinstance(checked.get("reason", ""), str)
        assert all(isinstance(one, str) for one in checked.get("scopes", []))
        assert 1 <= checked.get("limit", 1) <= 9


def test_a_query_is_text_and_numbers_are_read() -> None:
    known = {"limit": Parameter("integer", "", minimum=1, maximum=9), "user": Parameter("string", "")}
    assert checked_query({"limit": "3", "user": "3"}, known) == {"limit": 3, "user": "3"}
    for wrong in ("x", "", "-1", "1e3", "١", "9" * 30, "10"):
        assert isinstance(checked_query({"limit": wrong}, known), Wrong), wrong


async def test_a_person_is_taken_out_of_every_job_and_let_back(company: Company, server: ScimServer) -> None:
    async with talking(company) as talk:
        await talk.idle()
        status, shown = await talk("POST", "/v1/deprovision", user="ann", dry_run=True)
        assert (status, [one["outcome"] for one in shown["people"]]) == (200, ["to disable"])
        status, done = await talk("POST", "/v1/deprovision", user="ann")
        assert (status, [one["outcome"] for one in done["people"]]) == (200, ["disabled"])
        assert server.user("ann@example.com")["active"] is False
        status, refused = await talk("POST", "/v1/deprovision", user="nobody")
        assert (status, "no job knows anybody called nobody" in refused["error"]) == (404, True)
        status, back = await talk("POST", "/v1/deprovision", user="ann", release=True)
        assert (status, back["released"], back["jobs"]) == (200, 1, ["app"])
        await talk("POST", "/v1/jobs/app/trigger")
        await talk.idle()
        assert server.user("ann@example.com")["active"] is True
