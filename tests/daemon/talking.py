"""A daemon in this process with a real control socket, and somebody who speaks to it."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import aiohttp
import anyio
import anyio.lowlevel
import orjson

from reconciler.runtime.clock import SystemClock
from reconciler.runtime.control import Control
from reconciler.runtime.desk import Desk
from reconciler.runtime.door import open_door
from reconciler.runtime.metrics import Metrics
from reconciler.runtime.peers import People, Rights
from reconciler.runtime.service import Service
from tests.cycles.company import Company
from tests.daemon.office import FailingStore, Office, opened

ALL_RIGHTS = Rights(People(), People(), os.geteuid())


@dataclass(frozen=True, slots=True)
class Talk:
    """Speaks to the daemon."""

    path: Path
    office: Office
    service: Service
    session: aiohttp.ClientSession
    control: Control

    @property
    def connections(self) -> int:
        """Return how many connections the daemon keeps."""
        return self.control.connections

    async def __call__(self, method: str, path: str, **body: Any) -> tuple[int, Any]:
        """Return status and JSON of an answer."""
        sent = orjson.dumps(body) if body else None
        async with self.session.request(method, f"http://r{path}", data=sent) as answer:
            return answer.status, orjson.loads(await answer.read())

    async def raw(self, *sent: bytes, end: bool = True) -> bytes:
        """Send bytes as they are; return everything that comes back until the daemon closes."""
        reader, writer = await asyncio.open_unix_connection(self.path)
        try:
            for data in sent:
                writer.write(data)
                await writer.drain()
            if end:
                writer.write_eof()
            return await reader.read()
        except ConnectionError:
            return b""
        finally:
            writer.close()

    async def idle(self) -> None:
        """Wait until a cycle has ended and none runs."""
        with self.service.events.listen() as listener:
            while self.service.ended("app") is None:
                await listener.next()
        await self.service.until_idle("app")


@asynccontextmanager
async def talking(
    company: Company, rights: Rights = ALL_RIGHTS, kind: type[FailingStore] = FailingStore
) -> AsyncIterator[Talk]:
    with TemporaryDirectory() as directory:
        path = Path(directory, "control.sock")
        os.chmod(directory, 0o755)  # noqa: PTH101  # because others come in, too
        async with opened(company, kind) as office:
            service = office.service()
            desk = Desk(service, office.store, office.clock)
            clock, door = SystemClock(), open_door(path, None)
            metrics = Metrics(office.clock)
            service.events.give(metrics.take)
            control = Control(door, rights, service, desk, office.store, clock, "config.toml", metrics)
            connector = aiohttp.UnixConnector(str(path))
            async with aiohttp.ClientSession(connector=connector) as session, anyio.create_task_group() as tasks:
                tasks.start_soon(control.serve)
                tasks.start_soon(service.run, office.signals)
                await service.started.wait()
                yield Talk(path, office, service, session, control)
                await office.told.send(signal.SIGTERM)
                while not service.over:
                    await anyio.lowlevel.checkpoint()
                tasks.cancel_scope.cancel()
            assert os.listdir(directory) == ["control.sock.lock"], "the socket is taken away at the end"  # noqa: PTH208
