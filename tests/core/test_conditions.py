"""What a condition is of an entry, operator by operator."""

from __future__ import annotations

import itertools
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.core.conditions import CompiledCondition, compile_condition
from reconciler.core.model import AllOf, AnyOf, Clause, Condition, MemberOf, Negation, Operator
from reconciler.errors import ConfigError


def in_no_group(_: MemberOf) -> bool | None:
    return False


def truth(operator: Operator, clause_value: str, value: Any) -> bool | None:
    compiled = compile_condition(Clause("a", operator, clause_value))
    judgement = compiled.judge({"a": value}, in_no_group)
    assert judgement.truth is compiled.truth({"a": value}, in_no_group)
    assert bool(judgement.why) is (judgement.truth is not True)
    return judgement.truth


@pytest.mark.parametrize(
    ("operator", "clause_value", "value", "expected"),
    [
        (Operator.EQUALS, "Sales", "Sales", True),
        (Operator.EQUALS, "Sales", "sales", False),
        (Operator.EQUALS, "Sales", "Sales ", False),
        (Operator.EQUALS, "true", True, True),
        (Operator.EQUALS, "True", True, True),
        (Operator.EQUALS, "True", False, False),
        (Operator.EQUALS, "True", "true", False),  # text stays case-sensitive
        (Operator.EQUALS, "1", True, False),
        (Operator.EQUALS, "5", 5, True),
        (Operator.EQUALS, "5", 5.0, True),
        (Operator.EQUALS, "5.5", 5.5, True),
        (Operator.EQUALS, "0", 0, True),
        (Operator.EQUALS, "Sales", ["IT", "Sales"], True),
        (Operator.EQUALS, "Sales", ["IT"], False),
        (Operator.NOT_EQUALS, "Sales", "IT", True),
        (Operator.NOT_EQUALS, "Sales", "Sales", False),
        (Operator.NOT_EQUALS, "Sales", "sales", True),
        (Operator.NOT_EQUALS, "Sales", ["IT", "Sales"], False),
        (Operator.NOT_EQUALS, "Sales", ["IT", "HR"], True),
        (Operator.IS_NULL, "", "x", False),
        (Operator.IS_NULL, "", 0, False),
        (Operator.IS_NULL, "", False, False),
        (Operator.IS_NULL, "", ["x", None], False),
        (Operator.IS_NULL, "", {"value": "x"}, False),
        (Operator.IS_NOT_NULL, "", False, True),
        (Operator.IS_NOT_NULL, "", {"value": "x"}, True),
        (Operator.IS_TRUE, "", True, True),
        (Operator.IS_TRUE, "", "true", True),
        (Operator.IS_TRUE, "", "False", False),
        (Operator.IS_TRUE, "", 1, True),
        (Operator.IS_TRUE, "", "perhaps", None),
        (Operator.IS_FALSE, "", False, True),
        (Operator.IS_FALSE, "", "False", True),
        (Operator.IS_FALSE, "", True, False),
        (Operator.IS_FALSE, "", "perhaps", None),
        (Operator.REGEX_MATCH, r".*\@example.com", "ann@example.com", True),
        (Operator.REGEX_MATCH, r"([1-9][0-9])", "room 42", True),  # found anywhere, as .NET's IsMatch
        (Operator.REGEX_MATCH, r"^[1-9][0-9]$", "room 42", False),
        (Operator.REGEX_MATCH, r"sales", "Sales", False),
        (Operator.REGEX_MATCH, r"^4", 42, True),
        (Operator.REGEX_MATCH, r"(?<first>a)b", "ab", True),  # .NET's spelling of a named group
        (Operator.REGEX_MATCH, r"(?<=a)b", "ab", True),
        (Operator.REGEX_MATCH, r"(a|aa)+$", "a" * 80 + "!", None),  # stopped: a search may not run for ever
        (Operator.NOT_REGEX_MATCH, r"^ext-", "ann", True),
        (Operator.NOT_REGEX_MATCH, r"^ext-", "ext-ann", False),
        (Operator.NOT_REGEX_MATCH, r"^ext-", ["ann", "ext-ann"], False),
        (Operator.INCLUDES, "ale", "Sales", True),
        (Operator.INCLUDES, "ALE", "Sales", False),
        (Operator.INCLUDES, "x", ["ab", "xy"], True),
        (Operator.ENDS_WITH, "@example.com", "ann@example.com", True),
        (Operator.ENDS_WITH, "@example.com", "ann@EXAMPLE.com", False),
        (Operator.GREATER_THAN, "5", 6, True),
        (Operator.GREATER_THAN, "5", 5, False),
        (Operator.GREATER_THAN, "9", "10", True),  # as numbers, not as text
        (Operator.GREATER_THAN, "-3", "-2", True),
        (Operator.GREATER_THAN, "5", "abc", None),
        (Operator.GREATER_THAN, "5", 6.5, None),
        (Operator.GREATER_THAN, "0", True, None),
        (Operator.GREATER_THAN, "5", [1, 9], True),
        (Operator.GREATER_THAN, "5", ["abc", 9], True),
        (Operator.GREATER_THAN, "5", ["abc", 1], None),
        (Operator.GREATER_THAN_OR_EQUALS, "5", 5, True),
        (Operator.GREATER_THAN_OR_EQUALS, "5", "4", False),
        (Operator.BITS_PRESENT, "2", 514, True),
        (Operator.BITS_PRESENT, "2", "512", False),
        (Operator.BITS_PRESENT, "6", 2, False),  # every bit asked for
        (Operator.BITS_PRESENT, "2", "abc", None),
        (Operator.BITS_ABSENT, "2", 512, True),
        (Operator.BITS_ABSENT, "2", 514, False),
        (Operator.EQUALS, "x", {"value": "x"}, None),
        (Operator.BEFORE, "2025-08-31", "2025-08-30", True),
        (Operator.BEFORE, "2025-08-31", "2025-08-31", False),
        (Operator.BEFORE, "2025-08-31", "8/30/2025 11:00:00 PM", True),
        (Operator.ON_OR_BEFORE, "2025-08-31", "2025-08-31T00:00:00Z", True),
        (Operator.AFTER, "2025-08-31", "2025-08-31T00:00:01Z", True),
        (Operator.ON_OR_AFTER, "8/31/2025", "2025-08-31", True),
        (Operator.AFTER, "2025-08-31", "soon", None),
        (Operator.AFTER, "2025-08-31", 5, None),
        (Operator.AFTER, "2025-08-31", ["2024-01-01", "2026-01-01"], True),
    ],
)
def test_an_operator(operator: Operator, clause_value: str, value: Any, expected: bool | None) -> None:
    assert truth(operator, clause_value, value) is expected


@pytest.mark.parametrize("value", [None, "", [], [None], ["", None], {}])
@pytest.mark.parametrize("operator", list(Operator))
def test_every_clause_but_is_null_is_false_of_null(operator: Operator, value: Any) -> None:
    clause_value = "2025-08-31" if "BEFORE" in operator or "AFTER" in operator else "5"
    assert truth(operator, clause_value, value) is (operator is Operator.IS_NULL)


def test_an_attribute_that_the_entry_lacks_is_null() -> None:
    assert compile_condition(Clause("a", Operator.IS_NULL)).judge({}, in_no_group).truth is True
    judgement = compile_condition(Clause("a", Operator.NOT_EQUALS, "x")).judge({}, in_no_group)
    assert (judgement.truth, judgement.why) == (False, "a NOT EQUALS x: was null")


def judge(condition: Condition, member: bool | None = False, **attributes: Any) -> tuple[bool | None, str]:
    judgement = compile_condition(condition).judge(attributes, lambda _: member)
    return judgement.truth, judgement.why


SALES = Clause("department", Operator.EQUALS, "Sales")
HAS_TITLE = Clause("jobTitle", Operator.IS_NOT_NULL)
SUPPORT = MemberOf("Support")


@pytest.mark.parametrize(
    ("condition", "why"),
    [
        (SALES, "department EQUALS Sales: was Marketing"),
        (AllOf((Clause("department", Operator.IS_NOT_NULL), SALES)), "department EQUALS Sales: was Marketing"),
        (AnyOf((SALES, HAS_TITLE)), "department EQUALS Sales: was Marketing; jobTitle IS NOT NULL: was null"),
        (
            Negation(Clause("department", Operator.INCLUDES, "Mark")),
            "not department Includes Mark: was Marketing",
        ),
        (Negation(Clause("jobTitle", Operator.IS_NULL)), ""),
        (Negation(AllOf((Clause("level", Operator.GREATER_THAN, "2"),))), "not (level Greater_Than 2): it is so"),
        (SUPPORT, "member of Support: is not"),
        (Clause("tags", Operator.EQUALS, "z"), "tags EQUALS z: was a, b, c, 1 more"),
        (AnyOf(()), "any of nothing"),
    ],
)
def test_why_names_the_clause_that_failed(condition: Condition, why: str) -> None:
    attributes: dict[str, Any] = {"department": "Marketing", "level": 3, "tags": list("abcd")}
    if not why:
        attributes["jobTitle"] = "Manager"
    assert judge(condition, **attributes) == (not why, why)


def test_a_long_value_is_shortened_and_many_alternatives_are_counted() -> None:
    many = AnyOf(tuple(Clause("a", Operator.EQUALS, str(number)) for number in range(10)))
    _, why = judge(many, a="x" * 500)
    assert why.endswith("; 7 more")
    assert len(why) < 600


def test_an_unknown_membership_counts_only_where_it_decides() -> None:
    assert judge(AllOf((SUPPORT, SALES)), None, department="IT")[0] is False
    assert judge(AnyOf((SUPPORT, SALES)), None, department="Sales")[0] is True
    unknown = (None, "member of Support: the membership is not known")
    assert judge(AllOf((SUPPORT, SALES)), None, department="Sales") == unknown
    assert judge(AnyOf((SUPPORT, SALES)), None, department="IT") == unknown
    assert judge(Negation(SUPPORT), None) == (None, "not (member of Support: the membership is not known)")


def test_what_cannot_be_read_is_unknown_also_when_negated() -> None:
    above = Clause("level", Operator.GREATER_THAN, "3")
    assert judge(above, level="abc") == (None, "level Greater_Than 3: cannot be told of abc")
    assert judge(Negation(above), level="abc")[0] is None


def test_a_condition_says_what_it_reads_and_which_memberships_it_asks_for() -> None:
    nested = MemberOf("Support", nested=True)
    compiled = compile_condition(AllOf((SALES, AnyOf((SUPPORT, nested)), Negation(AllOf((HAS_TITLE, SUPPORT))))))
    assert compiled.reads == {"department", "jobTitle"}
    assert compiled.groups == (SUPPORT, nested)


def test_every_clause_that_can_never_be_evaluated_is_named_at_once() -> None:
    condition = AllOf(
        (
            Clause("level", Operator.GREATER_THAN, "many"),
            Clause("mail", Operator.REGEX_MATCH, "(unclosed"),
            Clause("flags", Operator.BITS_PRESENT, ""),
            SALES,
        )
    )
    with pytest.raises(ConfigError) as caught:
        compile_condition(condition, "jobs.phone.users filter")
    assert [problem.problem.split()[0] for problem in caught.value.problems] == ["level", "mail", "flags"]
    assert {problem.where for problem in caught.value.problems} == {"jobs.phone.users filter"}


LEAVES = [MemberOf("yes"), MemberOf("no"), MemberOf("unknown")]
TRUTHS: dict[str, bool | None] = {"yes": True, "no": False, "unknown": None}
TREES = st.recursive(
    st.sampled_from(LEAVES),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(lambda parts: AllOf(tuple(parts))),
        st.lists(inner, max_size=3).map(lambda parts: AnyOf(tuple(parts))),
        inner.map(Negation),
    ),
    max_leaves=12,
)


def possible(condition: Condition) -> set[bool]:
    """Every truth that the condition could have, if each unknown leaf could be either, one by one."""
    match condition:
        case MemberOf(group):
            known = TRUTHS[group]
            return {True, False} if known is None else {known}
        case AllOf(of):
            return {all(choice) for choice in itertools.product(*(possible(part) for part in of))}
        case AnyOf(of):
            return {any(choice) for choice in itertools.product(*(possible(part) for part in of))}
        case Negation(of):
            return {not one for one in possible(of)}
        case Clause():
            raise AssertionError("there are none in these trees")


@given(TREES)
def test_a_tree_is_unknown_exactly_where_its_unknown_leaves_could_make_it_either(condition: Condition) -> None:
    compiled: CompiledCondition = compile_condition(condition)
    judgement = compiled.judge({}, lambda membership: TRUTHS[membership.group])
    could_be = possible(condition)
    assert judgement.truth is (could_be.pop() if len(could_be) == 1 else None)
    assert bool(judgement.why) is (judgement.truth is not True)


@pytest.mark.parametrize(
    ("operator", "of_list", "value", "expected"),
    [
        (Operator.EQUALS, "any", ["a", "b"], True),
        (Operator.EQUALS, "all", ["a", "b"], False),
        (Operator.EQUALS, "all", ["a", "a"], True),
        (Operator.NOT_EQUALS, "any", ["a", "b"], True),
        (Operator.NOT_EQUALS, "all", ["a", "b"], False),
        (Operator.EQUALS, "all", [], False),
        (Operator.EQUALS, "all", "a", True),
    ],
)
def test_a_clause_says_of_how_many_values_it_must_hold(
    operator: Operator, of_list: Literal["any", "all"], value: Any, expected: bool
) -> None:
    compiled = compile_condition(Clause("a", operator, "a", of_list))
    judgement = compiled.judge({"a": value}, in_no_group)
    assert judgement.truth is expected
    assert expected or judgement.why.startswith(f"{of_list} of a {operator} a: was ")


def test_a_date_that_is_none_is_refused() -> None:
    with pytest.raises(ConfigError, match="the value is no date"):
        compile_condition(Clause("a", Operator.AFTER, "soon"))
