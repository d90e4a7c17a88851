"""Says where in a directory the users and groups are, and how they are asked for."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Iterable, Sequence, Set
from dataclasses import asdict, dataclass
from typing import Literal

import orjson

from reconciler.core.model import PSEUDO_ATTRIBUTES, Kind, SourceId
from reconciler.dialects import ldap_filter
from reconciler.ports import Wanted
from reconciler.sources.ldap_values import ACCOUNT_ENABLED, Reading, guid_of, text_of, values_of
from reconciler.sources.ldap_wire import Raw

IN_CHAIN = "1.2.840.113556.1.4.1941"
_IDS_IN_A_FILTER = 100


Changes = Literal["auto", "search", "none"]
"""How a directory is asked for what changed: in the best way that it has, by searching for it, or not at all."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where the entries of one kind are."""

    base: str
    filter: str


@dataclass(frozen=True, slots=True)
class Layout:
    """What a configuration says of the entries of a directory."""

    users: Place
    groups: Place
    active_directory: bool = False
    anchor: str = "entryUUID"
    group_name: str = "cn"
    members: str = "member"
    references: frozenset[str] = frozenset({"manager", "secretary", "owner", "seealso"})
    """The attributes that name other entries, in lower case."""
    multivalued: frozenset[str] = frozenset()
    """The attributes that are lists also where they have one value, in lower case."""
    in_chain: bool = False
    """Groups hold whoever the directory itself finds in them through other groups."""
    page_size: int = 1000
    allow_empty: frozenset[str] = frozenset()
    """What there may be none of: "users", "groups", "members"."""

    def place(self, kind: Kind) -> Place:
        return self.users if kind == "user" else self.groups

    def reading(self, kind: Kind, wanted: Wanted) -> Reading:
        """Return how the wanted attributes of a kind are asked for."""
        names = wanted.user_attributes if kind == "user" else wanted.group_attributes
        own = names - PSEUDO_ATTRIBUTES - {"objectId"}
        if kind == "group":
            own -= {self.members, "members"}  # they travel in pages of their own
        return Reading(
            sorted(own), references=self.references, multivalued=self.multivalued, enabled=self.active_directory
        )

    def filters_on(self, kind: Kind, attributes: Set[str]) -> bool:
        """Whether who of a kind is looked for depends on one of these attributes (in lower case)."""
        return not attributes.isdisjoint(ldap_filter.attributes_in(self.place(kind).filter))

    def nobody(self, kind: Kind) -> str:
        """Return why that nobody was shown is not believed; empty where it is."""
        what = f"{kind}s"
        if what in self.allow_empty:
            return ""
        hint = f'where that is right: allow_empty = ["{what}"]'
        return f"{what}: none is shown; may they be read, and does the filter fit? ({hint})"

    def no_member(self) -> str:
        """Return why that no group shows a member is not believed; empty where it is."""
        if "members" in self.allow_empty:
            return ""
        what = "memberOf of users" if self.in_chain else self.members
        hint = 'where that is right: allow_empty = ["members"]'
        return f"members: no group shows one that is known; may {what} be read? ({hint})"

    def id_of(self, raw: Raw) -> SourceId | None:
        """Return the anchor; None where the entry shows none, or several."""
        values = values_of(raw.attributes, self.anchor)
        if len(values) != 1 or not values[0].strip():
            return None
        return SourceId(guid_of(values[0]) if self.anchor.lower() == "objectguid" else text_of(values[0]))

    def with_ids(self, ids: Iterable[SourceId]) -> Iterable[tuple[list[SourceId], str]]:
        """Yield ids in bunches, each with the filter that finds them; who cannot have such an id is in no filter."""
        bunch: list[SourceId] = []
        parts: list[str] = []
        for id_ in ids:
            bunch.append(id_)
            if (part := self._with_id(id_)) is not None:
                parts.append(part)
            if len(bunch) == _IDS_IN_A_FILTER:
                yield bunch, ldap_filter.any_of(parts) if parts else ""
                bunch, parts = [], []
        if bunch:
            yield bunch, ldap_filter.any_of(parts) if parts else ""

    def _with_id(self, id_: SourceId) -> str | None:
        if self.anchor.lower() == "objectguid":
            try:
                return f"({self.anchor}={ldap_filter.escaped_bytes(uuid.UUID(id_).bytes_le)})"
            except ValueError:
                return None
        if self.anchor.lower() == "entryuuid":
            try:
                return f"({self.anchor}={uuid.UUID(id_)})"
            except ValueError:
                return None
        return f"({self.anchor}={ldap_filter.escaped(id_)})"

    def digest(self, wanted: Wanted) -> str:
        """Return what a token is bound to: the searches and the attributes that are asked for."""
        said = asdict(self)
        for name in ("references", "multivalued"):
            said[name] = sorted(said[name])
        del said["page_size"], said["allow_empty"]
        parts = (wanted.users, wanted.groups, wanted.memberships)
        asked = [said, sorted(wanted.user_attributes), sorted(wanted.group_attributes), parts]
        return hashlib.blake2b(orjson.dumps(asked, option=orjson.OPT_SORT_KEYS), digest_size=12).hexdigest()


def tracked(layout: Layout, wanted: Wanted, kinds: Sequence[Kind]) -> list[str]:
    """Return the attributes whose change matters: those that are read, and those that the filters look at."""
    names: set[str] = set()
    for kind in kinds:
        names.update(layout.reading(kind, wanted).asked)
        names |= ldap_filter.attributes_in(layout.place(kind).filter)
    if "group" in kinds:
        names |= {layout.members.lower(), layout.group_name.lower()}
    return sorted(names - {ACCOUNT_ENABLED.lower()})
