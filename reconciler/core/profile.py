"""What is special about one vendor's app, as values: its attributes, how it is spoken to, what it can do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from reconciler.core.model import AttributeMapping, Kind


class ValueType(StrEnum):
    STRING = "String"
    BOOLEAN = "Boolean"
    INTEGER = "Integer"
    DECIMAL = "Decimal"
    DATETIME = "DateTime"
    BINARY = "Binary"
    REFERENCE = "Reference"
    COMPLEX = "Complex"


@dataclass(frozen=True, slots=True)
class TargetAttribute:
    """What the profile knows of one path of the target."""

    path: str
    type: ValueType = ValueType.STRING
    multivalued: bool = False
    case_exact: bool = False
    required: bool = False
    read_only: bool = False
    write_once: bool = False
    """May be set on create and never changed."""
    never_null: bool = False
    references: Kind | None = None
    allowed: tuple[str, ...] = ()
    max_changes: int | None = None
    """How often the target lets it be changed in an account's life; None: ever so often."""
    own_domain: bool = False
    """Its value is an address in a domain that the target itself must own."""
    shown: bool = True
    """Whether the target shows its value; where it does not, what was last sent counts as what it has."""


class PatchDialect(StrEnum):
    RFC = "rfc"
    """RFC 7644 §3.5.2: lower-case operations, real booleans, one operation an attribute, `members[value eq "id"]`."""
    ENTRA = "entra"
    """The Entra legacy form: `Add`/`Replace`/`Remove`, "False" for false, Remove with a list of members."""
    PUT = "put"
    """No PATCH at all: GET, change, PUT."""


@dataclass(frozen=True, slots=True)
class Profile:
    """What is special about one vendor, as data. No vendor's name stands in code."""

    name: str
    user_attributes: Mapping[str, TargetAttribute]
    """By canonical path. A path that is not listed is an ordinary single-valued, case-insensitive String."""
    group_attributes: Mapping[str, TargetAttribute]
    user_mappings: tuple[AttributeMapping, ...] = ()
    group_mappings: tuple[AttributeMapping, ...] = ()
    active: str = "active"
    """The path that says whether an account can be used; its going to false is a disable."""
    patch: PatchDialect = PatchDialect.RFC
    page_size: int = 100
    members_per_request: int = 100
    can_filter: bool = True
    can_rename_groups: bool = True
    can_disable: bool = True
    can_delete: bool = True
    confirm_delete: str | None = None
    """What a job must repeat before it may delete accounts, where that cannot be undone."""
    requests_per_second: float | None = None
    burst: int = 1
    """So many requests may go at once before `requests_per_second` spaces them out."""
    url: str | None = None
    """The base URL, where it is the same for every customer of the vendor."""
    filters: tuple[str, ...] = ()
    """The paths that the app can be asked by; empty: any. By others it is listed."""
    can_adopt_groups: bool = True
    """Whether a group that is there already can be taken over; otherwise it stands in the way and is refused."""
    can_delete_groups: bool = True
    excluded_roles: tuple[str, ...] = ()
    """Who is assigned with none but these is not entitled, by value; letter case does not matter."""
    shows_groups_late: bool = False
    """Whether neither searches nor lists may show a new group for a while, and another one of its name can be made."""
    creation_threshold: int | None = None
    """The job's default where creates cost money or send mails."""
    tenant_by_token: bool = False
    """One address serves every tenant and the token chooses: what a target is takes its `tenant` too."""
    writes_per_second: float | None = None
    """How many single changes a second, where several go in one request."""
    permissions: Mapping[str, str] = field(default_factory=dict)
    """What the credential must be allowed, by the target's name for it → the path that needs it, "" for all."""
    hints: Mapping[str, str] = field(default_factory=dict)
    """What to tell an administrator, by fault: {"unauthorized": "…", "not_found": "…"}."""

    def shows_late(self, kind: Kind) -> bool:
        """Whether what is made may not show for a while, and be made a second time then."""
        return kind == "group" and self.shows_groups_late

    def attributes(self, kind: Kind) -> Mapping[str, TargetAttribute]:
        return self.user_attributes if kind == "user" else self.group_attributes

    def attribute(self, kind: Kind, path: str) -> TargetAttribute:
        known = self.attributes(kind).get(path)
        return known if known is not None else TargetAttribute(path)
