"""Looks whether an account is off before it is deleted because it was disabled long enough."""

from __future__ import annotations

from dataclasses import replace

from reconciler.core.decisions import Operation
from reconciler.core.leaving import disabled_again
from reconciler.core.outcomes import Account, Failed
from reconciler.core.profile import Profile
from reconciler.ports import Target
from reconciler.runtime.asking import ANOTHER_TIME


async def last_look(delete: Operation, target: Target, profile: Profile) -> Operation | Failed:
    """Return the delete; where the account is on, the disable in its place; where that cannot be told now, why not.

    Only what the target says stops a delete: one that does not show such accounts, or not whether they are on, is
    believed to have disabled them.
    """
    record = delete.record
    assert record.link is not None
    shown = await target.get(record.kind, record.link.target_id)
    match shown:
        case Account(resource=resource) if resource.get(profile.active) is True:
            return disabled_again(delete, shown, profile)
        case Failed(fault=fault) if fault in ANOTHER_TIME:
            return replace(shown, reason=f"looking whether it is off before its delete: {shown.reason}", unsent=True)
        case _:
            return delete
