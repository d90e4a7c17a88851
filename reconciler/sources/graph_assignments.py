"""Reads who is assigned to an app of a tenant, and as what."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any
from urllib.parse import quote

from reconciler.core.outcomes import Failed, Fault
from reconciler.dialects import graph_reading
from reconciler.ports import AssignmentPage, ReadEvent
from reconciler.sources.graph_problems import Problems
from reconciler.sources.graph_wire import GraphWire, Unreadable

_SELECT = "$select=id,displayName,appRoles"


async def read(wire: GraphWire, app: str, problems: Problems) -> AsyncGenerator[ReadEvent]:
    """Yield every assignment to an app: there is no way to ask for what changed of them."""
    try:
        principal = await service_principal(wire, app)
        roles = principal.get("appRoles")
        first = f"/servicePrincipals/{quote(str(principal.get('id')), safe='')}/appRoleAssignedTo?$top=999"
        async for rows in wire.pages(first, doing="reading who is assigned"):
            given = graph_reading.given(rows, roles if isinstance(roles, list) else ())
            if isinstance(given, str):
                raise Unreadable(given)
            yield AssignmentPage(given)
    except Unreadable as unreadable:
        problems.unreadable(unreadable)
    yield problems.end("assignments")


async def service_principal(wire: GraphWire, app: str) -> dict[str, Any]:
    """Return the app by its object id, or by its application (client) id. Raises Unreadable where there is none."""
    places = (f"/servicePrincipals/{quote(app, safe='')}", f"/servicePrincipals(appId='{quote(app, safe='')}')")
    by_id, by_app_id = await wire.each([f"{place}?{_SELECT}" for place in places], doing="reading the app")
    if not isinstance(by_id, Failed):
        return by_id
    if not isinstance(by_app_id, Failed):
        return by_app_id
    refused = by_app_id if by_id.fault is Fault.NOT_FOUND else by_id
    if refused.fault is Fault.NOT_FOUND:
        hint = "service_principal is the object id of its enterprise application, or its application id"
        raise Unreadable(f"the tenant has no app {app} ({hint})")
    raise Unreadable(refused.reason)
