"""What the SCIM target sends, request by request, and what it remembers of a target."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import anyio
import orjson
import pytest

from reconciler.core.model import Change, TargetId
from reconciler.core.outcomes import Account, Done, Failed, Fault, Found, ListEnd, ListPage, MembersDone, Missing
from reconciler.core.profile import Profile
from reconciler.net.client import Client, Lane
from reconciler.ports import Exchange, Request, Response
from reconciler.targets.scim import ScimTarget
from tests.net.doubles import LoopClock, ScriptedExchange, SetDice, times
from tests.targets.opening import DEPARTMENT, PATHS, PROFILE, PUT_PROFILE

pytestmark = pytest.mark.looptime

BASE = "https://scim.example.com/v2"
ANN = TargetId("2819c223")
SALES = TargetId("e9e30dba")
LEAD = [Change("title", "Agent", "Lead")]
AGREED = {"userName": "ann@example.com", "title": "Agent"}
NOTHING_SAID: dict[str, Any] = {"config": None}
"""Facts of a target that has no ServiceProviderConfig."""
HTML = b"<!doctype html><html><title>Not Found</title></html>"


def says(status: int, content: object = None, **headers: str) -> Response:
    body = b"" if content is None else content if isinstance(content, bytes) else orjson.dumps(content)
    return Response(status, {name.replace("_", "-"): value for name, value in headers.items()}, body)


def error(status: int, scim_type: str = "", detail: str = "") -> Response:
    schemas = ["urn:ietf:params:scim:api:messages:2.0:Error"]
    return says(status, {"schemas": schemas, "status": str(status), "scimType": scim_type, "detail": detail})


def rows(*resources: object, total: int | None = None) -> Response:
    return says(200, {"totalResults": len(resources) if total is None else total, "Resources": list(resources)})


def target(
    exchange: Exchange,
    *,
    url: str = BASE,
    profile: Profile = PROFILE,
    facts: dict[str, Any] | None = NOTHING_SAID,
) -> ScimTarget:
    client = Client(exchange, LoopClock(), SetDice(0.5), lane=Lane(8, None))
    return ScimTarget("phone", url=url, profile=profile, client=client, paths=PATHS, facts=facts)


def sent(exchange: ScriptedExchange) -> list[str]:
    """Return method and URL below the base of every request."""
    return [f"{request.method} {request.url.removeprefix(BASE)}" for request in exchange.requests]


def body(request: Request) -> Any:
    assert request.body is not None
    return orjson.loads(request.body)


# --- what a request looks like -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "asked"),
    [
        (BASE, f"{BASE}/Users/2819c223"),
        (f"{BASE}/", f"{BASE}/Users/2819c223"),
        (f"{BASE}/?aadOptscim062020", f"{BASE}/Users/2819c223?aadOptscim062020"),
        (f"{BASE}?a=1&b", f"{BASE}/Users/2819c223?a=1&b"),
    ],
)
async def test_flags_in_the_url_stay_at_the_end(url: str, asked: str) -> None:
    exchange = ScriptedExchange(says(200, {"id": ANN}))
    await target(exchange, url=url).get("user", ANN)
    assert exchange.requests[0].url == asked


async def test_flags_follow_the_query() -> None:
    exchange = ScriptedExchange(rows())
    await target(exchange, url=f"{BASE}/?flag").find("group", "displayName", "R&D")
    asked = "/Groups?excludedAttributes=members&filter=displayName%20eq%20%22R%26D%22&flag"
    assert exchange.requests[0].url == BASE + asked


@pytest.mark.parametrize(
    ("value", "path"),
    [("a/b", "a%2Fb"), ("ann@example.com", "ann%40example.com"), ("10 %?#", "10%20%25%3F%23"), ("é", "%C3%A9")],
)
async def test_ids_are_percent_encoded(value: str, path: str) -> None:
    exchange = ScriptedExchange(says(204))
    await target(exchange).delete("user", TargetId(value))
    assert sent(exchange) == [f"DELETE /Users/{path}"]


async def test_scim_is_spoken_and_plain_json_understood() -> None:
    exchange = ScriptedExchange(says(201, {"id": ANN}), says(204))
    phone = target(exchange)
    await phone.create("user", {"userName": "ann@example.com"})
    await phone.delete("user", ANN)
    posting, deleting = (request.headers for request in exchange.requests)
    assert posting["Content-Type"] == "application/scim+json"
    assert posting["Accept"] == "application/scim+json, application/json;q=0.9"
    assert "Content-Type" not in deleting


# --- finding -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("refusal", [error(400, "invalidFilter"), error(400), error(501), error(405), says(400, HTML)])
async def test_a_target_that_cannot_filter_is_asked_once(refusal: Response) -> None:
    exchange = ScriptedExchange(refusal)
    phone = target(exchange)
    for name in ("ann", "bea"):
        outcome = await phone.find("user", "userName", name)
        assert isinstance(outcome, Failed)
        assert outcome.fault is Fault.UNSUPPORTED
    assert len(exchange.requests) == 1


async def test_a_404_to_a_filter_is_no_answer_and_asked_again() -> None:
    exchange = ScriptedExchange(error(404), rows({"id": ANN, "userName": "ann"}))
    phone = target(exchange)
    outcome = await phone.find("user", "userName", "ann")
    assert isinstance(outcome, Failed)
    assert outcome.fault is Fault.UNSUPPORTED
    assert isinstance(await phone.find("user", "userName", "ann"), Found)


async def test_what_was_not_found_out_is_not_remembered() -> None:
    exchange = ScriptedExchange(error(403), rows())
    phone = target(exchange)
    outcome = await phone.find("user", "userName", "ann")
    assert isinstance(outcome, Failed)
    assert outcome.fault is Fault.FORBIDDEN
    assert await phone.find("user", "userName", "ann") == Found(())


async def test_a_case_exact_attribute_is_compared_by_case() -> None:
    exchange = ScriptedExchange(rows({"id": ANN, "externalId": "E-1"}), rows({"id": ANN, "userName": "ANN"}))
    phone = target(exchange)
    assert await phone.find("user", "externalId", "e-1") == Found(())
    assert await phone.find("user", "userName", "ann") == Found((Account(ANN, {"userName": "ANN"}),))


async def test_rows_that_are_promised_and_not_shown_are_not_absent() -> None:
    outcome = await target(ScriptedExchange(rows(total=1))).find("user", "userName", "ann")
    assert isinstance(outcome, Failed)


async def test_one_account_where_a_list_belongs_is_not_nobody() -> None:
    """Who is taken for absent gets a second account."""
    for shown in ({"User": {"id": ANN, "userName": "ann"}}, {"id": ANN, "userName": "ann"}, "ann"):
        exchange = ScriptedExchange(says(200, {"totalResults": 1, "Resources": shown}))
        outcome = await target(exchange).find("user", "userName", "ann")
        assert isinstance(outcome, Failed) and outcome.fault is Fault.NOT_SCIM


async def test_a_profile_that_cannot_filter_sends_nothing() -> None:
    outcome = await target(ScriptedExchange(), profile=replace(PROFILE, can_filter=False)).find("user", "userName", "a")
    assert isinstance(outcome, Failed)
    assert outcome.fault is Fault.UNSUPPORTED


# --- listing -----------------------------------------------------------------------------------------------------


async def listed(phone: ScimTarget) -> tuple[list[str], ListEnd | Failed]:
    ids: list[str] = []
    async for event in phone.listing("user"):
        if not isinstance(event, ListPage):
            return ids, event
        ids += [account.id for account in event.accounts]
    raise AssertionError("a listing has an end")


async def test_a_page_size_that_is_refused_is_not_asked_for_again() -> None:
    exchange = ScriptedExchange(error(400), rows({"id": "1"}), rows(total=1))
    phone = target(exchange)
    assert await listed(phone) == (["1"], ListEnd(True))
    assert sent(exchange) == ["GET /Users?startIndex=1&count=100", "GET /Users?startIndex=1", "GET /Users?startIndex=2"]
    again = ScriptedExchange(rows())
    await listed(target(again, facts=phone.facts))
    assert sent(again) == ["GET /Users?startIndex=1"]


async def test_a_target_that_only_has_cursors_is_asked_by_cursor_and_for_no_more_than_it_gives() -> None:
    config = {"pagination": {"cursor": True, "index": False, "maxPageSize": 2}}
    first = {"Resources": [{"id": "1"}, {"id": "2"}], "nextCursor": "c/2"}
    exchange = ScriptedExchange(says(200, config), says(200, first), says(200, {"Resources": [{"id": "3"}]}))
    assert await listed(target(exchange, facts=None)) == (["1", "2", "3"], ListEnd(True))
    assert sent(exchange)[1:] == ["GET /Users?cursor=&count=2", "GET /Users?cursor=c%2F2&count=2"]


async def test_a_page_past_the_end_that_is_refused_ends_a_whole_list() -> None:
    assert await listed(target(ScriptedExchange(rows({"id": "1"}), error(400)))) == (["1"], ListEnd(True))


@pytest.mark.parametrize("status", [403, 502, 504])
async def test_a_page_past_the_end_that_cannot_be_had_now_ends_nothing(status: int) -> None:
    """The total may be the number of those on the page: then there are others, whom nobody has seen."""
    exchange = ScriptedExchange(rows({"id": "1"}), *times(9, error(status)))
    assert isinstance((await listed(target(exchange)))[1], Failed)


@pytest.mark.parametrize("identifier", [".", "..", " ", "x" * 600, True, 1.5, {"value": "1"}, ["1"]])
async def test_an_id_that_names_no_resource_makes_a_list_that_is_not_whole(identifier: object) -> None:
    exchange = ScriptedExchange(rows({"id": "1"}, {"id": identifier}), rows(total=2))
    ids, end = await listed(target(exchange))
    assert ids == ["1"]
    assert isinstance(end, ListEnd) and not end.complete


async def test_a_page_that_fails_on_the_way_is_a_failure() -> None:
    ids, end = await listed(target(ScriptedExchange(rows({"id": "1"}, total=9), error(403))))
    assert ids == ["1"]
    assert isinstance(end, Failed)


# --- creating ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("given", [says(201), says(201, {"userName": "ann"}), says(201, b'{"schemas": ["urn:')])
async def test_what_was_made_without_an_id_is_looked_up(given: Response) -> None:
    exchange = ScriptedExchange(given, rows({"id": ANN, "userName": "ann"}))
    assert await target(exchange).create("user", {"userName": "ann"}) == Done(Account(ANN, {"userName": "ann"}))


async def test_what_was_made_and_does_not_show_may_have_been_made() -> None:
    outcome = await target(ScriptedExchange(says(201), rows())).create("user", {"userName": "ann"})
    assert isinstance(outcome, Failed)
    assert outcome.may_have_been_done


async def test_a_sign_in_page_is_no_created_account() -> None:
    exchange = ScriptedExchange(says(200, HTML), says(200, HTML))
    outcome = await target(exchange).create("user", {"userName": "ann"})
    assert isinstance(outcome, Failed)
    assert outcome.fault is Fault.NOT_SCIM
    assert outcome.may_have_been_done, "nor is it a refusal"


# --- changing ----------------------------------------------------------------------------------------------------


async def test_a_target_that_says_it_has_no_patch_is_never_sent_one() -> None:
    config, ann = {"patch": {"supported": False}}, {"id": ANN, "userName": "ann", "title": "Agent", "nickName": "A"}
    exchange = ScriptedExchange(says(200, config), says(200, ann), says(200, {**ann, "title": "Lead"}))
    phone = target(exchange, facts=None)
    done = await phone.update("user", ANN, LEAD, AGREED)
    assert done == Done(Account(ANN, {"userName": "ann", "title": "Lead"}))
    assert [request.method for request in exchange.requests] == ["GET", "GET", "PUT"]
    assert body(exchange.requests[2])["nickName"] == "A"


async def test_an_attribute_that_patch_cannot_do_goes_by_put_from_then_on_and_others_do_not() -> None:
    ann = {"id": ANN, "userName": "ann"}
    first = ScriptedExchange(error(501), says(200, ann), says(204))
    phone = target(first)
    assert await phone.update("user", ANN, LEAD, AGREED) == Done()
    assert [request.method for request in first.requests] == ["PATCH", "GET", "PUT"]
    assert phone.facts == {"config": None, "put_paths": ["title"]}
    later = ScriptedExchange(says(200, ann), says(204), says(204))
    phone = target(later, facts=orjson.loads(orjson.dumps(phone.facts)))
    await phone.update("user", ANN, LEAD, AGREED)
    await phone.update("user", ANN, [Change("displayName", None, "Ann")], AGREED)
    assert [request.method for request in later.requests] == ["GET", "PUT", "PATCH"]


async def test_neither_patch_nor_put_is_told_and_not_tried_for_ever() -> None:
    exchange = ScriptedExchange(error(501), says(200, {"id": ANN}), error(501))
    outcome = await target(exchange).update("user", ANN, LEAD, AGREED)
    assert isinstance(outcome, Failed)
    assert outcome.fault is Fault.UNSUPPORTED


async def test_the_path_of_an_extension_that_is_refused_goes_by_put() -> None:
    exchange = ScriptedExchange(error(400, "invalidPath"), says(200, {"id": ANN, "userName": "ann"}), says(204))
    assert await target(exchange).update("user", ANN, [Change(DEPARTMENT, None, "Sales")], AGREED) == Done()
    assert body(exchange.requests[2])[DEPARTMENT.rpartition(":")[0]] == {"department": "Sales"}


async def test_a_target_that_insists_on_a_version_gets_it() -> None:
    exchange = ScriptedExchange(error(412), says(200, {"id": ANN}, etag='W/"7"'), says(204))
    assert await target(exchange).update("user", ANN, LEAD, AGREED) == Done()
    assert exchange.requests[2].headers["If-Match"] == 'W/"7"'


@pytest.mark.parametrize("supported", [True, False])
async def test_a_put_is_conditional_only_where_etags_are_supported(supported: bool) -> None:
    facts = {"config": {"etag": supported}}
    ann = {"id": ANN, "meta": {"version": 'W/"1"'}}
    exchange = ScriptedExchange(says(200, ann), says(204))
    await target(exchange, profile=PUT_PROFILE, facts=facts).update("user", ANN, LEAD, AGREED)
    assert exchange.requests[1].headers.get("If-Match") == ('W/"1"' if supported else None)


async def test_a_put_that_somebody_was_faster_than_is_made_again_from_a_fresh_read() -> None:
    facts = {"config": {"etag": True}}
    exchange = ScriptedExchange(
        says(200, {"id": ANN, "nickName": "A"}, etag="1"),
        error(412),
        says(200, {"id": ANN, "nickName": "B"}, etag="2"),
        says(204),
    )
    assert await target(exchange, profile=PUT_PROFILE, facts=facts).update("user", ANN, LEAD, AGREED) == Done()
    last = exchange.requests[3]
    assert (body(last)["nickName"], last.headers["If-Match"]) == ("B", "2")


LOST = Failed(Fault.INTERRUPTED, "scim.example.com closed the connection before it had answered")
LATER = says(429, retry_after="3600")
SHOWN = says(200, {"id": ANN}, etag="1")


@pytest.mark.parametrize(
    ("profile", "changes", "answers"),
    [
        (PROFILE, LEAD, [LOST, LATER]),
        (PROFILE, LEAD, [LOST, error(400, "noTarget"), LATER]),
        (PROFILE, LEAD, [LOST, error(412), LATER]),
        (PROFILE, LEAD, [LOST, error(412), SHOWN, LATER]),
        (PROFILE, LEAD, [LOST, error(501), LATER]),
        (PROFILE, LEAD, [LOST, error(501), SHOWN, LATER]),
        (PROFILE, LEAD, [error(501), SHOWN, LOST, error(400)]),
        (PROFILE, LEAD, [LOST, says(404, HTML), LATER]),
        (PROFILE, [Change(DEPARTMENT, None, "Sales")], [says(200, {"id": ANN}), LATER]),
        (PUT_PROFILE, LEAD, [SHOWN, LOST, error(412), LATER]),
        (PUT_PROFILE, LEAD, [SHOWN, LOST, error(412), SHOWN, LATER]),
        (PUT_PROFILE, LEAD, [SHOWN, LOST, error(412), SHOWN, error(412)]),
    ],
)
async def test_what_a_lost_try_has_done_is_not_settled_by_what_follows_it(
    profile: Profile, changes: list[Change], answers: list[Response | Failed]
) -> None:
    exchange = ScriptedExchange(*answers)
    phone = target(exchange, profile=profile, facts={"config": {"etag": True}})
    outcome = await phone.update("user", ANN, changes, AGREED)
    assert len(exchange.requests) == len(answers)
    assert isinstance(outcome, Failed)
    assert outcome.may_have_been_done


BOB = {"id": "77", "userName": "bob@example.com", "title": "Chief", "active": True}


async def test_an_account_is_never_written_from_what_was_shown_of_another() -> None:
    exchange = ScriptedExchange(says(200, BOB))
    outcome = await target(exchange, profile=PUT_PROFILE).update("user", ANN, LEAD, AGREED)
    assert isinstance(outcome, Failed) and outcome.fault is Fault.NOT_SCIM
    assert sent(exchange) == [f"GET /Users/{ANN}"], "Ann would have become Bob"
    assert isinstance(await target(ScriptedExchange(says(200, {"id": "77", "members": []}))).members(SALES), Failed)
    shown = await target(ScriptedExchange(says(200, BOB))).get("user", ANN)
    assert isinstance(shown, Failed)


async def test_an_answer_to_a_change_that_shows_another_account_is_followed_by_a_look() -> None:
    ann = {"id": ANN, **AGREED}
    exchange = ScriptedExchange(says(200, BOB), says(200, ann))
    assert await target(exchange).update("user", ANN, LEAD, AGREED) == Done(Account(ANN, AGREED))


async def test_a_group_whose_members_may_be_hidden_is_not_written_whole() -> None:
    exchange = ScriptedExchange(error(501), says(200, {"id": SALES, "displayName": "Sales"}))
    renamed = [Change("displayName", "Sales", "Support")]
    outcome = await target(exchange).update("group", SALES, renamed, {"displayName": "Sales"})
    assert isinstance(outcome, Failed)
    assert "PUT" not in [request.method for request in exchange.requests]


async def test_a_look_that_fails_leaves_no_doubt_unless_something_was_sent_before() -> None:
    fails, renamed = [error(500)] * 4 + [says(200, {"id": ANN})], [Change(DEPARTMENT, "Sales", "Support")]
    outcome = await target(ScriptedExchange(*fails), profile=PUT_PROFILE).update("user", ANN, LEAD, AGREED)
    assert isinstance(outcome, Failed) and not outcome.may_have_been_done
    refused_first = ScriptedExchange(error(501), *fails)
    outcome = await target(refused_first).update("user", ANN, renamed, AGREED)
    assert isinstance(outcome, Failed) and outcome.may_have_been_done
    assert [request.method for request in refused_first.requests] == ["PATCH", *["GET"] * 5]


async def test_a_permanent_500_on_who_is_gone_is_seen_to_be_that() -> None:
    exchange = ScriptedExchange(*[error(500)] * 4, error(404))
    outcome = await target(exchange).update("user", ANN, LEAD, AGREED)
    assert isinstance(outcome, Failed)
    assert outcome.fault is Fault.NOT_FOUND


# --- gone, or only out of sight ----------------------------------------------------------------------------------


async def test_a_web_page_says_nothing_of_an_account() -> None:
    for again in (says(404, HTML), says(404)):
        exchange = ScriptedExchange(again, says(404, HTML))
        outcome = await target(exchange).delete("user", ANN)
        assert isinstance(outcome, Failed)
        assert outcome.fault is Fault.NOT_SCIM


async def test_an_empty_404_is_believed_when_the_endpoint_is_there() -> None:
    for outcome in (says(404), says(404, b"no such user"), says(410)):
        assert await target(ScriptedExchange(outcome, rows())).delete("user", ANN) == Missing()


async def test_a_scim_404_costs_no_further_question_unless_something_is_taken_away_by_it() -> None:
    assert await target(ScriptedExchange(error(404))).get("user", ANN) == Missing()
    assert await target(ScriptedExchange(error(404), rows())).delete("user", ANN) == Missing()
    outcome = await target(ScriptedExchange(error(404), error(404))).delete("user", ANN)
    assert isinstance(outcome, Failed)
    assert outcome.fault is Fault.NOT_SCIM


async def test_the_404_of_a_gateway_is_not_believed() -> None:
    gateway = says(404, {"message": "no Route matched with those values"})
    outcome = await target(ScriptedExchange(gateway, gateway)).get("user", ANN)
    assert isinstance(outcome, Failed)
    assert outcome.fault is Fault.NOT_SCIM


async def test_a_500_to_the_deletion_of_nobody_is_seen_through() -> None:
    assert await target(ScriptedExchange(*[error(500)] * 4, error(404))).delete("user", ANN) == Missing()


async def test_a_deletion_that_was_done_before_the_answer_was_cut_is_done() -> None:
    cut = Failed(Fault.INTERRUPTED, "cut")
    assert await target(ScriptedExchange(cut, error(404), rows())).delete("user", ANN) == Missing()


# --- members -----------------------------------------------------------------------------------------------------


IDS = [TargetId(f"m{number}") for number in range(120)]


class Group:
    """A group that takes so many members in a request, by the letter of RFC 7644."""

    def __init__(self, most: int, status: int = 400) -> None:
        self.most, self.status = most, status
        self.members: set[str] = set()
        self.sizes: list[int] = []

    async def __call__(self, request: Request) -> Response | Failed:
        if request.method == "GET":
            return says(200, {"id": SALES, "members": [{"value": each} for each in sorted(self.members)]})
        values: list[str] = []
        operations = body(request)["Operations"]
        for operation in operations:
            if operation["op"] == "add":
                values += [each["value"] for each in operation["value"]]
            else:
                values.append(operation["path"].split('"')[1])
        self.sizes.append(len(values))
        if len(values) > self.most:
            return error(self.status, detail="Invalid request")
        self.members = self.members | set(values) if operations[0]["op"] == "add" else self.members - set(values)
        return says(204)


@pytest.mark.parametrize("status", [400, 413])
async def test_a_batch_that_is_too_large_is_halved_and_the_size_remembered(status: int) -> None:
    group = Group(30, status)
    phone = target(group)
    done = await phone.change_members(SALES, IDS, [])
    assert isinstance(done, MembersDone)
    assert (set(done.done), group.members) == (set(IDS), set(IDS))
    assert group.sizes[0] == 100
    assert phone.facts is not None
    assert phone.facts["members_per_request"] == 25
    second = Group(30, status)
    await target(second, facts=phone.facts).change_members(SALES, IDS, [])
    assert second.sizes == [25, 25, 25, 25, 20]


async def test_adds_go_before_removes() -> None:
    group = Group(100)
    group.members = {"old"}
    asked: list[str] = []

    async def noting(request: Request) -> Response | Failed:
        if request.method == "PATCH":
            asked.append(body(request)["Operations"][0]["op"])
        return await group(request)

    await target(noting).change_members(SALES, IDS[:3], [TargetId("old")])
    assert asked == ["add", "remove"]


async def test_what_was_done_before_a_failure_is_told() -> None:
    exchange = ScriptedExchange(says(204), error(403))
    outcome = await target(exchange).change_members(SALES, IDS, [])
    assert isinstance(outcome, MembersDone)
    assert outcome.done == tuple(IDS[:100])
    assert outcome.refused.keys() == set(IDS[100:])


async def test_the_way_out_of_a_group_is_proven_once() -> None:
    group = Group(100)
    group.members = set(IDS[:3])
    asked: list[str] = []

    async def noting(request: Request) -> Response | Failed:
        asked.append(request.method)
        return await group(request)

    phone = target(noting)
    await phone.change_members(SALES, [], IDS[:1])
    await phone.change_members(SALES, [], IDS[1:2])
    assert asked == ["GET", "PATCH", "GET", "PATCH"]
    assert group.members == {IDS[2]}


async def test_an_empty_group_is_empty_until_members_prove_to_be_hidden() -> None:
    empty = says(200, {"id": SALES})
    exchange = ScriptedExchange(empty, says(204), empty, empty)
    phone = target(exchange)
    assert await phone.members(SALES) == frozenset()
    await phone.change_members(SALES, IDS[:1], [])
    for _ in range(2):
        assert isinstance(await phone.members(SALES), Failed)


async def test_members_are_a_set_of_ids_whatever_form_they_have() -> None:
    shown = [{"value": "1"}, {"value": "1", "display": "x"}, {"value": 2}, {"display": "nobody"}, {"Value": "3"}]
    exchange = ScriptedExchange(says(200, {"id": SALES, "members": shown}))
    assert await target(exchange).members(SALES) == frozenset(map(TargetId, "123"))
    exchange = ScriptedExchange(says(200, {"id": SALES, "members": {"value": "1"}}))
    assert await target(exchange).members(SALES) == frozenset({TargetId("1")}), "the only one, without a list around it"


# --- facts -------------------------------------------------------------------------------------------------------


async def test_a_create_a_search_and_a_deletion_need_no_facts() -> None:
    exchange = ScriptedExchange(rows(), says(201, {"id": ANN}), says(204))
    phone = target(exchange, facts=None)
    await phone.find("user", "userName", "ann")
    await phone.create("user", {"userName": "ann"})
    await phone.delete("user", ANN)
    assert sent(exchange)[1:] == ["POST /Users", f"DELETE /Users/{ANN}"]
    assert phone.facts is None


async def test_the_config_is_read_once_however_many_ask_and_never_again_when_handed_in() -> None:
    asked: list[str] = []

    async def slow(request: Request) -> Response | Failed:
        asked.append(request.url.removeprefix(BASE))
        await LoopClock().sleep(1.0)
        return says(200, {"patch": {"supported": True}, "bulk": "odd"}) if "Config" in request.url else says(204)

    phone = target(slow, facts=None)
    async with anyio.create_task_group() as group:
        for _ in range(5):
            group.start_soon(phone.update, "user", ANN, LEAD, AGREED)
    assert asked.count("/ServiceProviderConfig") == 1
    facts = orjson.loads(orjson.dumps(phone.facts))
    assert facts["config"]["patch"] is True
    assert facts["config"]["odd"] == ["bulk"]
    await target(slow, facts=facts).update("user", ANN, LEAD, AGREED)
    assert asked.count("/ServiceProviderConfig") == 1


async def test_a_config_that_could_not_be_asked_for_is_asked_for_later() -> None:
    refused = Failed(Fault.INTERRUPTED, "cut")
    phone = target(ScriptedExchange(*[refused] * 4), facts=None)
    await phone.update("user", ANN, LEAD, AGREED)
    assert phone.facts is None


async def test_a_config_that_is_not_there_is_remembered_as_such() -> None:
    phone = target(ScriptedExchange(error(404), says(204)), facts=None)
    assert await phone.update("user", ANN, LEAD, AGREED) == Done()
    assert phone.facts == {"config": None}
