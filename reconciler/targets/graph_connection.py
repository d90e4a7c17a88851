"""Tests the connection to a Graph: sign-in, permissions, and the tenant's domains."""

from __future__ import annotations

from collections.abc import Sequence

from reconciler.core.outcomes import Failed, Fault
from reconciler.core.profile import Profile
from reconciler.dialects import graph
from reconciler.dialects.graph import Call
from reconciler.ports import Diagnosis
from reconciler.targets.graph_domains import Domains
from reconciler.targets.graph_wire import Wire

_STEPS = {
    Fault.UNREACHABLE: "connection",
    Fault.INTERRUPTED: "connection",
    Fault.UNAUTHORIZED: "sign-in",
    Fault.FORBIDDEN: "permissions",
    Fault.NOT_SCIM: "path",
}
_GRANT = "grant it as an application permission and give admin consent, then try again"


async def test(wire: Wire, profile: Profile, domains: Domains, paths: Sequence[str]) -> list[Diagnosis]:
    """Sign in, name the permissions that are there and those that are missing, and read what can be read."""
    header = await wire.client.header()
    if isinstance(header, Failed):
        step = "connection" if header.fault in (Fault.UNREACHABLE, Fault.INTERRUPTED) else "sign-in"
        hint = "" if header.asked_nobody else profile.hints.get(header.fault.value, "")
        return [Diagnosis(step, False, header.reason, hint)]
    lines = [Diagnosis("sign-in", True, "the tenant gives us a token")]
    lines += _permissions(header or "", profile, paths)
    users = await wire.alone(Call("GET", "/users?$top=1&$select=id"), doing="reading a user")
    if isinstance(users, Failed):
        return [*lines, Diagnosis(_STEPS.get(users.fault, "answer"), False, users.reason)]
    lines.append(Diagnosis("graph", True, "users can be read"))
    known = await domains.verified()
    if isinstance(known, Failed):
        may_not = known.fault is Fault.FORBIDDEN  # then Graph itself refuses what is in another domain
        step = "domains" if may_not else _STEPS.get(known.fault, "answer")
        lines.append(Diagnosis(step, False, known.reason, partial=may_not))
    else:
        lines.append(Diagnosis("domains", True, f"verified domains: {', '.join(sorted(known))}"))
    return lines


def _permissions(header: str, profile: Profile, paths: Sequence[str]) -> list[Diagnosis]:
    granted = graph.granted_permissions(header)
    if granted is None:
        return [Diagnosis("permissions", True, "the token does not show what it permits; Graph will say")]
    needed = {name: path for name, path in profile.permissions.items() if not path or path in paths}
    lines = [Diagnosis("permissions", True, f"granted: {', '.join(sorted(granted)) or 'none'}")]
    for name, path in needed.items():
        if name not in granted:
            what = f"the permission {name} is missing" + (f", which {path} needs" if path else "")
            lines.append(Diagnosis("permissions", False, what, _GRANT, partial=True))
    return lines
