"""Tells which operations need more than the rules: a limit that is kept, or a person's word."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from reconciler.core.decisions import Operation, Word
from reconciler.core.model import KINDS, Change, Job, Kind, SafeguardLimits
from reconciler.core.profile import Profile
from reconciler.core.safeguards import Safeguard

_MATCHED_ANEW = ("update", "enable", "adopt")


@dataclass(frozen=True, slots=True)
class Guards:
    """What the safeguards of one job look at in a single operation."""

    active: str
    matching: Mapping[Kind, frozenset[str]]
    """The paths by which accounts are found: who loses that value may find the door shut."""
    limits: SafeguardLimits

    @classmethod
    def of(cls, job: Job, profile: Profile) -> Guards:
        paths = {
            kind: frozenset(m.to for m in rules.mappings if m.match is not None)
            for kind in KINDS
            if (rules := job.rules(kind)) is not None
        }
        return cls(profile.active, paths, job.safeguards)

    def of_negative(self, operation: Operation, *, first: bool) -> Safeguard:
        """Return the safeguard that a disable or delete falls under.

        `first`: no cycle has completed under these rules, so that nobody has looked at what they make of the accounts
        that were there before us.
        """
        if operation.record.kind == "group" and self.limits.hold_group_deletes:
            return "groups"
        if operation.word == "disable" and first and operation.account is not None:
            return "adopted"
        return "deletions"

    def of_positive(self, operation: Operation) -> tuple[Safeguard, ...]:
        """Return the safeguards that a create or change falls under, in the order in which they are asked."""
        if operation.word == "create":
            limited = self.limits.creation_threshold is not None and operation.record.kind == "user"
            return ("creates",) if limited else ()
        if operation.word not in _MATCHED_ANEW:
            return ()
        locked: tuple[Safeguard, ...] = ("locked",) if self._unlocks(operation) else ()
        return (*locked, "renames") if self._renames(operation) else locked

    def without(self, operation: Operation, safeguard: Safeguard) -> Operation | None:
        """Return what can be done while the safeguard holds its part; None: nothing is left.

        The entry is looked at again in the next cycle, whatever it says then.
        """
        record, link = operation.record, operation.record.link
        if safeguard == "locked":
            assert link is not None
            rest = tuple(c for c in operation.changes if c.path != self.active)
            record = replace(record, link=replace(link, agreed={**link.agreed, self.active: False}))
        elif safeguard == "renames":
            gone = self._renames(operation)
            rest = tuple(c for c in operation.changes if c not in gone)
        else:
            return None
        if operation.word == "adopt":
            return replace(operation, changes=rest, fingerprint=None)
        if not rest:
            return None
        word: Word = operation.word if any(c.path == self.active for c in rest) else "update"
        return replace(operation, record=record, word=word, changes=rest, fingerprint=None)

    def about(self, operation: Operation, safeguard: Safeguard) -> tuple[str, ...]:
        """Return what a person's word on the operation is good for; empty: for the operation whatever it says."""
        if safeguard != "renames":
            return ()
        return tuple(f"{change.path}={change.new}" for change in self._renames(operation))

    def why(self, operation: Operation, safeguard: Safeguard) -> str:
        """Return what is special about the operation, for a person who decides on it."""
        match safeguard:
            case "renames":
                return "; ".join(f"{c.path} would change from {c.old} to {c.new}" for c in self._renames(operation))
            case "locked":
                return (
                    f"{operation.why}; the account is not active in the app, and it was not this job that disabled it"
                )
            case _:
                return operation.why

    def _renames(self, operation: Operation) -> tuple[Change, ...]:
        paths = self.matching.get(operation.record.kind, frozenset())
        return tuple(c for c in operation.changes if c.path in paths and c.old is not None and c.new is not None)

    def _unlocks(self, operation: Operation) -> bool:
        link = operation.record.link
        if operation.word == "adopt" or link is None:
            return False  # an account that is taken over becomes what the rules say, as its other values do
        if link.is_ours_if_off:
            return False  # it was us who disabled it
        return any(c.path == self.active and c.old is False and c.new is True for c in operation.changes)
