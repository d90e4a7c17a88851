"""Starts the real scim2-server from PyPI under uvicorn, in a process of its own."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path
from types import TracebackType

from tests.servers.scim2_app import EMPTY_PATH

START_SECONDS_MAX = 60.0
STOP_SECONDS_MAX = 10.0


class RealScimServer:
    """scim2-server on 127.0.0.1, from `start` to `stop`. Never under virtual time: it lives in another process."""

    def __init__(self, token: str = "real-token") -> None:
        self.token = token
        self.url = ""
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Return when the server answers. The socket listens before the process starts, so nothing is polled."""
        with socket.create_server(("127.0.0.1", 0)) as listening:
            self.url = f"http://127.0.0.1:{listening.getsockname()[1]}/v2"
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.servers.scim2_app", str(listening.fileno())],
                cwd=Path(__file__).parents[2],
                env={**os.environ, "SCIM_TOKEN": self.token},
                pass_fds=[listening.fileno()],
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
            )
        try:
            urllib.request.urlopen(f"{self.url}/ServiceProviderConfig", timeout=START_SECONDS_MAX).close()
        except (urllib.error.URLError, OSError) as error:
            said = self.stop()
            raise RuntimeError(f"scim2-server did not start: {error}\n{said}") from error

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
