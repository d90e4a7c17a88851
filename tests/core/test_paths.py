"""Paths: one spelling, and what is written at a path is read there."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.core.paths import (
    ENTERPRISE_SCHEMA,
    Equals,
    Path,
    PathError,
    canonical,
    clash,
    parse,
    read,
    reader,
    remove,
    write,
)

MANAGER = f"{ENTERPRISE_SCHEMA}:manager"
WSOS = "urn:ietf:params:scim:schemas:extension:wsos:2.0:User"


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("userName", Path(None, "userName")),
        ("name.givenName", Path(None, "name", (), ("givenName",))),
        ('emails[type eq "work"].value', Path(None, "emails", (Equals("type", "work"),), ("value",))),
        ('roles[primary eq "True"].value', Path(None, "roles", (Equals("primary", "True"),), ("value",))),
        (
            'emails[type eq "work" and primary eq true].value',
            Path(None, "emails", (Equals("type", "work"), Equals("primary", True)), ("value",)),
        ),
        (MANAGER, Path(ENTERPRISE_SCHEMA, "manager")),
        (f"{WSOS}:name.familyNamePhonetic", Path(WSOS, "name", (), ("familyNamePhonetic",))),
        (
            'urn:example:schema:1.0:phones[type eq "a:b.c"].value',
            Path("urn:example:schema:1.0", "phones", (Equals("type", "a:b.c"),), ("value",)),
        ),
        ('members[value eq "2819"]', Path(None, "members", (Equals("value", "2819"),))),
        ("members.$ref", Path(None, "members", (), ("$ref",))),
    ],
)
def test_a_canonical_path_is_taken_apart_and_spelled_the_same(text: str, path: Path) -> None:
    assert parse(text) == path
    assert canonical(text) == text


@pytest.mark.parametrize(
    ("text", "spelled"),
    [
        ("  userName ", "userName"),
        ("urn:ietf:params:scim:schemas:core:2.0:User:userName", "userName"),
        ('urn:ietf:params:scim:schemas:core:2.0:User:emails[type eq "work"].value', 'emails[type eq "work"].value'),
        ("urn:ietf:params:scim:schemas:core:2.0:Group:displayName", "displayName"),
        ("URN:IETF:params:scim:schemas:extension:ENTERPRISE:2.0:user:manager", MANAGER),
        ("accounts.^[type=='slack'].value", 'accounts[type eq "slack"].value'),
        ("roles.^[primary==true].value", "roles[primary eq true].value"),
        ("roles.^[primary=='true'].value", 'roles[primary eq "true"].value'),
        ("roles.^[primary==true && type=='x'].value", 'roles[primary eq true and type eq "x"].value'),
        ('emails[ type  EQ "work" ].value', 'emails[type eq "work"].value'),
        ("levels[weight eq 0.0000001].value", "levels[weight eq 1e-07].value"),
    ],
)
def test_other_spellings_have_one_canonical_path(text: str, spelled: str) -> None:
    assert canonical(text) == spelled
    assert canonical(spelled) == spelled


def test_the_type_of_a_literal_is_part_of_the_path() -> None:
    assert parse('roles[primary eq "true"].value').where[0].value == "true"
    assert parse("roles[primary eq true].value").where[0].value is True
    assert canonical("roles[primary eq 1].value") != canonical("roles[primary eq true].value")


_FILTER_LITERAL = 'a filter compares with a "text" in quotes, true, false or a number'
_NO_ATTRIBUTE = "names a schema and no attribute of it; write urn:…:attribute"
_NOT_NAMED = "an extension is named as urn:…:attribute"
_NOT_JSON = "the text in the filter is not a JSON string or number"
_OTHER_THAN_EQ = 'a filter in a path compares with eq, as in [type eq "work"]'


@pytest.mark.parametrize(
    ("text", "position", "problem"),
    [
        ("", 0, "the path is empty"),
        ("   ", 0, "the path is empty"),
        ("name..givenName", 5, "an attribute name is missing"),
        ("name.", 5, "an attribute name is missing"),
        (" 1a", 1, "an attribute name is missing"),
        ("emails[type eq work].value", 15, _FILTER_LITERAL),
        ('emails[type eq "work].value', 15, _FILTER_LITERAL),
        ('emails[type co "work"].value', 11, _OTHER_THAN_EQ),
        ("emails[type]", 11, _OTHER_THAN_EQ),
        ('emails[type eq "work".value', 21, "the filter is not closed by ]"),
        ('emails[type eq "work" or a eq 1]', 21, "the filter is not closed by ]"),
        ('emails[type eq "work" and ]', 26, "an attribute name is missing"),
        ('name.emails[type eq "work"]', 11, "a filter can only follow the attribute itself"),
        ('emails[type eq "work"][a eq 1]', 22, "a filter can only follow the attribute itself"),
        ('emails[type eq "\\ud800"].value', 15, "the text in the filter holds half a character"),
        ("emails[type eq '\ud800'].value", 15, "the text in the filter holds half a character"),
        ('emails[type eq "\\x"].value', 15, _NOT_JSON),
        ("levels[weight eq 007]", 17, _NOT_JSON),
        ("levels[weight eq 1e999]", 17, "the number in the filter is too large"),
        ("display Name", 7, "unexpected ' '"),
        ("name:givenName", 4, "unexpected ':'"),
        (ENTERPRISE_SCHEMA, len(ENTERPRISE_SCHEMA) - 4, _NO_ATTRIBUTE),
        (f" {ENTERPRISE_SCHEMA.upper()} ", len(ENTERPRISE_SCHEMA) - 3, _NO_ATTRIBUTE),
        (f"{ENTERPRISE_SCHEMA}.manager", len(ENTERPRISE_SCHEMA) - 4, _NO_ATTRIBUTE),
        ("urn:example:2.0:Group", 16, _NO_ATTRIBUTE),
        ("urn:", 0, _NOT_NAMED),
        (" urn:a b:c", 1, _NOT_NAMED),
        (f"{ENTERPRISE_SCHEMA}:", len(ENTERPRISE_SCHEMA) + 1, "an attribute name is missing"),
    ],
)
def test_what_is_no_path_is_refused_with_its_place(text: str, position: int, problem: str) -> None:
    with pytest.raises(PathError) as refused:
        canonical(text)
    assert (refused.value.problem, refused.value.position) == (problem, position)
    assert str(refused.value) == f"{problem} (at character {position + 1})"


USER: dict[str, Any] = {
    "schemas": [ENTERPRISE_SCHEMA],
    "userName": "ann@example.com",
    "Active": True,
    "title": None,
    "phoneNumbers": [],
    "name": {"GIVENNAME": "Ann"},
    "emails": [{"type": "home", "value": "a@home.example"}, {"type": "Work", "value": "ann@example.com"}],
    "roles": [{"value": "user"}, {"primary": True, "value": "admin"}],
    "addresses": {"type": "work", "locality": "Oslo"},
    ENTERPRISE_SCHEMA.upper(): {"manager": {"value": "42"}, "costCenter": "C1"},
}


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("userName", "ann@example.com"),
        ("USERNAME", "ann@example.com"),
        ("active", True),
        ("title", None),
        ("nickName", None),
        ("phoneNumbers", None),
        ("name.givenName", "Ann"),
        ("name.givenName.deeper", None),
        ('emails[type eq "work"].value', "ann@example.com"),
        ('emails[type eq "other"].value', None),
        ('emails[type eq "work"]', {"type": "Work", "value": "ann@example.com"}),
        ("emails.value", ["a@home.example", "ann@example.com"]),
        ("emails", USER["emails"]),
        ('roles[primary eq "True"].value', "admin"),
        ("roles[primary eq true].value", "admin"),
        ('roles[primary eq true and value eq "user"].value', None),
        ('addresses[type eq "work"].locality', "Oslo"),
        (MANAGER, "42"),
        (f"{MANAGER}.value", "42"),
        (f"{ENTERPRISE_SCHEMA}:costCenter", "C1"),
        (f"{WSOS}:name.familyNamePhonetic", None),
    ],
)
def test_reading_finds_what_the_target_shows_whatever_its_case(path: str, value: object) -> None:
    assert read(USER, path) == value


@pytest.mark.parametrize("shown", [True, "True", "true", "TRUE"])
@pytest.mark.parametrize("path", ['roles[primary eq "True"].value', "roles[primary eq true].value"])
def test_the_boolean_and_the_word_match_each_other(path: str, shown: object) -> None:
    assert read({"roles": [{"primary": False, "value": "x"}, {"primary": shown, "value": "admin"}]}, path) == "admin"


def test_a_number_in_a_filter_is_not_a_boolean() -> None:
    assert read({"roles": [{"level": True, "value": "x"}]}, "roles[level eq 1].value") is None
    assert read({"roles": [{"level": 1, "value": "x"}]}, "roles[level eq 1].value") == "x"


@pytest.mark.parametrize(
    "shown", [{"value": "7"}, {"Value": "7", "displayName": "Bo"}, "7", [{"value": "7"}], [{"VALUE": "7"}], ["7"]]
)
def test_a_manager_is_an_id_however_the_target_shows_it(shown: object) -> None:
    assert read({ENTERPRISE_SCHEMA: {"manager": shown}}, MANAGER) == "7"
    assert reader("boss", reference=True)({"boss": shown}) == "7"


@pytest.mark.parametrize("shown", [None, "", [], {}, {"value": None}, {"value": ""}])
def test_no_manager_is_none_however_the_target_shows_it(shown: object) -> None:
    assert read({ENTERPRISE_SCHEMA: {"manager": shown}}, MANAGER) is None


def test_a_reference_may_be_anything_and_what_is_no_reference_stays_as_it_is() -> None:
    reference = reader("boss.of", reference=True)
    for shown, found in [
        ([{"value": "7"}, {"value": "8"}], [{"value": "7"}, {"value": "8"}]),
        (["7", "8"], ["7", "8"]),
        ([["7"]], ["7"]),
        ({"id": "7"}, None),
        ({"value": 0, "Value": "7"}, 0),
        ({"valu": "7", "VALUE": "8", "values": "9"}, "8"),
        (False, False),
    ]:
        assert reference({"boss": {"of": shown}}) == found


def test_an_element_that_is_chosen_takes_the_parts_of_a_value_or_the_value() -> None:
    body: dict[str, Any] = {"EMAILS": [{"TYPE": "work", "Value": "old"}, "odd"]}
    write(body, 'emails[type eq "work"]', {"value": "a@w", "primary": True})
    write(body, 'emails[type eq "home"]', "a@h")
    assert body == {
        "EMAILS": [
            {"TYPE": "work", "Value": "a@w", "primary": True},
            "odd",
            {"type": "home", "value": "a@h"},
        ]
    }


def test_many_writes_make_one_nested_body() -> None:
    body: dict[str, Any] = {}
    for path, value in [
        ("userName", "ann"),
        ("name.givenName", "Ann"),
        ("name.familyName", "Berg"),
        ('emails[type eq "work"].value', "a@w"),
        ('emails[type eq "work"].primary', True),
        ('emails[type eq "home"].value', "a@h"),
        ("roles[primary eq true].value", "admin"),
        (MANAGER, "42"),
        (f"{WSOS}:name.familyNamePhonetic", "ベルグ"),
    ]:
        write(body, path, value)
    assert body == {
        "userName": "ann",
        "name": {"givenName": "Ann", "familyName": "Berg"},
        "emails": [{"type": "work", "value": "a@w", "primary": True}, {"type": "home", "value": "a@h"}],
        "roles": [{"primary": True, "value": "admin"}],
        ENTERPRISE_SCHEMA: {"manager": {"value": "42"}},
        WSOS: {"name": {"familyNamePhonetic": "ベルグ"}},
    }


def test_a_literal_is_written_in_its_own_type() -> None:
    body: dict[str, Any] = {}
    write(body, 'roles[primary eq "True"].value', "admin")
    assert body == {"roles": [{"primary": "True", "value": "admin"}]}


def test_a_later_write_leaves_an_earlier_value_as_it_was_given() -> None:
    given_list = [{"type": "home", "value": "a@h"}]
    body: dict[str, Any] = {}
    write(body, "emails", given_list)
    write(body, 'emails[type eq "home"].value', "b@h")
    write(body, 'emails[type eq "work"].value', "a@w")
    assert given_list == [{"type": "home", "value": "a@h"}]
    assert read(body, 'emails[type eq "home"].value') == "b@h"


@pytest.mark.parametrize(
    ("body", "path", "name"),
    [
        ({"name": "Ann"}, "name.givenName", "name"),
        ({"emails": "a@w"}, 'emails[type eq "work"].value', "emails"),
        ({"name": {"a": []}}, "name.a.b", "a"),
        ({ENTERPRISE_SCHEMA: "x"}, MANAGER, ENTERPRISE_SCHEMA),
    ],
)
def test_a_write_never_runs_over_a_value_that_is_in_the_way(body: dict[str, Any], path: str, name: str) -> None:
    before = str(body)
    with pytest.raises(PathError) as refused:
        write(body, path, "x")
    assert refused.value.problem == f"{path} cannot be written: {name} has a value of its own already"
    assert str(body) == before


@pytest.mark.parametrize(
    ("first", "second", "clashes"),
    [
        ("userName", "userName", True),
        ("userName", "username", True),
        ("name", "name.givenName", True),
        ("name.givenName", "name.familyName", False),
        ('emails[type eq "work"].value', 'emails[type eq "home"].value', False),
        ('emails[type eq "work"]', 'emails[type eq "work"].value', True),
        ("emails", 'emails[type eq "work"].value', True),
        ("emails.value", 'emails[type eq "work"].value', True),
        (MANAGER, "manager", False),
    ],
)
def test_paths_that_cannot_stand_together_are_known_beforehand(first: str, second: str, clashes: bool) -> None:
    assert clash(first, second) is clashes
    assert clash(second, first) is clashes


names = st.from_regex(r"[A-Za-z][A-Za-z0-9]{0,8}", fullmatch=True)
texts = st.text(st.characters(codec="utf-8"), max_size=12)
conditions = st.builds(
    Equals,
    names.map(lambda name: f"c{name}"),
    texts | st.booleans() | st.integers(-(10**12), 10**12) | st.floats(-1e9, 1e9).map(lambda f: round(f, 6)),
)


def without_doubles(path: Path) -> bool:
    """Two conditions on one attribute can hold of no element that we could write."""
    folded = [equals.attribute.lower() for equals in path.where]
    return len(folded) == len(set(folded))


paths = st.builds(
    Path,
    st.none() | st.sampled_from([ENTERPRISE_SCHEMA, WSOS, "urn:example:v:1.0"]),
    names,
    st.lists(conditions, max_size=2).map(tuple),
    st.lists(names.map(lambda name: f"s{name}"), max_size=3).map(tuple),
).filter(without_doubles)
scalars = texts.filter(bool) | st.booleans() | st.integers() | st.floats(allow_nan=False)


@given(paths)
def test_the_spelling_of_a_path_is_a_path_with_that_spelling(path: Path) -> None:
    assert parse(str(path)) == path
    assert canonical(str(path)) == str(path)


@given(st.text() | st.text(alphabet="aU:.urn[]\" ^=&eq\\tru'12-", max_size=40))
def test_any_text_is_a_path_or_a_path_error(text: str) -> None:
    try:
        spelled = canonical(text)
    except PathError as refused:
        assert 0 <= refused.position <= len(text)
    else:
        assert canonical(spelled) == spelled


@given(paths.filter(lambda path: not path.where or path.sub), scalars | st.lists(scalars, min_size=1))
def test_what_is_written_is_read(path: Path, value: object) -> None:
    body: dict[str, Any] = {}
    write(body, path, value, reference=False)
    assert read(body, path, reference=False) == value


@given(paths, texts.filter(bool))
def test_a_reference_that_is_written_is_read(path: Path, target_id: str) -> None:
    body: dict[str, Any] = {}
    write(body, path, target_id, reference=True)
    assert read(body, path, reference=True) == target_id


@given(st.lists(st.tuples(paths.filter(lambda path: bool(path.sub)), scalars), max_size=6))
def test_writes_that_do_not_clash_do_not_disturb_each_other(writes: list[tuple[Path, object]]) -> None:
    body: dict[str, Any] = {}
    kept: list[tuple[Path, object]] = []
    for path, value in writes:
        apart = all(path.whole.lower() != other.whole.lower() for other, _ in kept)
        if apart:
            write(body, path, value, reference=False)
            kept.append((path, value))
    for path, value in kept:
        assert read(body, path, reference=False) == value


# --- taking out --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "path", "left"),
    [
        ({"title": "x", "active": True}, "title", {"active": True}),
        ({"TITLE": "x"}, "title", {}),
        ({"active": True}, "title", {"active": True}),
        ({"name": {"givenName": "A", "familyName": "B"}}, "name.givenName", {"name": {"familyName": "B"}}),
        ({"Name": {"GivenName": "A"}}, "name.givenName", {}),
        ({"name": "Ann"}, "name.givenName", {"name": "Ann"}),
        ({}, "name.givenName", {}),
        ({"emails": [{"type": "work", "value": "a"}]}, 'emails[type eq "work"].value', {}),
        (
            {"Emails": [{"Type": "WORK", "value": "a", "primary": True}, {"type": "home", "value": "b"}, "odd"]},
            'emails[type eq "work"].value',
            {"Emails": [{"type": "home", "value": "b"}, "odd"]},
        ),
        (
            {"addresses": [{"type": "work", "street": "s", "country": "SE"}, {"type": "home", "street": "h"}, 7]},
            'addresses[type eq "work"].street',
            {"addresses": [{"type": "work", "country": "SE"}, {"type": "home", "street": "h"}, 7]},
        ),
        ({"emails": {"work": "a"}}, 'emails[type eq "work"].value', {"emails": {"work": "a"}}),
        ({}, 'emails[type eq "work"].value', {}),
        ({ENTERPRISE_SCHEMA: {"department": "x"}}, f"{ENTERPRISE_SCHEMA}:department", {}),
        (
            {ENTERPRISE_SCHEMA.upper(): {"Department": "x", "division": "y"}},
            f"{ENTERPRISE_SCHEMA}:department",
            {ENTERPRISE_SCHEMA.upper(): {"division": "y"}},
        ),
        ({ENTERPRISE_SCHEMA: "odd"}, f"{ENTERPRISE_SCHEMA}:department", {ENTERPRISE_SCHEMA: "odd"}),
        ({}, f"{ENTERPRISE_SCHEMA}:department", {}),
    ],
)
def test_what_is_taken_out_takes_with_it_what_is_left_empty(
    body: dict[str, Any], path: str, left: dict[str, Any]
) -> None:
    by_text, by_path = deepcopy(body), deepcopy(body)
    remove(by_text, path)
    remove(by_path, parse(path))
    assert (by_text, by_path) == (left, left)


def test_a_path_that_was_taken_apart_before_reads_and_writes_as_its_text_does() -> None:
    body: dict[str, Any] = {}
    for text in ('emails[type eq "work"].value', MANAGER, "boss", "name.givenName"):
        write(body, parse(text), "7", reference=True if text == "boss" else None)
        assert read(body, parse(text), reference=True if text == "boss" else None) == "7"
    assert body == {
        "emails": [{"type": "work", "value": "7"}],
        ENTERPRISE_SCHEMA: {"manager": {"value": "7"}},
        "boss": {"value": "7"},
        "name": {"givenName": "7"},
    }
    write(body, MANAGER, "8", reference=False)
    assert (body[ENTERPRISE_SCHEMA], read(body, parse(MANAGER))) == ({"manager": "8"}, "8")
    remove(body, parse('emails[type eq "work"].value'))
    assert "emails" not in body
