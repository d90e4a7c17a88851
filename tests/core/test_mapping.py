"""Mapping: what an entry becomes at the target, on create and on update, and what cannot be mapped."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.core.diffing import changes
from reconciler.core.mapping import Mapped, Mapper
from reconciler.core.mapping_checks import Failure
from reconciler.core.model import (
    Apply,
    AttributeMapping,
    Constant,
    Direct,
    FromExpression,
    Kind,
    MappingSource,
    MemberOf,
    ObjectRules,
    Untouched,
    WhenNull,
)
from reconciler.core.paths import ENTERPRISE_SCHEMA
from reconciler.core.profile import Profile, TargetAttribute, ValueType

MANAGER = f"{ENTERPRISE_SCHEMA}:manager"
WORK_EMAIL = 'emails[type eq "work"].value'

ANN: dict[str, Any] = {
    "id": "s-1",
    "userPrincipalName": "ann@example.com",
    "mail": "Ann.Berg@example.com",
    "givenName": "Ann",
    "surname": None,
    "jobTitle": "Developer",
    "floor": 3,
    "remote": True,
    "manager": "s-9",
    "aliases": ["a@example.com", "b@example.com"],
    "one_alias": ["a@example.com"],
    "hired": "3/16/2020 7:00:00 PM",
    "IsSoftDeleted": "False",
}


def profile(*attributes: TargetAttribute, groups: tuple[TargetAttribute, ...] = ()) -> Profile:
    return Profile("example", {a.path: a for a in attributes}, {a.path: a for a in groups})


def to(path: str, source: MappingSource | str, **settings: Any) -> AttributeMapping:
    return AttributeMapping(path, Direct(source) if isinstance(source, str) else source, **settings)


def mapper(*mappings: AttributeMapping, of: Profile | None = None, kind: Kind = "user") -> Mapper:
    return Mapper.compile(ObjectRules(kind, mappings), of or profile())


def one(source: MappingSource | str, attribute: TargetAttribute, entry: dict[str, Any] | None = None) -> Mapped:
    return mapper(to(attribute.path, source), of=profile(attribute)).wanted(ANN if entry is None else entry)


def test_each_kind_of_source_gives_its_value() -> None:
    mapped = mapper(
        to("userName", "userPrincipalName"),
        to("userType", Constant("Employee")),
        to("nickName", FromExpression('ToUpper([givenName], "")')),
        to("preferredLanguage", Untouched(), default="en"),
    ).wanted(ANN)
    assert mapped.values == {"userName": "ann@example.com", "userType": "Employee", "nickName": "ANN"}
    assert mapped.on_create() == ({**mapped.values, "preferredLanguage": "en"}, ())


def test_what_the_mappings_read_is_known_beforehand() -> None:
    compiled = mapper(
        to("userName", "userPrincipalName", match=2),
        to("externalId", "id", match=1),
        to("displayName", FromExpression('Join(" ", [givenName], [surname])')),
        to("userType", Constant("Employee")),
    )
    assert compiled.reads == {"userPrincipalName", "id", "givenName", "surname"}
    assert compiled.paths == ("userName", "externalId", "displayName", "userType")
    assert [mapping.to for mapping in compiled.match_mappings] == ["externalId", "userName"]
    assert not compiled.volatile
    assert compiled.problems == ()


@pytest.mark.parametrize(
    ("source", "attribute", "value"),
    [
        (FromExpression('Switch([IsSoftDeleted], , "False", "True", "True", "False")'), ValueType.BOOLEAN, True),
        (Constant("false"), ValueType.BOOLEAN, False),
        ("remote", ValueType.BOOLEAN, True),
        ("remote", ValueType.STRING, "True"),
        ("floor", ValueType.STRING, "3"),
        ("floor", ValueType.INTEGER, 3),
        (Constant(" 12 "), ValueType.INTEGER, 12),
        (Constant("12.0"), ValueType.INTEGER, 12),
        (Constant("0.5"), ValueType.DECIMAL, 0.5),
        ("hired", ValueType.DATETIME, "2020-03-16T19:00:00Z"),
        (Constant("3/16/2020 12:05:00 AM"), ValueType.DATETIME, "2020-03-16T00:05:00Z"),
        (Constant("3/16/2020 12:05:00 PM"), ValueType.DATETIME, "2020-03-16T12:05:00Z"),
        (Constant("2020-03-16T07:00:00+02:00"), ValueType.DATETIME, "2020-03-16T07:00:00+02:00"),
        ("one_alias", ValueType.STRING, "a@example.com"),
    ],
)
def test_a_value_arrives_in_the_type_of_the_target_attribute(
    source: MappingSource | str, attribute: ValueType, value: object
) -> None:
    mapped = one(source, TargetAttribute("there", attribute))
    assert mapped.problems == ()
    assert mapped.values == {"there": value}
    assert type(mapped.values["there"]) is type(value)


@pytest.mark.parametrize(
    ("source", "attribute", "error_code", "says"),
    [
        ("aliases", TargetAttribute("there"), "SchemaPropertyCanOnlyAcceptValue", "takes one value"),
        ("object", TargetAttribute("there"), "SchemaPropertyCanOnlyAcceptValue", "an object"),
        ("givenName", TargetAttribute("there", ValueType.INTEGER), "InvalidValue", "Integer"),
        ("half", TargetAttribute("there", ValueType.INTEGER), "InvalidValue", "whole number"),
        (Constant("1e999999"), TargetAttribute("there", ValueType.INTEGER), "InvalidValue", "64 bits"),
        (Constant(str(2**63)), TargetAttribute("there", ValueType.INTEGER), "InvalidValue", "64 bits"),
        (Constant("1e999999"), TargetAttribute("there", ValueType.DECIMAL), "InvalidValue", "too large"),
        ("givenName", TargetAttribute("there", ValueType.DECIMAL), "InvalidValue", "Decimal"),
        ("givenName", TargetAttribute("there", ValueType.BOOLEAN), "InvalidValue", "Boolean"),
        ("givenName", TargetAttribute("there", ValueType.DATETIME), "InvalidValue", "FormatDateTime"),
        ("day", TargetAttribute("there", ValueType.DATETIME), "InvalidValue", "FormatDateTime"),
        ("givenName", TargetAttribute("there", allowed=("admin", "general")), "InvalidValue", "admin, general"),
    ],
)
def test_a_value_that_does_not_fit_fails_its_path_and_is_never_told(
    source: str | Constant, attribute: TargetAttribute, error_code: str, says: str
) -> None:
    entry = {**ANN, "object": {"secret": "Ann"}, "half": 1.5, "day": "13/45/2020 7:00:00 AM"}
    mapped = one(source, attribute, entry)
    assert mapped.values == {}
    [failure] = mapped.problems
    assert (failure.path, failure.error_code) == ("there", error_code)
    assert says in failure.reason
    for told in ("Ann", "a@example.com", "13/45", "1.5"):
        assert told not in failure.reason


def test_an_allowed_value_is_sent_as_the_target_spells_it() -> None:
    assert one(Constant("ADMIN"), TargetAttribute("role", allowed=("admin", "general"))).values == {"role": "admin"}
    exact = TargetAttribute("role", case_exact=True, allowed=("admin", "general"))
    assert one(Constant("ADMIN"), exact).problems[0].error_code == "InvalidValue"


def test_a_multi_valued_target_takes_one_value_and_many() -> None:
    aliases = TargetAttribute("aliases", multivalued=True)
    assert one("aliases", aliases).values == {"aliases": ["a@example.com", "b@example.com"]}
    assert one("mail", aliases).values == {"aliases": ["Ann.Berg@example.com"]}
    assert one("aliases", aliases, {"aliases": [None, ""]}).nulls == ("aliases",)


@pytest.mark.parametrize("empty", [{}, {"jobTitle": None}, {"jobTitle": ""}, {"jobTitle": []}])
def test_a_null_keeps_by_default_and_clears_where_asked(empty: dict[str, Any]) -> None:
    agreed = {"title": "Developer"}
    assert mapper(to("title", "jobTitle")).wanted(empty).on_update(agreed) == {}
    assert mapper(to("title", "jobTitle", when_null=WhenNull.CLEAR)).wanted(empty).on_update(agreed) == {"title": None}
    assert mapper(to("title", "jobTitle", when_null=WhenNull.CLEAR)).wanted(empty).on_create() == ({}, ())


def test_a_default_is_for_creation_only() -> None:
    mapped = mapper(to("name.familyName", "surname", default="-")).wanted(ANN)
    assert mapped.on_create() == ({"name.familyName": "-"}, ())
    assert mapped.on_update({"name.familyName": "Berg"}) == {}


def test_what_clears_and_has_a_default_clears_to_the_default_so_that_it_settles() -> None:
    mapped = mapper(to("name.familyName", "surname", default="-", when_null=WhenNull.CLEAR)).wanted(ANN)
    created, _ = mapped.on_create()
    assert mapped.on_update({"name.familyName": "Berg"}) == {"name.familyName": "-"}
    assert changes(mapped.on_update(created), created, {}) == ()


@pytest.mark.parametrize(
    "attribute", [TargetAttribute("title", required=True), TargetAttribute("title", never_null=True)]
)
def test_what_the_target_must_have_is_never_cleared(attribute: TargetAttribute) -> None:
    mapped = mapper(to("title", "surname", when_null=WhenNull.CLEAR), of=profile(attribute)).wanted(ANN)
    assert mapped.on_update({"title": "Developer"}) == {}


def test_create_only_flows_once_and_its_failure_does_not_stop_an_update() -> None:
    mapped = mapper(to("title", "jobTitle", apply=Apply.CREATE)).wanted(ANN)
    assert mapped.on_create() == ({"title": "Developer"}, ())
    assert mapped.on_update({}) == {}
    failing = mapper(to("title", "aliases", apply=Apply.CREATE)).wanted(ANN)
    assert failing.problems == ()
    assert failing.on_create()[1][0].error_code == "SchemaPropertyCanOnlyAcceptValue"


@pytest.mark.parametrize("apply", [Apply.IF_EMPTY, Apply.ADD_ONLY])
def test_a_single_value_flows_only_where_the_target_has_none(apply: Apply) -> None:
    mapped = mapper(to("title", "jobTitle", apply=apply)).wanted(ANN)
    assert mapped.on_create() == ({"title": "Developer"}, ())
    assert mapped.on_update({}) == {"title": "Developer"}
    assert mapped.on_update({"title": ""}) == {"title": "Developer"}
    assert mapped.on_update({"title": "Boss"}) == {}


def test_add_only_adds_to_many_values_and_takes_none_away() -> None:
    aliases = TargetAttribute("aliases", multivalued=True)
    compiled = mapper(to("aliases", "aliases", apply=Apply.ADD_ONLY), of=profile(aliases))
    mapped = compiled.wanted(ANN)
    agreed = {"aliases": ["A@example.com", "c@example.com"]}
    assert mapped.on_update(agreed) == {"aliases": ["A@example.com", "c@example.com", "b@example.com"]}
    assert changes(compiled.wanted({"aliases": ["c@example.com"]}).on_update(agreed), agreed, {}) == ()
    assert mapped.on_update({}) == {"aliases": ["a@example.com", "b@example.com"]}


@pytest.mark.parametrize("apply", [Apply.CREATE, Apply.IF_EMPTY, Apply.ADD_ONLY])
@pytest.mark.parametrize("agreed", [{}, {"aliases": ["a@example.com"]}])
def test_only_what_always_flows_is_cleared_by_a_null(apply: Apply, agreed: dict[str, Any]) -> None:
    aliases = TargetAttribute("aliases", multivalued=True)
    compiled = mapper(to("aliases", "aliases", apply=apply, when_null=WhenNull.CLEAR), of=profile(aliases))
    assert compiled.wanted({"aliases": None}).on_update(agreed) == {}


def test_an_untouched_attribute_gets_its_default_wherever_the_target_has_none() -> None:
    mapped = mapper(to("preferredLanguage", Untouched(), default="en")).wanted(ANN)
    assert mapped.on_update({"preferredLanguage": "no"}) == {}
    assert mapped.on_update({}) == {"preferredLanguage": "en"}
    assert mapper(to("preferredLanguage", Untouched())).wanted(ANN).on_create() == ({}, ())


def test_references_are_kept_apart_with_the_source_ids_they_point_to() -> None:
    manager = TargetAttribute(MANAGER, ValueType.REFERENCE, references="user")
    owners = TargetAttribute("owners", ValueType.REFERENCE, multivalued=True, references="user")
    mapped = mapper(to(MANAGER, "manager"), to("owners", "owners"), of=profile(manager, owners)).wanted(
        {"manager": 9, "owners": ["s-1", "s-2"]}
    )
    assert mapped.references == {MANAGER: ("user", "9"), "owners": ("user", ["s-1", "s-2"])}
    assert mapped.values == {}
    assert mapped.on_create() == ({}, ())


def test_a_reference_that_is_null_clears_where_asked_and_two_managers_are_refused() -> None:
    known = profile(TargetAttribute(MANAGER, ValueType.REFERENCE, references="user"))
    clearing = mapper(to(MANAGER, "manager", when_null=WhenNull.CLEAR), of=known)
    assert clearing.wanted({}).on_update({MANAGER: "42"}) == {MANAGER: None}
    assert mapper(to(MANAGER, "manager"), of=known).wanted({}).on_update({MANAGER: "42"}) == {}
    two = clearing.wanted({"manager": ["a", "b"]})
    assert [failure.error_code for failure in two.problems] == ["SchemaPropertyCanOnlyAcceptValue"]


def test_a_reference_for_creation_only_does_not_flow_to_an_account_that_is_there() -> None:
    known = profile(TargetAttribute(MANAGER, ValueType.REFERENCE, references="user"))
    mapped = mapper(to(MANAGER, "manager", apply=Apply.CREATE), of=known).wanted(ANN)
    assert mapped.references == {MANAGER: ("user", "s-9")}
    assert mapped.references_on_update({}) == {}
    if_empty = mapper(to(MANAGER, "manager", apply=Apply.IF_EMPTY), of=known).wanted(ANN)
    assert if_empty.references_on_update({MANAGER: "42"}) == {}
    assert if_empty.references_on_update({}) == {MANAGER: ("user", "s-9")}


def test_the_members_of_a_group_are_left_to_the_rows_that_keep_them() -> None:
    members = TargetAttribute("members", ValueType.REFERENCE, multivalued=True, required=True, references="user")
    compiled = mapper(
        to("displayName", "displayName", match=1),
        to("members", "members"),
        of=profile(groups=(members,)),
        kind="group",
    )
    assert compiled.maps_members
    assert compiled.paths == ("displayName",)
    assert compiled.reads == {"displayName"}
    assert compiled.wanted({"displayName": "Sales", "members": ["a"]}).on_create() == ({"displayName": "Sales"}, ())


def test_match_values_come_in_order_of_precedence_without_nulls() -> None:
    compiled = mapper(
        to("userName", "userPrincipalName", match=2),
        to("externalId", "floor", match=3),
        to(WORK_EMAIL, "surname", match=1, default="x@example.com"),
        to("nickName", "aliases", match=4),
    )
    assert compiled.wanted(ANN).match_values == (("userName", "ann@example.com"), ("externalId", "3"))


def test_a_required_attribute_without_value_stops_a_create_and_no_update() -> None:
    known = profile(
        TargetAttribute("name.familyName", required=True), TargetAttribute("id", required=True, read_only=True)
    )
    mapped = mapper(to("name.familyName", "surname"), of=known).wanted(ANN)
    assert mapped.on_create()[1] == (
        Failure(
            "name.familyName",
            "MandatoryFieldsMissing",
            "the target requires it, and it has neither a value nor a default",
        ),
    )
    assert mapped.problems == ()
    with_default = mapper(to("name.familyName", "surname", default="-"), of=known).wanted(ANN)
    assert with_default.on_create() == ({"name.familyName": "-"}, ())


def test_a_read_only_attribute_is_matched_by_and_never_sent() -> None:
    known = profile(TargetAttribute("externalId", read_only=True))
    mapped = mapper(to("externalId", "id", match=1), of=known).wanted(ANN)
    assert mapped.match_values == (("externalId", "s-1"),)
    assert mapped.on_create() == ({}, ())
    assert mapped.on_update({}) == {}


def test_an_ignored_flow_leaves_the_attribute_out_on_create_and_on_update() -> None:
    mapped = mapper(
        to("title", FromExpression("IgnoreFlowIfNullOrEmpty([surname])"), when_null=WhenNull.CLEAR, default="-"),
        to("userName", "userPrincipalName"),
    ).wanted(ANN)
    assert mapped.on_create() == ({"userName": "ann@example.com"}, ())
    assert mapped.on_update({"title": "Boss"}) == {"userName": "ann@example.com"}


def test_an_ignored_object_is_told() -> None:
    compiled = mapper(
        to("userName", "userPrincipalName", match=1),
        to("title", FromExpression('IIF([jobTitle] = "Developer", IgnoreObjectFlow, [jobTitle])')),
    )
    assert compiled.wanted(ANN).ignored
    assert not compiled.wanted({**ANN, "jobTitle": "Boss"}).ignored


def test_a_redacted_value_flows_and_its_path_is_told() -> None:
    mapped = mapper(to("userName", FromExpression("Redact([userPrincipalName])")), to("title", "jobTitle")).wanted(ANN)
    assert mapped.values == {"userName": "ann@example.com", "title": "Developer"}
    assert mapped.redacted == {"userName"}


def test_an_expression_that_fails_fails_its_path_alone() -> None:
    mapped = mapper(
        to("nickName", FromExpression("Mid([givenName], [jobTitle], 2)")), to("userName", "userPrincipalName", match=1)
    ).wanted(ANN)
    assert mapped.values == {"userName": "ann@example.com"}
    assert mapped.match_values == (("userName", "ann@example.com"),)
    [failure] = mapped.problems
    assert (failure.path, failure.error_code) == ("nickName", "ExpressionFailed")
    assert failure.reason
    assert "Ann" not in failure.reason


def test_what_no_entry_can_put_right_is_told_when_the_rules_are_compiled() -> None:
    known = profile(
        TargetAttribute("userName", required=True),
        TargetAttribute("floor", ValueType.INTEGER),
        TargetAttribute("room", ValueType.INTEGER),
        TargetAttribute("boss", references="user"),
    )
    compiled = mapper(
        to("floor", Constant("ground")),
        to("room", "room", default="none"),
        to("boss", "manager", default="s-1"),
        to("name", "displayName"),
        to("name.givenName", "givenName"),
        to("id", "id"),
        of=known,
    )
    assert {(failure.path, failure.error_code) for failure in compiled.problems} == {
        ("floor", "InvalidValue"),
        ("room", "InvalidValue"),
        ("boss", "InvalidValue"),
        ("name.givenName", "InvalidValue"),
        ("id", "InvalidValue"),
        ("userName", "MandatoryFieldsMissing"),
    }
    assert [failure.path for failure in compiled.wanted(ANN).problems] == ["floor"]


source_values = (
    st.none() | st.text(max_size=4) | st.booleans() | st.integers() | st.lists(st.text(max_size=3), max_size=3)
)
attributes = st.builds(
    TargetAttribute,
    st.sampled_from(["title", "name.givenName", WORK_EMAIL, f"{ENTERPRISE_SCHEMA}:floor"]),
    st.sampled_from([t for t in ValueType if t is not ValueType.COMPLEX]),
    multivalued=st.booleans(),
    case_exact=st.booleans(),
    required=st.booleans(),
    never_null=st.booleans(),
)


@given(attributes, source_values, st.sampled_from(Apply), st.sampled_from(WhenNull), st.none() | st.text(max_size=3))
def test_an_account_that_was_just_created_or_updated_needs_no_update(
    attribute: TargetAttribute, value: object, apply: Apply, when_null: WhenNull, default: str | None
) -> None:
    known = profile(attribute)
    mapped = mapper(to(attribute.path, "a", apply=apply, when_null=when_null, default=default), of=known).wanted(
        {"a": value}
    )
    created, failures = mapped.on_create()
    if not failures:
        assert changes(mapped.on_update(created), created, known.user_attributes) == ()
    updated = {path: new for path, new in mapped.on_update({}).items() if new is not None}
    assert changes(mapped.on_update(updated), updated, known.user_attributes) == ()


def test_a_mapping_to_the_object_filter_says_who_is_left_out_and_writes_nothing() -> None:
    filtering = FromExpression('IIF([jobTitle] = "Guest", IgnoreObjectFlow, "False")')
    rules = mapper(to("title", "jobTitle"), to("objectFilter", filtering))
    assert rules.paths == ("title",)
    mapped = rules.wanted(ANN)
    assert "objectFilter" not in mapped.on_create()[0]
    assert "objectFilter" not in mapped.on_update({})
    assert rules.wanted({**ANN, "jobTitle": "Guest"}).ignored


# --- values that nobody else may have ------------------------------------------------------------------------------


def chosen(apply: Apply = Apply.ALWAYS) -> Mapped:
    """Somebody for whom three names are offered."""
    text = 'SelectUniqueValue([givenName], Append([givenName], "1"), Append([givenName], "2"))'
    return mapper(to("nickName", FromExpression(text), apply=apply), to("title", "jobTitle")).wanted(ANN)


def test_what_must_be_unique_is_left_open() -> None:
    mapped = chosen()
    assert mapped.choices["nickName"].values == ("Ann", "Ann1", "Ann2")
    assert mapped.values == {"title": "Developer"}
    assert mapped.mapper.choosing == {"nickName": Apply.ALWAYS}


@pytest.mark.parametrize(
    ("apply", "agreed", "left_open", "value"),
    [
        (Apply.ALWAYS, {}, True, None),
        (Apply.ALWAYS, {"nickName": "Ann1"}, False, "Ann1"),
        (Apply.ALWAYS, {"nickName": "ann2"}, True, None),
        (Apply.ALWAYS, {"nickName": "Zoe"}, True, None),
        (Apply.CREATE, {}, False, None),
        (Apply.CREATE, {"nickName": "Zoe"}, False, None),
        (Apply.IF_EMPTY, {}, True, None),
        (Apply.IF_EMPTY, {"nickName": "Zoe"}, False, None),
        (Apply.IF_EMPTY, {"nickName": ""}, True, None),
    ],
)
def test_a_value_once_chosen_stays_and_is_chosen_where_it_flows(
    apply: Apply, agreed: dict[str, Any], left_open: bool, value: str | None
) -> None:
    mapped = chosen(apply)
    mapped.settle_choices(agreed)
    assert (("nickName" in mapped.choices), mapped.values.get("nickName")) == (left_open, value)


def test_a_value_that_was_chosen_counts_and_one_that_was_given_up_is_a_failure() -> None:
    mapped = chosen()
    mapped.choose("nickName", "Ann2")
    assert (mapped.values, mapped.choices) == ({"title": "Developer", "nickName": "Ann2"}, {})
    mapped = chosen()
    mapped.give_up("nickName")
    said = "each of the 3 values that SelectUniqueValue offers is taken in the target"
    assert mapped.choices == {}
    assert mapped.failures == (Failure("nickName", "SelectUniqueValueExhausted", said),)
    mapped = chosen()
    mapped.choices["nickName"] = replace(mapped.choices["nickName"], problem="a fourth one has no value")
    mapped.give_up("nickName")
    assert mapped.failures == (Failure("nickName", "ExpressionFailed", "a fourth one has no value"),)


def test_whether_somebody_is_in_a_group_is_asked_by_its_name() -> None:
    asked: list[MemberOf] = []

    def member_of(membership: MemberOf) -> bool | None:
        asked.append(membership)
        return True

    rules = mapper(to("title", FromExpression('IIF(MemberOf("Crew"), "crew", "guest")')))
    assert rules.groups == {MemberOf("Crew")}
    assert rules.wanted(ANN, member_of=member_of).values == {"title": "crew"}
    assert asked == [MemberOf("Crew")]
    nested = mapper(to("title", FromExpression('IIF(MemberOf("Crew", "true"), "crew", "guest")')))
    assert nested.wanted(ANN, member_of=member_of).values == {"title": "crew"}
    assert asked == [MemberOf("Crew"), MemberOf("Crew", nested=True)]
    nobody = rules.wanted(ANN)
    why = "MemberOf has no answer here: no groups were given"
    assert (nobody.values, nobody.failures) == ({}, (Failure("title", "ExpressionFailed", why),))
