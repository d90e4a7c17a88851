"""A temporary directory that is full, or not there, makes a reading incomplete and ends no cycle with a traceback."""

from __future__ import annotations

import resource
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import aclosing, contextmanager
from pathlib import Path
from typing import Any

import orjson
import pytest

from reconciler.core.model import SourceId
from reconciler.dialects.rest import Unreadable as NotRead
from reconciler.net.client import Client, Lane
from reconciler.ports import EntryPage, ReadEnd, Request, Response, Wanted
from reconciler.sources import graph_spool, temporary
from reconciler.sources.graph_wire import Unreadable
from reconciler.sources.rest_joined import Joined
from reconciler.sources.scim import ScimSource
from tests.net.doubles import LoopClock, SetDice
from tests.servers.graph import GraphServer
from tests.sources.contract import look, read
from tests.sources.graph_tenant import Office
from tests.sources.test_joined import Files

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
            patch.setattr(temporary, "_IN_MEMORY_BYTES_MAX", 1)
            patch.setattr(graph_spool, "_BUFFER_BYTES", 1)
            seen = await look(office)
        assert {part: end.complete for part, end in seen.ends.items()} == dict.fromkeys(seen.ends, False)
        assert NO_ROOM in seen.ends["user"].problems[0]
        assert (await look(office)).complete


def test_what_a_round_says_and_nothing_can_hold_is_no_round(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(temporary, "_IN_MEMORY_BYTES_MAX", 1)
    with files_of_at_most(100_000), graph_spool.spooled() as spool, pytest.raises(Unreadable, match="room"):
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


class Directory:
    """A connection to a directory of some thousand people, all of one team."""

    def __init__(self) -> None:
        from reconciler.sources.ldap_wire import Raw

        self.raw = Raw

    def open(self) -> None:
        return None

    def one(self, dn: str, attributes: Sequence[str], text: str = "") -> None:
        return None

    def search(self, base: str, text: str, attributes: Sequence[str], **_: Any) -> Iterator[list[Any]]:
        names = [f"uid=p{n},dc=example" for n in range(USERS)]
        if "group" in text:
            yield [self.raw("cn=all,dc=example", {"entryUUID": [b"all"], "cn": [b"All"], "member": _encoded(names)})]
            return
        for first in range(0, USERS, 1000):
            yield [self.raw(name, {"entryUUID": [name.encode()]}) for name in names[first : first + 1000]]


def _encoded(names: Sequence[str]) -> list[bytes]:
    return [name.encode() for name in names]


def test_names_of_a_directory_that_nothing_can_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("ldap", reason="python-ldap is not installed (make ldap)")
    from reconciler.runtime.clock import SystemClock
    from reconciler.sources import ldap_names
    from reconciler.sources.ldap_generic import GenericDirectory
    from reconciler.sources.ldap_layout import Layout, Place

    monkeypatch.setattr(ldap_names, "_CACHE_KIB", 16)
    layout = Layout(Place("dc=example", "(objectClass=user)"), Place("dc=example", "(objectClass=group)"))
    wire: Any = Directory()
    directory = GenericDirectory(wire, layout, changes="none", clock=SystemClock())
    wanted = Wanted(frozenset(), frozenset(), groups=True, memberships=True)

    def ends() -> Mapping[str, ReadEnd]:
        return {event.part: event for event in directory.read(wanted, None) if isinstance(event, ReadEnd)}

    with files_of_at_most(0):
        found = ends()
    assert {part: end.complete for part, end in found.items()} == dict.fromkeys(("memberships", "user", "group"), False)
    assert all(NO_ROOM in end.problems[0] for end in found.values())
    assert all(end.complete for end in ends().values())


async def test_lists_that_hang_on_people_and_nothing_can_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    from reconciler.sources import rest_joined

    monkeypatch.setattr(rest_joined, "_CACHE_KIB", 16)
    with Joined() as joined, files_of_at_most(0), pytest.raises(NotRead, match="room"):
        for n in range(USERS):
            joined.add("jobs", [(f"u{n}", {"title": "Engineer"})])
        await joined.digest()


@pytest.mark.parametrize("full", ["before", "meanwhile"])
async def test_a_joined_copy_that_nothing_can_hold(tmp_path: Path, full: str) -> None:
    scene = Files(tmp_path)
    people = ["x" * 2000 + str(n) for n in range(1500)]  # more than SQLite keeps of a temporary table in memory
    for who in people:
        await scene.hire(who)
    before = await look(scene)
    assert before.complete
    for who in people:
        await scene.change(who, text="Manager")
    source = scene.open()
    shown, ended = list[SourceId](), dict[str, ReadEnd]()
    try:
        async with aclosing(source.read(scene.wanted, before.token)) as events:  # type: ignore[type-var]  # because it is a generator
            with files_of_at_most(0 if full == "before" else 2**40):
                first = await anext(events)
            with files_of_at_most(0):
                async for event in events:
                    if isinstance(event, ReadEnd):
                        ended[event.part] = event
                    if isinstance(event, EntryPage):
                        shown += [entry.id for entry in event.entries]
    finally:
        await source.close()
    assert isinstance(first, ReadEnd)
    assert not ended["user"].complete and "is there room in" in ended["user"].problems[0], ended
    assert shown == []
    after = await look(scene, before.token)
    assert after.complete and len(after.users) == len(people)
