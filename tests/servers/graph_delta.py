"""Change tracking of the double of Microsoft Graph, from the documentation of delta query for users and groups.

A link is good for the question that it was given for, until it is forgotten. What is told are the differences between
what was there when a round began and what is there now; a page says how the round goes on, or where the next begins.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.servers.graph_rules import GROUP_PROPERTIES, KNOWN, Json, Refusal, bad

NOT_TRACKED = ("skills", "aboutMe", "mySite", "interests")
_IDS = re.compile(r"id eq '[^']*'(?: or id eq '[^']*')*")


@dataclass(frozen=True, slots=True)
class Held:
    """What a tenant has of one kind: properties by id, its relation (managers or members), who was deleted softly."""

    kind: str
    rows: Mapping[str, Json]
    relation: Mapping[str, tuple[str, ...]]
    deleted: frozenset[str]

    @property
    def relation_name(self) -> str:
        return "manager" if self.kind == "users" else "members"


@dataclass(frozen=True, slots=True)
class _Kept:
    """What a link stands for: the question, and what there was."""

    kind: str
    select: tuple[str, ...]
    rows: Mapping[str, Json]
    relation: Mapping[str, tuple[str, ...]]
    deleted: frozenset[str]


@dataclass(slots=True)
class Deltas:
    """The rounds that are under way, and the links that were given out."""

    page_size: int = 100
    slice_size: int = 1000
    """So many members of a group are in one row; it comes again with the others."""
    empty_page: bool = False
    """A page without rows comes first."""
    repeats: bool = False
    """The first row of a round comes again on its last page."""
    splits: bool = False
    """Managers come in rows of their own, at the end."""
    tells_of_the_deleted: bool = True
    """A membership that ended because a user was deleted is told by the group."""
    keeps_quiet: bool = False
    """What changed is left out, for good."""
    replays_removals: bool = False
    """Who was deleted and came back is told as both, in the order that is the wrong one."""
    loses_rounds: int = 0
    """So many requests for a further page are answered as those for what is too old."""
    token_length: int = 64
    resets: int = 0
    """So many requests with a link are answered with 410."""
    rounds: int = 0
    """How many rounds began from nothing."""
    _kept: dict[str, _Kept] = field(default_factory=dict)
    _pages: dict[str, tuple[_Kept, list[list[Json]]]] = field(default_factory=dict)

    def forget(self) -> None:
        """Let every link be too old."""
        self._kept.clear()

    def answer(self, held: Held, query: Mapping[str, str], root: str) -> Json:
        """Return a page. Raises Refusal."""
        if "$skiptoken" in query:
            self._alone(query, "$skiptoken")
            if self.loses_rounds:
                self.loses_rounds -= 1
                raise _too_old()
            kept, pages = self._pages.pop(query["$skiptoken"], (None, []))
            if kept is None or kept.kind != held.kind:
                raise _too_old()
            return self._page(kept, pages, root)
        if query.get("$deltatoken", "latest") != "latest":
            self._alone(query, "$deltatoken")
            if self.resets:
                self.resets -= 1
                location = f"{root}/{held.kind}/delta?$deltatoken="
                raise Refusal(410, "resyncRequired", "Resync required.", location=location)
            before = self._kept.get(query["$deltatoken"])
            if before is None or before.kind != held.kind:
                raise _too_old()
            rows = [] if self.keeps_quiet else self._changes(held, before)
            return self._begin(held, before.select, rows, root)
        select = self._question(held, query)
        self.rounds += 1
        empty = _Kept(held.kind, select, {}, {}, frozenset())
        rows = [] if "$deltatoken" in query else self._changes(held, empty)
        return self._begin(held, select, rows, root)

    def _question(self, held: Held, query: Mapping[str, str]) -> tuple[str, ...]:
        for name in query:
            if name not in ("$select", "$filter", "$deltatoken"):
                raise bad(f"The query option '{name}' is not supported with delta.", "BadRequest")
        if "$filter" in query and not _IDS.fullmatch(query["$filter"]):
            raise bad("Unsupported filter for delta: only ids can be asked for.", "BadRequest")
        assert "$filter" not in query, "nobody has asked for a few ids so far"
        known = KNOWN if held.kind == "users" else GROUP_PROPERTIES
        select = tuple(query.get("$select", "displayName").split(","))
        for name in select:
            if name in NOT_TRACKED:
                raise Refusal(501, "NotImplemented", "This operation target is not yet supported.")
            if name not in known and name != held.relation_name:
                kind = held.kind.rstrip("s")
                raise bad(f"Could not find a property named '{name}' on type 'microsoft.graph.{kind}'.", "BadRequest")
        return select

    def _alone(self, query: Mapping[str, str], name: str) -> None:
        if set(query) != {name}:
            raise bad("A link has its question in it: no other parameter goes with it.", "BadRequest")

    def _begin(self, held: Held, select: tuple[str, ...], rows: list[Json], root: str) -> Json:
        now = _Kept(
            held.kind,
            select,
            {
                one: {name: row.get(name) for name in select if row.get(name) is not None}
                for one, row in held.rows.items()
            },
            dict(held.relation),
            held.deleted,
        )
        pages = [rows[n : n + self.page_size] for n in range(0, len(rows), self.page_size)] or [[]]
        if self.empty_page:
            pages.insert(0, [])
        if self.repeats and rows:
            pages.append([rows[0]])
        return self._page(now, pages, root)

    def _page(self, kept: _Kept, pages: list[list[Json]], root: str) -> Json:
        token = uuid.uuid4().hex.ljust(self.token_length, "x")
        page: Json = {"@odata.context": f"{root}/$metadata#{kept.kind}", "value": pages[0]}
        if len(pages) > 1:
            self._pages[token] = (kept, pages[1:])
            page["@odata.nextLink"] = f"{root}/{kept.kind}/delta?$skiptoken={token}"
        else:
            self._kept[token] = kept
            page["@odata.deltaLink"] = f"{root}/{kept.kind}/delta?$deltatoken={token}"
        return page

    def _changes(self, held: Held, before: _Kept) -> list[Json]:
        rows: list[Json] = []
        late: list[Json] = []
        name = held.relation_name
        for one, row in held.rows.items():
            old = before.rows.get(one)
            values = {key: row.get(key) for key in before.select if row.get(key) is not None and key != name}
            moved = list(self._moved(held, before, one)) if name in before.select else []
            if old is not None and values == old and not moved:
                continue
            shown: Json = {"id": one, **values}
            shown |= {key: None for key in (old or {}) if key not in values}
            slices = [moved[n : n + self.slice_size] for n in range(0, len(moved), self.slice_size)]
            if self.splits and slices and held.kind == "users":
                rows.append(shown)
                late.append({"id": one, f"{name}@delta": slices[0]})
                continue
            rows.append({**shown, f"{name}@delta": slices[0]} if slices else shown)
            rows += [{**shown, f"{name}@delta": more} for more in slices[1:]]
        for one in before.rows.keys() | before.deleted:
            if one in held.rows or (one in before.deleted and one in held.deleted):
                continue
            reason = "changed" if one in held.deleted else "deleted"
            rows.append({"id": one, "@removed": {"reason": reason}})
        if self.replays_removals:
            late += [{"id": one, "@removed": {"reason": "changed"}} for one in before.deleted if one in held.rows]
        return rows + late

    def _moved(self, held: Held, before: _Kept, one: str) -> Iterable[Json]:
        was, now = before.relation.get(one, ()), held.relation.get(one, ())
        for other in now:
            if other not in was:
                yield {"@odata.type": "#microsoft.graph.user", "id": other}
        for other in was:
            if other in now or (other in held.deleted and not self.tells_of_the_deleted):
                continue
            yield {"@odata.type": "#microsoft.graph.user", "id": other, "@removed": {"reason": "deleted"}}


def _too_old() -> Refusal:
    message = "The sync state generation is not found. The delta token is expired and data must be synchronized again."
    return Refusal(400, "syncStateNotFound", message)


def app_role(value: str | None, name: str) -> dict[str, Any]:
    """Return an app role as a service principal shows it."""
    return {
        "id": str(uuid.uuid4()),
        "value": value,
        "displayName": name,
        "isEnabled": True,
        "allowedMemberTypes": ["User"],
    }
