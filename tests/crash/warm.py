"""The warm process that runs the victims, as a test speaks to it."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import orjson

from tests.crash.victim import Kill, Outcome, Run

CYCLE = ("cycle", "app")
ROOT = Path(__file__).parents[2]


class Victims(Protocol):
    """Runs a command until it ends, or to its death."""

    async def command(self, words: Sequence[str], config: Path, kill: Kill | None = None) -> Outcome: ...


class WarmProcess:
    """Runs one command at a time, while the test's own loop goes on (and serves the target)."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.crash.victim"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=ROOT,
            # Nothing here speaks TLS, and to read the machine's authorities takes as long as a small cycle.
            env={**os.environ, "SSL_CERT_FILE": os.devnull},
        )

    async def cycle(
        self,
        config: Path,
        kill: Kill | None = None,
        *,
        file_bytes_max: int | None = None,
        noted: bool = False,
    ) -> Outcome:
        """Run `reconciler cycle app`."""
        return await self.command(CYCLE, config, kill, file_bytes_max=file_bytes_max, noted=noted)

    async def command(
        self,
        words: Sequence[str],
        config: Path,
        kill: Kill | None = None,
        *,
        file_bytes_max: int | None = None,
        noted: bool = False,
    ) -> Outcome:
        return await self.run(Run((*words, "-c", str(config), "--json"), kill, file_bytes_max, noted))

    async def run(self, run: Run) -> Outcome:
        assert self._process.stdin is not None
        self._process.stdin.write(orjson.dumps(run) + b"\n")
        self._process.stdin.flush()
        return await asyncio.get_running_loop().run_in_executor(None, self._answer)

    def _answer(self) -> Outcome:
        assert self._process.stdout is not None
        return Outcome(**orjson.loads(self._process.stdout.readline()))

    def stop(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()
