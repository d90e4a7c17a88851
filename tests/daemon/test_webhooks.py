"""Webhooks: who may say that something changed, how often, and that the page's example works."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import orjson
import pytest
from structlog.testing import capture_logs

from reconciler import config
from reconciler.errors import ConfigError, Problem
from reconciler.runtime.clock import SystemClock
from reconciler.runtime.openapi import SCHEMAS
from reconciler.runtime.webhooks import KEY_BYTES_MIN, REMEMBERED_MAX, TOLERANCE_SECONDS, Believed, Turned, Webhooks
from tests.cycles.calendar import Calendar
from tests.cycles.company import Company
from tests.daemon.process import Daemon
from tests.daemon.talking import Talk, talking
from tests.daemon.test_control import conforms
from tests.servers.scim import ScimServer

SECRET = "4f8c2a06d1b94c55a0c3be6f5e6a7b12"
PAGE = Path(__file__).parents[2] / "docs/triggers.md"
STANDARD = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
"""The example of the standard's own description."""


def signed(at: float, body: bytes = b"{}", *, id_: str = "m1", secret: str = SECRET) -> dict[str, str]:
    """Return the headers of a call as a sender makes them."""
    key = base64.b64decode(secret.removeprefix("whsec_")) if secret.startswith("whsec_") else secret.encode()
    time = str(int(at))
    digest = hmac.new(key, f"{id_}.{time}.".encode() + body, hashlib.sha256).digest()
    return {
        "webhook-id": id_,
        "webhook-timestamp": time,
        "webhook-signature": f"v1,{base64.b64encode(digest).decode()}",
    }


# --- what is believed --------------------------------------------------------------------------------------------


@pytest.fixture
def clock() -> Calendar:
    return Calendar()


@pytest.fixture
def webhooks(clock: Calendar) -> Webhooks:
    return Webhooks(clock)


def verdict(webhooks: Webhooks, headers: dict[str, str], body: bytes = b"{}", secret: str = SECRET) -> str:
    """Return "new", "again", or why it is not believed."""
    found = webhooks.judge("app", headers, body, lambda: secret)
    return found.problem if isinstance(found, Turned) else "again" if found.repeated else "new"


def test_who_has_the_secret_is_believed_once(webhooks: Webhooks, clock: Calendar) -> None:
    headers = signed(clock.now())
    assert [verdict(webhooks, headers) for _ in range(3)] == ["new", "again", "again"]
    assert verdict(webhooks, signed(clock.now(), id_="m2")) == "new"
    other = webhooks.judge("desk", headers, b"{}", lambda: SECRET)
    assert other == Believed(repeated=False), "another job has messages of its own"


def test_the_standards_own_example_is_believed(webhooks: Webhooks) -> None:
    class Then(Calendar):
        def now(self) -> float:
            return 1614265330.0

    headers = {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }
    assert verdict(Webhooks(Then()), headers, b'{"test": 2432232314}', STANDARD) == "new"


def test_one_right_signature_of_several_is_enough(webhooks: Webhooks, clock: Calendar) -> None:
    headers = signed(clock.now())
    right = headers["webhook-signature"]
    assert verdict(webhooks, {**headers, "webhook-signature": f"v1a,eHg= v1,eHg= {right}"}) == "new"


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"webhook-signature": ""}, "is not signed"),
        ({"webhook-id": ""}, "is not signed"),
        ({"webhook-id": "m" * 201}, "is not signed"),
        ({"webhook-timestamp": ""}, "is not signed"),
        ({"webhook-timestamp": "soon"}, "no moment"),
        ({"webhook-timestamp": "-1"}, "no moment"),
        ({"webhook-timestamp": "1" * 400}, "no moment"),
        ({"webhook-timestamp": "1"}, "signature is wrong"),
        ({"webhook-id": "m2"}, "signature is wrong"),
        ({"webhook-id": "m\udcff"}, "signature is wrong"),  # a byte that is no UTF-8, as aiohttp gives it
        ({"webhook-signature": "v1,AAAA"}, "signature is wrong"),
        ({"webhook-signature": "v1,åäö"}, "signature is wrong"),
        ({"webhook-signature": "v1,"}, "signature is wrong"),
        ({"webhook-signature": "nonsense"}, "signature is wrong"),
    ],
)
def test_anything_else_is_not(webhooks: Webhooks, clock: Calendar, change: dict[str, str], why: str) -> None:
    headers = {**signed(clock.now()), **change}
    assert why in verdict(webhooks, headers)
    assert verdict(webhooks, signed(clock.now())) == "new", "and nothing of it is remembered"


def test_another_body_secret_or_version_is_refused(webhooks: Webhooks, clock: Calendar) -> None:
    headers = signed(clock.now())
    assert "wrong" in verdict(webhooks, headers, b"{} ")
    assert "wrong" in verdict(webhooks, headers, secret=SECRET[::-1])
    assert "wrong" in verdict(
        webhooks, {**headers, "webhook-signature": headers["webhook-signature"].replace("v1", "v2")}
    )


@pytest.mark.parametrize(("off", "believed"), [(0, True), (-299, True), (299, True), (-302, False), (302, False)])
def test_what_is_old_or_from_the_future_is_refused(
    webhooks: Webhooks, clock: Calendar, off: float, believed: bool
) -> None:
    assert (verdict(webhooks, signed(clock.now() + off)) == "new") is believed


def test_a_message_is_remembered_for_as_long_as_it_could_be_sent_again(clock: Calendar) -> None:
    webhooks = Webhooks(clock)
    ahead = signed(clock.now() + TOLERANCE_SECONDS - 1)
    assert verdict(webhooks, ahead) == "new"
    for _ in range(19):
        clock.turn(30.0)
        assert verdict(webhooks, ahead) == "again"
    clock.turn(60.0)
    assert "too old" in verdict(webhooks, ahead)


def test_what_is_remembered_is_bounded(clock: Calendar) -> None:
    webhooks = Webhooks(clock)
    for number in range(REMEMBERED_MAX + 500):
        assert verdict(webhooks, signed(clock.now(), id_=str(number))) == "new"
    assert len(webhooks._seen) <= REMEMBERED_MAX  # because nothing else shows it
    assert verdict(webhooks, signed(clock.now(), id_=str(REMEMBERED_MAX + 499))) == "again"


@pytest.mark.parametrize("secret", ["short", "whsec_AAAA", "whsec_no base64!", "x" * (KEY_BYTES_MIN - 1)])
def test_a_secret_that_can_be_guessed_opens_nothing(webhooks: Webhooks, clock: Calendar, secret: str) -> None:
    found = webhooks.judge("app", signed(clock.now(), secret="x" * 15), b"{}", lambda: secret)
    assert isinstance(found, Turned)
    assert found.status == 503


def test_a_secret_that_cannot_be_read_is_the_logs_matter_and_not_the_callers(
    webhooks: Webhooks, clock: Calendar
) -> None:
    def read() -> str:
        raise ConfigError(Problem("config.toml: [jobs.app.triggers] webhook", "file /secret/place is not there"))

    with capture_logs() as logged:
        found = webhooks.judge("app", signed(clock.now()), b"{}", read)
    assert isinstance(found, Turned)
    assert "/secret/place" not in f"{found}"
    assert "/secret/place" in str(logged)


# --- over the socket ---------------------------------------------------------------------------------------------


@pytest.fixture
def company(tmp_path: Path, server: ScimServer) -> Company:
    made = Company(tmp_path, server)
    made.people("ann")
    kept = tmp_path / "hook"
    kept.touch(mode=0o600)
    kept.write_text(SECRET)
    made.job += '\ntriggers = { webhook = { file = "hook" }, debounce = "0s" }'
    made.tables += '[metrics]\nlisten = "127.0.0.1:0"\n[control]\nsocket = "control.sock"\n'
    made.write()
    return made


@asynccontextmanager
async def idle(company: Company) -> AsyncIterator[Talk]:
    """Speak to a daemon whose first cycle is over."""
    async with talking(company) as talk:
        await talk.idle()
        yield talk


async def call(
    talk: Talk, body: bytes = b"{}", headers: dict[str, str] | None = None, job: str = "app"
) -> tuple[int, dict[str, object]]:
    given = signed(talk.office.clock.now(), body) if headers is None else headers
    async with talk.session.post(f"http://r/v1/jobs/{job}/webhook", data=body, headers=given) as answer:
        return answer.status, orjson.loads(await answer.read())


async def test_a_call_runs_the_job(company: Company) -> None:
    async with idle(company) as talk:
        with talk.service.events.listen("app") as listener:
            status, answer = await call(talk, b"anything \xff at all")
            assert (status, answer) == (202, {"job": "app", "repeated": False, "runs": "soon"})
            assert list(conforms(answer, SCHEMAS["Called"])) == []
            started = await listener.next()
        assert (started.name, started.facts["occasion"]) == ("cycle.started", "a webhook was called")
        await talk.service.until_idle("app")


async def test_a_call_that_comes_again_runs_nothing(company: Company) -> None:
    async with idle(company) as talk:
        headers = signed(talk.office.clock.now())
        first, again = await call(talk, headers=headers), await call(talk, headers=headers)
        assert (first[0], again[0]) == (202, 202)
        assert (first[1]["repeated"], again[1]["repeated"]) == (False, True)


async def test_a_paused_job_rests(company: Company) -> None:
    async with idle(company) as talk:
        await talk("POST", "/v1/jobs/app/pause")
        assert (await call(talk))[1]["runs"] == "resting"
        assert talk.service.running("app") is None


async def test_who_may_not_learns_no_secret(company: Company) -> None:
    async with idle(company) as talk:
        with capture_logs() as logged:
            assert (await call(talk, headers={}))[0] == 401
            wrong = signed(talk.office.clock.now(), secret="another secret of some length")
            status, answer = await call(talk, headers=wrong)
            assert (status, answer["error"]) == (401, "the signature is wrong")
            assert (await call(talk, job="ap"))[0] == 404
            assert (await call(talk, b"x" * 70_000))[0] == 413
        assert sum(one["event"] == "webhook.refused" for one in logged) == 2
        assert SECRET not in str(logged)
        assert SECRET not in str(answer)
        assert talk.service.running("app") is None


async def test_a_job_without_a_webhook_has_none(company: Company) -> None:
    company.job = 'scope = "all"'
    company.write()
    async with idle(company) as talk:
        status, answer = await call(talk)
    assert (status, answer["hint"]) == (404, "[jobs.app.triggers] webhook gives it one")


async def test_the_example_of_the_page_works(company: Company, server: ScimServer) -> None:
    [example] = re.findall(r"```sh\n(.*?)```", PAGE.read_text(), re.DOTALL)
    for said, meant in (
        ("/run/reconciler/control.sock", str(company.directory / "control.sock")),
        ("job=phone", "job=app"),
        ("/etc/reconciler/webhook", str(company.directory / "hook")),
    ):
        assert said in example
        example = example.replace(said, meant)
    async with Daemon(company.directory) as daemon:
        await daemon.event("cycle.finished")
        company.people("bob")
        company.write()
        ran = await asyncio.create_subprocess_exec("bash", "-euo", "pipefail", "-c", example, stdout=-1, stderr=-1)
        out, err = await ran.communicate()
        assert ran.returncode == 0, err.decode()
        assert orjson.loads(out) == {"job": "app", "repeated": False, "runs": "soon"}
        await daemon.event("cycle.finished", create=1)
    assert server.user("bob@example.com")["displayName"] == "Bob"


async def test_the_port_takes_calls_too_and_nothing_else_that_changes_something(company: Company) -> None:
    async with Daemon(company.directory) as daemon:
        port = (await daemon.event("metrics.listening"))["port"]
        await daemon.event("cycle.finished")
        now = SystemClock().now()
        async with aiohttp.ClientSession(f"http://127.0.0.1:{port}") as session:
            for path, headers, status in (
                ("/v1/jobs/app/webhook", signed(now), 202),
                ("/v1/jobs/app/webhook", signed(now), 202),
                ("/v1/jobs/app/webhook", {}, 401),
                ("/v1/jobs/other/webhook", signed(now), 404),
                ("/v1/jobs/app/trigger", signed(now), 404),
            ):
                async with session.post(path, data=b"{}", headers=headers) as answer:
                    assert answer.status == status, path
            async with session.post("/v1/jobs/app/webhook", data=b"x" * 70_000) as answer:
                assert answer.status == 413
        await daemon.event("cycle.started", occasion="a webhook was called")


def test_the_secret_must_not_stand_in_the_configuration(company: Company) -> None:
    company.job = f'scope = "all"\ntriggers = {{ webhook = "{SECRET}" }}'
    with pytest.raises(ConfigError, match="must not stand in the configuration") as refused:
        config.load(company.write())
    assert SECRET not in str(refused.value)
