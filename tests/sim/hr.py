"""A pretend HR system over REST: pages, totals, what changed since, tombstones."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import orjson

from reconciler.ports import Request, Response
from tests.sim.life import EPOCH
from tests.sim.town import Row, Town

TOKEN = "the-token-of-the-simulation"
PAGE_MAX = 4
"""It never gives more on a page, whatever it is asked for."""
_JSON = {"content-type": "application/json"}


class HrSystem:
    """Answers as its documentation says; refuses what it does not know."""

    def __init__(self, town: Town, seconds: Callable[[], float]) -> None:
        self._town, self._seconds = town, seconds
        self.twist: str | None = None
        """How the next lists are wrong: see `_twisted`."""

    def changed(self) -> None:
        """Nothing is kept that could be old."""

    def answer(self, request: Request) -> Response:
        if request.method != "GET":
            return _answer(405, {"error": "read only"})
        if request.headers.get("Authorization") != f"Bearer {TOKEN}":
            return _answer(401, {"error": "who are you?"})
        parts = urlsplit(request.url)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        match [unquote(part) for part in parts.path.removeprefix("/api/").split("/")]:
            case ["people"]:
                return self._list(self._people(query.get("changedSince")), query)
            case ["people", id_]:
                row = self._town.people.get(id_)
                return _answer(404, {}) if row is None or id_ in self._town.hidden else _answer(200, self._shown(row))
            case ["groups"]:
                return self._list(self._groups(query.get("changedSince")), query)
            case ["groups", id_]:
                group = self._town.groups.get(id_)
                return _answer(404, {}) if group is None else _answer(200, self._shown(group))
            case ["groups", id_, "members"]:
                group = self._town.groups.get(id_)
                if group is None:
                    return _answer(404, {})
                return self._list([{"id": member} for member in group["members"]], query)
            case _:
                return _answer(404, {})

    def _people(self, since: str | None) -> list[Row]:
        return self._since([self._shown(row) for row in self._town.shown_people()], "p", since)

    def _groups(self, since: str | None) -> list[Row]:
        return self._since([self._shown(row) for row in self._town.groups.values()], "g", since)

    def _since(self, rows: list[Row], kind: str, since: str | None) -> list[Row]:
        if since is None:
            return rows
        rows += [
            {**self._shown(row), "status": "deleted"}
            for id_, row in self._town.tombstones.items()
            if id_.startswith(kind)
        ]
        return [row for row in rows if row["changed"] >= since]

    def _shown(self, row: Row) -> Row:
        changed = iso(self._town.changed[row["id"]])
        shown = {**row, "status": "active", "changed": changed}
        if "members" in shown:
            del shown["members"]
            shown["membersChanged"] = changed
        return shown

    def _list(self, rows: list[Row], query: Mapping[str, str]) -> Response:
        start = int(query.get("offset", query.get("after", 0)))
        size = min(int(query.get("limit", PAGE_MAX)), PAGE_MAX)
        page, total = rows[start : start + size], len(rows)
        body: dict[str, Any] = {"items": page, "total": total}
        if start + size < total:
            body["next"] = str(start + size)
        self._twisted(body, start)
        return _answer(200, body)

    def _twisted(self, body: dict[str, Any], start: int) -> None:
        match self.twist:
            case "a page is missing" if start > 0:
                body["items"] = []
                body.pop("next", None)
            case "nobody is left":
                body.update(items=[], total=0)
                body.pop("next", None)
            case "somebody comes twice" if body["items"]:
                body["items"] = [*body["items"], body["items"][0]]
            case "the total grows":
                body["total"] += start
            case _:
                pass


def _answer(status: int, body: Any) -> Response:
    return Response(status, _JSON, orjson.dumps(body))


def iso(seconds: float) -> str:
    """Return a moment of the loop's time as sources write it."""
    moment = datetime.fromtimestamp(EPOCH + seconds, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
