"""A record of the provisioning log in the shape of Graph's provisioningObjectSummary, to the last field."""

from __future__ import annotations

from typing import Any

import pytest

from reconciler.core.reasons import MEANINGS
from reconciler.core.summary import provisioning_summary

IN_SCOPE = {
    "IsActive": "True",
    "Assigned": "True",
    "IsEffectivelyEntitledForProvisioning": "True",
    "IsInProvisioningScopeDisplayName": "True",
}


def step(type_: str, status: str = "success", description: str = "said", **details: str) -> dict[str, Any]:
    return {"type": type_, "status": status, "description": description, "details": details}


def row(*steps: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "change_id": "c7",
        "at": 1_767_323_045.6789,
        "job": "app",
        "cycle_id": "y1",
        "action": "create",
        "operation": "adopt",
        "took_ms": 12,
        "initiated_by": "",
        "kind": "user",
        "source_id": "ann",
        "name": "ann@example.com",
        "target_id": "t1",
        "source": "file /hr",
        "target": "scim https://app",
        "status": "success",
        "reason": "in scope",
        "error_code": "",
        "steps": steps,
        "modified": [{"path": "title", "old": None, "new": "Lead"}],
        **more,
    }


def test_a_record_to_the_last_field() -> None:
    assert provisioning_summary(row(step("import"))) == {
        "id": "c7",
        "activityDateTime": "2026-01-02T03:04:05.678Z",
        "tenantId": "",
        "jobId": "app",
        "cycleId": "y1",
        "changeId": "c7",
        "provisioningAction": "create",
        "operation": "adopt",
        "durationInMilliseconds": 12,
        "initiatedBy": {"id": "", "displayName": "reconciler", "initiatorType": "system"},
        "servicePrincipal": {"id": "app", "displayName": "app"},
        "sourceIdentity": {"id": "ann", "displayName": "ann@example.com", "identityType": "User", "details": {}},
        "targetIdentity": {"id": "t1", "displayName": "", "identityType": "User", "details": {}},
        "sourceSystem": {"id": "file /hr", "displayName": "file /hr", "details": {}},
        "targetSystem": {"id": "scim https://app", "displayName": "scim https://app", "details": {}},
        "provisioningStatusInfo": {"status": "success", "errorInformation": None},
        "statusReason": "in scope",
        "provisioningSteps": [
            {
                "name": "EntryImport",
                "provisioningStepType": "import",
                "status": "success",
                "description": "said",
                "details": {},
            }
        ],
        "modifiedProperties": [{"displayName": "title", "oldValue": None, "newValue": "Lead"}],
    }


def test_who_asked_for_it_is_named_and_without_an_account_there_is_no_id() -> None:
    summary = provisioning_summary(row(initiated_by="olga", target_id=None, kind="group"))
    assert summary["initiatedBy"] == {"id": "olga", "displayName": "olga", "initiatorType": "user"}
    assert summary["targetIdentity"] == {"id": "", "displayName": "", "identityType": "Group", "details": {}}


def test_a_failure_says_its_code_its_category_and_what_to_do() -> None:
    meaning = MEANINGS["Timeout"]
    summary = provisioning_summary(row(status="failure", error_code="Timeout", reason="no answer"))
    assert summary["provisioningStatusInfo"] == {
        "status": "failure",
        "errorInformation": {
            "errorCode": "Timeout",
            "reason": "no answer",
            "errorCategory": meaning.category,
            "additionalDetails": "docs/reasons/Timeout.md",
            "recommendedAction": meaning.action,
        },
    }


def test_a_code_of_another_version_is_shown_as_it_is() -> None:
    summary = provisioning_summary(row(error_code="BrandNew"))
    assert summary["provisioningStatusInfo"]["errorInformation"] == {
        "errorCode": "BrandNew",
        "reason": "in scope",
        "errorCategory": "unknownFutureValue",
        "additionalDetails": None,
        "recommendedAction": None,
    }


@pytest.mark.parametrize(
    ("type_", "status", "action", "name"),
    [
        ("import", "success", "create", "EntryImport"),
        ("scoping", "success", "create", "EntrySynchronizationScoping"),
        ("scoping", "skipped", "other", "EntrySynchronizationSkip"),
        ("matching", "success", "create", "EntryMatching"),
        ("processing", "failure", "create", "EntryProcessing"),
        ("referenceResolution", "success", "update", "EntryReferenceResolution"),
        ("export", "success", "create", "EntryExportAdd"),
        ("export", "success", "delete", "EntryExportDelete"),
        ("export", "skipped", "disable", "EntryExportUpdate"),
        ("another", "success", "create", "another"),
    ],
)
def test_steps_have_the_names_of_entra(type_: str, status: str, action: str, name: str) -> None:
    (shown,) = provisioning_summary(row(step(type_, status), action=action))["provisioningSteps"]
    assert (shown["name"], shown["provisioningStepType"], shown["status"]) == (name, type_, status)


FILTERED = 'not in scope: filter: department EQUALS "Sales"'
NOT_ENTITLED = {"Assigned": "False", "IsEffectivelyEntitledForProvisioning": "False"}
CLAUSE = {
    "Assigned": "True",
    "IsInProvisioningScopeDisplayName": "False",
    "ScopeEvaluationResult": '{"department EQUALS \\"Sales\\"":false}',
}


@pytest.mark.parametrize(
    ("scoping", "details"),
    [
        (step("scoping"), IN_SCOPE),
        (step("scoping", role="Admin"), {"role": "Admin", **IN_SCOPE}),
        (step("scoping", "failure", role="Admin"), {"role": "Admin"}),
        (step("import", SkipReason="NotActive"), {"SkipReason": "NotActive"}),
        (step("scoping", "skipped", SkipReason="NotActive"), {"SkipReason": "NotActive", "IsActive": "False"}),
        (step("scoping", Cause="inactive"), {"Cause": "inactive", "IsActive": "False"}),
        (step("scoping", Cause="role_lost"), {"Cause": "role_lost", **NOT_ENTITLED}),
        (step("scoping", Cause="out_of_scope"), {"Cause": "out_of_scope", **NOT_ENTITLED}),
        (step("scoping", "skipped", SkipReason="HasNoRole"), {"SkipReason": "HasNoRole", **NOT_ENTITLED}),
        (
            step("scoping", "skipped", FILTERED + "; it has no account", SkipReason="FilteredOut"),
            {"SkipReason": "FilteredOut", **CLAUSE},
        ),
        (step("scoping", "success", FILTERED, Cause="out_of_scope"), {"Cause": "out_of_scope", **CLAUSE}),
        (
            step("scoping", "skipped", "filter: x", SkipReason="NotActive"),
            {"SkipReason": "NotActive", "IsActive": "False"},
        ),
        (
            step("scoping", "skipped", "no group", SkipReason="FilteredOut"),
            {"SkipReason": "FilteredOut", "Assigned": "True", "IsInProvisioningScopeDisplayName": "False"},
        ),
        (step("scoping", "skipped", "why", SkipReason="Gone"), {"SkipReason": "Gone"}),
        (step("scoping", "warning"), {}),
        (step("scoping", Cause="gone"), IN_SCOPE | {"Cause": "gone"}),
    ],
)
def test_the_scope_step_has_the_single_answers(scoping: dict[str, Any], details: dict[str, str]) -> None:
    (shown,) = provisioning_summary(row(scoping))["provisioningSteps"]
    assert shown["details"] == details
