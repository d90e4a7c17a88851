"""What Microsoft Graph's documentation says of users: their properties, and what a request may not do with them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any

Json = dict[str, Any]

DEFAULT_PROPERTIES = (
    "businessPhones",
    "displayName",
    "givenName",
    "id",
    "jobTitle",
    "mail",
    "mobilePhone",
    "officeLocation",
    "preferredLanguage",
    "surname",
    "userPrincipalName",
)
"""What is returned where no $select asks for more (resources/user: "returned by default")."""

LENGTHS = {
    "ageGroup": 64,
    "city": 128,
    "companyName": 64,
    "country": 128,
    "department": 64,
    "displayName": 256,
    "employeeId": 16,
    "employeeType": 64,
    "faxNumber": 64,
    "givenName": 64,
    "jobTitle": 128,
    "mail": 256,
    "mailNickname": 64,
    "mobilePhone": 64,
    "officeLocation": 128,
    "onPremisesImmutableId": 256,
    "passwordPolicies": 64,
    "postalCode": 40,
    "preferredLanguage": 64,
    "state": 128,
    "streetAddress": 1024,
    "surname": 64,
    "usageLocation": 3,
    "userPrincipalName": 113,
    "userType": 64,
}
BOOLEANS = ("accountEnabled",)
DATES = ("employeeHireDate", "employeeLeaveDateTime")
LISTS = ("businessPhones", "otherMails")
OBJECTS = ("passwordProfile", "employeeOrgData", "onPremisesExtensionAttributes")
READ_ONLY = ("id", "proxyAddresses", "imAddresses", "createdDateTime", "onPremisesSyncEnabled", "deletedDateTime")
WRITABLE = frozenset((*LENGTHS, *BOOLEANS, *DATES, *LISTS, *OBJECTS))
KNOWN = WRITABLE | frozenset(READ_ONLY)
GROUP_PROPERTIES = frozenset(
    (
        *("id", "displayName", "description", "mail", "mailEnabled", "mailNickname", "securityEnabled", "visibility"),
        *("groupTypes", "createdDateTime", "classification"),
    )
)
EVERYTHING = ("User.ReadWrite.All", "User.Read.All", "User-LifeCycleInfo.ReadWrite.All", "Organization.Read.All")
READING = ("Group.ReadWrite.All", "Application.Read.All")
READS_USERS = ("User.Read.All", "User.ReadWrite.All", "Directory.Read.All")
READS_GROUPS = ("GroupMember.Read.All", "Group.Read.All", "Group.ReadWrite.All", "Directory.Read.All")
NEVER_NULL = ("displayName", "mail", "mailNickname", "userPrincipalName", "usageLocation", "accountEnabled")
REQUIRED = ("accountEnabled", "displayName", "mailNickname", "passwordProfile", "userPrincipalName")
SENSITIVE = ("accountEnabled", "businessPhones", "mobilePhone", "otherMails", "passwordProfile", "userPrincipalName")
"""What of an administrator's account only a higher one may change."""
_UPN = re.compile(r"[A-Za-z0-9'.\-_!#^~]{1,64}@[A-Za-z0-9.\-]+")
_MAIL = re.compile(r"[\x21-\x3f\x41-\x7e]+@[A-Za-z0-9.\-]+")
_UTC = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d{1,7})?)?(Z|[+-]\d\d:\d\d)")


@dataclass(frozen=True, slots=True)
class Refusal(Exception):  # because it is an answer, not an error of the double
    """An error of Graph (resources/errors)."""

    status: int
    code: str
    message: str
    details: tuple[Json, ...] = ()
    location: str = ""
    """Where the answer says to begin anew."""
    retry_after_seconds: int = 0

    @property
    def headers(self) -> dict[str, str]:
        waits = {"Retry-After": str(self.retry_after_seconds)} if self.retry_after_seconds else {}
        return {"Location": self.location, **waits} if self.location else waits

    def document(self) -> Json:
        error: Json = {
            "code": self.code,
            "message": self.message,
            "innerError": {"date": "2026-01-01T00:00:00", "request-id": "00000000-0000-0000-0000-000000000000"},
        }
        if self.details:
            error["details"] = list(self.details)
        return {"error": error}


def bad(message: str, code: str = "Request_BadRequest") -> Refusal:
    return Refusal(400, code, message)


def conflict(path: str) -> Refusal:
    message = f"Another object with the same value for property {path} already exists."
    detail = {"code": "ObjectConflict", "message": message, "target": path}
    return Refusal(400, "Request_BadRequest", message, (detail,))


def not_found(target: str) -> Refusal:
    message = f"Resource '{target}' does not exist or one of its queried reference-property objects are not present."
    return Refusal(404, "Request_ResourceNotFound", message)


def denied() -> Refusal:
    return Refusal(403, "Authorization_RequestDenied", "Insufficient privileges to complete the operation.")


def check_values(values: Json, *, domains: frozenset[str], creates: bool) -> None:
    """Raise the Refusal that Graph answers these values with."""
    for name, value in values.items():
        if name not in KNOWN:
            raise bad(
                f"One or more property values specified are invalid. Property '{name}' does not exist as a declared"
                " property or extension property."
            )
        if name in READ_ONLY:
            raise bad(f"Property '{name}' is read-only and cannot be set.")
        if value is None:
            if creates or name in NEVER_NULL:
                raise bad(f"Invalid value specified for property '{name}' of resource 'User'.")
            continue
        _check_type(name, value)
    if creates:
        for name in REQUIRED:
            if name not in values:
                raise bad(f"A value is required for property '{name}' of resource 'User'.")
    if "userPrincipalName" in values:
        _check_upn(values["userPrincipalName"], domains)
    if isinstance(values.get("mail"), str) and not _MAIL.fullmatch(values["mail"]):
        raise bad("Invalid value specified for property 'mail' of resource 'User'.")
    if "mailNickname" in values and re.search(r"[^\x21-\x7e]|[@()\\\[\]\";:<>, ]", values["mailNickname"]):
        raise bad("Invalid value specified for property 'mailNickname' of resource 'User'.")
    if "passwordProfile" in values:
        _check_password(values["passwordProfile"])


def _check_type(name: str, value: Any) -> None:
    wrong = bad(f"Invalid value specified for property '{name}' of resource 'User'.")
    if name in LENGTHS and (not isinstance(value, str) or not 1 <= len(value) <= LENGTHS[name]):
        raise wrong
    if name in BOOLEANS and not isinstance(value, bool):
        raise wrong
    if name in OBJECTS and not isinstance(value, dict):
        raise wrong
    if name in LISTS:
        if not isinstance(value, list) or not all(isinstance(one, str) and one for one in value):
            raise wrong
        if name == "businessPhones" and len(value) > 1:
            raise bad("Only one number can be set for the businessPhones property.")
    if name in DATES:
        if not isinstance(value, str) or not _UTC.fullmatch(value):
            raise bad(f"Cannot convert the literal to the expected type 'Edm.DateTimeOffset' for '{name}'.")
        datetime.fromisoformat(value)


def _check_upn(value: str, domains: frozenset[str]) -> None:
    if not _UPN.fullmatch(value) or value.partition("@")[0].endswith("."):
        raise bad("Property userPrincipalName is invalid.")
    if value.rpartition("@")[2].lower() not in domains:
        raise bad(
            "The domain portion of the userPrincipalName property is invalid. You must use one of the verified domain"
            " names in your organization."
        )


def _check_password(profile: Json) -> None:
    password = profile.get("password")
    if set(profile) - {"password", "forceChangePasswordNextSignIn", "forceChangePasswordNextSignInWithMfa"}:
        raise bad("Property 'passwordProfile' is invalid.")
    kinds = (r"[a-z]", r"[A-Z]", r"[0-9]", r"[^A-Za-z0-9]")
    strong = (
        isinstance(password, str)
        and 8 <= len(password) <= 256
        and sum(bool(re.search(kind, password)) for kind in kinds) >= 3
    )
    if not strong:
        raise bad("The specified password does not comply with password complexity requirements.")
