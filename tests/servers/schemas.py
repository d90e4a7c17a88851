"""What RFC 7643 says of users and groups: their attributes, as data, with the documents that announce them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

USER = "urn:ietf:params:scim:schemas:core:2.0:User"
GROUP = "urn:ietf:params:scim:schemas:core:2.0:Group"
ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
LIST_RESPONSE = "urn:ietf:params:scim:api:messages:2.0:ListResponse"
PATCH_OP = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
ERROR = "urn:ietf:params:scim:api:messages:2.0:Error"

Type = Literal["string", "boolean", "integer", "dateTime", "reference", "binary", "complex"]
Mutability = Literal["readOnly", "readWrite", "immutable", "writeOnly"]


@dataclass(frozen=True, slots=True)
class Attribute:
    """One attribute of a schema, RFC 7643 §2.2 and §7."""

    name: str
    type: Type = "string"
    many: bool = False
    required: bool = False
    case_exact: bool = False
    mutability: Mutability = "readWrite"
    returned: Literal["always", "never", "default"] = "default"
    unique: bool = False
    parts: tuple[Attribute, ...] = ()

    def part(self, name: str) -> Attribute | None:
        wanted = name.lower()
        return next((part for part in self.parts if part.name.lower() == wanted), None)

    def document(self) -> dict[str, Any]:
        described: dict[str, Any] = {
            "name": self.name,
            "type": self.type,
            "multiValued": self.many,
            "description": f"{self.name}, RFC 7643",
            "required": self.required,
            "caseExact": self.case_exact,
            "mutability": self.mutability,
            "returned": self.returned,
            "uniqueness": "server" if self.unique else "none",
        }
        if self.type == "reference":
            described["referenceTypes"] = ["external"]
        if self.parts:
            described["subAttributes"] = [part.document() for part in self.parts]
        return described


@dataclass(frozen=True, slots=True)
class Schema:
    urn: str
    name: str
    attributes: tuple[Attribute, ...]

    def attribute(self, name: str) -> Attribute | None:
        wanted = name.lower()
        return next((each for each in self.attributes if each.name.lower() == wanted), None)

    def document(self) -> dict[str, Any]:
        return {
            "schemas": ["urn:ietf:params:scim:schemas:core:2.0:Schema"],
            "id": self.urn,
            "name": self.name,
            "description": f"{self.name}, RFC 7643",
            "attributes": [attribute.document() for attribute in self.attributes],
            "meta": {"resourceType": "Schema", "location": f"/Schemas/{self.urn}"},
        }


@dataclass(frozen=True, slots=True)
class ResourceType:
    """What an endpoint serves: the core schema, and the extensions by URN."""

    name: Literal["User", "Group"]
    endpoint: Literal["Users", "Groups"]
    core: Schema
    extensions: Mapping[str, Schema]

    def schema_of(self, urn: str) -> Schema | None:
        wanted = urn.lower()
        return next((schema for schema in self.schemas() if schema.urn.lower() == wanted), None)

    def schemas(self) -> Iterator[Schema]:
        yield self.core
        yield from self.extensions.values()

    def document(self) -> dict[str, Any]:
        return {
            "schemas": ["urn:ietf:params:scim:schemas:core:2.0:ResourceType"],
            "id": self.name,
            "name": self.name,
            "endpoint": f"/{self.endpoint}",
            "description": self.name,
            "schema": self.core.urn,
            "schemaExtensions": [{"schema": urn, "required": False} for urn in self.extensions],
            "meta": {"resourceType": "ResourceType", "location": f"/ResourceTypes/{self.name}"},
        }


COMMON = (
    Attribute("schemas", "reference", many=True, required=True, case_exact=True, returned="always"),
    Attribute("id", case_exact=True, mutability="readOnly", returned="always", unique=True),
    Attribute("externalId", case_exact=True),
    Attribute(
        "meta",
        "complex",
        mutability="readOnly",
        parts=(
            Attribute("resourceType", case_exact=True, mutability="readOnly"),
            Attribute("created", "dateTime", mutability="readOnly"),
            Attribute("lastModified", "dateTime", mutability="readOnly"),
            Attribute("location", "reference", case_exact=True, mutability="readOnly"),
            Attribute("version", case_exact=True, mutability="readOnly"),
        ),
    ),
)


def _many(name: str, value: Type = "string", *, case_exact: bool = False) -> Attribute:
    return Attribute(
        name,
        "complex",
        many=True,
        parts=(
            Attribute("value", value, case_exact=case_exact),
            Attribute("display"),
            Attribute("type"),
            Attribute("primary", "boolean"),
        ),
    )


_NAME_PARTS = ("formatted", "familyName", "givenName", "middleName", "honorificPrefix", "honorificSuffix")
_ADDRESS_PARTS = ("formatted", "streetAddress", "locality", "region", "postalCode", "country", "type")

USER_SCHEMA = Schema(
    USER,
    "User",
    (
        *COMMON,
        Attribute("userName", required=True, unique=True),
        Attribute("name", "complex", parts=tuple(Attribute(part) for part in _NAME_PARTS)),
        Attribute("displayName"),
        Attribute("nickName"),
        Attribute("profileUrl", "reference", case_exact=True),
        Attribute("title"),
        Attribute("userType"),
        Attribute("preferredLanguage"),
        Attribute("locale"),
        Attribute("timezone"),
        Attribute("active", "boolean"),
        Attribute("password", case_exact=True, mutability="writeOnly", returned="never"),
        _many("emails"),
        _many("phoneNumbers"),
        _many("ims"),
        _many("photos", "reference", case_exact=True),
        Attribute(
            "addresses",
            "complex",
            many=True,
            parts=(*(Attribute(part) for part in _ADDRESS_PARTS), Attribute("primary", "boolean")),
        ),
        Attribute(
            "groups",
            "complex",
            many=True,
            mutability="readOnly",
            parts=(
                Attribute("value", mutability="readOnly"),
                Attribute("$ref", "reference", case_exact=True, mutability="readOnly"),
                Attribute("display", mutability="readOnly"),
                Attribute("type", mutability="readOnly"),
            ),
        ),
        _many("entitlements"),
        _many("roles"),
        _many("x509Certificates", "binary", case_exact=True),
    ),
)

ENTERPRISE_SCHEMA = Schema(
    ENTERPRISE,
    "EnterpriseUser",
    (
        Attribute("employeeNumber"),
        Attribute("costCenter"),
        Attribute("organization"),
        Attribute("division"),
        Attribute("department"),
        Attribute(
            "manager",
            "complex",
            parts=(
                Attribute("value"),
                Attribute("$ref", "reference", case_exact=True),
                Attribute("displayName", mutability="readOnly"),
            ),
        ),
    ),
)

GROUP_SCHEMA = Schema(
    GROUP,
    "Group",
    (
        *COMMON,
        Attribute("displayName", required=True),
        Attribute(
            "members",
            "complex",
            many=True,
            parts=(
                Attribute("value", case_exact=True, mutability="immutable"),
                Attribute("$ref", "reference", case_exact=True, mutability="immutable"),
                Attribute("type", mutability="immutable"),
                Attribute("display", mutability="immutable"),
            ),
        ),
    ),
)

USERS = ResourceType("User", "Users", USER_SCHEMA, {ENTERPRISE: ENTERPRISE_SCHEMA})
GROUPS = ResourceType("Group", "Groups", GROUP_SCHEMA, {})
TYPES = (USERS, GROUPS)
SCHEMAS = (USER_SCHEMA, ENTERPRISE_SCHEMA, GROUP_SCHEMA)
