"""Processes forked from one that has imported `reconciler`: starting and importing is most of what a command takes.

    python -m tests.commands.warm DESCRIPTOR

What is forked is a process of its own, with its own arguments, directory, environment, streams, signals and end. Who
starts `python -m reconciler` (`ColdShell` does) walks the whole way, imports included.
"""

from __future__ import annotations

import asyncio
import gc
import importlib
import os
import pkgutil
import selectors
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import orjson

ROOT = Path(__file__).parents[2]
REQUEST_BYTES_MAX = 1 << 18


class Running:
    """A forked command, with what `asyncio.subprocess.Process` has of it."""

    def __init__(self, pid: int, channel: socket.socket) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self.stdin: asyncio.StreamWriter | None = None
        self.stdout: asyncio.StreamReader | None = None
        self.stderr: asyncio.StreamReader | None = None
        self._channel = channel
        self._end = asyncio.get_running_loop().create_task(self._wait())

    async def _wait(self) -> int:
        status = await asyncio.get_running_loop().sock_recv(self._channel, 16)
        self._channel.close()
        self.returncode = os.waitstatus_to_exitcode(int(status))
        return self.returncode

    async def wait(self) -> int:
        """Return the exit code when it has ended."""
        return await asyncio.shield(self._end)

    async def communicate(self, given: bytes | None = None) -> tuple[bytes, bytes]:
        """Write everything, read everything, and wait for the end."""
        out, err, _ = await asyncio.gather(_read(self.stdout), _read(self.stderr), self._write(given or b""))
        await self.wait()
        return out, err

    async def _write(self, given: bytes) -> None:
        assert self.stdin is not None
        with suppress(BrokenPipeError, ConnectionResetError):  # it did not want to know
            self.stdin.write(given)
            await self.stdin.drain()
        self.stdin.close()

    def send_signal(self, number: int) -> None:
        """Send a signal to one that has not ended."""
        if self.returncode is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


async def _read(stream: asyncio.StreamReader | None) -> bytes:
    return b"" if stream is None else await stream.read()


class WarmParent:
    """The process that forks, as tests speak to it: one for each process of tests, from the first command on."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            # it ends when this process does, for then its end of the pair is closed
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.commands.warm", str(theirs.fileno())],
                cwd=ROOT,
                env=dict(environment),
                stdin=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
            )

    async def start(
        self, arguments: Sequence[str], directory: Path, environment: Mapping[str, str], stderr: int
    ) -> Running:
        """Fork a command; `stderr` is subprocess.PIPE or a descriptor."""
        request = orjson.dumps({"arguments": arguments, "directory": str(directory), "environment": environment})
        (stdin, to_stdin), (from_stdout, stdout) = os.pipe(), os.pipe()
        from_stderr, theirs = os.pipe() if stderr == subprocess.PIPE else (None, os.dup(stderr))
        channel, channel_theirs = socket.socketpair()
        channel.setblocking(False)
        given = [stdin, stdout, theirs, channel_theirs.detach()]
        socket.send_fds(self._control, [request], given)
        for descriptor in given:
            os.close(descriptor)
        loop = asyncio.get_running_loop()
        running = Running(int(await loop.sock_recv(channel, 16)), channel)
        running.stdin = await _writer(to_stdin)
        running.stdout = await _reader(from_stdout)
        running.stderr = None if from_stderr is None else await _reader(from_stderr)
        return running


async def _reader(descriptor: int) -> asyncio.StreamReader:
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(descriptor, "rb", 0)
    )
    return reader


async def _writer(descriptor: int) -> asyncio.StreamWriter:
    loop = asyncio.get_running_loop()
    transport, protocol = await loop.connect_write_pipe(
        asyncio.streams.FlowControlMixin, os.fdopen(descriptor, "wb", 0)
    )
    return asyncio.StreamWriter(transport, protocol, None, loop)


# --- the other process -------------------------------------------------------------------------------------------


def main() -> None:
    """Fork until nobody asks any more; a fork comes out of here, too, and is the command."""
    control = socket.socket(fileno=int(sys.argv[1]))
    control.set_inheritable(False)
    _import_everything()
    if _serve(control):
        from reconciler.cli import main as command  # because only a fork is a command

        command()


def _import_everything() -> None:
    import reconciler  # because tests that speak to this process need none of it

    for module in pkgutil.walk_packages(reconciler.__path__, "reconciler."):
        if not module.name.endswith("__main__"):
            try:
                importlib.import_module(module.name)
            except ModuleNotFoundError as missing:
                if (missing.name or "").startswith("reconciler"):
                    raise
    gc.collect()
    gc.freeze()


def _serve(control: socket.socket) -> bool:
    """Return True in a fork, and False when nobody asks any more."""
    channels: dict[int, socket.socket] = {}
    woken, waking = socket.socketpair()
    waking.setblocking(False)
    signal.set_wakeup_fd(waking.fileno())
    signal.signal(signal.SIGCHLD, lambda *_: None)
    with selectors.DefaultSelector() as selector:
        selector.register(control, selectors.EVENT_READ)
        selector.register(woken, selectors.EVENT_READ)
        while True:
            ready = [key.fileobj for key, _ in selector.select()]
            if woken in ready:
                woken.recv(4096)
                _tell_ends(channels)
            if control not in ready:
                continue
            request, descriptors, _, _ = socket.recv_fds(control, REQUEST_BYTES_MAX, 4)
            if not request:
                return False
            channel = socket.socket(fileno=descriptors.pop())
            if pid := os.fork():
                channels[pid] = channel
                channel.send(str(pid).encode())
                for descriptor in descriptors:
                    os.close(descriptor)
                continue
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            # also where whoever runs the tests in the background has it ignored
            signal.signal(signal.SIGINT, signal.default_int_handler)
            for other in (channel, *channels.values(), control, woken, waking):
                other.close()
            _become(orjson.loads(request), descriptors)
            return True


def _tell_ends(channels: dict[int, socket.socket]) -> None:
    while channels:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if not pid:
            return
        with channels.pop(pid) as channel, suppress(BrokenPipeError):  # the test has ended
            channel.send(str(status).encode())


def _become(request: dict[str, Any], streams: Sequence[int]) -> None:
    for number, descriptor in enumerate(streams):
        os.dup2(descriptor, number)
        os.close(descriptor)
    sys.stdin, sys.stdout = os.fdopen(0, closefd=False), os.fdopen(1, "w", closefd=False)
    sys.stderr = os.fdopen(2, "w", 1, closefd=False)
    os.chdir(request["directory"])
    os.environ.clear()
    os.environ.update(request["environment"])
    time.tzset()
    sys.argv = ["reconciler", *request["arguments"]]


if __name__ == "__main__":
    main()
