"""When a listing ends, and when it was whole. The servers here are those that somebody runs in earnest."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs

import pytest

from reconciler.core.outcomes import ListEnd
from reconciler.dialects.scim_paging import Paging

Server = Callable[[int, int], dict[str, Any]]
"""From startIndex and count to a ListResponse."""


def rows(first: int, after: int) -> list[dict[str, Any]]:
    return [{"id": str(number)} for number in range(first, after)]


def honest(number: int, most: int = 1000) -> Server:
    def serve(start: int, count: int) -> dict[str, Any]:
        page = rows(0, number)[start - 1 :][: min(count, most)]
        return {"totalResults": number, "startIndex": start, "itemsPerPage": len(page), "Resources": page}

    return serve


def changed(serve: Server, change: Callable[[int, dict[str, Any]], dict[str, Any]]) -> Server:
    return lambda start, count: {**(page := serve(start, count)), **change(start, page)}


def listed(serve: Server, count: int = 10) -> tuple[int, ListEnd, int]:
    """Return how many different rows came, how it ended, and how many requests it took."""
    paging, ids, requests = Paging(count), [], 0
    query = paging.first()
    while True:
        asked = {name: int(values[0]) for name, values in parse_qs(query).items()}
        page = paging.after(serve(asked["startIndex"], asked["count"]))
        requests += 1
        ids += [row["id"] for row in page.resources]
        assert requests < 100, "the listing does not end"
        if isinstance(page.then, ListEnd):
            assert len(ids) == len(set(ids))
            return len(ids), page.then, requests
        query = page.then


@pytest.mark.parametrize("number", [0, 1, 9, 10, 11, 25, 30])
def test_an_honest_server_is_read_whole(number: int) -> None:
    came, end, requests = listed(honest(number))
    assert (came, end) == (number, ListEnd(True))
    assert requests == (1 if number == 0 else -(-number // 10) + 1)


def test_pages_smaller_than_asked_are_taken_as_they_come() -> None:
    assert listed(honest(25, most=4))[:2] == (25, ListEnd(True))


def test_the_first_page_repeated_past_the_end_ends_it() -> None:
    server = honest(25)
    assert listed(lambda start, count: server(start if start <= 25 else 1, count))[:2] == (25, ListEnd(True))


def test_a_total_that_is_the_size_of_the_page_is_not_believed() -> None:
    server = changed(honest(25), lambda start, page: {"totalResults": len(page["Resources"])})
    came, end, _ = listed(server)
    assert came == 25
    assert not end.complete


def test_a_total_that_is_never_more_than_fifty_is_not_believed() -> None:
    server = changed(honest(120), lambda start, page: {"totalResults": min(50, page["totalResults"])})
    came, end, _ = listed(server, 50)
    assert came == 120
    assert not end.complete
    assert "50" in end.why


def test_a_server_that_stops_short_is_not_complete() -> None:
    server = changed(honest(80), lambda start, page: {"Resources": page["Resources"] if start < 50 else []})
    came, end, _ = listed(server)
    assert came == 50
    assert end == ListEnd(False, "the server says that there are 80 and gave 50")


def test_a_total_that_changes_on_the_way_is_not_complete() -> None:
    server = changed(honest(25), lambda start, page: {"totalResults": 25 if start == 1 else 24})
    assert listed(server)[1] == ListEnd(False, "totalResults changed while the list was read")


def test_a_total_that_is_missing_proves_nothing() -> None:
    assert not listed(changed(honest(25), lambda start, page: {"totalResults": None}))[1].complete


def test_a_total_of_zero_past_the_end_is_no_change() -> None:
    server = changed(honest(25), lambda start, page: {"totalResults": 25 if page["Resources"] else 0})
    assert listed(server)[1] == ListEnd(True)


def test_a_server_that_ignores_where_to_start_is_not_complete() -> None:
    server = honest(25)
    came, end, requests = listed(lambda start, count: server(1, count))
    assert (came, requests) == (10, 2)
    assert not end.complete


def test_rows_that_come_twice_count_once() -> None:
    server = honest(25)
    assert listed(lambda start, count: server(max(1, start - 3), count))[:2] == (25, ListEnd(True))


def test_rows_without_an_id_make_it_incomplete() -> None:
    server = changed(honest(5), lambda start, page: {"Resources": [{"userName": "x"}, "odd"] if start == 1 else []})
    assert listed(server)[1] == ListEnd(False, "2 rows of the server's list have no id that names one")


def test_a_page_past_the_end_may_be_refused() -> None:
    paging = Paging(10)
    paging.first()
    paging.after(honest(20)(1, 10))
    assert paging.refused_past_the_end() is None
    paging.after(honest(20)(11, 10))
    assert paging.refused_past_the_end() == ListEnd(True)


def cursors(*pages: tuple[list[dict[str, Any]], str | None], total: int | None = None) -> tuple[list[str], ListEnd]:
    """Read these pages; return the queries that were sent."""
    paging = Paging(5)
    queries = [paging.first()]
    for resources, cursor in pages:
        content: dict[str, Any] = {"Resources": resources, "nextCursor": cursor}
        page = paging.after(content if total is None else {**content, "totalResults": total})
        if isinstance(page.then, ListEnd):
            return queries, page.then
        queries.append(page.then)
    raise AssertionError("the listing did not end")


def test_a_server_that_hands_out_cursors_is_followed_to_the_last() -> None:
    queries, end = cursors((rows(0, 5), "a b&"), (rows(5, 10), "c"), (rows(10, 11), None))
    assert queries == ["startIndex=1&count=5", "cursor=a%20b%26&count=5", "cursor=c&count=5"]
    assert end == ListEnd(True)


def test_cursors_with_a_total_must_keep_it() -> None:
    assert cursors((rows(0, 5), "a"), (rows(5, 9), None), total=9)[1] == ListEnd(True)
    assert not cursors((rows(0, 5), "a"), (rows(5, 9), None), total=12)[1].complete


def test_cursors_that_go_in_circles_end_it() -> None:
    assert not cursors((rows(0, 5), "a"), (rows(5, 9), "a"))[1].complete
    assert not cursors(*((rows(0, 5), f"cursor {number}") for number in range(50)))[1].complete


def test_a_cursor_only_server_is_asked_by_cursor_from_the_start() -> None:
    assert Paging(5, by_cursor=True).first() == "cursor=&count=5"
    assert Paging(None).first() == "startIndex=1"
