"""What a reload changes beside the rules of the jobs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields

from reconciler.config import (
    Config,
    FileSourceSettings,
    GraphSourceSettings,
    GraphTargetSettings,
    JoinedSourceSettings,
    LdapSourceSettings,
    RestSourceSettings,
    RestTargetSettings,
    ScimSourceSettings,
    ScimTargetSettings,
    SqlSourceSettings,
)


def connection_changes(before: Config, after: Config) -> tuple[tuple[str, ...], frozenset[str]]:
    """Return in sentences what a reload changes beside the jobs' rules, and the jobs whose connections it touches."""
    said: list[str] = []
    changed: dict[str, set[str]] = {"source": set(), "target": set()}
    for what, was, now in (("source", before.sources, after.sources), ("target", before.targets, after.targets)):
        for name in was.keys() & now.keys():
            if was[name] != now[name]:
                changed[what].add(name)
                said.append(f"{what} {name}: {', '.join(_differing(was[name], now[name]))} changed")
    changed["source"] |= {
        name
        for name, settings in after.sources.items()
        if isinstance(settings, JoinedSourceSettings) and not changed["source"].isdisjoint(settings.of)
    }
    said += [
        f"target {name}: limits are lowered at once, raised when the daemon is started again"
        for name in before.targets.keys() & after.targets.keys()
        if _limits(before, name) != _limits(after, name)
    ]
    if before.metrics != after.metrics:
        said.append("[metrics] changed: the daemon goes on as it began until it is started again")
    if (before.control_socket, before.control.group) != (after.control_socket, after.control.group):
        said.append("[control] socket or group changed: the socket stays as it is until the daemon is started again")
    if (before.state_url, before.state_password) != (after.state_url, after.state_password):
        said.append("[state] changed: the daemon goes on with the state that it has open until it is started again")
    touched = frozenset(
        job.name for job in after.jobs.values() if job.source in changed["source"] or job.target in changed["target"]
    )
    return tuple(sorted(said)), touched


def _differing(was: object, now: object) -> Iterator[str]:
    """Yield the names of settings that differ, never their values."""
    if type(was) is not type(now):
        yield "type"
        return
    assert isinstance(
        was,
        ScimTargetSettings
        | GraphTargetSettings
        | RestTargetSettings
        | FileSourceSettings
        | LdapSourceSettings
        | GraphSourceSettings
        | SqlSourceSettings
        | RestSourceSettings
        | ScimSourceSettings
        | JoinedSourceSettings,
    )
    for one in fields(was):
        if getattr(was, one.name) != getattr(now, one.name):
            yield one.name.removesuffix("_seconds")


def _limits(config: Config, target: str) -> tuple[int, float | None]:
    settings = config.targets[target]
    return settings.concurrency, settings.requests_per_second
