"""Serves HTTP on a socket that anybody may open: so many connections at once, none of them idle for long."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

import anyio
from aiohttp.web_protocol import RequestHandler

from reconciler import logs
from reconciler.ports import Clock
from reconciler.runtime.peers import Peer, peer_of

CONNECTIONS_MAX = 256
OF_ONE_USER_MAX = 64
"""So that nobody can keep the others out."""
IDLE_SECONDS = 10.0
"""How long a connection may take for a whole request to arrive, or for an answer to be read."""
LOOK_SECONDS = 1.0
_FULL = (
    b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\nConnection: close\r\n"
    b'Content-Length: 56\r\n\r\n{"error":"too many connections","hint":"try again soon"}'
)


@dataclass(slots=True, eq=False)
class Connection:
    """Somebody who is connected."""

    peer: Peer
    idle_since: float
    answering: int = 0
    transport: asyncio.BaseTransport | None = None

    @property
    def gone(self) -> bool:
        return self.transport is not None and self.transport.is_closing()


class Listening:
    """The connections of one listening socket."""

    def __init__(self, listening: socket.socket, clock: Clock, who: Callable[[socket.socket], Peer] = peer_of) -> None:
        """`who` says who is at the other end; raises OSError where nobody is any more."""
        self._socket, self._clock, self._who = listening, clock, who
        self._open: dict[object, Connection] = {}
        self._turned_away = 0
        self._log = logs.get()

    @property
    def connections(self) -> int:
        """Return how many there are, those included that have just gone."""
        return len(self._open)

    async def serve(self, protocol: Callable[[], RequestHandler]) -> None:
        """Take connections until it is cancelled. `protocol` makes what speaks HTTP on one."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._let_go_of_the_idle)
            loop = asyncio.get_running_loop()
            while True:
                try:
                    connected, _ = await loop.sock_accept(self._socket)
                except OSError as error:
                    # no file is left to open, most likely: those that are open end some day
                    self._log.error("control.cannot_accept", problem=error.strerror)
                    await self._clock.sleep(LOOK_SECONDS)
                    continue
                await self._take(loop, connected, protocol)

    def of(self, protocol: object) -> Connection | None:
        """Return the connection that a protocol speaks on, None where it is gone."""
        return self._open.get(protocol)

    @contextmanager
    def answering(self, connection: Connection) -> Iterator[None]:
        """Keep a connection for as long as an answer is being made."""
        connection.answering += 1
        try:
            yield
        finally:
            connection.answering -= 1
            connection.idle_since = self._clock.monotonic()

    async def _take(
        self, loop: asyncio.AbstractEventLoop, connected: socket.socket, protocol: Callable[[], RequestHandler]
    ) -> None:
        try:
            peer = self._who(connected)
        except OSError:
            connected.close()  # who was there has gone already
            return
        if not self._has_room_for(peer):
            self._turned_away += 1
            if self._turned_away == 1:
                self._log.warning("control.full", connections=len(self._open), uid=peer.uid, pid=peer.pid)
            with suppress(OSError):
                connected.send(_FULL)
            connected.close()
            return
        speaking = protocol()
        connection = self._open[speaking] = Connection(peer, self._clock.monotonic())
        try:
            connection.transport, _ = await loop.connect_accepted_socket(lambda: speaking, connected)
        except OSError:
            del self._open[speaking]
            connected.close()

    def _has_room_for(self, peer: Peer) -> bool:
        if len(self._open) >= OF_ONE_USER_MAX:
            self._forget_the_gone()
        of_user = sum(connection.peer.uid == peer.uid for connection in self._open.values())
        return len(self._open) < CONNECTIONS_MAX and of_user < OF_ONE_USER_MAX

    def _forget_the_gone(self) -> None:
        for protocol in [protocol for protocol, connection in self._open.items() if connection.gone]:
            del self._open[protocol]

    async def _let_go_of_the_idle(self) -> None:
        while True:
            await self._clock.sleep(LOOK_SECONDS)
            now = self._clock.monotonic()
            for connection in self._open.values():
                idle = not connection.answering and now - connection.idle_since >= IDLE_SECONDS
                if idle and isinstance(connection.transport, asyncio.WriteTransport) and not connection.gone:
                    connection.transport.abort()
            self._forget_the_gone()
            if self._turned_away:
                self._log.warning("control.turned_away", connections=self._turned_away)
                self._turned_away = 0
