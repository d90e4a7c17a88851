"""Decides whether operations that take something away may run without a person's word.

The arithmetic is one line, to be logged whether it holds or not: an operator must see why the limit did not trip.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from reconciler.core.model import SafeguardLimits

Safeguard = Literal["deletions", "members", "creates", "renames", "adopted"]
"""Each holds by itself and is decided on by itself: disables and deletes; removals from one group; creates; changes of
a matching attribute; disables of accounts that were adopted just now."""

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
