"""Puts the parts together: the only room that knows everybody."""

from reconciler.wiring.house import House, open_connections, open_house, plan_of, state_url
from reconciler.wiring.mails import build_post
from reconciler.wiring.naming import job_named
from reconciler.wiring.reloading import connection_changes
from reconciler.wiring.sources import build_source
from reconciler.wiring.targets import build_target, target_identity

__all__ = [
    "House",
    "build_post",
    "build_source",
    "build_target",
    "connection_changes",
    "job_named",
    "open_connections",
    "open_house",
    "plan_of",
    "state_url",
    "target_identity",
]
