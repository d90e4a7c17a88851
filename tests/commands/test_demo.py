"""`reconciler demo`: what the app has at the end is what the story told, and the directory goes on working."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path
from typing import Any

import orjson
import pytest

from reconciler.demo import organisation, story
from tests.commands.shell import Ran, Shell

DEMO_SECONDS_MAX = 60.0


class Shown:
    """The demo, run once for all tests here: what it printed, the organisation's files, the app's accounts."""

    def __init__(self, directory: Path, ran: Ran, seconds: float) -> None:
        self.directory, self.ran, self.seconds = directory, ran, seconds
        self.people = {row["id"]: row for row in organisation.read_rows(directory / "users.jsonl")}
        self.groups = {row["displayName"]: row for row in organisation.read_rows(directory / "groups.jsonl")}
        resources = orjson.loads((directory / "server.json").read_bytes())
        self.accounts = {each["userName"]: each for each in resources if "userName" in each}
        self.app_groups = {each["displayName"]: each for each in resources if "userName" not in each}

    def account(self, person: str) -> dict[str, Any]:
        """Return the account that is linked to a person, by the id that the app keeps of the source."""
        found: dict[str, Any]
        (found,) = [each for each in self.accounts.values() if each.get("externalId") == person]
        return found


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> Shown:
    directory = tmp_path_factory.mktemp("demo") / "organisation"

    async def run() -> tuple[Ran, float]:
        began = asyncio.get_running_loop().time()
        ran = await Shell(directory.parent)("demo", directory)
        return ran, asyncio.get_running_loop().time() - began

    ran, seconds = asyncio.run(run())
    assert ran.code == 0, ran.err
    return Shown(directory, ran, seconds)


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> list[story.Event]:
    """The same story, told to the same organisation once more."""
    directory = tmp_path_factory.mktemp("story")
    organisation.write(directory, "http://127.0.0.1:1/v2", directory / "server.token")
    return story.tell(directory)


def of(told: list[story.Event], chapter: str) -> list[str]:
    return [event.person for event in told if event.chapter == chapter]


def entitled(shown: Shown) -> set[str]:
    return set(shown.groups[organisation.PHONE_GROUP]["members"]) & shown.people.keys()


def test_it_ends_within_a_minute(shown: Shown) -> None:
    assert shown.seconds < DEMO_SECONDS_MAX


def test_whoever_has_the_phone_group_and_is_active_has_an_active_account_with_their_values(shown: Shown) -> None:
    people = [shown.people[person] for person in entitled(shown) if shown.people[person]["accountEnabled"]]
    assert len(people) > 100
    for person in people:
        account = shown.account(person["id"])
        assert account["active"] is True, person["id"]
        assert account["userName"] == person["userPrincipalName"]
        assert account["name"]["familyName"] == person["surname"]
        assert account["name"]["givenName"] == person["givenName"]


def test_joiners_have_accounts(shown: Shown, told: list[story.Event]) -> None:
    for person in of(told, "joiner"):
        assert shown.account(person)["active"] is True


def test_leavers_are_disabled_and_never_deleted(shown: Shown, told: list[story.Event]) -> None:
    assert len(of(told, "leaver")) == 5
    for person in of(told, "leaver"):
        assert shown.account(person)["active"] is False


def test_the_bride_keeps_her_account_under_her_new_name(shown: Shown, told: list[story.Event]) -> None:
    (person,) = of(told, "rename")
    account = shown.account(person)
    assert account["userName"] == "niamh.fitzgerald-kelly@orchard.example"
    assert [each for each in shown.accounts if each.startswith("niamh.")].count(account["userName"]) == 1


def test_accounts_from_before_are_adopted_and_not_made_twice(shown: Shown, told: list[story.Event]) -> None:
    (rehired,) = of(told, "rehire")
    before = {account["userName"]: account for account in organisation.accounts_from_before()}
    (left,) = [name for name, account in before.items() if not account["active"]]
    assert shown.account(rehired)["userName"] == left
    assert shown.account(rehired)["active"] is True
    assert shown.accounts[organisation.ADMINISTRATOR]["active"] is True, "nobody's account was touched"
    assert "externalId" not in shown.accounts[organisation.ADMINISTRATOR]


def test_a_person_who_gives_the_phone_back_is_disabled(shown: Shown, told: list[story.Event]) -> None:
    got, gave = of(told, "group")
    assert (shown.account(got)["active"], shown.account(gave)["active"]) == (True, False)


def test_groups_have_exactly_the_members_who_have_accounts(shown: Shown) -> None:
    assert shown.app_groups
    ids = {account["externalId"]: account["id"] for account in shown.accounts.values() if "externalId" in account}
    for name, group in shown.app_groups.items():
        wanted = {ids[member] for member in shown.groups[name]["members"] if member in ids}
        assert {member["value"] for member in group.get("members", [])} == wanted, name


def test_the_third_cycle_sends_nothing(shown: Shown) -> None:
    assert "requests to the app: 0\n" in shown.ran.out.partition("Nothing changed since")[2]


def test_it_says_what_happened_to_three_and_why(shown: Shown, told: list[story.Event]) -> None:
    told_of = shown.ran.out.partition("What happened to three of them, and why")[2]
    for chapter in ("rename", "leaver", "rehire"):
        assert f"({of(told, chapter)[0]})" in told_of
    assert "active: true → false" in told_of


async def test_the_directory_goes_on_working(shown: Shown) -> None:
    shell = Shell(shown.directory)
    server = await shell.start("demo", "--serve", shown.directory)
    assert server.stderr is not None
    assert b"listens at" in await asyncio.wait_for(server.stderr.readline(), 30)
    ran = await shell("plan", "phone", "--json")
    assert (ran.code, len(ran.lines())) == (0, 1)
    rows = organisation.read_rows(shown.directory / "users.jsonl")
    person = next(iter(sorted(entitled(shown))))
    for row in rows:
        if row["id"] == person:
            row["accountEnabled"] = False
    (shown.directory / "users.jsonl").write_bytes(b"".join(orjson.dumps(row) + b"\n" for row in rows))
    assert (await shell("plan", "phone")).out.startswith("disable ")
    ran = await shell("cycle", "phone", "--json")
    assert (ran.code, ran.json()["counts"]["disable"]) == (0, 1)
    assert len((await shell("log", "phone", "--user", person, "--action", "disable", "--json")).lines()) == 1
    server.send_signal(signal.SIGINT)
    assert await asyncio.wait_for(server.wait(), 30) == 0
