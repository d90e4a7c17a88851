"""The daemon in virtual time: what runs when, whatever goes wrong."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest
from structlog.testing import capture_logs

from reconciler.core.standing import Quarantine, QuarantineReason
from reconciler.errors import ConfigError, Problem, StateError
from reconciler.runtime.clock import SystemClock
from reconciler.runtime.schedule import ApschedulerTicks
from tests.cycles.company import Company
from tests.daemon.office import LoopTicks, opened, with_config
from tests.daemon.test_run import add_job, change_config
from tests.net.doubles import EPOCH, LoopClock
from tests.servers.scim import ScimServer


@pytest.fixture
def two_jobs(company: Company, server: ScimServer) -> Company:
    """Job app every 40 minutes, job desk every hour, both with the same target of different names."""
    add_job(company, "desk", server, interval="1h")
    return company


@pytest.mark.looptime
async def test_the_next_cycle_is_an_interval_after_the_last_one_began(two_jobs: Company) -> None:
    async with opened(two_jobs) as office:
        office.takes_seconds["app"] = 300.0
        async with office.open_for(125):
            pass
        assert [at for job, at in office.began if job == "app"] == [0, 40, 80, 120]
        assert [at for job, at in office.began if job == "desk"] == [0, 60, 120]
        assert await office.store.next_due("app") == pytest.approx(EPOCH + 160 * 60, abs=1)


@pytest.mark.looptime
async def test_a_cycle_that_takes_longer_than_its_interval_is_followed_at_once(company: Company) -> None:
    async with opened(company) as office:
        office.takes_seconds["app"] = 50 * 60.0
        async with office.open_for(140, drain_seconds=3600):
            pass
        assert [at for _, at in office.began] == [0, 50, 100]


@pytest.mark.looptime
@pytest.mark.parametrize(
    ("due_minutes", "first"),
    [(None, 0.0), (-90.0, 0.0), (0.0, 0.0), (25.0, 25.0), (30 * 24 * 60.0, 40.0)],
    ids=["new", "overdue", "due", "waits", "written down under a longer interval, or by a wrong clock"],
)
async def test_who_is_overdue_runs_at_start_and_who_is_not_waits(
    due_minutes: float | None, first: float, company: Company
) -> None:
    async with opened(company) as office:
        if due_minutes is not None:
            await office.store.set_next_due("app", EPOCH + due_minutes * 60)
        async with office.open_for(60):
            pass
        assert office.began[0] == ("app", first)


@pytest.mark.looptime
@pytest.mark.parametrize("asked", ["once", "twice"])
async def test_who_is_cut_off_in_a_cycle_before_its_time_is_overdue_at_the_next_start(
    asked: str, company: Company
) -> None:
    async with opened(company) as office:
        async with office.open_for(11, drain_seconds=70 if asked == "twice" else 0) as service:
            await office.until(10)
            office.takes_seconds["app"] = 120.0
            service.begin_now("app", full=False, by="ann")
            if asked == "twice":
                service.begin_now("app", full=False, by="bob")
        due = await office.store.next_due("app")
        assert due is not None
        assert due <= office.clock.now()


class Adjusted(LoopClock):
    """A clock that somebody sets."""

    ahead_seconds = 0.0

    def now(self) -> float:
        return super().now() + self.ahead_seconds


@pytest.mark.looptime
async def test_jobs_go_on_when_the_clock_is_set_back_by_years(company: Company) -> None:
    async with opened(company) as office:
        office.clock = clock = Adjusted()
        async with office.open_for(120) as service:
            await office.until(1)
            clock.ahead_seconds = 5 * 365 * 86400.0
            service.begin_now("app", full=False, by="ann")
            await office.until(15)
            clock.ahead_seconds = 0.0
        assert [at for _, at in office.began] == [0, 1, 60, 100]


class TicksOf(LoopTicks):
    """`Ticks` that count by a clock that somebody sets, as the real ones do."""

    def __init__(self, clock: Adjusted) -> None:
        super().__init__()
        self._clock = clock

    def set(self, job: str, at: float, wake: Callable[[], Awaitable[None]]) -> None:
        super().set(job, at - self._clock.ahead_seconds, wake)


@pytest.mark.looptime
async def test_by_a_clock_that_is_behind_nothing_runs_and_by_the_right_one_everything_goes_on(company: Company) -> None:
    async with opened(company) as office:
        office.clock = clock = Adjusted()
        office.ticks, office.house = TicksOf(clock), replace(office.house, clock=clock)
        async with office.open_for(130) as service:
            await office.until(10)
            clock.ahead_seconds = -50 * 365 * 86400.0
            await office.until(70)
            ended = service.ended("app")
            assert ended is not None and "Set the clock" in ended.problem
            clock.ahead_seconds = 0.0
        assert [at for _, at in office.began] == [0, 60, 100]
        [last] = await office.store.history("app", 1)
        assert last["ended_at"] == pytest.approx(EPOCH + 100 * 60, abs=60)


@pytest.mark.looptime
async def test_a_job_that_is_not_enabled_does_not_run(company: Company) -> None:
    change_config(company, ('scope = "all"', 'scope = "all"\nenabled = false'))
    async with opened(company) as office:
        async with office.open_for(100):
            pass
        assert office.began == []


@pytest.mark.looptime
async def test_a_mistake_in_one_job_leaves_the_others_running(two_jobs: Company) -> None:
    with capture_logs() as lines:
        async with opened(two_jobs) as office:
            office.broken = {"app"}
            async with office.open_for(50):
                await office.until(10)
                office.broken = set()
            assert office.began == [("app", 0), ("desk", 0), ("app", 40)]
    assert [line["job"] for line in lines if line["event"] == "cycle.crashed"] == ["app"]
    assert [line["job"] for line in lines if line["event"] == "cycle.finished"] == ["desk", "app"]


@pytest.mark.looptime
async def test_a_mistake_in_the_connection_test_of_a_job_in_quarantine_is_told(company: Company) -> None:
    async with opened(company) as office:
        waits = Quarantine(
            *(QuarantineReason.EXCEPTION, "Unreachable", "out of reach", "", EPOCH, EPOCH, 1, EPOCH + 3600),
            rules=office.plans()["app"].rules_version,
            lifted_by_test=True,
        )
        await office.store.settle("app", lambda standing: (replace(standing, quarantine=waits), ()))
        office.broken = {"app"}
        async with office.open_for(30) as service:
            await office.until(10)
            ended = service.ended("app")
            assert ended is not None and "its log has the traceback" in ended.problem


@pytest.mark.looptime
async def test_a_state_that_cannot_keep_the_time_does_not_end_the_daemon(company: Company) -> None:
    with capture_logs() as lines:
        async with opened(company) as office:
            async with office.open_for(90):
                await office.until(10)
                office.store.failing = True
                await office.until(50)
                change_config(company, ('scope = "all"', 'scope = "all"\ninterval = "20m"'))
                office.reloading = with_config(office, company)
                await office.told.send(signal.SIGHUP)
            office.store.failing = False
            assert [at for _, at in office.began] == [0, 40, 70, 90]
    failed = [line["event"] for line in lines if line["log_level"] == "error"]
    assert set(failed) == {"job.due_not_kept", "job.due_not_known"}


@pytest.mark.looptime
async def test_a_state_that_cannot_be_read_at_start_is_an_error_that_a_person_can_mend(company: Company) -> None:
    async with opened(company) as office:
        office.store.failing = True
        with pytest.raises(StateError, match="the disk does not read"):
            await office.service().run(office.signals)


@pytest.mark.looptime
async def test_changed_rules_during_a_cycle_are_followed_by_one_more_cycle(company: Company) -> None:
    async with opened(company) as office:
        office.takes_seconds["app"] = 600.0
        async with office.open_for(35):
            for minutes, column in ((2, "department"), (4, "displayName")):
                await office.until(minutes)
                change_config(company, ('{ to = "title", from = ', f'{{ to = "title", from = "{column}" }}, #'))
                office.reloading = with_config(office, company)
                await office.told.send(signal.SIGHUP)
        assert [at for _, at in office.began] == [0, 10], "two reloads, one more cycle"


@pytest.mark.looptime
async def test_a_job_that_leaves_while_it_runs_is_not_armed_again(two_jobs: Company, server: ScimServer) -> None:
    path = two_jobs.directory / "config.toml"
    alone = path.read_text().partition("[targets.desk]")[0]
    with capture_logs() as lines:
        async with opened(two_jobs) as office:
            office.takes_seconds["desk"] = 600.0
            async with office.open_for(130):
                await office.until(1)
                office.reloading = with_config(office, two_jobs)
                path.write_text(alone)
                await office.told.send(signal.SIGHUP)
                await office.until(20)
                assert office.ticks.armed == {"app"}
            assert [job for job, _ in office.began].count("desk") == 1
    (reloaded,) = (line for line in lines if line["event"] == "config.reloaded")
    assert reloaded["changes"] == ["job desk left the configuration: its accounts stay as they are"]


@pytest.mark.looptime
async def test_a_job_that_leaves_while_it_waits_is_not_armed_any_more(two_jobs: Company) -> None:
    path = two_jobs.directory / "config.toml"
    async with opened(two_jobs) as office:
        async with office.open_for(130):
            await office.until(30)
            assert office.ticks.armed == {"app", "desk"}
            office.reloading = with_config(office, two_jobs)
            path.write_text(path.read_text().partition("[targets.desk]")[0])
            await office.told.send(signal.SIGHUP)
            await office.until(31)
            assert office.ticks.armed == {"app"}
        assert office.ticks.armed == set(), "it has ended"
        assert [job for job, _ in office.began].count("desk") == 1


@pytest.mark.looptime
async def test_a_shorter_interval_counts_from_the_reload(company: Company) -> None:
    async with opened(company) as office:
        async with office.open_for(24):
            await office.until(5)
            change_config(company, ('scope = "all"', 'scope = "all"\ninterval = "10m"'))
            office.reloading = with_config(office, company)
            await office.told.send(signal.SIGHUP)
        assert [at for _, at in office.began] == [0, 15]


@pytest.mark.looptime
async def test_a_reload_that_fails_keeps_everything(company: Company) -> None:
    def broken() -> None:
        raise ConfigError(Problem("config.toml: [jobs.app] scope", "is wrong"), Problem("config.toml", "is worse"))

    with capture_logs() as lines:
        async with opened(company) as office:
            office.reloading = broken  # type: ignore[assignment]  # because it never returns
            async with office.open_for(50):
                await office.until(5)
                await office.told.send(signal.SIGHUP)
            assert [at for _, at in office.began] == [0, 40]
    (refused,) = (line for line in lines if line["event"] == "config.refused")
    assert refused["problems"] == ["config.toml: [jobs.app] scope: is wrong", "config.toml: is worse"]


@pytest.mark.looptime
async def test_the_drain_has_a_deadline(company: Company) -> None:
    with capture_logs() as lines:
        async with opened(company) as office:
            office.takes_seconds["app"] = 3600.0
            async with office.open_for(1, drain_seconds=90):
                pass
            assert office.clock.monotonic() == pytest.approx(150, abs=1)
            assert office.ticks.armed == set()
    assert [line["running"] for line in lines if line["event"] == "service.cut_off"] == [["app"]]


@pytest.mark.looptime
async def test_nothing_begins_while_it_drains(two_jobs: Company) -> None:
    async with opened(two_jobs) as office:
        office.takes_seconds["app"] = 59 * 60 + 3600.0
        async with office.open_for(59, drain_seconds=86400):
            pass
        assert office.began == [("app", 0), ("desk", 0)], "desk was due after an hour"
        assert await office.store.next_due("app") is not None


@pytest.mark.looptime
async def test_a_job_that_was_to_run_once_more_does_not_when_the_daemon_ends(company: Company) -> None:
    async with opened(company) as office:
        office.takes_seconds["app"] = 600.0
        async with office.open_for(5, drain_seconds=86400):
            await office.until(2)
            change_config(company, ('from = "jobTitle"', 'from = "department"'))
            office.reloading = with_config(office, company)
            await office.told.send(signal.SIGHUP)
        assert [at for _, at in office.began] == [0]
        assert office.clock.monotonic() == pytest.approx(600, abs=1)


# --- the real ticks ----------------------------------------------------------------------------------------------


async def test_a_moment_that_is_past_wakes_at_once_and_a_cancelled_one_never() -> None:
    ticks, clock, over = ApschedulerTicks(), SystemClock(), asyncio.Event()
    woken: list[str] = []

    def wake(name: str) -> Callable[[], Awaitable[None]]:
        async def woke() -> None:
            woken.append(name)
            if name == "last":
                over.set()

        return woke

    now = clock.now()
    ticks.set("cancelled", now + 0.01, wake("cancelled"))
    ticks.cancel("cancelled")
    ticks.cancel("nobody")
    ticks.set("job", now + 0.01, wake("replaced"))
    ticks.set("job", now - 86400, wake("past"))
    ticks.set("last", now + 0.2, wake("last"))
    await asyncio.wait_for(over.wait(), 10)
    ticks.stop()
    assert woken == ["past", "last"]
