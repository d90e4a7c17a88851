"""The published example of each function gives what was published."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest

from reconciler.errors import EvaluationError
from reconciler.language import IGNORE_FLOW, Context, Redacted, compile_expression

ADMIN = {"value": "Admin", "displayName": "Admin"}
USER = {"value": "User", "displayName": "User"}
TEST = {"value": "Test", "displayName": "Test"}
ROLE = {"primary": False, "type": "WindowsAzureActiveDirectoryRole"}
JOHN = {"PreferredFirstName": "John", "PreferredLastName": "Smith"}
UPN = 'Join("@", NormalizeDiacritics(StripSpaces(Join(".", {}, [PreferredLastName]))), "contoso.com")'
FIRST = "[PreferredFirstName]"

EXAMPLES: list[tuple[str, dict[str, Any], Any]] = [
    (
        'Append([userPrincipalName], ".test")',
        {"userPrincipalName": "John.Doe@contoso.com"},
        "John.Doe@contoso.com.test",
    ),
    (
        "AppRoleAssignmentsComplex([appRoleAssignments])",
        {"appRoleAssignments": [ADMIN, USER]},
        [{**ROLE, "displayName": "Admin", "value": "Admin"}, {**ROLE, "displayName": "User", "value": "User"}],
    ),
    (
        "AssertiveAppRoleAssignmentsComplex([appRoleAssignments])",
        {"appRoleAssignments": [USER, TEST]},
        [{**ROLE, "display": "User", "value": "User"}, {**ROLE, "display": "Test", "value": "Test"}],
    ),
    ("BitAnd(&HF, &HF7)", {}, 7),
    ("CBool([attribute1] = [attribute2])", {"attribute1": "x", "attribute2": "x"}, True),
    ("CDate([StatusHireDate])", {"StatusHireDate": "2020-03-16-07:00"}, "3/16/2020 7:00:00 AM"),
    (
        "Coalesce([mail],[userPrincipalName])",
        {"mail": None, "userPrincipalName": "John.Doe@contoso.com"},
        "John.Doe@contoso.com",
    ),
    ('ConvertToBase64("Hello world!")', {}, "SABlAGwAbABvACAAdwBvAHIAbABkACEA"),
    ('ConvertFromBase64("SABlAGwAbABvACAAdwBvAHIAbABkACEA")', {}, "Hello world!"),
    ('ConvertToUTF8Hex("Hello world!")', {}, "48656C6C6F20776F726C6421"),
    ("CStr([dn])", {"dn": "cn=Joe,dc=contoso,dc=com"}, "cn=Joe,dc=contoso,dc=com"),
    ('DateAdd("d", 7, CDate([StatusHireDate]))', {"StatusHireDate": "2012-03-16-07:00"}, "3/23/2012 7:00:00 AM"),
    (
        'DateDiff("d", CDate([date1]), CDate([date2]))',
        {"date1": "2021-08-18+08:00", "date2": "2021-08-31+08:00"},
        13,
    ),
    ("DateFromNum(129699324000000000)", {}, "2012-01-01T23:00:00Z"),
    ('Join("@", [mailNickname], DefaultDomain())', {"mailNickname": "jsmith"}, "jsmith@contoso.com"),
    ('Len("John Doe")', {}, 8),
    ("DNComponent(CRef([dn]),1)", {"dn": "cn=Joe,ou=..."}, "Joe"),
    (
        'FormatDateTime([extensionAttribute1], , "yyyyMMddHHmmss.fZ", "yyyy-MM-dd")',
        {"extensionAttribute1": "20150123105347.1Z"},
        "2015-01-23",
    ),
    ("IgnoreFlowIfNullOrEmpty([department])", {"department": None}, IGNORE_FLOW),
    (
        'IIF(DateDiff("d", Now(), CDate([StatusHireDate])) <= 14, "False", IgnoreObjectFlow)',
        {"StatusHireDate": "2025-08-10"},
        "False",
    ),
    ('IIF([country]="USA",[country],[department])', {"country": "USA", "department": "Sales"}, "USA"),
    ('InStr("The quick brown fox","quick")', {}, 5),
    ("IsNull([displayName])", {"displayName": None}, True),
    ("IsNullOrEmpty([displayName])", {"displayName": None}, True),
    ("IsPresent([directManager])", {"directManager": "x"}, True),
    (
        "Item([proxyAddresses], 1)",
        {"proxyAddresses": ["SMTP:a@contoso.com", "smtp:b@contoso.com"]},
        "SMTP:a@contoso.com",
    ),
    ('Join(", ", "", [surname], [givenName])', {"givenName": "John", "surname": "Doe"}, "Doe, John"),
    ('Left("John Doe", 3)', {}, "Joh"),
    ("Mid([userPrincipalName], 1, 8)", {"userPrincipalName": "john.doe@contoso.com"}, "john.doe"),
    ("NormalizeDiacritics([givenName])", {"givenName": "Zoë"}, "Zoe"),
    ("Not([IsSoftDeleted])", {"IsSoftDeleted": "True"}, "False"),
    (
        'NumFromDate(Join("", FormatDateTime([ContractEndDate], ,"yyyy-MM-ddzzz", "yyyy-MM-dd"), " 23:59:59-08:00"))',
        {"ContractEndDate": "2020-12-31-08:00"},
        "132539615990000000",
    ),
    ("PCase([firstName])", {"firstName": "PABLO GONSALVES (SECOND)"}, "Pablo Gonsalves (Second)"),
    ("Redact([userPrincipalName])", {"userPrincipalName": "a@contoso.com"}, Redacted("a@contoso.com")),
    ("RemoveDuplicates([proxyAddresses])", {"proxyAddresses": ["a", "b", "a"]}, ["a", "b"]),
    (
        'Replace([BusinessTitle],"Product Developer", , , "Software Engineer", , )',
        {"BusinessTitle": "Product Developer"},
        "Software Engineer",
    ),
    (
        f"SelectUniqueValue({UPN.format(FIRST)}, {UPN.format(f'Mid({FIRST}, 1, 1)')}, "
        f"{UPN.format(f'Mid({FIRST}, 1, 2)')})",
        JOHN,
        "John.Smith@contoso.com",
    ),
    ("SingleAppRoleAssignment([appRoleAssignments])", {"appRoleAssignments": [ADMIN]}, "Admin"),
    (
        'Split([extensionAttribute5], ",")',
        {"extensionAttribute5": "PermissionSetOne, PermissionSetTwo"},
        ["PermissionSetOne", "PermissionSetTwo"],
    ),
    ("StripSpaces([x])", {"x": "Mary Ann Lee"}, "MaryAnnLee"),
    (
        'Switch([state], "Australia/Sydney", "NSW", "Australia/Sydney","QLD", "Australia/Brisbane", '
        '"SA", "Australia/Adelaide")',
        {"state": "QLD"},
        "Australia/Brisbane",
    ),
    (f"ToLower({UPN.format(FIRST)})", JOHN, "john.smith@contoso.com"),
    ('Trim(" Test ")', {}, "Test"),
    ('Word("The quick brown fox",3," ")', {}, "brown"),
]


@pytest.mark.parametrize(("expression", "attributes", "expected"), EXAMPLES)
def test_a_published_example_gives_what_was_published(
    expression: str, attributes: dict[str, Any], expected: Any
) -> None:
    context = Context(attributes, now=datetime(2025, 8, 1), default_domain="contoso.com")
    found = compile_expression(expression).evaluate(context)
    assert (found, type(found)) == (expected, type(expected))


def test_the_published_error_carries_the_words_of_the_rule() -> None:
    expression = compile_expression('IIF(IsPresent([accountName]),[accountName],Error("AccountName is required"))')
    with pytest.raises(EvaluationError) as raised:
        expression.evaluate(Context({"accountName": None}))
    assert str(raised.value) == "AccountName is required"


def test_a_redacted_value_is_shown_nowhere_but_in_value() -> None:
    redacted = compile_expression("Redact([a])").evaluate(Context({"a": "secret"}))
    assert (redacted.value, redacted.logged, "secret" in repr(redacted)) == ("secret", "[Redact]", False)
