"""A month of a job in which much goes wrong, as its administrator sees it: mails, states, records of the log."""

from __future__ import annotations

import math
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest

from reconciler.core.notices import Notice
from reconciler.ports import LogQuery
from tests.cycles.company import Company
from tests.daemon.office import Office, opened
from tests.net.doubles import EPOCH
from tests.servers.faults import FOR_EVER, Drop, Status, Unauthorized
from tests.servers.scim import ScimServer

HOUR, DAY = 60.0, 24 * 60.0
"""In minutes, as the office counts."""
PEOPLE = [f"p{n:02}" for n in range(30)]


async def mails(office: Office) -> list[Notice]:
    """Return what was queued to be mailed, in order: nobody sends it here."""
    return [queued.notice for queued in await office.store.due_notices(math.inf, 1000)]


def days(notice: Notice) -> float:
    return round((notice.at - EPOCH) / 86400, 1)


@pytest.fixture
def month(company: Company) -> Company:
    """Thirty people, a cycle every eight hours, a comparison every week, a token that ends after five weeks."""
    company.users.clear()
    company.people(*PEOPLE)
    company.full_interval = "7d"
    company.job = 'scope = "all"\ninterval = "8h"'
    ends = datetime.fromtimestamp(EPOCH, UTC).date() + timedelta(days=35)
    company.target_lines = f"credential_expires = {ends.isoformat()}"
    company.write()
    return company


@pytest.mark.looptime
async def test_a_month_with_faults(month: Company, server: ScimServer) -> None:
    company = month
    async with opened(company) as office:
        async with office.open_for(28 * DAY):
            # On the second day the app is out of reach for a day and a half; nobody notices before something changes.
            await office.until(1 * DAY)
            company.users["p00"]["jobTitle"] = "Manager"
            company.write()
            server.script.on("*", "", then=Drop(), times=FOR_EVER)
            await office.until(2.5 * DAY)
            # It comes back with another token.
            server.script.clear()
            server.script.on("*", "", then=Unauthorized(), times=FOR_EVER)
            await office.until(3 * DAY)
            server.script.clear()

            # On the eighth day it refuses what a new mapping in it does not like; for two days.
            await office.until(8 * DAY)
            for name in PEOPLE[:12]:
                company.users[name]["jobTitle"] = "Director"
            company.write()
            server.script.on("PATCH", "/Users/", then=Status(400), times=FOR_EVER)
            await office.until(10 * DAY)
            server.script.clear()

            # On the thirteenth day the export of people breaks off in the middle, for a day.
            await office.until(12 * DAY + HOUR)
            whole = (company.directory / "users.jsonl").read_bytes()
            (company.directory / "users.jsonl").write_bytes(whole[:-40])
            await office.until(13 * DAY + HOUR)
            company.write()

            # On the twentieth day a cycle hangs for thirty hours.
            await office.until(20 * DAY - HOUR)
            office.takes_seconds["app"] = 30 * 3600.0
            await office.until(20 * DAY + 2 * HOUR)
            office.takes_seconds.clear()

        told = [(days(notice), str(notice.kind)) for notice in await mails(office)]
        assert told == [
            (1.0, "quarantine_entered"),
            (2.0, "quarantine_reminder"),
            (2.7, "quarantine_changed"),
            (3.0, "quarantine_left"),
            (4.4, "credential_expiring"),  # 30 days
            (8.3, "failures"),
            (9.3, "failures"),
            (12.7, "absence_not_judged"),
            (20.7, "no_cycle"),
            (27.4, "credential_expiring"),  # 7 days
        ]
        history = await office.store.history("app", 1000)
        states = Counter(past["state"] for past in history)
        log = Counter([(row["action"], row["status"]) async for row in office.store.log(LogQuery(job="app"))])
        standing = await office.store.standing("app")

    assert states == {"active": 73, "incomplete": 3, "unreachable": 4}
    assert log == {
        ("create", "success"): 30,
        ("update", "success"): 13,
        ("update", "failure"): 49,
        ("other", "failure"): 3,
    }
    assert (standing.quarantine, standing.unjudged_cycles, standing.failing_cycles) == (None, 0, 0)
    assert {user["title"] for user in server.users.values()} == {"Director", "Engineer"}
