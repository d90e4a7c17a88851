"""What the control socket answers to: each path with what it takes, what it gives, and who may use it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from reconciler.runtime.peers import Right

BODY_BYTES_MAX = 65_536
_NOTHING: Mapping[str, Parameter] = {}
Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Parameter:
    """A field of a body, or of a query."""

    type: Literal["boolean", "string", "integer", "strings"]
    text: str
    choices: tuple[str, ...] = ()
    minimum: int = 0
    maximum: int = 2**53
    required: bool = False

    def schema(self) -> Json:
        if self.type == "strings":
            return {"type": "array", "items": {"type": "string", **self._choices()}, "maxItems": 1000}
        if self.type == "integer":
            return {"type": "integer", "minimum": self.minimum, "maximum": self.maximum}
        return {"type": self.type, **self._choices()}

    def _choices(self) -> Json:
        return {"enum": list(self.choices)} if self.choices else {}


@dataclass(frozen=True, slots=True)
class Route:
    """One thing that can be asked for. `name` is the method that answers, and the operationId."""

    method: Literal["GET", "POST"]
    path: str
    name: str
    summary: str
    gives: str
    """The name of the answer's schema, or its media type where it is a stream of lines."""
    right: Right | None = Right.READ
    """None: whoever can open the socket."""
    body: Mapping[str, Parameter] = field(default_factory=lambda: _NOTHING)
    query: Mapping[str, Parameter] = field(default_factory=lambda: _NOTHING)
    status: int = 200
    signed: bool = False
    """Who may says a signature; the body is taken as it is."""


JOB = "/v1/jobs/{job}"
_FULL = {"full": Parameter("boolean", "Evaluate everybody again and compare with the target.")}
_SCOPES = {
    "scopes": Parameter(
        "strings",
        "What is cleared: watermark, escrows, quarantine, links, force-deletes, or full (all but force-deletes). "
        "Nothing said: watermark, escrows and quarantine.",
    )
}
_PROVISION = {
    "names": Parameter("strings", "Source ids, or names by which matching finds somebody.", required=True),
    "dry_run": Parameter("boolean", "Ask the app, and say what would be done; change nothing."),
}
_DEPROVISION = {
    "user": Parameter("string", "Source id, target id, person, or name.", required=True),
    "dry_run": Parameter("boolean", "Say what would be done; change nothing."),
    "release": Parameter("boolean", "Leave the person to the rules again."),
}
_LOG = {
    "job": Parameter("string", "Of this job only."),
    "user": Parameter("string", "Source id, target id, name, or the beginning of the name."),
    "action": Parameter("string", "create, update, disable, delete, stagedDelete, stagedAction, other."),
    "status": Parameter("string", "How it ended.", choices=("success", "failure", "skipped", "warning")),
    "since": Parameter("string", "A moment (2026-11-21T08:00:00Z)."),
    "limit": Parameter("integer", "Only the newest so many.", minimum=1),
}
_LINKS = {
    "user": Parameter("string", "Source id, target id, name, or the beginning of the name."),
    "after": Parameter("integer", "Only those after this row: the `row` of the last one of the page before."),
    "limit": Parameter("integer", "At most so many (1000).", minimum=1, maximum=1000),
}

ROUTES: tuple[Route, ...] = (
    Route(
        *("GET", "/v1/status", "status", "How the daemon and its jobs stand", "Status"),
        query={"job": Parameter("string", "This job only.")},
    ),
    Route("GET", "/v1/jobs", "jobs", "The names of the jobs", "Jobs"),
    Route("GET", JOB, "job", "How one job stands", "Job"),
    Route(
        *("POST", f"{JOB}/trigger", "trigger", "Run a cycle now; after the running one, where there is one", "Ticket"),
        *(Right.OPERATE, _FULL),
        status=202,
    ),
    Route(
        *("POST", f"{JOB}/webhook", "webhook", "Say that something changed, signed with the job's secret", "Called"),
        right=None,
        status=202,
        signed=True,
    ),
    Route(
        *("POST", f"{JOB}/pause", "pause", "Start no further cycle of the job; a running one ends by itself", "Job"),
        *(Right.OPERATE, {"reason": Parameter("string", "Why, for those who look at it later.")}),
    ),
    Route("POST", f"{JOB}/resume", "resume", "Let a paused or stopped job go on", "Job", Right.OPERATE),
    Route(
        *("POST", f"{JOB}/restart", "restart", "Stop a running cycle, clear what is named, begin anew", "Restarted"),
        *(Right.OPERATE, _SCOPES),
        status=202,
    ),
    Route(
        *("POST", f"{JOB}/provision", "provision", "Provision users, or groups with their members, now", "Provisioned"),
        *(Right.OPERATE, _PROVISION),
    ),
    Route("POST", f"{JOB}/stop", "stop", "End the running cycle now, between two requests", "Stopping", Right.OPERATE),
    Route("GET", "/v1/holds", "holds", "What safeguards hold back", "Holds"),
    Route("GET", f"{JOB}/holds", "holds_of", "What safeguards hold back of one job", "Holds"),
    Route("POST", f"{JOB}/holds/approve", "approve_all", "Allow all that is held of a job", "Holds", Right.OPERATE),
    Route("POST", f"{JOB}/holds/reject", "reject_all", "Refuse all that is held of a job", "Holds", Right.OPERATE),
    Route("POST", f"{JOB}/holds/{{hold}}/approve", "approve", "Allow what a hold lists", "Holds", Right.OPERATE),
    Route("POST", f"{JOB}/holds/{{hold}}/reject", "reject", "Refuse what a hold lists", "Holds", Right.OPERATE),
    Route("GET", f"{JOB}/links", "links", "Who is linked to which account, a page", "Links", query=_LINKS),
    Route("GET", "/v1/log", "log", "The provisioning log, oldest first", "application/jsonl", query=_LOG),
    Route(
        *("GET", "/v1/events", "watch", "What happens from now on, as server-sent events", "text/event-stream"),
        query={"job": Parameter("string", "Of this job, and of no job.")},
    ),
    Route(
        *("POST", "/v1/deprovision", "deprovision", "Take one person out of every job, or let her back", "TakenOut"),
        *(Right.OPERATE, _DEPROVISION),
    ),
    Route("POST", "/v1/reload", "reload", "Read the configuration again", "Reloaded", Right.OPERATE),
    Route("GET", "/v1/openapi.json", "openapi", "This description", "OpenAPI", None),
    Route("GET", "/metrics", "metrics", "What was done and how the jobs stand, for Prometheus", "text/plain", None),
    Route("GET", "/healthz", "alive", "Whether the daemon answers", "Health", None),
    Route("GET", "/readyz", "ready", "Whether the daemon runs its jobs and can use its state", "Health", None),
)
