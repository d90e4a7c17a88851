"""The Graph source holds a page and a place on disk for a round, never the tenant."""

from __future__ import annotations

import os

from tests.sources.weighing import MEMORY_MAX_KIB, weighed

PEOPLE = int(os.environ.get("GRAPH_PEOPLE", "200000"))
"""Two million take some minutes: GRAPH_PEOPLE=2000000."""

READ_AND_WEIGH = """
import asyncio, sys
from pathlib import Path
import orjson
from reconciler.net.client import Client, Lane
from reconciler.ports import EntryPage, MembershipPage, ReadEnd, Response, Wanted
from reconciler.sources.graph import GraphSource
from tests.cycles.calendar import Calendar, NoLuck

PEOPLE, PAGE, URL = int(sys.argv[1]), 500, "https://graph.example/v1.0"

def id_of(n): return "00000000-0000-4000-8000-%012d" % n

def user(n):
    return {"id": id_of(n), "userPrincipalName": "person%d@example.com" % n, "displayName": "Zoë Person", "mail": None,
            "jobTitle": "Engineer", "manager@delta": [{"@odata.type": "#microsoft.graph.user", "id": id_of(n // 10)}]}

def group(n):
    # ten groups, each in many slices that do not follow each other
    members = [{"@odata.type": "#microsoft.graph.user", "id": id_of(one)} for one in range(n, min(n + PAGE, PEOPLE))]
    return {"id": id_of(10**9 + n // PAGE % (PEOPLE // 20000 + 1)), "displayName": "g", "members@delta": members}

async def tenant(request):
    '''A tenant of any size that makes up each page when it is asked for.'''
    n = int(request.url.rpartition("=")[2]) if "skiptoken" in request.url else 0
    place = "users" if "/users/" in request.url else "groups"
    rows = [user(one) for one in range(n, min(n + PAGE, PEOPLE))] if place == "users" else [group(n)]
    link = "nextLink" if n + PAGE < PEOPLE else "deltaLink"
    body = {"value": rows, "@odata." + link: f"{URL}/{place}/delta?$skiptoken={n + PAGE}"}
    return Response(200, {}, orjson.dumps(body))

async def read():
    client = Client(tenant, Calendar(), NoLuck(), lane=Lane(1, None))
    source = GraphSource("office", url=URL, tenant="t", client=client, clock=Calendar(), entries_max=4 * PEOPLE)
    entries = members = groups = 0
    wanted = Wanted(frozenset({"jobTitle", "manager"}), frozenset(), memberships=True)
    async for event in source.read(wanted, None):
        if isinstance(event, EntryPage):
            entries += len(event.entries)
            assert all(entry.attributes["manager"] for entry in event.entries)
        elif isinstance(event, MembershipPage):
            members += sum(len(group.members) for group in event.groups)
            groups += len(event.groups)
        elif isinstance(event, ReadEnd):
            assert event.complete, event
    assert (members, groups) == (PEOPLE, PEOPLE // 20000 + 1), (members, groups)
    return entries

entries = asyncio.run(read())
print(entries)
"""


def test_a_tenant_of_any_size_is_read_in_the_memory_of_a_few_pages() -> None:
    read, peak_kib = weighed(READ_AND_WEIGH, PEOPLE)
    assert read == PEOPLE
    assert peak_kib <= MEMORY_MAX_KIB
