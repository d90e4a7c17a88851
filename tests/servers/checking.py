"""Checks a resource that a client sends against the schema, as a strict server does."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from tests.servers.quirks import Quirks
from tests.servers.refusals import Refusal, invalid_syntax, invalid_value
from tests.servers.schemas import Attribute, ResourceType, Schema


def checked_resource(body: Any, resource_type: ResourceType, quirks: Quirks) -> dict[str, Any]:
    """Return the resource in the schema's spelling, without nulls and read-only attributes, or refuse."""
    if not isinstance(body, dict):
        raise invalid_syntax("the body is not a JSON object")
    declared = _declared(body, resource_type)
    resource: dict[str, Any] = {"schemas": declared}
    for name, value in body.items():
        extension = resource_type.schema_of(name)
        if extension is resource_type.core:
            raise invalid_syntax(f"'{name}' is the core schema: its attributes stand at the top")
        if extension is not None:
            if extension.urn not in declared:
                raise invalid_syntax(f"'{name}' is used and not declared in schemas")
            resource |= _present(extension.urn, checked_extension(value, extension, quirks))
        elif name.lower() != "schemas":
            resource |= _checked_pair(name, value, resource_type.core, quirks)
    require(resource, resource_type)
    return resource


def checked_extension(value: Any, schema: Schema, quirks: Quirks) -> dict[str, Any] | None:
    if value is None:
        return None
    if not isinstance(value, dict):
        raise invalid_value(f"'{schema.urn}' must be an object")
    checked: dict[str, Any] = {}
    for name, each in value.items():
        checked |= _checked_pair(name, each, schema, quirks)
    return checked


def checked_value(attribute: Attribute, value: Any, quirks: Quirks) -> Any:
    """Return the whole value of an attribute; None where it is null or an empty list."""
    if value is None or value == []:
        return None
    if not attribute.many:
        return checked_element(attribute, value, quirks)
    if not isinstance(value, list):
        raise invalid_value(f"'{attribute.name}' must be an array")
    elements = [checked_element(attribute, each, quirks) for each in value]
    if sum(1 for each in elements if isinstance(each, dict) and each.get("primary") is True) > 1:
        raise invalid_value(f"'{attribute.name}' has more than one primary value")
    return elements


def checked_element(attribute: Attribute, value: Any, quirks: Quirks) -> Any:
    """Return one value of an attribute: an element of a multi-valued one, the value of another."""
    match attribute.type:
        case "complex":
            return _checked_object(attribute, value, quirks)
        case "boolean":
            return _checked_boolean(attribute, value, quirks)
        case "integer":
            if not isinstance(value, int) or isinstance(value, bool):
                raise invalid_value(f"'{attribute.name}' must be an integer")
        case "dateTime":
            _check_moment(attribute, value)
        case "string" | "reference" | "binary":
            if not isinstance(value, str):
                raise invalid_value(f"'{attribute.name}' must be a string")
    return value


def require(resource: Mapping[str, Any], resource_type: ResourceType) -> None:
    """Refuse a resource without what the schema requires; an empty string is no value."""
    for attribute in resource_type.core.attributes:
        if attribute.required and not resource.get(attribute.name):
            raise invalid_value(f"'{attribute.name}' is required")


def _declared(body: Mapping[str, Any], resource_type: ResourceType) -> list[str]:
    given = next((value for name, value in body.items() if name.lower() == "schemas"), None)
    if not isinstance(given, list) or not given:
        raise invalid_syntax("'schemas' is missing")
    declared = []
    for urn in given:
        schema = resource_type.schema_of(urn) if isinstance(urn, str) else None
        if schema is None:
            raise invalid_syntax(f"'{urn}' is not a schema of {resource_type.name}")
        declared.append(schema.urn)
    if resource_type.core.urn not in declared:
        raise invalid_syntax(f"'schemas' lacks {resource_type.core.urn}")
    return declared


def _checked_pair(name: str, value: Any, schema: Schema, quirks: Quirks) -> dict[str, Any]:
    attribute = schema.attribute(name)
    if attribute is None:
        return _unknown(name, value, quirks)
    if attribute.mutability == "readOnly":
        return {}
    return _present(attribute.name, checked_value(attribute, value, quirks))


def _checked_object(attribute: Attribute, value: Any, quirks: Quirks) -> dict[str, Any]:
    if attribute.name == "manager" and isinstance(value, str) and quirks.accepts_simple_manager:
        return {"value": value}
    if not isinstance(value, dict):
        raise invalid_value(f"'{attribute.name}' must be an object")
    checked: dict[str, Any] = {}
    for name, each in value.items():
        part = attribute.part(name)
        if part is None:
            checked |= _unknown(f"{attribute.name}.{name}", each, quirks)
        elif part.mutability != "readOnly" and each is not None:
            checked[part.name] = checked_element(part, each, quirks)
    return checked


def _checked_boolean(attribute: Attribute, value: Any, quirks: Quirks) -> Any:
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.lower() in ("true", "false"):
        match quirks.string_booleans:
            case "stored":
                return value
            case "understood":
                return value.lower() == "true"
            case "refused":
                pass
    raise invalid_value(f"'{attribute.name}' must be a boolean, not a {type(value).__name__}")


def _check_moment(attribute: Attribute, value: Any) -> None:
    try:
        datetime.fromisoformat(value)
    except (TypeError, ValueError):
        raise invalid_value(f"'{attribute.name}' must be a dateTime") from None


def _unknown(name: str, value: Any, quirks: Quirks) -> dict[str, Any]:
    match quirks.unknown_attributes:
        case "stored":
            return {name.rpartition(".")[2]: value}
        case "ignored":
            return {}
        case "refused":
            raise unknown_attribute(name)


def unknown_attribute(name: str) -> Refusal:
    return invalid_syntax(f"Attribute '{name}' is not known")


def _present(name: str, value: Any) -> dict[str, Any]:
    return {} if value in (None, {}) else {name: value}


def named(text: str, names: Iterable[str]) -> bool:
    """Return whether an attribute is among those of a quirk, or below one of them; "*" is all."""
    lowered = text.lower()
    return any(
        name == "*" or lowered == name.lower() or lowered.startswith((f"{name.lower()}.", f"{name.lower()}:"))
        for name in names
    )
