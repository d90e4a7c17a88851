"""Long quarantines as the daemon lives through them: of a source, and of a job that is to stop after four weeks."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator

import pytest

from reconciler.commands.wording import status_lines
from reconciler.core.restarting import RESTART
from reconciler.ports import LogQuery
from reconciler.runtime.desk import Desk, Restarted
from reconciler.runtime.overview import job_overview, moment
from tests.cycles.company import Company
from tests.cycles.pages import keep
from tests.cycles.test_rest_sources import NAMES, staff
from tests.daemon.office import Office, opened
from tests.net.doubles import EPOCH
from tests.servers.alexishr import AlexisHR
from tests.servers.faults import FOR_EVER, Unauthorized
from tests.servers.scim import ScimServer

HOUR, DAY = 60.0, 24 * 60.0
"""In minutes, as the office counts."""


async def mails(office: Office) -> list[tuple[float, str]]:
    """Return after how many days what was queued to be mailed."""
    queued = [one.notice for one in await office.store.due_notices(math.inf, 1000)]
    return [(round((notice.at - EPOCH) / 86400, 2), str(notice.kind)) for notice in queued]


async def status(office: Office) -> str:
    shown = await job_overview(office.store, office.plans()["app"])
    now = moment(office.clock.now())
    assert now is not None
    return "\n".join(status_lines({"daemon": None, "jobs": [shown]}, now))


# --- four weeks --------------------------------------------------------------------------------------------------


@pytest.mark.looptime
async def test_a_job_that_is_in_quarantine_for_stop_after_stops_with_one_mail_until_it_is_restarted(
    company: Company, server: ScimServer
) -> None:
    company.job = 'scope = "all"\ninterval = "12h"\nstop_after = "28d"'
    company.write()
    server.script.on("*", "", then=Unauthorized(), times=FOR_EVER)
    async with opened(company) as office, office.open_for(41 * DAY) as service:
        await office.until(27.9 * DAY)
        assert "STOPPED" not in await status(office)
        assert (await office.store.standing("app")).stopped_at is None
        await office.until(28.6 * DAY)
        assert await mails(office) == [
            (0.0, "quarantine_entered"),
            *((float(day), "quarantine_reminder") for day in (1, 8, 15, 22)),
            (28.0, "job_stopped"),
        ]
        said = await status(office)
        assert said.splitlines()[0].startswith("app: stopped")
        assert "after long in quarantine; `reconciler restart app`" in said

        began, asked = len(office.began), len(server.requests)
        await office.until(40 * DAY)
        assert (len(office.began), len(server.requests)) == (began, asked), (
            "neither a cycle nor a test of the connection"
        )
        assert (await mails(office))[-1] == (28.0, "job_stopped"), "nobody is told again"

        server.script.clear()
        restarted = await Desk(service, office.store, office.clock).restart("app", RESTART, by="ann")
        assert isinstance(restarted, Restarted)
        await office.until(40.6 * DAY)
        assert len(server.users) == 3
        assert (await status(office)).startswith("app: next cycle in ")
        assert (await mails(office))[-1] == (40.0, "quarantine_left")


# --- a source ----------------------------------------------------------------------------------------------------


@pytest.fixture
async def hr(company: Company) -> AsyncIterator[AlexisHR]:
    async with AlexisHR() as running:
        keep(company.directory, "hr-token", running.token)
        company.attributes = NAMES.replace('from = "id"', 'from = "employeeId"')
        company.source = f"""
type = "alexishr"
url = "{running.url}/v1"
auth = {{ type = "bearer", token = {{ file = "hr-token" }} }}
requests_per_second = 1000
"""
        company.job = 'scope = "all"\ninterval = "2h"'
        company.write()
        yield running


@pytest.mark.looptime
async def test_a_source_that_refuses_us_is_tested_at_the_interval_and_nobody_leaves_because_of_it(
    company: Company, server: ScimServer, hr: AlexisHR
) -> None:
    staff(hr, 12)
    good = hr.token
    async with opened(company) as office:
        async with office.open_for(3 * DAY):
            await office.until(1 * DAY - HOUR)
            server.clear_requests()
            hr.token = "another"
            await office.until(1 * DAY + HOUR)
            found = (await office.store.standing("app")).quarantine
            assert found is not None
            assert (found.source, found.rule) == ("staff", "the source staff refuses the credentials")
            assert "in quarantine for 1 h (Unauthorized): the source staff refuses the credentials" in await status(
                office
            )
            cycles, hr.asked = await office.store.history("app", 1000), []
            await office.until(2 * DAY + HOUR)
            attempts = len(await office.store.history("app", 1000)) - len(cycles)
            assert attempts == 3, "after the interval, then after 6 and 12 hours"
            assert len(hr.asked) <= 2 * 12, "a test is a request or two, twelve times a day"
            hr.token = good
            await office.until(3 * DAY - HOUR)
        assert await mails(office) == [
            (1.0, "quarantine_entered"),
            (2.0, "quarantine_reminder"),
            (2.08, "quarantine_left"),
        ]
        assert server.requests == [], "the app heard nothing of it"
        rows = [row["action"] async for row in office.store.log(LogQuery(job="app"))]
        assert rows == ["create"] * 12
        assert (await office.store.standing("app")).quarantine is None
