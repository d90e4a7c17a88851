"""Tests the connection to a SCIM target, and tells apart what an administrator would mend in different places."""

from __future__ import annotations

from reconciler.core.outcomes import Failed, Fault
from reconciler.core.profile import Profile
from reconciler.dialects import scim
from reconciler.dialects.scim_wire import Wire
from reconciler.ports import Diagnosis
from reconciler.targets.scim_finding import filter_url

_PATIENCE = 0.5
_NOBODY_ANSWERS = (Fault.UNREACHABLE, Fault.INTERRUPTED)


async def test(wire: Wire, profile: Profile, nobody: str) -> list[Diagnosis]:
    """Ask for ServiceProviderConfig and for a user named `nobody`, once each; the line that is not ok says why."""
    config = await wire.read(
        wire.at("/ServiceProviderConfig"), doing="reading ServiceProviderConfig", patience=_PATIENCE, retry=False
    )
    if isinstance(config, Failed) and config.fault in _NOBODY_ANSWERS:
        return [Diagnosis("connection", False, config.reason)]
    if isinstance(config, Failed) and config.asked_nobody:
        return [_refusal(config)]
    lines = [Diagnosis("connection", True, "the target answers")]
    if isinstance(config, Failed) and config.fault in (Fault.UNAUTHORIZED, Fault.THROTTLED):
        return [*lines, _refusal(config)]
    url = filter_url(wire, "user", scim.filter_query("userName", nobody, dialect=profile.patch))
    listed = await wire.rows(url, doing="asking for a user who is not there", patience=_PATIENCE, retry=False)
    if isinstance(listed, Failed) and not _is_about_the_filter(listed):
        return [*lines, _refusal(listed)]
    lines += [
        Diagnosis("sign-in", True, "the credential is accepted"),
        Diagnosis("scim", True, "the target speaks SCIM"),
    ]
    lines.append(_filtering(listed))
    if isinstance(config, Failed):
        lines.append(Diagnosis("config", True, "there is no ServiceProviderConfig; what RFC 7644 expects is assumed"))
    return lines


def _is_about_the_filter(refusal: Failed) -> bool:
    return refusal.fault in (Fault.INVALID, Fault.UNSUPPORTED)


def _refusal(refusal: Failed) -> Diagnosis:
    match refusal.fault:
        case Fault.UNREACHABLE | Fault.INTERRUPTED:
            return Diagnosis("connection", False, refusal.reason)
        case Fault.UNAUTHORIZED | Fault.FORBIDDEN:
            return Diagnosis("sign-in", False, refusal.reason)
        case Fault.NOT_FOUND:
            hint = "the url is the SCIM base url, without /Users at its end"
            return Diagnosis("path", False, refusal.reason, hint)
        case Fault.NOT_SCIM if refusal.status is not None and 300 <= refusal.status < 400:
            return Diagnosis("redirect", False, refusal.reason)
        case Fault.NOT_SCIM:
            return Diagnosis("scim", False, refusal.reason)
        case _:
            return Diagnosis("answer", False, refusal.reason)


def _filtering(listed: dict[str, object] | Failed) -> Diagnosis:
    if isinstance(listed, Failed):
        return Diagnosis("filter", True, "the target cannot be asked by userName; it is listed as a whole instead")
    if listed.get("Resources"):
        return Diagnosis("filter", True, "the target ignores filters; it is listed as a whole instead")
    return Diagnosis("filter", True, "the target can be asked by userName")
