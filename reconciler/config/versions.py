"""Says whether the rules of a job are still those under which its accounts were last judged."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Set
from dataclasses import fields, is_dataclass, replace
from enum import Enum
from functools import cache
from typing import Any

import orjson

from reconciler.core.levelling import spoken
from reconciler.core.model import Job, ObjectRules
from reconciler.core.profile import Profile

_FORM = "1"
"""Goes up when the same rules decide otherwise in a new release, so that everything is judged again."""

_DECIDES_NOTHING = frozenset(
    {
        "name",
        "source",
        "target",
        "enabled",
        "interval_seconds",
        "full_interval_seconds",
        "stop_after_seconds",
        "require_test",
        "safeguards",
        "notify",
        "triggers",
    }
)


def rules_version(job: Job, profile: Profile) -> str:
    """Return a stable hash over everything that changes decisions, and nothing else.

    In it: scope, assignments, roles, filters, mappings, actions, deprovisioning, who is active, protected accounts,
    what the profile knows of the app. Not in it: names, intervals, notify, enabled, safeguards.
    """
    rules = {field.name: getattr(job, field.name) for field in fields(job) if field.name not in _DECIDES_NOTHING}
    rules["assigned"] = sorted(set(job.assigned), key=repr)
    rules["users"], rules["groups"] = _in_order(job.users), _in_order(job.groups)
    rules["only"] = sorted({spoken(name) for name in job.only})
    rules["protected"] = sorted(set(job.protected))
    app = {
        "users": profile.user_attributes,
        "groups": profile.group_attributes,
        "active": profile.active,
        "can": (profile.can_disable, profile.can_delete, profile.can_rename_groups),
        "groups can": (profile.can_adopt_groups, profile.can_delete_groups),
    }
    written = orjson.dumps([_FORM, _plain(rules), _plain(app)], option=orjson.OPT_SORT_KEYS)
    return hashlib.sha256(written).hexdigest()[:32]


def _in_order(rules: ObjectRules | None) -> ObjectRules | None:
    """Return the rules with their mappings by path: their order decides nothing."""
    if rules is None:
        return None
    return replace(rules, mappings=tuple(sorted(rules.mappings, key=lambda mapping: mapping.to)))


@cache
def _names_of(kind: type[Any]) -> tuple[str, ...] | None:
    """Return the names of a dataclass's fields; None where it is no dataclass."""
    return tuple(field.name for field in fields(kind)) if is_dataclass(kind) else None


def _plain(value: Any) -> Any:
    """Return a value as JSON, its type where that makes a difference, sets in order."""
    kind: Any = type(value)
    if value is None or kind is str or kind is bool:
        return value
    if isinstance(value, Enum):
        return value.value
    if (names := _names_of(kind)) is not None:
        return [kind.__name__, {name: _plain(getattr(value, name)) for name in names}]
    if isinstance(value, Mapping):
        return {str(key): _plain(held) for key, held in value.items()}
    if isinstance(value, Set):
        return sorted(str(_plain(held)) for held in value)
    if isinstance(value, list | tuple):
        return [_plain(held) for held in value]
    if isinstance(value, int):
        return str(value) if abs(value) > 2**53 else value
    return value
