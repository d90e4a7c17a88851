"""Metrics: what Prometheus reads, what the page says of it, and who may reach it."""

from __future__ import annotations

import re
import socket
from pathlib import Path

import aiohttp
import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from reconciler import config
from reconciler.core.standing import Quarantine, QuarantineReason, Standing
from reconciler.errors import ConfigError, StateError
from reconciler.ports import Figures
from reconciler.runtime.metrics import BUCKETS_SECONDS, MEDIA_TYPE, Metrics
from tests.cycles.company import Company
from tests.daemon.office import FailingStore, Office, opened
from tests.daemon.process import Daemon
from tests.daemon.talking import talking
from tests.net.doubles import EPOCH
from tests.servers.faults import FOR_EVER, Status
from tests.servers.scim import ScimServer

PAGE = Path(__file__).parents[2] / "docs/metrics.md"
DAY = 86400.0


class Said:
    """The metrics of one answer."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.families = {family.name: family for family in text_string_to_metric_families(text)}
        self.samples: list[Sample] = [sample for family in self.families.values() for sample in family.samples]

    def value(self, name: str, **labels: str) -> float:
        """Return the value of the one sample of this name and these labels."""
        found = [
            sample.value
            for sample in self.samples
            if sample.name == f"reconciler_{name}" and labels.items() <= sample.labels.items()
        ]
        assert len(found) == 1, (name, labels, found)
        return float(found[0])

    def names(self) -> set[tuple[str, str, frozenset[str]]]:
        """Return name, type and labels of what is there, as the page writes them."""
        said = set()
        for family in self.families.values():
            name = f"{family.name}_total" if family.type == "counter" else family.name
            labels = {label for sample in family.samples for label in sample.labels} - {"le"}
            said.add((name, family.type, frozenset(labels)))
        return said


def described() -> set[tuple[str, str, frozenset[str]]]:
    rows = re.findall(r"^\| `(\w+)` \| (\w+) \|(.*?)\| ", PAGE.read_text(), re.MULTILINE)
    return {(name, kind, frozenset(re.findall(r"`(\w+)`", labels))) for name, kind, labels in rows}


async def scraped(port: int, path: str = "/metrics") -> tuple[int, str]:
    async with aiohttp.ClientSession() as session, session.get(f"http://127.0.0.1:{port}{path}") as answer:
        return answer.status, await answer.text()


async def test_what_a_cycle_did_is_counted_and_every_metric_is_on_the_page(
    company: Company, server: ScimServer
) -> None:
    company.person("emil")
    company.tables += '\n[metrics]\nlisten = "127.0.0.1:0"\n'
    company.write()
    server.script.on("POST", "/Users$", body="emil@", then=Status(400), times=FOR_EVER)
    async with Daemon(company.directory) as daemon:
        port = (await daemon.event("metrics.listening"))["port"]
        await daemon.event("cycle.finished")
        await daemon.event("job.scheduled")
        status, text = await scraped(port)
        assert status == 200
        assert await scraped(port, "/healthz") == (200, "ok\n")
        assert await scraped(port, "/readyz") == (200, "ok\n")
        assert (await scraped(port, "/v1/status"))[0] == 404, "metrics and health, and nothing else"
        assert await daemon.stop() == 0
    said = Said(text)
    assert said.value("cycles_total", job="app", kind="initial", result="active") == 1
    assert said.value("operations_total", operation="create", outcome="success") == 3
    assert said.value("operations_total", operation="create", outcome="failure") == 1
    posts = [seen for seen in server.requests if seen.method == "POST"]
    assert said.value("requests_total", method="POST", status="201") == 3
    assert said.value("requests_total", method="POST", status="400") == len(posts) - 3 > 0
    assert said.value("request_seconds_count", method="POST") == len(posts)
    assert said.value("request_seconds_bucket", method="POST", le="+Inf") == len(posts)
    assert 0 < said.value("request_seconds_sum", method="POST") < 60
    assert (said.value("managed"), said.value("escrow"), said.value("state_up")) == (3, 1, 1)
    assert 0 <= said.value("seconds_since_success") < 60
    assert said.value("interval_seconds") == 2400
    page = described()
    assert {one for one in said.names() if one[0] not in SELDOM} == {one for one in page if one[0] not in SELDOM}
    assert {name for name, _, _ in page} >= SELDOM
    for person in ("ann", "bob", "emil", "example.com"):
        assert not re.search(rf"\b{person}\b", text), "no value of a person, nor an id"


SELDOM = {"reconciler_watermark_age_seconds", "reconciler_held_operations"}
"""What has labels only while there is something to say."""


async def test_the_control_socket_gives_the_same_and_counts_what_was_asked_for(
    company: Company, server: ScimServer
) -> None:
    async with talking(company) as talk:
        await talk.idle()
        await talk("POST", "/v1/jobs/app/provision", names=["ann"])
        async with talk.session.get("http://r/metrics") as answer:
            assert (answer.status, answer.headers["Content-Type"]) == (200, MEDIA_TYPE)
            said = Said(await answer.text())
    assert said.value("cycles_total", kind="initial", result="active") == 1
    assert said.value("cycles_total", kind="on_demand", result="active") == 1
    assert said.value("running", job="app") == 0


async def said_by(office: Office, metrics: Metrics) -> Said:
    return Said((await metrics.text(office.service(), office.store)).decode())


@pytest.mark.looptime
async def test_how_a_job_stands_is_said_in_seconds(company: Company) -> None:
    async with opened(company) as office:
        metrics = Metrics(office.clock)
        await office.clock.sleep(DAY)
        said = await said_by(office, metrics)
        assert said.value("seconds_since_success") == DAY, "there was none yet: since the daemon began"
        assert "watermark_age" not in {sample.name for sample in said.samples}
        quarantine = Quarantine(
            *(QuarantineReason.TOTAL_ESCROW, "", "rule", "1 > 0", EPOCH + 2 * DAY),
            *(EPOCH + DAY, 3, EPOCH + 9 * DAY),
        )
        standing = Standing(last_success_at=EPOCH + DAY, watermark_at=EPOCH, quarantine=quarantine)
        await office.store.settle("app", lambda _: (standing, ()))
        await office.clock.sleep(2 * DAY)
        said = await said_by(office, metrics)
        assert said.value("seconds_since_success") == 2 * DAY
        assert said.value("watermark_age_seconds") == 3 * DAY
        assert said.value("quarantine_seconds") == 2 * DAY
        reasons = {reason: said.value("quarantined", reason=reason) for reason in QuarantineReason}
        assert {reason for reason, value in reasons.items() if value} == {QuarantineReason.TOTAL_ESCROW}


async def test_what_a_safeguard_holds_is_counted(company: Company) -> None:
    company.job += "\ndeletion_threshold = 1"
    company.write()
    async with talking(company) as talk:
        await talk.idle()
        company.users = {"ann": company.users["ann"]}
        company.write()
        await talk("POST", "/v1/jobs/app/trigger")
        await talk.service.until_idle("app")
        async with talk.session.get("http://r/metrics") as answer:
            said = Said(await answer.text())
    assert said.value("held_operations", job="app", safeguard="deletions") == 2
    assert said.value("held_oldest_seconds") >= 0
    assert said.value("should_be_off") == 2
    assert said.value("should_be_off_oldest_seconds") >= 0
    assert said.value("cycles_total", result="held") == 1


class UnreadableStore(FailingStore):
    async def figures(self, job: str) -> Figures:
        if self.failing:
            raise StateError("state.db: the disk does not read")
        return await super().figures(job)


@pytest.mark.looptime
async def test_a_state_that_does_not_read_is_said_and_nothing_old_of_it(company: Company) -> None:
    async with opened(company, UnreadableStore) as office:
        metrics = Metrics(office.clock)
        assert (await said_by(office, metrics)).value("state_up") == 1
        office.store.failing = True
        await office.clock.sleep(60)
        said = await said_by(office, metrics)
        assert said.value("state_up") == 0
        assert "reconciler_managed" not in {sample.name for sample in said.samples}
        assert said.value("interval_seconds", job="app") == 2400


def test_a_histogram_counts_each_request_once_and_upwards() -> None:
    metrics = Metrics(_Still())
    for seconds in (0.0, 0.01, 0.011, 19.0, 61.0):
        metrics.note("app", "GET", "200", seconds)
    latency = metrics._latencies["app", "GET"]
    counted = dict(latency.cumulative())
    assert (counted["0.01"], counted["0.025"], counted["20.0"], counted["60.0"], counted["+Inf"]) == (2, 3, 4, 4, 5)
    assert len(counted) == len(BUCKETS_SECONDS) + 1


class _Still:
    def now(self) -> float:
        return EPOCH

    def monotonic(self) -> float:
        return 0.0

    async def sleep(self, seconds: float) -> None:
        raise AssertionError("nobody waits here")


# --- who may reach it --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("lines", "problem"),
    [
        ('listen = "0.0.0.0:9464"', "can be reached by other machines (127.0.0.1, or remote = true"),
        ('listen = "[::]:9464"', "can be reached by other machines"),
        ('listen = "metrics.example.com:9464"', "can be reached by other machines"),
        ('listen = "9464"', "must be an address and a port"),
        ('listen = "127.0.0.1:http"', "must be an address and a port"),
        ('listen = "127.0.0.1:70000"', "must be an address and a port"),
        ('listen = "127.0.0.1:9464"', None),
        ('listen = "[::1]:9464"', None),
        ('listen = "localhost:9464"', None),
        ('listen = "0.0.0.0:9464"\nremote = true', None),
    ],
)
async def test_other_machines_do_not_reach_it_unless_that_is_meant(
    lines: str, problem: str | None, company: Company
) -> None:
    company.tables += f"\n[metrics]\n{lines}\n"
    path = company.write()
    if problem is None:
        assert config.load(path).metrics is not None
        return
    with pytest.raises(ConfigError, match=re.escape(f"[metrics] listen: {problem}")):
        config.load(path)


async def test_a_port_that_is_taken_ends_the_start_with_a_sentence(company: Company) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        company.tables += f'\n[metrics]\nlisten = "127.0.0.1:{port}"\n'
        company.write()
        async with Daemon(company.directory) as daemon:
            assert await daemon.ended() == 2
    said = f"error: [metrics] listen 127.0.0.1:{port}: another program listens there (name another port)"
    assert daemon.lines[-1] == said


# --- the page ----------------------------------------------------------------------------------------------------


def test_the_rules_of_the_page_are_about_metrics_that_are_there() -> None:
    (block,) = re.findall(r"```yaml\n(.*?)```", PAGE.read_text(), re.DOTALL)
    rules = yaml.safe_load(block)["groups"][0]["rules"]
    assert len(rules) == 3
    known = {name for name, _, _ in described()}
    used = {name for rule in rules for name in re.findall(r"reconciler_\w+", rule["expr"])}
    assert used <= known
