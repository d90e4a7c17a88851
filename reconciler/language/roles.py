"""Functions on the roles that somebody has in the app."""

from __future__ import annotations

from typing import Any

from reconciler.errors import EvaluationError
from reconciler.language.functions import Function, Invocation, checked, plain
from reconciler.language.lists import values_of
from reconciler.language.tree import Attribute
from reconciler.language.values import Value, text

ASSIGNMENTS = "appRoleAssignments"
"""The pseudo attribute: a list of {"value", "displayName"}, one for each role."""
ROLE_TYPE = "WindowsAzureActiveDirectoryRole"


def _only_assignments(invocation: Invocation) -> None:
    source = invocation.arguments[0]
    if not isinstance(source.node, Attribute) or source.node.name != ASSIGNMENTS:
        raise invocation.refuse("takes [appRoleAssignments], nothing else", at=source)


def _roles(value: Value) -> list[tuple[str, str]]:
    """Return (value, display name) of each role, in the order of assignment."""
    return [_role(one) for one in values_of(value) if one is not None]


def _role(one: Any) -> tuple[str, str]:
    if isinstance(one, str):
        return one, one
    if not isinstance(one, dict):
        raise EvaluationError('an app role must be an object {"value", "displayName"}')
    value, name = text(one.get("value")), text(one.get("displayName"))
    return value or name, name or value


def _single(value: Value) -> str | None:
    roles = _roles(value)
    return roles[0][0] if roles else None


def _values(value: Value) -> list[str]:
    return [role for role, _ in _roles(value)]


def _complex(value: Value) -> list[dict[str, Any]]:
    return [{"primary": False, "type": ROLE_TYPE, "displayName": name, "value": role} for role, name in _roles(value)]


def _assertive(value: Value) -> list[dict[str, Any]]:
    return [{"primary": False, "type": ROLE_TYPE, "display": name, "value": role} for role, name in _roles(value)]


FUNCTIONS = (
    Function("AppRoleAssignments", ("source",), checked(plain(_values), _only_assignments), gives="list"),
    Function("AppRoleAssignmentsComplex", ("source",), checked(plain(_complex), _only_assignments), gives="list"),
    Function(
        "AssertiveAppRoleAssignmentsComplex", ("source",), checked(plain(_assertive), _only_assignments), gives="list"
    ),
    Function("SingleAppRoleAssignment", ("source",), checked(plain(_single), _only_assignments)),
)
