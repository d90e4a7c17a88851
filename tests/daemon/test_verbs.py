"""What people ask of the daemon, in virtual time: who is paused rests, who is asked for runs."""

from __future__ import annotations

import math
import signal
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import anyio
import pytest
from structlog.testing import capture_logs

from reconciler.core.notices import NoticeKind
from reconciler.core.restarting import RESTART, ResetScope
from reconciler.core.standing import Standing
from reconciler.errors import StateError
from reconciler.ports import Decision, Hold
from reconciler.runtime.desk import Desk, Refused, Restarted
from reconciler.runtime.events import Event
from reconciler.runtime.runs import Ticket
from reconciler.runtime.service import Service
from tests.cycles.company import Company
from tests.daemon.office import FailingStore, Office, opened, with_config
from tests.daemon.test_run import change_config
from tests.net.doubles import EPOCH
from tests.servers.faults import FOR_EVER, Delay
from tests.servers.scim import ScimServer


def desk_of(office: Office, service: Service) -> Desk:
    return Desk(service, office.store, office.clock)


async def pause(office: Office, desk: Desk) -> None:
    assert isinstance(await desk.pause("app", reason="holidays", by="ann"), Standing)


@pytest.mark.looptime
async def test_a_cycle_that_is_asked_for_runs_at_once_and_the_next_one_an_interval_later(company: Company) -> None:
    async with opened(company) as office:
        async with office.open_for(60) as service:
            await office.until(10)
            ticket = desk_of(office, service).trigger("app", full=False, by="ann")
            assert ticket == Ticket("app", 2, queued=False)
        assert [at for _, at in office.began] == [0, 10, 50]


@pytest.mark.looptime
async def test_a_cycle_that_is_asked_for_twice_while_one_runs_follows_it_once(company: Company) -> None:
    async with opened(company) as office:
        office.takes_seconds["app"] = 300.0
        async with office.open_for(20) as service:
            await office.until(1)
            desk = desk_of(office, service)
            first, second = (desk.trigger("app", full=full, by="ann") for full in (False, True))
            assert first == second == Ticket("app", 2, queued=True)
            await office.until(6)
            run = service.running("app")
            assert run is not None
            assert (run.number, run.full, run.by) == (2, True, "ann")
        assert [at for _, at in office.began] == [0, 5]


@pytest.mark.looptime
async def test_a_job_that_is_not_enabled_runs_when_a_person_asks_and_not_again(company: Company) -> None:
    change_config(company, ('scope = "all"', 'scope = "all"\nenabled = false'))
    async with opened(company) as office:
        async with office.open_for(100) as service:
            await office.until(10)
            desk_of(office, service).trigger("app", full=False, by="ann")
        assert [at for _, at in office.began] == [10]


@pytest.mark.looptime
async def test_an_unknown_job_is_refused_with_the_nearest_name(company: Company) -> None:
    async with opened(company) as office, office.open_for(1) as service:
        await office.until(0.5)
        desk = desk_of(office, service)
        refusal = Refused("unknown", "there is no job 'ap'", "did you mean 'app'?")
        assert desk.trigger("ap", full=False, by="ann") == refusal
        assert desk.stop("ap", by="ann") == refusal
        assert await desk.pause("ap", reason="", by="ann") == refusal
        assert await desk.resume("ap", by="ann") == refusal
        assert await desk.restart("ap", RESTART, by="ann") == refusal
        assert await desk.decide("ap", None, "approved", by="ann") == refusal


@pytest.mark.looptime
async def test_nothing_is_asked_of_a_daemon_that_ends(company: Company) -> None:
    async with opened(company) as office:
        office.takes_seconds["app"] = 600.0
        async with office.open_for(1, drain_seconds=3600) as service:
            desk = desk_of(office, service)
            assert isinstance(desk.trigger("app", full=False, by="ann"), Refused), "it has not started yet"
        refused = desk.trigger("app", full=False, by="ann")
        assert isinstance(refused, Refused)
        assert refused.why == "ending"


# --- pause -------------------------------------------------------------------------------------------------------


@pytest.mark.looptime
async def test_a_paused_job_rests_through_a_restart_and_goes_on_where_it_was(company: Company) -> None:
    async with opened(company) as office:
        async with office.open_for(100) as service:
            await office.until(10)
            await pause(office, desk_of(office, service))
            assert office.ticks.armed == set()
        async with office.open_for(200) as service:
            await office.until(150)
            assert [at for _, at in office.began] == [0], "paused by the daemon before this one"
            standing = await desk_of(office, service).resume("app", by="bob")
            assert isinstance(standing, Standing)
            assert standing.paused is None
        assert [at for _, at in office.began] == [0, 150, 190], "it was overdue"
        assert [summary["kind"] for summary in await office.store.history("app", 9)] == [
            *("incremental", "incremental", "initial")
        ]


@pytest.mark.looptime
async def test_a_job_that_is_resumed_early_keeps_its_time(company: Company) -> None:
    async with opened(company) as office:
        async with office.open_for(50) as service:
            await office.until(10)
            desk = desk_of(office, service)
            await pause(office, desk)
            await office.until(20)
            await desk.resume("app", by="ann")
            assert service.due_at("app") == pytest.approx(EPOCH + 40 * 60, abs=1)
        assert [at for _, at in office.began] == [0, 40]


class SlowStore(FailingStore):
    """A state that takes its time to keep when a job is due."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.asked, self.goes_on = anyio.Event(), anyio.Event()

    async def set_next_due(self, job: str, at: float | None) -> None:
        self.asked.set()
        await self.goes_on.wait()
        await super().set_next_due(job, at)


@pytest.mark.looptime
async def test_a_job_that_is_resumed_while_its_cycle_ends_goes_on(company: Company) -> None:
    async with opened(company, SlowStore) as office:
        assert isinstance(office.store, SlowStore)
        office.takes_seconds["app"] = 300.0
        async with office.open_for(60) as service:
            await office.until(1)
            desk = desk_of(office, service)
            await pause(office, desk)
            await office.store.asked.wait()  # by now the end of the cycle has seen that the job is paused
            await desk.resume("app", by="ann")
            office.store.goes_on.set()
        assert [at for _, at in office.began] == [0, 40]


@pytest.mark.looptime
async def test_a_running_cycle_ends_when_the_job_is_paused_and_none_follows(
    company: Company, server: ScimServer
) -> None:
    server.script.on("POST", "/Users$", then=Delay(15), times=FOR_EVER)
    async with opened(company) as office:
        async with office.open_for(100) as service:
            await office.until(0.1)
            await pause(office, desk_of(office, service))
            await office.until(11)
            assert office.ticks.armed == set()
        assert [at for _, at in office.began] == [0]
        (summary,) = await office.store.history("app", 9)
        assert (summary["state"], summary["counts"]["create"]) == ("active", 3)


@pytest.mark.looptime
async def test_a_paused_job_runs_once_when_a_person_asks(company: Company) -> None:
    async with opened(company) as office:
        async with office.open_for(100) as service:
            await office.until(10)
            desk = desk_of(office, service)
            await pause(office, desk)
            desk.trigger("app", full=False, by="ann")
            await office.until(20)
            ended = service.ended("app")
            assert ended is not None and ended.report is not None
            assert ended.report.state == "active"
        assert [at for _, at in office.began] == [0, 10]


@pytest.mark.looptime
async def test_a_reload_starts_no_paused_job(company: Company) -> None:
    async with opened(company) as office:
        async with office.open_for(100) as service:
            await office.until(10)
            await pause(office, desk_of(office, service))
            change_config(company, ('from = "jobTitle"', 'from = "department"'))
            office.reloading = with_config(office, company)
            await office.told.send(signal.SIGHUP)
        assert [at for _, at in office.began] == [0]


@pytest.mark.looptime
async def test_who_paused_first_is_who_is_named(company: Company) -> None:
    async with opened(company) as office, office.open_for(5) as service:
        await office.until(1)
        desk = desk_of(office, service)
        await pause(office, desk)
        standing = await desk.pause("app", reason="other", by="bob")
        assert isinstance(standing, Standing) and standing.paused is not None
        assert (standing.paused.by, standing.paused.reason) == ("ann", "holidays")


@pytest.mark.looptime
async def test_a_job_that_stopped_itself_rests_until_it_is_resumed(company: Company) -> None:
    async with opened(company) as office:
        await office.store.settle("app", lambda standing: (replace(standing, stopped_at=EPOCH), ()))
        async with office.open_for(60) as service:
            await office.until(50)
            assert office.began == []
            await desk_of(office, service).resume("app", by="ann")
        assert [at for _, at in office.began] == [50]


# --- approve ------------------------------------------------------------------------------------------------------


@pytest.mark.looptime
@pytest.mark.parametrize("enabled", [True, False])
async def test_an_approval_runs_a_cycle_where_the_job_runs_by_itself(enabled: bool, company: Company) -> None:
    company.people(*(f"p{number}" for number in range(20)))
    company.write()
    async with opened(company) as office:
        async with office.open_for(30) as service:
            desk = desk_of(office, service)
            await twelve_leave_and_are_held(company, office, desk)
            change_config(company, ('scope = "all"', f'scope = "all"\nenabled = {str(enabled).lower()}'))
            office.reloading = with_config(office, company)
            await desk.reload(by="ann")
            [decided] = await decide(desk)
            assert len(decided.operations) == 12
        assert [at for _, at in office.began] == [0, 1, 2][: 3 if enabled else 2]


@pytest.mark.looptime
@pytest.mark.parametrize("decision", ["approved", "rejected"])
async def test_what_is_decided_while_a_cycle_runs_is_not_asked_again_at_its_end(
    decision: Decision, company: Company, server: ScimServer
) -> None:
    company.people(*(f"p{number}" for number in range(20)))
    company.write()
    async with opened(company) as office:
        async with office.open_for(30) as service:
            desk = desk_of(office, service)
            await twelve_leave_and_are_held(company, office, desk)
            company.person("newcomer")
            company.write()
            server.script.on("POST", "/Users", then=Delay(15.0))
            desk.trigger("app", full=False, by="ann")
            await office.until(2.1)
            assert service.running("app") is not None
            await decide(desk, decision)
            assert await office.store.held("app") == []
            await service.until_idle("app")
            mails = [queued.notice.kind for queued in await office.store.due_notices(math.inf, 99)]
            assert (await office.store.held("app"), mails) == ([], [NoticeKind.HELD])
        assert sum(user["active"] is False for user in server.users.values()) == (12 if decision == "approved" else 0)


class UnreadStore(FailingStore):
    """A state of which it cannot be read how jobs stand."""

    unread = False

    async def standing(self, job: str) -> Standing:
        if self.unread:
            raise StateError("state.db: the disk does not read")
        return await super().standing(job)


@pytest.mark.looptime
async def test_an_approval_that_fails_has_approved_nothing(company: Company) -> None:
    company.people(*(f"p{number}" for number in range(20)))
    company.write()
    async with opened(company, UnreadStore) as office:
        assert isinstance(office.store, UnreadStore)
        async with office.open_for(30) as service:
            desk = desk_of(office, service)
            await twelve_leave_and_are_held(company, office, desk)
            office.store.unread = True
            with pytest.raises(StateError, match="the disk does not read"):
                await decide(desk)
            office.store.unread = False
            assert await office.store.decisions("app") == []
            [decided] = await decide(desk)
            assert len(decided.operations) == 12


async def twelve_leave_and_are_held(company: Company, office: Office, desk: Desk) -> None:
    await office.until(1)
    for number in range(12):
        company.users[f"p{number}"]["accountEnabled"] = False
    company.write()
    desk.trigger("app", full=False, by="ann")
    await office.until(2)


async def decide(desk: Desk, decision: Decision = "approved") -> list[Hold]:
    decided = await desk.decide("app", None, decision, by="ann")
    assert not isinstance(decided, Refused)
    return decided


# --- stop, restart -----------------------------------------------------------------------------------------------


@pytest.mark.looptime
async def test_a_stopped_cycle_leaves_its_report_and_the_job_runs_when_it_is_due(company: Company) -> None:
    async with opened(company) as office:
        office.takes_seconds["app"] = 60.0
        async with office.open_for(50) as service:
            await office.until(0.5)
            desk = desk_of(office, service)
            desk.trigger("app", full=False, by="ann")
            with service.events.listen() as listener:
                assert desk.stop("app", by="bob") == 1
                assert [(await listener.next()).name for _ in range(2)] == ["cycle.dropped", "cycle.stopping"]
                ended = await until_told(listener, "cycle.ended")
            assert ended.facts["report"]["state"] == "paused"
            assert ended.facts["problem"] == "stopped by bob"
            assert desk.stop("app", by="bob") is None
        assert [at for _, at in office.began] == [0, 40]


@pytest.mark.looptime
async def test_a_stop_comes_between_two_requests(company: Company, server: ScimServer) -> None:
    company.people(*(f"p{number:03}" for number in range(40)))
    company.write()
    server.script.on("POST", "/Users$", then=Delay(5), times=FOR_EVER)
    async with opened(company) as office:
        async with office.open_for(2) as service:
            await office.until(0.2)  # eight at a time, each 5 s: the third eight are under way
            assert desk_of(office, service).stop("app", by="ann") == 1
            await office.until(1)
            ended = service.ended("app")
            assert ended is not None and ended.report is not None
            assert ended.report.counts["create"] == len(server.users) == 24, "what was under way was waited for"
            assert len(await office.store.list_links("app", None)) == 24
            desk_of(office, service).trigger("app", full=False, by="ann")
        assert len(server.users) == 43


class AskedMeanwhile(FailingStore):
    """A state that is asked for something else by somebody, before it keeps when a job is due."""

    meanwhile: Callable[[], object] | None = None
    answered: object = None

    async def set_next_due(self, job: str, at: float | None) -> None:
        if self.meanwhile is not None:
            self.answered = self.meanwhile()
        await super().set_next_due(job, at)


@pytest.mark.looptime
async def test_a_cycle_that_has_ended_is_not_stopped_while_the_next_one_is_written_down(company: Company) -> None:
    async with opened(company, AskedMeanwhile) as office:
        assert isinstance(office.store, AskedMeanwhile)
        async with office.open_for(1) as service:
            desk = desk_of(office, service)
            office.store.meanwhile = lambda: desk.stop("app", by="bob")
            office.store.answered = "nothing yet"
        assert office.store.answered is None
        ended = service.ended("app")
        assert ended is not None and ended.report is not None
        assert (ended.problem, ended.report.state) == ("", "active")


async def until_told(listener: object, name: str) -> Event:
    while True:
        event: Event = await listener.next()  # type: ignore[attr-defined]  # because any listener will do
        if event.name == name:
            return event


@pytest.mark.looptime
async def test_a_restart_stops_what_runs_and_begins_anew(company: Company, server: ScimServer) -> None:
    async with opened(company) as office:
        async with office.open_for(30) as service:
            await office.until(10)
            office.takes_seconds["app"] = 60.0
            desk = desk_of(office, service)
            desk.trigger("app", full=False, by="ann")
            await office.until(10.5)
            done = await desk.restart("app", {*RESTART, ResetScope.LINKS}, by="bob")
            assert isinstance(done, Restarted)
            assert done.ticket == Ticket("app", 3, queued=False)
            assert await office.store.list_links("app", None) == []
        newest, stopped, first = await office.store.history("app", 9)
        assert (newest["kind"], newest["counts"]["adopt"]) == ("initial", 3)
        assert (stopped["state"], first["counts"]["create"]) == ("paused", 3)
    assert len(server.users) == 3


@pytest.mark.looptime
async def test_a_paused_job_is_restarted_when_it_is_resumed(company: Company) -> None:
    async with opened(company) as office:
        async with office.open_for(30) as service:
            await office.until(10)
            desk = desk_of(office, service)
            await pause(office, desk)
            done = await desk.restart("app", RESTART, by="ann")
            assert isinstance(done, Restarted)
            assert done.ticket is None
            assert done.standing.paused is not None
        assert [at for _, at in office.began] == [0]


# --- what is told ------------------------------------------------------------------------------------------------


@pytest.mark.looptime
async def test_a_listener_sees_a_cycle_from_its_beginning_to_its_end(company: Company) -> None:
    async with opened(company) as office, office.open_for(2) as service:
        with service.events.listen("app") as listener:
            told = [await listener.next()]
            while told[-1].name != "cycle.ended":
                told.append(await listener.next())
        assert (told[0].name, told[0].facts["run"]) == ("cycle.started", 1)
        parts = {event.facts["part"]: event.facts for event in told if event.name == "cycle.progress"}
        assert (parts["users"]["done"], parts["apply"]["done"], parts["apply"]["total"]) == (3, 3, 3)
        assert parts["apply"]["counts"]["create"] >= 2
        assert told[-1].facts["report"]["counts"]["create"] == 3
        assert told[-1].facts["exit_code"] == 0


@pytest.mark.looptime
async def test_a_cycle_that_comes_down_tells_its_end_too(company: Company) -> None:
    with capture_logs():
        async with opened(company) as office:
            office.broken = {"app"}
            async with office.open_for(2) as service:
                with service.events.listen() as listener:
                    ended = await until_told(listener, "cycle.ended")
            assert (ended.facts["report"], ended.facts["exit_code"]) == (None, 2)
            assert "brought the cycle down" in ended.facts["problem"]


@pytest.mark.looptime
async def test_a_reload_that_fails_is_told_and_named(company: Company) -> None:
    with capture_logs():
        async with opened(company) as office, office.open_for(2) as service:
            await office.until(1)
            (company.directory / "config.toml").write_text("[jobs.app\n")
            office.reloading = with_config(office, company)
            with service.events.listen() as listener:
                refused = await desk_of(office, service).reload(by="ann")
                events = [await listener.next(), await listener.next()]
            assert isinstance(refused, Exception)
            assert [event.name for event in events] == ["config.reloading", "config.refused"]
            assert events[-1].facts["by"] == "ann"
            assert set(service.plans) == {"app"}
