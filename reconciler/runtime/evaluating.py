"""Evaluates the mappings for one entry: for somebody in scope, and for somebody who leaves."""

from __future__ import annotations

from datetime import UTC, datetime

from reconciler.core.assignments import KnownGroups
from reconciler.core.mapping import Mapped, Mapper
from reconciler.core.model import Attributes, MemberOf
from reconciler.core.scoping import InScope, is_soft_deleted
from reconciler.ports import Clock, Dice
from reconciler.runtime.candidates import Candidate
from reconciler.runtime.rules import KindRules


class Evaluating:
    """Gives the mappings what they read beside the entry: roles, groups, the time, dice."""

    def __init__(self, clock: Clock, dice: Dice) -> None:
        self._clock, self._dice = clock, dice

    def parting(self, mapper: Mapper, attributes: Attributes) -> Mapped:
        """Return what is written into the account of somebody who leaves."""
        computed = {**attributes, "IsSoftDeleted": "True"}
        return mapper.wanted(computed, now=self._now, dice=self._dice)

    def wanted(self, rules: KindRules, candidate: Candidate, groups: KnownGroups) -> Mapped:
        """Return what the rules want for a candidate; where that may be another tomorrow, its fingerprint goes."""
        standing = candidate.standing
        roles = standing.roles if isinstance(standing, InScope) else ()
        attributes = {
            **candidate.entry.attributes,
            "IsSoftDeleted": "True" if is_soft_deleted(standing) else "False",
            "appRoleAssignments": [{"value": r.value, "displayName": r.display_name} for r in roles],
            "role": roles[0].value if roles else None,
            "roles": [r.value for r in roles],
        }

        def member_of(membership: MemberOf) -> bool | None:
            known = groups.holds(membership, candidate.memberships)
            if known is None:
                candidate.fingerprint = None
            return known

        mapped = rules.mapper.wanted(
            attributes,
            now=self._now,
            dice=self._dice,
            member_of=member_of if rules.mapper.groups else None,
        )
        if mapped.ignored and rules.mapper.volatile:
            # what ignores somebody today may not tomorrow
            candidate.fingerprint = None
        return mapped

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._clock.now(), UTC)
