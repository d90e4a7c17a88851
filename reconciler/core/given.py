"""What a source itself says of who is assigned to an app, and what of it reaches one entry."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence, Set
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
    how: str
    """The same for a sentence: "directly", "through APP-Phone"."""
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
        own = self.by_principal.get(source_id, ())
        found = [Reaching("assigned directly", "directly", one.role, one.role_unknown) for one in own]
        for group in sorted(self.groups & groups):
            found += [
                Reaching(f"group {one.name}", f"through {one.name}", one.role, one.role_unknown)
                for one in self.by_principal[group]
            ]
        return tuple(found)


NOTHING_GIVEN = Given()
"""Where the source is not asked."""


@dataclass(frozen=True, slots=True)
class GivenRules:
    """What the rules of a job make of the assignments that the source has."""

    app: str | None
    """The app whose assignments the source is asked for; None: only those of the job count."""
    nested: bool
    """Whether an assigned group entitles the members of the groups within it."""
    excluded: frozenset[str]
    """The roles that entitle nobody, in lower case."""
    role_values: Mapping[str, str]
    """What the job says that the app calls a role, by its name."""
    nobody: str
    """Why nobody can be judged where nobody at all is assigned; empty: that is meant."""

    def counting(self, reaching: Iterable[Reaching]) -> list[Reaching]:
        """Return what entitles, each role by the value that the app has for it."""
        return [one._replace(role=self._in_the_app(one.role)) for one in reaching if not self._is_excluded(one)]

    def why_excluded(self, reaching: Sequence[Reaching]) -> tuple[str, str] | None:
        """Return of somebody whom nothing entitles how, and with which role, he is assigned all the same."""
        return (reaching[0].how, _called(reaching[0])) if reaching else None

    def why_nobody(self, given: Given) -> str:
        """Return why nobody can be judged by assignment: nobody at all is assigned, in the job or in the source."""
        return self.nobody if given.complete and not given.by_principal else ""

    def why_more(self, given: Given, groups: Set[SourceId], *, groups_complete: bool) -> str:
        """Return why more may reach an entry that was seen in these groups; empty: that is all."""
        if self.app is None:
            return ""
        if not given.complete:
            return "the source's assignments to the app were not read to the end"
        if not groups_complete and given.groups - groups:
            return "not known whether a member of every assigned group"
        return ""

    def _is_excluded(self, one: Reaching) -> bool:
        return not one.role_unknown and _called(one).casefold() in self.excluded

    def _in_the_app(self, role: AppRole | None) -> AppRole | None:
        if role is None:
            return None
        values = self.role_values
        return AppRole(values.get(role.display_name) or values.get(role.value) or role.value, role.display_name)


def _called(one: Reaching) -> str:
    return one.role.value if one.role is not None else DEFAULT_ACCESS
