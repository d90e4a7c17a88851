"""PATCH by RFC 7644 §3.5.2: the operations on a copy of the resource, all of them or none."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from tests.servers.checking import (
    checked_element,
    checked_extension,
    checked_value,
    named,
    require,
    unknown_attribute,
)
from tests.servers.filters import PatchPath, Place, find_place, parse_path
from tests.servers.quirks import Quirks
from tests.servers.refusals import Refusal, invalid_path, invalid_syntax, invalid_value, mutability, no_target
from tests.servers.schemas import PATCH_OP, Attribute, ResourceType

Json = dict[str, Any]


def patched(resource: Json, body: Any, resource_type: ResourceType, quirks: Quirks) -> Json:
    """Return the resource as the operations leave it, or refuse and have changed nothing."""
    after: Json = orjson.loads(orjson.dumps(resource))
    for operation in _operations(body):
        _Patch(after, resource_type, quirks).apply(operation)
    require(after, resource_type)
    _declare_extensions(after, resource_type)
    return after


def members_named(body: Any) -> int:
    """Return how many members the operations of a PATCH name: those in values, and those in filters."""
    operations = body.get("Operations") if isinstance(body, dict) else None
    count = 0
    for each in operations if isinstance(operations, list) else []:
        path, value = str(each.get("path") or ""), each.get("value")
        if not path and isinstance(value, dict):
            value = value.get("members") or []
        elif not path.lower().startswith("members"):
            continue
        count += len(value) if isinstance(value, list) else 1
    return count


def _operations(body: Any) -> list[Json]:
    if not isinstance(body, dict) or body.get("schemas") != [PATCH_OP]:
        raise invalid_syntax(f"'schemas' must be [{PATCH_OP}]")
    operations = body.get("Operations")
    if not isinstance(operations, list) or not operations or not all(isinstance(each, dict) for each in operations):
        raise invalid_syntax("'Operations' must be an array with at least one operation")
    for each in operations:
        for name in each:
            if name not in ("op", "path", "value"):
                raise unknown_attribute(f"Operations.{name}")
    return operations


def _declare_extensions(resource: Json, resource_type: ResourceType) -> None:
    for urn in resource_type.extensions:
        if resource.get(urn) == {}:
            del resource[urn]
        if urn in resource and urn not in resource["schemas"]:
            resource["schemas"].append(urn)
        if urn not in resource and urn in resource["schemas"]:
            resource["schemas"].remove(urn)


@dataclass(slots=True)
class _Patch:
    """One operation at work on `resource`, in place."""

    resource: Json
    resource_type: ResourceType
    quirks: Quirks

    def apply(self, operation: Mapping[str, Any]) -> None:
        op, path = operation.get("op"), operation.get("path")
        if not isinstance(op, str) or op.lower() not in ("add", "replace", "remove"):
            raise invalid_syntax("'op' must be add, replace or remove")
        if op != op.lower() and self.quirks.patch_capitals_refused:
            raise invalid_syntax("'op' must be add, replace or remove")
        if op != op.lower() and self.quirks.patch_capitals_ignored:
            return
        if path is not None and not isinstance(path, str):
            raise invalid_path("'path' must be a string")
        if op.lower() == "remove":
            self._remove(path, operation)
        elif "value" not in operation:
            raise invalid_value(f"'value' is missing for {op.lower()}")
        elif path is None:
            self._without_path(op.lower(), operation["value"])
        else:
            self._with_path(op.lower(), path, operation["value"])

    def _without_path(self, op: str, value: Any) -> None:
        if self.quirks.pathless_patch_refused:
            raise no_target("'path' is required")
        if not isinstance(value, dict):
            raise invalid_value("without a path, 'value' must be an object")
        for name, each in value.items():
            if name.lower() == "schemas":
                continue
            place = find_place(name, self.resource_type)
            if place is not None and place.part is not None and not self.quirks.understands_dotted_keys:
                place = None
            if place is not None:
                self._write(op, PatchPath(place, None, {}), each)
            elif self.quirks.unknown_attributes == "stored":
                self.resource[name] = each
            elif self.quirks.unknown_attributes == "refused":
                raise unknown_attribute(name)

    def _with_path(self, op: str, text: str, value: Any) -> None:
        if self.quirks.splits_urn_at_dot and text.lower().startswith("urn:"):
            key, _, rest = text.partition(".")
            self.resource.setdefault(key, {})[rest] = value
            return
        self._write(op, parse_path(text, self.resource_type, self.quirks), value)

    def _write(self, op: str, path: PatchPath, value: Any) -> None:
        place = path.place
        if place.attribute is None:
            self._write_extension(op, place, value)
            return
        self._check_writable(path)
        if self._touches(place, self.quirks.patch_unsupported_for):
            raise Refusal(501, f"PATCH of '{place}' is not implemented")
        if value is None or value == []:
            self._clear(path)
        elif path.test is not None or (place.part is not None and place.attribute.many):
            self._write_elements(path, value)
        elif place.attribute.many:
            self._write_many(op, place, value)
        elif place.part is not None:
            holder = self._holder(place).setdefault(place.attribute.name, {})
            holder[place.part.name] = checked_value(place.part, value, self.quirks)
        elif place.attribute.type == "complex":
            holder = self._holder(place)
            written = checked_value(place.attribute, value, self.quirks)
            _put(holder, place.attribute.name, {**(holder.get(place.attribute.name) or {}), **written})
        else:
            self._holder(place)[place.attribute.name] = checked_value(place.attribute, value, self.quirks)

    def _write_extension(self, op: str, place: Place, value: Any) -> None:
        assert place.extension is not None
        schema = self.resource_type.extensions[place.extension]
        if value is None:
            self.resource.pop(place.extension, None)
            return
        checked_extension(value, schema, self.quirks)
        for name, each in value.items():
            attribute = schema.attribute(name)
            if attribute is not None:
                self._write(op, PatchPath(Place(place.extension, attribute), None, {}), each)

    def _write_many(self, op: str, place: Place, value: Any) -> None:
        attribute = place.attribute
        assert attribute is not None
        given = value if isinstance(value, list) else [value]
        written = checked_value(attribute, given, self.quirks)
        holder = self._holder(place)
        if op == "replace":
            holder[attribute.name] = self._distinct(attribute, [], written)
            return
        kept = holder.get(attribute.name) or []
        if any(isinstance(each, dict) and each.get("primary") is True for each in written):
            kept = [_without_primary(each) for each in kept]
        holder[attribute.name] = self._distinct(attribute, kept, written)

    def _distinct(self, attribute: Attribute, kept: list[Any], written: list[Any]) -> list[Any]:
        if attribute.name == "members" and self.quirks.duplicates_members:
            return [*kept, *written]
        known = {_identity(attribute, each) for each in kept}
        result = list(kept)
        for each in written:
            identity = _identity(attribute, each)
            if identity not in known:
                known.add(identity)
                result.append(each)
        return result

    def _write_elements(self, path: PatchPath, value: Any) -> None:
        attribute, part = path.place.attribute, path.place.part
        assert attribute is not None
        elements = self._holder(path.place).get(attribute.name) or []
        chosen = [index for index, each in enumerate(elements) if path.test is None or path.test(each)]
        if not chosen:
            self._write_missing(path, value, elements)
            return
        written = checked_element(part or attribute, value, self.quirks)
        if (part is not None and part.name == "primary" and written is True) or (
            part is None and isinstance(written, dict) and written.get("primary") is True
        ):
            elements[:] = [each if index in chosen else _without_primary(each) for index, each in enumerate(elements)]
        for index in chosen:
            elements[index] = written if part is None else {**elements[index], part.name: written}

    def _write_missing(self, path: PatchPath, value: Any, elements: list[Any]) -> None:
        attribute, part = path.place.attribute, path.place.part
        assert attribute is not None
        if self.quirks.creates_on_no_target:
            given = checked_element(part or attribute, value, self.quirks)
            made = {**path.equal, **(given if part is None else {part.name: given})}
            self._holder(path.place)[attribute.name] = [*elements, made]
            return
        match self.quirks.no_target_answer:
            case 200:
                return
            case 400:
                raise no_target(f"no value of '{attribute.name}' matches the filter")
            case status:
                raise Refusal(status, "Internal error" if status == 500 else "Not implemented")

    def _remove(self, text: str | None, operation: Mapping[str, Any]) -> None:
        if text is None:
            raise no_target("'path' is required for remove")
        path = parse_path(text, self.resource_type, self.quirks)
        place = path.place
        if self._touches(place, self.quirks.patch_unsupported_for):
            raise Refusal(501, f"PATCH of '{place}' is not implemented")
        if place.attribute is None:
            self.resource.pop(place.extension or "", None)
            return
        self._check_removable(path)
        listed = operation.get("value")
        if listed is not None and not self.quirks.entra_remove_wipes_group:
            if not self.quirks.understands_entra_remove:
                raise invalid_value("remove has no value: a filter in the path says what to remove")
            self._remove_listed(place, listed)
            return
        if path.test is not None and place.attribute.name == "members" and self.quirks.refuses_member_filter_remove:
            raise invalid_path(f"'{text}' is not supported")
        self._clear(path)

    def _remove_listed(self, place: Place, listed: Any) -> None:
        attribute = place.attribute
        assert attribute is not None
        given = listed if isinstance(listed, list) else [listed]
        gone = {_identity(attribute, each) for each in given}
        holder = self._holder(place)
        kept = [each for each in holder.get(attribute.name) or [] if _identity(attribute, each) not in gone]
        _put(holder, attribute.name, kept)

    def _clear(self, path: PatchPath) -> None:
        attribute, part = path.place.attribute, path.place.part
        assert attribute is not None
        holder = self._holder(path.place)
        found = holder.get(attribute.name)
        if path.test is None and part is None:
            holder.pop(attribute.name, None)
        elif isinstance(found, dict) and part is not None:
            found.pop(part.name, None)
            _put(holder, attribute.name, found)
        elif isinstance(found, list):
            chosen = [each for each in found if path.test is None or path.test(each)]
            self._check_chosen(path, chosen)
            if part is None:
                gone = {id(each) for each in chosen}
                _put(holder, attribute.name, [each for each in found if id(each) not in gone])
                return
            for each in chosen:
                each.pop(part.name, None)
            _put(holder, attribute.name, [each for each in found if each])
        else:
            self._check_chosen(path, [])

    def _check_chosen(self, path: PatchPath, chosen: list[Any]) -> None:
        if path.test is not None and not chosen and self.quirks.no_target_on_remove:
            raise no_target(f"no value of '{path.place}' matches the filter")

    def _check_writable(self, path: PatchPath) -> None:
        if self.quirks.mutability_ignored:
            return
        last = path.place.last
        if last.mutability == "readOnly":
            raise mutability(f"'{path.place}' is read-only")
        if last.mutability == "immutable":
            raise mutability(f"'{path.place}' is immutable")
        if path.test is not None and path.place.part is None and path.place.last.name == "members":
            raise mutability("the values of 'members' are immutable: remove and add")

    def _check_removable(self, path: PatchPath) -> None:
        last = path.place.last
        if last.required and path.place.part is None:
            raise mutability(f"'{path.place}' is required and cannot be removed")
        if last.mutability == "readOnly" and not self.quirks.mutability_ignored:
            raise mutability(f"'{path.place}' is read-only")

    def _touches(self, place: Place, names: tuple[str, ...]) -> bool:
        return bool(names) and named(str(place), names)

    def _holder(self, place: Place) -> Json:
        if place.extension is None:
            return self.resource
        holder: Json = self.resource.setdefault(place.extension, {})
        return holder


def _put(holder: Json, name: str, value: Any) -> None:
    if value in ({}, []):
        holder.pop(name, None)
    else:
        holder[name] = value


def _without_primary(element: Any) -> Any:
    return {name: value for name, value in element.items() if name != "primary"}


def _identity(attribute: Attribute, element: Any) -> Any:
    """What makes two elements the same: a member's id, anything else in whole."""
    if attribute.name == "members" and isinstance(element, dict):
        return element.get("value")
    return orjson.dumps(element, option=orjson.OPT_SORT_KEYS)
