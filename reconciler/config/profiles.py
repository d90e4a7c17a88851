"""Profiles of vendors, judged: from their TOML to a Profile."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field

from reconciler import vendors
from reconciler.config.conversion import mapping_of
from reconciler.config.job_tables import MappingTable
from reconciler.config.reading import spelled
from reconciler.config.shape import shaped
from reconciler.config.values import Table, TargetPath, Text
from reconciler.core.model import PatchDialect, Profile, TargetAttribute, ValueType
from reconciler.errors import ConfigError, Problem


class AttributeTable(Table):
    """What is known of one attribute of the app."""

    type: ValueType = Field(default=ValueType.STRING, strict=False, description="The type of its values.")
    multivalued: bool = Field(default=False, description="Whether it is a list.")
    case_exact: bool = Field(default=False, description="Whether letter case matters.")
    required: bool = Field(default=False, description="Whether nothing can be created without it.")
    read_only: bool = Field(default=False, description="Whether only the app sets it.")
    write_once: bool = Field(default=False, description="Whether it is set on create and never changed.")
    never_null: bool = Field(default=False, description="Whether a value can be changed and never taken away.")
    references: Literal["user", "group"] | None = Field(default=None, description="What a Reference points to.")
    allowed: list[Text] = Field(default_factory=list, description="The values that the app takes; empty: any.")
    own_domain: bool = Field(default=False, description="Whether its address must be in a domain of the app's own.")


class KindTable(Table):
    """What is known of the app's users or groups."""

    define: dict[TargetPath, AttributeTable] = Field(default_factory=dict, description="Attributes by path.")
    attributes: list[MappingTable] = Field(default_factory=list, description="The mappings that a new job begins with.")


class ProfileTable(Table):
    """What is special about one vendor."""

    name: Text = Field(description="What the profile is called.")
    notice: Text | None = Field(default=None, description="What an administrator should know before using it.")
    active: TargetPath = Field(default="active", description="The attribute that says whether an account can be used.")
    patch: Literal["rfc", "entra", "put"] = Field(default="rfc", description="The form of changes.")
    page_size: int = Field(default=100, ge=1, le=10_000, description="How many resources a page of a listing has.")
    members_per_request: int = Field(
        default=100, ge=1, le=10_000, description="How many members one request may change."
    )
    can_filter: bool = Field(default=True, description="Whether the app answers filters.")
    can_rename_groups: bool = Field(default=True, description="Whether a group's name can be changed.")
    can_disable: bool = Field(default=True, description="Whether accounts can be disabled.")
    can_delete: bool = Field(default=True, description="Whether accounts can be deleted.")
    requests_per_second: float | None = Field(
        default=None, gt=0, allow_inf_nan=False, description="The app's rate limit."
    )
    writes_per_second: float | None = Field(
        default=None, gt=0, allow_inf_nan=False, description="The most changes a second, where a request has several."
    )
    permissions: dict[str, str] = Field(
        default_factory=dict, description="The permissions to look for, with the attribute that needs each; empty: all."
    )
    hints: dict[str, Text] = Field(default_factory=dict, description="What to tell an administrator, by fault.")
    users: KindTable = Field(default_factory=KindTable)
    groups: KindTable = Field(default_factory=KindTable)


def load_profile(reference: str, directory: Path) -> Profile:
    """Return a shipped profile by name, or one from a file relative to `directory`; raises ConfigError."""
    return _load(reference, directory)[0]


def profile_and_notice(reference: str, directory: Path) -> tuple[Profile, str | None]:
    """As load_profile, with what an administrator should know before using it."""
    return _load(reference, directory)


def _load(reference: str, directory: Path) -> tuple[Profile, str | None]:
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
        user_attributes=_attributes(table.users),
        group_attributes=_attributes(table.groups),
        user_mappings=tuple(mapping_of(mapping) for mapping in table.users.attributes),
        group_mappings=tuple(mapping_of(mapping) for mapping in table.groups.attributes),
        active=table.active,
        patch=PatchDialect(table.patch),
        page_size=table.page_size,
        members_per_request=table.members_per_request,
        can_filter=table.can_filter,
        can_rename_groups=table.can_rename_groups,
        can_disable=table.can_disable,
        can_delete=table.can_delete,
        requests_per_second=table.requests_per_second,
        writes_per_second=table.writes_per_second,
        permissions=dict(table.permissions),
        hints=dict(table.hints),
    )
    return profile, table.notice


def _attributes(table: KindTable) -> dict[str, TargetAttribute]:
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
            own_domain=known.own_domain,
        )
        for path, known in table.define.items()
    }
