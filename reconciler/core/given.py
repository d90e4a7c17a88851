"""What a source itself says of who is assigned to an app, and what of it reaches one entry."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass, field
from typing import NamedTuple

from reconciler.core.model import AppRole, Kind, SourceId

DEFAULT_ACCESS = "Default Access"
"""What Entra calls an assignment without a role."""


class GivenAssignment(NamedTuple):
    """A user or a group that the source says is assigned; a group stands for its members."""

    kind: Kind
    principal: SourceId
    name: str
    """What people call the user or group."""
    role: AppRole | None = None
    """None: the app's default access."""
    role_unknown: str = ""
    """Why the role is not known; `role` is None then."""


class Reaching(NamedTuple):
    """One assignment that reaches an entry. `through` says how: "assigned directly", "group APP-Phone"."""

    through: str
    role: AppRole | None = None
    role_unknown: str = ""

    @property
    def decides(self) -> tuple[str, ...]:
        """What of it decides on an entry: not the name of the group."""
        return (self.role.value, self.role.display_name) if self.role is not None else ("", self.role_unknown)


@dataclass(frozen=True, slots=True)
class Given:
    """Every assignment to the app that the source has shown."""

    by_principal: Mapping[SourceId, tuple[GivenAssignment, ...]] = field(default_factory=dict)
    groups: frozenset[SourceId] = frozenset()
    """The assigned groups."""
    complete: bool = True
    """Whether these are all; otherwise whoever is not among them may be assigned all the same."""

    @classmethod
    def of(cls, assignments: Iterable[GivenAssignment], *, complete: bool) -> Given:
        by_principal: dict[SourceId, tuple[GivenAssignment, ...]] = {}
        for one in assignments:
            by_principal[one.principal] = (*by_principal.get(one.principal, ()), one)
        groups = frozenset(one for one, given in by_principal.items() if given[0].kind == "group")
        return cls(by_principal, groups, complete)

    def reaching(self, source_id: SourceId, groups: Set[SourceId]) -> tuple[Reaching, ...]:
        """Return what reaches an entry, itself or through these groups of its, in a stable order."""
        found = [Reaching("assigned directly", *one[3:]) for one in self.by_principal.get(source_id, ())]
        for group in sorted(self.groups & groups):
            found += [Reaching(f"group {one.name}", *one[3:]) for one in self.by_principal[group]]
        return tuple(found)


NOTHING_GIVEN = Given()
"""Where the source is not asked."""
