"""Apps with a REST API, described as data: the page's example on the app that it describes, and what goes wrong."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import orjson
import pytest

from reconciler import config
from reconciler.config.rest_target import api_of
from reconciler.core.model import Change, Kind, TargetId
from reconciler.core.outcomes import Account, Done, Failed, Fault, Found, ListEnd, ListPage, MembersDone, Missing
from reconciler.dialects import rest_operations
from reconciler.dialects.rest import KeySecret
from reconciler.dialects.rest_operations import Operation
from reconciler.errors import ConfigError
from reconciler.net.client import Client, Lane
from reconciler.net.exchange import AiohttpExchange
from reconciler.net.limit_told import LimitTold, seconds_told
from reconciler.ports import Request, Response
from reconciler.targets.rest import RestTarget
from tests.cycles.calendar import Calendar, NoLuck
from tests.cycles.company import Company, done
from tests.servers.desk import Desk

PAGE = Path(__file__).parents[2] / "docs" / "targets" / "rest.md"
CONFIG, PROFILE = re.findall(r"```toml\n(.*?)```", PAGE.read_text("utf-8"), re.S)
PATHS: Mapping[Kind, tuple[str, ...]] = {
    "user": ("email", "displayName", "active", "manager"),
    "group": ("displayName",),
}


@dataclass(slots=True)
class Opened:
    target: RestTarget
    desk: Desk
    clock: Calendar

    async def user(self, email: str, **more: Any) -> Account:
        outcome = await self.target.create("user", {"email": email, **more})
        assert isinstance(outcome, Done), outcome
        assert outcome.account is not None
        return outcome.account


@pytest.fixture
async def desk() -> AsyncIterator[Desk]:
    async with Desk() as running:
        yield running


@pytest.fixture
async def at(desk: Desk, tmp_path: Path) -> AsyncIterator[Opened]:
    opened = opened_on(desk, tmp_path)
    yield opened
    await opened.target.close()


def opened_on(
    desk: Desk,
    directory: Path,
    *,
    path: str = "/api",
    key: KeySecret | None = None,
    members_at_once: int = 50,
    **changes: Any,
) -> Opened:
    """Open the target that the page describes; `changes` are of what it says of users."""
    (directory / "desk.toml").write_text(PROFILE, "utf-8")
    described = config.described_profile("desk.toml", directory)
    assert described.table.rest is not None
    api, clock = api_of(described.table.rest, "active"), Calendar()
    api = replace(api, users=replace(api.users, **changes))
    target = RestTarget(
        "desk",
        url=f"{desk.url}{path}",
        api=api,
        profile=replace(described.profile, members_per_request=members_at_once),
        client=Client(AiohttpExchange(connections=4), clock, NoLuck(), lane=Lane(4, None)),
        clock=clock,
        paths=PATHS,
        parameters={"workspace": "w1"},
        key=key or KeySecret("header", "X-Api-Key", lambda: desk.token),
    )
    return Opened(target, desk, clock)


# --- the page's example ------------------------------------------------------------------------------------------


class Agency(Company):
    """A company whose job is the one of the page, with its addresses replaced."""

    def __init__(self, directory: Path, desk: Desk) -> None:
        super().__init__(directory, desk)
        self.app = desk
        (directory / "desk.toml").write_text(PROFILE, "utf-8")
        key = directory / "desk.key"
        key.touch(mode=0o600)
        key.write_text(desk.token)

    def configure(self) -> Path:
        text = CONFIG.replace("https://desk.example.com", self.app.url).replace("jobs.desk", "jobs.app")
        text = text.replace('groups = "groups.jsonl"', 'groups = "groups.jsonl"\nactive = "accountEnabled"')
        path = self.directory / "config.toml"
        path.write_text(text.replace('scope = "all"', 'scope = "all"\nfull_interval = "1000d"'), "utf-8")
        return path


async def test_the_pages_example_brings_people_and_circles_and_the_next_cycle_sends_nothing(
    tmp_path: Path, desk: Desk
) -> None:
    agency = Agency(tmp_path, desk)
    for number in range(130):
        agency.person(f"p{number}", mail=f"p{number}@example.com", manager="p0" if number else None)
    agency.group("g1", [f"p{number}" for number in range(120)], "Everybody")
    agency.users["p5"]["mail"] = "P5@Example.com"
    report = await agency.cycle()
    assert report.exit_code == 0, report.failures
    assert (len(desk.people), len(desk.members[desk.circle_named("Everybody")])) == (130, 120)
    assert desk.person("p7@example.com")["boss"] == desk.person("p0@example.com")["key"]
    assert desk.person("p7@example.com")["profile"] == {"full_name": "P7"}
    joins = [body for _, path, body in desk.sent if path.endswith("/join")]
    assert sorted(len(body["people"]) for body in joins) == [20, 50, 50]
    desk.sent.clear()
    desk.asked.clear()
    assert (done(await agency.cycle()), desk.asked) == ({}, [])
    assert (done(await agency.cycle(full=True)), desk.sent) == ({}, [])
    agency.users["p7"] |= {"displayName": "Seven", "manager": "p1"}
    agency.users["p8"]["accountEnabled"] = False
    agency.groups["g1"]["members"].remove("p9")
    assert done(await agency.cycle()) == {"update": 1, "disable": 1, "members_removed": 1}
    assert desk.person("p7@example.com")["profile"] == {"full_name": "Seven"}
    assert desk.person("p7@example.com")["boss"] == desk.person("p1@example.com")["key"]
    assert desk.person("p8@example.com")["status"] == "suspended"
    agency.users["p8"]["accountEnabled"] = True
    assert done(await agency.cycle()) == {"enable": 1}
    assert desk.person("p8@example.com")["status"] == "active"


# --- what is sent ------------------------------------------------------------------------------------------------


async def test_a_create_is_the_template_filled_in_without_the_switch(at: Opened) -> None:
    boss = at.desk.put("boss@example.com")
    account = await at.user("Ann@example.com", displayName="Ann", active=True, manager=boss)
    assert at.desk.sent == [
        (
            "POST",
            "/api/w1/people",
            {
                "person": {
                    "email": "Ann@example.com",
                    "profile": {"full_name": "Ann"},
                    "manager": boss,
                    "kind": "member",
                },
                "notify": False,
            },
        )
    ]
    assert account.resource == {"email": "ann@example.com", "displayName": "Ann", "active": True, "manager": boss}
    assert await at.target.get("user", account.id) == account


async def test_off_goes_first_and_the_other_changes_follow(at: Opened) -> None:
    account = await at.user("ann@example.com")
    at.desk.sent.clear()
    changes = [Change("displayName", None, "Ann"), Change("active", True, False)]
    assert isinstance(await at.target.update("user", account.id, changes, {}), Done)
    assert [path for _, path, _ in at.desk.sent] == [
        f"/api/w1/people/{account.id}/deactivate",
        f"/api/w1/people/{account.id}",
    ]
    shown = await at.target.get("user", account.id)
    assert isinstance(shown, Account)
    assert (shown.resource["active"], shown.resource["displayName"]) == (False, "Ann")


@pytest.mark.parametrize("update", [None, Operation("PUT", "/elsewhere/people/{id}")])
async def test_who_was_switched_on_before_the_rest_was_refused_may_be_on(
    at: Opened, tmp_path: Path, update: Operation | None
) -> None:
    account = await at.user("ann@example.com")
    at.desk.people[account.id]["status"] = "suspended"
    other = opened_on(at.desk, tmp_path, update=update)
    name = Change("displayName", None, "Ann")
    both = await other.target.update("user", account.id, [Change("active", False, True), name], {})
    alone = await other.target.update("user", account.id, [name], {})
    await other.target.close()
    assert at.desk.people[account.id]["status"] == "active"
    assert [isinstance(one, Failed) and one.may_have_been_done for one in (both, alone)] == [True, False]


async def test_a_value_that_goes_is_null_or_an_empty_text(at: Opened, tmp_path: Path) -> None:
    account = await at.user("ann@example.com", displayName="Ann")
    gone = [Change("displayName", "Ann", None)]
    await at.target.update("user", account.id, gone, {})
    assert at.desk.sent[-1][2] == {"person": {"profile": {"full_name": None}}}
    other = opened_on(at.desk, tmp_path, empty="")
    await other.target.update("user", account.id, gone, {})
    await other.target.close()
    assert at.desk.sent[-1][2] == {"person": {"profile": {"full_name": ""}}}


async def test_one_element_of_a_list_goes_with_the_others(at: Opened, tmp_path: Path) -> None:
    mobile = 'phones[type eq "mobile"].value'
    account = await at.user("ann@example.com")
    at.desk.people[account.id]["phones"] = [{"type": "home", "value": "1"}, {"type": "mobile", "value": "2"}]
    assert isinstance(await at.target.update("user", account.id, [Change(mobile, "2", "3")], {}), Done)
    assert at.desk.people[account.id]["phones"] == [{"type": "home", "value": "1"}, {"type": "mobile", "value": "3"}]
    assert set(at.desk.sent[-1][2]["person"]) == {"phones"}


async def test_members_who_are_refused_together_are_sent_in_halves(at: Opened) -> None:
    group = TargetId(at.desk.circle("Crew"))
    people = [TargetId(at.desk.put(f"p{number}@example.com")) for number in range(40)]
    nobody = TargetId("p-9999")
    outcome = await at.target.change_members(group, [*people[:13], nobody, *people[13:]], [])
    assert isinstance(outcome, MembersDone)
    assert (set(outcome.done), set(outcome.refused)) == (set(people), {nobody})
    assert await at.target.members(group) == frozenset(people)


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("{*}", {"a": 1, "b": {"c": 2}}),
        ({"*": "{*}", "kind": "x"}, {"a": 1, "b": {"c": 2}, "kind": "x"}),
        ({"one": "{b.c}", "none": "{d}", "text": "id {id}"}, {"one": 2, "text": "id 7"}),
        ({"ids": ["{member}"]}, {"ids": ["m", "n"]}),
        ({"ops": [{"add": [{"id": "{member}"}]}]}, {"ops": [{"add": [{"id": "m"}, {"id": "n"}]}]}),
        (["{a}", "{d}", 5], [1, 5]),
    ],
)
def test_a_template_is_filled_in(template: Any, expected: Any) -> None:
    operation = Operation("POST", "/", body=template)
    values = {"id": "7", "members": ["m", "n"], "member": "m"}
    written = rest_operations.body_of(operation, values, {"a": 1, "b": {"c": 2}})
    assert written is not None
    assert orjson.loads(written) == expected


# --- what is made of answers -------------------------------------------------------------------------------------


async def test_a_list_is_read_to_its_end_by_cursors(at: Opened, tmp_path: Path) -> None:
    for number in range(230):
        at.desk.put(f"p{number}@example.com")
    events = [event async for event in at.target.listing("user")]
    pages = [event for event in events if isinstance(event, ListPage)]
    assert [len(page.accounts) for page in pages] == [100, 100, 30]
    assert {page.total for page in pages} == {230}
    assert events[-1] == ListEnd(True)


async def test_a_list_that_is_shorter_than_it_says_is_not_whole(at: Opened) -> None:
    at.desk.put("ann@example.com")
    at.desk.then(200, b'{"people": [{"key": "p-1", "email": "a"}], "total": 2, "next": null}')
    events = [event async for event in at.target.listing("user")]
    assert events[-1] == ListEnd(False, "1 came of 2 that there are")


@pytest.mark.parametrize("key", [".", "..", " ", ""])
async def test_an_id_that_names_no_resource_makes_a_list_that_is_not_whole(key: str, at: Opened) -> None:
    at.desk.then(200, orjson.dumps({"people": [{"key": key, "email": "a"}, {"key": "p-1", "email": "b"}], "total": 2}))
    pages = [event async for event in at.target.listing("user")]
    assert isinstance(pages[0], ListPage)
    assert [account.id for account in pages[0].accounts] == ["p-1"]
    assert isinstance(pages[-1], ListEnd)
    assert not pages[-1].complete


@pytest.mark.parametrize(
    ("status", "body", "fault"),
    [
        (200, b"<html>Sign in</html>", Fault.NOT_SCIM),
        (200, b'{"error": "oops"}', Fault.NOT_SCIM),
        (302, b"", Fault.NOT_SCIM),
        (401, b"", Fault.UNAUTHORIZED),
        (403, b"", Fault.FORBIDDEN),
        (500, b"", Fault.SERVER_ERROR),
    ],
)
async def test_nobody_is_absent_because_of_an_answer_that_is_none(
    status: int, body: bytes, fault: Fault, at: Opened
) -> None:
    for ask in (at.target.find("user", "email", "ann@example.com"), at.target.get("user", TargetId("p-1"))):
        at.desk.then(status, body)
        at.desk.first *= 8
        outcome = await ask
        assert isinstance(outcome, Failed)
        assert outcome.fault is fault
        at.desk.first = []


async def test_a_404_is_believed_only_when_the_list_answers(at: Opened, tmp_path: Path) -> None:
    nobody = TargetId("p-9999")
    assert await at.target.get("user", nobody) == Missing()
    assert await at.target.delete("user", nobody) == Missing()
    update = await at.target.update("user", nobody, [Change("displayName", None, "x")], {})
    assert isinstance(update, Failed)
    assert update.fault is Fault.NOT_FOUND
    assert at.desk.asked.count("/api/w1/people?limit=100") == 1
    wrong = opened_on(at.desk, tmp_path, path="/apis")
    for outcome in (await wrong.target.get("user", nobody), await wrong.target.delete("user", nobody)):
        assert isinstance(outcome, Failed)
        assert outcome.fault is Fault.NOT_SCIM
        assert "is the url right?" in outcome.reason
    await wrong.target.close()


@pytest.mark.parametrize("in_a_success", [False, True])
async def test_a_name_that_is_taken_is_a_conflict_however_it_is_told(at: Opened, *, in_a_success: bool) -> None:
    at.desk.refuses_in_a_success = in_a_success
    await at.user("ann@example.com")
    outcome = await at.target.create("user", {"email": "ANN@example.com"})
    assert isinstance(outcome, Failed)
    assert outcome.fault is Fault.CONFLICT
    assert len(at.desk.people) == 1


async def test_a_create_that_may_have_been_done_is_not_sent_again_and_a_change_is(at: Opened) -> None:
    at.desk.then(503, b"")
    outcome = await at.target.create("user", {"email": "ann@example.com"})
    assert isinstance(outcome, Failed)
    assert outcome.may_have_been_done
    assert len(at.desk.asked) == 1
    account = await at.user("ann@example.com")
    at.desk.then(503, b"")
    assert isinstance(await at.target.update("user", account.id, [Change("displayName", None, "A")], {}), Done)


async def test_a_create_whose_answer_has_no_id_is_asked_for(at: Opened) -> None:
    at.desk.put("ann@example.com")
    at.desk.then(201, b"{}")
    outcome = await at.target.create("user", {"email": "ann@example.com"})
    assert isinstance(outcome, Done)
    assert outcome.account is not None
    assert outcome.account.id == at.desk.person("ann@example.com")["key"]


async def test_who_is_asked_for_by_something_else_is_listed(at: Opened) -> None:
    outcome = await at.target.find("user", "displayName", "Ann")
    assert isinstance(outcome, Failed)
    assert outcome.fault is Fault.UNSUPPORTED
    assert at.desk.asked == []
    await at.user("ann@example.com")
    found = await at.target.find("user", "email", "Ann@Example.com")
    assert isinstance(found, Found)
    assert len(found.accounts) == 1


async def test_an_app_that_gives_everybody_to_every_question_is_listed(at: Opened) -> None:
    at.desk.ignores_questions = True
    for number in range(1100):
        at.desk.put(f"p{number}@example.com")
    outcome = await at.target.find("user", "email", "p1@example.com")
    assert isinstance(outcome, Failed)
    assert outcome.fault is Fault.UNSUPPORTED
    asked = len(at.desk.asked)
    await at.target.find("user", "email", "p2@example.com")
    assert len(at.desk.asked) == asked


async def test_the_connection_test_says_what_is_wrong_and_shows_no_key(at: Opened, tmp_path: Path) -> None:
    at.desk.put("ann@example.com")
    assert [line.step for line in await at.target.test() if line.ok] == ["connection", "sign-in", "users", "groups"]
    wrong = opened_on(at.desk, tmp_path, path="/apis")
    *_, last = await wrong.target.test()
    assert (last.step, last.ok) == ("path", False)
    await wrong.target.close()
    key, at.desk.token = at.desk.token, "another"
    stale = opened_on(at.desk, tmp_path)
    at.desk.token = "a third"
    said = await at.target.test()
    assert all(line.ok for line in said), "the key is read anew"
    await stale.target.close()
    assert key not in str(said)
    assert not any(method != "GET" for method, _, _ in at.desk.sent)


@pytest.mark.parametrize("place", ["header", "query"])
async def test_a_refusal_that_repeats_the_key_is_told_without_it(
    place: Literal["header", "query"], at: Opened, tmp_path: Path
) -> None:
    key = "k3y&more"
    at.desk.then(403, b'{"error": {"text": "the key k3y&more (or k3y%26more) has no right to this"}}')
    opened = opened_on(at.desk, tmp_path, key=KeySecret(place, "X-Api-Key", lambda: key))
    outcome = await opened.target.get("user", TargetId("p-0001"))
    await opened.target.close()
    assert isinstance(outcome, Failed)
    assert "has no right" in outcome.reason
    assert "k3y" not in outcome.reason


@pytest.mark.parametrize(
    ("text", "seconds"), [("30", 30.0), ("1000005", 1000005.0), ("1700000030", 31.0), ("1700000030000", 31.0)]
)
def test_a_limit_is_told_in_seconds_or_as_a_moment(text: str, seconds: float) -> None:
    assert seconds_told(text, 1_700_000_000.0) == seconds
    assert seconds_told("soon", 1_700_000_000.0) is None


async def test_a_429_says_when_the_limit_ends(at: Opened) -> None:
    class Full:
        async def __call__(self, request: Request) -> Response:
            return Response(429, {"x-reset": "12"}, b"")

        async def aclose(self) -> None: ...

    answer = await LimitTold(Full(), at.clock, "x-reset")(Request("GET", "http://x"))
    assert isinstance(answer, Response)
    assert answer.headers["retry-after"] == "12.000"


# --- what cannot be described ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("was", "now", "problem"),
    [
        ("/{workspace}/people/{id}/activate", "/{workspce}/people/{id}/activate", "{workspce}, which nothing fills in"),
        ('method = "POST", path', 'method = "SEND", path', "must be one of GET, POST, PUT, PATCH, DELETE"),
        ('says = "name_taken"', 'says = "("', "says is no regular expression"),
        (', says = "name_taken"', "", "means something else only where says matches"),
        ('get = { path = "/{workspace}/circles/{id}", item = "circle" }', "", "rest.groups.get: is missing"),
        ('protocol = "rest"', 'protocol = "scim"', "the table rest goes with protocol"),
        ('names = { displayName = "title" }', 'names = { displayName = "a b" }', "is no attribute path"),
    ],
)
def test_what_is_wrong_with_a_description_is_said(was: str, now: str, problem: str, tmp_path: Path) -> None:
    assert was in PROFILE
    (tmp_path / "desk.toml").write_text(PROFILE.replace(was, now, 1), "utf-8")
    with pytest.raises(ConfigError) as refused:
        config.load_profile("desk.toml", tmp_path)
    assert problem in str(refused.value)


@pytest.mark.parametrize(
    ("was", "now", "problem"),
    [
        ('parameters = { workspace = "w1" }', "", "workspace is missing"),
        ('workspace = "w1"', 'workspace = "w1", room = "r"', "the profile has no such parameter"),
        ('url = "https://desk.example.com/api"', "", "[targets.desk] url: is missing"),
        ('type = "rest"\nprofile = "desk.toml"', 'type = "scim"\nprofile = "desk.toml"', 'type = "rest"'),
    ],
)
def test_what_is_wrong_with_a_target_is_said(was: str, now: str, problem: str, tmp_path: Path) -> None:
    assert was in CONFIG
    (tmp_path / "desk.toml").write_text(PROFILE, "utf-8")
    (tmp_path / "config.toml").write_text(CONFIG.replace(was, now, 1), "utf-8")
    with pytest.raises(ConfigError) as refused:
        config.load(tmp_path / "config.toml")
    assert problem in str(refused.value)
