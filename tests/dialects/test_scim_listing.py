"""A list is read on in smaller pages, or from its beginning, where it could not be taken as it was asked for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

import orjson
import pytest

from reconciler.core.outcomes import Failed, Fault, ListEnd
from reconciler.dialects.scim_listing import Form, Rows, listed
from reconciler.dialects.scim_wire import Wire
from reconciler.net.client import Client, Lane
from reconciler.ports import Request, Response
from tests.cycles.calendar import Calendar, NoLuck

Answer = dict[str, Any] | Failed | int
Serve = Callable[[dict[str, str]], Answer]
PEOPLE = [{"id": str(n)} for n in range(25)]


async def whole(serve: Serve, form: Form) -> tuple[list[str], ListEnd | Failed, list[Form]]:
    async def exchange(request: Request) -> Response | Failed:
        query = {
            name: values[0] for name, values in parse_qs(urlsplit(request.url).query, keep_blank_values=True).items()
        }
        answer = serve(query)
        if isinstance(answer, Failed):
            return answer
        if isinstance(answer, int):
            return Response(answer, {}, b'{"schemas": ["urn:ietf:params:scim:api:messages:2.0:Error"]}')
        return Response(200, {}, orjson.dumps(answer))

    taken: list[Form] = []
    wire = Wire(Client(exchange, Calendar(), NoLuck(), lane=Lane(1, None)), "https://app.example.com", 5.0)
    ids: list[str] = []
    async for event in listed(wire, "user", form, doing="listing", note=taken.append):
        if isinstance(event, Rows):
            ids += [row["id"] for row in event.resources]
        else:
            return ids, event, taken
    raise AssertionError("a list ends with an event")


def indexed(query: dict[str, str]) -> dict[str, Any]:
    start, count = int(query["startIndex"]), int(query.get("count", "10"))
    return {"totalResults": 25, "Resources": PEOPLE[start - 1 : start - 1 + count]}


TOO_LONG = Failed(Fault.TOO_LARGE, "answered with more than 33554432 bytes; the rest was not read", 200)


@pytest.mark.parametrize("answer", [TOO_LONG, 413])
async def test_pages_that_are_too_large_are_asked_for_in_halves(answer: Failed | int) -> None:
    def serve(query: dict[str, str]) -> Answer:
        # the heavy ones are in the middle
        heavy = int(query["startIndex"]) > 5 and int(query.get("count", "10")) > 3
        return answer if heavy else indexed(query)

    ids, end, _ = await whole(serve, Form(5))
    assert (ids, end) == ([one["id"] for one in PEOPLE], ListEnd(True))


async def test_one_that_is_too_large_by_itself_ends_the_list() -> None:
    ids, end, _ = await whole(lambda query: indexed(query) if query["startIndex"] == "1" else TOO_LONG, Form(5))
    assert len(ids) == 5 and isinstance(end, Failed)


REFUSED: dict[str, tuple[str, Form, Form]] = {
    "sorting": ("sortBy", Form(5, is_sorted=True), Form(5)),
    "cursors": ("cursor", Form(5, by_cursor=True), Form(5)),
    "a count": ("count", Form(5), Form(None)),
    "everything": ("sortBy cursor count", Form(5, by_cursor=True, is_sorted=True), Form(None)),
}


@pytest.mark.parametrize("case", REFUSED)
@pytest.mark.parametrize("status", [400, 501])
async def test_what_a_server_refuses_of_the_form_is_left_out(case: str, status: int) -> None:
    names, asked, took = REFUSED[case]

    def serve(query: dict[str, str]) -> Answer:
        return status if any(name in query for name in names.split()) else indexed(query)

    ids, end, taken = await whole(serve, asked)
    assert (len(ids), end, taken) == (25, ListEnd(True), [took])


@pytest.mark.parametrize("times", [1, 2])
async def test_a_cursor_that_was_forgotten_begins_the_list_again_once(times: int) -> None:
    lost = [400] * times

    def serve(query: dict[str, str]) -> Answer:
        position = int(query["cursor"] or "0")
        if position == 10 and lost:
            return lost.pop()
        more = {"nextCursor": str(position + 5)} if position + 5 < 25 else {}
        return {"Resources": PEOPLE[position : position + 5], **more}

    ids, end, _ = await whole(serve, Form(5, by_cursor=True))
    assert len(ids) == len(set(ids)), "nobody is given twice"
    if times == 1:
        assert (len(ids), end) == (25, ListEnd(True))
    else:
        assert len(ids) == 10 and isinstance(end, Failed)
