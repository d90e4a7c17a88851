"""What Redact hides: the paths that it writes, the attributes that only it reads, and what others say of them."""

from __future__ import annotations

from typing import Any

import pytest

from reconciler.core.conditions import compile_condition
from reconciler.core.model import (
    AllOf,
    AttributeMapping,
    Clause,
    Condition,
    Constant,
    Direct,
    FromExpression,
    Negation,
    ObjectRules,
    Operator,
)
from reconciler.core.redaction import hidden_attributes, redacted_paths, without

RULES = ObjectRules(
    "user",
    (
        AttributeMapping("userName", Direct("mail"), match=1),
        AttributeMapping("badge", FromExpression('IIF([kind]="x", Redact(Join("-", [badge], [site])), [fallback])')),
        AttributeMapping("title", FromExpression('Append([site], "!")')),
        AttributeMapping("note", Constant("Redact([mail])")),
    ),
)


def test_a_path_is_hidden_whichever_way_its_expression_takes() -> None:
    assert redacted_paths(RULES) == {"badge"}


def test_an_attribute_that_also_flows_openly_is_no_secret() -> None:
    assert hidden_attributes(RULES) == {"kind", "badge", "fallback"}
    assert hidden_attributes(None) == frozenset()


@pytest.mark.parametrize(
    ("condition", "said"),
    [
        (Clause("badge", Operator.EQUALS, "1"), "badge EQUALS 1: was [Redact]"),
        (Clause("badge", Operator.GREATER_THAN, "1"), "badge Greater_Than 1: cannot be told of [Redact]"),
        (Negation(Clause("badge", Operator.INCLUDES, "sec")), "not badge Includes sec: was [Redact]"),
        (Clause("badge", Operator.IS_NULL), "badge IS NULL: was [Redact]"),
        (AllOf((Clause("site", Operator.EQUALS, "North"),)), "site EQUALS North: was South"),
    ],
)
def test_a_filter_names_the_clause_and_not_what_is_hidden(condition: Condition, said: str) -> None:
    compiled = compile_condition(condition, hidden=hidden_attributes(RULES))
    assert compiled.judge({"badge": "secret-77", "site": "South"}, lambda _: None).why == said


def test_that_nothing_is_there_may_be_told() -> None:
    compiled = compile_condition(Clause("badge", Operator.EQUALS, "1"), hidden=frozenset({"badge"}))
    assert compiled.judge({"badge": ""}, lambda _: None).why == "badge EQUALS 1: was null"


@pytest.mark.parametrize(
    ("text", "values", "left"),
    [
        ('value "secret-77" is not unique', ["secret-77"], 'value "[Redact]" is not unique'),
        ("secret-77 and secret-7", ["secret-7", "secret-77"], "[Redact] and [Redact]"),
        ("7 of 77 are wrong: 7.", [7], "[Redact] of 77 are wrong: [Redact]."),
        ("badge is true", [True, None, ""], "badge is true"),
        ("North, 4711, deep", [[{"value": "North"}, 4711]], "[Redact], [Redact], deep"),
        ("nothing to hide", [], "nothing to hide"),
    ],
)
def test_a_targets_own_words_lose_what_is_hidden(text: str, values: list[Any], left: str) -> None:
    assert without(text, values) == left
