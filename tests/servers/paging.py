"""Which rows of a list are one page: by index (RFC 7644), by cursor (RFC 9865), or as a server lies about it."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from tests.servers import answers
from tests.servers.quirks import Quirks
from tests.servers.refusals import Refusal, invalid_value

Json = dict[str, Any]


@dataclass(slots=True)
class Pager:
    """The pages of one server."""

    cursors_issued: int = 0

    def page(self, rows: list[Json], query: Mapping[str, str], quirks: Quirks) -> tuple[list[Json], Json]:
        """Return the rows of the page that is asked for, and the document around them without its rows."""
        matches = len(rows)
        if quirks.hides_rows:
            rows = rows[: max(0, matches - quirks.hides_rows)]
        by_cursor = quirks.cursors == "only" and "startIndex" not in query
        if "cursor" in query or by_cursor:
            return self._by_cursor(rows, matches, query, quirks)
        if quirks.cursors == "only":
            raise Refusal(501, "pages by index are not supported")
        start, count = _asked(query, quirks)
        page = rows[start - 1 : start - 1 + count]
        if not page and quirks.repeats_first_page:
            start, page = 1, rows[:count]
        return page, answers.page(page, start, matches + self._grown(quirks), quirks)

    def _by_cursor(
        self, rows: list[Json], matches: int, query: Mapping[str, str], quirks: Quirks
    ) -> tuple[list[Json], Json]:
        if quirks.cursors is None:
            raise Refusal(501, "cursors are not supported")
        if "startIndex" in query:
            raise invalid_value("cursor and startIndex do not go together")
        _, count = _asked(query, quirks)
        asked = {name: value for name, value in query.items() if name != "cursor"}
        position = self._position(query.get("cursor", ""), asked)
        page = rows[position : position + count]
        document = answers.page(page, 1, matches, quirks)
        del document["startIndex"]
        if position + count < len(rows):
            document["nextCursor"] = self._cursor(position + count, asked)
            self.cursors_issued += 1
            if self.cursors_issued == quirks.cursor_expires:
                document["nextCursor"] = self._cursor(-1, asked)
        return page, document

    def _position(self, cursor: str, asked: Mapping[str, str]) -> int:
        if not cursor:
            return 0
        try:
            position, issued_for = orjson.loads(base64.urlsafe_b64decode(cursor))
        except ValueError:
            raise Refusal(400, "this is no cursor of ours", "invalidCursor") from None
        if issued_for.get("count") != asked.get("count"):
            raise Refusal(400, "the cursor goes with another count", "invalidCount")
        if issued_for != asked:
            raise Refusal(400, "the cursor goes with another query", "invalidCursor")
        if position < 0:
            raise Refusal(400, "the cursor has expired", "expiredCursor")
        return int(position)

    def _cursor(self, position: int, asked: Mapping[str, str]) -> str:
        return base64.urlsafe_b64encode(orjson.dumps([position, dict(asked)])).decode()

    def _grown(self, quirks: Quirks) -> int:
        if not quirks.total_grows:
            return 0
        self.cursors_issued += 1
        return self.cursors_issued


def _asked(query: Mapping[str, str], quirks: Quirks) -> tuple[int, int]:
    try:
        start = int(query.get("startIndex", "1"))
        count = int(query.get("count", "100"))
    except ValueError:
        raise invalid_value("startIndex and count must be integers") from None
    most = quirks.count_refused_above
    if most is not None and "count" in query and count > most:
        raise Refusal(quirks.count_refused_status, "count is too large", "invalidValue")
    start = 1 if quirks.ignores_start_index else max(1, start)
    return start, min(max(0, count), quirks.page_max)
