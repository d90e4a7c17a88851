"""Says what makes connections: the real thing, or what a simulation puts in its place."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from reconciler.net.exchange import AiohttpExchange
from reconciler.ports import Exchange


class Connection(Exchange, Protocol):
    """An exchange whose connections are closed at the end."""

    async def aclose(self) -> None: ...


Connect = Callable[..., Connection]
"""Makes a connection; it is given the settings that `AiohttpExchange` takes, by name."""
REAL: Connect = AiohttpExchange
