"""Profiles of vendors, judged: from their TOML to a Profile."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from reconciler import vendors
from reconciler.config.conversion import mapping_of
from reconciler.config.job_tables import AttributeTable, Condition, DeprovisionTable, JobTable, MappingTable
from reconciler.config.reading import spelled
from reconciler.config.rest_target_table import RestTable
from reconciler.config.shape import shaped
from reconciler.config.values import Duration, Table, TargetPath, Text, refusal
from reconciler.core.profile import PatchDialect, Profile, TargetAttribute
from reconciler.errors import ConfigError, Problem

Tier = Literal["stated", "vendor", "third_party", "measured", "assumed"]
"""How well a fact is known: the vendor's set-up guide, its other pages, somebody else's, our measurement, nobody's."""


class KindTable(Table):
    """What is known of the app's users or groups."""

    define: dict[TargetPath, AttributeTable] = Field(default_factory=dict, description="Attributes by path.")
    attributes: list[MappingTable] = Field(default_factory=list, description="The mappings that a new job begins with.")


class LinkTable(Table):
    """A page about the app."""

    title: Text = Field(description="What the page is called.")
    url: Text = Field(description="Its address.")


class EvidenceTable(Table):
    """Why the profile says something."""

    fact: Text = Field(description="What is so.")
    tier: Tier = Field(description="How well it is known.")
    source: Text = Field(description="Where it is said.")


class OptionalTable(Table):
    """A mapping that a job may add."""

    why: Text = Field(description="What it is good for, and what it needs.")
    mapping: MappingTable = Field(description="The mapping.")


class FirstJobTable(Table):
    """What a first job says of its own, in place of what it says for every app."""

    source: Text | None = Field(default=None, description="The shipped description that people come from.")
    scope: Literal["all", "assigned", "roles"] = Field(default="assigned", description="Who takes part.")
    roles: dict[Text, Condition] = Field(
        default_factory=dict, description='With scope = "roles": the roles that it gives, as examples to be changed.'
    )
    deletion_threshold: int = Field(default=500, ge=0, description="More disables and deletes than this are held.")
    interval: Duration = Field(default="40m", description="How often a cycle begins.")
    deprovision: DeprovisionTable | None = Field(default=None, description="What happens to the account of a leaver.")

    @model_validator(mode="after")
    def _roles_where_they_count(self) -> FirstJobTable:
        if (self.scope == "roles") != bool(self.roles):
            raise refusal('roles go with scope = "roles", and that with at least one')
        return self


class ProfileTable(Table):
    """What is special about one vendor."""

    name: Text = Field(description="What the profile is called.")
    title: Text | None = Field(default=None, description="What people call the app.")
    status: Text | None = Field(
        default=None, description="What its vendor says of the connection: preview, for example."
    )
    notice: Text | None = Field(default=None, description="What an administrator should know before using it.")
    protocol: Literal["scim", "rest", "graph"] = Field(default="scim", description="How the app is spoken to.")
    url: Text | None = Field(default=None, description="The base URL, where it is the same for everybody.")
    auth: Literal["bearer", "basic", "oauth2"] = Field(default="bearer", description="How requests are authorised.")
    tenant_by_token: bool = Field(
        default=False, description="Whether one address serves every tenant, and the token chooses."
    )
    active: TargetPath = Field(default="active", description="The attribute that says whether an account can be used.")
    patch: Literal["rfc", "entra", "put"] = Field(default="rfc", description="The form of changes.")
    page_size: int = Field(default=100, ge=1, le=10_000, description="How many resources a page of a listing has.")
    members_per_request: int = Field(
        default=100, ge=1, le=10_000, description="How many members one request may change."
    )
    can_filter: bool = Field(default=True, description="Whether the app answers filters.")
    filters: list[TargetPath] = Field(default_factory=list, description="The attributes that it can be asked by.")
    can_rename_groups: bool = Field(default=True, description="Whether a group's name can be changed.")
    can_adopt_groups: bool = Field(default=True, description="Whether a group that is there can be taken over.")
    can_delete_groups: bool = Field(default=True, description="Whether groups can be deleted.")
    can_disable: bool = Field(default=True, description="Whether accounts can be disabled.")
    can_delete: bool = Field(default=True, description="Whether accounts can be deleted.")
    confirm_delete: Text | None = Field(
        default=None, description="What a job must repeat before its accounts are deleted: it cannot be undone."
    )
    shows_groups_late: bool = Field(
        default=False, description="Whether a group may not show for a while, and another of its name be made then."
    )
    excluded_roles: list[Text] = Field(default_factory=list, description="App roles that entitle nobody.")
    creation_threshold: int | None = Field(
        default=None, ge=0, description="The default of a job's: more new accounts than this are held."
    )
    requests_per_second: float | None = Field(
        default=None, gt=0, allow_inf_nan=False, description="The app's rate limit."
    )
    burst: int = Field(
        default=1, ge=1, le=1000, description="So many requests may go at once before the limit spaces them out."
    )
    side_effects: list[Text] = Field(default_factory=list, description="What a create does beside making an account.")
    prerequisites: list[Text] = Field(default_factory=list, description="What is needed before the first cycle.")
    writes_per_second: float | None = Field(
        default=None, gt=0, allow_inf_nan=False, description="The most changes a second, where a request has several."
    )
    permissions: dict[str, str] = Field(
        default_factory=dict, description="The permissions to look for, with the attribute that needs each; empty: all."
    )
    hints: dict[str, Text] = Field(default_factory=dict, description="What to tell an administrator, by fault.")
    links: list[LinkTable] = Field(default_factory=list, description="The vendor's own pages, and ours.")
    evidence: list[EvidenceTable] = Field(default_factory=list, description="Why the profile says what it says.")
    optional: list[OptionalTable] = Field(default_factory=list, description="Mappings of users that a job may add.")
    rest: RestTable | None = Field(default=None, description="How the app is read and written, with protocol rest.")
    first_job: FirstJobTable = Field(default_factory=FirstJobTable, description="What `init` writes.")
    users: KindTable = Field(default_factory=KindTable)
    groups: KindTable = Field(default_factory=KindTable)

    @model_validator(mode="after")
    def _spoken_to(self) -> ProfileTable:
        if (self.protocol == "rest") != (self.rest is not None):
            raise refusal('the table rest goes with protocol = "rest", and with no other')
        return self


@dataclass(frozen=True, slots=True)
class Described:
    """A profile, and what it tells people beside what decides."""

    profile: Profile
    table: ProfileTable

    @property
    def title(self) -> str:
        return self.table.title or self.table.name


def load_profile(reference: str, directory: Path) -> Profile:
    """Return a shipped profile by name, or one from a file relative to `directory`; raises ConfigError."""
    return described_profile(reference, directory).profile


def described_profile(reference: str, directory: Path) -> Described:
    """As load_profile, with everything that the profile tells people."""
    return _described(reference, directory) if vendors.is_path(reference) else _shipped(reference)


@cache
def _shipped(name: str) -> Described:
    """Return a profile that does not change while we run: each configuration asks for one or two, at each reload."""
    return _described(name, Path())


def _described(reference: str, directory: Path) -> Described:
    shape = shaped(ProfileTable, vendors.tables(reference, directory))
    label = str(directory / reference) if vendors.is_path(reference) else f"the profile {reference}"
    if shape.findings or shape.table is None:
        raise ConfigError(
            *(
                Problem(f"{label}: {spelled(found.place)}".removesuffix(": "), found.problem, found.hint)
                for found in shape.findings
            )
        )
    table = shape.table
    profile = Profile(
        name=table.name,
        user_attributes=_attributes(table.users.define),
        group_attributes=_attributes(table.groups.define),
        user_mappings=tuple(mapping_of(mapping) for mapping in table.users.attributes),
        group_mappings=tuple(mapping_of(mapping) for mapping in table.groups.attributes),
        active=table.active,
        patch=PatchDialect(table.patch),
        page_size=table.page_size,
        members_per_request=table.members_per_request,
        can_filter=table.can_filter,
        filters=tuple(table.filters),
        can_rename_groups=table.can_rename_groups,
        can_adopt_groups=table.can_adopt_groups,
        can_delete_groups=table.can_delete_groups,
        can_disable=table.can_disable,
        can_delete=table.can_delete,
        confirm_delete=table.confirm_delete,
        shows_groups_late=table.shows_groups_late,
        excluded_roles=tuple(table.excluded_roles),
        creation_threshold=table.creation_threshold,
        requests_per_second=table.requests_per_second,
        burst=table.burst,
        url=table.url,
        tenant_by_token=table.tenant_by_token,
        writes_per_second=table.writes_per_second,
        permissions=dict(table.permissions),
        hints=dict(table.hints),
    )
    return Described(profile, table)


def with_defined(profile: Profile, job: JobTable) -> Profile:
    """Return the profile with the attributes that a job defines itself, in place of or beside its own."""
    of_groups = {} if job.groups is None else job.groups.define
    if not job.users.define and not of_groups:
        return profile
    return replace(
        profile,
        user_attributes={**profile.user_attributes, **_attributes(job.users.define)},
        group_attributes={**profile.group_attributes, **_attributes(of_groups)},
    )


def _attributes(tables: Mapping[str, AttributeTable]) -> dict[str, TargetAttribute]:
    return {
        path: TargetAttribute(
            path,
            type=known.type,
            multivalued=known.multivalued,
            case_exact=known.case_exact,
            required=known.required,
            read_only=known.read_only,
            write_once=known.write_once,
            never_null=known.never_null,
            references=known.references,
            allowed=tuple(known.allowed),
            max_changes=known.max_changes,
            own_domain=known.own_domain,
            shown=known.shown,
        )
        for path, known in tables.items()
    }
