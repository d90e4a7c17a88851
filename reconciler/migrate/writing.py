"""Writes imported rules as a configuration that `check` accepts once its placeholders are filled in."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from reconciler.migrate import toml


@dataclass(slots=True)
class ImportedRules:
    """The rules of one kind of one job."""

    actions: list[str] = field(default_factory=list)
    attributes: list[dict[str, Any]] = field(default_factory=list)
    """Tables of a mapping, in the words of the configuration."""
    filter: dict[str, Any] | None = None
    comments: list[str] = field(default_factory=list)
    """What could not be carried over, to stand beside the rules."""


@dataclass(slots=True)
class ImportedJob:
    name: str
    source: str
    target: str
    users: ImportedRules | None = None
    groups: ImportedRules | None = None
    needs_domain: bool = False


def configuration(
    jobs: Sequence[ImportedJob], *, key: str, headline: str, profile: str = "", instead: Sequence[str] = ()
) -> str:
    """Return a whole configuration for these jobs; source and target are placeholders to be filled in.

    `instead` are lines that may stand in place of those of each source.
    """
    return "\n".join(_lines(jobs, key, headline, profile, instead)) + "\n"


def _lines(jobs: Sequence[ImportedJob], key: str, headline: str, profile: str, instead: Sequence[str]) -> Iterator[str]:
    yield toml.comment(headline)
    yield toml.comment("Fill in source and target; then: reconciler check, reconciler test, reconciler plan.")
    for source in dict.fromkeys(job.source for job in jobs):
        yield ""
        yield f"[sources.{toml.key(source)}]"
        yield 'type = "file"'
        yield 'users = "users.jsonl"'
        if any(job.source == source and _needs_groups(job) for job in jobs):
            yield 'groups = "groups.jsonl"'
        yield f"key = {toml.value(key)}"
        yield '# active = "accountEnabled"'
        if instead:
            yield toml.comment("Or, in place of these lines, the system itself:")
            yield from map(toml.comment, instead)
    for number, target in enumerate(dict.fromkeys(job.target for job in jobs)):
        yield ""
        yield f"[targets.{toml.key(target)}]"
        yield 'type = "scim"'
        if profile:
            yield f"profile = {toml.value(profile)}"
        yield 'url = "https://app.example.com/scim/v2"'
        token = "APP_TOKEN" if not number else f"APP_TOKEN_{number + 1}"
        yield f'auth = {{ type = "bearer", token = {{ env = "{token}" }} }}'
    for job in jobs:
        yield ""
        yield f"[jobs.{toml.key(job.name)}]"
        yield f"source = {toml.value(job.source)}"
        yield f"target = {toml.value(job.target)}"
        yield "enabled = false"
        yield 'scope = "all"'
        if job.needs_domain:
            yield 'default_domain = "example.com"'
        for kind, rules in (("users", job.users), ("groups", job.groups)):
            if rules is not None:
                yield from _rules(f"jobs.{toml.key(job.name)}.{kind}", rules)


def _needs_groups(job: ImportedJob) -> bool:
    return job.groups is not None


def _rules(heading: str, rules: ImportedRules) -> Iterator[str]:
    yield ""
    yield f"[{heading}]"
    yield f"actions = {toml.value(rules.actions)}"
    yield "attributes = ["
    for mapping in rules.attributes:
        yield f"  {toml.value(mapping)},"
    for said in rules.comments:
        yield f"  {toml.comment(said)}"
    yield "]"
    if rules.filter is not None:
        yield f"filter = {toml.value(rules.filter)}"


def roles(found: Mapping[str, dict[str, Any]]) -> str:
    """Return [roles.*] tables, by name."""
    lines: list[str] = []
    for name, when in found.items():
        lines += [f"[roles.{toml.key(name)}]", f"when = {toml.value(when)}", ""]
    return "\n".join(lines)
