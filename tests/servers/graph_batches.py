"""Answers a $batch as the documentation of Microsoft Graph says (json-batching): call after call, each by itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.servers.graph_rules import Json, Refusal, bad

BATCH_MAX = 20
Answer = tuple[int, Any, dict[str, str]]
"""Status, body, headers."""
Part = Callable[[str, str, Any, dict[str, str]], Answer]
"""Answers one call: method, path with query, body, headers in lower case."""


def batched(body: Any, part: Part) -> Answer:
    """Return the answer to a batch whose calls `part` answers."""
    rows = body.get("requests") if isinstance(body, dict) else None
    if not isinstance(rows, list) or not rows:
        return 400, bad("Invalid batch payload format.", "BadRequest").document(), {}
    if len(rows) > BATCH_MAX:
        message = f"Number of batch request steps exceeds the maximum value of {BATCH_MAX}."
        return 400, bad(message, "MaximumValueExceeded").document(), {}
    numbers = [str(row.get("id")) for row in rows]
    if len(set(numbers)) != len(numbers):
        return 400, bad("Request Id in batch payload is not unique.", "BadRequest").document(), {}
    answers: dict[str, Answer] = {}
    for row in rows:
        answers[str(row["id"])] = _one(row, answers, part)
    responses = []
    for number in reversed(numbers):  # in any order, the documentation says
        status, shown, headers = answers[number]
        one: Json = {"id": number, "status": status, "headers": headers}
        if shown is not None:
            one["body"] = shown
        responses.append(one)
    return 200, {"responses": responses}, {}


def _one(row: Json, before: dict[str, Answer], part: Part) -> Answer:
    for needed in row.get("dependsOn", []):
        if needed not in before:
            return 400, bad("Dependency is not in the batch.", "BadRequest").document(), {}
        if before[needed][0] >= 400:
            return 424, Refusal(424, "FailedDependency", "A dependency failed.").document(), {}
    url = row["url"] if row["url"].startswith("/") else f"/{row['url']}"
    headers = {str(name).lower(): str(value) for name, value in row.get("headers", {}).items()}
    if row.get("body") is not None and "application/json" not in headers.get("content-type", ""):
        return 400, bad("A body needs a Content-Type header.", "BadRequest").document(), {}
    return part(row["method"], url, row.get("body"), headers)
