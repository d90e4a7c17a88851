"""What systemd is told over a real datagram socket, and what it hands over; the units are judged in test_project."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import anyio
import orjson
import pytest

from reconciler.runtime.desk import Desk
from reconciler.runtime.service import Service
from reconciler.runtime.systemd import Announcer, Systemd, systemd_of
from tests.commands.shell import ROOT, Hanging, Shell, environment
from tests.cycles.company import Company
from tests.daemon.office import MINUTE, FailingStore, Office, opened
from tests.daemon.process import Daemon
from tests.net.doubles import LoopClock
from tests.servers.scim import ScimServer

DEADLINE_SECONDS = 45.0


class Manager:
    """The socket of a service manager, and what came to it."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(address.replace("@", "\0", 1))
        self.socket.setblocking(False)
        self.messages: list[list[str]] = []

    async def message(self, beginning: str) -> list[str]:
        """Return the next message one of whose lines begins so; those before it are passed over."""
        async with asyncio.timeout(DEADLINE_SECONDS):
            while True:
                data = await asyncio.get_running_loop().sock_recv(self.socket, 65536)
                self.messages.append(lines := data.decode().split("\n"))
                if any(line.startswith(beginning) for line in lines):
                    return lines

    def arrived(self) -> list[str]:
        """Return the lines that have come since the last call, without waiting."""
        lines: list[str] = []
        try:
            while True:
                lines += self.socket.recv(65536).decode().split("\n")
        except BlockingIOError:
            return lines


@contextmanager
def managing(address: str) -> Iterator[Manager]:
    manager = Manager(address)
    try:
        yield manager
    finally:
        manager.socket.close()


@pytest.mark.parametrize("abstract", [False, True], ids=["path", "abstract"])
async def test_systemd_hears_of_the_whole_life_of_the_daemon(
    abstract: bool, company: Company, server: ScimServer
) -> None:
    hanging = Hanging(server, "POST", "/Users$", body="cleo@", seconds=1.0)
    address = f"@reconciler-{os.getpid()}" if abstract else str(company.directory / "notify")
    with managing(address) as manager:
        async with Daemon(company.directory, NOTIFY_SOCKET=address, WATCHDOG_USEC="600000") as daemon:
            ready = await manager.message("READY=1")
            assert ready[1].startswith("STATUS=1 job, ")
            assert await manager.message("STATUS=") == ["STATUS=1 job, 1 running, 0 held"]
            await hanging.arrived()
            await manager.message("WATCHDOG=1")
            daemon.send(signal.SIGHUP)
            before = time.clock_gettime(time.CLOCK_MONOTONIC)
            reloading = await manager.message("RELOADING=1")
            assert reloading[1].startswith("MONOTONIC_USEC=")
            assert before - 1 < int(reloading[1].partition("=")[2]) / 1e6 < before + DEADLINE_SECONDS
            assert (await manager.message("READY=1"))[0] == "READY=1", "systemctl reload waits for this"
            await daemon.event("cycle.finished")
            while await manager.message("STATUS=") != ["STATUS=1 job, 0 running, 0 held"]:
                pass
            daemon.send(signal.SIGTERM)
            stopping = await manager.message("STOPPING=1")
            assert stopping == ["STOPPING=1", "STATUS=ending: 1 job, 0 running, 0 held", "EXTEND_TIMEOUT_USEC=30000000"]
            assert await daemon.ended() == 0
    first = [message[0] for message in manager.messages]
    assert first[0] == "EXTEND_TIMEOUT_USEC=30000000", "opening a large state may take its time"
    assert first.index("READY=1") > 0


async def test_a_refused_configuration_ends_the_reload_too(company: Company) -> None:
    address = str(company.directory / "notify")
    with managing(address) as manager:
        async with Daemon(company.directory, NOTIFY_SOCKET=address) as daemon:
            await manager.message("READY=1")
            await daemon.event("cycle.finished")
            (company.directory / "config.toml").write_text("nonsense")
            daemon.send(signal.SIGHUP)
            await manager.message("RELOADING=1")
            await manager.message("READY=1")
            assert await daemon.stop() == 0
    assert not any("WATCHDOG=1" in message for message in manager.messages), "nobody asked for it"


async def test_what_started_it_does_not_listen_any_more(company: Company) -> None:
    async with Daemon(company.directory, NOTIFY_SOCKET=str(company.directory / "gone")) as daemon:
        await daemon.event("systemd.cannot_be_told")
        await daemon.event("cycle.finished")
        assert await daemon.stop() == 0
    assert [event["event"] for event in daemon.events()].count("systemd.cannot_be_told") == 1


def test_what_is_not_meant_for_this_process_is_not_taken(tmp_path: Path) -> None:
    address = str(tmp_path / "notify")
    variables = {"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"}
    systemd = systemd_of(variables)
    assert systemd is not None
    assert (systemd.watchdog_seconds, variables) == (None, {}), "no child finds them"
    systemd.close()
    for nowhere in ({}, {"NOTIFY_SOCKET": ""}, {"NOTIFY_SOCKET": "vsock:2:1"}):
        assert systemd_of(dict(nowhere)) is None
    for microseconds, seconds in (("30000000", 30.0), ("0", None), ("soon", None), ("", None)):
        systemd = systemd_of({"NOTIFY_SOCKET": address, "WATCHDOG_USEC": microseconds})
        assert systemd is not None
        assert systemd.watchdog_seconds == seconds
        systemd.close()


def test_what_does_not_fit_into_the_socket_is_sent_later_and_in_order(tmp_path: Path) -> None:
    with managing(str(tmp_path / "notify")) as manager:
        systemd = Systemd(manager.address, None)
        sent = 0
        while not systemd.unsent:
            systemd.tell(f"STATUS={sent}")
            sent += 1
        taken = manager.arrived()
        systemd.tell("READY=1")
        assert [*taken, *manager.arrived()] == [*(f"STATUS={number}" for number in range(sent)), "READY=1"]
        systemd.close()


class StuckStore(FailingStore):
    """A state whose thread hangs from some moment on."""

    stuck = False

    async def next_due(self, job: str) -> float | None:
        if self.stuck:
            await anyio.sleep_forever()
        return await super().next_due(job)


@pytest.mark.looptime
async def test_the_watchdog_is_told_only_while_the_state_answers(company: Company, tmp_path: Path) -> None:
    async with announced(company, tmp_path / "notify", StuckStore) as (manager, office, _):
        assert isinstance(office.store, StuckStore)
        await office.until(1)
        assert manager.arrived().count("WATCHDOG=1") in (5, 6), "every 10 s"
        office.store.failing = True
        await office.until(2)
        assert manager.arrived().count("WATCHDOG=1") in (5, 6), (
            "a full disk is an answer: starting again does not mend it"
        )
        office.store.failing, office.store.stuck = False, True
        await office.until(10)
        assert "WATCHDOG=1" not in manager.arrived()


@pytest.mark.looptime
async def test_more_time_is_asked_for_while_a_cycle_ends(company: Company, tmp_path: Path) -> None:
    async with announced(company, tmp_path / "notify", FailingStore, drain_seconds=600) as (manager, office, service):
        office.takes_seconds["app"] = 150.0
        await office.until(1)
        manager.arrived()
        await office.told.send(signal.SIGTERM)
        await office.until(2)
        lines = [line for line in manager.arrived() if line != "WATCHDOG=1"]
        assert lines[:2] == ["STOPPING=1", "STATUS=ending: 1 job, 1 running, 0 held"]
        assert lines.count("EXTEND_TIMEOUT_USEC=30000000") >= 3
        await office.until(3)
        assert service.over


@pytest.mark.looptime
async def test_the_status_says_how_many_jobs_are_held_or_paused(company: Company, tmp_path: Path) -> None:
    company.job += "\ndeletion_threshold = 1"
    company.write()
    async with announced(company, tmp_path / "notify", FailingStore) as (manager, office, service):
        await office.until(1)
        assert [line for line in manager.arrived() if line != "WATCHDOG=1"][-1] == "STATUS=1 job, 0 running, 0 held"
        company.users = {"ann": company.users["ann"]}
        company.write()
        service.begin_now("app", full=False, by="ann")
        await office.until(2)
        assert "STATUS=1 job, 0 running, 1 held" in manager.arrived()
        await Desk(service, office.store, office.clock).pause("app", reason="", by="ann")
        await office.until(3)
        assert "STATUS=1 job, 0 running, 0 held, 1 paused" in manager.arrived()


@asynccontextmanager
async def announced(
    company: Company, address: Path, kind: type[FailingStore], *, drain_seconds: float = 60.0
) -> AsyncIterator[tuple[Manager, Office, Service]]:
    """Run a daemon in virtual time that has a manager; its watchdog waits for a minute."""
    with managing(str(address)) as manager:
        async with opened(company, kind) as office:
            systemd = Systemd(manager.address, MINUTE)
            announcer = Announcer(systemd, LoopClock())
            service = office.service(drain_seconds=drain_seconds)
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(announcer.beat)
                tasks.start_soon(announcer.follow, service, office.store)
                tasks.start_soon(service.run, office.signals)
                try:
                    yield manager, office, service
                finally:
                    office.ticks.stop()
                    systemd.close()
                tasks.cancel_scope.cancel()


# --- what it hands over ------------------------------------------------------------------------------------------


@pytest.mark.skipif(shutil.which("systemd-socket-activate") is None, reason="needs the Debian package systemd")
async def test_the_first_who_speaks_to_the_socket_starts_the_daemon(company: Company) -> None:
    path = company.directory / "handed.sock"
    company.tables += f'\n[control]\nsocket = "{path}"\n'
    company.write()
    passed = [option for name in ("PYTHONPATH", "PYTHONWARNINGS") for option in ("-E", name)]
    starting = await asyncio.create_subprocess_exec(
        *("systemd-socket-activate", *passed, "--fdname=control", "-l", str(path)),
        *(sys.executable, "-m", "reconciler", "run", "-c", str(company.directory / "config.toml")),
        stderr=subprocess.PIPE,
        env=environment({"PYTHONPATH": str(ROOT)}),
    )
    assert starting.stderr is not None
    try:
        assert b"Listening on" in await asyncio.wait_for(starting.stderr.readline(), DEADLINE_SECONDS)
        file = path.stat().st_ino
        ran = await Shell(company.directory)("status", "--json")
        assert (ran.code, ran.err) == (0, "")
        assert ran.json()["daemon"]["pid"] == starting.pid, "who asked waited until it had started"
        assert path.stat().st_ino == file, "the socket is the one that was handed over"
        starting.terminate()
        log = (await asyncio.wait_for(starting.stderr.read(), DEADLINE_SECONDS)).decode()
        assert await starting.wait() == 0
        events = [orjson.loads(line) for line in log.splitlines() if line.startswith("{")]
        assert {"event": "control.listening", "path": str(path)}.items() <= next(
            event for event in events if event["event"] == "control.listening"
        ).items()
        assert path.exists(), "whoever made it takes it away"
    finally:
        if starting.returncode is None:
            starting.kill()
            await starting.wait()
