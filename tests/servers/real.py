"""Starts SCIM servers that nobody here wrote, each in a process of its own: scim2-server from PyPI, scimmy from npm."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType

from tests.servers.scim2_app import EMPTY_PATH

START_SECONDS_MAX = 60.0
STOP_SECONDS_MAX = 10.0
_HERE = Path(__file__).parent
_NODE_MODULES = Path(sys.prefix) / "scimmy"
"""Where `make scimmy` puts what npm brings: beside what pip brings, in the same environment."""


class RealScimServer:
    """A server on 127.0.0.1, from `start` to `stop`. Never under virtual time: it lives in another process.

    `command` gives what to run for the number of a listening socket; it serves SCIM below /v2, and forgets everything
    on a POST to /empty.
    """

    def __init__(
        self,
        name: str,
        command: Callable[[int], Sequence[str | Path]],
        token: str = "real-token",
        *,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.name, self.token = name, token
        self.url = ""
        self._environment = dict(environment or {})
        self._command = command
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Return when the server answers. The socket listens before the process starts, so nothing is polled."""
        with socket.create_server(("127.0.0.1", 0)) as listening:
            self.url = f"http://127.0.0.1:{listening.getsockname()[1]}/v2"
            self._process = subprocess.Popen(
                self._command(listening.fileno()),
                cwd=_HERE.parents[1],
                env={**os.environ, "SCIM_TOKEN": self.token, **self._environment},
                pass_fds=[listening.fileno()],
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
            )
        try:
            asked = urllib.request.Request(f"{self.url}/ServiceProviderConfig")
            asked.add_header("Authorization", f"Bearer {self.token}")
            urllib.request.urlopen(asked, timeout=START_SECONDS_MAX).close()
        except (urllib.error.URLError, OSError) as error:
            said = self.stop()
            raise RuntimeError(f"{self.name} did not start: {error}\n{said}") from error

    def empty(self) -> None:
        """Make the server forget every user and group."""
        place = self.url.removesuffix("/v2") + EMPTY_PATH
        urllib.request.urlopen(urllib.request.Request(place, method="POST"), timeout=STOP_SECONDS_MAX).close()

    def stop(self) -> str:
        """End the process; return what it wrote to stderr."""
        process, self._process = self._process, None
        if process is None:
            return ""
        process.terminate()
        try:
            _, said = process.communicate(timeout=STOP_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            process.kill()
            _, said = process.communicate()
        return said.decode(errors="replace")

    async def __aenter__(self) -> RealScimServer:
        self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def scim2_server(people: int = 0) -> RealScimServer:
    """Return scim2-server, not started; it begins with so many users."""
    return RealScimServer(
        "scim2-server",
        lambda number: [sys.executable, "-m", "tests.servers.scim2_app", str(number)],
        environment={"SCIM_PEOPLE": str(people)},
    )


def scim2_server_by_cursor() -> RealScimServer:
    """Return scim2-server as it pages by cursor, not started."""
    program = "tests.servers.scim2_app"
    return RealScimServer("scim2-server", lambda number: [sys.executable, "-m", program, str(number), "cursors"])


def scimmy() -> RealScimServer:
    """Return scimmy, not started."""
    program = _HERE / "scimmy/server.mjs"
    return RealScimServer("scimmy", lambda number: ["node", program, _NODE_MODULES, str(number)])


def why_no_scimmy() -> str | None:
    """Return what is missing on this machine; None where nothing is."""
    if shutil.which("node") is None:
        return "node is not installed (make packages)"
    if not (_NODE_MODULES / "node_modules").is_dir():
        return "scimmy is not installed (make scimmy)"
    return None
