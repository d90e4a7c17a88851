"""The ways in which lists go on, and the ways of signing in, of systems that are described as data."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any
from urllib.parse import parse_qs, urlsplit

import anyio
import orjson
import pytest

from reconciler.core.model import SourceId
from reconciler.core.outcomes import Failed, Fault
from reconciler.dialects import rest
from reconciler.dialects.rest import Description, Entries, KeySecret, Listing, Paging, Take, Unreadable
from reconciler.errors import ConfigError, Problem
from reconciler.net.client import Client, Lane
from reconciler.ports import EntryPage, Exchange, ReadEnd, ReadEvent, Request, Response, Wanted, Watermark
from reconciler.sources.rest import RestSource
from tests.net.doubles import EPOCH, LoopClock, SetDice

URL = "https://hr.example.com/api"
PEOPLE = [{"id": n, "mail": f"p{n}@example.com"} for n in range(1, 8)]
WANTED = Wanted(frozenset({"mail"}), frozenset())


class Lists:
    """A system that gives three at a time, whatever it is asked for, in every way of going on."""

    def __init__(self, **wrong: Any) -> None:
        self.requests: list[Request] = []
        self.wrong = wrong

    async def __call__(self, request: Request) -> Response:
        self.requests.append(request)
        parts = urlsplit(request.url)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        headers: dict[str, str] = {}
        if one := parts.path.removeprefix("/api/people").strip("/"):
            found = [person for person in PEOPLE if str(person["id"]) == one]
            return Response(200 if found else 404, orjson_headers(headers), orjson.dumps(found[0] if found else {}))
        start = int(query.get("offset", query.get("after", 0)))
        if "page" in query:
            start = (int(query["page"]) - 1) * 3
        body: dict[str, Any] = {"people": PEOPLE[start : start + 3], "count": len(PEOPLE)}
        if start + 3 < len(PEOPLE):
            body["cursor"] = start + 3
            body["following"] = f"/api/people?after={start + 3}"
            headers["link"] = (
                f'</api/people?after=0>; rel="first", </api/people?after={start + 3}>; title="a, b"; rel=next'
            )
        return Response(200, headers, orjson.dumps({**body, **self.wrong}))


def orjson_headers(headers: dict[str, str]) -> dict[str, str]:
    return {**headers, "content-type": "application/json"}


def source(lists: Exchange, paging: Paging, *, key: KeySecret | None = None, one: str | None = None) -> RestSource:
    listing = Listing("/people", "people", "id", paging=paging, expects=("mail",))
    description = Description("HR", Entries(listing, {"mail": Take("mail")}, one=one))
    client = Client(lists, LoopClock(), SetDice(), lane=Lane(1, None))
    return RestSource("hr", description, type_="rest", url=URL, client=client, clock=LoopClock(), key=key)


async def read(events: AsyncIterator[ReadEvent]) -> tuple[list[str], ReadEnd]:
    ids: list[str] = []
    end = None
    async for event in events:
        if isinstance(event, EntryPage):
            ids += [entry.id for entry in event.entries]
        elif isinstance(event, ReadEnd):
            end = event
    assert end is not None
    return ids, end


WAYS: Mapping[str, Paging] = {
    "offset with a total": Paging("offset", "limit", 5, "offset", total="count"),
    "offset to an empty page": Paging("offset", "limit", 5, "offset"),
    "page": Paging("page", "per_page", 3, "page", first=1, total="count"),
    "cursor": Paging("cursor", "limit", 3, "after", next="cursor", total="count"),
    "cursor without a total": Paging("cursor", "limit", 3, "after", next="cursor"),
    "next": Paging("next", next="following"),
    "link": Paging("link"),
}


@pytest.mark.parametrize("way", WAYS)
async def test_a_list_is_read_to_its_end_although_pages_are_shorter_than_asked_for(way: str) -> None:
    ids, end = await read(source(Lists(), WAYS[way]).read(WANTED, None))
    assert (ids, end) == ([str(n) for n in range(1, 8)], ReadEnd("user", complete=True))


WRONG: Mapping[str, tuple[str, dict[str, Any]]] = {
    "a page that repeats": ("page", {"people": PEOPLE[:3]}),
    "an offset that is not heeded": ("offset to an empty page", {"people": PEOPLE[:3]}),
    "a cursor that repeats": ("cursor", {"cursor": 3}),
    "an end before the total": ("cursor", {"cursor": None}),
    "no total": ("cursor", {"count": None}),
    "a total of those on the page": ("page", {"count": 3}),
    "a total that is too small": ("cursor", {"count": 5}),
    "an error beside the list": ("link", {"errors": [{"message": "a shard did not answer"}]}),
    "no list": ("link", {"people": None}),
    "a list of something else": ("link", {"people": ["p1"]}),
    "an item without what is expected": ("link", {"people": [{"id": 1}]}),
    "an item without an id": ("link", {"people": [{"mail": "p"}]}),
    "somebody twice on one page": ("cursor", {"people": [PEOPLE[0], PEOPLE[1], PEOPLE[0]], "cursor": None, "count": 2}),
    "nobody": ("next", {"people": [], "following": None}),
    "elsewhere": ("next", {"following": "https://evil.example.com/api/people?after=3"}),
    "another scheme": ("next", {"following": "http://hr.example.com/api/people?after=3"}),
    "credentials of somebody's": ("next", {"following": "https://ann:pw@hr.example.com/api/people?after=3"}),
    "a port that is none": ("next", {"following": "https://hr.example.com:99999/api/people?after=3"}),
    "an address that is none": ("next", {"following": "https://[::1/api/people?after=3"}),
    "a next page in an object": ("next", {"following": {"href": "/api/people?after=3"}}),
    "a next page in a list": ("next", {"following": ["/api/people?after=3"]}),
    "a cursor that is no cursor": ("cursor without a total", {"cursor": {"after": 3}}),
    "a cursor that says just that there is more": ("cursor without a total", {"cursor": True}),
}


@pytest.mark.parametrize("name", WRONG)
async def test_what_is_not_the_whole_list_is_not_taken_for_it(name: str) -> None:
    way, wrong = WRONG[name]
    _, end = await read(source(Lists(**wrong), WAYS[way]).read(WANTED, None))
    assert not end.complete
    assert end.problems[0].startswith("source hr users: ")


@pytest.mark.parametrize("nothing", [None, "", [], {}, False])
async def test_a_next_page_of_which_nothing_is_said_is_the_end(nothing: object) -> None:
    ids, end = await read(source(Lists(following=nothing), WAYS["next"]).read(WANTED, None))
    assert (ids, end.complete) == (["1", "2", "3"], True)


def test_a_next_page_may_name_the_port_that_is_meant_anyway() -> None:
    assert rest.same_origin("https://HR.example.com:443/api/people?after=6", URL)
    assert not rest.same_origin("https://hr.example.com:8443/api/people?after=6", URL)


async def test_a_list_where_the_object_around_it_belongs_is_not_an_empty_list() -> None:
    async def answers(request: Request) -> Response:
        return Response(200, {}, b"[1, 2]")

    _, end = await read(source(answers, WAYS["link"]).read(WANTED, None))
    assert end.problems == (
        "source hr users: the answer has no list at 'people': is it an error, or another version of the API?",
    )


FAULTS: Mapping[str, tuple[Response | Failed, Fault | None]] = {
    "401": (Response(401, {}, b""), Fault.UNAUTHORIZED),
    "403": (Response(403, {}, b""), Fault.FORBIDDEN),
    "404": (Response(404, {}, b""), Fault.NOT_FOUND),
    "elsewhere": (Response(302, {"location": "https://sso.example.com"}, b""), Fault.NOT_SCIM),
    "500": (Response(500, {}, b""), Fault.SERVER_ERROR),
    "nobody there": (Failed(Fault.UNREACHABLE, "no route to host"), Fault.UNREACHABLE),
    "a question that it does not take": (Response(400, {}, b""), None),
    "something else": (Response(200, {}, b"<html>"), None),
}


@pytest.mark.parametrize("name", FAULTS)
async def test_a_system_that_cannot_be_worked_with_at_all_is_told_from_a_list_that_is_wrong(name: str) -> None:
    answer, fault = FAULTS[name]

    async def answers(request: Request) -> Response | Failed:
        return answer

    one = source(answers, WAYS["link"])
    _, end = await read(one.read(WANTED, None))
    [line] = await one.test(WANTED)
    assert not end.complete and not line.ok
    assert (end.fault.fault if end.fault is not None else None) is fault
    if end.fault is not None and line.fault is not None:
        assert (end.fault.fault, end.fault.request) == (line.fault.fault, "GET /api/people")
        assert end.fault.reason in end.problems[0]


async def test_a_secret_that_is_not_there_is_a_sign_in_that_is_refused() -> None:
    def missing() -> str:
        raise ConfigError(Problem("sources.hr.auth", "the environment has no HR_KEY"))

    _, end = await read(source(Lists(), WAYS["link"], key=KeySecret("query", "key", missing)).read(WANTED, None))
    assert end.fault is not None and end.fault.fault is Fault.UNAUTHORIZED


async def test_who_comes_twice_on_one_page_is_given_once() -> None:
    twice = {"people": [PEOPLE[0], PEOPLE[1], PEOPLE[0]], "cursor": None, "count": 2}
    ids, end = await read(source(Lists(**twice), WAYS["cursor"]).read(WANTED, None))
    assert (ids, end.complete) == (["1", "2"], False)


async def test_a_few_are_fetched_one_by_one_and_many_with_everybody() -> None:
    lists = Lists()
    one = source(lists, WAYS["link"], one="/people/{id}")
    found = await one.fetch("user", [SourceId("3"), SourceId("99")], WANTED)
    assert (found[SourceId("99")], len(lists.requests)) == (None, 2)
    entry = found[SourceId("3")]
    assert entry is not None
    assert entry.attributes["mail"] == "p3@example.com"
    lists.requests.clear()
    many = await one.fetch("user", [SourceId(str(n)) for n in range(1, 60)], WANTED)
    assert len(lists.requests) == 3
    assert [n for n, entry in many.items() if entry is None] == [str(n) for n in range(8, 60)]


@pytest.mark.parametrize("listed", ["the list answers", "nothing answers"])
async def test_nobody_is_gone_because_of_a_path_that_leads_nowhere(listed: str) -> None:
    """Those whose time has come are asked for one by one: behind a wrong path all of them would be gone."""

    class Elsewhere(Lists):
        async def __call__(self, request: Request) -> Response:
            if listed == "nothing answers":
                return Response(404, {}, b"{}")
            return await super().__call__(request)

    one = source(Elsewhere(), WAYS["link"], one="/persons/{id}")
    assert await one.fetch("user", [SourceId("3"), SourceId("99")], WANTED) == {}
    right = source(Lists(), WAYS["link"], one="/people/{id}")
    assert await right.fetch("user", [SourceId("99")], WANTED) == {SourceId("99"): None}, "the others are there"


@pytest.mark.parametrize("path", [None, "/people/{id}"])
async def test_where_nobody_is_listed_at_all_nobody_is_known_to_be_gone(path: str | None) -> None:
    """A system that is filled anew, or shows us nobody any more, says so with an empty list."""
    nobody = source(Lists(people=[], count=0), WAYS["offset with a total"], one=path)
    assert await nobody.fetch("user", [SourceId("99")], WANTED) == {}


async def test_whoever_cannot_be_fetched_is_not_known() -> None:
    one = source(Lists(people=None), WAYS["link"])
    assert await one.fetch("user", [SourceId("3")], WANTED) == {}


async def test_a_key_goes_in_its_header_or_in_the_query() -> None:
    lists = Lists()
    await read(source(lists, WAYS["link"], key=KeySecret("header", "X-Api-Key", lambda: "k3y\n")).read(WANTED, None))
    assert [request.headers["X-Api-Key"] for request in lists.requests] == ["k3y"] * 3
    lists = Lists()
    await read(source(lists, WAYS["link"], key=KeySecret("query", "api_key", lambda: "k&y")).read(WANTED, None))
    assert all(request.url.count("api_key=k%26y") == 1 for request in lists.requests)


async def test_an_attribute_that_nobody_described_must_be_a_field() -> None:
    wanted = Wanted(frozenset({"mail", "departmnt"}), frozenset())
    ids, end = await read(source(Lists(), WAYS["link"]).read(wanted, None))
    assert (ids, end.complete) == ([], False)
    assert "there is no departmnt" in end.problems[0]
    [line] = await source(Lists(), WAYS["link"]).test(wanted)
    assert not line.ok and end.problems[0].rpartition("users: ")[2] in line.text
    [line] = await source(Lists(), WAYS["link"]).test(WANTED)
    assert line.ok


LINKS = [
    (None, None),
    ('<https://a/x?b=1,2>; rel="next"', "https://a/x?b=1,2"),
    ("<x>; rel=next", "https://a/b/x"),
    ('<a>; rel="self", <b>; title="c; rel=next"; rel="last NEXT"', "https://a/b/b"),
    ('<a>; rel="self", <b>; rel="previous"', None),
]


@pytest.mark.parametrize(("header", "target"), LINKS)
def test_links_are_read_as_their_rfc_says(header: str | None, target: str | None) -> None:
    assert rest.next_link(header, "https://a/b/c") == target


@pytest.mark.parametrize("header", ["garbage", "<a>", '<a>; title="next"'])
def test_a_link_that_cannot_be_read_is_no_end(header: str) -> None:
    with pytest.raises(Unreadable):
        rest.next_link(header, "https://a/b/c")


def test_paths_go_through_objects_and_lists() -> None:
    item = {"a": {"b": 1}, "e": [{"s": "2024"}, {"s": "2020"}, {"s": None}, {}]}
    assert rest.value_at(item, "a.b") == 1
    assert rest.value_at(item, "a.c") is None
    assert rest.value_at(item, "e.s") == ["2024", "2020"]
    taken = [rest.taken(item, Take("e.s", which)) for which in ("first", "last", "min", "max", "all")]
    assert taken == ["2024", "2020", "2020", "2024", ["2024", "2020"]]
    assert rest.taken({"e": []}, Take("e.s", "min")) is None


@pytest.mark.parametrize("status", [400, 404, 416, 422])
async def test_after_a_full_last_page_one_more_is_asked_for_that_may_be_refused(status: int) -> None:
    class Six(Lists):
        async def __call__(self, request: Request) -> Response:
            beyond = request.url.endswith("&page=3")
            return Response(status, {}, b"") if beyond else await super().__call__(request)

    lists = Six(count=6)
    ids, end = await read(source(lists, WAYS["page"]).read(WANTED, None))
    assert (ids, end.complete, len(lists.requests)) == ([str(n) for n in range(1, 7)], True, 2)


class Changing:
    """A system that tells what changed since a moment, and takes `pause` seconds before each page of two."""

    def __init__(self, people: list[dict[str, Any]], *, pause: float = 0.0) -> None:
        self.people, self.pause = people, pause
        self.asked_since: list[str | None] = []

    async def __call__(self, request: Request) -> Response:
        query = {name: values[0] for name, values in parse_qs(urlsplit(request.url).query).items()}
        start, since = int(query.get("offset", 0)), query.get("since")
        if start == 0:
            self.asked_since.append(since)
        else:
            await LoopClock().sleep(self.pause)
        shown = [one for one in self.people if since is None or one["changed"] >= float(since)]
        return Response(200, {}, orjson.dumps({"people": shown[start : start + 2]}))


def changing(system: Changing) -> RestSource:
    listing = Listing("/people", "people", "id", paging=Paging("offset", "limit", 2, "offset"))
    since = rest.Since(({"since": "{since}"},), "changed", "seconds")
    description = Description("HR", Entries(listing, {"mail": Take("mail")}, since=since))
    client = Client(system, LoopClock(), SetDice(), lane=Lane(1, None))
    return RestSource("hr", description, type_="rest", url=URL, client=client, clock=LoopClock())


async def told(one: RestSource, wanted: Wanted, token: str | None) -> tuple[list[str], ReadEnd, str]:
    """Return who was given, how it ended, and the token."""
    events = [event async for event in one.read(wanted, token)]
    ids = [str(entry.id) for event in events if isinstance(event, EntryPage) for entry in event.entries]
    [end] = [event for event in events if isinstance(event, ReadEnd)]
    [mark] = [event.token for event in events if isinstance(event, Watermark)]
    assert mark is not None
    return ids, end, mark


@pytest.mark.looptime(start=5000)
async def test_what_changed_behind_the_back_of_a_long_reading_is_asked_for_the_next_time() -> None:
    """An hour between two pages: who was on the first and changed since then is older than the newest on the last."""
    begun = EPOCH + 5000
    system = Changing([{"id": n, "mail": "p", "changed": begun - 100} for n in range(4)], pause=1800)

    async def meanwhile() -> None:
        await LoopClock().sleep(600)
        system.people[0]["changed"] = begun + 600
        await LoopClock().sleep(1100)
        system.people[3]["changed"] = begun + 1700

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(meanwhile)
        ids, end, token = await told(changing(system), WANTED, None)
    assert (ids, end.complete) == (["0", "1", "2", "3"], True)
    ids, end, _ = await told(changing(system), WANTED, token)
    assert (end.complete, end.delta, {"0", "3"} <= set(ids)) == (True, True, True)


async def test_a_change_of_who_lacks_a_field_has_everybody_read_and_not_a_cycle_that_never_ends_well() -> None:
    """Many systems leave out what is empty: of one person the fields do not show what the list has."""
    people: list[dict[str, Any]] = [{"id": n, "mail": "p", "changed": EPOCH, "nick": "x"} for n in range(3)]
    system, wanted = Changing(people), Wanted(frozenset({"mail", "nick"}), frozenset())
    _, _, token = await told(changing(system), wanted, None)
    people[1]["changed"] = EPOCH + 5000
    del people[1]["nick"]
    people[0]["changed"] = people[2]["changed"] = EPOCH - 5000
    ids, end, token = await told(changing(system), wanted, token)
    assert (ids, end.complete, end.delta) == (["0", "1", "2"], True, False)
    for one in people:
        one.pop("nick", None)
    ids, end, _ = await told(changing(system), wanted, token)
    assert (ids, end.complete) == ([], False), "nobody has it any more: the field was renamed"
