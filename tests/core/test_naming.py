"""People are found by what others call them."""

from __future__ import annotations

from reconciler.core.model import AttributeMapping, Direct, FromExpression, ObjectRules
from reconciler.core.naming import called, naming_attributes, nearest


def rules(kind: str = "user") -> ObjectRules:
    mappings = (
        AttributeMapping("title", Direct("jobTitle")),
        AttributeMapping("externalId", Direct("employeeId"), match=2),
        AttributeMapping("userName", Direct("login"), match=1),
        AttributeMapping("nickName", FromExpression("[nick]"), match=3),
    )
    return ObjectRules("group" if kind == "group" else "user", mappings)


def test_what_matching_reads_comes_first_then_the_usual_names() -> None:
    usual = naming_attributes(None)
    assert usual[-1] == "displayName"
    assert {"userPrincipalName", "userName", "mail"} <= set(usual)
    assert naming_attributes(rules()) == ("login", "employeeId", *usual)


def test_groups_have_no_name_to_sign_in_with() -> None:
    assert naming_attributes(rules("group")) == ("login", "employeeId", "displayName")


def test_an_attribute_is_asked_once() -> None:
    twice = ObjectRules("group", (AttributeMapping("displayName", Direct("displayName"), match=1),))
    assert naming_attributes(twice) == ("displayName",)


def test_somebody_is_called_by_the_first_attribute_that_has_one_of_the_names() -> None:
    attributes = {"login": 7, "mail": "Ann@Example.com", "displayName": "STRASSE"}
    names = {"ann@example.com", "strasse"}
    assert called(attributes, names, ("login", "nick", "mail", "displayName")) == ("ann@example.com", "mail")
    assert called(attributes, names, ("displayName", "mail")) == ("strasse", "displayName")
    assert called({"displayName": "Straße"}, names, ("displayName",)) == ("strasse", "displayName")
    assert called(attributes, {"bob"}, ("login", "mail")) is None


def test_the_nearest_names_are_at_most_three_and_as_they_are_written() -> None:
    known = ["Ann@Example.com", "anna@example.com", "anne@example.com", "hans@example.com", "zoe"]
    assert nearest("ann@example.com", known)[0] == "Ann@Example.com"
    assert len(nearest("ann@example.com", known)) == 3
    assert nearest("xyz", known) == ()
    assert nearest("anna.b", ["Anna.Berg@example.com", "anna@example.com"]) == ("Anna.Berg@example.com",)


def test_those_of_the_pages_before_are_kept() -> None:
    assert nearest("bob", ["rob"], ("bobby",)) == ("bobby", "rob")


def test_names_that_are_too_unlike_are_not_offered() -> None:
    assert nearest("abcde", ["abcxy"]) == ("abcxy",), "six of ten"
    assert nearest("abcde", ["abxyz"]) == ()
