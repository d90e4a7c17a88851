"""The tenant behind the double of Microsoft Graph: its users, groups, recycle bin, and what requests do with them."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote, urlencode

from tests.servers.graph_delta import Deltas, Held
from tests.servers.graph_filters import matches
from tests.servers.graph_request import GraphRequest
from tests.servers.graph_rules import (
    DEFAULT_PROPERTIES,
    EVERYTHING,
    GROUP_PROPERTIES,
    KNOWN,
    READING,
    READS_GROUPS,
    READS_USERS,
    SENSITIVE,
    Json,
    Refusal,
    bad,
    check_values,
    conflict,
    denied,
    not_found,
)

_ID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_BY_APP_ID = re.compile(r"servicePrincipals\(appId='(?P<app>[^']*)'\)")


@dataclass(slots=True)
class Tenant:
    """Everything that Graph keeps for one tenant. A test reads and changes it as an administrator would."""

    domains: list[str] = field(default_factory=lambda: ["example.com", "example.onmicrosoft.com"])
    permissions: set[str] = field(default_factory=lambda: {*EVERYTHING, *READING})
    """The application permissions that were granted with admin consent."""
    users: dict[str, Json] = field(default_factory=dict)
    deleted: dict[str, Json] = field(default_factory=dict)
    groups: dict[str, Json] = field(default_factory=dict)
    members: dict[str, list[str]] = field(default_factory=dict)
    managers: dict[str, str] = field(default_factory=dict)
    passwords: dict[str, Json] = field(default_factory=dict)
    """What Graph never shows."""
    administrators: set[str] = field(default_factory=set)
    throttled_reads: int = 0
    """So many requests for a single user are answered with 429."""
    late_reads: int = 0
    """So many requests about a new user are answered with 404: not every replica knows of it yet."""
    late_members: int = 0
    """So many removals of a member are answered with 404: not every replica knows of the membership yet."""
    lists_are_late: bool = False
    """Lists of users do not show one either whom a replica has not heard of."""
    page_max: int = 999
    root: str = ""
    new_id: Callable[[], str] = lambda: str(uuid.uuid4())
    deltas: Deltas = field(default_factory=Deltas)
    service_principals: dict[str, Json] = field(default_factory=dict)
    """By object id, with appId, displayName and appRoles."""
    assignments: list[Json] = field(default_factory=list)
    """appRoleAssignment resources, of every service principal."""
    _circles: dict[str, list[str]] = field(default_factory=dict)
    """The groups that the deleted were in."""
    _unseen: dict[str, int] = field(default_factory=dict)
    _behind: dict[str, Json] = field(default_factory=dict)
    mail_changes: dict[str, int] = field(default_factory=dict)

    def user(self, name: str) -> Json:
        """Return the one user of this user principal name; KeyError where there is none."""
        for user in self.users.values():
            if user["userPrincipalName"].lower() == name.lower():
                return user
        raise KeyError(name)

    def put(self, name: str, **values: Any) -> str:
        """Make a user without a request; return the id."""
        number = self.new_id()
        self.users[number] = {
            "id": number,
            "userPrincipalName": name,
            "displayName": name.partition("@")[0],
            "mailNickname": name.partition("@")[0],
            "accountEnabled": True,
            "businessPhones": [],
            **values,
        }
        return number

    def remove(self, number: str) -> None:
        """Delete a user softly: it goes to the recycle bin, its name with the id in front of it."""
        user = self.users.pop(number)
        user["userPrincipalName"] = number.replace("-", "") + user["userPrincipalName"]
        self.deleted[number] = user
        self._circles[number] = [group for group, members in self.members.items() if number in members]
        for group in self._circles[number]:
            self.members[group].remove(number)
        self.managers.pop(number, None)
        for report in [one for one, manager in self.managers.items() if manager == number]:
            del self.managers[report]

    def hide(self, number: str, *, requests: int) -> None:
        """Let so many requests meet a replica that has not heard of a user, or of a group."""
        self._unseen[number] = requests

    def lag(self, number: str) -> None:
        """Let the next request for a user meet a replica that knows her as she is now."""
        self._behind[number] = dict(self.users[number])

    def show(self, number: str) -> None:
        """Let every replica know of a user or a group."""
        self._unseen.pop(number, None)

    def restore(self, number: str) -> None:
        """Bring a user back from the recycle bin, into the groups of before ("Recover from deletions")."""
        user = self.deleted.pop(number)
        user["userPrincipalName"] = user["userPrincipalName"].removeprefix(number.replace("-", ""))
        self.users[number] = user
        for group in self._circles.pop(number, []):
            if group in self.members:
                self.members[group].append(number)

    # --- requests ---

    def answer(self, request: GraphRequest) -> tuple[int, Any]:
        """Return status and body; raises Refusal."""
        match request.method, request.segments:
            case "GET", ("organization",):
                self._needs("Organization.Read.All", "Directory.Read.All")
                domains = [{"name": one, "isDefault": n == 0} for n, one in enumerate(self.domains)]
                return 200, {"value": [{"id": "tenant", "verifiedDomains": domains}]}
            case "GET", ("users", "$count"):
                self._is_eventual(request)
                return 200, len(self.users)
            case "GET", ("users", "delta"):
                self._needs(*READS_USERS)
                managers = {one: (manager,) for one, manager in self.managers.items()}
                held = Held("users", self._visible(), managers, frozenset(self.deleted))
                return 200, self.deltas.answer(held, request.query, self.root)
            case "GET", ("users",):
                self._needs(*READS_USERS)
                return 200, self._list(request, self.users, "users")
            case "POST", ("users",):
                self._needs("User.ReadWrite.All")
                return self._create(request)
            case "GET", ("users", number):
                self._needs(*READS_USERS)
                if self.throttled_reads:
                    self.throttled_reads -= 1
                    raise Refusal(429, "TooManyRequests", "Too many requests.", retry_after_seconds=3)
                return 200, self._shown(self._seen(number), request)
            case "GET", ("users", number, "memberOf", "microsoft.graph.group"):
                self._needs(*READS_GROUPS)
                own = self._seen(number)["id"]
                return 200, {"value": [{"id": group} for group, members in self.members.items() if own in members]}
            case "PATCH", ("users", number):
                self._needs("User.ReadWrite.All")
                return self._patch(self._seen(number), request.body)
            case "DELETE", ("users", number):
                self._needs("User.ReadWrite.All")
                user = self._seen(number)
                self._may_touch(user["id"], set(SENSITIVE))
                self.remove(user["id"])
                return 204, None
            case "PUT", ("users", number, "manager", "$ref"):
                self._needs("User.ReadWrite.All")
                user = self._seen(number)
                self.managers[user["id"]] = self._seen(self._referred(request.body))["id"]
                return 204, None
            case "DELETE", ("users", number, "manager", "$ref"):
                self._needs("User.ReadWrite.All")
                user = self._seen(number)
                if self.managers.pop(user["id"], None) is None:
                    raise not_found("manager")
                return 204, None
            case "GET", ("directory", "deletedItems", "microsoft.graph.user"):
                self._needs("User.Read.All", "User.ReadWrite.All")
                return 200, self._list(request, self.deleted, "directory/deletedItems/microsoft.graph.user")
            case "GET", ("directory", "deletedItems", number):
                self._needs(*READS_USERS)
                if number not in self.deleted:
                    raise not_found(number)
                return 200, self._select(self.deleted[number], request.query.get("$select"))
            case "POST", ("directory", "deletedItems", number, "restore"):
                self._needs("User.ReadWrite.All")
                return self._restore(number)
            case "GET", _:
                return self._read_others(request)
            case _:
                return self._about_groups(request)

    def _about_groups(self, request: GraphRequest) -> tuple[int, Any]:
        self._needs("Group.ReadWrite.All")
        for number in request.segments[1:2]:
            self._reaches(number)
        match request.method, request.segments:
            case "POST", ("groups",):
                for name in ("displayName", "mailEnabled", "mailNickname", "securityEnabled"):
                    if name not in request.body:
                        raise bad(f"A value is required for property '{name}' of resource 'Group'.")
                number = self.new_id()
                self.groups[number] = {"id": number, **request.body}
                self.members[number] = []
                return 201, self.groups[number]
            case "PATCH", ("groups", number) if number in self.groups:
                self.groups[number].update(request.body)
                return 204, None
            case "DELETE", ("groups", number) if number in self.groups:
                del self.groups[number], self.members[number]
                return 204, None
            case "POST", ("groups", number, "members", "$ref") if number in self.groups:
                member = self._seen(self._referred(request.body))["id"]
                if member in self.members[number]:
                    message = (
                        "One or more added object references already exist for the following modified properties:"
                        " 'members'."
                    )
                    raise bad(message)
                self.members[number].append(member)
                return 204, None
            case "DELETE", ("groups", number, "members", member, "$ref") if number in self.groups:
                if member not in self.members[number] or self.late_members > 0:
                    self.late_members -= 1
                    raise not_found(member)
                self.members[number].remove(member)
                return 204, None
            case _, ("users" | "groups", number, *_):
                raise not_found(number)
            case _:
                raise Refusal(400, "BadRequest", f"Resource not found for the segment '{request.segments[-1]}'.")

    def _read_others(self, request: GraphRequest) -> tuple[int, Any]:
        if request.segments[0] == "groups":
            self._needs(*READS_GROUPS)
            for number in request.segments[1:2]:
                self._reaches(number)
        else:
            self._needs("Application.Read.All", "Application.ReadWrite.All", "Directory.Read.All")
        match request.segments:
            case ("groups", "delta"):
                shows = "Member.Read.Hidden" in self.permissions
                hidden = {one for one, row in self.groups.items() if row.get("visibility") == "HiddenMembership"}
                members = {one: tuple(held) for one, held in self.members.items() if shows or one not in hidden}
                held = Held("groups", self.groups, members, frozenset())
                return 200, self.deltas.answer(held, request.query, self.root)
            case ("groups", "$count"):
                self._is_eventual(request)
                return 200, len(self.groups)
            case ("groups",):
                return 200, self._list(request, self.groups, "groups")
            case ("groups", number) if number in self.groups:
                return 200, self._select(self.groups[number], request.query.get("$select"), GROUP_PROPERTIES)
            case ("groups", number, "members") if number in self.groups:
                return 200, {"value": [{"id": one} for one in self.members[number]]}
            case ("groups", number, *_) if not _ID.fullmatch(number):
                raise bad(f"Invalid object identifier '{number}'.")
            case ("servicePrincipals", number, "appRoleAssignedTo") if number in self.service_principals:
                rows = {row["id"]: row for row in self.assignments if row["resourceId"] == number}
                return 200, self._paged(request, rows, f"servicePrincipals/{number}/appRoleAssignedTo")
            case ("servicePrincipals", number) if number in self.service_principals:
                return 200, self.service_principals[number]
            case (place,) if (by_app := _BY_APP_ID.fullmatch(place)) is not None:
                for principal in self.service_principals.values():
                    if principal["appId"] == by_app["app"]:
                        return 200, principal
                raise not_found(place)
            case (_, number, *_):
                raise not_found(number)
            case _:
                raise Refusal(400, "BadRequest", f"Resource not found for the segment '{request.segments[-1]}'.")

    def _visible(self) -> dict[str, Json]:
        """Return the users as our permissions show them."""
        if self.permissions & {"User-LifeCycleInfo.Read.All", "User-LifeCycleInfo.ReadWrite.All"}:
            return self.users
        return {one: {**row, "employeeLeaveDateTime": None} for one, row in self.users.items()}

    def _needs(self, *one_of: str) -> None:
        if not self.permissions & {*one_of, "Directory.ReadWrite.All"}:
            raise denied()

    def _is_eventual(self, request: GraphRequest) -> None:
        if request.headers.get("consistencylevel", "").lower() != "eventual":
            raise bad("Request with $count query parameter only supports ConsistencyLevel: eventual header.")

    def _seen(self, number: str) -> Json:
        """Return a user by id or user principal name, as a replica that may not have heard of it would."""
        user = self.users.get(number) or next(
            (one for one in self.users.values() if one["userPrincipalName"].lower() == number.lower()), None
        )
        if user is None:
            raise not_found(number)
        self._reaches(user["id"])
        return self._behind.pop(user["id"], user)

    def _reaches(self, number: str) -> None:
        """Raise the Refusal of a replica that has not heard of a user or a group."""
        if self._unseen.get(number, 0) > 0:
            self._unseen[number] -= 1
            raise not_found(number)

    def _referred(self, body: Any) -> str:
        link = body.get("@odata.id") if isinstance(body, dict) else None
        if not isinstance(link, str) or not link.startswith(f"{self.root}/"):
            raise bad("Invalid URL format specified in @odata.id.")
        kind, _, number = link.removeprefix(f"{self.root}/").partition("/")
        if kind not in ("users", "directoryObjects"):
            raise bad("Invalid URL format specified in @odata.id.")
        return unquote(number)

    def _may_touch(self, number: str, properties: set[str]) -> None:
        if number in self.administrators and properties & set(SENSITIVE):
            raise denied()

    def _create(self, request: GraphRequest) -> tuple[int, Any]:
        values: Json = dict(request.body)
        self._lifecycle(values)
        check_values(values, domains=frozenset(self.domains), creates=True)
        self._is_free("userPrincipalName", values["userPrincipalName"], None)
        if "mail" in values:
            self._is_free("proxyAddresses", values["mail"], None)
        number = self.put(values["userPrincipalName"])
        self.passwords[number] = values.pop("passwordProfile")
        self.users[number].update(values)
        self._mailed(number)
        self._unseen[number] = self.late_reads
        return 201, self._select(self.users[number], None)

    def _patch(self, user: Json, body: Json) -> tuple[int, Any]:
        self._lifecycle(body)
        self._may_touch(user["id"], set(body))
        if user.get("onPremisesSyncEnabled"):
            raise bad(
                "Unable to update the specified properties for on-premises mastered Directory Sync objects or objects"
                " currently undergoing migration."
            )
        check_values(body, domains=frozenset(self.domains), creates=False)
        if "userPrincipalName" in body:
            self._is_free("userPrincipalName", body["userPrincipalName"], user["id"])
        if body.get("mail"):
            self._is_free("proxyAddresses", body["mail"], user["id"])
            self.mail_changes[user["id"]] = self.mail_changes.get(user["id"], 0) + 1
        for name, value in body.items():
            if value is None:
                user.pop(name, None)
            elif isinstance(value, dict):
                user[name] = {**user.get(name, {}), **value}
            else:
                user[name] = value
        self._mailed(user["id"])
        return 204, None

    def _lifecycle(self, body: Json) -> None:
        if "employeeLeaveDateTime" in body:
            self._needs("User-LifeCycleInfo.ReadWrite.All")

    def _is_free(self, path: str, value: str, but: str | None) -> None:
        for number, user in self.users.items():
            if number == but:
                continue
            held = [str(user.get("userPrincipalName"))]
            if path == "proxyAddresses":
                held = [str(one).partition(":")[2] for one in user.get("proxyAddresses", [])]
            if value.lower() in (one.lower() for one in held):
                raise conflict(path)

    def _mailed(self, number: str) -> None:
        """Setting mail adds it to proxyAddresses as the primary SMTP address (resources/user)."""
        user = self.users[number]
        mail = user.get("mail")
        if mail:
            others = [one for one in user.get("proxyAddresses", []) if one.lower() != f"smtp:{mail}".lower()]
            user["proxyAddresses"] = [f"SMTP:{mail}", *(one.replace("SMTP:", "smtp:") for one in others)]

    def _restore(self, number: str) -> tuple[int, Any]:
        user = self.deleted.get(number)
        if user is None:
            raise not_found(number)
        self._may_touch(number, set(SENSITIVE))
        name = user["userPrincipalName"].removeprefix(number.replace("-", ""))
        self._is_free("userPrincipalName", name, None)
        self.restore(number)
        return 200, self._select(user, None)

    # --- reading ---

    def _list(self, request: GraphRequest, rows: dict[str, Json], place: str) -> Json:
        query = request.query
        unknown = set(query) - {"$select", "$filter", "$top", "$expand", "$count", "$skiptoken"}
        if unknown:
            raise bad(f"Unrecognized query parameter '{sorted(unknown)[0]}'.", "BadRequest")
        if "$count" in query:
            self._is_eventual(request)
        found = [row for row in rows.values() if not (self.lists_are_late and self._unseen.get(row["id"]))]
        if "$filter" in query:
            found = [row for row in found if matches(row, query["$filter"], counts="$count" in query)]
        return self._paged(request, {str(n): self._shown(row, request) for n, row in enumerate(found)}, place)

    def _paged(self, request: GraphRequest, rows: dict[str, Json], place: str) -> Json:
        query, found = request.query, list(rows.values())
        top = int(query.get("$top", "100"))
        if not 1 <= top <= 999:
            raise bad("Invalid page size specified: it must be between 1 and 999 inclusive.")
        first = int(query.get("$skiptoken", "0"))
        size = min(top, self.page_max)
        page: Json = {"value": found[first : first + size]}
        if first + size < len(found):
            kept = {name: value for name, value in query.items() if name != "$skiptoken"}
            following = urlencode({**kept, "$skiptoken": first + size}, safe="$,()")
            page["@odata.nextLink"] = f"{self.root}/{place}?{following}"
        return page

    def _shown(self, user: Json, request: GraphRequest) -> Json:
        shown = self._select(user, request.query.get("$select"))
        expanded = request.query.get("$expand")
        if expanded is not None:
            if expanded != "manager($select=id)":
                raise bad("Parsing OData Select and Expand failed.", "BadRequest")
            if user["id"] in self.managers:
                shown["manager"] = {"@odata.type": "#microsoft.graph.user", "id": self.managers[user["id"]]}
        return shown

    def _select(self, user: Json, names: str | None, known: frozenset[str] = KNOWN) -> Json:
        if names is None:
            return {name: user.get(name) for name in DEFAULT_PROPERTIES}
        for name in names.split(","):
            if name not in known | GROUP_PROPERTIES:
                raise bad(f"Could not find a property named '{name}' on type 'microsoft.graph.user'.", "BadRequest")
        if "employeeLeaveDateTime" in names and not self.permissions & {
            "User-LifeCycleInfo.Read.All",
            "User-LifeCycleInfo.ReadWrite.All",
        }:
            user = {**user, "employeeLeaveDateTime": None}
        return {name: user.get(name) for name in names.split(",")}
