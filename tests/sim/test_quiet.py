"""A cycle that has nothing to do may send what is about somebody whose name is not to be had, and nothing else."""

from __future__ import annotations

from urllib.parse import quote

import orjson

from reconciler.ports import Request
from tests.sim.app import BASE, seen_of
from tests.sim.quiet import about_others
from tests.sim.rules import TARGET_HOST


def _search(name: str) -> str:
    return "/Users?filter=" + quote(f'userName eq "{name}"')


def request(method: str, path: str, body: object = None) -> Request:
    return Request(method, f"https://{TARGET_HOST}{BASE}{path}", body=orjson.dumps(body) if body else None)


ABOUT_HER = [
    request("GET", _search("Ann@example.com")),
    request("POST", "/Users", {"externalId": "p001", "userName": "ann@example.com"}),
    request("PATCH", "/Users/7", {"Operations": []}),
    request("GET", "/Users/8"),
]
A_LIST = request("GET", "/Users?startIndex=1&count=100")


def others(*requests: Request) -> int:
    seen = [seen_of(request, 0.0) for request in requests]
    return len(list(about_others(seen, {"p001": "ann@example.com"}, {"7"}, {"8"})))


def test_what_is_about_her_is_about_nobody_else() -> None:
    assert others(*ABOUT_HER) == 0
    assert others(*ABOUT_HER, A_LIST) == 0


def test_a_list_that_is_for_nobody_a_look_up_of_another_and_any_group_are() -> None:
    assert others(A_LIST) == 1
    assert others(*ABOUT_HER, request("GET", _search("ann@example.com.au"))) == 1
    assert others(*ABOUT_HER, request("POST", "/Users", {"externalId": "p002", "userName": "bob@example.com"})) == 1
    assert others(*ABOUT_HER, request("GET", "/Users/77"), request("GET", "/Groups")) == 2
    assert others(*ABOUT_HER, request("PATCH", "/Users/8", {"Operations": []})) == 1
