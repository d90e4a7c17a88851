"""The provisioning log in the shape of Graph's provisioningObjectSummary (docs/provisioning-log.md)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import orjson

from reconciler.core.reasons import MEANINGS

_STEP_NAMES = {
    "import": "EntryImport",
    "scoping": "EntrySynchronizationScoping",
    "matching": "EntryMatching",
    "processing": "EntryProcessing",
    "referenceResolution": "EntryReferenceResolution",
}
_IN_SCOPE = {
    "IsActive": "True",
    "Assigned": "True",
    "IsEffectivelyEntitledForProvisioning": "True",
    "IsInProvisioningScopeDisplayName": "True",
}
_STANDS: Mapping[str, Mapping[str, str]] = {
    "NotActive": {"IsActive": "False"},
    "NotEffectivelyEntitled": {"Assigned": "False", "IsEffectivelyEntitledForProvisioning": "False"},
    "HasNoRole": {"Assigned": "False", "IsEffectivelyEntitledForProvisioning": "False"},
    "FilteredOut": {"Assigned": "True", "IsInProvisioningScopeDisplayName": "False"},
}
"""What a reason says of the scope's rules (docs/provisioning-log.md); what was not looked at is left out."""
_REASONS = {"inactive": "NotActive", "role_lost": "HasNoRole", "out_of_scope": "NotEffectivelyEntitled"}
_EXPORTS = {"create": "EntryExportAdd", "delete": "EntryExportDelete"}


def provisioning_summary(row: dict[str, Any]) -> dict[str, Any]:
    """Return one log record as `log --json` prints it."""
    status = {"status": row["status"], "errorInformation": _information(row)}
    identity_type = row["kind"].capitalize()
    moment = datetime.fromtimestamp(row["at"], UTC).isoformat(timespec="milliseconds")
    return {
        "id": row["change_id"],
        "activityDateTime": moment.replace("+00:00", "Z"),
        "tenantId": "",
        "jobId": row["job"],
        "cycleId": row["cycle_id"],
        "changeId": row["change_id"],
        "provisioningAction": row["action"],
        "operation": row["operation"],
        "durationInMilliseconds": row["took_ms"],
        "initiatedBy": _initiator(row["initiated_by"]),
        "servicePrincipal": {"id": row["job"], "displayName": row["job"]},
        "sourceIdentity": _identity(row["source_id"], row["name"], identity_type),
        "targetIdentity": _identity(row["target_id"] or "", "", identity_type),
        "sourceSystem": _system(row["source"]),
        "targetSystem": _system(row["target"]),
        "provisioningStatusInfo": status,
        "statusReason": row["reason"],
        "provisioningSteps": [
            {
                "name": _step_name(step, row["action"]),
                "provisioningStepType": step["type"],
                "status": step["status"],
                "description": step["description"],
                "details": _details(step),
            }
            for step in row["steps"]
        ],
        "modifiedProperties": [
            {"displayName": one["path"], "oldValue": one["old"], "newValue": one["new"]} for one in row["modified"]
        ],
    }


def _information(row: dict[str, Any]) -> dict[str, Any] | None:
    code = row["error_code"]
    if not code:
        return None
    meaning = MEANINGS.get(code)
    return {
        "errorCode": code,
        "reason": row["reason"],
        "errorCategory": meaning.category if meaning is not None else "unknownFutureValue",
        "additionalDetails": f"docs/reasons/{code}.md" if meaning is not None else None,
        "recommendedAction": meaning.action if meaning is not None else None,
    }


def _details(step: dict[str, Any]) -> dict[str, Any]:
    """Return a step's details; of the scope also the single answers, as far as the verdict tells them."""
    details: dict[str, Any] = step["details"]
    if step["type"] != "scoping" or step["status"] == "failure":
        return details
    reason = details.get("SkipReason") or _REASONS.get(details.get("Cause", ""), "")
    if not reason and step["status"] == "success":
        return {**details, **_IN_SCOPE}
    if reason in ("NotEffectivelyEntitled", "FilteredOut") and "filter: " in step["description"]:
        _, _, clause = step["description"].removesuffix("; it has no account").partition("filter: ")
        return {**details, **_STANDS["FilteredOut"], "ScopeEvaluationResult": orjson.dumps({clause: False}).decode()}
    return {**details, **_STANDS.get(reason, {})}


def _initiator(by: str) -> dict[str, Any]:
    if by:
        return {"id": by, "displayName": by, "initiatorType": "user"}
    return {"id": "", "displayName": "reconciler", "initiatorType": "system"}


def _identity(id_: str, name: str, type_: str) -> dict[str, Any]:
    return {"id": id_, "displayName": name, "identityType": type_, "details": {}}


def _system(place: str) -> dict[str, Any]:
    return {"id": place, "displayName": place, "details": {}}


def _step_name(step: dict[str, Any], action: str) -> str:
    if step["type"] == "export":
        return _EXPORTS.get(action, "EntryExportUpdate")
    if step["status"] == "skipped":
        return "EntrySynchronizationSkip"
    return _STEP_NAMES.get(step["type"], str(step["type"]))
