"""Whatever people do to the files, the target ends as the rules say, and the plan of a converged world is empty."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.cycles.company import GROUPS, MANAGER, Company, done
from tests.servers.scim import ScimServer

PEOPLE = [f"p{number}" for number in range(8)]
JOB = """
scope = "assigned"
assigned = [ { group = "APP" } ]
deletion_threshold = 1000
deletion_share = "100%"
"""
EXTENSION = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"


@dataclass(frozen=True)
class Person:
    """What the files say of one person in one month; None in a month: not in the file."""

    enabled: bool
    title: str | None
    sign_in: str
    manager: str | None
    assigned: bool
    crew: bool


sign_ins = st.sampled_from(["own", "own", "own", "married"])
persons = st.builds(
    Person,
    enabled=st.sampled_from([True, True, True, False]),
    title=st.sampled_from(["Engineer", "Manager", "Ärztin", None]),
    sign_in=sign_ins,
    manager=st.sampled_from([None, *PEOPLE]),
    assigned=st.sampled_from([True, True, False]),
    crew=st.booleans(),
)
months = st.lists(
    st.fixed_dictionaries({id_: st.one_of(st.none(), persons, persons) for id_ in PEOPLE}), min_size=1, max_size=3
)


def write(company: Company, month: dict[str, Person | None]) -> None:
    company.users.clear()
    for id_, person in month.items():
        if person is not None:
            company.person(
                id_,
                userPrincipalName=f"{id_}.{person.sign_in}@example.com",
                accountEnabled=person.enabled,
                jobTitle=person.title,
                manager=person.manager,
            )
    here = {id_: person for id_, person in month.items() if person is not None}
    company.group("g-app", [id_ for id_, person in here.items() if person.assigned], "APP")
    company.group("g-crew", [id_ for id_, person in here.items() if person.crew], "Crew")


def active(month: dict[str, Person | None]) -> set[str]:
    """Return the sign-ins that must be able to use the app."""
    return {
        f"{id_}.{person.sign_in}@example.com"
        for id_, person in month.items()
        if person is not None and person.enabled and person.assigned
    }


async def live_through(history: list[dict[str, Person | None]], directory: Path) -> None:
    async with ScimServer() as server:
        company = Company(directory, server, job=JOB)
        company.attributes += MANAGER
        company.tables = GROUPS
        company.allow_empty = ["users", "groups"]
        for month in history:
            write(company, month)
            for _ in range(3):
                report = await company.cycle()
                assert report.failures == []
                assert report.state == "active"
        server.clear_requests()
        plan, operations = await company.plan()
        assert (done(plan), operations) == ({}, [])
        quiet = await company.cycle()
        assert (done(quiet), server.requests) == ({}, [])
        month = history[-1]
        assert {user["userName"] for user in server.users.values() if user["active"]} == active(month)
        by_id = {user["externalId"]: user for user in server.users.values()}
        assert len(by_id) == len(server.users), "nobody has two accounts"
        for id_, person in month.items():
            if person is None or not (person.enabled and person.assigned):
                continue
            account = by_id[id_]
            if person.title is not None:
                assert account["title"] == person.title
            manager = person.manager
            if manager is not None and (chief := month.get(manager)) is not None and chief.enabled and chief.assigned:
                assert account[EXTENSION]["manager"]["value"] == by_id[manager]["id"]


@settings(
    max_examples=8,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(months)
async def test_after_any_months_the_target_is_what_the_rules_say_and_nothing_is_left_to_do(
    history: list[dict[str, Person | None]],
) -> None:
    with tempfile.TemporaryDirectory() as directory:
        await live_through(history, Path(directory))
