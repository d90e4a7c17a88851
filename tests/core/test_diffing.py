"""Diffing: what is a change, what is notation, and that applied changes lead where they should."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from reconciler.core.diffing import apply, changes, same
from reconciler.core.model import Change, Resource
from reconciler.core.profile import TargetAttribute, ValueType

ATTRIBUTES = {
    attribute.path: attribute
    for attribute in (
        TargetAttribute("userName"),
        TargetAttribute("externalId", case_exact=True),
        TargetAttribute("active", ValueType.BOOLEAN),
        TargetAttribute("floor", ValueType.INTEGER),
        TargetAttribute("share", ValueType.DECIMAL),
        TargetAttribute("hired", ValueType.DATETIME),
        TargetAttribute("photo", ValueType.BINARY),
        TargetAttribute("manager", references="user"),
        TargetAttribute("roles", ValueType.COMPLEX, multivalued=True),
        TargetAttribute("tags", multivalued=True),
    )
}


@pytest.mark.parametrize(
    ("path", "a", "b"),
    [
        ("userName", "Ann@Example.com", "ann@example.com"),
        ("userName", 5, "5"),
        ("userName", 5.0, "5"),
        ("userName", True, "True"),
        ("userName", "", None),
        ("userName", [], None),
        ("active", True, "True"),
        ("active", False, "false"),
        ("active", False, 0),
        ("floor", 5, "5"),
        ("floor", 5, " 5 "),
        ("floor", 5, 5.0),
        ("share", "0.50", 0.5),
        ("hired", "2024-03-01T08:00:00Z", "2024-03-01T09:00:00+01:00"),
        ("hired", "2024-03-01T08:00:00Z", "2024-03-01T08:00:00.000Z"),
        ("hired", "2024-03-01", "2024-03-01T00:00:00Z"),
        ("manager", "42", "42"),
        ("tags", ["a", "b"], ["B", "a", "b"]),
        ("tags", "a", ["a"]),
        ("tags", ["a", None], ["a"]),
        ("tags", [], None),
        ("tags", [None, ""], None),
        ("roles", [{"value": "admin", "primary": True}], [{"primary": "True", "Value": "Admin", "$ref": "https://x"}]),
        ("roles", [{"value": "a"}, {"value": "b"}], [{"value": "b", "primary": False}, {"value": "a", "type": None}]),
    ],
)
def test_values_that_mean_the_same_are_no_change(path: str, a: Any, b: Any) -> None:
    assert same(a, b, ATTRIBUTES[path])
    assert same(b, a, ATTRIBUTES[path])
    assert changes({path: a}, {path: b}, ATTRIBUTES) == ()


@pytest.mark.parametrize(
    ("path", "a", "b"),
    [
        ("userName", "ann", "anna"),
        ("userName", "ann", None),
        ("externalId", "E1", "e1"),
        ("active", True, False),
        ("active", False, None),
        ("active", True, "maybe"),
        ("floor", 5, 6),
        ("floor", 1, True),
        ("floor", 0, None),
        ("floor", "abc", 5),
        ("hired", "2024-03-01T08:00:00Z", "2024-03-01T08:00:00+01:00"),
        ("hired", "soon", "2024-03-01"),
        ("photo", "aGk=", "AGk="),
        ("manager", "abC", "abc"),
        ("tags", ["a"], ["a", "b"]),
        ("tags", ["a"], "b"),
        ("roles", [{"value": "admin", "primary": True}], [{"value": "admin"}]),
        ("roles", [{"value": "a", "display": "A"}], [{"value": "a", "display": "B"}]),
    ],
)
def test_values_that_mean_something_else_are_a_change(path: str, a: Any, b: Any) -> None:
    assert not same(a, b, ATTRIBUTES[path])
    assert not same(b, a, ATTRIBUTES[path])
    assert changes({path: a}, {path: b}, ATTRIBUTES) == (Change(path, b, a),)


def test_changes_come_in_order_of_path_and_name_old_and_new() -> None:
    wanted = {"userName": "ann", "floor": 3, "active": False, "externalId": "1"}
    agreed = {"userName": "bo", "floor": 3, "active": True}
    assert changes(wanted, agreed, ATTRIBUTES) == (
        Change("active", True, False),
        Change("externalId", None, "1"),
        Change("userName", "bo", "ann"),
    )


def test_a_path_that_is_not_wanted_is_left_alone_and_none_clears() -> None:
    agreed = {"userName": "ann", "floor": 3}
    assert changes({}, agreed, ATTRIBUTES) == ()
    assert changes({"floor": None}, agreed, ATTRIBUTES) == (Change("floor", 3, None),)
    assert changes({"hired": None}, agreed, ATTRIBUTES) == ()


def test_an_empty_value_is_cleared_as_none_and_what_was_empty_is_added() -> None:
    assert changes({"tags": []}, {"tags": ["a"]}, ATTRIBUTES) == (Change("tags", ["a"], None),)
    assert changes({"userName": "ann"}, {"userName": ""}, ATTRIBUTES) == (Change("userName", None, "ann"),)


def test_a_path_that_the_profile_does_not_list_is_a_case_insensitive_text() -> None:
    assert changes({"nickName": "ANN"}, {"nickName": "ann"}, {}) == ()
    assert changes({"nickName": "ANN"}, {"nickName": "ann"}, lambda path: TargetAttribute(path, case_exact=True)) == (
        Change("nickName", "ann", "ANN"),
    )


def test_applying_leaves_the_resource_itself_as_it_was() -> None:
    resource = {"userName": "ann", "floor": 3}
    assert apply((Change("floor", 3, None), Change("userName", "ann", "bo")), resource) == {"userName": "bo"}
    assert resource == {"userName": "ann", "floor": 3}


texts = st.text(max_size=6) | st.sampled_from(["True", "false", "5", "5.0", "nan", "sNaN", "2024-03-01", "A", "a"])
scalars = texts | st.booleans() | st.integers() | st.floats()
elements = st.dictionaries(st.sampled_from(["value", "type", "primary", "$ref", "Value"]), scalars | st.none())
values = st.none() | scalars | st.lists(scalars | elements, max_size=3) | elements
resources = st.dictionaries(st.sampled_from([*ATTRIBUTES, "nickName"]), values, max_size=6)


@example({"nickName": ["", False]}, {"nickName": ["", 0]})
@given(resources, resources)
def test_applied_changes_lead_to_what_is_wanted(wanted: dict[str, Any], agreed: dict[str, Any]) -> None:
    reached = apply(changes(wanted, agreed, ATTRIBUTES), agreed)
    for path, value in wanted.items():
        assert same(value, reached.get(path), ATTRIBUTES.get(path, TargetAttribute(path)))
    for path in agreed.keys() - wanted.keys():
        assert reached[path] is agreed[path]
    assert changes(wanted, reached, ATTRIBUTES) == ()


@given(resources)
def test_a_resource_does_not_differ_from_itself(resource: dict[str, Any]) -> None:
    assert changes(resource, resource, ATTRIBUTES) == ()


@given(values, values, st.sampled_from(sorted(ATTRIBUTES)))
def test_being_the_same_is_symmetric(a: Any, b: Any, path: str) -> None:
    assert same(a, b, ATTRIBUTES[path]) is same(b, a, ATTRIBUTES[path])
    assert same(a, a, ATTRIBUTES[path])


def test_what_is_the_same_in_other_letters_hides_no_later_change() -> None:
    wanted: Resource = {"userName": "Ann", "title": "Chief", "nick": "x", "floor": None, "room": "1"}
    agreed: Resource = {"userName": "ann", "title": "Boss", "nick": "x", "floor": "", "room": "2"}
    found = changes(wanted, agreed, {})
    assert found == (Change("room", "2", "1"), Change("title", "Boss", "Chief"))
