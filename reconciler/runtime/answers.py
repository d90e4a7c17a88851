"""The forms of what the daemon answers to people: JSON, also where something is wrong."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson
from aiohttp import web

from reconciler.runtime.desk import Called, Refused
from reconciler.runtime.webhooks import Turned

_STATUS = {"unknown": 404, "ending": 503}


def answered(value: Mapping[str, Any], status: int = 200) -> web.Response:
    """Return a JSON answer, with a line end for those who look at it with curl."""
    return web.Response(body=orjson.dumps(value) + b"\n", status=status, content_type="application/json")


def problem(status: int, text: str, hint: str = "") -> web.Response:
    """Return an answer that says what was wrong, and what to do."""
    return answered({"error": text, "hint": hint}, status)


def refusal(refused: Refused) -> web.Response:
    return problem(_STATUS[refused.why], refused.problem, refused.hint)


def of_webhook(called: Called | Refused | Turned) -> web.Response:
    """Return what is answered to who called a webhook."""
    match called:
        case Refused():
            return refusal(called)
        case Turned(status=status, problem=text, hint=hint):
            return problem(status, text, hint)
        case Called():
            return answered({"job": called.job, "repeated": called.repeated, "runs": called.prospect}, 202)
