"""Tests the connection to a tenant that is read: sign-in, missing permissions, a little of each part."""

from __future__ import annotations

from reconciler.core.model import Kind
from reconciler.core.outcomes import Failed, Fault
from reconciler.dialects import graph, graph_reading
from reconciler.ports import Diagnosis, Wanted
from reconciler.sources import graph_assignments
from reconciler.sources.graph_wire import GraphWire, Unreadable

_GRANT = "grant it as an application permission and give admin consent, then try again"


async def granted(wire: GraphWire) -> frozenset[str] | None:
    """Return the application permissions that we have; None: the token does not show them."""
    header = await wire.client.header()
    return None if isinstance(header, Failed) else graph.granted_permissions(header or "")


async def test(wire: GraphWire, wanted: Wanted) -> list[Diagnosis]:
    """Sign in, look at the permissions that are needed, and read the first page of each part."""
    header = await wire.client.header()
    if isinstance(header, Failed):
        step = "connection" if header.fault in (Fault.UNREACHABLE, Fault.INTERRUPTED) else "sign-in"
        return [Diagnosis(step, False, header.reason, fault=header)]
    lines = [Diagnosis("sign-in", True, "the tenant gives us a token")]
    lines += _permissions(graph.granted_permissions(header or ""), wanted)
    lines.append(await _entries(wire, "user", wanted.user_attributes))
    if wanted.groups or wanted.memberships:
        lines.append(await _entries(wire, "group", wanted.group_attributes))
    if wanted.app is not None:
        lines.append(await _app(wire, wanted.app))
    return lines


def _permissions(have: frozenset[str] | None, wanted: Wanted) -> list[Diagnosis]:
    if have is None:
        return [Diagnosis("permissions", True, "the token does not show what it permits; Graph will say")]
    lines = [Diagnosis("permissions", True, f"granted: {', '.join(sorted(have)) or 'none'}")]
    for one_of, why in _needed(wanted).items():
        if have.isdisjoint(one_of):
            lines.append(Diagnosis("permissions", False, f"the permission {one_of[0]} is missing: {why}", _GRANT))
    return lines


def _needed(wanted: Wanted) -> dict[tuple[str, ...], str]:
    """Return what is needed (any one of several permissions), and what for."""
    needed: dict[tuple[str, ...], str] = {graph_reading.READS_USERS: "users cannot be read without it"}
    if wanted.groups or wanted.memberships:
        needed[graph_reading.READS_GROUPS] = "groups and their members cannot be read without it"
    if wanted.app is not None:
        needed[graph_reading.READS_APPS] = "who is assigned to an app cannot be read without it"
    hidden = [name for name in graph_reading.NEEDS if name in wanted.user_attributes]
    return needed | {graph_reading.NEEDS[name]: f"{name} is hidden without it" for name in hidden}


async def _entries(wire: GraphWire, kind: Kind, names: frozenset[str]) -> Diagnosis:
    how = graph_reading.reading(kind, names)
    if how.unusable:
        return Diagnosis(f"{kind}s", False, f"{', '.join(how.unusable)}: no property of Graph is called so")
    try:
        await wire.get(how.sample, doing=f"reading a {kind}", retry=False)
    except Unreadable as unreadable:
        return Diagnosis(f"{kind}s", False, unreadable.why, fault=unreadable.fault if kind == "user" else None)
    return Diagnosis(f"{kind}s", True, f"{kind}s can be read with {', '.join(how.properties)}")


async def _app(wire: GraphWire, app: str) -> Diagnosis:
    try:
        principal = await graph_assignments.service_principal(wire, app)
    except Unreadable as unreadable:
        return Diagnosis("app", False, unreadable.why)
    roles = principal.get("appRoles")
    count = len(roles) if isinstance(roles, list) else 0
    return Diagnosis("app", True, f"the app is {principal.get('displayName')}, with {count} roles")
