"""Describes the control socket as OpenAPI 3.1, from the same table that answers."""

from __future__ import annotations

import re
from collections.abc import Sequence

from reconciler.runtime.peers import Right
from reconciler.runtime.report import COUNTS
from reconciler.runtime.routes import BODY_BYTES_MAX, Json, Route
from reconciler.runtime.webhooks import ID, SIGNATURE, TIMESTAMP

_TEXT: Json = {"type": "string"}
_WHOLE: Json = {"type": "integer"}
_FLAG: Json = {"type": "boolean"}
_MOMENT: Json = {"type": "string", "format": "date-time"}
_NUMBER: Json = {"type": "number"}


def _maybe(schema: Json) -> Json:
    return {"anyOf": [schema, {"type": "null"}]}


def _list(schema: Json) -> Json:
    return {"type": "array", "items": schema}


def _object(**properties: Json) -> Json:
    return {"type": "object", "properties": properties, "required": list(properties)}


def _ref(name: str) -> Json:
    return {"$ref": f"#/components/schemas/{name}"}


_PROGRESS = {
    "part": _TEXT,
    "done": _WHOLE,
    "total": _maybe(_WHOLE),
    "about": {**_FLAG, "description": "The total is what the cycle before came to."},
    "per_second": _maybe(_NUMBER),
    "seconds_left": _maybe(_NUMBER),
}

SCHEMAS: Json = {
    "Problem": {
        "type": "object",
        "properties": {"error": _TEXT, "hint": _TEXT, "problems": _list(_TEXT)},
        "required": ["error", "hint"],
    },
    "Health": _object(ok=_FLAG, problem=_TEXT),
    "OpenAPI": {"type": "object"},
    "Jobs": _object(jobs=_list(_TEXT)),
    "Status": _object(
        daemon=_object(
            version=_TEXT,
            pid=_WHOLE,
            started=_MOMENT,
            now=_MOMENT,
            config=_TEXT,
            config_refused=_list(_TEXT),
            stopping=_FLAG,
        ),
        jobs=_list(_ref("Job")),
    ),
    "Ticket": _object(
        job=_TEXT,
        run={**_WHOLE, "description": "Events and last_run name the cycle by this number."},
        queued={**_FLAG, "description": "Another cycle of the job is running; this one follows it."},
    ),
    "Called": _object(
        job=_TEXT,
        repeated={**_FLAG, "description": "The same message came before: nothing more is done."},
        runs={
            "enum": ["soon", "resting", "not enabled"],
            "description": "soon: after the job's debounce time; resting: it is paused, stopped or in quarantine.",
        },
    ),
    "Restarted": _object(job=_TEXT, cleared=_list(_TEXT), ticket=_maybe(_ref("Ticket"))),
    "Stopping": _object(job=_TEXT, stopping=_FLAG, run=_maybe(_WHOLE)),
    "TakenOut": {
        "type": "object",
        "properties": {
            "dry_run": _FLAG,
            "people": _list(
                _object(job=_TEXT, kind=_TEXT, id=_TEXT, name=_TEXT, target_id=_maybe(_TEXT), outcome=_TEXT, why=_TEXT)
            ),
            "released": _WHOLE,
            "jobs": _list(_TEXT),
            "exit_code": _WHOLE,
        },
    },
    "Provisioned": _object(
        job=_TEXT,
        cycle_id=_TEXT,
        dry_run=_FLAG,
        state=_TEXT,
        exit_code=_WHOLE,
        started_at=_TEXT,
        duration_seconds={"type": "number"},
        beside_cycle=_FLAG,
        requests={"type": "object", "additionalProperties": _WHOLE},
        safeguard=_TEXT,
        problems=_list(_TEXT),
        results=_list(_ref("Subject")),
    ),
    "Subject": _object(
        key=_TEXT,
        value=_TEXT,
        kind=_TEXT,
        id=_TEXT,
        name=_TEXT,
        result=_TEXT,
        error_code=_TEXT,
        steps=_list({"type": "object"}),
        log=_list({"type": "object"}),
    ),
    "Reloaded": _object(changes=_list(_TEXT)),
    "Step": _object(**_PROGRESS),
    "Run": _object(
        run=_WHOLE,
        began=_MOMENT,
        full=_FLAG,
        asked_by=_TEXT,
        occasion=_TEXT,
        stopping=_FLAG,
        steps=_list(_ref("Step")),
        counts={"type": "object", "additionalProperties": _WHOLE},
    ),
    "Report": _object(
        job=_TEXT,
        cycle_id=_TEXT,
        kind={"enum": ["initial", "incremental"]},
        started_at=_MOMENT,
        duration_seconds=_NUMBER,
        state={"enum": ["active", "held", "quarantine", "paused", "incomplete", "unreachable"]},
        read=_object(users=_WHOLE, groups=_WHOLE, complete=_FLAG),
        counts=_object(**dict.fromkeys(COUNTS, _WHOLE)),
        requests={"type": "object", "additionalProperties": _WHOLE},
        failures=_list(_object(id=_TEXT, operation=_TEXT, error_code=_TEXT, reason=_TEXT)),
        problems=_list(_TEXT),
        safeguard=_TEXT,
    ),
    "LastRun": _object(run=_WHOLE, ended=_MOMENT, exit_code=_WHOLE, problem=_TEXT, report=_maybe(_ref("Report"))),
    "Hold": _object(job=_TEXT, hold=_TEXT, safeguard=_TEXT, since=_MOMENT, why=_TEXT, count=_WHOLE),
    "HeldOperation": _object(
        operation=_TEXT, kind=_TEXT, id=_TEXT, name=_TEXT, why=_TEXT, since=_MOMENT, members=_WHOLE
    ),
    "Holds": _object(
        holds=_list(
            {"allOf": [_ref("Hold"), _object(operations=_list(_ref("HeldOperation")))]},
        )
    ),
    "Link": _object(
        row=_WHOLE,
        kind={"enum": ["user", "group"]},
        id=_TEXT,
        name=_TEXT,
        target_id=_TEXT,
        verdict=_TEXT,
        origin=_TEXT,
        disabled=_maybe(_MOMENT),
    ),
    "Links": _object(links=_list(_ref("Link")), more={**_FLAG, "description": "Ask again, after the last row."}),
    "Quarantine": _object(
        reason=_TEXT,
        error_code=_TEXT,
        rule=_TEXT,
        arithmetic=_TEXT,
        began=_MOMENT,
        series_began=_MOMENT,
        series_count=_WHOLE,
        next_attempt=_MOMENT,
        request=_TEXT,
        answer=_TEXT,
        lifted_by_test={**_FLAG, "description": "A connection test at the normal interval shows when it is over."},
        test_passed_at=_maybe(_MOMENT),
        rules={**_TEXT, "description": "The version of the job's rules under which it was last tried."},
        source={**_TEXT, "description": "The name of the source, where it is the source that stands against the job."},
    ),
    "Triggers": _object(
        announced={**_FLAG, "description": "The job runs when its source announces a change."},
        webhook=_FLAG,
        debounce_seconds=_NUMBER,
        heard_since={**_maybe(_MOMENT), "description": "Since when the source is listened to; null: it is not heard."},
        last_announced=_maybe(_MOMENT),
        problem=_TEXT,
        next_try=_maybe(_MOMENT),
    ),
    "Job": _object(
        job=_TEXT,
        source=_TEXT,
        target=_TEXT,
        enabled=_FLAG,
        only=_list(_TEXT),
        interval_seconds=_NUMBER,
        state={"enum": ["running", "paused", "stopped", "quarantine", "held", "waiting", "not enabled"]},
        running=_maybe(_ref("Run")),
        next_due=_maybe(_MOMENT),
        triggers=_ref("Triggers"),
        last_cycle=_maybe({"allOf": [_ref("Report"), _object(ended_at=_MOMENT)]}),
        last_run={**_maybe(_ref("LastRun")), "description": "The last cycle since the daemon was started."},
        last_success=_maybe(_MOMENT),
        last_full=_maybe(_MOMENT),
        watermark_moved=_maybe(_MOMENT),
        paused=_maybe(_object(since=_MOMENT, by=_TEXT, reason=_TEXT)),
        quarantine=_maybe(_ref("Quarantine")),
        stopped=_maybe(_MOMENT),
        holds=_list(_ref("Hold")),
        managed=_WHOLE,
        escrow=_object(count=_WHOLE, since=_maybe(_MOMENT)),
        should_be_off=_object(count=_WHOLE, since=_maybe(_MOMENT)),
        kept=_object(count=_WHOLE, because={"type": "object", "additionalProperties": _WHOLE}),
        deletes_withheld=_FLAG,
        pending_references=_WHOLE,
        mails=_object(waiting=_WHOLE, given_up=_WHOLE, problem=_TEXT),
    ),
}

_SIGNED = {
    ID: "What tells this message from others; one that comes again does nothing.",
    TIMESTAMP: "Now, in seconds since 1970; at most five minutes from the daemon's clock.",
    SIGNATURE: "v1, and the base64 of HMAC-SHA256 with the job's secret over id.timestamp.body; or several.",
}
_REFUSALS = {
    "400": "What was sent cannot be used",
    "401": "The signature is missing, wrong or too old",
    "403": "The user at the other end may not do this",
    "404": "There is no such job, hold, verb or path; the hint is the nearest name",
    "405": "The path answers to another method",
    "408": "The body did not come in time",
    "409": "It cannot be done as things stand",
    "413": "The body is too long",
    "503": "The daemon is starting or ending, or cannot use its state",
}


def openapi(routes: Sequence[Route], version: str) -> Json:
    """Return the description of these routes."""
    paths: dict[str, Json] = {}
    for route in routes:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "reconciler control socket",
            "version": version,
            "description": "HTTP over a Unix socket: curl --unix-socket /run/reconciler/control.sock http://r/v1/status",
        },
        "servers": [{"url": "http://reconciler"}],
        "paths": paths,
        "components": {"schemas": SCHEMAS},
    }


def _operation(route: Route) -> Json:
    operation: Json = {
        "operationId": route.name,
        "summary": route.summary,
        "description": {
            None: "For whoever can open the socket.",
            Right.READ: "For readers and operators.",
            Right.OPERATE: "For operators.",
        }[route.right],
        "responses": {
            str(route.status): {"description": "Done", "content": _content(route)},
            **{
                status: {"description": text, "content": {"application/json": {"schema": _refusal(route, status)}}}
                for status, text in _REFUSALS.items()
                if status != "401" or route.signed
            },
        },
    }
    parameters = [
        {"name": name, "in": "path", "required": True, "schema": _TEXT} for name in re.findall(r"{(\w+)}", route.path)
    ]
    parameters += [
        {"name": name, "in": "query", "required": one.required, "description": one.text, "schema": one.schema()}
        for name, one in route.query.items()
    ]
    if route.signed:
        operation["description"] = "For whoever can open the socket and has the job's secret. The body is not read."
        parameters += [
            {"name": name, "in": "header", "required": True, "description": text, "schema": _TEXT}
            for name, text in _SIGNED.items()
        ]
        anything = {"schema": {"type": "string", "maxLength": BODY_BYTES_MAX}}
        operation["requestBody"] = {"required": False, "content": {"*/*": anything}}
    if parameters:
        operation["parameters"] = parameters
    if route.body:
        fields = {name: {**one.schema(), "description": one.text} for name, one in route.body.items()}
        needed = [name for name, one in route.body.items() if one.required]
        schema = {"type": "object", "properties": fields, "additionalProperties": False, "required": needed}
        operation["requestBody"] = {"required": bool(needed), "content": {"application/json": {"schema": schema}}}
    return operation


def _refusal(route: Route, status: str) -> Json:
    """Return what a refusal looks like; of health, what is wrong is the answer itself."""
    return _ref(route.gives if route.gives == "Health" and status == "503" else "Problem")


def _content(route: Route) -> Json:
    if "/" in route.gives:
        return {route.gives: {"schema": _TEXT}}
    return {"application/json": {"schema": _ref(route.gives)}}
