"""Tests the connection to an app with a REST API, and tells apart what is mended in different places."""

from __future__ import annotations

from collections.abc import Sequence

from reconciler.core.model import Kind
from reconciler.core.outcomes import Failed, Fault
from reconciler.ports import Diagnosis
from reconciler.targets.rest_wire import Wire

_STEPS = {
    Fault.UNREACHABLE: "connection",
    Fault.INTERRUPTED: "connection",
    Fault.UNAUTHORIZED: "sign-in",
    Fault.FORBIDDEN: "permissions",
    Fault.NOT_FOUND: "path",
    Fault.NOT_SCIM: "path",
}


async def test(wire: Wire, kinds: Sequence[Kind]) -> list[Diagnosis]:
    """Ask what the profile names for it, then for the first page of each list; the line that is not ok says why."""
    lines: list[Diagnosis] = []
    if wire.api.probe is not None:
        probed = await wire.ask("GET", wire.url + wire.api.probe, doing="testing the connection", retry=False)
        if isinstance(probed, Failed):
            return [*_answered(probed), _refusal(probed)]
        lines = [
            Diagnosis("connection", True, "the app answers"),
            Diagnosis("sign-in", True, "the credential is accepted"),
        ]
    for kind in kinds:
        collection = wire.api.collection(kind)
        if collection is None:
            lines.append(Diagnosis(f"{kind}s", False, f"the profile says nothing of {kind}s", "do not map them"))
            continue
        walk = wire.walk(collection.listing)
        page = await wire.page(walk, doing=f"listing {kind}s", retry=False)
        if isinstance(page, Failed):
            return [*(lines or _answered(page)), _refusal(page)]
        if not lines:
            lines = [
                Diagnosis("connection", True, "the app answers"),
                Diagnosis("sign-in", True, "the credential is accepted"),
            ]
        many = f"{walk.total} in all" if walk.total is not None else f"{len(page)} on the first page"
        lines.append(Diagnosis(f"{kind}s", True, f"{kind}s can be read: {many}"))
    return lines


def _answered(refusal: Failed) -> list[Diagnosis]:
    if _STEPS.get(refusal.fault) == "connection" or refusal.asked_nobody:
        return []
    return [Diagnosis("connection", True, "the app answers")]


def _refusal(refusal: Failed) -> Diagnosis:
    return Diagnosis(_STEPS.get(refusal.fault, "answer"), False, refusal.reason)
