"""What is wrong with attribute mappings whatever the entry is; and what a failed mapping says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from reconciler.core import casting, paths
from reconciler.core.model import AttributeMapping, Constant
from reconciler.core.profile import TargetAttribute
from reconciler.core.reasons import Reason


@dataclass(frozen=True, slots=True)
class Failure:
    """Why one path has no value that the target could take. Never holds the value of an attribute."""

    path: str
    error_code: Reason
    reason: str


def defaults_of(
    mapped: list[AttributeMapping], known: Mapping[str, TargetAttribute]
) -> tuple[dict[str, Any], list[Failure]]:
    """Return path → default in the type of its attribute, and what is wrong with the others."""
    defaults: dict[str, Any] = {}
    spoiled: list[Failure] = []
    for mapping in mapped:
        if mapping.default is None:
            continue
        if known[mapping.to].references is not None:
            spoiled.append(Failure(mapping.to, casting.INVALID_VALUE, "a reference cannot have a default"))
            continue
        try:
            default = casting.caster(known[mapping.to])(mapping.default)
        except casting.Unfit as unfit:
            spoiled.append(Failure(mapping.to, unfit.error_code, f"its default cannot be used: {unfit.reason}"))
        else:
            if default is not None:
                defaults[mapping.to] = default
    return defaults, spoiled


def constant_problems(mapped: list[AttributeMapping], known: Mapping[str, TargetAttribute]) -> list[Failure]:
    """Return what is wrong with constants that their target attributes cannot take."""
    problems: list[Failure] = []
    for mapping in mapped:
        if isinstance(mapping.source, Constant):
            try:
                casting.caster(known[mapping.to])(mapping.source.value)
            except casting.Unfit as unfit:
                problems.append(Failure(mapping.to, unfit.error_code, f"its constant cannot be used: {unfit.reason}"))
    return problems


def layout_problems(mapped: list[AttributeMapping], required: tuple[str, ...]) -> list[Failure]:
    """Return paths that write the same value, an id that is mapped, and what the target requires and nobody maps."""
    targets = [mapping.to for mapping in mapped]
    problems = [
        Failure(second, casting.INVALID_VALUE, f"it cannot be mapped beside {first}: both write the same value")
        for first, second in combinations(targets, 2)
        if paths.clash(first, second)
    ]
    problems += [
        Failure(path, casting.INVALID_VALUE, "the target's own id is given by the target and cannot be mapped")
        for path in targets
        if path.lower() == "id"
    ]
    problems += [
        Failure(path, "MandatoryFieldsMissing", "the target requires it and nothing is mapped to it")
        for path in required
        if path not in targets
    ]
    return problems
