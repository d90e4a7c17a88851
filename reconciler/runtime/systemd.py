"""Tells the service manager how the daemon is: ready, reloading, ending, and alive (sd_notify(3))."""

from __future__ import annotations

import os
import socket
from collections import Counter, deque
from collections.abc import Collection, MutableMapping
from contextlib import suppress
from typing import Protocol

from reconciler import logs
from reconciler.errors import ReconcilerError
from reconciler.ports import Clock, Store
from reconciler.runtime.events import Event
from reconciler.runtime.overview import job_state
from reconciler.runtime.service import Service

BEAT_SECONDS = 10.0
"""How often more time is asked for while the daemon starts or ends; that it lives is told at least as often."""
MORE_SECONDS = 30.0
"""How much more time is asked for each time."""
_MORE_TIME = f"EXTEND_TIMEOUT_USEC={round(MORE_SECONDS * 1e6)}"
_WORDS = {
    "running": "running",
    "held": "held",
    "quarantine": "in quarantine",
    "paused": "paused",
    "stopped": "stopped",
    "not enabled": "not enabled",
}
_ALWAYS = ("running", "held")
_UNSENT_MAX = 16


class Manager(Protocol):
    """Whoever started us and wants to know."""

    @property
    def watchdog_seconds(self) -> float | None:
        """How long the daemon may be silent before it is taken for dead; None: for ever."""
        ...

    def tell(self, *assignments: str) -> None:
        """Tell it, in one message. Never waits."""
        ...


class Systemd:
    """The socket that systemd listens on, at a path or at an abstract address (@…)."""

    def __init__(self, address: str, watchdog_seconds: float | None) -> None:
        self.watchdog_seconds = watchdog_seconds
        self._address = f"\0{address[1:]}" if address.startswith("@") else address
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
        self._socket.setblocking(False)
        self.unsent: deque[bytes] = deque(maxlen=_UNSENT_MAX)
        self._complained = False

    def tell(self, *assignments: str) -> None:
        """Send it; what does not fit into the socket now goes with the next message, in order."""
        self.unsent.append("\n".join(assignments).encode())
        while self.unsent:
            try:
                self._socket.sendto(self.unsent[0], self._address)
            except BlockingIOError:
                return
            except OSError as error:
                self._complain(error)
            self.unsent.popleft()

    def close(self) -> None:
        self._socket.close()

    def _complain(self, error: OSError) -> None:
        if not self._complained:
            self._complained = True
            logs.get().warning("systemd.cannot_be_told", problem=error.strerror)


def systemd_of(environment: MutableMapping[str, str]) -> Systemd | None:
    """Return the systemd that started this process and wants to be told; None where none does.

    The variables that say so are taken out, so that no child believes that they mean it.
    """
    address = environment.pop("NOTIFY_SOCKET", "")
    microseconds = environment.pop("WATCHDOG_USEC", "")
    watched = environment.pop("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
    if not address.startswith(("/", "@")):
        return None
    seconds = int(microseconds) / 1e6 if watched and microseconds.isascii() and microseconds.isdigit() else 0.0
    return Systemd(address, seconds or None)


class Announcer:
    """Keeps a service manager told. Run `beat` from the first moment on, `follow` beside the service."""

    def __init__(self, manager: Manager, clock: Clock) -> None:
        self._manager, self._clock = manager, clock
        self._store: Store | None = None
        """Set when the daemon is ready: from then on it is alive as long as this answers."""
        self._ending = False
        self._states: dict[str, str] = {}

    async def beat(self) -> None:
        """While the daemon starts and ends, ask for more time; in between say that it lives, if it does."""
        watchdog_seconds = self._manager.watchdog_seconds
        every_seconds = min(BEAT_SECONDS, watchdog_seconds / 3) if watchdog_seconds else BEAT_SECONDS
        while True:
            if self._store is None or self._ending:
                self._manager.tell(_MORE_TIME)
            elif watchdog_seconds:
                await _answers(self._store)
                self._manager.tell("WATCHDOG=1")
            await self._clock.sleep(every_seconds)

    async def follow(self, service: Service, store: Store) -> None:
        """Say when the service is ready, reloads and ends, and in one line how its jobs stand."""
        with service.events.listen() as listener:
            await service.started.wait()
            await self._look(service, store, service.plans)
            self._store = store
            self._manager.tell("READY=1", self._status(service))
            while True:
                await self._take(await listener.next(), service, store)

    async def _take(self, event: Event, service: Service, store: Store) -> None:
        match event.name:
            case "cycle.progress":
                pass
            case "service.stopping":
                self._ending = True
                self._manager.tell("STOPPING=1", self._status(service), _MORE_TIME)
            case "config.reloading" if not self._ending:
                self._manager.tell("RELOADING=1", f"MONOTONIC_USEC={round(self._clock.monotonic() * 1e6)}")
            case "config.reloaded" | "config.refused" | "events.dropped" if not self._ending:
                await self._look(service, store, service.plans)
                self._manager.tell("READY=1", self._status(service))
            case _:
                await self._look(service, store, service.plans.keys() & {event.job})
                self._manager.tell(self._status(service))

    async def _look(self, service: Service, store: Store, names: Collection[str]) -> None:
        """Find out how these jobs stand; of jobs that have left the configuration nothing is kept."""
        plans = service.plans
        for name in [*names]:
            with suppress(ReconcilerError):  # whoever needs the state says so; here it stays as it was known last
                standing, holds = await store.standing(name), await store.held(name)
                enabled = plans[name].job.enabled
                self._states[name] = job_state(standing, None, enabled=enabled, held=bool(holds))
        self._states = {name: state for name, state in self._states.items() if name in plans}

    def _status(self, service: Service) -> str:
        plans = service.plans
        counts = Counter(self._states.values())
        counts["running"] = sum(service.running(name) is not None for name in plans)
        said = [f"{len(plans)} {'job' if len(plans) == 1 else 'jobs'}"]
        said += [f"{counts[state]} {word}" for state, word in _WORDS.items() if counts[state] or state in _ALWAYS]
        return f"STATUS={'ending: ' if self._ending else ''}{', '.join(said)}"


async def _answers(store: Store) -> None:
    """Return when the store has answered: its thread goes on. A refusal (a full disk) is an answer, too."""
    with suppress(ReconcilerError):
        await store.next_due("")
