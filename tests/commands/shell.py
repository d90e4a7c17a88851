"""Runs `python -m reconciler` as a process of its own, while the test's loop goes on serving."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import orjson

from tests.commands.warm import Running, WarmParent
from tests.servers.faults import Delay, Played
from tests.servers.scim import ScimServer

ROOT = Path(__file__).parents[2]
DEADLINE_SECONDS = 60.0
HANG_SECONDS = 600.0


@dataclass(frozen=True, slots=True)
class Ran:
    """A command that has ended."""

    code: int
    out: str
    err: str

    def json(self) -> Any:
        """Return the one JSON value on stdout; fails where anything else is there."""
        return orjson.loads(self.out)

    def lines(self) -> list[dict[str, Any]]:
        """Return the JSON lines on stdout; fails where anything else is there."""
        return [orjson.loads(line) for line in self.out.splitlines()]


class ColdShell:
    """A place to type commands in: each starts Python and imports what it needs."""

    def __init__(self, directory: Path, **environment: str) -> None:
        self.directory = directory
        self.environment = environment

    async def __call__(self, *arguments: str | Path, stdin: bytes = b"") -> Ran:
        process = await self.start(*arguments)
        out, err = await asyncio.wait_for(process.communicate(stdin), DEADLINE_SECONDS)
        assert process.returncode is not None
        return Ran(process.returncode, out.decode(errors="replace"), err.decode(errors="replace"))

    async def start(
        self, *arguments: str | Path, stderr: int = subprocess.PIPE
    ) -> asyncio.subprocess.Process | Running:
        return await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "reconciler", *arguments),
            cwd=self.directory,
            env=environment(self.environment),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=stderr,
            # in the background of a shell Ctrl-C is ignored, and that is inherited
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )


class Shell(ColdShell):
    """Forks each command from a process that has imported everything, but where the environment steers Python."""

    async def start(
        self, *arguments: str | Path, stderr: int = subprocess.PIPE
    ) -> asyncio.subprocess.Process | Running:
        if any(name.startswith(_STEERING_PYTHON) for name in self.environment):
            return await super().start(*arguments, stderr=stderr)
        words = [str(argument) for argument in arguments]
        return await _warm_parent().start(words, self.directory, environment(self.environment), stderr)


_STEERING_PYTHON = ("PYTHON", "LC_", "LANG", "SSL_")


@cache
def _warm_parent() -> WarmParent:
    return WarmParent(environment({}))


class Hanging:
    """A request that the double lets hang. `await arrived()` returns when it is there."""

    def __init__(
        self,
        server: ScimServer,
        method: str,
        path: str,
        *,
        body: str | None = None,
        seconds: float = HANG_SECONDS,
        done: bool = False,
    ) -> None:
        self._event = asyncio.Event()
        server.script.played = _Played(self._event)
        server.script.on(method, path, body=body, then=Delay(seconds, done=done))

    async def arrived(self) -> None:
        await asyncio.wait_for(self._event.wait(), DEADLINE_SECONDS)


class _Played(list[Played]):
    def __init__(self, event: asyncio.Event) -> None:
        super().__init__()
        self._event = event

    def append(self, played: Played) -> None:
        super().append(played)
        self._event.set()


def environment(more: Mapping[str, str]) -> dict[str, str]:
    """Return this process's environment without what steers reconciler, and with what the test gives."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("RECONCILER_", "STATE_"))}
    return {**kept, "PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "error::ResourceWarning", **more}
