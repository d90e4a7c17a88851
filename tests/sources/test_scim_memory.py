"""The SCIM source holds a page and a place on disk for members, never the company."""

from __future__ import annotations

import os

import pytest

from tests.sources.weighing import MEMORY_MAX_KIB, weighed

PEOPLE = int(os.environ.get("SCIM_PEOPLE", "200000"))
"""Two million take some minutes: SCIM_PEOPLE=2000000."""

READ_AND_WEIGH = """
import asyncio, re, sys
from pathlib import Path
from reconciler.net.client import Client, Lane
from reconciler.ports import EntryPage, MembershipPage, PresentPage, ReadEnd, Response, Wanted, Watermark
from reconciler.runtime.clock import SystemClock, SystemDice
from reconciler.sources.scim import ScimSource

PEOPLE, SHOWN = int(sys.argv[1]), sys.argv[2]
GROUP = 1000

class Simulated:
    '''A server of any size that makes up each page when it is asked for.'''
    def __init__(self): self.settled = False
    async def __call__(self, request):
        path, _, query = request.url.removeprefix("https://app.example.com/").partition("?")
        if path == "ServiceProviderConfig":
            return Response(200, {}, b'{"filter": {"supported": true, "maxResults": 1000}}')
        if path not in ("Users", "Groups"):
            return Response(200, {}, b'{"id": "%s", "displayName": "g"}' % path.partition("/")[2].encode())
        rows = PEOPLE if path == "Users" else -(-PEOPLE // GROUP)
        if "filter=" in query:
            rows = min(rows, 1)
        start = int(re.search("startIndex=([0-9]+)", query)[1])
        count = int(re.search("count=([0-9]+)", query)[1])
        one = self.person if path == "Users" else self.group
        self.shows_members = "members" in query
        page = [one(n) for n in range(start - 1, min(rows, start - 1 + count))]
        return Response(200, {}, b'{"totalResults": %d, "Resources": [%s]}' % (rows, b",".join(page)))
    def person(self, n):
        groups = b'[{"value": "g%d"}]' % (n // GROUP) if SHOWN == "users" else b"[]"
        names = b'"userName": "person%d@example.com", "name": {"givenName": "Zo\\xc3\\xab", "familyName": "P"}' % n
        meta = b'{"lastModified": "2026-01-01T00:00:00Z"}'
        parts = (n, names, groups, meta)
        return b'{"id": "00000000-0000-4000-8000-%012d", %s, "title": "X", "groups": %s, "meta": %s}' % parts
    def group(self, n):
        numbers = range(n * GROUP, min(PEOPLE, (n + 1) * GROUP))
        ids = (b'{"value": "00000000-0000-4000-8000-%012d"}' % m for m in numbers)
        members = b",".join(ids) if SHOWN == "list" and self.shows_members else b""
        meta = b'{"lastModified": "2026-01-01T00:00:00Z"}'
        return b'{"id": "g%d", "displayName": "g", "members": [%s], "meta": %s}' % (n, members, meta)

async def main():
    client = Client(Simulated(), SystemClock(), SystemDice(), lane=Lane(4, None))
    most = 4 * PEOPLE
    source = ScimSource("app", url="https://app.example.com", client=client, clock=SystemClock(), entries_max=most)
    wanted = Wanted(frozenset({"title", "givenName"}), frozenset({"displayName"}), groups=True, memberships=True)
    token = None
    for since in (None, True):
        users = members = present = 0
        async for event in source.read(wanted, token if since else None):
            match event:
                case EntryPage(kind="user", entries=entries): users += len(entries)
                case MembershipPage(groups=groups): members += sum(len(group.members) for group in groups)
                case PresentPage(kind="user", ids=ids): present += len(ids)
                case ReadEnd(): assert event.complete, event
                case Watermark(): token = event.token
        if since is None:
            assert (users, members) == (PEOPLE, PEOPLE), (users, members)
        else:
            assert (users, present) == (1, PEOPLE), (users, present)

asyncio.run(main())
"""


@pytest.mark.parametrize("shown", ["list", "users"])
def test_a_company_of_any_size_is_read_in_the_memory_of_a_few_pages(shown: str) -> None:
    [peak_kib] = weighed(READ_AND_WEIGH, PEOPLE, shown)
    assert peak_kib <= MEMORY_MAX_KIB
