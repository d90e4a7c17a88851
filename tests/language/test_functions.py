"""What each function does with null, with odd values, with what its example does not show."""

from __future__ import annotations

from typing import Any

import pytest

from reconciler.errors import EvaluationError
from reconciler.language import IGNORE_FLOW, IGNORE_OBJECT, Context, Redacted, compile_expression, trace
from reconciler.language.values import Choice, ask_later, number, truth

HER = {
    "name": "Ann",
    "blank": "",
    "nothing": None,
    "yes": True,
    "no": False,
    "two": ["x", "y"],
    "one": ["only"],
    "none": [],
    "number": 5,
    "half": 1.5,
    "address": {"city": "Bern"},
}


def of(expression: str, attributes: dict[str, Any] | None = None, **world: Any) -> Any:
    return compile_expression(expression).evaluate(Context(HER if attributes is None else attributes, **world))


NULL_RULES: list[tuple[str, Any]] = [
    ('Append([nothing], ".x")', None),
    ("Append([name], [nothing])", "Ann"),
    ('Append([blank], ".x")', ".x"),
    ("AppRoleAssignments([appRoleAssignments])", []),
    ("AppRoleAssignmentsComplex([appRoleAssignments])", []),
    ("AssertiveAppRoleAssignmentsComplex([appRoleAssignments])", []),
    ("BitAnd([nothing], 2)", None),
    ("CBool([nothing])", False),
    ("CBool([blank])", False),
    ("Coalesce([nothing], [blank], [name])", ""),
    ("Coalesce([nothing], [none], [absent])", None),
    ('Coalesce([nothing], "none")', "none"),
    ("Contains([nothing], [name])", 0),
    ("ConvertFromBase64([nothing])", None),
    ("ConvertToBase64([nothing])", None),
    ("ConvertToBase64([blank])", ""),
    ("ConvertToUTF8Hex([nothing])", None),
    ("Count([nothing])", 0),
    ("Count([blank])", 0),
    ("Count([none])", 0),
    ("CRef([nothing])", None),
    ("CStr([nothing])", None),
    ("DateFromNum([nothing])", None),
    ("DNComponent([nothing], 1)", None),
    ('FormatDateTime([nothing], , "yyyy", "yy")', None),
    ('FormatDateTime([blank], , "yyyy", "yy")', None),
    ("IgnoreFlowIfNullOrEmpty([none])", IGNORE_FLOW),
    ("IgnoreFlowIfNullOrEmpty([name])", "Ann"),
    ('InStr([nothing], "x")', 0),
    ("IsNothing([nothing])", True),
    ("IsNull([blank])", False),
    ("IsNull([none])", True),
    ("IsNull([absent])", True),
    ("IsNullOrEmpty([blank])", True),
    ("IsNullOrEmpty([none])", True),
    ("IsNullOrEmpty([no])", False),
    ("IsPresent([nothing])", False),
    ("IsPresent([no])", True),
    ("IsString([nothing])", False),
    ("IsString([two])", False),
    ("IsString([address])", False),
    ("IsString([number])", True),
    ("Item([nothing], 1)", None),
    ('Join("-", [nothing], [blank], [none])', None),
    ('Join("-", [nothing], [name], , [blank], [two])', "Ann-x-y"),
    ("Left([nothing], 3)", ""),
    ("Len([nothing])", 0),
    ("Len([blank])", 0),
    ("Mid([nothing], 1, 2)", None),
    ("NormalizeDiacritics([nothing])", None),
    ("Not([nothing])", "True"),
    ("PCase([nothing])", None),
    ('Prepend("x", [nothing])', None),
    ("Redact([nothing])", None),
    ("RemoveDuplicates([nothing])", None),
    ('Replace([nothing], "a", , , "b", , )', None),
    ('Replace([nothing], "a", , , , , "a@b")', None),
    ('Replace([nothing], , "a", , "b", , )', None),
    ('Replace([nothing], , "(?<g>a)", "g", "b", , )', None),
    ('Replace([nothing], , "(?<g>n+)", "g", , [name], )', "nn"),
    ('Replace([nothing], , "(?<g>n+)", "g", , [nothing], )', None),
    ("SelectUniqueValue([nothing], [name])", "Ann"),
    ("SelectUniqueValue([nothing], [blank])", None),
    ("SingleAppRoleAssignment([appRoleAssignments])", None),
    ('Split([nothing], ",")', None),
    ('Split([blank], ",")', []),
    ("StringFromSid([nothing])", None),
    ("StripSpaces([nothing])", None),
    ('Switch([nothing], "default", "", "empty")', "empty"),
    ('Switch([blank], "default", "", "empty")', "empty"),
    ('Switch([nothing], , "a", "b")', None),
    ("ToLower([nothing])", None),
    ("ToUpper([nothing])", None),
    ("Trim([nothing])", None),
    ('Word([nothing], 1, " ")', ""),
    ("[nothing] & [absent]", None),
    ('"t-" & [nothing]', "t-"),
]


@pytest.mark.parametrize(("expression", "expected"), NULL_RULES)
def test_null_and_empty(expression: str, expected: Any) -> None:
    assert of(expression) == expected


ORDINARY: list[tuple[str, Any]] = [
    ("Append([number], [half])", "51.5"),
    ("Append([one], [yes])", "onlyTrue"),
    ('BitAnd("514", 2)', 2),
    ("BitAnd(&H202, &h2)", 2),
    ("CBool(0)", False),
    ('CBool("-2")', True),
    ('CBool("false")', False),
    ('CBool("TRUE")', True),
    ("CBool([number] > 4)", True),
    ('Contains([two], "y")', 2),
    ('Contains([two], "Y")', 0),
    ('Contains([two], "Y", vbTextCompare)', 2),
    ('ConvertFromBase64("SGVsbG8gd29ybGQh", UTF8)', "Hello world!"),
    ('ConvertFromBase64("SGVsbG8=", ASCII)', "Hello"),
    ('ConvertToUTF8Hex("é")', "C3A9"),
    ("Count([two])", 2),
    ("Count([name])", 1),
    ("CStr([number])", "5"),
    ("CStr([yes])", "True"),
    ("CStr([half])", "1.5"),
    ("CStr(3.0)", "3"),
    ("CStr(-7)", "-7"),
    ('DNComponent("CN=Doe\\\\, Joe,OU=a",1)', "Doe, Joe"),
    ('DNComponent("CN=\\\\C3\\\\A9,OU=Sales,DC=x", 2)', "Sales"),
    ('DNComponent("CN=\\\\C3\\\\A9", 1)', "é"),
    ('DNComponent("CN=a", 2)', None),
    ('IIF([yes], "a", "b")', "a"),
    ('IIF([no], "a", "b")', "b"),
    ('IIF([nothing], "a", "b")', "b"),
    ('IIF([yes] = "True", "a", "b")', "a"),
    ('IIF([no] <> "False", "a", "b")', "b"),
    ('IIF([nothing] = "", "a", "b")', "a"),
    ('IIF([nothing] <> "x", "a", "b")', "a"),
    ('IIF([nothing] < 3, "a", "b")', "b"),
    ('IIF([name] = "ann", "a", "b")', "b"),
    ('IIF([number] >= 5, "a", "b")', "a"),
    ('IIF("10" > 9, "a", "b")', "a"),
    ('IIF("10" > "9", "a", "b")', "a"),
    ('IIF("b" > "a", "a", "b")', "a"),
    ('IIF([number] = "5", "a", "b")', "a"),
    ('IIF(1.0 = 1, "a", "b")', "a"),
    ('IIF("12/31/2020 1:00:00 AM" < "1/1/2021 1:00:00 AM", "a", "b")', "a"),
    ('IIF("2021-01-01T00:00:00+02:00" < "2020-12-31T23:00:00Z", "a", "b")', "a"),
    ('IIF([yes], , "b")', None),
    ('IIF([no], "a", )', None),
    ('IIF([number] = 5, "t-" & [name], [name])', "t-Ann"),
    ('InStr("repEated","e",3,vbBinaryCompare)', 7),
    ('InStr("repEated","E",1,vbTextCompare)', 2),
    ('InStr("repEated","e",3,vbTextCompare)', 4),
    ('InStr("abc","d")', 0),
    ('InStr("abc","a", ,vbTextCompare)', 1),
    ("Item([name], 1)", "Ann"),
    ('Item([two], "2")', "y"),
    ("Item([number], 1)", 5),
    ('Join("", 1000, [name])', "1000Ann"),
    ('Join(",", [two], [number], [yes])', "x,y,5,True"),
    ('Left("John Doe", 0)', ""),
    ('Left("John Doe", -1)', "John Doe"),
    ('Left("John Doe", 80)', "John Doe"),
    ('Left("John Doe", "2")', "Jo"),
    ("Len(42568.75)", 8),
    ("Len([number])", 1),
    ('Mid("abcdef", 3, 99)', "cdef"),
    ('Mid("abcdef", 9, 1)', ""),
    ('Mid("abcdef", "2", "1")', "b"),
    ('Mid("abcdef", 4)', "def"),
    ('NormalizeDiacritics("Łukasz Straße Øre Ærø Ğ ı")', "Lukasz Strasse OEre AEroe G i"),
    ('NormalizeDiacritics("Müller Çağla ñ å ű ț")', "Muller Cagla n a u t"),
    ('NormalizeDiacritics("Йод Ελλάς 王")', "Йод Ελλάς 王"),
    ("Not([yes])", "False"),
    ("Not([no])", "True"),
    ('Not("true")', "False"),
    ('Not("whatever")', "True"),
    ("Not(IsPresent([name]))", "False"),
    ("""PCase("PINTO-DE'SILVA"," '-")""", "Pinto-De'Silva"),
    ("""PCase("PINTO-DE'SILVA")""", "Pinto-De'silva"),
    ('PCase("JEAN_LUC 2ND b.c")', "Jean_Luc 2Nd B.C"),
    ('PCase("ANN-lee SMITH", " ")', "Ann-lee Smith"),
    ('Prepend("x", [name])', "xAnn"),
    ("RemoveDuplicates([name])", ["Ann"]),
    ('Split("a; b ;c", ";")', ["a", "b", "c"]),
    ('Split("a,,b", ",")', ["a", "", "b"]),
    ('Split("a::b:c", "::")', ["a", "b:c"]),
    ('Split("a b  c")', ["a", "b", "c"]),
    ('StringFromSid("AQUAAAAAAAUVAAAAoGXPfnhLm1/nfIdwXgQAAA==")', "S-1-5-21-2127521184-1604012920-1887927527-1118"),
    ('StringFromSid("S-1-5-18")', "S-1-5-18"),
    ("StripSpaces([two])", ["x", "y"]),
    ('Switch([yes], , "False", "n", "True", "y")', "y"),
    ('Switch([number], "d", 5, "five")', "five"),
    ('Switch([number], "d", "5", [name])', "Ann"),
    ('Switch([name], "d", "ann", "x")', "d"),
    ('Switch("b", "d", "a", 1, "b", 2, "b", 3)', 2),
    ('Switch([name], [number], [two], "x")', EvaluationError),
    ('Switch([name], "d", [nothing], "x", [name], "y")', "y"),
    ('Switch([blank], "d", [nothing], "x")', "x"),
    ('Switch([name], "d", "Ann", )', None),
    ('Switch([name], "d", "Bob", "x",)', "d"),
    ('ToLower("ÀÉΣ İ")', "àéσ İ"),
    ('ToLower("Iİ", "tr-TR")', "ıi"),
    ('ToUpper("iı", "tr-TR")', "İI"),
    ('ToUpper("straße")', "STRAßE"),
    ('ToUpper("ann", "en-US")', "ANN"),
    ('ToUpper("ann", )', "ANN"),
    ("Trim([two])", ["x", "y"]),
    ('Word("This,string!has&many separators",3,",!&#")', "has"),
    ('Word("Cher", 1, " ")', "Cher"),
    ('Word("a b", 3, " ")', ""),
    ('Word("a b", 0, " ")', ""),
    ('Word("a b", 1, "")', ""),
    ('Word("  a  b", 2, " ")', "b"),
    ("[two]", ["x", "y"]),
    ('"constant"', "constant"),
    ("[address]", {"city": "Bern"}),
    ("IgnoreAttributeFlow", IGNORE_FLOW),
    ('IIF([no], "a", IgnoreObjectFlow)', IGNORE_OBJECT),
    ('Append(IIF([no], "a", IgnoreAttributeFlow), "b")', IGNORE_FLOW),
    ('Switch([name], IgnoreAttributeFlow, "Bob", "x")', IGNORE_FLOW),
    ('Append(IgnoreFlowIfNullOrEmpty([blank]), "b")', IGNORE_FLOW),
    ("IgnoreFlowIfNullOrEmpty(Redact([blank]))", IGNORE_FLOW),
    ("IIF([yes], Redact([name]), [name])", Redacted("Ann")),
    ("IIF([no], Redact([name]), [name])", "Ann"),
    ('Append(Redact([name]), "x")', Redacted("Annx")),
    ("Coalesce(Redact([nothing]), [name])", "Ann"),
    ("Redact(Redact([name]))", Redacted("Ann")),
]


@pytest.mark.parametrize(("expression", "expected"), ORDINARY)
def test_what_comes_out(expression: str, expected: Any) -> None:
    if expected is EvaluationError:
        with pytest.raises(EvaluationError):
            of(expression)
        return
    found = of(expression)
    assert (found, type(found)) == (expected, type(expected))


FAILURES = [
    ('Append([two], "x")', "one value is needed"),
    ('Append([address], "x")', "an object with sub-attributes"),
    ("BitAnd([name], 1)", "value1 of BitAnd must be a whole number"),
    ("BitAnd([half], 1)", "value1 of BitAnd must be a whole number"),
    ("CBool([name])", "neither true nor false nor a number"),
    ('ConvertFromBase64("*")', "not Base64"),
    ("ConvertFromBase64([name], [name])", "must be one of Unicode, ASCII, UTF8"),
    ("CDate([nothing])", "needs a date"),
    ("CDate([name])", "not a date"),
    ('DateAdd("d", [name], "2020-01-01")', "value of DateAdd"),
    ('DateAdd("yyyy", 9000, "2020-01-01")', "years 1 to 9999"),
    ('DateDiff([name], "2020-01-01", "2020-01-01")', "interval"),
    ("DateFromNum(9223372036854775807)", "never"),
    ("DefaultDomain()", "no verified domain"),
    ("Guid()", "nothing random"),
    ('IIF([name], "a", "b")', "the condition of IIF"),
    ('InStr("a", "a", [nothing] & 0)', "counts from 1"),
    ("Item([two], 3)", "outside a list of 2"),
    ("Item([two], [nothing] & 0)", "outside a list of 2"),
    ("Mid([name], [nothing] & 0, 1)", "counts from 1"),
    ("Mid([name], 1, [nothing] & -1)", "must not be negative"),
    ("Now()", "no time was given"),
    ("NumFromDate([blank])", "needs a date"),
    ('NumFromDate("1600-12-31")', "before 1601"),
    ("RandomString(8,1,1,1,1)", "nothing random"),
    ('Replace([name], , [blank] & "(", , "x", , )', "cannot be used"),
    ('Replace([name], , "(?<g>n)", [name], "x", , )', "no group"),
    ('StringFromSid("AQUAAA==")', "not a security identifier"),
    ("StringFromSid([name])", "must be binary"),
    ('ToLower([name], [number] & "?")', "culture"),
]


@pytest.mark.parametrize(("expression", "says"), FAILURES)
def test_a_failure_says_what_is_wrong_without_the_value(expression: str, says: str) -> None:
    with pytest.raises(EvaluationError, match=says) as raised:
        of(expression)
    assert "Ann" not in str(raised.value)


def test_an_error_that_reads_attributes_shows_the_rule_not_the_person() -> None:
    with pytest.raises(EvaluationError) as raised:
        of('Error(Join(" ", "no mail for", [name]))')
    assert str(raised.value) == 'Join(" ", "no mail for", [name])'


@pytest.mark.parametrize(
    "expression",
    [
        'IIF([yes], "taken", CDate([blank]))',
        'IIF([no], Error("never"), "taken")',
        'Switch([name], CDate([blank]), "Ann", "taken", "Bob", Error("never"))',
        'Switch([name], Error("never"), "Bob", NumFromDate([blank]), [name], "taken", Error("never"), "x")',
        'Coalesce([nothing], "taken", Error("never"))',
        'SelectUniqueValue("taken", Error("never"))',
    ],
)
def test_a_branch_that_is_not_taken_is_never_evaluated(expression: str) -> None:
    assert of(expression) == "taken"


def test_select_unique_value_offers_the_next_when_the_target_has_the_first() -> None:
    rules = 'SelectUniqueValue([name], Append([name], "1"), Append([name], "2"))'
    assert of(rules, taken={"Ann"}.__contains__) == "Ann1"
    assert of(rules, taken={"Ann", "Ann1"}.__contains__) == "Ann2"
    with pytest.raises(EvaluationError, match="each of the 3 values"):
        of(rules, taken=lambda _: True)


class Counting:
    """Dice that give a sequence: the same each time."""

    def __init__(self) -> None:
        self.thrown = 0

    def hex(self, digits: int) -> str:
        self.thrown += 0x9E3779B97F4A7C15
        return f"{self.thrown % 16**digits:0{digits}x}"


@pytest.mark.parametrize(
    ("expression", "length", "minima", "never"),
    [
        ("RandomString(6,3,0,0,3)", 6, (3, 0, 0, 3), ""),
        ('RandomString(10,2,2,2,1,"?,")', 10, (2, 2, 2, 1), "?,"),
        ('RandomString("256",0,0,0,0)', 256, (0, 0, 0, 0), ""),
    ],
)
def test_a_random_text_has_what_was_asked_for(
    expression: str, length: int, minima: tuple[int, int, int, int], never: str
) -> None:
    found = of(expression, dice=Counting())
    counts = (
        sum(letter.isdigit() for letter in found),
        sum(not letter.isalnum() for letter in found),
        sum(letter.isupper() for letter in found),
        sum(letter.islower() for letter in found),
    )
    assert len(found) == length
    assert all(count >= least for count, least in zip(counts, minima, strict=True))
    assert not set(found) & set(never)


def test_a_guid_is_one_of_version_4() -> None:
    import uuid

    found = of("Guid()", dice=Counting())
    assert (uuid.UUID(found).version, found) == (4, str(uuid.UUID(found)))


@pytest.mark.parametrize(
    ("expression", "reads", "volatile"),
    [
        ('Join("", [a], Left([b.c:d], 1))', {"a", "b.c:d"}, False),
        ('IIF(DateDiff("d", Now(), [hired]) > 1, "a", "b")', {"hired"}, True),
        ("Guid()", set(), True),
        ("RandomString(6,3,0,0,3)", set(), True),
    ],
)
def test_what_an_expression_reads_is_known_before_it_runs(expression: str, reads: set[str], volatile: bool) -> None:
    compiled = compile_expression(expression)
    assert (compiled.reads, compiled.volatile, compiled.text) == (frozenset(reads), volatile, expression)


@pytest.mark.parametrize(
    ("expression", "function"),
    [
        ('Join([long], "a", "b", "c")', "Join"),
        ('Replace([long], "a", , , "bb", , )', "Replace"),
        ('=TEXTJOIN([long], TRUE, "a", "b", "c")', "TEXTJOIN"),
        ('=SUBSTITUTE([long], "a", "bb")', "SUBSTITUTE"),
        ("=REPT([long], 2)", "REPT"),
    ],
)
def test_no_text_grows_without_bounds(expression: str, function: str) -> None:
    with pytest.raises(EvaluationError) as raised:
        of(expression, {"long": "a" * 600_000})
    assert str(raised.value) == f"{function} would make a text of more than 1,000,000 characters"
    assert of(expression, {"long": "a" * 1_000}) is not None


@pytest.mark.parametrize(
    ("expression", "what"),
    [
        ("Guid()", "Guid()"),
        ("RandomString(4, 1, 1, 1, 1)", "RandomString"),
        ("=RAND()", "RAND"),
        ("=RANDBETWEEN(1, 6)", "RANDBETWEEN"),
    ],
)
def test_nothing_random_comes_of_nothing(expression: str, what: str) -> None:
    with pytest.raises(EvaluationError) as raised:
        of(expression)
    assert str(raised.value) == f"{what} has no value here: nothing random was given"


@pytest.mark.parametrize(
    ("value", "found"), [(["True"], "False"), ([" true "], "False"), (["x"], "True"), ([1], "True")]
)
def test_not_of_a_single_value_in_a_list_is_not_of_that_value(value: Any, found: str) -> None:
    assert of("Not([a])", {"a": value}) == found


def test_what_is_asked_later_is_never_asked_meanwhile() -> None:
    assert of("SelectUniqueValue([name], [number])", taken=ask_later) == Choice(("Ann", "5"))
    with pytest.raises(AssertionError, match="nobody asks this"):
        ask_later("Ann")


@pytest.mark.parametrize(
    ("expression", "attributes", "why"),
    [
        (
            "SingleAppRoleAssignment([appRoleAssignments])",
            {"appRoleAssignments": [5]},
            'an app role must be an object {"value", "displayName"}',
        ),
        ("DefaultDomain()", {}, "DefaultDomain() has no value: no verified domain is marked as the default"),
        ("Trim([a])", {"a": {"b": 1}}, "a text is needed where the attribute holds an object with sub-attributes"),
        ("Trim([a])", {"a": b"x"}, "a text is needed where the attribute holds binary data"),
        ("Trim([a])", {"a": object()}, "a text is needed where the attribute holds something else"),
    ],
)
def test_what_is_missing_or_of_another_shape_is_named(expression: str, attributes: dict[str, Any], why: str) -> None:
    with pytest.raises(EvaluationError) as raised:
        of(expression, attributes)
    assert str(raised.value) == why


SYSTEM = [1, 1, 0, 0, 0, 0, 0, 5, 18, 0, 0, 0]


@pytest.mark.parametrize(
    ("sid", "found"),
    [
        (SYSTEM, "S-1-5-18"),
        (bytes(SYSTEM), "S-1-5-18"),
        ([1, 1, 0, 0, 0, 0, 0, 5, 255, 255, 255, 255], "S-1-5-4294967295"),
        ([1, 2, 0, 0, 0, 0, 1, 0, 32, 0, 0, 0, 32, 2, 0, 0], "S-1-256-32-544"),
        ([1, 0, 0, 0, 0, 0, 0, 5], "S-1-5"),
        ("S-1-5-18", "S-1-5-18"),
        ("AQEAAAAAAAUSAAAA", "S-1-5-18"),
        (None, None),
        ("", None),
        ([], None),
        ("S-1", "must be binary: Base64 or a list of bytes"),
        (SYSTEM[:-1], "is not a security identifier"),
        ([2, *SYSTEM[1:]], "is not a security identifier"),
        ([1, 2, *SYSTEM[2:]], "is not a security identifier"),
        (bytes(7), "is not a security identifier"),
        (5, "is not a security identifier"),
    ],
)
def test_a_security_identifier_is_read_from_its_bytes(sid: Any, found: str | None) -> None:
    try:
        assert of("StringFromSid([sid])", {"sid": sid}) == found
    except EvaluationError as error:
        assert str(error) == f"ObjectSID of StringFromSid {found}"


@pytest.mark.parametrize(
    ("value", "found"),
    [
        *(
            (5, 5),
            (2.5, 2.5),
            (" 5 ", 5),
            ("-7", -7),
            ("+7", 7),
            ("2.50", 2.5),
            (".5", 0.5),
            ("1e3", None),
            ("1" * 400, int("1" * 400)),
            ("1" * 401, None),
            ("9" * 330 + ".0", None),
            ([5], 5),
        ),
        *(
            (True, None),
            (None, None),
            ("", None),
            ("x", None),
            ("1_0", None),
            ("٣", None),
            ("5 5", None),
            ("--5", None),
        ),
        *(
            (float("inf"), None),
            (float("-inf"), None),
            (float("nan"), None),
            ("1e999", None),
            ("nan", None),
            ({}, None),
        ),
    ],
)
def test_what_is_a_number(value: Any, found: float | None) -> None:
    assert (number(value), type(number(value))) == (found, type(found))


@pytest.mark.parametrize(
    ("value", "found"),
    [
        *((True, True), (False, False), (None, False), ("", False), ("TRUE", True), (" false ", False), ("True", True)),
        *(
            (0, False),
            (2, True),
            (-0.5, True),
            ("0", False),
            ("-1", True),
            ([True], True),
            (["false"], False),
            ([], False),
        ),
        *(("yes", None), ("x", None), ({}, None), ([1, 2], None)),
    ],
)
def test_what_is_true(value: Any, found: bool | None) -> None:
    if found is None:
        with pytest.raises(EvaluationError):
            truth(value, "it")
    else:
        assert truth(value, "it") is found


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ('CN="Doe, Joe",OU=a', "Doe, Joe"),
        ('CN="a""",OU=a', 'a""'),
        ('CN="",OU=a', ""),
        ('CN=",OU=a', '"'),
        ('CN=a",OU=a', 'a"'),
        ('CN="\\"x\\"",OU=a', '"x"'),
        ("CN=\\c3\\a9\\,\\ x ;OU=a", "é, x"),
        ("plain,OU=a", "plain"),
        ("CN=\\ff,OU=a", "\ufffd"),
    ],
)
def test_a_component_of_a_name_comes_without_its_quotes_and_escapes(name: str, found: str) -> None:
    assert of("DNComponent([dn], 1)", {"dn": name}) == found


@pytest.mark.parametrize("function", ["ConvertToUTF8Hex", "ConvertToBase64"])
def test_what_is_converted_may_be_no_longer_than_a_text(function: str) -> None:
    with pytest.raises(EvaluationError) as raised:
        of(f"{function}([a])", {"a": "x" * 1_000_001})
    assert str(raised.value).startswith(f"{function} ")


def test_a_number_that_is_too_large_for_a_formula_is_an_error_of_it() -> None:
    for formula in ("=[a]+1", "=[a]*2"):
        with pytest.raises(EvaluationError) as raised:
            of(formula, {"a": 10**400})
        assert str(raised.value) == f"#NUM! {formula[4]} leaves the numbers"


def test_each_part_of_an_expression_is_traced_by_its_own_text() -> None:
    steps = trace('IIF( [number] + 1 > 2 , [name] & "!" , "" )', Context(HER))
    assert [(step.depth, step.expression, step.value) for step in steps] == [
        (0, 'IIF( [number] + 1 > 2 , [name] & "!" , "" )', "Ann!"),
        (1, "[number] + 1 > 2", True),
        (2, "[number] + 1", 6),
        (3, "[number]", 5),
        (1, '[name] & "!"', "Ann!"),
        (2, "[name]", "Ann"),
    ]
    steps = trace("=IF( [number] + 1 - 2 > 2 , [name] & 1 % , 0 )", Context(HER))
    assert [step.expression for step in steps[1:]] == [
        "[number] + 1 - 2 > 2",
        "[number] + 1 - 2",
        "[number]",
        "[name] & 1 %",
        "[name]",
        "1 %",
    ]
