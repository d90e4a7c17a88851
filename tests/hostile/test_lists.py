"""Lists that have no end: new ids for ever, and always a next page. They end, and nobody is taken for absent."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import orjson
import pytest

from reconciler.core.model import TargetId
from reconciler.core.outcomes import Failed, Fault
from reconciler.dialects.length import ENTRIES_FEW, ENTRIES_MAX, ENTRIES_TOLD_MAX, Length
from reconciler.ports import Request, Response
from tests.hostile.systems import SYSTEMS, configured, system

URL = "https://app.example.com"
A_PAGE = 100


class Endless:
    """A system of every protocol at once that makes up people for as long as it is asked, each of them once."""

    def __init__(self, told: int | None = None, *, a_page: int = A_PAGE, circle: bool = False) -> None:
        self.told, self.a_page, self.circle = told, a_page, circle
        self.pages = 0

    def connect(self, **settings: Any) -> Endless:
        return self

    async def __call__(self, request: Request) -> Response:
        parts = urlsplit(request.url)
        query = parse_qs(parts.query)
        if parts.path.endswith("/token"):
            return said({"access_token": "t", "expires_in": 3600})
        if parts.path.endswith("ServiceProviderConfig"):
            return said({"filter": {"supported": True}})
        if parts.path.endswith("/$count"):
            return Response(200, {}, str(self.told if self.told is not None else "?").encode())
        self.pages += 1
        # who goes in circles has two pages, each of which is the next of the other
        begin = self.pages % 2 * self.a_page if self.circle else self.pages * self.a_page
        people = [person(n) for n in range(begin, begin + self.a_page)]
        place = query.get("$skiptoken", ["first"])[0]
        following = ("b" if place == "a" else "a") if self.circle else f"p{self.pages}"
        body: dict[str, Any] = {"Resources": people, "people": people, "circles": people, "value": people}
        body |= {"next": f"{parts.path}?after={following}", "nextCursor": following}
        body["@odata.nextLink"] = f"{URL}{parts.path}?$skiptoken={following}"
        if self.told is not None:
            body |= {"totalResults": self.told, "total": self.told}
        elif parts.path.startswith("/w1/"):
            body["total"] = 10**9  # the description of this one says where the total is, so it must be there
        return said(body)

    async def aclose(self) -> None: ...


def said(body: Any) -> Response:
    return Response(200, {"content-type": "application/json"}, orjson.dumps(body))


def person(number: int) -> dict[str, Any]:
    named = f"u{number}@example.com"
    one = {"id": f"u{number}", "key": f"u{number}", "active": True, "email": named, "mail": named}
    return {**one, "userName": named, "userPrincipalName": named, "displayName": named}


@pytest.mark.parametrize("name", SYSTEMS)
async def test_a_list_ends_after_as_many_as_an_administrator_says(name: str, tmp_path: Path) -> None:
    endless = Endless()
    loaded = configured(tmp_path, name, URL, "max_entries = 300\n")
    async with system(loaded, name, endless.connect) as at:
        listed = await at.listed()
    assert not listed.complete
    assert re.search("400 entries came.*max_entries", listed.said)
    assert endless.pages <= 5
    assert len(listed.ids) <= 400


@pytest.mark.parametrize("name", ["scim source", "scim target", "rest target", "graph target"])
async def test_ten_times_what_a_system_itself_says_is_enough(name: str, tmp_path: Path) -> None:
    """A source over Graph is never told how many there are, and the description of the one over REST does not say."""
    endless = Endless(told=12, a_page=1000)
    async with system(configured(tmp_path, name, URL), name, endless.connect) as at:
        listed = await at.listed()
    assert not listed.complete
    assert re.search("11000 entries came where the system said 12, .*max_entries", listed.said)
    assert endless.pages <= 13


@pytest.mark.parametrize("name", ["rest source", "graph source", "rest target", "graph target"])
async def test_a_list_in_circles_ends_at_once(name: str, tmp_path: Path) -> None:
    endless = Endless(circle=True)
    async with system(configured(tmp_path, name, URL), name, endless.connect) as at:
        listed = await at.listed()
    assert not listed.complete
    assert "twice" in listed.said
    assert endless.pages <= 4


@pytest.mark.parametrize("name", ["rest target", "graph target"])
async def test_members_without_end_are_not_known(name: str, tmp_path: Path) -> None:
    endless = Endless()
    async with system(configured(tmp_path, name, URL, "max_entries = 300\n"), name, endless.connect) as at:
        members = await at.target.members(TargetId("g1"))
    assert isinstance(members, Failed)
    assert "max_entries" in members.reason
    assert endless.pages <= 5


@pytest.mark.parametrize("name", ["rest target", "graph target"])
async def test_an_answer_without_end_to_a_question_means_that_it_does_not_choose(name: str, tmp_path: Path) -> None:
    endless = Endless()
    async with system(configured(tmp_path, name, URL), name, endless.connect) as at:
        found = await at.asked()
    assert isinstance(found, Failed)
    assert found.fault is Fault.UNSUPPORTED
    assert endless.pages == 10


def pages(entries: int, told: int | None = None, entries_max: int | None = None) -> tuple[int, str]:
    """Return after how many pages of so many entries a list is left, and what is said."""
    length = Length(entries_max)
    for page in range(1, 200_000):
        why = length.grew(entries, told)
        if why:
            return page, why
    raise AssertionError("it has no end")


@pytest.mark.parametrize(
    ("entries", "told", "entries_max", "expected"),
    [
        (1000, None, None, 1 + ENTRIES_MAX // 1000),
        (50, None, None, 1 + ENTRIES_MAX // 50),
        (1, None, None, 1 + 1000 + ENTRIES_MAX // 50),
        (0, None, None, 1 + 1000 + ENTRIES_MAX // 50),
        (100, 0, None, 1 + ENTRIES_FEW // 100),
        (100, 5000, None, 1 + 50_000 // 100),
        (1000, 10**9, None, 1 + ENTRIES_TOLD_MAX // 1000),
        (1000, 2_000_000, None, 1 + ENTRIES_TOLD_MAX // 1000),
        (1000, None, 2_000_000, 2001),
        (1000, 5, 2_000_000, 2001),
        (100, 10**6, 150, 2),
    ],
)
def test_how_long_a_list_may_become(entries: int, told: int | None, entries_max: int | None, expected: int) -> None:
    came, why = pages(entries, told, entries_max)
    assert came == expected
    assert "max_entries" in why


def test_what_a_system_says_first_counts() -> None:
    """One that says more and more would have no end either."""
    length = Length()
    assert not any(length.grew(1000, 1000 * page) for page in range(1, 11))
    assert length.grew(1000, 10**6)
