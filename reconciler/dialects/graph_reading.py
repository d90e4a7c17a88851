"""Says what is asked of Microsoft Graph about users and groups, and what its rows and links mean for a source."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple
from urllib.parse import quote

from reconciler.core.given import GivenAssignment
from reconciler.core.model import PSEUDO_ATTRIBUTES, AppRole, Attributes, Kind, SourceId
from reconciler.dialects import graph

MANAGER = "manager"
MEMBERS = "members"
HIDDEN_MEMBERSHIP = "HiddenMembership"
DEFAULT_ROLE = "00000000-0000-0000-0000-000000000000"
LINK_CHARACTERS_MAX = 16_384
"""A longer link is not kept: the next reading begins anew."""

READS_USERS = ("User.Read.All", "User.ReadWrite.All", "Directory.Read.All", "Directory.ReadWrite.All")
READS_GROUPS = (
    *("GroupMember.Read.All", "Group.Read.All", "GroupMember.ReadWrite.All", "Group.ReadWrite.All"),
    *("Directory.Read.All", "Directory.ReadWrite.All"),
)
READS_APPS = (
    *("Application.Read.All", "Application.ReadWrite.All", "AppRoleAssignment.ReadWrite.All"),
    *("Directory.Read.All", "Directory.ReadWrite.All"),
)
READS_HIDDEN_MEMBERS = ("Member.Read.Hidden",)
NEEDS: Mapping[str, tuple[str, ...]] = {
    "employeeLeaveDateTime": ("User-LifeCycleInfo.Read.All", "User-LifeCycleInfo.ReadWrite.All"),
    "customSecurityAttributes": ("CustomSecAttributeAssignment.Read.All", "CustomSecAttributeAssignment.ReadWrite.All"),
}
"""Properties that are null, or left out, for who lacks a permission of their own (any of these)."""

_ALWAYS: Mapping[Kind, tuple[str, ...]] = {
    "user": ("userPrincipalName", "displayName", "mail"),
    "group": ("displayName",),
}
"""What people are found and called by."""
_OLD_NAMES = {
    "objectId": "id",
    "facsimileTelephoneNumber": "faxNumber",
    "mobile": "mobilePhone",
    "originalUserPrincipalName": "userPrincipalName",
    "physicalDeliveryOfficeName": "officeLocation",
}
"""Names that Entra's own attribute mappings have for properties."""
_FIRST_OF = {"telephoneNumber": "businessPhones"}
_EXTENSION = re.compile(r"extensionAttribute(?:[1-9]|1[0-5])")
_PROPERTY = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*)*")
_START_OVER = frozenset({"syncstatenotfound", "syncstateinvalid", "resyncrequired"})
_GUEST = "#EXT#"
_ID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")

Read = Callable[[Mapping[str, Any]], Any]


class Reading(NamedTuple):
    """What is asked about the entries of one kind, and how an entry's attributes are read."""

    kind: Kind
    properties: tuple[str, ...]
    """What is selected, relations too."""
    values: tuple[tuple[str, Read], ...]
    unusable: tuple[str, ...] = ()
    """Attributes that cannot be names of properties."""

    @property
    def first(self) -> str:
        """The path that a first round begins with."""
        return f"{graph.COLLECTIONS[self.kind]}/delta?$select={','.join(self.properties)}"

    @property
    def one(self) -> str:
        """The query that gives one entry whole: relations are not selected but expanded."""
        query = f"$select={','.join(['id', *(one for one in self.properties if one != MANAGER)])}"
        return f"{query}&$expand={MANAGER}($select=id)" if MANAGER in self.properties else query

    @property
    def sample(self) -> str:
        """The path that shows one entry, to see whether that is possible."""
        return f"{graph.COLLECTIONS[self.kind]}?{self.one}&$top=1"

    def attributes(self, row: Mapping[str, Any]) -> Attributes:
        return {name: read(row) for name, read in self.values}


def reading(kind: Kind, names: Iterable[str]) -> Reading:
    """Compile what rules read of a kind; nothing else is asked for but what people are found and called by."""
    properties: dict[str, None] = {}
    values: list[tuple[str, Read]] = []
    unusable: list[str] = []
    for name in dict.fromkeys([*_ALWAYS[kind], *sorted(frozenset(names) - PSEUDO_ATTRIBUTES - {MEMBERS})]):
        if not _PROPERTY.fullmatch(name):
            unusable.append(name)
            continue
        path = f"onPremisesExtensionAttributes.{name}" if _EXTENSION.fullmatch(name) else _OLD_NAMES.get(name, name)
        path = _FIRST_OF.get(name, path)
        if path != "id":
            properties[path.partition(".")[0]] = None
        values.append((name, _reader(name, path)))
    return Reading(kind, tuple(sorted(properties)), tuple(values), tuple(unusable))


def _reader(name: str, path: str) -> Read:
    if name in ("userPrincipalName", *_FIRST_OF, MANAGER):
        return {"userPrincipalName": _user_principal_name, MANAGER: _manager}.get(name, _first_of(path))
    parts = path.split(".")
    if len(parts) == 1:
        return lambda row: row.get(path)

    def read(row: Mapping[str, Any]) -> Any:
        value: Any = row
        for part in parts:
            value = value.get(part) if isinstance(value, Mapping) else None
        return value

    return read


def _first_of(path: str) -> Read:
    def read(row: Mapping[str, Any]) -> Any:
        held = row.get(path)
        return held[0] if isinstance(held, list) and held else None

    return read


def _manager(row: Mapping[str, Any]) -> Any:
    held = row.get(MANAGER)
    return held.get("id") if isinstance(held, Mapping) else held


def _user_principal_name(row: Mapping[str, Any]) -> Any:
    """Return a guest's name as it is at home: what Entra's provisioning service gives for userPrincipalName."""
    name = row.get("userPrincipalName")
    if not isinstance(name, str) or _GUEST not in name:
        return name
    local, _, domain = name.partition(_GUEST)[0].rpartition("_")
    return f"{local}@{domain}" if local and domain else name


def merged(rows: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Return one row of all that a round says of one entry; the relation `manager` as an id, or None."""
    whole: dict[str, Any] = {}
    for row in rows:
        whole.update((name, value) for name, value in row.items() if "@" not in name)
        for link in _objects(row.get(f"{MANAGER}@delta")):
            if "@removed" not in link:
                whole[MANAGER] = link.get("id")
            elif whole.get(MANAGER) == link.get("id"):
                whole[MANAGER] = None
    return whole


def plain_values(rows: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Return of what a round says of one entry the values that have one form wherever Graph shows them."""
    said = merged(rows).items()
    return {name: value for name, value in said if isinstance(value, str | bool | int) and name != MANAGER}


def removed(row: Mapping[str, Any]) -> str | None:
    """Return why the row says that an entry was removed ("changed": it can come back; "deleted"), None: it was not."""
    said = row.get("@removed")
    if said is None:
        return None
    reason = said.get("reason") if isinstance(said, Mapping) else None
    return reason if isinstance(reason, str) else "changed"


def members(row: Mapping[str, Any]) -> list[tuple[SourceId, bool]]:
    """Return who came to a group (True) or left it (False), in the order of the row."""
    return [
        (SourceId(one["id"]), "@removed" not in one)
        for one in _objects(row.get(f"{MEMBERS}@delta"))
        if isinstance(one.get("id"), str)
    ]


def given(rows: Iterable[Mapping[str, Any]], app_roles: Iterable[Mapping[str, Any]]) -> list[GivenAssignment] | str:
    """Return what appRoleAssignedTo says with the names of the roles, or what is wrong with it."""
    roles: dict[str, AppRole] = {}
    for role in app_roles:
        name = str(role.get("displayName") or "")
        roles[str(role.get("id"))] = AppRole(str(role.get("value") or name), name or str(role.get("value") or ""))
    kinds: dict[Any, Kind] = {"User": "user", "Group": "group"}
    found: list[GivenAssignment] = []
    for row in rows:
        principal, role_id = row.get("principalId"), row.get("appRoleId")
        if not isinstance(principal, str) or not isinstance(role_id, str):
            return "an assignment names no principal or no role"
        kind = kinds.get(row.get("principalType"))
        if kind is None:
            continue
        name = str(row.get("principalDisplayName") or principal)
        known = roles.get(role_id)
        unknown = "" if known is not None or role_id == DEFAULT_ROLE else f"the app has no role {role_id}"
        found.append(GivenAssignment(kind, SourceId(principal), name, known, unknown))
    return found


def starts_over(status: int, content: bytes) -> bool:
    """Whether an answer says that a link is too old, or the tenant was moved: everything must be read anew."""
    if status == 410:
        return True
    if not 400 <= status < 500:
        return False
    error = graph.json_object(content).get("error")
    return isinstance(error, dict) and str(error.get("code") or "").lower() in _START_OVER


def path_of(link: Any, root: str) -> str | None:
    """Return what of a link comes after the root of Graph; None where it leads anywhere else."""
    if not isinstance(link, str) or not link.startswith(f"{root}/"):
        return None
    return link.removeprefix(root)


def is_id(text: str) -> bool:
    """Whether a text can be the id of a user or group: Graph takes other names for users in the same place."""
    return _ID.fullmatch(text) is not None


def one_path(source_id: str, how: Reading) -> str:
    """Return the path of one entry."""
    return f"{graph.COLLECTIONS[how.kind]}/{quote(source_id, safe='')}?{how.one}"


def deleted_path(source_id: str) -> str:
    """Return the path of one entry in the recycle bin ("Get deletedItem"); it needs no permission of its own."""
    return f"/directory/deletedItems/{quote(source_id, safe='')}?$select=id"


def _objects(value: Any) -> list[dict[str, Any]]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []
