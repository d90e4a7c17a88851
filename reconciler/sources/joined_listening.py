"""Listens to the parts of a joined source as if they were one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping

from reconciler.errors import NotAnnounced
from reconciler.ports import Announcing, Source


async def changes(joined: str, parts: Mapping[str, Source]) -> AsyncGenerator[None, None]:
    """Yield what `ports.Announcing.changes` promises, of all the parts that announce anything.

    All of them are heard or none is, so that nobody relies on what would be missed.
    """
    announcing = {name: part for name, part in parts.items() if isinstance(part, Announcing)}
    if not announcing:
        raise NotAnnounced(f"{joined}: none of its parts announces anything: set announced = false")
    told: asyncio.Queue[str | asyncio.Task[None]] = asyncio.Queue()
    listeners = [asyncio.create_task(_heard(name, part, told)) for name, part in announcing.items()]
    for listener in listeners:
        listener.add_done_callback(told.put_nowait)
    begun: set[str] = set()
    try:
        while True:
            match await told.get():
                case asyncio.Task() as ended:
                    ended.result()
                    raise NotAnnounced(f"{joined}: a part stopped announcing changes without a reason")
                case name:
                    waited = begun < announcing.keys()
                    begun.add(name)
                    if not waited or begun == announcing.keys():
                        yield
    finally:
        for listener in listeners:
            listener.cancel()
        await asyncio.gather(*listeners, return_exceptions=True)


async def _heard(name: str, part: Announcing, told: asyncio.Queue[str | asyncio.Task[None]]) -> None:
    """Pass on what a part announces, until it announces no more: raises NotAnnounced, with its name."""
    heard = part.changes()
    try:
        async for _ in heard:
            told.put_nowait(name)
    except NotAnnounced as error:
        raise NotAnnounced(f"{name}: {error}") from error
    finally:
        if isinstance(heard, AsyncGenerator):
            await heard.aclose()
