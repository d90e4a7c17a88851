"""A temporary directory that is full, or not there, makes a reading incomplete and ends no cycle with a traceback."""

from __future__ import annotations

import resource
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

import orjson
import pytest

from reconciler.net.client import Client, Lane
from reconciler.ports import Request, Response, Wanted
from reconciler.sources.graph_spool import spooled
from reconciler.sources.graph_wire import Unreadable
from reconciler.sources.scim import ScimSource
from tests.net.doubles import LoopClock, SetDice
from tests.servers.graph import GraphServer
from tests.sources.contract import look, read
from tests.sources.graph_tenant import Office

GROUPS, USERS = 60, 2000
NO_ROOM = "is there room in the temporary directory?"


@contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    """Let no file grow beyond so many bytes, as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


async def test_a_tenant_is_not_read_where_nothing_can_be_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    async with GraphServer() as server:
        office = Office(server)
        await office.hire("ann")
        await office.found("crew", "ann")
        with monkeypatch.context() as patch:
            patch.setattr(tempfile, "tempdir", "/nowhere")
            seen = await look(office)
        assert {part: end.complete for part, end in seen.ends.items()} == dict.fromkeys(seen.ends, False)
        assert NO_ROOM in seen.ends["user"].problems[0]
        assert (await look(office)).complete


def test_what_a_round_says_and_nothing_can_hold_is_no_round() -> None:
    with files_of_at_most(100_000), spooled() as spool, pytest.raises(Unreadable, match="room"):
        for _ in range(10):
            spool.put("ann", b"x" * 50_000)


async def test_memberships_that_nothing_can_hold_are_not_known() -> None:
    async def answers(request: Request) -> Response:
        _, _, asked = request.url.partition("/v2/")
        if asked.startswith("Users/"):
            return Response(200, {}, orjson.dumps({"id": asked.partition("/")[2].partition("?")[0]}))
        shown: list[dict[str, object]] = []
        if "startIndex=1&" in f"{asked}&":
            if asked.startswith("Groups"):
                shown = [{"id": f"g{n}", "displayName": "g"} for n in range(GROUPS)]
            elif asked.startswith("Users"):
                of = [{"value": f"g{n}"} for n in range(GROUPS)]
                shown = [{"id": f"u{n}", "groups": of} for n in range(USERS)]
        total = GROUPS if asked.startswith("Groups") else USERS
        return Response(200, {}, orjson.dumps({"totalResults": total, "Resources": shown}))

    client = Client(answers, LoopClock(), SetDice(), lane=Lane(1, None))
    one = ScimSource("app", url="https://x/v2", client=client, clock=LoopClock(), members_from="users")
    wanted = Wanted(frozenset(), frozenset(), users=False, memberships=True)
    with files_of_at_most(100_000):
        seen = await read(one, wanted)
    assert not seen.complete and NO_ROOM in seen.ends["memberships"].problems[0]
    seen = await read(one, wanted)
    assert seen.complete and {len(group.members) for group in seen.members.values()} == {USERS}
