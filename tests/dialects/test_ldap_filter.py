"""Filters of LDAP are checked as they are written."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.dialects.ldap_filter import all_of, any_of, attributes_in, escaped, escaped_bytes, problem_of


@pytest.mark.parametrize(
    "text",
    [
        "(objectClass=*)",
        "(&(objectClass=inetOrgPerson)(!(employeeType=left)))",
        "(|(cn=a*b*c)(cn;lang-sv=Åsa)(cn~=x)(n>=1)(n<=2))",
        "(userAccountControl:1.2.840.113556.1.4.803:=2)",
        "(memberOf:1.2.840.113556.1.4.1941:=CN=All\\2c Staff,DC=example,DC=com)",
        "(ou:dn:=people)",
        "(:caseExactMatch:=x)",
        "(1.2.840.113556.1.4.8=512)",
        "(cn=a\\28b\\29)",
        "(&)",
        "(cn=)",
    ],
)
def test_what_a_directory_takes_is_taken(text: str) -> None:
    assert problem_of(text) is None


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "a filter begins with ( at character 1"),
        ("cn=x", "a filter begins with ( at character 1"),
        ("(cn=x", "a ) is missing at character 6"),
        ("(cn=x))", "something follows the filter at character 7"),
        ("(&(cn=x)", "a ) is missing at character 9"),
        ("(!)", "a filter begins with ( at character 3"),
        ("(c n=x)", "this is no comparison such as name=value at character 2"),
        ("(=x)", "this is no comparison such as name=value at character 2"),
        ("(cn=a(b)", r"a ) is missing; in a value, ( ) * and \ are written \28 \29 \2a \5c at character 6"),
        ("(cn=a\\zz)", r"a ) is missing; in a value, ( ) * and \ are written \28 \29 \2a \5c at character 6"),
        ("(!" * 200 + "(a=b)" + ")" * 200, "filters are nested more than 100 deep at character 203"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(text: str, problem: str) -> None:
    assert problem_of(text) == problem


@given(st.text())
def test_a_value_stands_for_itself_when_it_is_escaped(value: str) -> None:
    assert problem_of(f"(cn={escaped(value)})") is None


@given(st.binary())
def test_bytes_can_be_asked_for(value: bytes) -> None:
    assert problem_of(f"(objectGUID={escaped_bytes(value)})") is None


def test_filters_are_put_together() -> None:
    assert (all_of("(a=b)", "(c=d)"), all_of("(a=b)")) == ("(&(a=b)(c=d))", "(a=b)")
    assert (any_of(["(a=b)", "(c=d)"]), any_of(["(a=b)"])) == ("(|(a=b)(c=d))", "(a=b)")


def test_the_attributes_that_a_filter_looks_at_are_known() -> None:
    text = "(&(objectClass=user)(!(Department;lang-sv=x))(userAccountControl:1.2.3:=2)(n>=1)(cn=a=b))"
    assert attributes_in(text) == {"objectclass", "department", "useraccountcontrol", "n", "cn"}
