"""Processes of their own that are killed: each starts as a command does, and is not the fork of anything."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import orjson

from tests.commands.shell import environment
from tests.crash.victim import PLACES, Kill, Outcome
from tests.crash.warm import ROOT

RUN = ("run",)
"""The daemon: it runs until its first cycle is over, if it is not killed before."""
_NOWHERE = Kill("commit", "before", 0)
_DEADLINE_SECONDS = 120.0


class ColdProcesses:
    """Starts a process for each command."""

    async def command(self, words: Sequence[str], config: Path, kill: Kill | None = None) -> Outcome:
        daemon = tuple(words) == RUN
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tests.crash.victim", orjson.dumps(kill or _NOWHERE).decode()),
            *(*words, "-c", str(config), *(() if daemon else ("--json",))),
            cwd=ROOT,
            env=environment({"SSL_CERT_FILE": os.devnull}),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            out, err = await asyncio.wait_for(
                _until_a_cycle_ends(process) if daemon else process.communicate(), _DEADLINE_SECONDS
            )
        finally:
            if process.returncode is None:
                process.kill()
        code = await process.wait()
        killed = code == -signal.SIGKILL
        return Outcome(
            process.pid, killed, -1 if killed else code, out.decode(), err.decode(), dict.fromkeys(PLACES, 0)
        )


async def _until_a_cycle_ends(process: asyncio.subprocess.Process) -> tuple[bytes, bytes]:
    """Tell a daemon to end after its first cycle; return what it wrote."""
    assert process.stderr is not None
    told = b""
    while line := await process.stderr.readline():
        told += line
        if line.startswith(b"{") and orjson.loads(line).get("event") == "cycle.finished":
            with suppress(ProcessLookupError):
                os.kill(process.pid, signal.SIGTERM)  # asyncio's own would take the exit code of who is dead already
    await process.wait()
    return b"", told
