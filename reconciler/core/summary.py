"""The provisioning log in the shape of Graph's provisioningObjectSummary (entra-behaviour 9.6)."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

_STEP_NAMES = {
    "import": "EntryImport",
    "scoping": "EntrySynchronizationScoping",
    "matching": "EntryMatching",
    "processing": "EntryProcessing",
    "referenceResolution": "EntryReferenceResolution",
}
_EXPORTS = {"create": "EntryExportAdd", "delete": "EntryExportDelete"}


def provisioning_summary(row: dict[str, Any]) -> dict[str, Any]:
    """Return one log record as `log --json` prints it."""
    failed = row["status"] == "failure"
    status: dict[str, Any] = {"status": row["status"], "errorInformation": None}
    if row["error_code"]:
        status["errorInformation"] = {
            "errorCode": row["error_code"],
            "reason": row["reason"],
            "errorCategory": "failure" if failed else "nonServiceFailure",
            "additionalDetails": None,
            "recommendedAction": None,
        }
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
                "details": step["details"],
            }
            for step in row["steps"]
        ],
        "modifiedProperties": [
            {"displayName": one["path"], "oldValue": one["old"], "newValue": one["new"]} for one in row["modified"]
        ],
    }


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
