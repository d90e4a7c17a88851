"""Decides whether operations that take something away may run without a person's word.

The arithmetic is one line, to be logged whether it holds or not: an operator must see why the limit did not trip.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from reconciler.core.model import SafeguardLimits

Safeguard = Literal["deletions", "members", "groups", "adopted", "locked", "renames", "creates", "clock"]
"""Each holds by itself and is decided on by itself.

deletions: disables and deletes. members: removals from one group. groups: deletes of groups. adopted: disables of
accounts that were adopted just now. locked: enables of accounts that somebody else disabled. renames: changes of a
matching attribute. creates: new accounts of users. clock: deletes, for a day after months without a cycle.
"""

ALWAYS_HELD = {
    "groups": "deletes of groups are always held",
    "adopted": "accounts that were there before us are not disabled in the initial cycle without a person's word",
    "locked": "an account that this job did not disable is not enabled without a person's word",
}

ALWAYS_ALLOWED = 5
"""So many accounts may go whatever the share says: in a job of 20 people one leaver is five per cent."""


@dataclass(frozen=True, slots=True)
class Cleared:
    arithmetic: str


@dataclass(frozen=True, slots=True)
class Held:
    arithmetic: str


def verdict(n_planned: int, n_recent_in_window: int, managed: int, limits: SafeguardLimits) -> Cleared | Held:
    """Decide on all disables and deletes of a cycle together.

    `n_recent_in_window`: how many ran within the window before, so that many small cycles do not slip past. `managed`:
    the accounts and groups that the job manages, before this cycle takes any away. Nothing planned is never held.
    """
    share = _share(limits.deletion_share, managed)
    allowed = min(limits.deletion_threshold, max(ALWAYS_ALLOWED, share))
    n = n_planned + n_recent_in_window
    arithmetic = (
        f"{n} to be disabled or deleted ({n_planned} now,"
        f" {n_recent_in_window} in the last {_hours(limits.window_seconds)} h),"
        f" allowed {allowed} = min({limits.deletion_threshold},"
        f" max({ALWAYS_ALLOWED}, {limits.deletion_share:.4g} of {managed} managed = {share}))"
    )
    return Held(arithmetic) if n_planned and n > allowed else Cleared(arithmetic)


def creation_verdict(n_planned: int, n_recent_in_window: int, limits: SafeguardLimits) -> Cleared | Held:
    """Decide on the new accounts of a cycle together. Without a limit nothing is held."""
    n = n_planned + n_recent_in_window
    arithmetic = (
        f"{n} accounts to be created ({n_planned} now, {n_recent_in_window} in the last"
        f" {_hours(limits.window_seconds)} h), allowed {limits.creation_threshold}"
    )
    allowed = limits.creation_threshold
    return Held(arithmetic) if allowed is not None and n_planned and n > allowed else Cleared(arithmetic)


def rename_verdict(n_planned: int, n_recent_in_window: int, managed: int, limits: SafeguardLimits) -> Cleared | Held:
    """Decide on the changes of matching attributes of a cycle together: the names by which people log in."""
    share = _share(limits.deletion_share, managed)
    allowed = min(limits.rename_threshold, max(ALWAYS_ALLOWED, share))
    n = n_planned + n_recent_in_window
    arithmetic = (
        f"{n} to get another name ({n_planned} now, {n_recent_in_window} in the last"
        f" {_hours(limits.window_seconds)} h), allowed {allowed} = min({limits.rename_threshold},"
        f" max({ALWAYS_ALLOWED}, {limits.deletion_share:.4g} of {managed} managed = {share}))"
    )
    return Held(arithmetic) if n_planned and n > allowed else Cleared(arithmetic)


def member_verdict(removals: int, size: int, limits: SafeguardLimits) -> Cleared | Held:
    """Decide on the removals of members of one group; `size` is how many members it has before."""
    share = _share(limits.member_removals_share, size)
    allowed = max(limits.member_removals_min, share)
    arithmetic = (
        f"{removals} members to be removed, allowed {allowed}"
        f" = max({limits.member_removals_min}, {limits.member_removals_share:.4g} of {size} members = {share})"
    )
    return Held(arithmetic) if removals > allowed else Cleared(arithmetic)


def _share(share: float, of: int) -> int:
    # 0.29 × 100 is 28.999999999999996: without the allowance the 29th would be held.
    return math.floor(share * of + 1e-9)


def _hours(seconds: float) -> str:
    return f"{seconds / 3600:.4g}"
