"""Listens to what a source announces."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from typing import Protocol

SOON_SECONDS = 20.0


class Announces(Protocol):
    """A source that says by itself when something changed."""

    def changes(self) -> AsyncGenerator[None, None]: ...

    async def close(self) -> None: ...


class Listener:
    """Waits for what a source announces."""

    def __init__(self, source: Announces) -> None:
        self._changes = source.changes()

    async def told(self) -> None:
        await asyncio.wait_for(anext(self._changes), SOON_SECONDS)

    async def close(self) -> None:
        await self._changes.aclose()


@asynccontextmanager
async def listening_to(source: Announces) -> AsyncIterator[Listener]:
    """Listen to a source, from when it has said that listening has begun."""
    listener = Listener(source)
    try:
        await listener.told()
        yield listener
    finally:
        await listener.close()
        await source.close()
