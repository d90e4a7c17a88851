"""`reconciler run` as a process of its own, followed by what it logs."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path
from types import TracebackType
from typing import Any

import orjson

from tests.commands.shell import ColdShell, Shell

DEADLINE_SECONDS = 45.0


class Daemon:
    """The daemon, within `async with`; at its end it is killed if it still runs."""

    shell: type[ColdShell] = Shell

    def __init__(self, directory: Path, *options: str, **environment: str) -> None:
        self.lines: list[str] = []
        """What it wrote to stderr so far."""
        self._shell, self._options = self.shell(directory, **environment), options
        self._read = 0

    async def __aenter__(self) -> Daemon:
        self._process = await self._shell.start("run", *self._options)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process.returncode is None:
            self._process.kill()
            await self._process.communicate()

    @property
    def pid(self) -> int:
        return self._process.pid

    async def event(self, name: str, **fields: Any) -> dict[str, Any]:
        """Return the next event of this name and these fields; those before it are passed over."""
        return await asyncio.wait_for(self._next(name, fields), DEADLINE_SECONDS)

    async def next_event(self) -> dict[str, Any]:
        """Return the next event, whatever it is."""
        return await asyncio.wait_for(self._next(None, {}), DEADLINE_SECONDS)

    def send(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    async def ended(self) -> int:
        """Return its exit code when it has ended."""
        assert self._process.stderr is not None
        rest = await asyncio.wait_for(self._process.stderr.read(), DEADLINE_SECONDS)
        self.lines += rest.decode().splitlines()
        return await asyncio.wait_for(self._process.wait(), DEADLINE_SECONDS)

    async def stop(self) -> int:
        self.send(signal.SIGTERM)
        return await self.ended()

    def events(self) -> list[dict[str, Any]]:
        """Return every line so far; fails where one is not a JSON object."""
        return [orjson.loads(line) for line in self.lines]

    async def _next(self, name: str | None, fields: dict[str, Any]) -> dict[str, Any]:
        while True:
            while self._read < len(self.lines):
                event: dict[str, Any] = orjson.loads(self.lines[self._read])
                self._read += 1
                if name in (None, event["event"]) and all(event.get(key) == value for key, value in fields.items()):
                    return event
            assert self._process.stderr is not None
            line = await self._process.stderr.readline()
            assert line, f"the daemon ended without {name} {fields}:\n" + "\n".join(self.lines)
            self.lines.append(line.decode().rstrip("\n"))


class ColdDaemon(Daemon):
    """Started as a user starts it: with Python and everything that it imports."""

    shell = ColdShell
