"""What a real slapd says by itself when something changes."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from reconciler.errors import NotAnnounced
from tests.servers.slapd import BASE, Slapd, group, person, running_slapd, team, user
from tests.sources.hearing import SOON_SECONDS, Listener, listening_to
from tests.sources.looking import read
from tests.sources.slapd_scene import ALL, reading


@pytest.fixture
def slapd(tmp_path: Path) -> Iterator[Slapd]:
    people = [user(name) for name in ("ann", "bob", "cleo")]
    with running_slapd(tmp_path / "slapd", [*people, group("crew", [person("ann")])]) as server:
        yield server


@asynccontextmanager
async def listening(slapd: Slapd) -> AsyncIterator[Listener]:
    async with listening_to(reading(slapd)) as listener:
        yield listener


CHANGES: dict[str, Callable[[Slapd], None]] = {
    "an attribute": lambda slapd: slapd.set(person("ann"), displayName="Anna"),
    "somebody new": lambda slapd: slapd.add(user("dan")),
    "somebody deleted": lambda slapd: slapd.delete(person("bob")),
    "another name": lambda slapd: slapd.rename(person("bob"), "uid=robert"),
    "somebody moved away": lambda slapd: slapd.rename(person("bob"), "uid=bob", f"ou=left,{BASE}"),
    "a member more": lambda slapd: slapd.join("crew", person("bob")),
    "a new team": lambda slapd: slapd.add(group("band", [person("ann")])),
    "a team disbanded": lambda slapd: slapd.delete(team("crew")),
}


@pytest.mark.parametrize("what", CHANGES)
async def test_a_change_is_announced(slapd: Slapd, what: str) -> None:
    async with listening(slapd) as listener:
        CHANGES[what](slapd)
        await listener.told()


async def test_each_change_is_announced_in_its_time(slapd: Slapd) -> None:
    async with listening(slapd) as listener:
        for number in range(5):
            slapd.set(person("ann"), displayName=f"Ann {number}")
            await listener.told()


async def test_what_is_elsewhere_is_not_announced(slapd: Slapd) -> None:
    async with listening(slapd) as listener:
        slapd.add((f"ou=more,ou=left,{BASE}", {"objectClass": ["organizationalUnit"], "ou": ["more"]}))
        next_one = asyncio.ensure_future(listener.told())
        done, _ = await asyncio.wait([next_one], timeout=1.5)
        assert not done
        slapd.set(person("ann"), displayName="Anna")
        await next_one


async def test_listening_asks_for_nobody(slapd: Slapd) -> None:
    slapd.limit_reader("size=1 time=unlimited")
    async with listening(slapd) as listener:
        slapd.set(person("ann"), displayName="Anna")
        await listener.told()


async def test_a_directory_that_ends_is_an_end_with_a_reason(slapd: Slapd) -> None:
    async with listening(slapd) as listener:
        slapd.stop()
        with pytest.raises(NotAnnounced, match="search ldap"):
            await listener.told()
    with pytest.raises(NotAnnounced, match=r"is 127\.0\.0\.1 running"):
        await Listener(reading(slapd)).told()
    slapd.start()
    async with listening(slapd) as listener:
        slapd.set(person("ann"), displayName="Anna")
        await listener.told()


async def test_a_directory_without_syncprov_says_what_it_lacks(tmp_path: Path) -> None:
    with (
        running_slapd(tmp_path / "plain", [user("ann")], session_log="", syncprov=False) as plain,
        pytest.raises(NotAnnounced, match="overlay syncprov"),
    ):
        await Listener(reading(plain)).told()


async def test_who_listens_no_more_leaves_no_thread_behind(slapd: Slapd) -> None:
    async with listening(slapd):
        assert any(thread.name.startswith("ldap-listening") for thread in threading.enumerate())
    for thread in threading.enumerate():
        if thread.name.startswith("ldap-listening"):
            thread.join(SOON_SECONDS)
            assert not thread.is_alive()


async def test_a_reading_goes_on_beside_it(slapd: Slapd) -> None:
    async with listening(slapd) as listener:
        opened = reading(slapd)
        try:
            assert (await read(opened, ALL)).complete
            slapd.set(person("ann"), displayName="Anna")
            await listener.told()
            assert (await read(opened, ALL)).complete
        finally:
            await opened.close()
