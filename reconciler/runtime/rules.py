"""The rules of one job for one kind, compiled once for many entries."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from hashlib import blake2b
from typing import Protocol

import orjson

from reconciler.core.assignments import Memberships
from reconciler.core.characters import Odd, plain
from reconciler.core.mapping import Mapper
from reconciler.core.model import KINDS, PSEUDO_ATTRIBUTES, Direct, Entry, Job, Kind, LeaveDate, ObjectRules
from reconciler.core.planning import Planner
from reconciler.core.profile import Profile
from reconciler.core.scoping import ScopeRules
from reconciler.ports import Wanted

_NUL = b"\\u0000"
"""U+0000 in JSON; a text that shows it so has it, too."""


class Fingerprint(Protocol):
    """Tells whether anything that decides on an entry has changed. Raises Odd where it must be `levelled` first."""

    def __call__(self, entry: Entry, of: Memberships, *, levelled: bool = False) -> bytes: ...


def compiled(job: Job, profile: Profile) -> dict[Kind, KindRules]:
    """Return the rules of each kind that a job has to do with."""
    return {kind: rules for kind in KINDS if (rules := KindRules.compile(job, kind, profile)) is not None}


def wanted_of(rules: Mapping[Kind, KindRules]) -> Wanted:
    """Return what the rules of a job need of its source."""
    users, groups = rules.get("user"), rules.get("group")
    app = next((one.scope.assignments.given.app for one in rules.values()), None)
    named = any(one.scope.group_names for one in rules.values())
    return Wanted(
        user_attributes=users.reads if users is not None else frozenset(),
        group_attributes=groups.reads if groups is not None else frozenset(),
        users=users is not None,
        groups=groups is not None,
        memberships=groups is not None or named or app is not None,
        app=app,
    )


@dataclass(frozen=True, slots=True)
class KindRules:
    """Scope, mapping and planning of one kind."""

    kind: Kind
    rules: ObjectRules
    scope: ScopeRules
    mapper: Mapper
    planner: Planner
    reads: frozenset[str]
    """The attributes that a source must have."""
    name_attribute: str
    """The source attribute that people know an entry by."""
    other_name: str
    """What stands in for it; empty where the log must not show that."""
    name_path: str | None
    """The matching path that holds this name at the target; None where it is not mapped as it is."""
    person_attribute: str | None
    references: bool
    """Whether a mapped attribute names other entries."""
    leave_date: LeaveDate | None
    parting: Mapper | None
    """What is written into the accounts of those who leave, where the rules say `set`."""

    @classmethod
    def compile(cls, job: Job, kind: Kind, profile: Profile) -> KindRules | None:
        """Return the rules, or None where the job has nothing to do with this kind."""
        rules = job.rules(kind)
        if rules is None:
            return None
        mapper = Mapper.compile(rules, profile)
        scope = ScopeRules.compile(job, kind).asking_too(mapper.groups)
        person = job.person if kind == "user" else None
        named = [(m.source.attribute, m.to) for m in mapper.match_mappings if isinstance(m.source, Direct)]
        other_name = "displayName" if "displayName" not in scope.hidden else ""
        leave_date = job.deprovision.leave_date if kind == "user" else None
        reads = mapper.reads | scope.reads | ({person} if person else set())
        parting = None
        if kind == "user" and job.deprovision.parting:
            written = replace(rules, mappings=job.deprovision.parting, filter=None)
            parting = Mapper.compile(written, profile)
            reads |= parting.reads
        if leave_date is not None:
            reads |= {leave_date.attribute, leave_date.timezone_attribute or leave_date.attribute}
        return cls(
            kind=kind,
            rules=rules,
            scope=scope,
            mapper=mapper,
            planner=Planner.of(job, rules, profile),
            reads=frozenset(reads - PSEUDO_ATTRIBUTES),
            name_attribute=named[0][0] if named else other_name,
            other_name=other_name,
            name_path=named[0][1] if named else None,
            person_attribute=person,
            references=any(profile.attribute(kind, mapping.to).references for mapping in rules.mappings),
            leave_date=leave_date,
            parting=parting,
        )

    def fingerprinter(self, key: bytes, rules_version: str) -> Fingerprint:
        """Return the function that tells whether anything that decides on an entry has changed.

        A keyed hash (nobody can guess a value from it) of the attributes that the rules read, of the memberships that
        count, and of the version of the rules.
        """
        names = tuple(sorted(self.reads | self.scope.reads_if_present))
        keyed = blake2b(key=key, digest_size=16)

        def fingerprint(entry: Entry, of: Memberships, *, levelled: bool = False) -> bytes:
            get = entry.attributes.get
            decides = [rules_version, entry.gone, entry.purged, sorted(of.direct), sorted(of.nested)]
            decides += map(get, names)
            if of.given:
                decides.append([one.decides for one in of.given])
            try:
                told = orjson.dumps(decides, option=orjson.OPT_SORT_KEYS)
            except TypeError as error:
                raise Odd from error
            if _NUL in told and not levelled:
                raise Odd
            hashed = keyed.copy()
            hashed.update(told)
            return hashed.digest()

        return fingerprint

    def name_of(self, entry: Entry) -> str:
        """Return what a person calls the entry."""
        value = entry.attributes.get(self.name_attribute) or entry.attributes.get(self.other_name)
        return plain(value) if isinstance(value, str) else str(entry.id)

    def person_of(self, entry: Entry) -> str | None:
        if self.person_attribute is None:
            return None
        value = entry.attributes.get(self.person_attribute)
        return str(value) if value not in (None, "") else None
