"""What is asked of Microsoft Graph about entries, and what rows and links of its documentation mean."""

from __future__ import annotations

from typing import Any

import pytest

from reconciler.dialects import graph_reading

ROOT = "https://graph.microsoft.com/v1.0"
# Rows as the pages about delta query for users and groups show them.
REMOVED = {"id": "1", "@removed": {"reason": "changed"}}
GROUP = {
    "displayName": "LargeGroup",
    "id": "2e5807ce-58f3-4a94-9b37-ffff2e085957",
    "members@delta": [
        {
            "@odata.type": "#microsoft.graph.user",
            "id": "632f6bb2-3ec8-4c1f-9073-0027a8c6859",
            "@removed": {"reason": "deleted"},
        },
        {"@odata.type": "#microsoft.graph.user", "id": "37de1ae3-408f-4702-8636-20824abda004"},
    ],
}


def test_names_of_entras_own_mappings_are_understood() -> None:
    names = {"objectId", "mobile", "telephoneNumber", "extensionAttribute15", "physicalDeliveryOfficeName", "role"}
    how = graph_reading.reading("user", names | {"employeeOrgData.costCenter", "IsSoftDeleted", "manager"})
    assert how.first == (
        "/users/delta?$select=businessPhones,displayName,employeeOrgData,mail,manager,mobilePhone,officeLocation,"
        "onPremisesExtensionAttributes,userPrincipalName"
    )
    assert "manager" not in how.one.partition("&")[0] and how.one.endswith("&$expand=manager($select=id)")
    row = {
        "id": "1",
        "mobilePhone": "2",
        "businessPhones": ["3", "4"],
        "officeLocation": "Malmö",
        "onPremisesExtensionAttributes": {"extensionAttribute15": "x"},
        "employeeOrgData": {"costCenter": "77"},
        "manager": {"@odata.type": "#microsoft.graph.user", "id": "9"},
    }
    values = how.attributes(row)
    assert [values[name] for name in sorted(names - {"role"})] == ["x", "2", "1", "Malmö", "3"]
    assert (values["employeeOrgData.costCenter"], values["manager"], values["mail"]) == ("77", "9", None)
    assert how.attributes({"businessPhones": [], "employeeOrgData": None})["telephoneNumber"] is None


def test_what_cannot_be_a_property_is_not_asked_for() -> None:
    how = graph_reading.reading("user", {"cost centre", "a,b", "mail&$expand=x", "jobTitle"})
    assert how.unusable == ("a,b", "cost centre", "mail&$expand=x")
    assert how.first.endswith("=displayName,jobTitle,mail,userPrincipalName")


GUESTS = [
    ("ann@example.com", "ann@example.com"),
    ("ann_partner.example#EXT#@tenant.onmicrosoft.com", "ann@partner.example"),
    ("ann_o_neill_partner.example#EXT#@tenant.onmicrosoft.com", "ann_o_neill@partner.example"),
    ("odd#EXT#@tenant.onmicrosoft.com", "odd#EXT#@tenant.onmicrosoft.com"),
    (None, None),
]


@pytest.mark.parametrize(("name", "at_home"), GUESTS)
def test_a_guest_is_called_as_at_home(name: str | None, at_home: str | None) -> None:
    values = graph_reading.reading("user", {"originalUserPrincipalName"}).attributes({"userPrincipalName": name})
    assert (values["userPrincipalName"], values["originalUserPrincipalName"]) == (at_home, name)


def link(manager: str, *, gone: bool = False) -> dict[str, Any]:
    one: dict[str, Any] = {"@odata.type": "#microsoft.graph.user", "id": manager}
    return {"id": "1", "manager@delta": [{**one, "@removed": {"reason": "deleted"}} if gone else one]}


MERGED: list[tuple[list[dict[str, Any]], dict[str, Any]]] = [
    ([{"id": "1", "mail": "a", "@odata.type": "x"}, link("2")], {"id": "1", "mail": "a", "manager": "2"}),
    ([link("2"), {"id": "1", "mail": "a"}, {"id": "1", "mail": None}], {"id": "1", "mail": None, "manager": "2"}),
    ([link("2"), link("2", gone=True), link("3")], {"id": "1", "manager": "3"}),
    ([link("3"), link("2", gone=True)], {"id": "1", "manager": "3"}),
    ([link("2"), link("2", gone=True)], {"id": "1", "manager": None}),
]


@pytest.mark.parametrize(("rows", "whole"), MERGED)
def test_what_a_round_says_of_one_user_in_several_rows_is_one(
    rows: list[dict[str, Any]], whole: dict[str, Any]
) -> None:
    assert graph_reading.merged(rows) == whole


def test_removals_are_told_from_changes() -> None:
    assert graph_reading.removed(REMOVED) == "changed"
    assert graph_reading.removed({**REMOVED, "@removed": {"reason": "deleted"}}) == "deleted"
    assert graph_reading.removed({**REMOVED, "@removed": {}}) == "changed"
    assert graph_reading.removed(GROUP) is None
    assert [came for _, came in graph_reading.members(GROUP)] == [False, True]
    assert graph_reading.members({"id": "1", "members@delta": "?"}) == []


ANSWERS = [
    (410, b"", True),
    (400, b'{"error":{"code":"syncStateNotFound"}}', True),
    (404, b'{"error":{"code":"SyncStateNotFound"}}', True),
    (409, b'{"error":{"code":"resyncRequired"}}', True),
    (400, b'{"error":{"code":"BadRequest"}}', False),
    (400, b"<html>", False),
    (503, b'{"error":{"code":"syncStateNotFound"}}', False),
]


@pytest.mark.parametrize(("status", "body", "over"), ANSWERS)
def test_what_is_too_old_is_told_from_what_is_wrong(status: int, body: bytes, over: bool) -> None:
    assert graph_reading.starts_over(status, body) is over


LINKS = [
    (f"{ROOT}/users/delta?$skiptoken=x", "/users/delta?$skiptoken=x"),
    ("https://graph.microsoft.com.evil.example/v1.0/users", None),
    ("https://graph.microsoft.com/beta/users/delta", None),
    ("http://graph.microsoft.com/v1.0/users", None),
    ("https://user@graph.microsoft.com/v1.0/users", None),
    (f"{ROOT}.evil.example/users", None),
    (7, None),
]


@pytest.mark.parametrize(("address", "path"), LINKS)
def test_a_link_leads_to_the_same_graph_or_nowhere(address: Any, path: str | None) -> None:
    assert graph_reading.path_of(address, ROOT) == path
