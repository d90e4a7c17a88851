"""Has a domain controller say when something changes (the change notification control)."""

from __future__ import annotations

from collections.abc import Iterator

from ldap.controls import RequestControl

from reconciler.sources.ldap_refusals import Refused
from reconciler.sources.ldap_values import text_of, values_of
from reconciler.sources.ldap_wire import Raw, Search, Wire

CONTROL = "1.2.840.113556.1.4.528"
SHOW_DELETED = "1.2.840.113556.1.4.417"
_ANYTHING = "(objectClass=*)"
"""The one filter that a controller takes with it."""
_HINT = "set announced = false: the job runs at its interval, or by webhook"


def listen(wire: Wire) -> Iterator[bool | Refused]:
    """Yield True when listening has begun, and for each user or group that changes; False: nothing of the kind.

    The whole domain is listened to, for who is moved away or deleted is shown where she is then. A Refused is the last
    thing.
    """
    root = wire.one("", ["defaultNamingContext", "supportedControl"])
    if isinstance(root, Refused):
        yield root
        return
    names = values_of(root.attributes, "defaultNamingContext") if root is not None else []
    if root is None or not names or CONTROL.encode() not in values_of(root.attributes, "supportedControl"):
        yield Refused("the server does not say when something changes; is this Active Directory?", hint=_HINT)
        return
    # Microsoft's controllers tell of deletions anyway, Samba where it is asked to show what was deleted.
    controls = [RequestControl(CONTROL, True, None), RequestControl(SHOW_DELETED, False, None)]
    everything = Search(text_of(names[0]), _ANYTHING, ["objectClass"], controls)
    begun = False
    for heard in wire.follow([everything], {}, taken=True):
        match heard:
            case Refused():
                yield heard
            case None:
                yield not begun
                begun = True
            case _:
                yield not begun or any(map(_may_concern, heard.entries))
                begun = True


def _may_concern(raw: Raw) -> bool:
    """Whether it is a user or a group, or does not show what it is; machines are users, too, and many."""
    classes = {text_of(value).lower() for value in values_of(raw.attributes, "objectClass")}
    return not classes or "group" in classes or ("user" in classes and "computer" not in classes)
