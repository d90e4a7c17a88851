"""Looks whether a target keeps what it took: what it does not keep is sent once more, counted, and said."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import anyio

from reconciler.core import settling
from reconciler.core.decisions import Operation
from reconciler.core.diffing import UNKEPT_MAX
from reconciler.core.model import Change, Resource
from reconciler.core.outcomes import Account, Failed, Fault
from reconciler.core.profile import Profile
from reconciler.ports import Target
from reconciler.runtime.asking import ANOTHER_TIME

FOLLOW_UPS_MAX = 10
"""How often one path is patched right after a create because the target did not keep it."""
_PASSING = frozenset({*ANOTHER_TIME, Fault.NOT_FOUND, Fault.NOT_SCIM, Fault.PRECONDITION, Fault.CONFLICT})
"""What says nothing of a value: a target may not show yet what it made, a login page may answer in its place, and what
somebody else has, or is just changing, may be free another time."""


class Keeping:
    """Compares what was sent with what the target shows, for one cycle."""

    def __init__(self, target: Target, profile: Profile) -> None:
        self._target, self._profile = target, profile
        self._follow_ups: Counter[str] = Counter()
        self._undecided: Counter[str] = Counter()
        """Of those, the ones without an answer."""
        self._decided = anyio.Event()

    async def missing(self, operation: Operation, shown: Account | None) -> tuple[str, ...] | None:
        """Return what the target took and does not show; None where it showed nothing, and there is no cause to ask."""
        record = operation.record
        if not operation.changes or operation.word == "delete":
            return None
        if (shown is None or not shown.resource) and record.link is not None:
            if not any(change.path in record.link.unkept for change in operation.changes):
                return None
            answer = await self._target.get(record.kind, record.link.target_id)
            shown = answer if isinstance(answer, Account) else None
        if shown is None or not shown.resource:
            return None
        return settling.unkept(operation.changes, shown, record.kind, self._profile)

    async def follow_up(
        self, operation: Operation, asked: Sequence[Change], account: Account
    ) -> tuple[tuple[str, ...], Failed | None]:
        """Patch at once what a create did not take; return what the target does not keep, or show, and its refusal."""
        missing = settling.unkept(asked, account, operation.record.kind, self._profile)
        while any(self._follow_ups[path] >= FOLLOW_UPS_MAX and self._undecided[path] for path in missing):
            await self._decided.wait()  # what was sent for others may teach nothing
        rest = tuple(
            c._replace(old=account.resource.get(c.path))
            for c in asked
            if c.path in missing and self._follow_ups[c.path] < FOLLOW_UPS_MAX
        )
        if not rest:
            return missing, None
        sent = Counter(change.path for change in rest)
        self._follow_ups.update(sent)
        self._undecided.update(sent)
        try:
            outcome = await self._target.update(operation.record.kind, account.id, rest, account.resource)
        finally:
            self._undecided.subtract(sent)
            self._decided.set()
            self._decided = anyio.Event()
        if isinstance(outcome, Failed):
            if is_passing(outcome):
                self._follow_ups.subtract(sent)
            return missing, outcome
        shown = outcome.account
        if shown is None or not shown.resource:
            answer = await self._target.get(operation.record.kind, account.id)
            shown = answer if isinstance(answer, Account) else None
        still: tuple[str, ...] = ()  # where nobody says what came of it, nobody says that it is not kept
        if shown is not None and shown.resource:
            still = settling.unkept(rest, shown, operation.record.kind, self._profile)
        return (*still, *(path for path in missing if path not in sent)), None


def is_passing(refused: Failed) -> bool:
    """Whether a refusal right after a create says nothing of what the target keeps."""
    return refused.fault in _PASSING


def shows_all(account: Account, resource: Resource) -> bool:
    """Whether an answer leaves nothing to ask: it shows every value that was sent, or nothing at all."""
    shown = account.resource
    return not shown or shown == resource or all(shown.get(path) == value for path, value in resource.items())


def not_kept(paths: Sequence[str], counts: Mapping[str, int]) -> str:
    """Return in words what the target does not keep; empty where it keeps everything."""
    if not paths:
        return ""
    text = f"the target does not keep: {', '.join(paths)}"
    capped = [path for path in paths if counts.get(path, 0) >= UNKEPT_MAX]
    return f"{text} ({', '.join(capped)}: not sent again until its value changes)" if capped else text


def as_changes(resource: Mapping[str, object]) -> tuple[Change, ...]:
    """Return a resource as changes from nothing."""
    return tuple(Change(path, None, value) for path, value in resource.items())
