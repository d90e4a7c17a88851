"""What a real Samba domain controller says by itself when something changes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from reconciler.errors import NotAnnounced
from reconciler.ports import Announcing
from tests.servers.samba import ADMIN, ADMIN_PASSWORD, BASE, LEFT, Samba, person
from tests.sources.hearing import Listener, listening_to
from tests.sources.looking import read
from tests.sources.test_active_directory import ALL, SambaScene


@pytest.fixture
def scene(samba: Samba) -> SambaScene:
    for who in ("ann", "bob"):
        samba.hire(who)
    samba.found("crew", person("ann"))
    return SambaScene(samba)


@asynccontextmanager
async def listening(scene: SambaScene) -> AsyncIterator[Listener]:
    source = scene.open()
    assert isinstance(source, Announcing)
    async with listening_to(source) as listener:  # type: ignore[arg-type]  # because an LDAP source has more than a Source
        yield listener


# Samba looks for what it has to announce every five seconds: each change that is waited for takes as long.


async def test_changes_are_announced_to_a_user_who_is_nobody_special(scene: SambaScene) -> None:
    async with listening(scene) as listener:
        scene.samba.set(person("ann"), displayName="Anna")
        await listener.told()
        scene.samba.move(person("bob"), "CN=bob", LEFT)
        await listener.told()


async def test_a_deletion_is_announced_to_who_may_see_it(scene: SambaScene) -> None:
    scene.bind = replace(scene.bind, dn=ADMIN, read_password=lambda: ADMIN_PASSWORD)
    async with listening(scene) as listener:
        scene.samba.delete(person("bob"))
        await listener.told()


async def test_what_is_neither_user_nor_group_is_not_announced(scene: SambaScene) -> None:
    source = scene.open()
    async with listening(scene) as listener:
        scene.samba.set(f"CN=Computers,{BASE}", description="not ours")
        next_one = asyncio.ensure_future(listener.told())
        done, _ = await asyncio.wait([next_one], timeout=6.0)
        assert not done
        assert (await read(source, ALL)).complete, "a reading goes on beside it"
        scene.samba.join("crew", person("bob"))
        await next_one
    await source.close()


async def test_who_may_not_sign_in_hears_why(scene: SambaScene) -> None:
    scene.bind = replace(scene.bind, read_password=lambda: "wrong")
    with pytest.raises(NotAnnounced, match="user name or password is wrong"):
        async with listening(scene):
            raise AssertionError("nobody is listened to")
