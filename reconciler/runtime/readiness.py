"""Says whether the daemon runs its jobs, for whoever looks after it."""

from __future__ import annotations

from reconciler.errors import ReconcilerError
from reconciler.ports import Store
from reconciler.runtime.service import Service


async def why_not_ready(service: Service, store: Store) -> str:
    """Return why the daemon does not run its jobs, or cannot use its state; empty where it does and can."""
    if not service.started.is_set():
        return "the daemon is starting"
    if service.stopping:
        return "the daemon is ending"
    try:
        await store.next_due("")
    except ReconcilerError as error:
        return str(error)
    return ""
