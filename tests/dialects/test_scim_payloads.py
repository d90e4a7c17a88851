"""SCIM payloads, judged by scim2-models: bodies that parse, patches that lead where they should."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scim2_models import Context, EnterpriseUser, Group, NoTargetException, PatchOp, ScimFilter, User

from reconciler.core import diffing, paths
from reconciler.core.model import Change, Kind, TargetId
from reconciler.core.profile import PatchDialect, Profile, TargetAttribute, ValueType
from reconciler.dialects import scim, scim_shown

OracleUser = User[EnterpriseUser]
ENTERPRISE = paths.ENTERPRISE_SCHEMA
MANAGER = f"{ENTERPRISE}:manager"
COST_CENTER = f"{ENTERPRISE}:costCenter"
WSOS = "urn:ietf:params:scim:schemas:extension:wsos:2.0:User"
WORK_EMAIL = 'emails[type eq "work"].value'
HOME_EMAIL = 'emails[type eq "home"].value'
STREET = 'addresses[type eq "work"].streetAddress'
CITY = 'addresses[type eq "work"].locality'
ROLE = "roles[primary eq true].value"


def profile(patch: PatchDialect = PatchDialect.RFC) -> Profile:
    known = (
        TargetAttribute("active", ValueType.BOOLEAN),
        TargetAttribute(MANAGER, ValueType.REFERENCE, references="user"),
        TargetAttribute("entitlements", ValueType.COMPLEX, multivalued=True),
        TargetAttribute("owners", ValueType.REFERENCE, multivalued=True, references="user"),
    )
    members = TargetAttribute("members", ValueType.REFERENCE, multivalued=True, references="user")
    return Profile("example", {a.path: a for a in known}, {"members": members}, patch=patch)


RFC, ENTRA, PUT = profile(), profile(PatchDialect.ENTRA), profile(PatchDialect.PUT)

ANN: dict[str, Any] = {
    "userName": "ann@example.com",
    "externalId": "s-1",
    "active": True,
    "name.givenName": "Ann",
    WORK_EMAIL: "ann@example.com",
    STREET: "Storgata 1",
    CITY: "Oslo",
    ROLE: "admin",
    "entitlements": [{"value": "vpn"}, {"value": "crm", "display": "CRM"}],
    MANAGER: "42",
    COST_CENTER: "C1",
}


def operations(
    *changes: Change, agreed: dict[str, Any] | None = None, of: Profile = RFC, whole_element: bool = False
) -> Any:
    body = scim.patch_body("user", changes, of, agreed or {}, whole_element=whole_element)
    assert body["schemas"] == ["urn:ietf:params:scim:api:messages:2.0:PatchOp"]
    return body["Operations"]


def judged(body: dict[str, Any], context: Context) -> User[EnterpriseUser]:
    """Parse strictly. The model demands a manager's `$ref`, which RFC 7643 §4.3 but recommends: it is lent one."""
    lent = copy.deepcopy(body)
    if "manager" in lent.get(ENTERPRISE, {}):
        lent[ENTERPRISE]["manager"]["$ref"] = "../Users/42"
    return OracleUser.model_validate(lent, scim_ctx=context)


# --- create ------------------------------------------------------------------------------------------------------


def test_a_create_body_is_nested_and_names_the_schemas_it_uses() -> None:
    body = scim.create_body("user", ANN, RFC)
    assert body == {
        "schemas": [paths.USER_SCHEMA, ENTERPRISE],
        "userName": "ann@example.com",
        "externalId": "s-1",
        "active": True,
        "name": {"givenName": "Ann"},
        "emails": [{"type": "work", "value": "ann@example.com"}],
        "addresses": [{"type": "work", "streetAddress": "Storgata 1", "locality": "Oslo"}],
        "roles": [{"primary": True, "value": "admin"}],
        "entitlements": [{"value": "vpn"}, {"value": "crm", "display": "CRM"}],
        ENTERPRISE: {"manager": {"value": "42"}, "costCenter": "C1"},
    }
    parsed = judged(body, Context.RESOURCE_CREATION_REQUEST)
    assert parsed.user_name == "ann@example.com"
    enterprise = parsed[EnterpriseUser]
    assert enterprise is not None and enterprise.manager is not None
    assert enterprise.manager.value == "42"


def test_a_create_body_holds_no_nulls_and_no_empty_values() -> None:
    body = scim.create_body(
        "user", {"userName": "ann", "title": None, "nickName": "", "emails": [], COST_CENTER: None}, RFC
    )
    assert body == {"schemas": [paths.USER_SCHEMA], "userName": "ann"}


def test_a_group_is_created_without_its_members() -> None:
    body = scim.create_body("group", {"displayName": "Sales", "members": ["1", "2"], "externalId": "g-1"}, RFC)
    assert body == {"schemas": [paths.GROUP_SCHEMA], "displayName": "Sales", "externalId": "g-1"}
    assert Group.model_validate(body, scim_ctx=Context.RESOURCE_CREATION_REQUEST).display_name == "Sales"


def test_a_custom_extension_is_named_in_schemas_by_the_rfc_and_not_in_the_entra_form() -> None:
    resource = {"userName": "ann", f"{WSOS}:name.familyNamePhonetic": "ベルグ", COST_CENTER: "C1"}
    assert scim.create_body("user", resource, RFC)["schemas"] == [paths.USER_SCHEMA, WSOS, ENTERPRISE]
    entra = scim.create_body("user", resource, ENTRA)
    assert entra["schemas"] == [paths.USER_SCHEMA, ENTERPRISE]
    assert entra[WSOS] == {"name": {"familyNamePhonetic": "ベルグ"}}


def test_a_whole_list_and_an_element_of_it_stand_together_whatever_their_order() -> None:
    element, whole = (WORK_EMAIL, "w@example.com"), ("emails", [{"type": "home", "value": "h@example.com"}])
    emails = [{"type": "home", "value": "h@example.com"}, {"type": "work", "value": "w@example.com"}]
    assert scim.create_body("user", dict([element, whole]), RFC)["emails"] == emails
    assert scim.create_body("user", dict([whole, element]), RFC)["emails"] == emails


@given(
    st.permutations([*(path for path in ANN if path != "entitlements"), HOME_EMAIL, "title", f"{WSOS}:badge"]),
    st.integers(0, 13),
    st.lists(st.one_of(st.text(), st.booleans(), st.integers(), st.none()), min_size=13, max_size=13),
    st.sampled_from([RFC, ENTRA]),
)
def test_bodies_of_many_are_those_of_each(
    order: Sequence[str], n_mapped: int, values: Sequence[Any], of: Profile
) -> None:
    write = scim.BodyWriter("user", of)
    for each in (values, values[::-1]):
        resource = dict(zip(order[:n_mapped], each, strict=False))
        body, is_plain = write(resource)
        assert body == scim.create_body("user", resource, of)
        if is_plain:
            by = scim_shown.readers("user", resource, profile_of_texts(of))
            _, read = scim_shown.extract({**body, "id": "1"}, by)
            assert read == resource


def profile_of_texts(of: Profile) -> Profile:
    return Profile("example", {MANAGER: of.user_attributes[MANAGER]}, {}, patch=of.patch)


@pytest.mark.parametrize(
    "paths_written",
    [
        ('emails[type eq "work"].type', WORK_EMAIL),  # writes what the other one's filter looks at
        ("title", "Title"),  # the same attribute
    ],
)
def test_where_a_value_decides_on_the_form_each_body_is_made_on_its_own(paths_written: tuple[str, str]) -> None:
    write = scim.BodyWriter("user", RFC)
    for values in (("work", "x@example.com"), ("home", "y@example.com")):
        resource = dict(zip(paths_written, values, strict=True))
        assert write(resource) == (scim.create_body("user", resource, RFC), False)


def test_an_answer_that_shows_what_was_sent_is_the_account_with_what_it_shows_beyond() -> None:
    sent = {"userName": "ann", "name.givenName": "Ann"}
    by = scim_shown.readers("user", [*sent, "title"], RFC)
    body, is_plain = scim.BodyWriter("user", RFC)(sent)
    answer = {**body, "id": 7, "title": "Engineer", "meta": {"resourceType": "User"}}
    assert is_plain and scim_shown.shows(answer, body)
    assert scim_shown.account_made(answer, sent, by) == (TargetId("7"), {**sent, "title": "Engineer"})
    assert sent == {"userName": "ann", "name.givenName": "Ann"}
    assert not scim_shown.shows({**answer, "userName": "Ann"}, body)
    assert scim_shown.account_made(body, sent, by) is None


def test_many_references_are_written_as_values() -> None:
    assert scim.create_body("user", {"owners": ["1", "2"]}, RFC)["owners"] == [{"value": "1"}, {"value": "2"}]


# --- patch by the RFC --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "operation"),
    [
        (Change("title", None, "Boss"), {"op": "add", "path": "title", "value": "Boss"}),
        (Change("title", "Dev", "Boss"), {"op": "replace", "path": "title", "value": "Boss"}),
        (Change("title", "Dev", None), {"op": "remove", "path": "title"}),
        (Change("active", True, False), {"op": "replace", "path": "active", "value": False}),
        (
            Change(WORK_EMAIL, "a@example.com", "b@example.com"),
            {"op": "replace", "path": WORK_EMAIL, "value": "b@example.com"},
        ),
        (Change(MANAGER, "1", "2"), {"op": "replace", "path": MANAGER, "value": {"value": "2"}}),
        (Change(f"{MANAGER}.value", None, "2"), {"op": "add", "path": f"{MANAGER}.value", "value": "2"}),
        (Change("owners", None, ["1"]), {"op": "add", "path": "owners", "value": [{"value": "1"}]}),
        (
            Change("entitlements", [{"value": "a"}], [{"value": "a"}, {"value": "b"}]),
            {"op": "add", "path": "entitlements", "value": [{"value": "b"}]},
        ),
        (
            Change("entitlements", [{"value": "a"}, {"value": "b"}], [{"value": "b"}]),
            {"op": "replace", "path": "entitlements", "value": [{"value": "b"}]},
        ),
        (Change("entitlements", [{"value": "a"}], None), {"op": "remove", "path": "entitlements"}),
    ],
)
def test_one_change_is_one_operation(change: Change, operation: dict[str, Any]) -> None:
    assert operations(change, agreed={change.path: change.old}) == [operation]


def test_removing_the_value_of_an_element_removes_the_element_and_nothing_that_is_not_ours() -> None:
    assert operations(Change(WORK_EMAIL, "a@example.com", None), agreed={WORK_EMAIL: "a@example.com"}) == [
        {"op": "remove", "path": 'emails[type eq "work"]'}
    ]
    display = 'emails[type eq "work"].display'
    assert operations(Change(WORK_EMAIL, "a@b.org", None), agreed={WORK_EMAIL: "a@b.org", display: "Ann"}) == [
        {"op": "remove", "path": WORK_EMAIL}
    ]
    assert operations(Change(CITY, "Oslo", None), agreed={CITY: "Oslo"}) == [{"op": "remove", "path": CITY}]


def test_after_no_target_an_unknown_element_is_added_whole_and_a_known_one_is_not() -> None:
    changes = (
        Change(CITY, None, "Oslo"),
        Change(STREET, None, "Storgata 1"),
        Change(WORK_EMAIL, "a@example.com", "b@example.com"),
        Change("title", None, "Boss"),
    )
    assert operations(*changes, agreed={WORK_EMAIL: "a@example.com"}, whole_element=True) == [
        {
            "op": "add",
            "path": "addresses",
            "value": [{"type": "work", "locality": "Oslo", "streetAddress": "Storgata 1"}],
        },
        {"op": "replace", "path": WORK_EMAIL, "value": "b@example.com"},
        {"op": "add", "path": "title", "value": "Boss"},
    ]


def test_after_no_target_for_an_element_we_thought_to_know_it_is_added_with_all_we_know() -> None:
    agreed = {CITY: "Oslo", STREET: "Storgata 1"}
    assert operations(Change(CITY, "Oslo", "Bergen"), agreed=agreed, whole_element=True) == [
        {
            "op": "add",
            "path": "addresses",
            "value": [{"type": "work", "locality": "Bergen", "streetAddress": "Storgata 1"}],
        }
    ]


def test_after_no_target_there_is_nothing_to_remove() -> None:
    assert operations(Change(CITY, "Oslo", None), agreed={CITY: "Oslo"}, whole_element=True) == []


def test_an_element_of_an_extension_is_added_below_its_urn() -> None:
    change = Change(f'{WSOS}:phones[type eq "desk"].value', None, "1")
    assert operations(change, whole_element=True) == [
        {"op": "add", "path": f"{WSOS}:phones", "value": [{"type": "desk", "value": "1"}]}
    ]


# --- patch in the Entra legacy form ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "operation"),
    [
        (Change("title", None, "Boss"), {"op": "Add", "path": "title", "value": "Boss"}),
        (Change("title", "Dev", "Boss"), {"op": "Replace", "path": "title", "value": "Boss"}),
        (Change("title", "Dev", None), {"op": "Remove", "path": "title"}),
        (Change("active", True, False), {"op": "Replace", "path": "active", "value": "False"}),
        (Change("active", False, True), {"op": "Replace", "path": "active", "value": "True"}),
        (Change(MANAGER, None, "2"), {"op": "Add", "path": MANAGER, "value": [{"value": "2"}]}),
        (Change(WORK_EMAIL, "a@b.org", None), {"op": "Remove", "path": WORK_EMAIL}),
    ],
)
def test_the_entra_legacy_form_of_a_change(change: Change, operation: dict[str, Any]) -> None:
    assert operations(change, of=ENTRA) == [operation]


# --- put ---------------------------------------------------------------------------------------------------------


def test_a_put_gives_back_what_the_target_showed_with_the_changes_made() -> None:
    found = {
        "schemas": [paths.USER_SCHEMA],
        "id": "7",
        "meta": {"resourceType": "User"},
        "UserName": "ann",
        "locale": "no",
        "emails": [
            {"Type": "Work", "value": "a@example.com", "primary": True},
            {"type": "home", "value": "h@example.com"},
        ],
        "title": "Dev",
        "name": {"givenName": "Ann"},
    }
    before = copy.deepcopy(found)
    changes = (
        Change(COST_CENTER, None, "C2"),
        Change(WORK_EMAIL, "a@example.com", "b@example.com"),
        Change(HOME_EMAIL, "h@example.com", None),
        Change("name.givenName", "Ann", None),
        Change("title", "Dev", None),
        Change("userName", "ann", "anna"),
    )
    assert scim.put_body("user", found, changes, PUT) == {
        "schemas": [paths.USER_SCHEMA, ENTERPRISE],
        "id": "7",
        "UserName": "anna",
        "locale": "no",
        "emails": [{"Type": "Work", "value": "b@example.com", "primary": True}],
        ENTERPRISE: {"costCenter": "C2"},
    }
    assert found == before


def test_a_put_that_takes_the_last_value_of_an_extension_takes_the_extension() -> None:
    found = {"schemas": [paths.USER_SCHEMA], ENTERPRISE: {"manager": {"value": "1"}}}
    assert scim.put_body("user", found, (Change(MANAGER, "1", None),), PUT) == {"schemas": [paths.USER_SCHEMA]}


# --- members -----------------------------------------------------------------------------------------------------

ONE, TWO = TargetId("1"), TargetId('2"x')


def test_members_are_added_in_one_operation_and_removed_one_by_one() -> None:
    body = scim.members_body(RFC, add=[ONE, TWO, ONE], remove=[TWO])
    assert body["Operations"] == [
        {"op": "add", "path": "members", "value": [{"value": "1"}, {"value": '2"x'}]},
        {"op": "remove", "path": 'members[value eq "2\\"x"]'},
    ]
    PatchOp[Group].model_validate(body, scim_ctx=Context.RESOURCE_PATCH_REQUEST)


def test_members_leave_in_a_list_where_the_target_wants_it_so() -> None:
    listed = {"path": "members", "value": [{"value": "1"}, {"value": '2"x'}]}
    assert scim.members_body(RFC, remove=[ONE, TWO], form="list")["Operations"] == [{"op": "remove", **listed}]
    assert scim.members_body(ENTRA, remove=[ONE, TWO])["Operations"] == [{"op": "Remove", **listed}]
    assert scim.members_body(ENTRA, add=[ONE, TWO])["Operations"] == [{"op": "Add", **listed}]
    assert scim.members_body(ENTRA, remove=[ONE], form="filter")["Operations"] == [
        {"op": "Remove", "path": 'members[value eq "1"]'}
    ]


def test_removing_members_by_the_rfc_removes_these_and_no_other() -> None:
    members = [{"value": identifier} for identifier in ("1", '2"x', "3")]
    group = Group.model_validate({"displayName": "Sales", "members": members})
    body = scim.members_body(RFC, remove=[TWO], add=[TargetId("4")])
    PatchOp[Group].model_validate(body, scim_ctx=Context.RESOURCE_PATCH_REQUEST).patch(group)
    assert {member.value for member in group.members or ()} == {"1", "3", "4"}


def test_a_put_of_members_keeps_what_the_target_knows_of_the_others() -> None:
    shown = {"id": "g", "meta": {}, "Members": [{"value": "1", "display": "Ann"}, {"value": 5}], "displayName": "Sales"}
    assert scim.put_members_body(shown, add=[ONE, TWO], remove=[TargetId("5")]) == {
        "id": "g",
        "displayName": "Sales",
        "members": [{"value": "1", "display": "Ann"}, {"value": '2"x'}],
    }


@pytest.mark.parametrize(
    ("shown", "ids"),
    [
        ({"members": [{"value": "1"}, {"value": 2}, {"display": "?"}, {"value": "1"}, "3"]}, {"1", "2", "3"}),
        ({"Members": [{"Value": "1"}]}, {"1"}),
        ({"members": None}, set()),
        ({}, set()),
        ([], set()),
    ],
)
def test_members_are_a_set_of_ids_however_the_target_shows_them(shown: Any, ids: set[str]) -> None:
    assert scim_shown.member_ids(shown) == ids


# --- filters -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "value", "query"),
    [
        ("userName", 'O"Brien\\', 'userName eq "O\\"Brien\\\\"'),
        ("name.familyName", "Øst", 'name.familyName eq "Øst"'),
        (f"{ENTERPRISE}:employeeNumber", "7", f'{ENTERPRISE}:employeeNumber eq "7"'),
        (WORK_EMAIL, "a@b.org", 'emails[type eq "work" and value eq "a@b.org"]'),
        ("userName", "line\nbreak", 'userName eq "line\\nbreak"'),
    ],
)
def test_a_filter_asks_for_the_value_as_a_json_string(path: str, value: str, query: str) -> None:
    assert scim.filter_query(path, value) == query
    ScimFilter[OracleUser](query)


def test_the_entra_form_asks_below_the_element() -> None:
    query = scim.filter_query(WORK_EMAIL, "a@b.org", dialect=PatchDialect.ENTRA)
    assert query == 'emails[type eq "work"].value eq "a@b.org"'


@given(st.text(st.characters(codec="utf-8"), min_size=1, max_size=20))
def test_a_filter_finds_exactly_the_value_whatever_is_in_it(value: str) -> None:
    user = OracleUser(user_name="somebody else", nick_name=value)
    assert ScimFilter[OracleUser](scim.filter_query("nickName", value)).match(user)
    assert not ScimFilter[OracleUser](scim.filter_query("nickName", value + "x")).match(user)


# --- reading -----------------------------------------------------------------------------------------------------


def extracted(shown: Any, *mapped: str, kind: Kind = "user") -> tuple[TargetId | None, dict[str, Any]]:
    return scim_shown.extract(shown, scim_shown.readers(kind, mapped, RFC))


def test_what_was_created_is_extracted_as_it_was_meant() -> None:
    shown = {**scim.create_body("user", ANN, RFC), "id": "7", "meta": {"location": "x"}, "displayName": "not mapped"}
    assert extracted(shown, *ANN, "title") == ("7", ANN)


@pytest.mark.parametrize(
    ("shown", "said"), [(False, False), ("False", False), ("true", True), (1, True), ("odd", "odd")]
)
def test_active_is_a_boolean_however_the_target_shows_it(shown: object, said: object) -> None:
    _, resource = extracted({"id": "7", "active": shown}, "active")
    assert resource["active"] is said or resource["active"] == said == "odd"


def test_references_are_extracted_as_ids() -> None:
    shown = {"id": "7", ENTERPRISE: {"manager": "42"}, "owners": [{"value": "1", "$ref": "…"}, "2"]}
    assert extracted(shown, MANAGER, "owners")[1] == {MANAGER: "42", "owners": ["1", "2"]}
    assert extracted({"id": "7", "owners": []}, MANAGER, "owners")[1] == {}


@pytest.mark.parametrize(
    ("shown", "identifier"),
    [
        ({"id": "7"}, "7"),
        ({"id": 7}, "7"),
        ({"id": ""}, None),
        ({}, None),
        ({"id": True}, None),
        ([], None),
        (None, None),
    ],
)
def test_an_id_is_a_text_or_not_there(shown: Any, identifier: str | None) -> None:
    assert extracted(shown, "userName")[0] == identifier


# --- the oracle --------------------------------------------------------------------------------------------------

words = st.text("abcÅø \"\\'[]", min_size=1, max_size=6).map(str.strip).filter(bool)
emails = st.from_regex(r"[a-z]{1,5}@[a-z]{1,5}\.org", fullmatch=True)
entitlements = st.lists(words, min_size=1, max_size=3, unique_by=str.casefold).map(
    lambda ws: [{"value": w} for w in ws]
)
optional_values = {
    "title": words,
    "active": st.booleans(),
    "name.givenName": words,
    "name.familyName": words,
    WORK_EMAIL: emails,
    HOME_EMAIL: emails,
    STREET: words,
    CITY: words,
    ROLE: words,
    "entitlements": entitlements,
    MANAGER: words,
    COST_CENTER: words,
}
accounts = st.fixed_dictionaries({"userName": words}, optional=optional_values)
wishes = st.fixed_dictionaries(
    {"userName": words}, optional={path: values | st.none() for path, values in optional_values.items()}
)


def shown_by(user: User[EnterpriseUser]) -> dict[str, Any]:
    return extracted(
        {"id": "7", **user.model_dump(scim_ctx=Context.RESOURCE_QUERY_RESPONSE)}, "userName", *optional_values
    )[1]


def as_the_oracle_has_it(resource: dict[str, Any]) -> User[EnterpriseUser]:
    body = scim.create_body("user", resource, RFC)
    return judged({**body, "id": "7"}, Context.RESOURCE_QUERY_RESPONSE)


def send(user: User[EnterpriseUser], changes: Sequence[Change], agreed: dict[str, Any]) -> None:
    """Patch as the target adapter does: where an element is missing, once more with the element whole."""
    body = scim.patch_body("user", changes, RFC, agreed)
    try:
        PatchOp[OracleUser].model_validate(body, scim_ctx=Context.RESOURCE_PATCH_REQUEST).patch(user)
    except NoTargetException:
        body = scim.patch_body("user", changes, RFC, agreed, whole_element=True)
        PatchOp[OracleUser].model_validate(body, scim_ctx=Context.RESOURCE_PATCH_REQUEST).patch(user)


@given(accounts)
def test_every_create_body_is_what_an_independent_model_reads(resource: dict[str, Any]) -> None:
    body = scim.create_body("user", resource, RFC)
    judged(body, Context.RESOURCE_CREATION_REQUEST)
    assert diffing.changes(resource, shown_by(as_the_oracle_has_it(resource)), RFC.user_attributes) == ()


@given(accounts, wishes)
def test_every_patch_leads_an_independent_model_to_what_is_wanted(
    agreed: dict[str, Any], wanted: dict[str, Any]
) -> None:
    user = as_the_oracle_has_it(agreed)
    changes = diffing.changes(wanted, agreed, RFC.user_attributes)
    if changes:
        send(user, changes, agreed)
    expected = diffing.apply(changes, agreed)
    everything = dict.fromkeys(["userName", *optional_values]) | expected
    assert diffing.changes(everything, shown_by(user), RFC.user_attributes) == ()


@given(accounts, wishes)
def test_every_put_leads_to_what_is_wanted(agreed: dict[str, Any], wanted: dict[str, Any]) -> None:
    found = {**scim.create_body("user", agreed, PUT), "id": "7"}
    changes = diffing.changes(wanted, agreed, PUT.user_attributes)
    body = scim.put_body("user", found, changes, PUT)
    judged(body, Context.RESOURCE_REPLACEMENT_REQUEST)
    everything = dict.fromkeys(["userName", *optional_values]) | diffing.apply(changes, agreed)
    assert diffing.changes(everything, extracted(body, *everything)[1], PUT.user_attributes) == ()
