"""What the double shows of its resources, and in which pages, as the servers do that have each quirk."""

from __future__ import annotations

from tests.servers.asking import Asking
from tests.servers.quirks import Quirks
from tests.servers.schemas import ENTERPRISE, GROUP, USER
from tests.servers.scim import ScimServer


async def test_cursors_lead_through_the_list_once_and_are_not_taken_with_anything_else() -> None:
    async with ScimServer(Quirks(cursors="only", cursor_expires=3)) as server, Asking(server) as ask:
        for n in range(5):
            server.put("user", schemas=[USER], userName=f"p{n}")
        first = await ask("GET", "/Users?cursor=&count=2")
        cursor = first.body["nextCursor"]
        second = await ask("GET", f"/Users?cursor={cursor}&count=2")
        assert [row["userName"] for row in (*first.rows, *second.rows)] == ["p0", "p1", "p2", "p3"]
        assert (await ask("GET", f"/Users?cursor={cursor}&count=3")).scim_type == "invalidCount"
        assert (await ask("GET", "/Users?cursor=nonsense&count=2")).scim_type == "invalidCursor"
        assert (await ask("GET", "/Users?startIndex=1&count=2")).status == 501
        expired = (await ask("GET", "/Users?cursor=&count=2")).body["nextCursor"]
        assert (await ask("GET", f"/Users?cursor={expired}&count=2")).scim_type == "expiredCursor"
        last = await ask("GET", f"/Users?cursor={second.body['nextCursor']}&count=2")
        assert "nextCursor" not in last.body
        server.quirks = Quirks()
        assert (await ask("GET", "/Users?cursor=")).status == 501


async def test_lists_lie_about_their_rows() -> None:
    async with ScimServer(Quirks(hides_rows=2, total_grows=True)) as server, Asking(server) as ask:
        for n in range(5):
            server.put("user", schemas=[USER], userName=f"p{n}")
        answers = [await ask("GET", "/Users") for _ in range(2)]
        assert [(len(one.rows), one.body["totalResults"]) for one in answers] == [(3, 6), (3, 7)]


async def test_attributes_are_left_out_or_not_to_be_asked_for() -> None:
    quirks = Quirks(not_selected=("title",), selection_refused_for=(ENTERPRISE,), no_last_modified=True)
    async with ScimServer(quirks) as server, Asking(server) as ask:
        server.put("user", schemas=[USER], userName="ann", title="Chief")
        assert (await ask("GET", "/Users")).rows[0]["title"] == "Chief"
        selected = (await ask("GET", "/Users?attributes=title,userName,meta")).rows[0]
        assert "title" not in selected and "lastModified" not in selected["meta"]
        assert (await ask("GET", f"/Users?attributes={ENTERPRISE}:department")).status == 400


async def test_members_are_shown_in_part_elsewhere_or_not_in_lists() -> None:
    quirks = Quirks(no_members_in_list=True, members_shown_max=1, users_show_groups=True)
    async with ScimServer(quirks) as server, Asking(server) as ask:
        ids = [server.put("user", schemas=[USER], userName=name) for name in ("ann", "bob")]
        crew = server.put("group", schemas=[GROUP], displayName="Crew", members=[{"value": one} for one in ids])
        assert "members" not in (await ask("GET", "/Groups")).rows[0]
        assert len((await ask("GET", f"/Groups/{crew}")).body["members"]) == 1
        (group,) = (await ask("GET", f"/Users/{ids[1]}")).body["groups"]
        assert (group["value"], group["type"]) == (crew, "direct")
