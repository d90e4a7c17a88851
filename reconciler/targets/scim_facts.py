"""Remembers what a target said of itself and what was learned of it the hard way.

A plain dict that the store keeps as JSON. What ServiceProviderConfig says is asked for once, when a request first
depends on it, and never again while the dict is handed in: a quiet cycle asks nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import anyio

from reconciler.core.model import Kind
from reconciler.core.outcomes import Failed, Fault
from reconciler.core.profile import PatchDialect, Profile
from reconciler.dialects.scim import RemoveForm
from reconciler.dialects.scim_config import read_config
from reconciler.dialects.scim_wire import Wire

_PASSING = (Fault.UNREACHABLE, Fault.INTERRUPTED, Fault.THROTTLED, Fault.UNAUTHORIZED)
"""Faults that say nothing about whether the target has a ServiceProviderConfig."""
_PUT_PATHS: Mapping[Kind, str] = {"user": "put_paths", "group": "put_paths_of_groups"}
"""A path that users and groups share, such as displayName, may be refused for the one kind alone."""


class Facts:
    """The facts of one target. Every method that notes something changes what `remembered` gives."""

    __slots__ = ("_asking", "_known", "_profile", "_wire")

    def __init__(self, wire: Wire, profile: Profile, remembered: dict[str, Any] | None) -> None:
        self._wire, self._profile = wire, profile
        self._known: dict[str, Any] = dict(remembered or {})
        self._asking = anyio.Lock()

    @property
    def remembered(self) -> dict[str, Any] | None:
        """What the store should keep; None while nothing is known."""
        return self._known or None

    async def ask(self) -> None:
        """Make sure that ServiceProviderConfig was read, or is known not to be there."""
        if "config" in self._known:
            return
        async with self._asking:
            if "config" not in self._known:
                got = await self._wire.read(
                    self._wire.at("/ServiceProviderConfig"), doing="reading the target's config"
                )
                if not isinstance(got, Failed):
                    self._known["config"] = read_config(got[0])
                elif got.fault not in _PASSING:
                    self._known["config"] = None

    def says(self, feature: Literal["patch", "etag", "cursor", "index"]) -> bool | None:
        """Return what ServiceProviderConfig says of a feature, None where it says nothing."""
        config = self._known.get("config")
        said = config.get(feature) if isinstance(config, dict) else None
        return said if isinstance(said, bool) else None

    # --- how to write ---

    @property
    def has_patch(self) -> bool:
        return self._profile.patch is not PatchDialect.PUT and self.says("patch") is not False

    def needs_put(self, kind: Kind, path: str) -> bool:
        """Whether a PATCH of this path was refused before, and a PUT did it."""
        return path in self._known.get(_PUT_PATHS[kind], ())

    def note_put(self, kind: Kind, paths: list[str]) -> None:
        self._known[_PUT_PATHS[kind]] = sorted({*self._known.get(_PUT_PATHS[kind], ()), *paths})

    # --- how to list ---

    @property
    def page_size(self) -> int | None:
        """The page size to wish for; None: the target refuses to be told."""
        if self._known.get("no_count"):
            return None
        config = self._known.get("config")
        most = config.get("page_max") if isinstance(config, dict) else None
        return min(self._profile.page_size, most) if isinstance(most, int) else self._profile.page_size

    def note_no_count(self) -> None:
        self._known["no_count"] = True

    # --- members ---

    @property
    def shows_members(self) -> bool | None:
        """Whether the target shows a group's members; None: none were seen yet, perhaps because there were none."""
        shown = self._known.get("shows_members")
        return shown if isinstance(shown, bool) else None

    def note_shows_members(self, shown: bool) -> None:
        self._known["shows_members"] = shown

    @property
    def leaves_out(self) -> bool | None:
        """Whether a PATCH may ask to leave the members out of its answer; None: not found out yet.

        Some servers then write the group without them.
        """
        known = self._known.get("leaves_out")
        return known if isinstance(known, bool) else None

    def note_leaves_out(self, safe: bool) -> None:
        self._known["leaves_out"] = safe

    @property
    def member_writing(self) -> RemoveForm | Literal["put"]:
        """How members are taken out: the dialect's own form until another one was found to work."""
        known = self._known.get("members")
        if known in ("filter", "list", "put"):
            form: RemoveForm | Literal["put"] = known
            return form
        return "list" if self._profile.patch is PatchDialect.ENTRA else "filter"

    @property
    def member_writing_is_proven(self) -> bool:
        """Whether that form was seen to take out those members and no other."""
        return "members" in self._known

    def note_member_writing(self, form: RemoveForm | Literal["put"]) -> None:
        self._known["members"] = form

    @property
    def members_per_request(self) -> int:
        known = self._known.get("members_per_request")
        return (
            min(self._profile.members_per_request, known)
            if isinstance(known, int)
            else self._profile.members_per_request
        )

    def note_members_per_request(self, most: int) -> None:
        self._known["members_per_request"] = min(most, self.members_per_request)
