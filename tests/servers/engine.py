"""What a SCIM server decides: from one request to one answer, without a wire."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

import orjson

from tests.servers import answers
from tests.servers.answers import Answer
from tests.servers.checking import checked_resource, named
from tests.servers.filters import Filter, find_place, parse_filter
from tests.servers.paging import Pager
from tests.servers.patching import members_named, patched
from tests.servers.quirks import Quirks
from tests.servers.refusals import Refusal, invalid_filter, invalid_syntax, invalid_value
from tests.servers.schemas import GROUPS, USERS, ResourceType

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Seen:
    """One request as the server saw it."""

    method: str
    path: str
    """Below the base URL, decoded: "/Users/2819c223"."""
    query: Mapping[str, str]
    body: Any
    """The parsed JSON; the bytes where they are none; None without a body."""
    headers: Mapping[str, str]
    """Names in lower case."""
    at: float
    """Seconds on the loop's clock."""
    segments: tuple[str, ...] = ()
    """The path's parts, each percent-decoded by itself."""
    raw: bytes = field(default=b"", repr=False)
    raw_path: str = ""
    """The path as it was sent, below the host, without the query."""


class House(Protocol):
    """What is special about one vendor's server, beside its schema. Both raise Refusal."""

    def door(self, seen: Seen) -> None:
        """Look at a request before anything is done."""

    def judge(self, kind: Literal["User", "Group"], before: Json | None, after: Json) -> None:
        """Look at a resource before it is kept; `before` None: it is new."""

    def gone(self, kind: Literal["User", "Group"], resource: Json) -> None:
        """Hear that a resource was deleted."""


@dataclass(slots=True)
class Engine:
    """Users and groups, and what is done with them. `moment` gives the time as a dateTime."""

    quirks: Quirks
    token: str
    base_url: str
    moment: Callable[[], str]
    users: dict[str, Json] = field(default_factory=dict)
    groups: dict[str, Json] = field(default_factory=dict)
    user_type: ResourceType = USERS
    house: House | None = None
    _deleted_names: set[str] = field(default_factory=set)
    _invisible: dict[tuple[str, str], int] = field(default_factory=dict)
    _ids: int = 0
    _versions: int = 0
    _pager: Pager = field(default_factory=Pager)

    def handle(self, seen: Seen) -> Answer:
        try:
            self._check(seen)
            return self._route(seen)
        except Refusal as refusal:
            return answers.refused(refusal, self.quirks)

    def put(self, resource_type: ResourceType, body: Json) -> str:
        """Store a resource as if a request had made it; return its id. Refuses what a request would be refused."""
        return str(self._stored(resource_type, body)["id"])

    def _check(self, seen: Seen) -> None:
        if seen.headers.get("authorization") != f"Bearer {self.token}":
            raise Refusal(401, "the bearer token is missing or wrong")
        if self.house is not None:
            self.house.door(seen)
        if self.quirks.body_bytes_max is not None and len(seen.raw) > self.quirks.body_bytes_max:
            raise Refusal(413, f"the body is larger than {self.quirks.body_bytes_max} bytes")
        if seen.method in ("POST", "PUT", "PATCH"):
            media_type = seen.headers.get("content-type", "").partition(";")[0].strip().lower()
            if media_type not in ("application/scim+json", "application/json"):
                raise Refusal(415, "the content type must be application/scim+json")
            if isinstance(seen.body, bytes) or seen.body is None:
                raise invalid_syntax("the body is not JSON")

    def _route(self, seen: Seen) -> Answer:
        match seen.segments:
            case ("Users", *rest):
                return self._resources(self.user_type, seen, rest)
            case ("Groups", *rest):
                return self._resources(GROUPS, seen, rest)
            case ("ServiceProviderConfig" | "Schemas" | "ResourceTypes",) if self.quirks.no_discovery:
                raise Refusal(404, f"there is nothing at {seen.path}")
            case ("ServiceProviderConfig",) if not self.quirks.spc_missing:
                return self._document(seen, answers.service_provider_config(self.quirks))
            case ("Schemas",):
                return self._document(
                    seen, answers.listing([schema.document() for schema in (*self.user_type.schemas(), GROUPS.core)])
                )
            case ("ResourceTypes",):
                return self._document(seen, answers.listing([each.document() for each in (self.user_type, GROUPS)]))
            case ("Me",) | ("Bulk",) | (".search",):
                raise Refusal(501, f"/{seen.segments[0]} is not implemented")
            case _:
                raise Refusal(404, f"there is nothing at {seen.path}")

    def _document(self, seen: Seen, document: Json) -> Answer:
        if seen.method != "GET":
            raise Refusal(405, f"{seen.method} is not allowed here")
        return answers.json(200, document)

    def _resources(self, resource_type: ResourceType, seen: Seen, rest: list[str]) -> Answer:
        match seen.method, rest:
            case "POST", []:
                return self._create(resource_type, seen)
            case "GET", []:
                answer = self._list(resource_type, seen)
            case "GET", [target_id]:
                answer = self._get(resource_type, target_id, seen)
            case "PUT", [target_id]:
                answer = self._replace(resource_type, target_id, seen)
            case "PATCH", [target_id]:
                answer = self._patch(resource_type, target_id, seen)
            case "DELETE", [target_id]:
                answer = self._delete(resource_type, target_id, seen)
            case _, ([] | [_]):
                raise Refusal(405, f"{seen.method} is not allowed here")
            case _:
                raise Refusal(404, f"there is nothing at {seen.path}")
        return answer

    # --- one resource ---

    def _create(self, resource_type: ResourceType, seen: Seen) -> Answer:
        resource = self._stored(resource_type, seen.body)
        if self.quirks.invisible_for_requests:
            self._invisible[resource_type.name, str(resource["id"])] = self.quirks.invisible_for_requests
        location = self._location(resource_type, resource)
        if self.quirks.created_without_body:
            return Answer(201, b"", {"Location": location})
        shown = self._shown(resource_type, resource, seen.query)
        if self.quirks.created_without_id:
            del shown["id"]
        if self.quirks.created_without_meta:
            del shown["meta"]
        headers = {} if self.quirks.created_without_location else {"Location": location}
        return answers.json(201, shown, {**headers, **self._etag(resource)})

    def _stored(self, resource_type: ResourceType, body: Any) -> Json:
        resource = checked_resource(body, resource_type, self.quirks)
        self._put_back({}, resource, resource_type, self.quirks.drops_attributes)
        self._settle(resource_type, resource, None)
        self._ids += 1
        resource = {"schemas": resource["schemas"], "id": self._new_id(), **resource}
        resource["meta"] = {"resourceType": resource_type.name, "created": self.moment()}
        self._touch(resource)
        self._rows(resource_type)[str(resource["id"])] = resource
        return resource

    def _get(self, resource_type: ResourceType, target_id: str, seen: Seen) -> Answer:
        resource = self._found(resource_type, target_id)
        return answers.json(200, self._shown(resource_type, resource, seen.query), self._etag(resource))

    def _replace(self, resource_type: ResourceType, target_id: str, seen: Seen) -> Answer:
        before = self._changeable(resource_type, target_id, seen)
        after = checked_resource(seen.body, resource_type, self.quirks)
        if not self.quirks.put_resets:
            after = {**before, **after}
        return self._changed(resource_type, before, {**after, "id": before["id"], "meta": before["meta"]}, seen)

    def _patch(self, resource_type: ResourceType, target_id: str, seen: Seen) -> Answer:
        if self.quirks.patch_unsupported:
            raise Refusal(501, "PATCH is not implemented")
        before = self._changeable(resource_type, target_id, seen)
        most = self.quirks.members_per_patch_max
        if resource_type is GROUPS and most is not None and members_named(seen.body) > most:
            raise Refusal(self.quirks.too_many_members_status, "Request is unparsable, syntactically incorrect")
        if self.quirks.writes_without_left_out:
            before = answers.projected(orjson.loads(orjson.dumps(before)), resource_type, seen.query, self.quirks)
        after = patched(before, seen.body, resource_type, self.quirks)
        self._put_back(before, after, resource_type, self.quirks.patch_silent_no_op)
        return self._changed(resource_type, before, after, seen)

    def _changed(self, resource_type: ResourceType, before: Json, after: Json, seen: Seen) -> Answer:
        self._put_back({}, after, resource_type, self.quirks.drops_attributes)
        self._settle(resource_type, after, str(before["id"]))
        unchanged = after == before
        if not unchanged:
            after["meta"] = dict(before["meta"])
            self._touch(after)
            self._rows(resource_type)[str(before["id"])] = after
        quiet = self.quirks.patch_no_content or (unchanged and self.quirks.patch_no_content_when_unchanged)
        if seen.method == "PATCH" and quiet:
            return Answer(204, b"", self._etag(after))
        answered = before if self.quirks.answers_before else after
        return answers.json(200, self._shown(resource_type, answered, seen.query), self._etag(answered))

    def _delete(self, resource_type: ResourceType, target_id: str, seen: Seen) -> Answer:
        resource = self._changeable(resource_type, target_id, seen)
        if resource_type is not GROUPS and self.quirks.soft_delete:
            resource["active"] = False
            self._touch(resource)
        else:
            del self._rows(resource_type)[target_id]
            self._deleted_names.add(str(resource.get("userName")).lower())
            if not self.quirks.keeps_stale_members:
                self._leave_groups(target_id)
            if self.house is not None:
                self.house.gone(resource_type.name, resource)
        if self.quirks.delete_answers_body:
            return answers.json(200, self._shown(resource_type, resource, {}))
        return Answer(204, b"", {})

    def _found(self, resource_type: ResourceType, target_id: str) -> Json:
        resource = self._rows(resource_type).get(target_id)
        if resource is None or self._invisible_now(resource_type, target_id):
            raise Refusal(404, f"{resource_type.name} {target_id} not found")
        return resource

    def _changeable(self, resource_type: ResourceType, target_id: str, seen: Seen) -> Json:
        try:
            resource = self._found(resource_type, target_id)
        except Refusal:
            if self.quirks.missing_answers_500:
                raise Refusal(500, "Internal server error") from None
            raise
        wanted = seen.headers.get("if-match")
        listens = self.quirks.etag_supported and not self.quirks.etag_ignored
        if listens and wanted not in (None, "*", resource["meta"]["version"]):
            raise Refusal(412, f"{resource_type.name} {target_id} has another version")
        return resource

    def _settle(self, resource_type: ResourceType, resource: Json, own_id: str | None) -> None:
        """Check what concerns other resources: unique names, known members, sizes."""
        if self.house is not None:
            self.house.judge(resource_type.name, self._rows(resource_type).get(own_id or ""), resource)
        if resource_type is not GROUPS:
            if self.quirks.user_name_normalised_lower:
                resource["userName"] = resource["userName"].lower()
            self._check_user_name(resource["userName"].lower(), own_id)
            return
        self._check_display_name(resource["displayName"].lower(), own_id)
        members = resource.get("members") or []
        most = self.quirks.members_per_group_max
        if most is not None and len(members) > most:
            raise Refusal(self.quirks.too_many_members_status, "Request is unparsable, syntactically incorrect")
        if self.quirks.unknown_members_refused:
            had = self._rows(resource_type).get(own_id or "", {}).get("members") or []
            known = self.users.keys() | self.groups.keys() | {each.get("value") for each in had}
            for each in members:
                if each.get("value") not in known:
                    raise invalid_value(f"members: there is no resource {each.get('value')}")

    def _check_user_name(self, name: str, own_id: str | None) -> None:
        if self.quirks.lax_unique:
            return
        taken = any(each["userName"].lower() == name for each_id, each in self.users.items() if each_id != own_id)
        if taken or (self.quirks.deleted_names_stay_taken and name in self._deleted_names):
            scim_type = None if self.quirks.conflict_without_scim_type else "uniqueness"
            raise Refusal(self.quirks.conflict_status, "userName is already in use", scim_type)

    def _check_display_name(self, name: str, own_id: str | None) -> None:
        if self.quirks.duplicate_groups == "accepted":
            return
        for each_id, each in self.groups.items():
            if each["displayName"].lower() == name and each_id != own_id:
                if self.quirks.duplicate_groups == "server_error":
                    raise Refusal(500, "Internal server error")
                raise Refusal(409, "displayName is already in use", "uniqueness")

    def _put_back(self, before: Json, after: Json, resource_type: ResourceType, names: tuple[str, ...]) -> None:
        """Give `after` the values that `before` has of these attributes."""
        for name in names:
            place = find_place(name, resource_type)
            if place is None:
                continue
            holder, old = after, before
            parts = (place.extension, place.attribute and place.attribute.name, place.part and place.part.name)
            keys = [key for key in parts if key]
            for key in keys[:-1]:
                holder, old = holder.get(key) or {}, old.get(key) or {}
            holder.pop(keys[-1], None)
            if keys[-1] in old:
                holder[keys[-1]] = old[keys[-1]]
            if place.extension in after and not after[place.extension]:
                del after[place.extension]

    def _leave_groups(self, target_id: str) -> None:
        for group in self.groups.values():
            members = group.get("members")
            if members:
                kept = [each for each in members if each.get("value") != target_id]
                if len(kept) != len(members):
                    group["members"] = kept
                    self._touch(group)

    # --- many ---

    def _list(self, resource_type: ResourceType, seen: Seen) -> Answer:
        rows = self._rows(resource_type)
        visible = [row for row_id, row in rows.items() if not self._invisible.get((resource_type.name, row_id))]
        self._age(resource_type)
        text = seen.query.get("filter")
        if text is not None:
            visible = self._filtered(resource_type, visible, text)
        page, document = self._pager.page(visible, seen.query, self.quirks)
        in_list = self.quirks.no_members_in_list and resource_type is GROUPS
        document["Resources"] = [self._shown(resource_type, row, seen.query, in_list=in_list) for row in page]
        return answers.json(200, document)

    def _filtered(self, resource_type: ResourceType, rows: list[Json], text: str) -> list[Json]:
        quirks = self.quirks
        if quirks.filter_refused == 501:
            raise Refusal(501, "filters are not implemented")
        if quirks.filter_refused == 400:
            raise invalid_filter("filters are not supported")
        if quirks.ignores_filter:
            return rows
        parsed: Filter = parse_filter(text, resource_type, quirks)
        if any(named(each, quirks.filter_refused_for) for each in parsed.asks_for):
            raise invalid_filter(f"filter '{text}' is not supported")
        if any(named(each, quirks.filter_lies_empty) for each in parsed.asks_for):
            return []
        found = [row for row in rows if parsed.test(row)]
        return [row for row in found for _ in range(2)] if quirks.filter_repeats_rows else found

    # --- what is shown ---

    def _shown(
        self, resource_type: ResourceType, resource: Json, query: Mapping[str, str], *, in_list: bool = False
    ) -> Json:
        shown: Json = orjson.loads(orjson.dumps(resource))
        shown.pop("password", None)
        shown["meta"]["location"] = self._location(resource_type, resource)
        if not self.quirks.etag_supported:
            shown["meta"].pop("version")
        if self.quirks.no_last_modified:
            shown["meta"].pop("lastModified")
        if resource_type is GROUPS:
            self._show_members(shown, none=in_list)
            shown |= self.quirks.shown_of_groups.get(str(resource["displayName"]), {})
        elif self.quirks.users_show_groups:
            shown["groups"] = self._groups_of(str(resource["id"]))
        return answers.projected(shown, resource_type, query, self.quirks)

    def _groups_of(self, user_id: str) -> list[Json]:
        """Return the groups that a user is in directly, as the user shows them (RFC 7643 §4.1.2)."""
        return [
            {"value": group["id"], "display": group["displayName"], "type": "direct"}
            for group in self.groups.values()
            if any(each["value"] == user_id for each in group.get("members") or [])
        ]

    def _show_members(self, group: Json, *, none: bool) -> None:
        if self.quirks.no_members_on_get or none:
            group.pop("members", None)
        if self.quirks.members_shown_max is not None and group.get("members"):
            group["members"] = group["members"][: self.quirks.members_shown_max]
        for member in group.get("members") or []:
            user = self.users.get(member["value"])
            kind = "Users" if user is not None else "Groups"
            if user is not None or member["value"] in self.groups:
                member["$ref"] = f"{self.base_url}/{kind}/{answers.encoded(member['value'])}"
                member["type"] = kind.removesuffix("s")
            if user is not None and self.quirks.member_value_is_user_name:
                member["value"] = user["userName"]

    def _location(self, resource_type: ResourceType, resource: Json) -> str:
        last = answers.encoded(str(resource["id"]))
        match self.quirks.locations:
            case "absolute":
                return f"{self.base_url}/{resource_type.endpoint}/{last}"
            case "relative":
                return f"/{resource_type.endpoint}/{last}"
            case "without_version":
                return f"{self.base_url.removesuffix('/v2')}/{resource_type.endpoint}/{last}"
            case "user_name":
                name = str(resource.get("userName") or resource.get("displayName"))
                return f"{self.base_url}/{resource_type.endpoint}/{answers.encoded(name)}"

    def _etag(self, resource: Json) -> dict[str, str]:
        return {"ETag": resource["meta"]["version"]} if self.quirks.etag_supported else {}

    # --- rows ---

    def _rows(self, resource_type: ResourceType) -> dict[str, Json]:
        return self.groups if resource_type is GROUPS else self.users

    def _touch(self, resource: Json) -> None:
        self._versions += 1
        resource["meta"]["lastModified"] = self.moment()
        resource["meta"]["version"] = f'W/"{self._versions}"'

    def _invisible_now(self, resource_type: ResourceType, target_id: str) -> bool:
        invisible = bool(self._invisible.get((resource_type.name, target_id)))
        self._age(resource_type)
        return invisible

    def show_everything(self) -> None:
        """Let an app whose parts agree only after a while have come to that."""
        self._invisible.clear()

    def _age(self, resource_type: ResourceType) -> None:
        for key in [key for key in self._invisible if key[0] == resource_type.name]:
            self._invisible[key] -= 1
            if self._invisible[key] <= 0:
                del self._invisible[key]

    def _new_id(self) -> str | int:
        number = self._ids
        forms: dict[Literal["uuid", "digits", "number", "spaces", "email", "reserved"], str | int] = {
            "uuid": str(uuid.uuid5(uuid.NAMESPACE_URL, f"{self.base_url}/{number}")),
            "digits": str(number),
            "number": number,
            "spaces": f"Zoë 山田 {number}",
            "email": f"user+{number}@example.com",
            "reserved": f"a/b?c=#{number}%41",
        }
        return forms[self.quirks.ids]
