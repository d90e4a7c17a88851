"""The REST source holds a page, twenty bytes for each id, and a place on disk for what hangs on entries."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.sources.weighing import MEMORY_MAX_KIB, weighed

PEOPLE = int(os.environ.get("REST_PEOPLE", "50000"))
"""Two million take some minutes: REST_PEOPLE=2000000."""

SIMULATED = """
import asyncio, re, sys
from pathlib import Path
from reconciler import config, wiring
from reconciler.ports import EntryPage, MembershipPage, ReadEnd, Response, Wanted, Watermark
from reconciler.runtime.clock import SystemClock

PEOPLE, PLACE = int(sys.argv[1]), Path(sys.argv[2])
TIME = b'"2026-01-01T00:00:00.000Z"'

def number(url, name):
    found = re.search(name + "=([0-9]+)", url)
    return int(found[1]) if found else 0

async def read(simulated, wanted):
    lines = f"requests_per_second = 1e9\\noverlap = '1s'\\nmax_entries = {4 * PEOPLE}\\n"
    (PLACE / "config.toml").write_text(f"[sources.staff]\\n{TABLE}{lines}")
    loaded = config.load(PLACE / "config.toml")
    source = wiring.build_source(loaded, "staff", SystemClock(), connect=lambda **_: simulated)
    token, following = None, None
    for _ in range(2):
        users = members = 0
        async for event in source.read(wanted, token):
            match event:
                case EntryPage(kind="user", entries=entries):
                    users += len(entries)
                    assert all(entry.attributes["mail"] and entry.attributes["manager"] for entry in entries)
                    assert CHECKED is None or all(entry.attributes[CHECKED] for entry in entries)
                case MembershipPage(groups=groups): members += sum(len(group.members) for group in groups)
                case ReadEnd(): assert event.complete, event
                case Watermark(): following = event.token
        token = following
        print(users, members)
"""

ALEXISHR = (
    SIMULATED
    + """
TABLE, CHECKED = "type = 'alexishr'\\n", "employeeHireDate"

class Simulated:
    '''A service of any size that makes up each page when it is asked for; what hangs on employees is as many.'''
    async def __call__(self, request):
        kind = request.url.partition("/v1/")[2].partition("?")[0]
        total = {"employee": 0 if "gte" in request.url else PEOPLE, "employment": PEOPLE, "department": 10}[kind]
        start = number(request.url, "offset")
        rows = b",".join(getattr(self, kind)(n) for n in range(start, min(start + 100, total)))
        return Response(200, {}, b'{"status": "success", "total": %d, "data": [%s]}' % (total, rows))
    def employee(self, n):
        names = b'"firstName": "Zo\\xc3\\xab", "workEmail": "p%d@example.com"' % n
        ids = b'"departmentId": "d%d", "managerEmployeeId": "e%08d"' % (n % 10, n // 10)
        return b'{"id": "e%08d", "active": true, %s, %s, "updated": %s}' % (n, names, ids, TIME)
    def employment(self, n):
        return b'{"id": "m%08d", "employeeId": "e%08d", "startDate": "2020-01-01", "endDate": null}' % (n, n)
    def department(self, n): return b'{"id": "d%d", "name": "Sales %d"}' % (n, n)

asyncio.run(read(Simulated(), Wanted(frozenset({"mail", "department", "employeeHireDate", "manager"}), frozenset())))
"""
)

OKTA = (
    SIMULATED
    + """
TABLE, CHECKED = "type = 'okta'\\nurl = 'https://example.okta.com'\\n", None

class Simulated:
    '''An organisation of any size that makes up each page when it is asked for.'''
    async def __call__(self, request):
        path, start = request.url.partition("/api/v1/")[2].partition("?")[0], number(request.url, "after")
        first, total = 0, 0 if "filter=" in request.url else PEOPLE
        if path == "groups":
            total = -(-PEOPLE // 1000)
        elif path.startswith("groups/"):
            first = int(path.split("/")[1][1:]) * 1000
            total = min(1000, PEOPLE - first)
        one = self.group if path == "groups" else self.user
        end = min(start + 200, total)
        rows = b",".join(one(first + n) for n in range(start, end))
        link = '<https://example.okta.com/api/v1/%s?after=%d>; rel="next"' % (path, end)
        return Response(200, {"link": link} if end < total else {}, b"[%s]" % rows)
    def user(self, n):
        names = b'"login": "p%d@example.com", "email": "p%d@example.com", "managerId": "u%08d"' % (n, n, n // 10)
        return b'{"id": "u%08d", "status": "ACTIVE", "lastUpdated": %s, "profile": {%s}}' % (n, TIME, names)
    def group(self, n):
        return b'{"id": "g%d", "lastMembershipUpdated": %s, "profile": {"name": "g%d"}}' % (n, TIME, n)

WANTED = Wanted(frozenset({"mail", "manager"}), frozenset({"displayName"}), groups=True, memberships=True)
asyncio.run(read(Simulated(), WANTED))
"""
)


@pytest.mark.parametrize(
    ("program", "read"),
    [
        pytest.param(ALEXISHR, [PEOPLE, 0, 0, 0], id="alexishr, with its employments"),
        pytest.param(OKTA, [PEOPLE, PEOPLE, 0, PEOPLE], id="okta, with its groups"),
    ],
)
def test_a_system_of_any_size_is_read_in_the_memory_of_a_few_pages(
    program: str, read: list[int], tmp_path: Path
) -> None:
    *shown, peak_kib = weighed(program, PEOPLE, tmp_path)
    assert shown == read
    assert peak_kib <= MEMORY_MAX_KIB
