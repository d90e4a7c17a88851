"""Asks a domain controller what changed since a cookie (the DirSync control)."""

from __future__ import annotations

import base64
import uuid
from collections.abc import Sequence
from dataclasses import dataclass

from ldap.controls import RequestControl, ResponseControl

from reconciler.core.model import SourceId
from reconciler.sources import ldap_ber as ber
from reconciler.sources.ldap_refusals import Refused
from reconciler.sources.ldap_values import values_of
from reconciler.sources.ldap_wire import Wire

CONTROL = "1.2.840.113556.1.4.841"
_OBJECT_SECURITY = 1
"""Only what we may read anyway is shown, and no right to replicate is needed."""
_INCREMENTAL_VALUES = -(2**31)
"""0x80000000: of a large group just the members that came or went."""
_BYTES_MAX = 1024 * 1024
_ROUNDS_MAX = 100_000


@dataclass(frozen=True, slots=True)
class Changed:
    """Who changed, in whatever way: also who was deleted, or moved."""

    ids: frozenset[SourceId]
    cookie: str
    """For the next round, as text."""


@dataclass(frozen=True, slots=True)
class TooMany:
    """So much changed that everything is better read."""


class _Request(RequestControl):
    def __init__(self, cookie: bytes) -> None:
        value = ber.number(_OBJECT_SECURITY | _INCREMENTAL_VALUES) + ber.number(_BYTES_MAX)
        super().__init__(CONTROL, True, ber.written(ber.SEQUENCE, value + ber.written(ber.OCTETS, cookie)))


class _Answer(ResponseControl):
    more: bool
    cookie: bytes

    def decodeControlValue(self, encodedControlValue: bytes) -> None:  # noqa: N802, N803  # python-ldap's names
        (_, more), _, (_, self.cookie), *_ = ber.inside(encodedControlValue)
        self.more = any(more)


def changes(
    wire: Wire, root: str, text: str, attributes: Sequence[str], cookie: str, *, most: int
) -> Changed | TooMany | Refused:
    """Return who changed in these attributes since the cookie; an empty one is the beginning of time."""
    ids: set[SourceId] = set()
    held = base64.b64decode(cookie)
    for _ in range(_ROUNDS_MAX):
        answer = wire.ask(
            root, text, [*attributes, "objectGUID"], controls=[_Request(held)], answers={CONTROL: _Answer}
        )
        if isinstance(answer, Refused):
            return answer
        raws, controls = answer
        for raw in raws:
            ids.update(SourceId(str(uuid.UUID(bytes_le=one))) for one in values_of(raw.attributes, "objectGUID"))
        if len(ids) > most:
            return TooMany()
        done = next((control for control in controls if isinstance(control, _Answer)), None)
        if done is None:
            return Refused("changes: the server does not answer with a cookie")
        held = done.cookie
        if not done.more:
            return Changed(frozenset(ids), base64.b64encode(held).decode())
    return Refused("changes: the server says without end that there is more")
