"""Rounds of answers in the shapes that Microsoft's pages about delta query, errors and assignments show."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from reconciler.core.model import SourceId
from reconciler.core.outcomes import Failed
from reconciler.net.client import Client, Lane
from reconciler.ports import EntryPage, GroupMembers, MembershipPage, ReadEnd, Request, Response, Wanted, Watermark
from reconciler.sources.graph import GraphSource
from tests.cycles.calendar import Calendar, NoLuck
from tests.net.doubles import ScriptedExchange

ROOT = "https://graph.microsoft.com/v1.0"
USERS, GROUPS = f"{ROOT}/users/delta", f"{ROOT}/groups/delta"
ANN, BOB, CREW = (f"{n}93acd06-2877-4339-8ade-b704261fe7a0" for n in (1, 2, 3))
USER = {"@odata.type": "#microsoft.graph.user"}
REMOVED = {"@removed": {"reason": "deleted"}}
FIRST_USERS: list[dict[str, Any]] = [
    {
        "@odata.context": f"{ROOT}/$metadata#users(displayName,jobTitle,manager)",
        "@odata.nextLink": f"{USERS}?$skiptoken=oEBwdSP6uehIAxQOWq_3Ksh_TLol6KIm3stvdc6hGhZRi1hQ7",
        "value": [],
    },
    {
        "@odata.context": f"{ROOT}/$metadata#users",
        "@odata.nextLink": f"{USERS}?$skiptoken=oEBwdSP6uehIAxQOWq_3Ksh_TLol6KIm3stvdc6hGhZ9",
        "value": [
            {
                "userPrincipalName": "ann@contoso.com",
                "jobTitle": "Researcher",
                "id": ANN,
                "manager@delta": [{**USER, "id": BOB}],
            },
            {"id": "4db4a7c5-0000-4000-8000-000000000001", "@removed": {"reason": "changed"}},
        ],
    },
    {
        "@odata.context": f"{ROOT}/$metadata#users",
        "@odata.deltaLink": f"{USERS}?$deltatoken=oEcOySpF_hWYmTIUZBOIfPzcwisr_rPe8o9M54L45qEXQGmvQC6",
        "value": [{"userPrincipalName": "bob@contoso.com", "jobTitle": None, "id": BOB}],
    },
]
FIRST_GROUPS: list[dict[str, Any]] = [
    {
        "@odata.context": f"{ROOT}/$metadata#groups(displayName,visibility,members)",
        "@odata.nextLink": f"{GROUPS}?$skiptoken=pqwSUjGYvb3jQpbwVAwEL7yuI3dU1LecfkkfLPtnIjvB7XnF_yllFsCrZJ",
        "value": [
            {
                "displayName": "LargeGroup",
                "id": CREW,
                "members@delta": [{**USER, "id": ANN}, {**USER, "id": "x", **REMOVED}],
            }
        ],
    },
    {
        "@odata.deltaLink": f"{GROUPS}?$deltatoken=sZwAFZibx-LQOdZIo1hHhmmDhHzCY0Hs6snoIHJCSIfCHdqKdW",
        "value": [
            {"displayName": "LargeGroup", "id": CREW, "members@delta": [{**USER, "id": BOB}]},
            {"displayName": "Empty", "id": "e"},
        ],
    },
]
EXPIRED = {
    "error": {
        "code": "syncStateNotFound",
        "message": "The sync state generation is not found. The delta token is expired and data must be synchronized"
        " again.",
        "innerError": {"request-id": "6f0ee2b1", "date": "2020-07-03T21:47:50"},
    }
}
GONE = Response(410, {"location": f"{USERS}?$deltatoken="}, b"")
DENIED = {
    "error": {"code": "Authorization_RequestDenied", "message": "Insufficient privileges to complete the operation."}
}
WANTED = Wanted(frozenset({"jobTitle", "manager"}), frozenset(), memberships=True)


def ok(content: dict[str, Any], status: int = 200) -> Response:
    return Response(status, {"content-type": "application/json"}, orjson.dumps(content))


async def read(
    *answers: Response | Failed, since: str | None = None, wanted: Wanted = WANTED
) -> tuple[dict[str, Any], dict[str, GroupMembers], dict[str, ReadEnd], str, list[Request]]:
    exchange = ScriptedExchange(*answers)
    client = Client(exchange, Calendar(), NoLuck(), lane=Lane(1, None))
    source = GraphSource("entra", url=ROOT, tenant="contoso.com", client=client, clock=Calendar())
    users: dict[str, Any] = {}
    groups: dict[str, GroupMembers] = {}
    ends: dict[str, ReadEnd] = {}
    token = ""
    async for event in source.read(wanted, since):
        match event:
            case EntryPage(entries=entries):
                users.update((entry.id, entry) for entry in entries)
            case MembershipPage(groups=found):
                groups.update((group.group_id, group) for group in found)
            case ReadEnd(part=part):
                ends[part] = event
            case Watermark(token=text):
                token = text or ""
            case _:
                pass
    return users, groups, ends, token, exchange.requests


async def test_a_first_round_as_it_is_documented() -> None:
    users, groups, ends, token, asked = await read(*map(ok, FIRST_GROUPS), *map(ok, FIRST_USERS))
    assert all(end.complete and not end.delta for end in ends.values())
    assert {one: entry.attributes["jobTitle"] for one, entry in users.items() if not entry.gone} == {
        ANN: "Researcher",
        BOB: None,
    }
    assert users[SourceId(ANN)].attributes["manager"] == BOB
    assert {group.name: list(group.members) for group in groups.values()} == {"LargeGroup": [ANN, BOB], "Empty": []}
    assert [request.url.partition("=")[2][:12] for request in asked[:2]] == ["displayName,", "pqwSUjGYvb3j"]
    assert len(token) < 1000


@pytest.mark.parametrize("too_old", [ok(EXPIRED, 400), ok(EXPIRED, 404), GONE])
async def test_both_ways_of_saying_that_everything_must_be_read_anew(too_old: Response) -> None:
    only_users = Wanted(frozenset({"jobTitle"}), frozenset())
    _, _, _, token, _ = await read(*map(ok, FIRST_USERS), wanted=only_users)
    users, _, ends, _, asked = await read(too_old, *map(ok, FIRST_USERS), since=token, wanted=only_users)
    assert ends["user"] == ReadEnd("user", complete=True)
    assert (len(users), len(asked)) == (3, 4)
    assert "$deltatoken=oEcOySpF" in asked[0].url and asked[1].url.startswith(f"{USERS}?$select=")


async def test_a_refusal_as_it_is_documented() -> None:
    users, _, ends, _, _ = await read(*map(ok, FIRST_GROUPS), ok(FIRST_USERS[0]), ok(DENIED, 403))
    assert (users, ends["memberships"].complete, ends["user"].complete) == ({}, True, False)
    assert "403: Insufficient privileges to complete the operation." in ends["user"].problems[0]
