"""Starts a SCIM server that others wrote, on this machine only, and stops it with its memory written down."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import os
import secrets
import socket
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from reconciler.errors import ConfigError, Problem

ACCOUNTS_FILE = "server.json"
PORT_FILE = "server.port"
TOKEN_FILE = "server.token"  # noqa: S105  # the name of the file, not what is in it
READY = "ready\n"

_STOP_SECONDS = 20.0


class DemoServer:
    """scim2-server under uvicorn in a process of its own, from `async with` to its end.

    What it knows is kept in `directory`: its port, its token (in a file that only the owner can read) and, when it
    stops, its users and groups. So it can be started again there, and ids, URL and token are what they were.
    """

    def __init__(self, directory: Path, *, accounts: Sequence[Mapping[str, Any]] = ()) -> None:
        """`accounts` are the SCIM users that it has when it is started in this directory for the first time."""
        self._directory = directory
        self._accounts = accounts
        self._process: asyncio.subprocess.Process | None = None
        self.token_file = directory / TOKEN_FILE
        self.token = ""
        self.url = ""

    async def __aenter__(self) -> DemoServer:
        """Return when requests can be sent; raises ConfigError where packages are missing or the port is taken."""
        for package in ("scim2_server", "uvicorn"):
            if importlib.util.find_spec(package) is None:
                raise ConfigError(
                    Problem("demo", f"the package {package} is not installed", "pip install 'reconciler[demo]'")
                )
        self.token = self._token()
        with self._listen() as listening:
            port = listening.getsockname()[1]
            (self._directory / PORT_FILE).write_text(f"{port}\n")
            self._write_first_accounts()
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "reconciler.demo.application",
                str(listening.fileno()),
                str(self._directory),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                pass_fds=[listening.fileno()],
                start_new_session=True,  # Ctrl-C reaches us only: we stop it when the cycle has ended
            )
        self.url = f"http://127.0.0.1:{port}/v2"
        assert self._process.stdout is not None
        if await self._process.stdout.readline() != READY.encode():
            await self._process.wait()
            raise ConfigError(Problem("demo", "the SCIM server did not start", "it says why above"))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Let it finish what it is doing and write down its users and groups."""
        process, self._process = self._process, None
        if process is None:
            return
        assert process.stdin is not None
        process.stdin.close()
        try:
            await asyncio.wait_for(process.wait(), _STOP_SECONDS)
        except TimeoutError:
            process.kill()
            await process.wait()

    @property
    def process_id(self) -> int | None:
        return self._process.pid if self._process else None

    async def ended(self) -> None:
        """Return when the server has stopped by itself, or because somebody else stopped it."""
        if self._process:
            await self._process.wait()

    def _token(self) -> str:
        if self.token_file.exists():
            return self.token_file.read_text("utf-8").strip()
        token = secrets.token_urlsafe(32)
        descriptor = os.open(self.token_file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with open(descriptor, "w") as file:  # noqa: PTH123  # Path cannot create a file that only its owner can read
            file.write(f"{token}\n")
        return token

    def _listen(self) -> socket.socket:
        """Return a socket on the port that it had before, or on a free one."""
        remembered = self._directory / PORT_FILE
        port = int(remembered.read_text()) if remembered.exists() else 0
        try:
            return socket.create_server(("127.0.0.1", port))
        except OSError as error:
            raise ConfigError(
                Problem(
                    str(remembered),
                    f"the server cannot listen on port {port}: {error.strerror}",
                    "is it running already? else remove the file, and write the new port in config.toml",
                )
            ) from error

    def _write_first_accounts(self) -> None:
        path = self._directory / ACCOUNTS_FILE
        if self._accounts and not path.exists():
            path.write_text(json.dumps(list(self._accounts), ensure_ascii=False, indent=1), "utf-8")
